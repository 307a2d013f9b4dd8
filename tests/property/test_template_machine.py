"""Templates under commands that are allowed and commands that are not, and their tampered histories."""

from dataclasses import replace

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.actor import Mode
from domain.errors import ImpossibleHistory, Refusal
from domain.template import (
    AddVersion,
    CreateTemplate,
    DefineFields,
    DeleteTemplate,
    DeleteVersion,
    DuplicateTemplate,
    Field,
    FieldsDefined,
    FieldType,
    FileStored,
    ReviseTemplate,
    StoredFile,
    StoreFile,
    Template,
    TemplateActivated,
    TemplateCommand,
    TemplateCreated,
    TemplateDeactivated,
    TemplateDeleted,
    TemplateFact,
    TemplateLocated,
    TemplateRenamed,
    VersionAdded,
    VersionDeleted,
    decide,
    evolve,
)
from tests.given import NOW, TENANT, digest, personal, uid

ID = uid(7)
NAME = personal("Lease")
CREATE = CreateTemplate(TENANT, Mode.LIVE, ID, NAME, None)

files = st.builds(
    lambda pages: StoredFile(digest(f"file of {pages} pages"), 1_000 * pages, pages),
    st.integers(1, 3),
)
fields = st.lists(
    st.builds(Field, st.sampled_from("abc"), st.just(FieldType.TEXT), st.sampled_from([None, 0, 1, 2, 3])), max_size=3
).map(tuple)
versions = st.integers(1, 4)
locations = st.sampled_from([uid(70), uid(71)])
revisions = st.builds(
    ReviseTemplate, st.just(ID), st.sampled_from([None, NAME]), st.none() | locations, st.sampled_from([None, True, False])
)
commands: st.SearchStrategy[TemplateCommand] = st.one_of(
    st.just(AddVersion(ID, NAME, None)),
    st.builds(StoreFile, st.just(ID), versions, files),
    st.builds(DefineFields, st.just(ID), fields),
    st.builds(DeleteVersion, st.just(ID), versions),
    revisions,
)
duplicates = st.builds(
    DuplicateTemplate, *map(st.just, (TENANT, Mode.LIVE, ID, NAME, None)), st.none() | files, fields, st.none() | locations
)


def fold(facts: list[TemplateFact]) -> Template | None:
    state: Template | None = None
    for fact in facts:
        state = evolve(state, fact, NOW)
    return state


class TemplateMachine(RuleBasedStateMachine):
    @initialize(duplicate=duplicates)
    def create(self, duplicate: DuplicateTemplate) -> None:
        self.facts: list[TemplateFact] = []
        self.try_out(duplicate)
        self.try_out(CREATE)

    @rule(command=commands)
    def attempt(self, command: TemplateCommand) -> None:
        self.try_out(command)

    @rule()
    def create_again(self) -> None:
        assert decide(CREATE, fold(self.facts), NOW) == ()

    @rule(sure=st.integers(0, 9))
    def delete(self, sure: int) -> None:
        if sure == 7:
            self.try_out(DeleteTemplate(ID))

    def try_out(self, command: TemplateCommand) -> None:
        state = fold(self.facts)
        try:
            facts = decide(command, state, NOW)
        except Refusal as refusal:
            event(refusal.code)
            return
        self.facts += facts
        after = fold(self.facts)
        # Done once is done: again adds nothing, is about the next version, or finds nothing left.
        if isinstance(command, StoreFile | DefineFields | DuplicateTemplate):
            assert decide(command, after, NOW) == ()
        if isinstance(command, ReviseTemplate):
            assert after is not None
            assert command.location in (None, after.location)
            assert command.active in (None, after.active)
            assert decide(replace(command, name=None), after, NOW) == ()

    @invariant()
    def versions_are_sound(self) -> None:
        state = fold(self.facts)
        assert state is not None
        assert state.versions
        assert max(state.versions) == state.current <= state.latest
        for version in state.versions.values():
            assert len({field.name for field in version.fields}) == len(version.fields)
            most = 3 if version.file is None else version.file.pages
            assert all(field.page is None or 1 <= field.page <= most for field in version.fields)

    @invariant()
    def the_deletion_is_the_last_fact(self) -> None:
        assert not any(isinstance(fact, TemplateDeleted) for fact in self.facts[:-1])

    @invariant()
    def the_history_could_be_decided_again(self) -> None:
        assert decidable(self.facts)


