"""Documents of the library: every rule, given facts, when a command comes, then facts or a refusal."""

from dataclasses import replace

import pytest

from domain.actor import Mode
from domain.errors import (
    DocumentFileAlreadyStored,
    DocumentFileMissing,
    DocumentNotFinal,
    LibraryDocumentNotFound,
    TooManyComments,
)
from domain.library import (
    MAX_COMMENTS,
    CommentDocument,
    CreateDocument,
    DeleteDocument,
    DocumentCommented,
    DocumentCreated,
    DocumentDeleted,
    DocumentFileStored,
    DocumentFinalized,
    DocumentKind,
    DocumentRevised,
    FinalizeDocument,
    LibraryCommand,
    LibraryDocument,
    LibraryFact,
    ReviseDocument,
    StoreDocumentFile,
    decide,
    evolve,
    final_file,
)
from domain.template import StoredFile
from tests.given import TENANT, Given, digest, personal, uid

Library = Given[LibraryCommand, LibraryDocument, LibraryFact]

ID, COMMENT = uid(7), uid(8)
TITLE, TEXT, AUTHOR, LOAN = (personal(value) for value in ("My house", "A question", "ana", "a loan"))
CREATE = CreateDocument(TENANT, Mode.LIVE, ID, DocumentKind.CHATTEL, "vehicle", TITLE, None, LOAN, AUTHOR)
CREATED = DocumentCreated(TENANT, Mode.LIVE, DocumentKind.CHATTEL, "vehicle", TITLE, None, LOAN, AUTHOR)
FILE = StoredFile(digest("deed"), 4_000, 2)
OTHER = StoredFile(digest("another deed"), 4_100, 3)

nothing: Library = Given(decide, evolve)
chattel = nothing.given(CREATED)
render = nothing.given(replace(CREATED, kind=DocumentKind.RENDER))
generated = nothing.given(replace(CREATED, kind=DocumentKind.GENERATED))
with_file = chattel.given(DocumentFileStored(FILE))
commented = chattel.given(DocumentCommented(COMMENT, AUTHOR, TEXT))
deleted = with_file.given(DocumentDeleted())


def test_a_document_is_created_once() -> None:
    assert nothing.when(CREATE) == (CREATED,)
    assert chattel.when(CREATE) == ()


def test_a_document_may_be_created_with_its_file() -> None:
    assert nothing.when(replace(CREATE, file=FILE)) == (CREATED, DocumentFileStored(FILE))


@pytest.mark.parametrize("start", [nothing, deleted])
@pytest.mark.parametrize(
    "command",
    [
        StoreDocumentFile(ID, FILE),
        ReviseDocument(ID, None, None, None),
        CommentDocument(ID, COMMENT, AUTHOR, TEXT),
        FinalizeDocument(ID),
        DeleteDocument(ID),
    ],
)
def test_a_document_that_is_not_there_refuses_everything(start: Library, command: LibraryCommand) -> None:
    assert start.refuses(command, LibraryDocumentNotFound).document == ID


def test_a_document_takes_one_file() -> None:
    assert chattel.when(StoreDocumentFile(ID, FILE)) == (DocumentFileStored(FILE),)
    assert with_file.when(StoreDocumentFile(ID, FILE)) == ()
    with_file.refuses(StoreDocumentFile(ID, OTHER), DocumentFileAlreadyStored)


def test_a_revision_is_the_new_whole_and_what_is_left_out_goes() -> None:
    revised = DocumentRevised("leasehold_estate", personal("My flat"), None)
    assert chattel.when(ReviseDocument(ID, revised.type, revised.title, None)) == (revised,)
    bare = chattel.given(DocumentRevised(None, None, None))
    assert bare.state is not None
    assert (bare.state.type, bare.state.title, bare.state.description) == (None, None, None)
    assert bare.when(ReviseDocument(ID, None, None, None)) == ()


def test_a_comment_is_made_once() -> None:
    comment = CommentDocument(ID, COMMENT, AUTHOR, TEXT)
    assert chattel.when(comment) == (DocumentCommented(COMMENT, AUTHOR, TEXT),)
    assert commented.when(comment) == ()
    assert commented.when(replace(comment, comment=uid(9))) != ()


