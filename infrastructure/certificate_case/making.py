"""From the entries of an envelope and of its signings to the case that its certificate is drawn from."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.actor import Mode, Provenance
from domain.envelope import DeadlineExtended, DocumentExecuted, EnvelopeCompleted, EnvelopeCreated, SealRenewed
from domain.personal import discloses
from domain.placement import PageSize
from domain.signing import (
    ConsentGiven,
    DocumentViewed,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    OtpFailed,
    OtpSent,
    OtpVerified,
    SessionOpened,
)
from infrastructure.certificate_case.circumstances import Circumstances
from infrastructure.certificate_case.proof import checkpoint_told, seal_told, steps
from infrastructure.certificate_case.signers import signer
from infrastructure.database import Reads
from infrastructure.pdf_drawing.case import Absent, Case, CaseDocument, CaseEvent, CaseHead, Known, Paper, Timed, Told
from infrastructure.telling.happened import (
    Happened,
    created_of,
    documents_of,
    envelope_status,
    happened,
    participants_of,
)
from infrastructure.telling.personal import MAX_SHOWN, Disclosed, Erased, Shown, spell
from infrastructure.telling.sentences import counted, sentence
from infrastructure.telling.wording import Wording, wording_of
from infrastructure.vault import Opened, Reference, Vault, VaultError

#: With more entries than this, those that repeat are told by their first and last: it is about 150 pages.
MAX_EVENTS: Final = 2_000

#: A value of more characters, or a name, stands in full with its signer.
MAX_IN_EVENT: Final = 200
MAX_NAME_IN_EVENT: Final = 80

#: Of one value of each participant, or title of each document, all together: drawing has ten seconds, and a letter that cannot be
#: drawn takes seven of those that can.
MAX_LETTERS: Final = 20_000

#: What may be recorded of a signing as often as somebody likes. All else is bounded by the size of an envelope.
_Repeated = (
    InvitationResent
    | InvitationDelivered
    | InvitationBounced
    | SessionOpened
    | DocumentViewed
    | OtpSent
    | OtpVerified
    | OtpFailed
    | ConsentGiven
    | DeadlineExtended
    | SealRenewed
)

_ENTRIES: Final = "SELECT position, leaf, entry FROM public.log WHERE stream = ANY(%s) ORDER BY position"


async def happened_of(reads: Reads, envelope: UUID) -> tuple[Happened, ...]:
    """The entries of an envelope and of its signings, in the order of the log; raises EntryError for bytes that are none."""
    first = await _entries(reads, [envelope])
    return await _entries(reads, [envelope, *participants_of(first)])


async def _entries(reads: Reads, streams: Sequence[UUID]) -> tuple[Happened, ...]:
    async with reads.connection() as connection:
        rows = await (await connection.execute(_ENTRIES, [list(streams)], binary=True)).fetchall()
    return await asyncio.to_thread(lambda: tuple(happened(*row) for row in rows))


def paper_for(page: PageSize) -> Paper:
    """The paper that a document's writer uses, by the size of its first page: Letter where it is as wide, else A4."""
    return Paper.LETTER if round(page.width_millipoints / 1000) == Paper.LETTER.value[0] else Paper.A4


async def case_of(vault: Vault, told: Sequence[Happened], beside: Circumstances) -> Case:
    """The case of the envelope whose entries, and those of its signings, are `told`, in the order of the log.

    The first of them creates the envelope, else ValueError. Raises VaultError for a disclosure that is not what the log commits to.
    """
    opened = await vault.open_entries({each.entry.stream for each in told})
    return await asyncio.to_thread(lambda: case_from(told, dict(_personal(told, opened, beside.erasures)), beside))


def _personal(
    told: Sequence[Happened], opened: Mapping[Reference, Opened], erasures: Mapping[tuple[UUID, int], int]
) -> Iterator[tuple[str, Shown]]:
    """What became of each personal value, by its commitment. The vault loses one by erasure alone."""
    for each in told:
        stream, version = each.entry.stream, each.entry.version
        for path, commitment in each.entry.personal.items():
            found = opened.get(Reference(stream, version, path))
            if found is None:
                yield commitment, Erased(erasures.get((stream, version)))
            elif discloses(found.value, found.salt, commitment):
                yield commitment, Disclosed(found.value)
            else:
                raise VaultError(f"the disclosure of {path} in {stream} version {version} is not what the log commits to")


