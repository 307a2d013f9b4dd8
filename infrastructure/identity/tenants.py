"""Tenants, and the credits that they have left."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection, errors
from psycopg_pool import AsyncConnectionPool

from domain.ids import uuid7
from infrastructure.clock import Clock
from infrastructure.identity.records import BalanceOutOfRange, NotLimited, Tenant, TenantNameUnusable, UnknownTenant
from infrastructure.mail import one_line

Connection = AsyncConnection[tuple[Any, ...]]

#: A mail program shows less than that of a sender.
MAX_TENANT_NAME_CHARACTERS: Final = 200


class Tenants:
    """Makes and finds tenants, and keeps their credits. `pool` is opened and closed by its owner."""

    def __init__(self, pool: AsyncConnectionPool, clock: Clock, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._pool = pool
        self._clock = clock
        self._random = random

    async def create_tenant(self, name: str) -> UUID:
        """Makes a tenant without credentials and without a limit of credits; raises TenantNameUnusable."""
        if not name.strip() or len(name) > MAX_TENANT_NAME_CHARACTERS or one_line(name) != name:
            raise TenantNameUnusable(f"A tenant's name is one line of 1 to {MAX_TENANT_NAME_CHARACTERS} characters.")
        now = self._clock.now()
        tenant = uuid7(now, self._random(10))
        async with self._pool.connection() as connection:
            await connection.execute("INSERT INTO tenants (id, name, created_at) VALUES (%s, %s, %s)", (tenant, name, now))
        return tenant

    async def tenants(self) -> tuple[Tenant, ...]:
        """All tenants, the oldest first."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT t.id, t.name, t.created_at, c.balance FROM tenants t LEFT JOIN credits c ON c.tenant = t.id"
                " ORDER BY t.created_at, t.id"
            )
            rows = await cursor.fetchall()
        return tuple(Tenant(*row) for row in rows)

    async def tenant_name(self, tenant: UUID) -> str:
        """What a tenant is called. Raises UnknownTenant."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute("SELECT name FROM tenants WHERE id = %s", (tenant,))).fetchone()
        if row is None:
            raise UnknownTenant(str(tenant))
        return str(row[0])

    async def credits(self, tenant: UUID) -> int | None:
        """The credits left; None is unlimited. Raises UnknownTenant."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT c.balance FROM tenants t LEFT JOIN credits c ON c.tenant = t.id WHERE t.id = %s", (tenant,)
            )
            row = await cursor.fetchone()
        if row is None:
            raise UnknownTenant(str(tenant))
        return None if row[0] is None else int(row[0])

    async def set_credits(self, tenant: UUID, balance: int | None) -> None:
        """Sets the credits left, or lifts the limit (None). Raises UnknownTenant, BalanceOutOfRange."""
        async with _balance_errors(), self._changing(tenant) as connection:
            if balance is None:
                await connection.execute("DELETE FROM credits WHERE tenant = %s", (tenant,))
            else:
                await connection.execute(
                    "INSERT INTO credits (tenant, balance) VALUES (%s, %s) ON CONFLICT (tenant) DO UPDATE SET balance = excluded.balance",
                    (tenant, balance),
                )

    async def add_credits(self, tenant: UUID, count: int) -> int:
        """Adds to the credits left, or takes away, and answers the new balance.

        Raises UnknownTenant, NotLimited where there is no balance, BalanceOutOfRange; then nothing changes.
        """
        async with _balance_errors(), self._changing(tenant) as connection:
            cursor = await connection.execute(
                "UPDATE credits SET balance = balance + %s::bigint WHERE tenant = %s RETURNING balance", (count, tenant)
            )
            row = await cursor.fetchone()
        if row is None:
            raise NotLimited(str(tenant))
        return int(row[0])

    @asynccontextmanager
    async def _changing(self, tenant: UUID) -> AsyncIterator[Connection]:
        """A transaction in which nobody else changes what belongs to `tenant` here; raises UnknownTenant."""
        async with self._pool.connection() as connection, connection.transaction():
            cursor = await connection.execute("SELECT 1 FROM tenants WHERE id = %s FOR NO KEY UPDATE", (tenant,))
            if await cursor.fetchone() is None:
                raise UnknownTenant(str(tenant))
            yield connection


@asynccontextmanager
async def _balance_errors() -> AsyncIterator[None]:
    try:
        yield
    except (errors.CheckViolation, errors.NumericValueOutOfRange) as err:
        raise BalanceOutOfRange("a balance is from 0 to 9223372036854775807") from err