def full() -> Library:
    assert chattel.state is not None
    return replace(chattel, state=replace(chattel.state, comments=frozenset(uid(number) for number in range(MAX_COMMENTS))))


def test_a_document_has_a_limited_number_of_comments() -> None:
    assert full().refuses(CommentDocument(ID, uid(MAX_COMMENTS), AUTHOR, TEXT), TooManyComments).most == MAX_COMMENTS
    assert full().when(CommentDocument(ID, uid(0), AUTHOR, TEXT)) == ()
    full().cannot_be(DocumentCommented(uid(MAX_COMMENTS), AUTHOR, TEXT))


def test_a_chattel_is_final_when_somebody_says_so_of_its_file() -> None:
    chattel.refuses(FinalizeDocument(ID), DocumentFileMissing)
    assert with_file.when(FinalizeDocument(ID)) == (DocumentFinalized(),)
    assert with_file.given(DocumentFinalized()).when(FinalizeDocument(ID)) == ()


@pytest.mark.parametrize("start", [render, generated], ids=["render", "generated"])
def test_a_render_and_a_generated_document_are_final_with_their_file(start: Library) -> None:
    start.refuses(FinalizeDocument(ID), DocumentFileMissing)
    done = start.given(DocumentFileStored(FILE))
    assert done.when(FinalizeDocument(ID)) == ()
    assert final_file(done.state, ID) == FILE


def test_an_envelope_takes_only_what_is_final() -> None:
    for start in (nothing, deleted):
        with pytest.raises(LibraryDocumentNotFound):
            final_file(start.state, ID)
    for start in (chattel, render, with_file):
        with pytest.raises(DocumentNotFinal) as refused:
            final_file(start.state, ID)
        assert refused.value.document == ID
    assert final_file(with_file.given(DocumentFinalized()).state, ID) == FILE


def test_a_document_can_be_deleted_whatever_became_of_it() -> None:
    for start in (chattel, with_file, commented, with_file.given(DocumentFinalized())):
        assert start.when(DeleteDocument(ID)) == (DocumentDeleted(),)


EVERY_LATER_FACT = (
    DocumentFileStored(FILE),
    DocumentRevised(None, None, None),
    DocumentCommented(COMMENT, AUTHOR, TEXT),
    DocumentFinalized(),
    DocumentDeleted(),
)


@pytest.mark.parametrize("fact", EVERY_LATER_FACT, ids=lambda fact: fact.TYPE)
def test_no_fact_comes_before_the_creation(fact: LibraryFact) -> None:
    nothing.cannot_be(fact)


@pytest.mark.parametrize("fact", [CREATED, *EVERY_LATER_FACT], ids=lambda fact: fact.TYPE)
def test_no_fact_comes_after_the_deletion(fact: LibraryFact) -> None:
    deleted.cannot_be(fact)


IMPOSSIBLE: dict[str, tuple[Library, LibraryFact]] = {
    "created twice": (chattel, CREATED),
    "a second file": (with_file, DocumentFileStored(OTHER)),
    "a file whose hash is none": (chattel, DocumentFileStored(StoredFile("0" * 63, 10, 1))),
    "a file without bytes": (chattel, DocumentFileStored(StoredFile(FILE.sha256, 0, 1))),
    "a file without pages": (chattel, DocumentFileStored(StoredFile(FILE.sha256, 10, 0))),
    "no change": (chattel, DocumentRevised("vehicle", TITLE, None)),
    "a comment twice": (commented, DocumentCommented(COMMENT, AUTHOR, TEXT)),
    "final without a file": (chattel, DocumentFinalized()),
    "final twice": (with_file.given(DocumentFinalized()), DocumentFinalized()),
    "a render made final though it is": (render.given(DocumentFileStored(FILE)), DocumentFinalized()),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_history_that_no_decision_leads_to_is_impossible(case: str) -> None:
    start, fact = IMPOSSIBLE[case]
    start.cannot_be(fact)
