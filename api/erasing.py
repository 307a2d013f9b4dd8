"""What the erasures and holds of the terminal and of the ledger's surface share: whose data is meant, and what else goes with it."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from domain.consent import stakeholder_subject
from domain.directory import DirectoryTextError, user_subject
from domain.envelope import Envelope
from domain.erasure import ErasedEntry, SubjectErased
from domain.ids import IdError, parse_typed_id, parse_ulid_id, parse_uuid
from domain.personal import Subject, SubjectKind, person
from infrastructure.issuer import ISSUER
from infrastructure.ledger import Ledger, Outcome

#: What an erasure has no hold of, in words; each is somebody's to look after.
NOT_REACHED: Final = "backups, exported files with disclosures, mails that were sent, and the PDFs themselves"

#: RFC 3339 section 5.6.
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

#: Longer than any address (RFC 5321 section 4.5.3.1) and any id.
MAX_NAME_CHARACTERS: Final = 320

#: Where an address says who somebody is, no place of theirs needs to.
_NOBODY: Final = UUID(int=0)

#: Where invitations are written to files instead of being sent, the signing is part of the name.
_SIGNING_OF_MAIL: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Unusable(ValueError):
    """What was said names nobody; `member` is the part of it that is wrong, empty for the whole."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(reason)
        self.member = member


def parse_instant(text: str) -> datetime:
    """A time as RFC 3339 spells it, in UTC; raises Unusable."""
    try:
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Unusable("until", "a time such as 2031-12-31T23:59:59Z")


def parse_id(text: str, *prefixes: str) -> UUID:
    """A UUID, or an id as a surface spells it: one of the prefixes and 32 hex digits or a ULID. Raises IdError."""
    with contextlib.suppress(IdError):
        return parse_uuid(text)
    for prefix in prefixes:
        for spelled in (parse_typed_id, parse_ulid_id):
            with contextlib.suppress(IdError):
                return spelled(prefix, text)
    raise IdError(", or ".join(("a UUID", *(f"{prefix}_ and what its surface shows" for prefix in prefixes))))


def _thing(kind: SubjectKind, *prefixes: str) -> Callable[[UUID, str], Subject]:
    return lambda tenant, text: Subject(tenant, kind, str(parse_id(text, *prefixes)))


#: The ways to name a subject but for a user, who needs an issuer too.
_WAYS: Final[Mapping[str, Callable[[UUID, str], Subject]]] = {
    "email": lambda tenant, text: person(tenant, email=text, otherwise=_NOBODY),
    "phone": lambda tenant, text: person(tenant, phone=text, otherwise=_NOBODY),
    "participant": lambda tenant, text: person(tenant, otherwise=parse_id(text, "sgn", "sgs")),
    "envelope": _thing(SubjectKind.ENVELOPE, "env"),
    "template": _thing(SubjectKind.TEMPLATE),
    "organization": _thing(SubjectKind.ORGANIZATION),
    "document": _thing(SubjectKind.DOCUMENT, "doc"),
    "stakeholder": stakeholder_subject,
}

#: Every way to name a subject.
WAYS: Final = (*_WAYS, "user")


def subject_of(tenant: UUID, said: Mapping[str, str | None], issuer: str | None = None) -> Subject:
    """Whose data is meant, by exactly one of WAYS; `issuer` is of `user`, by default this installation. Raises Unusable."""
    given = {way: text for way, text in said.items() if text is not None}
    if len(given) != 1:
        raise Unusable("", f"say whose data, by exactly one of {', '.join(WAYS)}")
    ((way, text),) = given.items()
    if not text.strip() or len(text) > MAX_NAME_CHARACTERS or not text.isprintable():
        raise Unusable(way, f"a text of 1 to {MAX_NAME_CHARACTERS} characters")
    try:
        if way == "user":
            return user_subject(tenant, ISSUER if issuer is None else issuer, text)
        return _WAYS[way](tenant, text)
    except (IdError, DirectoryTextError) as err:
        raise Unusable(way, str(err)) from err


@dataclass(frozen=True, slots=True)
class Effect:
    """What an erasure did: the log's entries that say so, and the entries that it emptied."""

    positions: tuple[int, ...]
    entries: tuple[ErasedEntry, ...]


def effect_of(outcome: Outcome) -> Effect:
    """What is in the outcome of `Ledger.erase`; a repeat's has none."""
    erased = [(item.receipt.position, item.fact) for item in outcome.recorded if isinstance(item.fact, SubjectErased)]
    return Effect(tuple(position for position, _ in erased), tuple(entry for _, fact in erased for entry in fact.entries))


async def remove_mails(ledger: Ledger, outbox: Path, emptied: Iterable[ErasedEntry]) -> int:
    """Removes the invitations to the signings that `emptied` is of, or whose envelope it is of, and answers how many.

    Invitations that were written to files instead of being sent hold the name, the address and the envelope's words.
    """
    signings = {entry.stream for entry in emptied}
    for stream in tuple(signings):
        state = await ledger.state(Envelope, stream)
        signings |= set() if state is None else set(state.slots)
    return await asyncio.to_thread(_remove, outbox, signings)


def _remove(outbox: Path, signings: Collection[UUID]) -> int:
    removed = 0
    for mail in outbox.glob("*.eml"):
        if any(UUID(found[0]) in signings for found in _SIGNING_OF_MAIL.finditer(mail.name)):
            mail.unlink(missing_ok=True)
            removed += 1
    return removed
