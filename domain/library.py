"""The library: documents that stand by themselves, before an envelope or without one."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final, assert_never
from uuid import UUID

from domain.actor import Mode
from domain.errors import (
    DocumentFileAlreadyStored,
    DocumentFileMissing,
    DocumentNotFinal,
    ImpossibleHistory,
    LibraryDocumentNotFound,
    TooManyComments,
)
from domain.personal import Personal
from domain.template import StoredFile

#: Comments of one document. Far more than a conversation needs; the document is folded from all of them.
MAX_COMMENTS: Final = 1_000


class DocumentKind(StrEnum):
    """Where a document came from: a record of somebody's asset, a stored PDF, or one made from parameters."""

    CHATTEL = "chattel"
    RENDER = "render"
    GENERATED = "generated"


# Facts


@dataclass(frozen=True, slots=True)
class DocumentCreated:
    """`type` is a word of the surface's own. `details` is a JSON object: a loan, or the parameters it was made from."""

    TYPE: ClassVar[str] = "document.created/1"
    tenant: UUID
    mode: Mode
    kind: DocumentKind
    type: str | None
    title: Personal | None
    description: Personal | None
    details: Personal | None
    owner: Personal | None


@dataclass(frozen=True, slots=True)
class DocumentFileStored:
    TYPE: ClassVar[str] = "document.file-stored/2"
    file: StoredFile


@dataclass(frozen=True, slots=True)
class DocumentRevised:
    """The new whole of what can be revised; what is None is there no more."""

    TYPE: ClassVar[str] = "document.revised/1"
    type: str | None
    title: Personal | None
    description: Personal | None


@dataclass(frozen=True, slots=True)
class DocumentCommented:
    TYPE: ClassVar[str] = "document.commented/1"
    comment: UUID
    author: Personal
    text: Personal


@dataclass(frozen=True, slots=True)
class DocumentFinalized:
    """Somebody said that it is ready to be put into an envelope. Renders and generated documents need no such word."""

    TYPE: ClassVar[str] = "document.finalized/1"


@dataclass(frozen=True, slots=True)
class DocumentDeleted:
    TYPE: ClassVar[str] = "document.deleted/1"


LibraryFact = DocumentCreated | DocumentFileStored | DocumentRevised | DocumentCommented | DocumentFinalized | DocumentDeleted

# Commands


@dataclass(frozen=True, slots=True)
class CreateDocument:
    """`file` is given when the PDF is there from the start; it is recorded in the same decision."""

    tenant: UUID
    mode: Mode
    document: UUID
    kind: DocumentKind
    type: str | None = None
    title: Personal | None = None
    description: Personal | None = None
    details: Personal | None = None
    owner: Personal | None = None
    file: StoredFile | None = None


@dataclass(frozen=True, slots=True)
class StoreDocumentFile:
    document: UUID
    file: StoredFile


@dataclass(frozen=True, slots=True)
class ReviseDocument:
    """What is left as it was is given again; what is None is taken away."""

    document: UUID
    type: str | None
    title: Personal | None
    description: Personal | None


@dataclass(frozen=True, slots=True)
class CommentDocument:
    document: UUID
    comment: UUID
    author: Personal
    text: Personal


@dataclass(frozen=True, slots=True)
class FinalizeDocument:
    document: UUID


@dataclass(frozen=True, slots=True)
class DeleteDocument:
    document: UUID


LibraryCommand = CreateDocument | StoreDocumentFile | ReviseDocument | CommentDocument | FinalizeDocument | DeleteDocument

# State


@dataclass(frozen=True, slots=True)
class LibraryDocument:
    """A document of the library as its facts have left it."""

    tenant: UUID
    mode: Mode
    kind: DocumentKind
    type: str | None
    title: Personal | None
    description: Personal | None
    file: StoredFile | None = None
    finalized: bool = False
    comments: frozenset[UUID] = field(default_factory=frozenset)
    deleted: bool = False

    @property
    def final(self) -> bool:
        """Whether it may be put into an envelope."""
        return self.file is not None and (self.finalized or self.kind is not DocumentKind.CHATTEL)


