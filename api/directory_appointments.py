"""Changing the directory from outside a request: whoever runs the installation, at its terminal.

Requests of surfaces go to the ledger themselves; what is shared with them is the domain's.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.actor import Actor, ActorKind, Mode
from domain.canonical import Json
from domain.directory import (
    FULL_TIERS,
    MEMBER,
    OWNER,
    AddLocation,
    AppointAdmin,
    AppointManager,
    CreateOrganization,
    DirectoryCommand,
    JoinMember,
    VaultRight,
    user_subject,
)
from domain.ids import uuid7
from domain.personal import Personal, Subject, SubjectKind
from infrastructure.append import Answer
from infrastructure.clock import Clock, SystemClock
from infrastructure.database import Reads, async_pool, connect
from infrastructure.following import places
from infrastructure.installation import Installation
from infrastructure.invitation_mint import InvitationMint
from infrastructure.ledger import NO_ANSWER, Ledger, Outcome
from infrastructure.reading import AsyncConnection, ReadsUnavailable
from infrastructure.recorder import Recorder
from infrastructure.vault import Vault
from projections.directory import DIRECTORY, Standing, locations, member_of, members, organizations
from projections.rebuild import ensure_tables
from projections.runner import Runner

#: Whoever may start a command on the installation's own machine.
OPERATOR: Final = Actor(ActorKind.OPERATOR, "countersign directory")

FIRST_ORGANIZATION: Final = "First organization"
FIRST_LOCATION: Final = "First location"


class UserRole(StrEnum):
    """What a user is to be able to do on the signing surface."""

    MANAGER = "manager"
    ADMIN = "admin"
    SIGNER = "signer"


@dataclass(frozen=True, slots=True)
class Directory:
    """The directory of one tenant and mode. `refresh` brings its read model up to the log's head."""

    tenant: UUID
    mode: Mode
    ledger: Ledger
    vault: Vault
    reads: Reads
    clock: Clock
    refresh: Callable[[], Awaitable[None]]
    by: Actor = OPERATOR

    def new_id(self) -> UUID:
        return uuid7(self.clock.now(), os.urandom(10))

    def named(self, organization: UUID, value: Json) -> Personal:
        """A name, or other words, of an organization or of something in it."""
        return self.vault.conceal(value, Subject(self.tenant, SubjectKind.ORGANIZATION, str(organization)))

    async def do(self, command: DirectoryCommand) -> int | None:
        """The log position of the first fact, which is the number of what was made; None if all was so already.

        Raises a Refusal, RecorderUnavailable.
        """
        positions: list[int | None] = []

        def keep(outcome: Outcome) -> Answer:
            positions.append(outcome.recorded[0].receipt.position if outcome.recorded else None)
            return NO_ANSWER

        await self.ledger.handle(command, self.by, keep)
        return positions[-1]

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection]:
        """A connection on an up-to-date read model, while no other terminal changes this tenant's directory.

        Who is a member is looked up before somebody is made one: two commands at once would make the same user
        a member twice.
        """
        turn = "SELECT pg_advisory_{}(hashtextextended('countersign directory ' || %s, 0))"
        async with self.reads.connection() as conn:
            await conn.execute(turn.format("lock").encode(), [str(self.tenant)])
            try:
                await self.refresh()
                yield conn
            finally:
                await conn.execute(turn.format("unlock").encode(), [str(self.tenant)])

    async def standing(self, conn: AsyncConnection, issuer: str, subject: str) -> Standing | None:
        """What the user is here; None for one about whom nothing is stored. Raises DirectoryTextError."""
        known = await self.vault.subject_id(user_subject(self.tenant, issuer, subject))
        return None if known is None else await member_of(conn, self.tenant, self.mode, known)

    def joining(
        self, organization: UUID, issuer: str, subject: str, email: str | None, name: str | None, role: str
    ) -> JoinMember:
        """The command that makes the user a member, under a new id; raises DirectoryTextError."""
        whose = user_subject(self.tenant, issuer, subject)
        user = self.vault.conceal({"issuer": issuer, "subject": subject}, whose)
        address = None if email is None else self.vault.conceal(email, whose)
        called = None if name is None else self.vault.conceal(name, whose)
        return JoinMember(organization, self.new_id(), user, address, called, role)


