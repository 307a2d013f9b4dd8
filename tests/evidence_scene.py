"""The ledger that is attacked, its bundle, and the tools of a careful forger: whatever can be made to fit, fits.

Hashes of the manifest, leaves, versions, links and heads manifests are those of the changed content.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.checkpoint import Checkpoint
from domain.entry import NO_PREVIOUS, Entry, decode, encode, leaf_hash
from domain.merkle import root_of
from domain.receipt import ReceiptText
from domain.sealing import HeadsRecorded
from infrastructure.bundle_format import Content
from infrastructure.bundle_lines import EntryLine
from infrastructure.signing_keys import SigningKey
from tests.evidence_world import EvidenceWorld, heads_of, map_of, packed, sign_checkpoint, signing_key
from tests.histories import ORIGIN, Row


@dataclass(frozen=True)
class Scene:
    """An envelope that two people signed one after the other, with a heads manifest after each.

    It was executed, seals were renewed, and the first of the two was erased before the second manifest.
    `middle` is the size of the log with the first manifest. There is another envelope before, `others` with its participant.
    """

    world: EvidenceWorld
    envelope: UUID
    participants: tuple[UUID, UUID]
    others: tuple[UUID, UUID]
    middle: int

    @property
    def size(self) -> int:
        return len(self.world.rows)

    def position(self, type: str, stream: UUID) -> int:
        """Of the first entry of this type in a stream."""
        return next(row.position for row in self.world.rows if row.stream == stream and row.type.startswith(type))

    def content(self, process: UUID | None = None, **kinds: Any) -> Content:
        """What the ledger gives out: with the checkpoint of the first manifest, and time-stamped five seconds after the end."""
        world = self.world
        kinds = {"earlier": (self.middle,), "stamped": {len(world.rows): world.now + timedelta(seconds=5)}, **kinds}
        return world.bundle(self.envelope, process, **kinds)

    def receipts(self) -> tuple[ReceiptText, ...]:
        """What the parties were told at the end."""
        ends = (self.world.heads[stream] for stream in (self.envelope, *self.participants))
        return tuple(ReceiptText(self.world.origin, row.stream, row.version, row.position, row.leaf) for row in ends)


def beginning(origin: str = ORIGIN) -> Scene:
    world = EvidenceWorld(origin=origin)
    other, (somebody,) = world.open_envelope(participants=1, documents=1)
    envelope, (first, second) = world.open_envelope()
    world.sign(envelope, first)
    world.record_heads()
    return Scene(world, envelope, (first, second), (other, somebody), len(world.rows))


def scene(origin: str = ORIGIN) -> Scene:
    begun = beginning(origin)
    first, second = begun.participants
    begun.world.sign(begun.envelope, second)
    begun.world.execute(begun.envelope)
    begun.world.erase(first)
    begun.world.record_heads()
    return begun


def continued_otherwise() -> Scene:
    """The same ledger up to the first manifest; then the second participant declines, and the log grows to the size that it had."""
    begun = beginning()
    begun.world.decline(begun.envelope, begun.participants[1])
    while begun.size < SIZE - 1:
        begun.world.erase(begun.others[1])
    begun.world.record_heads()
    return begun


SCENE = scene()
WORLD, SIZE, MIDDLE = SCENE.world, SCENE.size, SCENE.middle
ENVELOPE, (FIRST, SECOND) = SCENE.envelope, SCENE.participants
CONTENT = SCENE.content()
GENUINE = packed(CONTENT)
#: Where the second of the two consented, in the log.
CONSENT = SCENE.position("signing.consent-given", SECOND)
#: Where they were sent a code, failed with it, and passed.
CODE = SCENE.position("signing.otp-sent", SECOND)
#: Where the two documents were executed, and the seal of the first was renewed.
EXECUTED = SCENE.position("envelope.document-executed", ENVELOPE)
RENEWED = SCENE.position("envelope.seal-renewed", ENVELOPE)
#: The documents that were signed, their executed forms, and the certificate, as they are in the bundle.
ORIGINALS = [document.sha256 for document in WORLD.states[ENVELOPE].documents]
FORMS = [WORLD.states[ENVELOPE].executed[document.id] for document in WORLD.states[ENVELOPE].documents]
CERTIFICATE = WORLD.states[ENVELOPE].certificate


def resealed(entries: Iterable[Entry]) -> list[Row]:
    """A log of these entries with versions, links and heads manifests that fit."""
    rows: list[Row] = []
    ends: dict[UUID, tuple[int, bytes]] = {}
    for entry in entries:
        version, leaf = ends.get(entry.stream, (0, NO_PREVIOUS))
        data = entry.data
        if entry.type == HeadsRecorded.TYPE:
            heads = heads_of(rows)
            data = {"position": len(rows), "root": map_of(heads.values())[0].hex(), "streams": len(heads)}
        raw = encode(replace(entry, version=version + 1, previous=leaf, data=data))
        rows.append(Row(len(rows) + 1, entry.stream, version + 1, entry.type, leaf_hash(raw), raw))
        ends[entry.stream] = version + 1, rows[-1].leaf
    return rows


def other_consent(entry: Entry) -> Entry:
    """The consent to another text than the one that was shown."""
    return replace(entry, data={**entry.data, "text_sha256": "ab" * 32})


# A copy of a bundle, changed by somebody who cannot sign


def line_of(entry: Entry, position: int) -> EntryLine:
    raw = encode(entry)
    return EntryLine(position, leaf_hash(raw), raw)


def line_at(position: int) -> EntryLine:
    return next(line for line in CONTENT.entries if line.position == position)


def entry_at(position: int) -> Entry:
    return decode(line_at(position).raw)


def with_lines(*lines: EntryLine) -> list[EntryLine]:
    """The entries with these in the places of those at their positions, or between them."""
    return sorted({line.position: line for line in (*CONTENT.entries, *lines)}.values(), key=lambda line: line.position)


def without(*positions: int) -> list[EntryLine]:
    return [line for line in CONTENT.entries if line.position not in positions]


def without_document(name: str) -> Content:
    """The bundle with one document less."""
    return replace(CONTENT, documents={each: it for each, it in CONTENT.documents.items() if each != name})


def relinked(lines: Sequence[EntryLine]) -> list[EntryLine]:
    rows = resealed(decode(line.raw) for line in lines)
    return [EntryLine(line.position, row.leaf, row.raw) for line, row in zip(lines, rows, strict=True)]


def showing(lines: Sequence[EntryLine], content: Content = CONTENT) -> Content:
    """The bundle with these entries, with the disclosures of their commitments and the documents that they name.

    A proof that cannot be had is that of another entry.
    """
    known = {decode(line_at(it.position).raw).personal[it.path]: it for it in content.disclosures}
    spare = next(iter(content.proofs.values()))
    positions = sorted({line.position for line in (*lines, *content.ledger_entries)})
    return replace(
        content,
        entries=tuple(lines),
        disclosures=tuple(
            replace(known[commitment], position=line.position, path=path)
            for line in lines
            for path, commitment in sorted(decode(line.raw).personal.items())
        ),
        proofs={position: content.proofs.get(position, spare) for position in positions},
        documents={name: it for name, it in content.documents.items() if any(name.encode() in line.raw for line in lines)},
    )


# The whole log, written anew by somebody who holds the database

Edit = Callable[[list[tuple[int, Entry]]], list[tuple[int, Entry]]]


def rewritten(edit: Edit, **kinds: Any) -> Scene:
    """The ledger after an edit of its entries, each with the position that it had; `kinds` are other members of the world."""
    placed = edit([(row.position, decode(row.raw)) for row in WORLD.rows])
    rows = resealed(entry for _, entry in placed)
    heads = {row.stream: row for row in rows}
    disclosures = {
        (position, path): WORLD.disclosures[old, path]
        for position, (old, entry) in enumerate(placed, 1)
        for path in entry.personal
        if (old, path) in WORLD.disclosures
    }
    world = replace(WORLD, rows=rows, heads=heads, disclosures=disclosures, **kinds)
    manifests = [row.position for row in rows if row.type == HeadsRecorded.TYPE]
    return replace(SCENE, world=world, middle=manifests[0])


def edited(position: int, change: Callable[[Entry], Entry]) -> Edit:
    return lambda placed: [(at, change(entry) if at == position else entry) for at, entry in placed]


CONSENT_EDITED = edited(CONSENT, other_consent)


def signed_checkpoint(world: EvidenceWorld, size: int, keys: Iterable[SigningKey] = (), cosigned_by: Iterable[str] = ()) -> bytes:
    """The checkpoint of a log by other keys than the ledger's, or with other cosignatures."""
    checkpoint = Checkpoint(world.origin, size, root_of(world.leaves()[:size]))
    return sign_checkpoint(checkpoint, tuple(keys) or (signing_key(world.origin),), cosigned_by, world.now)
