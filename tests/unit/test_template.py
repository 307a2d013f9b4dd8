"""Templates: every rule, given facts, when a command comes, then facts or a refusal."""

from dataclasses import replace

import pytest

from domain.actor import Mode
from domain.errors import (
    Conflict,
    DuplicateField,
    FieldLeavesPage,
    FieldMisplaced,
    FieldOutsideDocument,
    LastTemplateVersion,
    TemplateFileAlreadyStored,
    TemplateFileMissing,
    TemplateInactive,
    TemplateNotFound,
    TemplateVersionNotFound,
    TooManyFields,
)
from domain.placement import MAX_MILLIPOINTS, Box, PageSize
from domain.template import (
    MAX_FIELDS,
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
    Looked,
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
    usable_file,
)
from tests.given import TENANT, Given, digest, personal, uid

ID = uid(7)
NAME = personal("Lease")
CREATED = TemplateCreated(TENANT, Mode.LIVE, NAME, None)
FILE = StoredFile(digest("lease"), 4_000, 2)
OTHER = StoredFile(digest("another lease"), 4_100, 3)


def field(name: str, page: int | None = 1) -> Field:
    return Field(name, FieldType.SIGNATURE, page, 10_000, 20_000)


nothing: Given[TemplateCommand, Template, TemplateFact] = Given(decide, evolve)
template = nothing.given(CREATED)
two_versions = template.given(VersionAdded(2, NAME, None))
with_file = template.given(FileStored(1, FILE))
deleted = template.given(TemplateDeleted())
inactive = with_file.given(TemplateDeactivated())
HERE, THERE = uid(70), uid(71)
OTHER_NAME = personal("Sublease")


def test_a_template_begins_with_version_1() -> None:
    assert nothing.when(CreateTemplate(TENANT, Mode.LIVE, ID, NAME, None)) == (CREATED,)
    assert template.state is not None
    assert template.state.current == 1


def test_creating_a_template_again_adds_nothing() -> None:
    assert template.when(CreateTemplate(TENANT, Mode.LIVE, ID, NAME, None)) == ()


@pytest.mark.parametrize("start", [nothing, deleted])
@pytest.mark.parametrize(
    "command",
    [
        AddVersion(ID, NAME, None),
        StoreFile(ID, 1, FILE),
        DefineFields(ID, ()),
        DeleteVersion(ID, 1),
        DeleteTemplate(ID),
        ReviseTemplate(ID, active=True),
    ],
)
def test_a_template_that_is_not_there_refuses_everything(
    start: Given[TemplateCommand, Template, TemplateFact], command: TemplateCommand
) -> None:
    assert start.refuses(command, TemplateNotFound).template == ID


def test_versions_are_numbered_on_and_a_number_is_never_used_again() -> None:
    assert template.when(AddVersion(ID, NAME, None)) == (VersionAdded(2, NAME, None),)
    after = two_versions.given(VersionDeleted(2))
    assert after.when(AddVersion(ID, NAME, None)) == (VersionAdded(3, NAME, None),)
    assert after.state is not None
    assert after.state.current == 1


def test_a_version_takes_one_file() -> None:
    assert template.when(StoreFile(ID, 1, FILE)) == (FileStored(1, FILE),)
    assert with_file.when(StoreFile(ID, 1, FILE)) == ()
    assert with_file.refuses(StoreFile(ID, 1, OTHER), TemplateFileAlreadyStored).version == 1
    assert with_file.given(VersionAdded(2, NAME, None)).when(StoreFile(ID, 2, OTHER)) == (FileStored(2, OTHER),)


@pytest.mark.parametrize("command", [StoreFile(ID, 9, FILE), DeleteVersion(ID, 9)])
def test_an_unknown_version_is_not_found(command: TemplateCommand) -> None:
    assert template.refuses(command, TemplateVersionNotFound).version == 9


def test_fields_belong_to_the_current_version_and_replace_each_other() -> None:
    first, second = (field("a"),), (field("b"),)
    assert two_versions.when(DefineFields(ID, first)) == (FieldsDefined(2, first),)
    defined = two_versions.given(FieldsDefined(2, first))
    assert defined.when(DefineFields(ID, first)) == ()
    assert defined.when(DefineFields(ID, second)) == (FieldsDefined(2, second),)
    assert defined.when(DefineFields(ID, ())) == (FieldsDefined(2, ()),)


def test_two_fields_of_one_name_are_refused() -> None:
    assert template.refuses(DefineFields(ID, (field("a"), field("b"), field("a"))), DuplicateField).name == "a"


def test_a_field_must_be_on_a_page_of_the_file() -> None:
    assert with_file.when(DefineFields(ID, (field("a", 2), field("b", None)))) != ()
    refusal = with_file.refuses(DefineFields(ID, (field("a", 3),)), FieldOutsideDocument)
    assert (refusal.name, refusal.page, refusal.pages) == ("a", 3, 2)