def decide(command: LibraryCommand, state: LibraryDocument | None, now: datetime) -> tuple[LibraryFact, ...]:
    """The facts that follow from `command`; raises a Refusal. `state` is None before the first fact."""
    if isinstance(command, CreateDocument):
        return _create(command) if state is None else ()
    if state is None or state.deleted:
        raise LibraryDocumentNotFound(command.document)
    match command:
        case StoreDocumentFile():
            if state.file is None:
                return (DocumentFileStored(command.file),)
            if state.file.sha256 == command.file.sha256:
                return ()
            raise DocumentFileAlreadyStored
        case ReviseDocument():
            revised = DocumentRevised(command.type, command.title, command.description)
            return () if revised == _present(state) else (revised,)
        case CommentDocument():
            if command.comment in state.comments:
                return ()
            if len(state.comments) >= MAX_COMMENTS:
                raise TooManyComments(MAX_COMMENTS)
            return (DocumentCommented(command.comment, command.author, command.text),)
        case FinalizeDocument():
            if state.file is None:
                raise DocumentFileMissing
            return () if state.final else (DocumentFinalized(),)
        case DeleteDocument():
            return (DocumentDeleted(),)
        case _ as unreachable:
            assert_never(unreachable)


def _create(command: CreateDocument) -> tuple[LibraryFact, ...]:
    created = DocumentCreated(
        command.tenant,
        command.mode,
        command.kind,
        command.type,
        command.title,
        command.description,
        command.details,
        command.owner,
    )
    return (created,) if command.file is None else (created, DocumentFileStored(command.file))


def _present(state: LibraryDocument) -> DocumentRevised:
    """What can be revised, as it stands."""
    return DocumentRevised(state.type, state.title, state.description)


def final_file(state: LibraryDocument | None, document: UUID) -> StoredFile:
    """The PDF of a document that an envelope may take; raises LibraryDocumentNotFound, DocumentNotFinal.

    That it is of the caller's tenant and mode is for the caller to check.
    """
    if state is None or state.deleted:
        raise LibraryDocumentNotFound(document)
    if state.file is None or not state.final:
        raise DocumentNotFinal(document)
    return state.file


def evolve(state: LibraryDocument | None, fact: LibraryFact, at: datetime) -> LibraryDocument:
    """The state after `fact`; raises ImpossibleHistory if it could not have been decided in `state`."""
    if isinstance(fact, DocumentCreated):
        if state is not None:
            raise ImpossibleHistory("a document is created twice")
        return LibraryDocument(fact.tenant, fact.mode, fact.kind, fact.type, fact.title, fact.description)
    if state is None:
        raise ImpossibleHistory(f"{fact.TYPE} before the document is created")
    if state.deleted:
        raise ImpossibleHistory(f"{fact.TYPE} after the document is deleted")
    match fact:
        case DocumentFileStored():
            if state.file is not None:
                raise ImpossibleHistory("a document gets a second file")
            if not fact.file.possible:
                raise ImpossibleHistory("the file of a document cannot be a PDF")
            return replace(state, file=fact.file)
        case DocumentRevised():
            if fact == _present(state):
                raise ImpossibleHistory("a document is revised to what it is")
            return replace(state, type=fact.type, title=fact.title, description=fact.description)
        case DocumentCommented():
            if fact.comment in state.comments:
                raise ImpossibleHistory(f"comment {fact.comment} is made twice")
            if len(state.comments) >= MAX_COMMENTS:
                raise ImpossibleHistory("a document gets too many comments")
            return replace(state, comments=state.comments | {fact.comment})
        case DocumentFinalized():
            if state.file is None or state.final:
                raise ImpossibleHistory("a document is made final without a file, or again")
            return replace(state, finalized=True)
        case DocumentDeleted():
            return replace(state, deleted=True)
        case _ as unreachable:
            assert_never(unreachable)
