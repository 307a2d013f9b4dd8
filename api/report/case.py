"""What a report is written from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain import seal
from domain.envelope import CertificateIssued, DocumentExecuted, EnvelopeCreated, SealRenewed
from domain.signing import ProcessCreated
from infrastructure.telling.happened import Happened, created_of, documents_of, participants_of, processes_of
from infrastructure.telling.personal import Shown
from infrastructure.telling.wording import Wording, wording_of


class FileState(StrEnum):
    """What became of a document's bytes."""

    INCLUDED = "in this bundle"
    WITHHELD = "withheld"
    ABSENT = "not stored any more"
    SUPERSEDED = "not here: the form after it begins with it"


@dataclass(frozen=True, slots=True)
class Seal:
    """A checkpoint: the log's size, when the server says that it signed, and who cosigned at what time."""

    size: int
    at: datetime
    keys: Sequence[str]
    cosignatures: Sequence[tuple[str, datetime]]


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time-stamp token over the checkpoint of `size`: the time as the token says it, and the authority that was asked."""

    size: int
    time: datetime
    authority: str


class Role(StrEnum):
    """What a file is to the envelope."""

    ORIGINAL = "original"
    EXECUTED = "executed"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class File:
    """A file that the facts name, and the document that it is of; pages are known of what was uploaded.

    `sealed` is how it was sealed when it was made, `renewed` the time stamp that this form of it ends with. A file is
    superseded when a later form begins with it.
    """

    role: Role
    document: UUID | None
    sha256: str
    pages: int | None = None
    sealed: seal.Seal | None = None
    renewed: datetime | None = None
    superseded: bool = False


def named_files(happened: Sequence[Happened]) -> list[File]:
    """Every file that the facts name, in their order."""
    found = [File(Role.ORIGINAL, id, document.sha256, document.pages) for id, document in documents_of(happened).items()]
    last: dict[UUID | None, int] = {}
    for each in happened:
        fact = each.fact
        if isinstance(fact, DocumentExecuted):
            made = File(Role.EXECUTED, fact.document, fact.sha256, sealed=fact.seal)
        elif isinstance(fact, CertificateIssued):
            made = File(Role.CERTIFICATE, None, fact.sha256, sealed=fact.seal)
        elif isinstance(fact, SealRenewed) and fact.document in last:
            before = found[last[fact.document]]
            made = replace(before, sha256=fact.sha256, renewed=fact.stamped_at)
            found[last[fact.document]] = replace(before, superseded=True)
        else:
            continue
        last[made.document] = len(found)
        found.append(made)
    return found


@dataclass(frozen=True, slots=True)
class Case:
    """One envelope, or one process of it if `process` names its participant, as a bundle has it.

    `happened` is in the order of the log, `personal` by commitment, `files` by SHA-256 (64 hex digits). `seal` is the checkpoint that
    the proofs lead to, `earlier` are others in the bundle. `heads` is the position that the heads manifest covers, if there is one.
    """

    ledger: str
    envelope: UUID
    process: UUID | None
    happened: Sequence[Happened]
    personal: Mapping[str, Shown]
    files: Mapping[str, FileState]
    seal: Seal
    earlier: Sequence[Seal]
    heads: int | None
    stamp: Stamp | None

    @property
    def created(self) -> EnvelopeCreated | None:
        return created_of(self.happened)

    @property
    def last(self) -> int:
        """The position of the last entry."""
        return self.happened[-1].position

    def processes(self) -> dict[UUID, ProcessCreated]:
        """The signings in the bundle by participant."""
        return processes_of(self.happened)

    def participants(self) -> dict[UUID, int]:
        """The places of all participants of the envelope, counted from 1, by participant."""
        return participants_of(self.happened)

    def wording(self) -> Wording:
        """How participants and documents are called."""
        return wording_of(self.happened, self.personal)
