"""Templates that are renamed, located, switched and duplicated: their rows are what the deciders know."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.actor import Mode
from domain.errors import Refusal
from domain.personal import Personal, SubjectKind
from domain.template import (
    AddVersion,
    CreateTemplate,
    DefineFields,
    DeleteTemplate,
    DeleteVersion,
    DuplicateTemplate,
    Field,
    FieldType,
    ReviseTemplate,
    StoredFile,
    StoreFile,
    Template,
    Version,
)
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.reading import AsyncConnection
from infrastructure.vault import Reference
from projections import rebuild, templates
from projections.rebuild import ensure_tables
from projections.runner import Runner
from projections.templates import TEMPLATES
from tests.given import uid
from tests.histories import RecordedLog
from tests.integration.read_side import append

T = TypeVar("T")

PLACES = [uid(70), uid(71), uid(72)]
FILE = StoredFile("23" * 32, 1_000, 3)
FIELD = Field("signature", FieldType.SIGNATURE, 1, 10_000, 20_000)

#: The facts that name a version, and where the name of a version 1 is said first.
NAMING = ("template.created/1", "template.version-added/1", "template.renamed/1")


def catch_up(database: DatabaseUrls, batch: int = 500) -> None:
    ensure_tables(database.owner)
    with connect(database.service) as conn:
        while Runner((TEMPLATES,), batch=batch).step(conn):
            pass


def query(database: DatabaseUrls, ask: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    async def run() -> T:
        async with async_pool(database.service) as pool, pool.connection() as conn:
            return await ask(conn)

    return asyncio.run(run())


class Cabinet:
    """A log of templates to which things are done at random; what is refused leaves no trace."""

    def __init__(self, seed: int = 1) -> None:
        self.log = RecordedLog(seed=seed)
        self.templates: list[UUID] = []

    def name(self, template: UUID) -> Personal:
        return self.log.personal("Contract", SubjectKind.TEMPLATE, str(template))

    def create(self, location: UUID | None = None, mode: Mode = Mode.LIVE) -> UUID:
        template = self.log.uuid()
        self.templates.append(template)
        name = self.name(template)
        self.log.on_template(CreateTemplate(self.log.tenant, mode, template, name, None), template)
        if location is not None:
            self.revise(template, location=location)
        return template

    def revise(self, template: UUID, **changes: Any) -> None:
        self.log.on_template(ReviseTemplate(template, **changes), template)

    def duplicate(self, which: int) -> None:
        template = self.log.uuid()
        self.templates.append(template)
        name, description = self.name(template), self.name(template) if which % 2 else None
        file, fields = (FILE, (FIELD,)) if which % 3 else (None, ())
        location = PLACES[which % 3] if which % 5 else None
        command = DuplicateTemplate(self.log.tenant, Mode.LIVE, template, name, description, file, fields, location)
        self.log.on_template(command, template)

    def go(self, which: int) -> None:
        if not self.templates or which % 7 == 0:
            self.create()
            return
        if which % 7 == 1:
            self.duplicate(which // 7)
            return
        template = self.templates[which // 7 % len(self.templates)]
        commands = (
            ReviseTemplate(template, name=self.name(template)),
            ReviseTemplate(template, location=PLACES[which % 3]),
            ReviseTemplate(template, active=bool(which % 2)),
            ReviseTemplate(template, self.name(template), PLACES[which % 3], bool(which % 2)),
            AddVersion(template, self.name(template), self.name(template)),
            DeleteVersion(template, 1 + which % 3),
            StoreFile(template, 1 + which % 3, FILE),
            DefineFields(template, (FIELD,)),
            DeleteTemplate(template),
        )
        with suppress(Refusal):
            self.log.on_template(commands[which // 11 % len(commands)], template)

    def positions(self, template: UUID) -> list[int]:
        return [entry.position for entry in self.log.rows if entry.stream == template]

    def named(self, template: UUID) -> dict[int, int]:
        """For each version, the entry that named it last."""
        found: dict[int, int] = {}
        for entry in self.log.rows:
            if entry.stream == template and entry.type in NAMING:
                number = 1 if entry.type == NAMING[0] else int(entry.raw.split(b'"data":{"version":')[1].split(b"}")[0])
                found[number] = entry.version
        return found

    async def check(self, conn: AsyncConnection) -> None:
        for template in self.templates:
            await self._check(conn, template, self.log.states[template])

    async def _check(self, conn: AsyncConnection, template: UUID, state: Template) -> None:
        shown = await templates.history(conn, self.log.tenant, Mode.LIVE, template)
        number = self.positions(template)[0]
        current = await templates.by_number(conn, self.log.tenant, Mode.LIVE, number)
        if state.deleted:
            assert (shown, current) == ((), None)
            return
        assert {row.version: Version(row.file, row.fields) for row in shown} == dict(state.versions)
        assert current == next(row for row in shown if row.version == state.current)
        names = self.named(template)
        for row in shown:
            assert row.name == Reference(template, names[row.version], "/name")
            assert (row.location, row.active, row.created_position) == (state.location, state.active, number)


def rows(database: DatabaseUrls) -> list[Any]:
    with connect(database.service) as conn:
        return [
            conn.execute(f"SELECT to_jsonb(t) FROM read.{table} AS t ORDER BY t::text".encode()).fetchall()
            for table in TEMPLATES.tables
        ]


# The log only grows, so an example cannot be run again on what it began with: no reuse, no shrinking.
@settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.integers(0, 10_000), min_size=20, max_size=80), batch=st.integers(1, 30), kept=st.integers(1, 50))
def test_templates_show_what_the_deciders_know_however_the_rows_were_made(
    database: DatabaseUrls, acts: list[int], batch: int, kept: int
) -> None:
    cabinet = Cabinet(uuid4().int)
    for which in acts:
        cabinet.go(which)
    with connect(database.owner) as conn:
        head = append(conn, cabinet.log.rows)
    for row in cabinet.log.rows:  # as they stand in the log, which other examples have begun
        object.__setattr__(row, "position", row.position + head - len(cabinet.log.rows))
    catch_up(database, batch)
    query(database, cabinet.check)
    followed = rows(database)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rebuild, "BATCH", batch)
        patch.setattr(rebuild, "ROWS_KEPT", kept)
        patch.setattr(rebuild, "_CLOSE", batch)
        rebuild.rebuild(database.owner)
    assert rows(database) == followed


def test_templates_are_listed_by_location_in_the_order_of_their_creation(database: DatabaseUrls) -> None:
    cabinet = Cabinet()
    here, there, nowhere, again = (cabinet.create(place) for place in (PLACES[0], PLACES[1], None, PLACES[0]))
    cabinet.revise(here, active=False)
    test = cabinet.create(PLACES[0], Mode.TEST)
    moved = cabinet.create(PLACES[1])
    cabinet.revise(moved, location=PLACES[2])
    gone = cabinet.create(PLACES[0])
    cabinet.log.on_template(DeleteTemplate(gone), gone)
    with connect(database.owner) as conn:
        append(conn, cabinet.log.rows)
    catch_up(database)

    def listed(
        places: list[UUID] | None,
        *,
        mode: Mode = Mode.LIVE,
        tenant: UUID = cabinet.log.tenant,
        shared: bool = False,
        limit: int = 500,
    ) -> Any:
        rows = query(database, lambda conn: templates.located(conn, tenant, mode, places, shared=shared, limit=limit))
        return [row.template for row in rows]

    assert listed([PLACES[0]]) == [here, again]
    assert listed([PLACES[1], PLACES[0]]) == [here, there, again]
    assert listed([PLACES[2]]) == [moved]
    assert listed([]) == []
    assert listed([PLACES[2]], shared=True) == [nowhere, moved]
    assert listed([], shared=True) == [nowhere]
    assert listed(None) == [here, there, nowhere, again, moved]
    assert listed(None, limit=2) == [here, there]
    assert listed(None, mode=Mode.TEST) == [test]
    assert listed(None, tenant=uuid4()) == []


def test_a_number_finds_the_template_of_one_tenant_and_mode_alone(database: DatabaseUrls) -> None:
    cabinet = Cabinet()
    template = cabinet.create()
    cabinet.revise(template, name=cabinet.name(template))
    with connect(database.owner) as conn:
        append(conn, cabinet.log.rows)
    catch_up(database)
    number, renamed = cabinet.positions(template)

    def found(number: int, tenant: UUID = cabinet.log.tenant, mode: Mode = Mode.LIVE) -> UUID | None:
        row = query(database, lambda conn: templates.by_number(conn, tenant, mode, number))
        return None if row is None else row.template

    assert found(number) == template
    assert found(renamed) is None
    assert found(number, mode=Mode.TEST) is None
    assert found(number, tenant=uuid4()) is None
