"""What may be done with a template, and which facts follow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

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
from domain.personal import Personal
from domain.placement import MAX_MILLIPOINTS, PageSize
from domain.template.facts import (
    MAX_FIELDS,
    Field,
    FieldsDefined,
    FileStored,
    StoredFile,
    TemplateActivated,
    TemplateCreated,
    TemplateDeactivated,
    TemplateDeleted,
    TemplateFact,
    TemplateLocated,
    TemplateRenamed,
    VersionAdded,
    VersionDeleted,
)
from domain.template.state import Template, Version, has_extent, on_a_page


@dataclass(frozen=True, slots=True)
class CreateTemplate:
    tenant: UUID
    mode: Mode
    template: UUID
    name: Personal
    description: Personal | None


@dataclass(frozen=True, slots=True)
class AddVersion:
    template: UUID
    name: Personal
    description: Personal | None


@dataclass(frozen=True, slots=True)
class StoreFile:
    """Stores the version's PDF, with the `sizes` of its pages unless fields are not to be held against them."""

    template: UUID
    version: int
    file: StoredFile
    sizes: tuple[PageSize, ...] | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What a caller saw of a template: its current version, and the PDF there with its pages' sizes, None and none without one."""

    version: int
    sha256: str | None
    sizes: tuple[PageSize, ...]


@dataclass(frozen=True, slots=True)
class DefineFields:
    """Replaces the fields of the current version.

    With `looked`, what the fields were placed by, they have to lie on those pages; a version or a PDF that came meanwhile
    is a Conflict.
    """

    template: UUID
    fields: tuple[Field, ...]
    looked: Looked | None = None


@dataclass(frozen=True, slots=True)
class DeleteVersion:
    template: UUID
    version: int


@dataclass(frozen=True, slots=True)
class DeleteTemplate:
    template: UUID


@dataclass(frozen=True, slots=True)
class DuplicateTemplate:
    """A new template, `template`, with what the caller read of another's current version."""

    tenant: UUID
    mode: Mode
    template: UUID
    name: Personal
    description: Personal | None
    file: StoredFile | None
    fields: tuple[Field, ...]
    location: UUID | None


@dataclass(frozen=True, slots=True)
class ReviseTemplate:
    """Changes what is given and leaves the rest: the current version's name, the location, whether it is active."""

    template: UUID
    name: Personal | None = None
    location: UUID | None = None
    active: bool | None = None


TemplateCommand = (
    CreateTemplate | AddVersion | StoreFile | DefineFields | DeleteVersion | DeleteTemplate | DuplicateTemplate | ReviseTemplate
)


def decide(command: TemplateCommand, state: Template | None, now: datetime) -> tuple[TemplateFact, ...]:
    """The facts that follow from `command`; raises a Refusal. `state` is None before the first fact."""
    if isinstance(command, CreateTemplate):
        if state is not None:
            return ()
        return (TemplateCreated(command.tenant, command.mode, command.name, command.description),)
    if isinstance(command, DuplicateTemplate):
        return _duplicate(command) if state is None else ()
    if state is None or state.deleted:
        raise TemplateNotFound(command.template)
    match command:
        case AddVersion():
            return (VersionAdded(state.latest + 1, command.name, command.description),)
        case StoreFile():
            return _store_file(command, state)
        case DefineFields():
            return _define(command, state)
        case DeleteVersion():
            _version(state, command.version)
            if len(state.versions) == 1:
                raise LastTemplateVersion(command.version)
            return (VersionDeleted(command.version),)
        case DeleteTemplate():
            return (TemplateDeleted(),)
        case ReviseTemplate():
            return _revise(command, state)
        case _ as unreachable:
            assert_never(unreachable)


def _duplicate(command: DuplicateTemplate) -> tuple[TemplateFact, ...]:
    created = TemplateCreated(command.tenant, command.mode, command.name, command.description)
    stored = () if command.file is None else (FileStored(1, command.file),)
    located = () if command.location is None else (TemplateLocated(command.location),)
    version = Version(command.file)
    return (created, *stored, *_fields_for(1, version, command.fields), *located)


def _revise(command: ReviseTemplate, state: Template) -> tuple[TemplateFact, ...]:
    facts: list[TemplateFact] = []
    if command.name is not None:
        facts.append(TemplateRenamed(state.current, command.name))
    if command.location not in (None, state.location):
        facts.append(TemplateLocated(command.location))
    if command.active not in (None, state.active):
        facts.append(TemplateActivated() if command.active else TemplateDeactivated())
    return tuple(facts)


def usable_file(state: Template | None, template: UUID) -> StoredFile:
    """The PDF of the current version, for something new; raises TemplateNotFound, TemplateInactive, TemplateFileMissing.

    That it is of the caller's tenant and mode is for the caller to check, and whether being inactive matters: not on
    every surface can a template be made inactive.
    """
    if state is None or state.deleted:
        raise TemplateNotFound(template)
    if not state.active:
        raise TemplateInactive(template)
    file = state.versions[state.current].file
    if file is None:
        raise TemplateFileMissing(state.current)
    return file


def _version(state: Template, version: int) -> Version:
    if version not in state.versions:
        raise TemplateVersionNotFound(version)
    return state.versions[version]


def _store_file(command: StoreFile, state: Template) -> tuple[TemplateFact, ...]:
    version = _version(state, command.version)
    if version.file is None:
        _fit_pages(version.fields, command.file)
        refuse_outside(version.fields, command.sizes or ())
        return (FileStored(command.version, command.file),)
    if version.file.sha256 == command.file.sha256:
        return ()
    raise TemplateFileAlreadyStored(command.version)


def _define(command: DefineFields, state: Template) -> tuple[TemplateFact, ...]:
    number, version, looked = state.current, state.versions[state.current], command.looked
    if looked is not None and (looked.version, looked.sha256) != (number, None if version.file is None else version.file.sha256):
        raise Conflict
    refuse_outside(command.fields, () if looked is None else looked.sizes)
    return _fields_for(number, version, command.fields)


def refuse_outside(fields: Iterable[Field], sizes: Sequence[PageSize]) -> None:
    """Raises FieldLeavesPage for a field that stands on one of these pages and not within it."""
    for field in fields:
        box = field.box
        if box is not None and field.page is not None and 1 <= field.page <= len(sizes) and not box.on(sizes[field.page - 1]):
            raise FieldLeavesPage(field.name, field.page)


def _fields_for(number: int, version: Version, fields: tuple[Field, ...]) -> tuple[TemplateFact, ...]:
    if len(fields) > MAX_FIELDS:
        raise TooManyFields(len(fields), MAX_FIELDS)
    names: set[str] = set()
    for field in fields:
        if field.name in names:
            raise DuplicateField(field.name)
        names.add(field.name)
    _fit_pages(fields, version.file)
    for field in fields:
        if not has_extent(field):
            raise FieldMisplaced(field.name, MAX_MILLIPOINTS)
    if fields == version.fields:
        return ()
    return (FieldsDefined(number, fields),)


def _fit_pages(fields: tuple[Field, ...], file: StoredFile | None) -> None:
    for field in fields:
        if field.page is not None and not on_a_page(field.page, file):
            raise FieldOutsideDocument(field.name, field.page, 0 if file is None else file.pages)