@asynccontextmanager
async def open_directory(opened: Installation, tenant: UUID, mode: Mode, by: Actor = OPERATOR) -> AsyncIterator[Directory]:
    """The directory of a tenant of this installation. The tenant MUST exist."""
    clock = SystemClock()
    async with async_pool(opened.urls.service, max_size=4) as pool:
        recorder = Recorder(opened.urls.service, opened.origin, pool, clock)
        await asyncio.to_thread(recorder.start)
        try:
            vault = Vault(pool, opened.keys)
            mint = InvitationMint(opened.keys, timedelta(days=opened.settings.session_lifetime_days), os.urandom)
            ledger = Ledger(recorder, vault, mint, clock)
            yield Directory(tenant, mode, ledger, vault, pool, clock, lambda: asyncio.to_thread(_catch_up, opened), by)
        finally:
            await asyncio.to_thread(recorder.close)


def _catch_up(opened: Installation) -> None:
    """Followers need not be running while a command is: it takes in itself what has not been taken in yet."""
    ensure_tables(opened.urls.owner, (DIRECTORY,))
    runner = Runner((DIRECTORY,))
    with connect(opened.urls.service) as conn:
        while runner.step(conn):
            pass
        place = places(conn, [DIRECTORY.name])[DIRECTORY.name]
    if not place.running:
        raise ReadsUnavailable(DIRECTORY.name, place.error or "stopped")


async def appoint(
    directory: Directory, issuer: str, subject: str, email: str | None, role: UserRole, name: str | None = None
) -> tuple[str, ...]:
    """Makes sure that a user has a role; answers sentences about what was done for it, none if all was so already.

    A manager gets every tier in full over all locations, an administrator everything. Where there is no
    organization or no location yet, one is made. A signer needs no place in the directory: who signs is told
    by the verified e-mail address. Raises DirectoryTextError, a Refusal, RecorderUnavailable, ReadsUnavailable.
    """
    user_subject(directory.tenant, issuer, subject)
    if role is UserRole.SIGNER:
        return ()
    done: list[str] = []
    async with directory.alone() as conn:
        standing = await directory.standing(conn, issuer, subject)
        if standing is not None and standing.memberships:
            first = standing.memberships[0]
            organization, member = first.organization.id, first.member.id
        else:
            organization = await _first_organization(directory, conn, done)
            first_member = not await members(conn, directory.tenant, directory.mode, organization, limit=1)
            joining = directory.joining(organization, issuer, subject, email, name, OWNER if first_member else MEMBER)
            await directory.do(joining)
            member = joining.member
            done.append(f"{subject} joined the organization as {joining.role}.")
        if not await locations(conn, directory.tenant, directory.mode, organization=organization, limit=1):
            await directory.do(AddLocation(organization, directory.new_id(), directory.named(organization, FIRST_LOCATION)))
            done.append(f"The organization got a location: {FIRST_LOCATION}.")
        if role is UserRole.ADMIN:
            if await directory.do(AppointAdmin(organization, directory.new_id(), member)):
                done.append(f"{subject} was appointed administrator.")
        elif await directory.do(AppointManager(organization, directory.new_id(), member, FULL_TIERS, tuple(VaultRight), None)):
            done.append(f"{subject} was appointed manager of all locations, with every module in full.")
    return tuple(done)


async def _first_organization(directory: Directory, conn: AsyncConnection, done: list[str]) -> UUID:
    found = await organizations(conn, directory.tenant, directory.mode, limit=1)
    if found:
        return found[0].id
    organization = directory.new_id()
    name = directory.named(organization, FIRST_ORGANIZATION)
    await directory.do(CreateOrganization(directory.tenant, directory.mode, organization, name))
    done.append(f"An organization was made: {FIRST_ORGANIZATION}.")
    return organization


async def appoint_on(
    opened: Installation,
    tenant: UUID,
    mode: Mode,
    issuer: str,
    subject: str,
    email: str | None,
    role: UserRole,
    *,
    name: str | None = None,
    by: Actor = OPERATOR,
) -> tuple[str, ...]:
    """As `appoint`, on an open installation."""
    async with open_directory(opened, tenant, mode, by) as directory:
        return await appoint(directory, issuer, subject, email, role, name)
