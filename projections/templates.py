"""Templates as they stand, and their versions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict
from uuid import UUID

from domain.actor import Mode
from domain.template import (
    Field,
    FieldsDefined,
    FieldType,
    FileStored,
    StoredFile,
    TemplateActivated,
    TemplateCreated,
    TemplateDeactivated,
    TemplateDeleted,
    TemplateLocated,
    TemplateRenamed,
    VersionAdded,
    VersionDeleted,
)
from infrastructure.reading import AsyncConnection
from infrastructure.vault import Reference
from projections.projection import Item, Projection, ProjectionError
from projections.store import Store, Table

#: Rows of a list that is not paged.
MOST_LISTED: Final = 500

#: `versions` are the numbers that have not been deleted; `entry` is the version, in the template's
#: stream, of the entry that holds the commitments to a version's name and description; `name_entry` is
#: another one after the version was renamed.
_DDL: Final = """
CREATE TABLE templates (
    id               uuid        PRIMARY KEY,
    tenant           uuid        NOT NULL,
    mode             text        NOT NULL,
    deleted          boolean     NOT NULL,
    current_version  integer     NOT NULL,
    versions         integer[]   NOT NULL,
    created_at       timestamptz NOT NULL,
    created_position bigint      NOT NULL,
    updated_at       timestamptz NOT NULL,
    location         uuid,
    active           boolean     NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE template_versions (
    template   uuid        NOT NULL,
    version    integer     NOT NULL,
    deleted    boolean     NOT NULL,
    entry      bigint      NOT NULL,
    name_entry bigint      NOT NULL,
    described  boolean     NOT NULL,
    sha256     text,
    size_bytes bigint,
    pages      integer,
    normalised_sha256 text,
    fields     jsonb       NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (template, version)
) WITH (fillfactor = 80);
"""

_INDEXES: Final = """
CREATE INDEX templates_in_order ON templates (tenant, mode, created_position) WHERE NOT deleted;
CREATE INDEX templates_by_location ON templates (location, created_position) WHERE NOT deleted AND location IS NOT NULL;
"""


class _Template(TypedDict):
    id: str
    tenant: str
    mode: str
    deleted: bool
    current_version: int
    versions: list[int]
    created_at: str
    created_position: int
    updated_at: str
    location: str | None
    active: bool


class _Version(TypedDict):
    template: str
    version: int
    deleted: bool
    entry: int
    name_entry: int
    described: bool
    sha256: str | None
    size_bytes: int | None
    pages: int | None
    normalised_sha256: str | None
    fields: list[Mapping[str, Any]]
    created_at: str
    updated_at: str


_TEMPLATES: Final = Table[_Template]("templates", ["id"], _Template.__annotations__)
_VERSIONS: Final = Table[_Version]("template_versions", ["template", "version"], _Version.__annotations__)


class _Rows:
    """The rows that a batch concerns; only those that it changed are written."""

    def __init__(self, store: Store, items: Sequence[Item]) -> None:
        created = {item.stream for item in items if item.type == TemplateCreated.TYPE}
        before = {item.stream for item in items} - created
        self.templates = {row["id"]: row for row in store.load(_TEMPLATES, before)}
        self.versions = {(row["template"], row["version"]): row for row in store.load(_VERSIONS, before)}
        self._changed: set[tuple[str, int]] = set()

    def template(self, item: Item) -> _Template:
        if item.stream not in self.templates:
            raise ProjectionError(f"{item.type} in stream {item.stream}, whose template was never created")
        return self.templates[item.stream]

    def add_version(self, number: int, item: Item) -> None:
        self.versions[item.stream, number] = {
            "template": item.stream,
            "version": number,
            "deleted": False,
            "entry": item.version,
            "name_entry": item.version,
            "described": "/description" in item.personal,
            "sha256": None,
            "size_bytes": None,
            "pages": None,
            "normalised_sha256": None,
            "fields": [],
            "created_at": item.at,
            "updated_at": item.at,
        }
        self._changed.add((item.stream, number))

    def version(self, item: Item) -> _Version:
        self.template(item)
        key = (item.stream, item.data["version"])
        if key not in self.versions:
            raise ProjectionError(f"{item.type} of version {key[1]} of template {item.stream}, which was never added")
        self._changed.add(key)
        self.versions[key]["updated_at"] = item.at
        return self.versions[key]

    def save(self, store: Store) -> None:
        store.save(_TEMPLATES, self.templates.values())
        store.save(_VERSIONS, (self.versions[key] for key in sorted(self._changed)))


def _created(rows: _Rows, item: Item) -> None:
    rows.templates[item.stream] = {
        "id": item.stream,
        "tenant": item.data["tenant"],
        "mode": item.data["mode"],
        "deleted": False,
        "current_version": 1,
        "versions": [1],
        "created_at": item.at,
        "created_position": item.position,
        "updated_at": item.at,
        "location": None,
        "active": True,
    }
    rows.add_version(1, item)


def _version_added(rows: _Rows, item: Item) -> None:
    template, number = rows.template(item), item.data["version"]
    template["versions"].append(number)
    template["current_version"] = number
    rows.add_version(number, item)


def _file_stored(rows: _Rows, item: Item) -> None:
    version, file = rows.version(item), item.data["file"]
    version["sha256"], version["size_bytes"], version["pages"] = file["sha256"], file["size_bytes"], file["pages"]
    version["normalised_sha256"] = file.get("normalised_sha256")


def _fields_defined(rows: _Rows, item: Item) -> None:
    rows.version(item)["fields"] = item.data["fields"]


def _version_deleted(rows: _Rows, item: Item) -> None:
    rows.version(item)["deleted"] = True
    template = rows.template(item)
    template["versions"].remove(item.data["version"])
    template["current_version"] = max(template["versions"])


def _deleted(rows: _Rows, item: Item) -> None:
    rows.template(item)["deleted"] = True


def _renamed(rows: _Rows, item: Item) -> None:
    rows.version(item)["name_entry"] = item.version


def _located(rows: _Rows, item: Item) -> None:
    rows.template(item)["location"] = item.data["location"]


def _activated(rows: _Rows, item: Item) -> None:
    rows.template(item)["active"] = True


def _deactivated(rows: _Rows, item: Item) -> None:
    rows.template(item)["active"] = False


_HANDLERS: Final = {
    TemplateCreated.TYPE: _created,
    VersionAdded.TYPE: _version_added,
    FileStored.TYPE: _file_stored,
    FieldsDefined.TYPE: _fields_defined,
    VersionDeleted.TYPE: _version_deleted,
    TemplateDeleted.TYPE: _deleted,
    TemplateRenamed.TYPE: _renamed,
    TemplateLocated.TYPE: _located,
    TemplateActivated.TYPE: _activated,
    TemplateDeactivated.TYPE: _deactivated,
}


def _fold(store: Store, items: Sequence[Item]) -> None:
    rows = _Rows(store, items)
    for item in items:
        _HANDLERS[item.type](rows, item)
        rows.template(item)["updated_at"] = item.at
    rows.save(store)


TEMPLATES: Final = Projection(
    name="templates",
    number=1,
    tables=("templates", "template_versions"),
    ddl=_DDL,
    indexes=_INDEXES,
    kinds=frozenset(("template",)),
    handles=frozenset(_HANDLERS),
    skips=frozenset(),
    fold=_fold,
)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of a template, with what is the same for all its versions.

    `created_position` is the log position of the fact that created the template. `created_at` and
    `updated_at` are the version's own, `template_created_at` and `template_updated_at` the template's.
    `file` is None until a PDF has been uploaded. `location` is None until the template is given one; `active`
    says whether new packages may be made from it where that matters.
    """

    template: UUID
    name: Reference
    description: Reference | None
    file: StoredFile | None
    fields: tuple[Field, ...]
    version: int
    current: bool
    created_position: int
    template_created_at: datetime
    template_updated_at: datetime
    created_at: datetime
    updated_at: datetime
    location: UUID | None
    active: bool


_SELECT: Final = """
    SELECT t.id, v.name_entry, v.entry, v.described, v.sha256, v.size_bytes, v.pages, v.normalised_sha256, v.fields,
        v.version, v.version = t.current_version, t.created_position, t.created_at, t.updated_at, v.created_at, v.updated_at,
        t.location, t.active
    FROM read.templates AS t JOIN read.template_versions AS v ON v.template = t.id
    WHERE NOT t.deleted AND NOT v.deleted AND t.tenant = %(tenant)s AND t.mode = %(mode)s"""


def _row(columns: Sequence[Any]) -> VersionRow:
    template, name_entry, entry, described, sha256, size_bytes, pages, normalised, fields, *own = columns
    return VersionRow(
        template,
        Reference(template, name_entry, "/name"),
        Reference(template, entry, "/description") if described else None,
        None if sha256 is None else StoredFile(sha256, size_bytes, pages, normalised),
        tuple(Field(**{**it, "type": FieldType(it["type"])}) for it in fields),
        *own,
    )


async def get(conn: AsyncConnection, tenant: UUID, mode: Mode, template: UUID, version: int | None = None) -> VersionRow | None:
    """A version of the template, the current one unless a number is given.

    None if the tenant has no such template in this mode, or if it or the version was deleted.
    """
    wanted = "v.version = t.current_version" if version is None else "v.version = %(version)s"
    found = await conn.execute(
        f"{_SELECT} AND t.id = %(template)s AND {wanted}".encode(),
        {"tenant": tenant, "mode": mode, "template": template, "version": version},
    )
    columns = await found.fetchone()
    return None if columns is None else _row(columns)


async def history(conn: AsyncConnection, tenant: UUID, mode: Mode, template: UUID) -> tuple[VersionRow, ...]:
    """The template's versions that have not been deleted, oldest first; empty if there is no such template."""
    found = await conn.execute(
        f"{_SELECT} AND t.id = %(template)s ORDER BY v.version".encode(), {"tenant": tenant, "mode": mode, "template": template}
    )
    return tuple(_row(columns) for columns in await found.fetchall())


async def page(
    conn: AsyncConnection, tenant: UUID, mode: Mode, limit: int, *, after: int | None = None, descending: bool = False
) -> tuple[VersionRow, ...]:
    """The current versions of up to `limit` templates in the order of the templates' creation.

    `after` is the `created_position` of the last one seen. With `descending` the newest come first.
    """
    query = (
        f"{_SELECT} AND v.version = t.current_version"
        f" AND (%(after)s::bigint IS NULL OR t.created_position {'<' if descending else '>'} %(after)s)"
        f" ORDER BY t.created_position {'DESC' if descending else 'ASC'} LIMIT %(limit)s"
    )
    found = await conn.execute(query.encode(), {"tenant": tenant, "mode": mode, "after": after, "limit": limit})
    return tuple(_row(columns) for columns in await found.fetchall())


async def by_number(conn: AsyncConnection, tenant: UUID, mode: Mode, number: int) -> VersionRow | None:
    """The current version of the template whose `created_position` is `number`; None as `get`."""
    found = await conn.execute(
        f"{_SELECT} AND v.version = t.current_version AND t.created_position = %(number)s".encode(),
        {"tenant": tenant, "mode": mode, "number": number},
    )
    columns = await found.fetchone()
    return None if columns is None else _row(columns)


async def located(
    conn: AsyncConnection,
    tenant: UUID,
    mode: Mode,
    locations: Collection[UUID] | None,
    *,
    shared: bool = True,
    limit: int = MOST_LISTED,
) -> tuple[VersionRow, ...]:
    """The current versions of the first `limit` templates of these locations, in the order of the templates' creation.

    None stands for all locations. Templates without one are every location's, and left out where `shared` is false. Inactive ones
    are listed.
    """
    where = "" if locations is None else " AND (t.location = ANY(%(locations)s) OR t.location IS NULL AND %(shared)s)"
    found = await conn.execute(
        f"{_SELECT} AND v.version = t.current_version{where} ORDER BY t.created_position LIMIT %(limit)s".encode(),
        {
            "tenant": tenant,
            "mode": mode,
            "locations": None if locations is None else list(locations),
            "shared": shared,
            "limit": limit,
        },
    )
    return tuple(_row(columns) for columns in await found.fetchall())