TestTemplate = TemplateMachine.TestCase


def command_of(fact: TemplateFact) -> TemplateCommand:
    match fact:
        case TemplateCreated():
            return CreateTemplate(fact.tenant, fact.mode, ID, fact.name, fact.description)
        case VersionAdded():
            return AddVersion(ID, fact.name, fact.description)
        case FileStored():
            return StoreFile(ID, fact.version, fact.file)
        case FieldsDefined():
            return DefineFields(ID, fact.fields)
        case VersionDeleted():
            return DeleteVersion(ID, fact.version)
        case TemplateDeleted():
            return DeleteTemplate(ID)
        case TemplateRenamed():
            return ReviseTemplate(ID, name=fact.name)
        case TemplateLocated():
            return ReviseTemplate(ID, location=fact.location)
        case TemplateActivated() | TemplateDeactivated():
            return ReviseTemplate(ID, active=isinstance(fact, TemplateActivated))


def decidable(facts: list[TemplateFact]) -> bool:
    """Whether the decider would write these facts again, each from the command that it tells of."""
    state: Template | None = None
    for fact in facts:
        try:
            if decide(command_of(fact), state, NOW) != (fact,):
                return False
        except Refusal:
            return False
        state = evolve(state, fact, NOW)
    return True


def foldable(facts: list[TemplateFact]) -> bool:
    try:
        fold(facts)
    except ImpossibleHistory:
        return False
    return True


@st.composite
def histories(draw: st.DrawFn) -> list[TemplateFact]:
    try:
        facts: list[TemplateFact] = list(decide(draw(duplicates), None, NOW))
    except Refusal:
        facts = list(decide(CREATE, None, NOW))
    for command in draw(st.lists(commands, min_size=3, max_size=12)) + draw(st.sampled_from([[], [DeleteTemplate(ID)]])):
        try:
            facts += decide(command, fold(facts), NOW)
        except Refusal:
            continue
    return facts


@settings(max_examples=4 * settings().max_examples)
@given(histories(), st.data())
def test_a_tampered_history_folds_only_if_it_could_have_been_decided(facts: list[TemplateFact], data: st.DataObject) -> None:
    index, to = (data.draw(st.integers(0, len(facts) - 1)) for _ in range(2))
    exchanged = list(facts)
    exchanged[index], exchanged[to] = facts[to], facts[index]
    changes: dict[str, list[TemplateFact]] = {
        "lost": facts[:index] + facts[index + 1 :],
        "repeated": [*facts[:to], facts[index], *facts[to:]],
        "exchanged": exchanged,
        "deleted in between": [*facts[:index], TemplateDeleted(), *facts[index:]],
        "renumbered": [*facts[:index], renumbered(facts[index], data), *facts[index + 1 :]],
    }
    how = data.draw(st.sampled_from(sorted(changes)))
    assume(changes[how])
    verdict = foldable(changes[how])
    event(f"{how}: {'unchanged' if changes[how] == facts else 'folds' if verdict else 'refused'}")
    assert verdict == decidable(changes[how])


def renumbered(fact: TemplateFact, data: st.DataObject) -> TemplateFact:
    number = data.draw(versions)
    match fact:
        case VersionAdded():
            return VersionAdded(number, fact.name, fact.description)
        case FileStored():
            return FileStored(number, fact.file)
        case FieldsDefined():
            return FieldsDefined(number, fact.fields)
        case VersionDeleted():
            return VersionDeleted(number)
        case TemplateRenamed():
            return TemplateRenamed(number, fact.name)
        case _:
            return fact
