"""The directory on a real database: what the read model shows is what the decider knows, and who is found in it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from api.directory_appointments import FIRST_LOCATION, FIRST_ORGANIZATION, Directory, UserRole, appoint
from domain import directory as domain
from domain.actor import Actor, ActorKind, Mode
from domain.directory import (
    FULL_TIERS,
    MEMBER,
    OWNER,
    AddCompany,
    AddLocation,
    AppointAdmin,
    AppointManager,
    CreateOrganization,
    DefineFlow,
    DirectoryCommand,
    Module,
    Organization,
    Permission,
    RemoveMember,
    RenameLocation,
    RenameOrganization,
    Scope,
    Tier,
    Tiers,
    VaultRight,
    user_subject,
)
from domain.errors import Refusal
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.reading import AsyncConnection
from projections import directory as read
from projections.directory import DIRECTORY, Standing
from projections.rebuild import ensure_tables, rebuild
from projections.runner import Runner
from tests.histories import RecordedLog
from tests.integration.read_side import append
from tests.property import test_directory_machine as machine
from tests.running import in_loop, running

ISSUER = "https://id.example"
BY = Actor(ActorKind.OPERATOR, "test")


def catch_up(urls: DatabaseUrls, batch: int = 500) -> None:
    ensure_tables(urls.owner, (DIRECTORY,))
    with connect(urls.service) as conn:
        while Runner((DIRECTORY,), batch=batch).step(conn):
            pass


@dataclass
class World:
    """A directory, its parts, and the commands that tests need often."""

    directory: Directory
    tenant: UUID
    urls: DatabaseUrls

    async def organization(self, name: str = "Auto House") -> UUID:
        id = self.directory.new_id()
        command = CreateOrganization(self.tenant, self.directory.mode, id, self.directory.named(id, name))
        await self.directory.do(command)
        return id

    async def location(
        self, organization: UUID, name: str = "Lot", company: UUID | None = None, order: int | None = None
    ) -> UUID:
        id = self.directory.new_id()
        await self.directory.do(AddLocation(organization, id, self.directory.named(organization, name), company, order))
        return id

    async def member(self, organization: UUID, subject: str, role: str = MEMBER) -> UUID:
        command = self.directory.joining(organization, ISSUER, subject, f"{subject}@example.com", subject.title(), role)
        await self.directory.do(command)
        return command.member

    async def manager(self, organization: UUID, member: UUID, tiers: Tiers, *locations: UUID) -> UUID:
        id = self.directory.new_id()
        await self.directory.do(AppointManager(organization, id, member, tiers, (), locations or None))
        return id

    async def standing(self, subject: str) -> Standing | None:
        await self.directory.refresh()
        async with self.directory.reads.connection() as conn:
            return await self.directory.standing(conn, ISSUER, subject)


@asynccontextmanager
async def world(database: DatabaseUrls, folder: Path, mode: Mode = Mode.LIVE) -> AsyncIterator[World]:
    async with running(database, folder) as parts:
        deps = parts.deps

        async def refresh() -> None:
            await asyncio.to_thread(catch_up, database)

        directory = Directory(parts.tenant, mode, deps.ledger, deps.vault, deps.reads, deps.clock, refresh, BY)
        yield World(directory, parts.tenant, database)


def record(log: RecordedLog, stream: UUID, commands: Sequence[DirectoryCommand]) -> None:
    """Appends the facts of the commands that are not refused."""
    state: Organization | None = None
    for command in commands:
        try:
            decided = domain.decide(command, state, log.now)
        except Refusal:
            continue
        for fact in decided:
            state = domain.evolve(state, fact, log.now)
        log.record({stream: decided})
        log.later()
    log.states[stream] = state


@pytest.mark.usefixtures("database")
@settings(max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commands=st.lists(machine.commands, min_size=5, max_size=40), furniture=machine.furnished, batch=st.integers(1, 9))
def test_the_read_model_shows_what_the_decider_knows_however_it_was_made(
    database: DatabaseUrls, commands: list[DirectoryCommand], furniture: Sequence[DirectoryCommand], batch: int
) -> None:
    log = RecordedLog(seed=uuid4().int)
    stream = log.uuid()
    create = CreateOrganization(log.tenant, Mode.LIVE, stream, machine.NAME, None)
    record(log, stream, [create, *furniture, *commands])
    ensure_tables(database.owner, (DIRECTORY,))
    with connect(database.owner) as conn:
        append(conn, log.rows)
    catch_up(database, batch)
    followed = contents(database)
    asyncio.run(check(database, log.tenant, stream, log.states[stream]))
    rebuild(database.owner, (DIRECTORY,))
    assert contents(database) == followed


def contents(database: DatabaseUrls) -> dict[str, list[Any]]:
    with connect(database.owner) as conn:
        return {
            table: conn.execute(f"SELECT to_jsonb(t) FROM read.{table} AS t ORDER BY t::text".encode()).fetchall()
            for table in DIRECTORY.tables
        }


async def check(database: DatabaseUrls, tenant: UUID, stream: UUID, state: Organization) -> None:
    async with async_pool(database.service) as pool, pool.connection() as conn:
        where = (conn, tenant, Mode.LIVE)
        bundle = await read.bundle(*where, stream)
        assert bundle is not None
        assert bundle == await read.bundle(*where, bundle.organization.number)
        companies = await read.companies(*where, organization=stream)
        assert {row.id for row in companies} == state.companies
        assert {row.id: domain.Location(row.company, row.sort_order) for row in bundle.locations} == dict(state.locations)
        assert list(bundle.locations) == sorted(bundle.locations, key=lambda row: (row.sort_order, row.number))
        flows = await read.flows(*where, organization=stream)
        assert {row.id: domain.Flow(row.location, row.active) for row in flows} == dict(state.flows)
        assert {row.slug: row.permissions for row in bundle.roles} == {
            slug: frozenset(permissions) for slug, permissions in state.roles.items()
        }
        assert [row.slug for row in bundle.roles] == sorted(state.roles)
        assert {row.id: row.role for row in bundle.members} == dict(state.members)
        appointments = await read.appointments(*where, organization=stream)
        assert {row.id: (row.member, row.tiers, row.vault, row.locations) for row in appointments} == {
            id: (it.member, it.tiers, frozenset(it.vault), None if it.locations is None else frozenset(it.locations))
            for id, it in state.appointments.items()
        }
        for member in state.members:
            merged = domain.NO_ACCESS
            for row in appointments:
                merged = merged | row.access if row.member == member else merged
            assert merged == state.access(stream, member)
        assert bundle.counts == read.Counts(len(state.companies), len(state.locations), len(state.flows), len(state.members))


@in_loop
async def test_a_user_is_found_with_all_memberships_and_what_they_allow_together(
    database: DatabaseUrls, data_folder: Path
) -> None:
    async with world(database, data_folder) as it:
        first, second = await it.organization("First"), await it.organization("Second")
        lot, yard = await it.location(first, "Lot"), await it.location(first, "Yard")
        ana, _ = await it.member(first, "ana", OWNER), await it.member(first, "ben")
        again = await it.member(second, "ana")
        await it.manager(first, ana, Tiers(signings=Tier.WRITE), lot)
        await it.manager(first, ana, Tiers(signings=Tier.READ), yard)
        await it.manager(second, again, Tiers(templates=Tier.FULL))
        standing = await it.standing("ana")
        assert standing is not None
        assert [(each.organization.id, each.member.id, each.role.slug) for each in standing.memberships] == [
            (first, ana, OWNER),
            (second, again, MEMBER),
        ]
        assert standing.memberships[0].role.permissions == set(Permission)
        assert [each.organization for each in standing.appointments] == [first, first, second]
        access = standing.access
        assert access.tier(Module.SIGNINGS, domain.Place(first, lot)) is Tier.WRITE
        assert access.tier(Module.SIGNINGS, domain.Place(first, yard)) is Tier.READ
        assert access.scope(Module.TEMPLATES) == Scope(organizations=frozenset([second]))
        member = standing.memberships[0].member
        opened = await it.directory.vault.open([member.user, *(each for each in (member.email, member.name) if each)])
        assert [each.value for each in opened.values()] == [
            {"issuer": ISSUER, "subject": "ana"},
            "ana@example.com",
            "Ana",
        ]
        ben = await it.standing("ben")
        assert ben is not None
        assert (len(ben.memberships), ben.access) == (1, domain.NO_ACCESS)
        assert await it.standing("cleo") is None


@in_loop
async def test_who_left_or_was_erased_may_nothing_also_after_coming_back(database: DatabaseUrls, data_folder: Path) -> None:
    async with world(database, data_folder) as it:
        organization = await it.organization()
        ana, ben = await it.member(organization, "ana"), await it.member(organization, "ben")
        for member in (ana, ben):
            await it.directory.do(AppointAdmin(organization, it.directory.new_id(), member))
        await it.directory.do(RemoveMember(organization, ana))
        left = await it.standing("ana")
        assert left is not None
        assert (left.memberships, left.access) == ((), domain.NO_ACCESS)
        await it.directory.ledger.erase(user_subject(it.tenant, ISSUER, "ben"), "gdpr-17-1-b", BY)
        assert await it.standing("ben") is None
        back = await it.member(organization, "ben")
        standing = await it.standing("ben")
        assert standing is not None
        assert [each.member.id for each in standing.memberships] == [back]
        assert not standing.access.admin


@in_loop
async def test_the_reads_of_one_tenant_and_mode_show_nothing_of_others(database: DatabaseUrls, data_folder: Path) -> None:
    async with world(database, data_folder) as it:
        organization = await it.organization()
        company, flow, other = it.directory.new_id(), it.directory.new_id(), uuid4()
        name = it.directory.named(organization, "Cars")
        await it.directory.do(AddCompany(organization, company, name))
        lot = await it.location(organization, company=company)
        await it.directory.do(DefineFlow(organization, flow, lot, name))
        ana = await it.member(organization, "ana")
        await it.manager(organization, ana, FULL_TIERS)
        subject = await it.directory.vault.subject_id(user_subject(it.tenant, ISSUER, "ana"))
        assert subject is not None
        await it.directory.refresh()

        async def shown(conn: AsyncConnection, tenant: UUID, mode: Mode) -> list[bool]:
            where = (conn, tenant, mode)
            lists = (
                await read.organizations(*where),
                await read.companies(*where),
                await read.locations(*where),
                await read.flows(*where),
                await read.roles(*where, organization),
                await read.members(*where, organization),
                await read.appointments(*where),
                (await read.member_of(*where, subject)).memberships,
                await read.location_ids(*where, Scope(organizations=frozenset([organization]))),
            )
            ones = (
                await read.organization(*where, organization),
                await read.company(*where, company),
                await read.location(*where, lot),
                await read.flow(*where, flow),
                await read.member(*where, ana),
                await read.bundle(*where, organization),
            )
            return [*map(bool, lists), *(each is not None for each in ones)]

        async with it.directory.reads.connection() as conn:
            assert await shown(conn, it.tenant, Mode.LIVE) == [True] * 15
            assert await shown(conn, it.tenant, Mode.TEST) == [False] * 15
            assert await shown(conn, other, Mode.LIVE) == [False] * 15


@in_loop
async def test_lists_are_restricted_to_what_is_in_scope(database: DatabaseUrls, data_folder: Path) -> None:
    async with world(database, data_folder) as it:
        first, second = await it.organization("First"), await it.organization("Second")
        cars, vans = it.directory.new_id(), it.directory.new_id()
        for company in (cars, vans):
            await it.directory.do(AddCompany(first, company, it.directory.named(first, "Company")))
        corner = await it.location(first, "Corner", cars, order=9)
        lot, shop = await it.location(first, "Lot", vans, order=1), await it.location(second, "Shop")
        flow = it.directory.new_id()
        await it.directory.do(DefineFlow(first, flow, lot, it.directory.named(first, "Lease")))
        await it.directory.refresh()
        async with it.directory.reads.connection() as conn:
            where = (conn, it.tenant, Mode.LIVE)

            async def seen(scope: Scope) -> tuple[list[UUID], list[UUID], list[UUID], list[UUID]]:
                return (
                    [row.id for row in await read.organizations(*where, scope)],
                    [row.id for row in await read.companies(*where, scope)],
                    [row.id for row in await read.locations(*where, scope)],
                    [row.id for row in await read.flows(*where, scope)],
                )

            assert await seen(read.EVERYWHERE) == ([first, second], [cars, vans], [lot, corner, shop], [flow])
            assert await seen(Scope()) == ([], [], [], [])
            at_lot = Scope(locations=frozenset([lot]))
            assert await seen(at_lot) == ([first], [vans], [lot], [flow])
            assert await seen(Scope(organizations=frozenset([second]))) == ([second], [], [shop], [])
            assert await read.location_ids(*where, at_lot) == frozenset([lot])
            assert await read.location_ids(*where, Scope(True)) is None
            number = (await read.locations(*where))[1].number
            assert await read.location(*where, number) is not None
            assert await read.location(*where, number, at_lot) is None
            assert await read.company(*where, cars, at_lot) is None
            assert await read.organization(*where, second, at_lot) is None
            assert [row.id for row in await read.locations(*where, company=vans)] == [lot]
            assert [row.id for row in await read.locations(*where, limit=1)] == [lot]
            assert await read.flows(*where, location=corner) == ()


@in_loop
async def test_a_new_name_is_shown_and_what_was_not_renamed_keeps_its_own(database: DatabaseUrls, data_folder: Path) -> None:
    async with world(database, data_folder) as it:
        organization = await it.organization()
        lot = await it.location(organization)
        await it.directory.do(RenameLocation(organization, lot, it.directory.named(organization, "Yard")))
        await it.directory.do(RenameOrganization(organization, None, it.directory.named(organization, "house")))
        await it.directory.refresh()
        async with it.directory.reads.connection() as conn:
            bundle = await read.bundle(conn, it.tenant, Mode.LIVE, organization)
        assert bundle is not None
        assert bundle.organization.slug is not None
        names = [bundle.organization.name, bundle.organization.slug, bundle.locations[0].name]
        opened = await it.directory.vault.open(names)
        assert [opened[name].value for name in names] == ["Auto House", "house", "Yard"]


@in_loop
async def test_a_user_is_appointed_with_whatever_is_missing_and_only_that(database: DatabaseUrls, data_folder: Path) -> None:
    async with world(database, data_folder, Mode.TEST) as it:
        assert await appoint(it.directory, ISSUER, "ana", "ana@example.com", UserRole.SIGNER) == ()
        assert await it.standing("ana") is None
        made = await appoint(it.directory, ISSUER, "ana", "ana@example.com", UserRole.MANAGER, "Ana")
        assert len(made) == 4
        assert (FIRST_ORGANIZATION in made[0], "owner" in made[1], FIRST_LOCATION in made[2]) == (True, True, True)
        assert await appoint(it.directory, ISSUER, "ana", None, UserRole.MANAGER) == ()
        standing = await it.standing("ana")
        assert standing is not None
        (membership,) = standing.memberships
        assert (standing.access.admin, standing.access.tiers(), standing.access.vault) == (
            False,
            FULL_TIERS,
            frozenset(VaultRight),
        )
        assert standing.access.scope() == Scope(organizations=frozenset([membership.organization.id]))
        (joined, appointed) = await appoint(it.directory, ISSUER, "ben", None, UserRole.ADMIN)
        assert ("member" in joined, "administrator" in appointed) == (True, True)
        ben = await it.standing("ben")
        assert ben is not None
        assert (ben.access.admin, ben.access.manager, ben.memberships[0].role.slug) == (True, False, MEMBER)


@in_loop
async def test_a_user_who_is_appointed_many_times_at_once_becomes_one_member(database: DatabaseUrls, data_folder: Path) -> None:
    async with world(database, data_folder) as it:
        roles = [UserRole.MANAGER, UserRole.ADMIN] * 4
        told = await asyncio.gather(*(appoint(it.directory, ISSUER, "ana", None, role) for role in roles))
        assert sorted(map(len, told)) == [0] * 6 + [1, 4]
        standing = await it.standing("ana")
        assert standing is not None
        assert (len(standing.memberships), len(standing.appointments)) == (1, 2)
        async with it.directory.reads.connection() as conn:
            assert len(await read.organizations(conn, it.tenant, Mode.LIVE)) == 1
