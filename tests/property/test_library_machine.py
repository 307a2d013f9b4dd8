"""Documents of the library under commands that are allowed and commands that are not, and their tampered histories."""

from dataclasses import replace

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.actor import Mode
from domain.errors import DocumentNotFinal, ImpossibleHistory, LibraryDocumentNotFound, Refusal
from domain.library import (
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
from tests.given import NOW, TENANT, digest, personal, uid

ID = uid(7)
OWNER = personal("ana")

files = st.builds(lambda pages: StoredFile(digest(f"file of {pages} pages"), 1_000 * pages, pages), st.integers(1, 2))
texts = st.none() | st.sampled_from(["a", "b"]).map(personal)
types = st.sampled_from([None, "vehicle"])
comments = st.integers(1, 3).map(uid)
creations = st.builds(
    CreateDocument,
    st.just(TENANT),
    st.just(Mode.LIVE),
    st.just(ID),
    st.sampled_from(DocumentKind),
    types,
    texts,
    texts,
    texts,
    st.just(OWNER),
    st.none() | files,
)
commands: st.SearchStrategy[LibraryCommand] = st.one_of(
    st.builds(StoreDocumentFile, st.just(ID), files),
    st.builds(ReviseDocument, st.just(ID), types, texts, texts),
    st.builds(CommentDocument, st.just(ID), comments, st.just(OWNER), st.just(personal("text"))),
    st.just(FinalizeDocument(ID)),
)


def fold(facts: list[LibraryFact]) -> LibraryDocument | None:
    state: LibraryDocument | None = None
    for fact in facts:
        state = evolve(state, fact, NOW)
    return state


class LibraryMachine(RuleBasedStateMachine):
    @initialize(creation=creations)
    def create(self, creation: CreateDocument) -> None:
        self.creation = creation
        self.facts: list[LibraryFact] = []
        self.try_out(creation)

    @rule(command=commands)
    def attempt(self, command: LibraryCommand) -> None:
        self.try_out(command)

    @rule()
    def create_again(self) -> None:
        assert decide(self.creation, fold(self.facts), NOW) == ()

    @rule(sure=st.integers(0, 9))
    def delete(self, sure: int) -> None:
        if sure == 7:
            self.try_out(DeleteDocument(ID))

    def try_out(self, command: LibraryCommand) -> None:
        try:
            facts = decide(command, fold(self.facts), NOW)
        except Refusal as refusal:
            event(refusal.code)
            return
        self.facts += facts
        if not isinstance(command, DeleteDocument):
            assert decide(command, fold(self.facts), NOW) == (), "done once is done"

    @invariant()
    def a_final_document_has_a_file_and_whatever_else_its_kind_asks_for(self) -> None:
        state = fold(self.facts)
        assert state is not None
        said = any(isinstance(fact, DocumentFinalized) for fact in self.facts)
        files = [fact.file for fact in self.facts if isinstance(fact, DocumentFileStored)]
        try:
            assert [final_file(state, ID)] == files
            assert not state.deleted
            assert said is (state.kind is DocumentKind.CHATTEL)
        except LibraryDocumentNotFound:
            assert state.deleted
        except DocumentNotFinal:
            assert not files or (state.kind is DocumentKind.CHATTEL and not said)

    @invariant()
    def the_deletion_is_the_last_fact(self) -> None:
        assert not any(isinstance(fact, DocumentDeleted) for fact in self.facts[:-1])

    @invariant()
    def the_history_could_be_decided_again(self) -> None:
        assert decidable(self.facts)


TestLibrary = LibraryMachine.TestCase


def command_of(fact: LibraryFact) -> LibraryCommand:
    match fact:
        case DocumentCreated():
            return CreateDocument(
                fact.tenant, fact.mode, ID, fact.kind, fact.type, fact.title, fact.description, fact.details, fact.owner
            )
        case DocumentFileStored():
            return StoreDocumentFile(ID, fact.file)
        case DocumentRevised():
            return ReviseDocument(ID, fact.type, fact.title, fact.description)
        case DocumentCommented():
            return CommentDocument(ID, fact.comment, fact.author, fact.text)
        case DocumentFinalized():
            return FinalizeDocument(ID)
        case DocumentDeleted():
            return DeleteDocument(ID)


def decidable(facts: list[LibraryFact]) -> bool:
    """Whether the decider would write these facts again, each from the command that it tells of."""
    state: LibraryDocument | None = None
    for fact in facts:
        try:
            if decide(command_of(fact), state, NOW) != (fact,):
                return False
        except Refusal:
            return False
        state = evolve(state, fact, NOW)
    return True


def foldable(facts: list[LibraryFact]) -> bool:
    try:
        fold(facts)
    except ImpossibleHistory:
        return False
    return True


@st.composite
def histories(draw: st.DrawFn) -> list[LibraryFact]:
    facts: list[LibraryFact] = list(decide(draw(creations), None, NOW))
    for command in draw(st.lists(commands, min_size=3, max_size=12)) + draw(st.sampled_from([[], [DeleteDocument(ID)]])):
        try:
            facts += decide(command, fold(facts), NOW)
        except Refusal:
            continue
    return facts


@settings(max_examples=4 * settings().max_examples)
@given(histories(), st.data())
def test_a_tampered_history_folds_only_if_it_could_have_been_decided(facts: list[LibraryFact], data: st.DataObject) -> None:
    index, to = (data.draw(st.integers(0, len(facts) - 1)) for _ in range(2))
    exchanged = list(facts)
    exchanged[index], exchanged[to] = facts[to], facts[index]
    changes: dict[str, list[LibraryFact]] = {
        "lost": facts[:index] + facts[index + 1 :],
        "repeated": [*facts[:to], facts[index], *facts[to:]],
        "exchanged": exchanged,
        "deleted in between": [*facts[:index], DocumentDeleted(), *facts[index:]],
        "made final in between": [*facts[:index], DocumentFinalized(), *facts[index:]],
        "of another kind": [of_kind(facts[0], data), *facts[1:]],
    }
    how = data.draw(st.sampled_from(sorted(changes)))
    assume(changes[how])
    verdict = foldable(changes[how])
    event(f"{how}: {'unchanged' if changes[how] == facts else 'folds' if verdict else 'refused'}")
    assert verdict == decidable(changes[how])


def of_kind(fact: LibraryFact, data: st.DataObject) -> LibraryFact:
    assert isinstance(fact, DocumentCreated)
    return replace(fact, kind=data.draw(st.sampled_from(DocumentKind)))
