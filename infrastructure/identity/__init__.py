"""Who may act for which tenant: credentials, administrators, and the credits a tenant has left.

Of a secret only its SHA-256 is stored. The secret itself is derived from the credential's id, so that
a repeat of the request that made it can show it again. Nothing here is cached: a credential that was
revoked is refused from the next request on, by every process.
"""

import hmac
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection, errors
from psycopg_pool import AsyncConnectionPool

from domain.actor import Mode
from domain.errors import IdempotencyKeyReused
from domain.ids import IdError, parse_uuid, ulid, uuid7
from infrastructure.append import Answer
from infrastructure.clock import Clock
from infrastructure.identity.records import (
    Administrator,
    ApiKey,
    BalanceOutOfRange,
    Bearer,
    Credential,
    KeyKind,
    Method,
    NewKey,
    NewPartnerKey,
    NotLimited,
    OrganizationKey,
    PartnerKey,
    Tenant,
    TenantNameUnusable,
    UnknownTenant,
    User,
)
from infrastructure.issuer import ADMINISTRATOR, ISSUER, LocalIssuer
from infrastructure.ledger import Key
from infrastructure.mail import one_line
from infrastructure.secrets import Keys, mint
from infrastructure.tokens import IssuerUnreachable, TokenExpired, TokenOfAnotherKind, TokenRefused

__all__ = [
    "Administrator",
    "ApiKey",
    "BalanceOutOfRange",
    "Bearer",
    "Credential",
    "Identity",
    "IssuerUnreachable",
    "KeyKind",
    "Method",
    "NewKey",
    "NewPartnerKey",
    "NotLimited",
    "OrganizationKey",
    "PartnerKey",
    "Tenant",
    "TenantNameUnusable",
    "TokenExpired",
    "TokenOfAnotherKind",
    "TokenRefused",
    "UnknownTenant",
    "User",
]

Connection = AsyncConnection[tuple[Any, ...]]

_PARTNER: Final = "partner"
_ORGANIZATION: Final = "organization"

#: Ours have 59 characters; of what is longer only the beginning is hashed, which matches nothing.
MAX_SECRET_CHARACTERS: Final = 256

#: A mail program shows less than that of a sender.
MAX_TENANT_NAME_CHARACTERS: Final = 200

#: Compared with when a tenant has no credential, so that the time taken does not tell whether it has one.
_NO_HASH: Final = bytes(32)

_COLUMNS: Final = "SELECT id, tenant, method, status, created_at, updated_at FROM credentials"


