"""An append made ready for the writer: everything that needs no lock is done, everything refusable is refused.

This runs where the append is submitted, on many threads at once, while the writer waits for the
database; the writer's own thread is the narrow place and is kept for what needs the log's head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from domain.entry import Draft, EntryError, draft
from infrastructure.append import Append, CreditDebit, Erasure, Idempotency, SealedDisclosure

#: PostgreSQL's `text` cannot hold it, and one unstorable value would fail everybody's transaction.
_NUL: Final = "\x00"


class DraftedEntry(NamedTuple):
    """One entry with its stream and version, without a position."""

    stream: UUID
    version: int
    type: str
    draft: Draft


class Expectation(NamedTuple):
    """What a stream's last version must be. `or_new`: or the stream does not exist yet, whatever the version."""

    version: int
    or_new: bool


@dataclass(slots=True)  # not frozen: making a frozen one takes three times as long, for every append
class Command:
    """One append as the writer takes it; `entries` are in the order they will have in the log."""

    entries: Sequence[DraftedEntry]
    expected: Mapping[UUID, Expectation]
    now: datetime
    not_after: datetime | None = None
    disclosures: tuple[SealedDisclosure, ...] = ()
    idempotency: Idempotency | None = None
    debit: CreditDebit | None = None
    erase: tuple[Erasure, ...] = ()

    def size(self) -> int:
        """About how many bytes its entries take."""
        return sum(len(entry.draft.middle) + len(entry.draft.end) for entry in self.entries)


def storable_type(type: str) -> str:
    """The type itself; raises EntryError if it cannot be stored."""
    if _NUL in type:
        raise EntryError("the type of an entry holds a NUL character")
    return type


def from_append(ledger: str, append: Append) -> Command:
    """Raises EntryError for an entry that cannot be stored, ValueError for an append that makes no sense."""
    entries: list[DraftedEntry] = []
    expected: dict[UUID, Expectation] = {}
    for part in append.streams:
        if part.stream in expected:
            raise ValueError(f"stream {part.stream} appears twice in one append")
        if part.expected_version < 0:
            raise ValueError("an expected version is 0 for a new stream, else the stream's last version")
        expected[part.stream] = Expectation(part.expected_version, or_new=False)
        for version, new in enumerate(part.entries, part.expected_version + 1):
            unplaced = draft(ledger, part.stream, version, storable_type(new.type), new.by, new.data, new.personal)
            entries.append(DraftedEntry(part.stream, version, new.type, unplaced))
    _check(append)
    return Command(
        entries, expected, append.now, append.not_after, append.disclosures, append.idempotency, append.debit, append.erase
    )


def _check(append: Append) -> None:
    if append.now.tzinfo is None or (append.not_after is not None and append.not_after.tzinfo is None):
        raise ValueError("the times of an append are aware datetimes")
    if append.debit is not None and append.debit.credits < 0:
        raise ValueError("a debit takes credits, it does not give them")
    if any(_NUL in disclosure.path for disclosure in append.disclosures):
        raise EntryError("the path of a disclosure holds a NUL character")
    key = append.idempotency
    if key is not None and (_NUL in key.scope or _NUL in key.key or not _is_unicode(key.scope + key.key)):
        raise ValueError("an idempotency key holds a character that cannot be stored")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
