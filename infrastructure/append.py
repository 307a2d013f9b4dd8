"""What is handed to the recorder and what it answers: the vocabulary of one append.

An `Append` is one command's whole effect: entries for any number of streams, and all that must
become true in the same transaction (disclosures, the idempotency record, a credit debit, an
erasure). It happens entirely or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.canonical import Json


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One fact, encoded, before it has a place in the log."""

    type: str
    by: Mapping[str, Json]
    data: Mapping[str, Json]
    personal: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamAppend:
    """Entries for one stream. `expected_version` is its last version as decided upon, 0 for a new one.

    Without entries the stream must only be where it was: something was decided on its state.
    """

    stream: UUID
    expected_version: int
    entries: tuple[NewEntry, ...]


@dataclass(frozen=True, slots=True)
class SealedDisclosure:
    """A disclosure encrypted under its subject's key, for the vault (DESIGN section 5)."""

    stream: UUID
    version: int
    path: str
    subject: UUID
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A surface's answer to a command, as sent: kept with the idempotency record.

    `receipts` are those of what the command recorded, as the header that carries them; the ledger adds them.
    """

    status: int
    media_type: str
    body: bytes
    receipts: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where one entry came to stand. `leaf` is its 32-byte leaf hash, `at` its time in the log."""

    stream: UUID
    version: int
    position: int
    leaf: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's promise that a repeat under `key` means the same command.

    `scope` separates clients (surface, tenant, credential); `request_hash` is the SHA-256 of method,
    path and body. `answer` is called by the recorder inside the transaction, with the receipts, to
    make the answer that a repeat will get; it must be quick and must not fail.
    """

    scope: str
    key: str
    request_hash: bytes
    answer: Callable[[Sequence[Receipt]], Answer]


@dataclass(frozen=True, slots=True)
class CreditDebit:
    """Credits to take from a tenant's balance; a tenant without a balance is not limited."""

    tenant: UUID
    credits: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """A subject whose key and disclosures are destroyed.

    `disclosures` is how many were found; if there are others by now, the append is stale.
    """

    subject: UUID
    disclosures: int


@dataclass(frozen=True, slots=True)
class Append:
    """One command's whole effect.

    `now` is the time it was decided at; the recorder stamps entries with a time that is never
    earlier than `now` nor than the log's last entry. If that time is later than `not_after`, the
    append is refused as stale, so that what was allowed only until then is decided again.
    `erase` names data subjects whose keys and disclosures are destroyed in the same transaction.
    """

    streams: tuple[StreamAppend, ...]
    now: datetime
    not_after: datetime | None = None
    disclosures: tuple[SealedDisclosure, ...] = ()
    idempotency: Idempotency | None = None
    debit: CreditDebit | None = None
    erase: tuple[Erasure, ...] = ()


@dataclass(frozen=True, slots=True)
class Appended:
    """The receipts of an append, in the order of its entries, and the answer kept for repeats.

    `repeated` is true when the idempotency key had been answered before: nothing was appended, the
    receipts are empty and `answer` is the first one.
    """

    receipts: tuple[Receipt, ...]
    answer: Answer | None = None
    repeated: bool = False


class AppendError(Exception):
    """An append did not happen."""


class StaleAppend(AppendError):
    """The append was decided on state that no longer holds: decide again on fresh state.

    Raised when a stream's version differs from the expected one, when `not_after` has passed, or
    when a disclosure's subject was erased meanwhile.
    """

    def __init__(self, reason: str, stream: UUID | None = None) -> None:
        super().__init__(reason)
        self.stream = stream


class KeyReused(AppendError):
    """The idempotency key was used before with another request."""


class AnswerErased(AppendError):
    """The first answer under this idempotency key held personal data that has since been erased."""


class CreditsExhausted(AppendError):
    """The tenant's balance is below the debit; nothing was taken."""


class RecorderUnavailable(AppendError):
    """The database could not be reached, or the outcome of the commit is not known.

    The append may or may not have happened; a repeat with the same idempotency key is safe.
    """


class RecorderBusy(RecorderUnavailable):
    """Too many appends are waiting already. This one did not happen."""
