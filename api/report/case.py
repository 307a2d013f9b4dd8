"""What a report is written from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.envelope import CertificateIssued, DocumentExecuted, EnvelopeCreated
from domain.signing import ProcessCreated
from infrastructure.telling.happened import Happened, created_of, documents_of, participants_of, processes_of
from infrastructure.telling.personal import Shown
from infrastructure.telling.wording import Wording, wording_of


class FileState(StrEnum):
    """What became of a document's bytes."""

    INCLUDED = "in this bundle"
    WITHHELD = "withheld"
    ABSENT = "not stored any more"


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
    """A file that the facts name, and the document that it is of; pages are known of what was uploaded."""

    role: Role
    document: UUID | None
    sha256: str
    pages: int | None


def named_files(happened: Sequence[Happened]) -> list[File]:
    """Every file that the facts name."""
    found = [File(Role.ORIGINAL, id, document.sha256, document.pages) for id, document in documents_of(happened).items()]
    for each in happened:
        if isinstance(each.fact, DocumentExecuted):
            found.append(File(Role.EXECUTED, each.fact.document, each.fact.sha256, None))
        elif isinstance(each.fact, CertificateIssued):
            found.append(File(Role.CERTIFICATE, None, each.fact.sha256, None))
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
