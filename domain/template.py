"""Templates: a versioned PDF with field placements."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final, assert_never
from uuid import UUID

from domain.actor import Mode
from domain.errors import (
    DuplicateField,
    FieldOutsideDocument,
    ImpossibleHistory,
    LastTemplateVersion,
    TemplateFileAlreadyStored,
    TemplateNotFound,
    TemplateVersionNotFound,
    TooManyFields,
)
from domain.ids import is_sha256
from domain.personal import Personal

#: Fields of one version; what a page's own form tools can still show.
MAX_FIELDS: Final = 200


class FieldType(StrEnum):
    """What a participant puts into a field."""

    SIGNATURE = "SIGNATURE"
    INITIALS = "INITIALS"
    TEXT = "TEXT"
    DATE = "DATE"
    CHECKBOX = "CHECKBOX"
    NAME = "NAME"
    EMAIL = "EMAIL"


@dataclass(frozen=True, slots=True)
class Field:
    """Where a participant signs or fills in.

    Positions are thousandths of a PDF point from the top left of the displayed page to the box's top
    left; pages count from 1. What the client left open is None.
    """

    name: str
    type: FieldType
    page: int | None = None
    x_millipoints: int | None = None
    y_millipoints: int | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A PDF in the blob store, by its SHA-256 (64 hex digits)."""

    sha256: str
    size_bytes: int
    pages: int


# Facts


@dataclass(frozen=True, slots=True)
class TemplateCreated:
    TYPE: ClassVar[str] = "template.created/1"
    tenant: UUID
    mode: Mode
    name: Personal
    description: Personal | None


@dataclass(frozen=True, slots=True)
class VersionAdded:
    TYPE: ClassVar[str] = "template.version-added/1"
    version: int
    name: Personal
    description: Personal | None


@dataclass(frozen=True, slots=True)
class FileStored:
    TYPE: ClassVar[str] = "template.file-stored/1"
    version: int
    file: StoredFile


@dataclass(frozen=True, slots=True)
class FieldsDefined:
    TYPE: ClassVar[str] = "template.fields-defined/1"
    version: int
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class VersionDeleted:
    TYPE: ClassVar[str] = "template.version-deleted/1"
    version: int


@dataclass(frozen=True, slots=True)
class TemplateDeleted:
    TYPE: ClassVar[str] = "template.deleted/1"


TemplateFact = TemplateCreated | VersionAdded | FileStored | FieldsDefined | VersionDeleted | TemplateDeleted

# Commands


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
    template: UUID
    version: int
    file: StoredFile


@dataclass(frozen=True, slots=True)
class DefineFields:
    """Replaces the fields of the current version."""

    template: UUID
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class DeleteVersion:
    template: UUID
    version: int


@dataclass(frozen=True, slots=True)
class DeleteTemplate:
    template: UUID


TemplateCommand = CreateTemplate | AddVersion | StoreFile | DefineFields | DeleteVersion | DeleteTemplate

# State