class Identity:
    """Makes, recognises and revokes credentials. `pool` is opened and closed by its owner."""

    def __init__(
        self, pool: AsyncConnectionPool, keys: Keys, clock: Clock, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._pool = pool
        self._secret_key = keys.tokens
        # Of the master key, which is never changed: the same person keeps the same pseudonym.
        self._pseudonym_key = keys.lookup
        self._issuer = LocalIssuer(keys, clock, random)
        self._clock = clock
        self._random = random

    # Recognising

    async def partner(self, tenant_id: str, secret: str) -> PartnerKey | None:
        """The tenant's active partner credential if `secret` is its secret, as sent in `X-Auth-Signly`.

        A KEY takes the secret alone, HMAC takes it alone or as `HMAC <secret>`. It takes the same time
        whether the tenant does not exist, has no credential, or has another secret.
        """
        prefixed = secret.startswith("HMAC ")
        digest = _hash(secret.removeprefix("HMAC ").strip())
        try:
            tenant = parse_uuid(tenant_id)
        except IdError:
            tenant = UUID(int=0)
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT secret_hash, id, tenant, method, status, created_at, updated_at FROM credentials"
                " WHERE tenant = %s AND kind = 'partner' AND status = 'ACTIVE'",
                (tenant,),
            )
            row = await cursor.fetchone()
        same = compare_digest(digest, _NO_HASH if row is None else bytes(row[0]))
        if row is None or not same:
            return None
        key = PartnerKey(*row[1:])
        return None if prefixed and key.method != "HMAC" else key

    async def organization(self, secret: str) -> ApiKey | None:
        """The active organization key with this secret (`sk_live_...` or `sk_test_...`)."""
        return await self._key(secret, KeyKind.ORGANIZATION)

    async def project(self, secret: str) -> ApiKey | None:
        """The active project key with this secret (`ck_live_...` or `ck_test_...`)."""
        return await self._key(secret, KeyKind.PROJECT)

    async def _key(self, secret: str, kind: KeyKind) -> ApiKey | None:
        """It is found by the hash of the secret; what the time of that search tells of a hash says nothing
        of the 256 bits that were hashed.
        """
        digest = _hash(secret)
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT secret_hash, id, tenant, mode FROM credentials WHERE secret_hash = %s AND kind = %s AND status = 'ACTIVE'",
                (digest, kind.value),
            )
            row = await cursor.fetchone()
        if row is None or not compare_digest(digest, bytes(row[0])):
            return None
        return ApiKey(row[1], row[2], kind, Mode(row[3]))

    async def user(self, token: str) -> User:
        """The person whom a token of an issuer names.

        Raises TokenRefused (TokenExpired, TokenOfAnotherKind) for a token that does not hold now,
        IssuerUnreachable when nobody can tell.
        """
        claims = self._issuer.verify_user(token)
        return User(
            claims.tenant,
            claims.mode,
            ISSUER,
            claims.subject,
            claims.email,
            claims.name,
            claims.signed_in_at,
            claims.token_id,
            self.pseudonym(claims.tenant, ISSUER, claims.subject),
        )

    def pseudonym(self, tenant: UUID, issuer: str, subject: str) -> str:
        """`User.id` of a person: `usr_` and 32 hex digits. Without the installation's key it tells nothing of the person."""
        name = f"user/v1\n{tenant}\n{issuer}\n{subject}".encode()
        return f"usr_{hmac.digest(self._pseudonym_key, name, 'sha256').hex()[:32]}"

    def bearer(self, token: str) -> Bearer | None:
        """Whom a bearer token names; None unless it is the local issuer's and holds now."""
        try:
            claims = self._issuer.verify(token)
        except TokenRefused:
            return None
        return Bearer(claims.subject, claims.tenant, administrator=claims.role == ADMINISTRATOR)

    def administrator(self, token: str) -> Administrator | None:
        """The administrator whom a bearer token names, if it holds now."""
        try:
            return self.recognise_administrator(token)
        except TokenRefused:
            return None

    def recognise_administrator(self, token: str) -> Administrator:
        """As `administrator`; raises TokenRefused (TokenExpired, TokenOfAnotherKind) for any other token."""
        claims = self._issuer.verify(token)
        if claims.role != ADMINISTRATOR:
            raise TokenOfAnotherKind("not an administrator's")
        return Administrator(claims.subject, claims.tenant)

    async def is_active(self, credential: str) -> bool:
        """Whether the credential with this id (`pk_...`, `ok_...`) exists and has not been revoked."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute("SELECT 1 FROM credentials WHERE id = %s AND status = 'ACTIVE'", (credential,))
            return await cursor.fetchone() is not None

    # Partner credentials

    async def partner_key_of(self, tenant: UUID) -> PartnerKey | None:
        """The tenant's active partner credential."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                f"{_COLUMNS} WHERE tenant = %s AND kind = 'partner' AND status = 'ACTIVE'", (tenant,)
            )
            row = await cursor.fetchone()
        return None if row is None else PartnerKey(*row)

    async def create_partner_key(self, tenant: UUID, method: Method) -> NewPartnerKey:
        """Makes the tenant's partner credential; raises UnknownTenant.

        A tenant has one. Where one is active it is replaced: whoever asks for a new secret has lost the
        old one or no longer trusts it, and it stops working in the same transaction.
        """
        async with self._changing(tenant) as connection:
            return await self._create_partner_key(connection, tenant, method)

    async def answer_partner_key_creation(
        self, tenant: UUID, method: Method, render: Callable[[NewPartnerKey], Answer], key: Key | None
    ) -> Answer:
        """As `create_partner_key`, with the answer to it; a repeat under `key` gets the first answer, byte for byte.

        The answer is kept without the secret, which is put in again for a repeat. Raises
        IdempotencyKeyReused for another request under the same key.
        """

        async def act(connection: Connection) -> tuple[Answer, str | None]:
            created = await self._create_partner_key(connection, tenant, method)
            return render(created), created.key.id

        return await self._once(tenant, key, act)

    async def revoke_partner_key(self, tenant: UUID) -> bool:
        """Revokes the tenant's active partner credential; False if there is none."""
        async with self._changing(tenant) as connection:
            return await self._revoke_partner_key(connection, tenant)

    async def answer_partner_key_revocation(self, tenant: UUID, render: Callable[[bool], Answer], key: Key | None) -> Answer:
        """As `revoke_partner_key`, with the answer to it; a repeat under `key` gets the first one, unless nothing was done."""

        async def act(connection: Connection) -> tuple[Answer, str | None]:
            return render(await self._revoke_partner_key(connection, tenant)), None

        return await self._once(tenant, key, act)

    async def _create_partner_key(self, connection: Connection, tenant: UUID, method: Method) -> NewPartnerKey:
        await self._revoke_partner_key(connection, tenant)
        now = self._clock.now()
        key = PartnerKey(self._new_id("pk", now), tenant, method, "ACTIVE", now, now)
        secret = self._secret(key.id)
        await self._insert(connection, key.id, tenant, _PARTNER, Mode.LIVE, method, now)
        return NewPartnerKey(key, secret)

    async def _revoke_partner_key(self, connection: Connection, tenant: UUID) -> bool:
        cursor = await connection.execute(
            "UPDATE credentials SET status = 'REVOKED', updated_at = %s WHERE tenant = %s AND kind = 'partner' AND status = 'ACTIVE'",
            (self._clock.now(), tenant),
        )
        return cursor.rowcount > 0

    # Organization keys, and all credentials

    async def create_organization_key(self, tenant: UUID, mode: Mode) -> tuple[OrganizationKey, str]:
        """A further key of the tenant, with its secret, which is shown this once; raises UnknownTenant."""
        now = self._clock.now()
        key = OrganizationKey(self._new_id("ok", now), tenant, mode)
        async with self._changing(tenant) as connection:
            await self._insert(connection, key.id, tenant, _ORGANIZATION, mode, "KEY", now)
        return key, self._secret(key.id, mode)

    async def revoke_key(self, credential: str) -> bool:
        """Revokes a credential by its id; False if it does not exist or was revoked before."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "UPDATE credentials SET status = 'REVOKED', updated_at = %s WHERE id = %s AND status = 'ACTIVE'",
                (self._clock.now(), credential),
            )
            return cursor.rowcount > 0

    async def credentials(self, tenant: UUID | None = None) -> tuple[Credential, ...]:
        """All credentials, of one tenant if given, the oldest first; revoked ones too, as a trail."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT id, tenant, kind, mode, method, status, created_at, updated_at FROM credentials"
                " WHERE %s::uuid IS NULL OR tenant = %s ORDER BY created_at, id",
                (tenant, tenant),
            )
            rows = await cursor.fetchall()
        return tuple(Credential(row[0], row[1], row[2], Mode(row[3]), *row[4:]) for row in rows)

    def _new_id(self, prefix: str, now: datetime) -> str:
        return f"{prefix}_{ulid(now, self._random(10))}"

    def _secret(self, credential: str, mode: Mode = Mode.LIVE) -> str:
        """The secret of a credential: 256 bits, the same each time."""
        prefix = "sk_live_partner_" if credential.startswith("pk_") else f"sk_{mode}_"
        return prefix + mint(self._secret_key, "credential/v1", credential)

    async def _insert(
        self, connection: Connection, credential: str, tenant: UUID, kind: str, mode: Mode, method: Method, now: datetime
    ) -> None:
        digest = _hash(self._secret(credential, mode))
        await connection.execute(
            "INSERT INTO credentials (id, tenant, kind, mode, method, secret_hash, status, created_at, updated_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'ACTIVE', %s, %s)",
            (credential, tenant, kind, mode.value, method, digest, now, now),
        )

    # Administrators, tenants and credits

    def mint_user_token(
        self, tenant: UUID, subject: str, mode: Mode, lifetime: timedelta, email: str | None = None, name: str | None = None
    ) -> str:
        """A bearer token of a person who signed in now; ValueError for what would not be accepted (see `issuer`)."""
        return self._issuer.mint_user(subject, tenant, mode, lifetime, email, name)

    def mint_admin_token(self, tenant: UUID, lifetime: timedelta, subject: str = "local-administrator") -> str:
        """A bearer token for the administration of `tenant`; ValueError for a lifetime out of range (see `issuer`)."""
        return self._issuer.mint(subject, tenant, ADMINISTRATOR, lifetime)

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

    # Transactions

    @asynccontextmanager
    async def _changing(self, tenant: UUID) -> AsyncIterator[Connection]:
        """A transaction in which nobody else changes what belongs to `tenant` here; raises UnknownTenant."""
        async with self._pool.connection() as connection, connection.transaction():
            cursor = await connection.execute("SELECT 1 FROM tenants WHERE id = %s FOR NO KEY UPDATE", (tenant,))
            if await cursor.fetchone() is None:
                raise UnknownTenant(str(tenant))
            yield connection

    async def _once(
        self, tenant: UUID, key: Key | None, act: Callable[[Connection], Awaitable[tuple[Answer, str | None]]]
    ) -> Answer:
        """Runs `act` unless `key` was answered before. `act` answers, and names the credential whose secret it shows.

        The record commits with what was done. An answer that says that nothing was done (a status of
        400 or more) is not kept, so that a repeat is decided anew.
        """
        async with self._changing(tenant) as connection:
            if key is not None and (first := await self._first_answer(connection, key)) is not None:
                return first
            answer, shown = await act(connection)
            if key is not None and answer.status < 400:
                body = answer.body if shown is None else answer.body.replace(self._secret(shown).encode(), _blank(shown))
                await connection.execute(
                    "INSERT INTO idempotency (scope, key, request_hash, status, media_type, body, streams, created_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, '{}', %s)",
                    (key.scope, key.key, key.request_hash, answer.status, answer.media_type, body, self._clock.now()),
                )
            return answer

    async def _first_answer(self, connection: Connection, key: Key) -> Answer | None:
        cursor = await connection.execute(
            "SELECT request_hash, status, media_type, body FROM idempotency WHERE scope = %s AND key = %s", (key.scope, key.key)
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        if bytes(row[0]) != key.request_hash:
            raise IdempotencyKeyReused
        body = _BLANK.sub(lambda blank: self._secret(blank[1].decode()).encode(), bytes(row[3]))
        return Answer(row[1], row[2], body)


#: Stands in a kept answer where the secret of a partner credential was.
_BLANK: Final = re.compile(rb"\{secret of (pk_[0-9A-Z]{26})\}")


def _blank(credential: str) -> bytes:
    return f"{{secret of {credential}}}".encode()


def _hash(secret: str) -> bytes:
    """What is stored of a secret and compared: its SHA-256 (32 bytes); the secrets have 256 bits, so no slow hash is needed."""
    return sha256(secret[:MAX_SECRET_CHARACTERS].encode(errors="surrogatepass")).digest()


@asynccontextmanager
async def _balance_errors() -> AsyncIterator[None]:
    try:
        yield
    except (errors.CheckViolation, errors.NumericValueOutOfRange) as err:
        raise BalanceOutOfRange("a balance is from 0 to 9223372036854775807") from err