def test_pages_count_from_1_even_while_there_is_no_file() -> None:
    assert template.refuses(DefineFields(ID, (field("a", 0),)), FieldOutsideDocument).pages == 0
    assert template.when(DefineFields(ID, (field("a", 999),))) != ()


@pytest.mark.parametrize(
    "given",
    [{"width_millipoints": 0}, {"height_millipoints": MAX_MILLIPOINTS + 1}, {"x_millipoints": -1}, {"participant": 0}],
    ids=["no width", "higher than a page can be", "left of the page", "nobody's place"],
)
def test_a_field_lies_where_a_page_can_be(given: dict[str, int]) -> None:
    wrong = replace(field("a"), **given)  # type: ignore[arg-type]
    assert template.refuses(DefineFields(ID, (wrong,)), FieldMisplaced).name == "a"
    template.cannot_be(FieldsDefined(1, (wrong,)))


def test_a_file_must_have_the_pages_that_fields_name() -> None:
    placed = template.given(FieldsDefined(1, (field("a", 3),)))
    assert placed.refuses(StoreFile(ID, 1, FILE), FieldOutsideDocument).pages == 2
    assert placed.when(StoreFile(ID, 1, OTHER)) == (FileStored(1, OTHER),)


def test_a_version_has_a_limited_number_of_fields() -> None:
    fields = tuple(field(f"f{it}") for it in range(MAX_FIELDS))
    assert template.when(DefineFields(ID, fields)) == (FieldsDefined(1, fields),)
    assert template.refuses(DefineFields(ID, (*fields, field("more"))), TooManyFields).most == MAX_FIELDS


def test_the_last_version_stays() -> None:
    assert two_versions.when(DeleteVersion(ID, 1)) == (VersionDeleted(1),)
    assert two_versions.given(VersionDeleted(1)).refuses(DeleteVersion(ID, 2), LastTemplateVersion).version == 2


def test_a_template_is_deleted_whole() -> None:
    assert two_versions.when(DeleteTemplate(ID)) == (TemplateDeleted(),)


def test_a_revision_changes_what_it_names_and_leaves_the_rest() -> None:
    assert two_versions.when(ReviseTemplate(ID)) == ()
    assert two_versions.when(ReviseTemplate(ID, name=OTHER_NAME)) == (TemplateRenamed(2, OTHER_NAME),)
    assert two_versions.when(ReviseTemplate(ID, location=HERE)) == (TemplateLocated(HERE),)
    assert two_versions.when(ReviseTemplate(ID, OTHER_NAME, HERE, active=False)) == (
        TemplateRenamed(2, OTHER_NAME),
        TemplateLocated(HERE),
        TemplateDeactivated(),
    )


def test_what_is_so_already_is_not_revised() -> None:
    located = template.given(TemplateLocated(HERE))
    assert located.when(ReviseTemplate(ID, location=HERE)) == ()
    assert located.when(ReviseTemplate(ID, location=THERE)) == (TemplateLocated(THERE),)
    assert template.when(ReviseTemplate(ID, active=True)) == ()
    assert inactive.when(ReviseTemplate(ID, active=False)) == ()
    assert inactive.when(ReviseTemplate(ID, active=True)) == (TemplateActivated(),)


def test_an_inactive_template_can_be_worked_on_but_not_used() -> None:
    assert inactive.when(AddVersion(ID, NAME, None)) == (VersionAdded(2, NAME, None),)
    with pytest.raises(TemplateInactive) as refused:
        usable_file(inactive.state, ID)
    assert refused.value.template == ID
    assert usable_file(inactive.given(TemplateActivated()).state, ID) == FILE


@pytest.mark.parametrize("start", [nothing, deleted])
def test_a_template_that_is_not_there_cannot_be_used(start: Given[TemplateCommand, Template, TemplateFact]) -> None:
    with pytest.raises(TemplateNotFound):
        usable_file(start.state, ID)


def test_a_template_is_used_with_the_file_of_its_current_version() -> None:
    newer = with_file.given(VersionAdded(2, NAME, None))
    with pytest.raises(TemplateFileMissing) as refused:
        usable_file(newer.state, ID)
    assert refused.value.version == 2
    assert usable_file(newer.given(FileStored(2, OTHER)).state, ID) == OTHER


def test_a_duplicate_begins_with_the_file_the_fields_and_the_location_of_the_other() -> None:
    whole = DuplicateTemplate(TENANT, Mode.LIVE, ID, NAME, None, FILE, (field("a"),), HERE)
    expected = (CREATED, FileStored(1, FILE), FieldsDefined(1, (field("a"),)), TemplateLocated(HERE))
    assert nothing.when(whole) == expected
    assert nothing.given(*expected).when(whole) == ()
    assert nothing.when(DuplicateTemplate(TENANT, Mode.LIVE, ID, NAME, None, None, (), None)) == (CREATED,)


def test_a_duplicate_obeys_the_rules_for_fields() -> None:
    command = DuplicateTemplate(TENANT, Mode.LIVE, ID, NAME, None, FILE, (field("a", 3),), None)
    assert nothing.refuses(command, FieldOutsideDocument).pages == 2


