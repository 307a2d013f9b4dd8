"""A template as its facts have left it, and what cannot have happened to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import assert_never
from uuid import UUID

from domain.actor import Mode
from domain.errors import ImpossibleHistory
from domain.placement import MAX_MILLIPOINTS
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
    location: UUID | None = None
    active: bool = True

    @property
    def current(self) -> int:
        """The highest version that has not been deleted."""
        return max(self.versions)


def has_extent(field: Field) -> bool:
    """Whether what is given of a place and a size lies where a page can be, and the participant's place counts from 1."""
    places, sizes = (field.x_millipoints, field.y_millipoints), (field.width_millipoints, field.height_millipoints)
    return (
        all(it is None or 0 <= it <= MAX_MILLIPOINTS for it in places)
        and all(it is None or 1 <= it <= MAX_MILLIPOINTS for it in sizes)
        and (field.participant is None or field.participant >= 1)
    )


def on_a_page(page: int, file: StoredFile | None) -> bool:
    """Whether `file`, while there is one, has this page; pages count from 1."""
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
            if not fact.file.possible:
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
        case TemplateRenamed():
            if fact.version != state.current:
                raise ImpossibleHistory(f"version {fact.version} is renamed, which is not the current one")
            return state
        case TemplateLocated():
            if fact.location == state.location:
                raise ImpossibleHistory("a template is located where it is")
            return replace(state, location=fact.location)
        case TemplateActivated() | TemplateDeactivated():
            return _switched(state, isinstance(fact, TemplateActivated))
        case _ as unreachable:
            assert_never(unreachable)


def _switched(state: Template, active: bool) -> Template:
    if active is state.active:
        raise ImpossibleHistory(f"a template is made {'active' if active else 'inactive'} again")
    return replace(state, active=active)


def _known(state: Template, version: int) -> Version:
    if version not in state.versions:
        raise ImpossibleHistory(f"version {version} does not exist")
    return state.versions[version]


def _with_fields(version: Version, fields: tuple[Field, ...]) -> Version:
    if fields == version.fields:
        raise ImpossibleHistory("the same fields are defined again")
    if len(fields) > MAX_FIELDS or len({field.name for field in fields}) != len(fields):
        raise ImpossibleHistory("too many fields, or two of one name")
    if not all(has_extent(field) for field in fields):
        raise ImpossibleHistory("a field without a size, or further away than a page is long")
    _require_fit(fields, version.file)
    return replace(version, fields=fields)


def _require_fit(fields: tuple[Field, ...], file: StoredFile | None) -> None:
    if not all(field.page is None or on_a_page(field.page, file) for field in fields):
        raise ImpossibleHistory("a field is on a page that the document does not have")


def _with_version(state: Template, number: int, version: Version) -> Template:
    return replace(state, versions=MappingProxyType({**state.versions, number: version}))
