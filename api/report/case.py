"""What a report is written from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from api.report.words import Disclosed, Shown, Wording
from domain.entry import Entry
from domain.envelope import (
    CertificateIssued,
    Document,
    DocumentAdded,
    DocumentExecuted,
    EnvelopeCreated,
    EnvelopeFact,
    ParticipantAdded,
)
from domain.signing import ProcessCreated, SigningFact


@dataclass(frozen=True, slots=True)
class Happened:
    """An entry with its place in the log, its leaf hash (32 bytes) and its fact; None for a type that is not known here."""

    position: int
    leaf: bytes
    entry: Entry
    fact: EnvelopeFact | SigningFact | None


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


def documents_of(happened: Sequence[Happened]) -> dict[UUID, Document]:
    """The documents to sign, by id."""
    found: list[Document] = []
    for each in happened:
        if isinstance(each.fact, EnvelopeCreated):
            found += each.fact.documents
        elif isinstance(each.fact, DocumentAdded):
            found.append(each.fact.document)
    return {document.id: document for document in found}


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
        return next((each.fact for each in self.happened if isinstance(each.fact, EnvelopeCreated)), None)

    @property
    def last(self) -> int:
        """The position of the last entry."""
        return self.happened[-1].position

    def processes(self) -> dict[UUID, ProcessCreated]:
        """The signings in the bundle by participant."""
        return {each.entry.stream: each.fact for each in self.happened if isinstance(each.fact, ProcessCreated)}

    def participants(self) -> dict[UUID, int]:
        """The places of all participants of the envelope, counted from 1, by participant."""
        found: list[UUID] = []
        for each in self.happened:
            if isinstance(each.fact, EnvelopeCreated):
                found += [slot.participant for slot in each.fact.participants]
            elif isinstance(each.fact, ParticipantAdded):
                found.append(each.fact.slot.participant)
        return {who: place for place, who in enumerate(found, 1)}

    def wording(self) -> Wording:
        """How participants and documents are called: as they are disclosed, and by their place where that does not tell."""
        nameless = Wording(self.personal, {}, {})
        titles = {
            id: f"Document {number}" if document.title is None else f"Document {number} ({nameless.value(document.title)})"
            for number, (id, document) in enumerate(documents_of(self.happened).items(), 1)
        }
        disclosed = {
            who: nameless.value(process.name)
            for who, process in self.processes().items()
            if isinstance(self.personal.get(process.name.commitment), Disclosed)
        }
        names = list(disclosed.values())
        called = {
            who: f"Participant {place}"
            if (name := disclosed.get(who)) is None
            else name
            if names.count(name) == 1
            else f"{name} (participant {place})"
            for who, place in self.participants().items()
        }
        return Wording(self.personal, called, titles)
