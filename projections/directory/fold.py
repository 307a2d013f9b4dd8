"""The directory's tables, and how the facts of organizations fill them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from domain.directory import (
    AdminAppointed,
    AppointmentEnded,
    CompanyAdded,
    CompanyRenamed,
    FlowChanged,
    FlowDefined,
    LocationAdded,
    LocationRenamed,
    ManagerAppointed,
    MemberJoined,
    MemberLeft,
    MemberRoleChanged,
    OrganizationCreated,
    OrganizationRenamed,
    RoleDefined,
)
from projections.projection import Item, Projection, ProjectionError
from projections.store import Store, Table

#: `number` is the log position of the fact that made the row. A column that ends in `_entry`, and `entry` of
#: members, is the version, in the organization's stream, of the entry that holds the commitment to the value.
_DDL: Final = """
CREATE TABLE organizations (
    id         uuid        PRIMARY KEY,
    number     bigint      NOT NULL,
    tenant     uuid        NOT NULL,
    mode       text        NOT NULL,
    name_entry bigint      NOT NULL,
    slug_entry bigint,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE TABLE companies (
    id           uuid        NOT NULL,
    organization uuid        NOT NULL,
    number       bigint      NOT NULL,
    name_entry   bigint      NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (id, organization)
);
CREATE TABLE locations (
    id           uuid        NOT NULL,
    organization uuid        NOT NULL,
    number       bigint      NOT NULL,
    company      uuid,
    sort_order   bigint      NOT NULL,
    name_entry   bigint      NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (id, organization)
);
CREATE TABLE flows (
    id           uuid        NOT NULL,
    organization uuid        NOT NULL,
    number       bigint      NOT NULL,
    location     uuid        NOT NULL,
    name_entry   bigint      NOT NULL,
    steps_entry  bigint,
    active       boolean     NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (id, organization)
);
CREATE TABLE roles (
    slug         text        NOT NULL,
    organization uuid        NOT NULL,
    number       bigint      NOT NULL,
    permissions  text[]      NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (organization, slug)
);
CREATE TABLE members (
    id           uuid        NOT NULL,
    organization uuid        NOT NULL,
    number       bigint      NOT NULL,
    entry        bigint      NOT NULL,
    personal     text[]      NOT NULL,
    role         text        NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    left_at      timestamptz,
    PRIMARY KEY (id, organization)
);
CREATE TABLE appointments (
    id           uuid        NOT NULL,
    organization uuid        NOT NULL,
    number       bigint      NOT NULL,
    member       uuid        NOT NULL,
    tiers        jsonb,
    vault        text[]      NOT NULL,
    locations    uuid[],
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    PRIMARY KEY (id, organization)
);
"""

_INDEXES: Final = """
CREATE INDEX organizations_in_order ON organizations (tenant, mode, number);
CREATE INDEX companies_in_order ON companies (organization, number);
CREATE INDEX companies_by_number ON companies (number);
CREATE INDEX locations_in_order ON locations (organization, sort_order, number);
CREATE INDEX locations_by_number ON locations (number);
CREATE INDEX locations_by_company ON locations (company);
CREATE INDEX flows_in_order ON flows (organization, number);
CREATE INDEX flows_by_number ON flows (number);
CREATE INDEX flows_by_location ON flows (location, number);
CREATE INDEX members_by_entry ON members (organization, entry);
CREATE INDEX members_in_order ON members (organization, created_at, number) WHERE left_at IS NULL;
CREATE INDEX members_by_number ON members (number);
CREATE INDEX appointments_of_members ON appointments (organization, member, number) WHERE ended_at IS NULL;
"""

_Row = dict[str, Any]
_PART: Final = ("id", "organization", "number")
_TIMES: Final = ("created_at", "updated_at")

_ORGANIZATIONS: Final = Table[_Row](
    "organizations", ["id"], ["id", "number", "tenant", "mode", "name_entry", "slug_entry", *_TIMES]
)
_COMPANIES: Final = Table[_Row]("companies", ["id", "organization"], [*_PART, "name_entry", *_TIMES])
_LOCATIONS: Final = Table[_Row]("locations", ["id", "organization"], [*_PART, "company", "sort_order", "name_entry", *_TIMES])
_FLOWS: Final = Table[_Row]("flows", ["id", "organization"], [*_PART, "location", "name_entry", "steps_entry", "active", *_TIMES])
_ROLES: Final = Table[_Row]("roles", ["organization", "slug"], ["slug", "organization", "number", "permissions", *_TIMES])
_MEMBERS: Final = Table[_Row]("members", ["id", "organization"], [*_PART, "entry", "personal", "role", *_TIMES, "left_at"])
_APPOINTMENTS: Final = Table[_Row](
    "appointments", ["id", "organization"], [*_PART, "member", "tiers", "vault", "locations", *_TIMES, "ended_at"]
)
_TABLES: Final = (_ORGANIZATIONS, _COMPANIES, _LOCATIONS, _FLOWS, _ROLES, _MEMBERS, _APPOINTMENTS)


def _created(item: Item) -> _Row:
    slug = item.version if "/slug" in item.personal else None
    return {"tenant": item.data["tenant"], "mode": item.data["mode"], "name_entry": item.version, "slug_entry": slug}


def _renamed(row: _Row, item: Item) -> None:
    if "/name" in item.personal:
        row["name_entry"] = item.version
    if "/slug" in item.personal:
        row["slug_entry"] = item.version


def _company(item: Item) -> _Row:
    return {"name_entry": item.version}


def _location(item: Item) -> _Row:
    return {"company": item.data.get("company"), "sort_order": item.data["sort_order"], "name_entry": item.version}


def _flow(item: Item) -> _Row:
    return {
        "location": item.data["location"],
        "name_entry": item.version,
        "steps_entry": item.version if "/steps" in item.personal else None,
        "active": item.data["active"],
    }


def _flow_changed(row: _Row, item: Item) -> None:
    _renamed(row, item)
    if "/steps" in item.personal:
        row["steps_entry"] = item.version
    row["active"] = item.data.get("active", row["active"])


def _role(item: Item) -> _Row:
    return {"permissions": item.data["permissions"]}


def _role_changed(row: _Row, item: Item) -> None:
    row["permissions"] = item.data["permissions"]


def _member(item: Item) -> _Row:
    return {"entry": item.version, "personal": list(item.personal), "role": item.data["role"], "left_at": None}


def _member_role_changed(row: _Row, item: Item) -> None:
    row["role"] = item.data["role"]


def _left(row: _Row, item: Item) -> None:
    row["left_at"] = item.at


def _manager(item: Item) -> _Row:
    data = item.data
    rights = {"tiers": data["tiers"], "vault": data["vault"], "locations": data.get("locations")}
    return {"member": data["member"], **rights, "ended_at": None}


def _admin(item: Item) -> _Row:
    return {"member": item.data["member"], "tiers": None, "vault": [], "locations": None, "ended_at": None}


def _ended(row: _Row, item: Item) -> None:
    row["ended_at"] = item.at


#: By fact: the table, the member of the data that names the row (the stream names an organization's), what it
#: makes of a new row and of one that is there.
_Make = Callable[[Item], _Row]
_Change = Callable[[_Row, Item], None]
_HANDLERS: Final[Mapping[str, tuple[Table[_Row], str | None, _Make | None, _Change | None]]] = {
    OrganizationCreated.TYPE: (_ORGANIZATIONS, None, _created, None),
    OrganizationRenamed.TYPE: (_ORGANIZATIONS, None, None, _renamed),
    CompanyAdded.TYPE: (_COMPANIES, "company", _company, None),
    CompanyRenamed.TYPE: (_COMPANIES, "company", None, _renamed),
    LocationAdded.TYPE: (_LOCATIONS, "location", _location, None),
    LocationRenamed.TYPE: (_LOCATIONS, "location", None, _renamed),
    FlowDefined.TYPE: (_FLOWS, "flow", _flow, None),
    FlowChanged.TYPE: (_FLOWS, "flow", None, _flow_changed),
    RoleDefined.TYPE: (_ROLES, "role", _role, _role_changed),
    MemberJoined.TYPE: (_MEMBERS, "member", _member, None),
    MemberRoleChanged.TYPE: (_MEMBERS, "member", None, _member_role_changed),
    MemberLeft.TYPE: (_MEMBERS, "member", None, _left),
    ManagerAppointed.TYPE: (_APPOINTMENTS, "appointment", _manager, None),
    AdminAppointed.TYPE: (_APPOINTMENTS, "appointment", _admin, None),
    AppointmentEnded.TYPE: (_APPOINTMENTS, "appointment", None, _ended),
}


def _key(table: Table[_Row], item: Item, names: str | None) -> dict[str, str]:
    """The key columns of the row that a fact is about."""
    if names is None:
        return {"id": item.stream}
    return {"slug" if table is _ROLES else "id": item.data[names], "organization": item.stream}


def _fold(store: Store, items: Sequence[Item]) -> None:
    rows = _load(store, items)
    for item in items:
        table, names, make, change = _HANDLERS[item.type]
        key = _key(table, item, names)
        place = tuple(key[column] for column in table.key)
        row = rows[table.name].get(place)
        if row is not None and change is not None:
            change(row, item)
            row["updated_at"] = item.at
        elif row is None and make is not None:
            times = {"created_at": item.at, "updated_at": item.at}
            rows[table.name][place] = {**key, "number": item.position, **make(item), **times}
        else:
            stands = "stands already" if row is not None else "was never made"
            raise ProjectionError(f"{item.type} in stream {item.stream}, about what {stands}")
    for table in _TABLES:
        store.save(table, rows[table.name].values())


def _load(store: Store, items: Sequence[Item]) -> dict[str, dict[tuple[str, ...], _Row]]:
    """The rows that the items are about, as far as they stand, by table and key."""
    wanted: dict[str, set[str]] = {table.name: set() for table in _TABLES}
    for item in items:
        table, names, _, _ = _HANDLERS[item.type]
        wanted[table.name].add(_key(table, item, names)[table.key[0]])
    return {
        table.name: {tuple(row[column] for column in table.key): row for row in store.load(table, sorted(wanted[table.name]))}
        for table in _TABLES
    }


DIRECTORY: Final = Projection(
    name="directory",
    number=1,
    tables=tuple(table.name for table in _TABLES),
    ddl=_DDL,
    indexes=_INDEXES,
    kinds=frozenset(("organization",)),
    handles=frozenset(_HANDLERS),
    skips=frozenset(),
    fold=_fold,
)