@dataclass(frozen=True, slots=True)
class Version:
    """One version that has not been deleted."""

    file: StoredFile | None = None
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A template as its facts have left it. `latest` is the highest number ever given."""

    tenant: UUID
    mode: Mode
    latest: int
    versions: Mapping[int, Version]
    deleted: bool = False

    @property
    def current(self) -> int:
        """The highest version that has not been deleted."""
        return max(self.versions)


def decide(command: TemplateCommand, state: Template | None, now: datetime) -> tuple[TemplateFact, ...]:
    """The facts that follow from `command`; raises a Refusal. `state` is None before the first fact."""
    if isinstance(command, CreateTemplate):
        if state is not None:
            return ()
        return (TemplateCreated(command.tenant, command.mode, command.name, command.description),)
    if state is None or state.deleted:
        raise TemplateNotFound(command.template)
    match command:
        case AddVersion():
            return (VersionAdded(state.latest + 1, command.name, command.description),)
        case StoreFile():
            return _store_file(command, state)
        case DefineFields():
            return _define_fields(command, state)
        case DeleteVersion():
            _version(state, command.version)
            if len(state.versions) == 1:
                raise LastTemplateVersion(command.version)
            return (VersionDeleted(command.version),)
        case DeleteTemplate():
            return (TemplateDeleted(),)
        case _ as unreachable:
            assert_never(unreachable)


def _version(state: Template, version: int) -> Version:
    if version not in state.versions:
        raise TemplateVersionNotFound(version)
    return state.versions[version]


def _store_file(command: StoreFile, state: Template) -> tuple[TemplateFact, ...]:
    version = _version(state, command.version)
    if version.file is None:
        _fit_pages(version.fields, command.file)
        return (FileStored(command.version, command.file),)
    if version.file.sha256 == command.file.sha256:
        return ()
    raise TemplateFileAlreadyStored(command.version)


def _define_fields(command: DefineFields, state: Template) -> tuple[TemplateFact, ...]:
    if len(command.fields) > MAX_FIELDS:
        raise TooManyFields(len(command.fields), MAX_FIELDS)
    names: set[str] = set()
    for field in command.fields:
        if field.name in names:
            raise DuplicateField(field.name)
        names.add(field.name)
    version = state.versions[state.current]
    _fit_pages(command.fields, version.file)
    if command.fields == version.fields:
        return ()
    return (FieldsDefined(state.current, command.fields),)


def _fit_pages(fields: tuple[Field, ...], file: StoredFile | None) -> None:
    for field in fields:
        if field.page is not None and not _on_a_page(field.page, file):
            raise FieldOutsideDocument(field.name, field.page, 0 if file is None else file.pages)


def _on_a_page(page: int, file: StoredFile | None) -> bool:
    return page >= 1 and (file is None or page <= file.pages)


def evolve(state: Template | None, fact: TemplateFact, at: datetime) -> Template:
    """The state after `fact`; raises ImpossibleHistory if it could not have been decided in `state`."""
    if isinstance(fact, TemplateCreated):
        if state is not None:
            raise ImpossibleHistory("a template is created twice")
        return Template(fact.tenant, fact.mode, 1, MappingProxyType({1: Version()}))
    if state is None:
        raise ImpossibleHistory(f"{fact.TYPE} before the template is created")
    if state.deleted:
        raise ImpossibleHistory(f"{fact.TYPE} after the template is deleted")
    match fact:
        case VersionAdded():
            if fact.version != state.latest + 1:
                raise ImpossibleHistory(f"version {fact.version} follows version {state.latest}")
            return _with_version(replace(state, latest=fact.version), fact.version, Version())
        case FileStored():
            version = _known(state, fact.version)
            if version.file is not None:
                raise ImpossibleHistory(f"version {fact.version} gets a second file")
            if not is_sha256(fact.file.sha256) or fact.file.size_bytes < 1 or fact.file.pages < 1:
                raise ImpossibleHistory(f"the file of version {fact.version} cannot be a PDF")
            _require_fit(version.fields, fact.file)
            return _with_version(state, fact.version, replace(version, file=fact.file))
        case FieldsDefined():
            if fact.version != state.current:
                raise ImpossibleHistory(f"fields are defined for version {fact.version}, which is not the current one")
            return _with_version(state, fact.version, _with_fields(state.versions[fact.version], fact.fields))
        case VersionDeleted():
            _known(state, fact.version)
            if len(state.versions) == 1:
                raise ImpossibleHistory("the only version of a template is deleted")
            rest = {number: version for number, version in state.versions.items() if number != fact.version}
            return replace(state, versions=MappingProxyType(rest))
        case TemplateDeleted():
            return replace(state, deleted=True)
        case _ as unreachable:
            assert_never(unreachable)


def _known(state: Template, version: int) -> Version:
    if version not in state.versions:
        raise ImpossibleHistory(f"version {version} does not exist")
    return state.versions[version]


def _with_fields(version: Version, fields: tuple[Field, ...]) -> Version:
    if fields == version.fields:
        raise ImpossibleHistory("the same fields are defined again")
    if len(fields) > MAX_FIELDS or len({field.name for field in fields}) != len(fields):
        raise ImpossibleHistory("too many fields, or two of one name")
    _require_fit(fields, version.file)
    return replace(version, fields=fields)


def _require_fit(fields: tuple[Field, ...], file: StoredFile | None) -> None:
    if not all(field.page is None or _on_a_page(field.page, file) for field in fields):
        raise ImpossibleHistory("a field is on a page that the document does not have")


def _with_version(state: Template, number: int, version: Version) -> Template:
    return replace(state, versions=MappingProxyType({**state.versions, number: version}))