def case_from(told: Sequence[Happened], personal: Mapping[str, Shown], beside: Circumstances) -> Case:
    """As `case_of`; `personal` tells by commitment what became of a value."""
    created = created_of(told)
    if created is None:
        raise ValueError("nothing tells how the envelope was created")
    documents, participants = documents_of(told), participants_of(told)
    longest = min(MAX_SHOWN, MAX_LETTERS // max(len(documents), len(participants), 1))
    wording = wording_of(told, personal, "milliseconds", longest)
    # What may be long is told once: titles with the documents, and names and statements with the signers.
    brief = replace(
        wording,
        titles={id: f"Document {number}" for number, id in enumerate(documents, 1)},
        names={who: spell(name, MAX_NAME_IN_EVENT) for who, name in wording.names.items()},
        images="with the signer, above.",
    )
    streams: dict[UUID, list[Happened]] = defaultdict(list)
    for each in told:
        streams[each.entry.stream].append(each)
    first = told[0]
    envelope = first.entry.stream
    return Case(
        envelope=str(envelope),
        subject="" if created.subject is None else wording.value(created.subject),
        status=envelope_status(told),
        originator=Known(beside.tenant or f"tenant {created.tenant}", f"with {wording.actor(first.entry.by)}"),
        created=Timed(first.entry.at),
        completed=_completed(told),
        zone=ZoneInfo(created.zone or "UTC"),
        documents=tuple(_documents(told, wording)),
        signers=tuple(signer(place, streams[who], brief, beside) for who, place in participants.items() if who in streams),
        events=tuple(_events(told, replace(brief, longest=MAX_IN_EVENT))),
        heads=tuple(_heads(streams, wording)),
        checkpoint=checkpoint_told(beside.checkpoint),
        seal=seal_told(told, brief),
        url=f"{beside.base_url}/verify/{envelope}",
        offline=steps(beside.base_url, envelope),
        made=beside.made,
        test=created.mode is Mode.TEST,
    )


def _completed(told: Sequence[Happened]) -> Told:
    ends = [each for each in told if isinstance(each.fact, EnvelopeCompleted)]
    return Timed(ends[0].entry.at) if ends else Absent("it is not completed")


def _documents(told: Sequence[Happened], wording: Wording) -> Iterator[CaseDocument]:
    files: dict[UUID, Told] = {}
    for each in told:
        if isinstance(each.fact, DocumentExecuted):
            files[each.fact.document] = Known(each.fact.sha256)
        elif isinstance(each.fact, SealRenewed) and each.fact.document is not None:
            files[each.fact.document] = Known(each.fact.sha256, "with the seal renewed")
    for id, document in documents_of(told).items():
        yield CaseDocument(
            wording.document(id), document.pages, document.sha256, files.get(id, Absent("no executed form is recorded"))
        )


def _events(told: Sequence[Happened], wording: Wording) -> Iterator[CaseEvent]:
    seen: dict[str, int] = {}
    printed = _printed(told)
    before = 0
    for number in printed:
        each = told[number - 1]
        left_out, before = number - before - 1, number
        provenance = getattr(each.fact, "provenance", None)
        observed = wording.observed(provenance) if isinstance(provenance, Provenance) else ""
        # At the same browser all is observed again and again.
        first = seen.setdefault(f"{each.entry.stream} {observed}", number)
        yield CaseEvent(
            number=number,
            at=each.entry.at,
            type=each.entry.type,
            actor=wording.actor(each.entry.by),
            detail=_left_out(left_out) + (sentence(each, wording) or "This certificate has no words for entries of this type."),
            digest=each.leaf.hex(),
            source=f"Observed as with event {first}." if observed and first < number else observed,
        )


def _printed(told: Sequence[Happened]) -> Sequence[int]:
    """The numbers of the entries that are told, from 1: all, unless that are very many and some repeat what others say.

    Then those are left out that are neither the first nor the last of their type in their stream, among what can be repeated.
    """
    numbers = range(1, len(told) + 1)
    if len(told) <= MAX_EVENTS:
        return numbers
    ends: dict[tuple[UUID, str], tuple[int, int]] = {}
    for number, each in enumerate(told, 1):
        kind = each.entry.stream, each.entry.type
        ends[kind] = ends.get(kind, (number, number))[0], number
    return [
        number
        for number, each in enumerate(told, 1)
        if not isinstance(each.fact, _Repeated) or number in ends[each.entry.stream, each.entry.type]
    ]


def _left_out(count: int) -> str:
    return f"[{counted(count, 'event')} before, which repeat others, are in the evidence and not printed here.] " if count else ""


def _heads(streams: Mapping[UUID, Sequence[Happened]], wording: Wording) -> Iterator[CaseHead]:
    for stream, entries in streams.items():
        last = entries[-1]
        title = "The envelope" if isinstance(entries[0].fact, EnvelopeCreated) else f"The signing of {wording.who(stream)}"
        yield CaseHead(title, str(stream), last.entry.version, last.leaf.hex())