EVERY_LATER_FACT = (
    TemplateRenamed(1, NAME),
    TemplateLocated(HERE),
    TemplateDeactivated(),
    VersionAdded(2, NAME, None),
    FileStored(1, FILE),
    FieldsDefined(1, (field("a"),)),
    VersionDeleted(1),
    TemplateDeleted(),
)


@pytest.mark.parametrize("fact", EVERY_LATER_FACT, ids=lambda fact: fact.TYPE)
def test_no_fact_comes_before_the_creation(fact: TemplateFact) -> None:
    nothing.cannot_be(fact)


@pytest.mark.parametrize("fact", [CREATED, *EVERY_LATER_FACT], ids=lambda fact: fact.TYPE)
def test_no_fact_comes_after_the_deletion(fact: TemplateFact) -> None:
    deleted.cannot_be(fact)


IMPOSSIBLE: dict[str, tuple[Given[TemplateCommand, Template, TemplateFact], TemplateFact]] = {
    "created twice": (template, CREATED),
    "a version left out": (template, VersionAdded(3, NAME, None)),
    "a version number used again": (two_versions.given(VersionDeleted(2)), VersionAdded(2, NAME, None)),
    "a file for an unknown version": (template, FileStored(2, FILE)),
    "a second file": (with_file, FileStored(1, OTHER)),
    "a file whose hash is none": (template, FileStored(1, StoredFile("0" * 63, 10, 1))),
    "a file without bytes": (template, FileStored(1, StoredFile(FILE.sha256, 0, 1))),
    "a file without pages": (template, FileStored(1, StoredFile(FILE.sha256, 10, 0))),
    "a file shorter than its fields": (template.given(FieldsDefined(1, (field("a", 3),))), FileStored(1, FILE)),
    "fields for an old version": (two_versions, FieldsDefined(1, (field("a"),))),
    "fields of one name": (template, FieldsDefined(1, (field("a"), field("a")))),
    "a field on page 0": (template, FieldsDefined(1, (field("a", 0),))),
    "a field beyond the file": (with_file, FieldsDefined(1, (field("a", 3),))),
    "no change of fields": (template, FieldsDefined(1, ())),
    "too many fields": (template, FieldsDefined(1, tuple(field(f"f{it}") for it in range(MAX_FIELDS + 1)))),
    "the only version deleted": (template, VersionDeleted(1)),
    "an old version renamed": (two_versions, TemplateRenamed(1, NAME)),
    "an unknown version renamed": (template, TemplateRenamed(2, NAME)),
    "located where it is": (template.given(TemplateLocated(HERE)), TemplateLocated(HERE)),
    "made active while it is": (template, TemplateActivated()),
    "made inactive twice": (inactive, TemplateDeactivated()),
    "a version deleted twice": (two_versions.given(VersionDeleted(1)), VersionDeleted(1)),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_history_that_no_decision_leads_to_is_impossible(case: str) -> None:
    start, fact = IMPOSSIBLE[case]
    start.cannot_be(fact)


LETTER = (PageSize(612_000, 792_000), PageSize(792_000, 612_000))
LOOKED = Looked(1, FILE.sha256, LETTER)


def test_a_field_stands_where_all_of_its_place_was_given_in_the_usual_size_if_none_was() -> None:
    assert field("a").box == Box(10_000, 20_000, 200_000, 30_000)
    assert replace(field("a"), width_millipoints=7).box == Box(10_000, 20_000, 7, 30_000)
    assert replace(field("a"), page=None).box is None
    assert replace(field("a"), x_millipoints=None).box is None
    assert replace(field("a"), y_millipoints=None).box is None


def test_fields_lie_on_the_pages_that_they_were_placed_by() -> None:
    far = replace(field("far"), x_millipoints=412_001)
    refusal = with_file.refuses(DefineFields(ID, (far,), LOOKED), FieldLeavesPage)
    assert (refusal.name, refusal.page) == ("far", 1)
    for fits in (replace(far, x_millipoints=412_000), replace(far, page=2), replace(far, page=None)):
        assert with_file.when(DefineFields(ID, (fits,), LOOKED)) == (FieldsDefined(1, (fits,)),)


@pytest.mark.parametrize(
    "looked", [Looked(1, None, ()), Looked(1, OTHER.sha256, LETTER), Looked(2, FILE.sha256, LETTER)], ids=repr
)
def test_a_version_or_a_pdf_that_came_after_the_look_is_a_conflict(looked: Looked) -> None:
    with_file.refuses(DefineFields(ID, (field("a"),), looked), Conflict)


def test_a_pdf_needs_room_for_the_fields_that_wait_for_it() -> None:
    waiting = template.given(FieldsDefined(1, (replace(field("far"), x_millipoints=500_000),)))
    assert waiting.refuses(StoreFile(ID, 1, FILE, LETTER), FieldLeavesPage).name == "far"
    wide = (PageSize(700_000, 60_000),)
    assert waiting.when(StoreFile(ID, 1, FILE, wide)) == (FileStored(1, FILE),)
