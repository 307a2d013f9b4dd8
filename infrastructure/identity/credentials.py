"""The credentials of API clients: made, recognised, revoked.

Of a secret only its SHA-256 is stored. The secret itself is derived from the credential's id, so that
a repeat of the request that made it can show it again. Nothing here is cached: a credential that was
revoked is refused from the next request on, by every process.
"""

import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Final
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from domain.actor import Mode
from domain.errors import IdempotencyKeyReused
from domain.ids import IdError, parse_uuid, ulid
from infrastructure.append import Answer
from infrastructure.clock import Clock
from infrastructure.identity.records import ApiKey, Credential, KeyKind, Method, NewKey, NewPartnerKey, PartnerKey
from infrastructure.identity.tenants import Connection, Tenants
from infrastructure.ledger import Key
from infrastructure.secrets import Keys, mint

_PARTNER: Final = "partner"

#: How the id and the secret of a key begin; a secret goes on with its mode.
_ID_PREFIXES: Final = {KeyKind.PROJECT: "pj", KeyKind.ORGANIZATION: "ok"}
_SECRET_PREFIXES: Final = {"pj": "ck", "ok": "sk"}

#: Ours have 59 characters; of what is longer only the beginning is hashed, which matches nothing.
MAX_SECRET_CHARACTERS: Final = 256

#: Compared with when a tenant has no credential, so that the time taken does not tell whether it has one.
_NO_HASH: Final = bytes(32)

_COLUMNS: Final = "SELECT id, tenant, method, status, created_at, updated_at FROM credentials"

_CREDENTIAL_ID: Final = re.compile(r"(pk|pj|ok)_[0-9A-Z]{26}")

#: Stands in a kept answer where the secret of a credential was. Without a mode it is a partner's, from before keys had one.
_BLANK: Final = re.compile(rb"\{secret of ((?:pk|pj|ok)_[0-9A-Z]{26})(?: (live|test))?\}")

#: Whose secret an answer shows.
_Shown = tuple[str, Mode]


class Credentials(Tenants):
    """Makes, recognises and revokes credentials. `pool` is opened and closed by its owner."""

    def __init__(
        self, pool: AsyncConnectionPool, keys: Keys, clock: Clock, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        super().__init__(pool, clock, random)
        self._secret_key = keys.tokens

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

        async def act(connection: Connection) -> tuple[Answer, _Shown | None]:
            created = await self._create_partner_key(connection, tenant, method)
            return render(created), (created.key.id, Mode.LIVE)

        return await self._once(tenant, key, act)

    async def revoke_partner_key(self, tenant: UUID) -> bool:
        """Revokes the tenant's active partner credential; False if there is none."""
        async with self._changing(tenant) as connection:
            return await self._revoke_partner_key(connection, tenant)

    async def answer_partner_key_revocation(self, tenant: UUID, render: Callable[[bool], Answer], key: Key | None) -> Answer:
        """As `revoke_partner_key`, with the answer to it; a repeat under `key` gets the first one, unless nothing was done."""

        async def act(connection: Connection) -> tuple[Answer, _Shown | None]:
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

    # Keys of projects and organizations, and all credentials

    async def create_key(self, tenant: UUID, kind: KeyKind, mode: Mode) -> NewKey:
        """A further key of the tenant, with its secret, which is shown this once; raises UnknownTenant."""
        async with self._changing(tenant) as connection:
            return await self._create_key(connection, tenant, kind, mode)

    async def create_organization_key(self, tenant: UUID, mode: Mode) -> tuple[ApiKey, str]:
        """As `create_key`."""
        new = await self.create_key(tenant, KeyKind.ORGANIZATION, mode)
        return new.key, new.secret

    async def answer_key_creation(
        self, tenant: UUID, kind: KeyKind, mode: Mode, render: Callable[[NewKey], Answer], key: Key | None
    ) -> Answer:
        """As `create_key`, with the answer to it; repeats and errors as in `answer_partner_key_creation`."""

        async def act(connection: Connection) -> tuple[Answer, _Shown | None]:
            created = await self._create_key(connection, tenant, kind, mode)
            return render(created), (created.key.id, mode)

        return await self._once(tenant, key, act)

    async def revoke_key(self, credential: str, tenant: UUID | None = None) -> bool:
        """Revokes a credential by its id; False if it does not exist, is not the tenant's (if given), or was revoked before."""
        async with self._pool.connection() as connection:
            return await self._revoke_key(connection, credential, tenant)

    async def answer_key_revocation(
        self, tenant: UUID, credential: str, render: Callable[[bool], Answer], key: Key | None
    ) -> Answer:
        """As `revoke_key`, with the answer to it; a repeat under `key` gets the first one, unless nothing was done."""

        async def act(connection: Connection) -> tuple[Answer, _Shown | None]:
            return render(await self._revoke_key(connection, credential, tenant)), None

        return await self._once(tenant, key, act)

    async def _create_key(self, connection: Connection, tenant: UUID, kind: KeyKind, mode: Mode) -> NewKey:
        now = self._clock.now()
        key = ApiKey(self._new_id(_ID_PREFIXES[kind], now), tenant, kind, mode)
        await self._insert(connection, key.id, tenant, kind.value, mode, "KEY", now)
        return NewKey(key, self._secret(key.id, mode))

    async def _revoke_key(self, connection: Connection, credential: str, tenant: UUID | None) -> bool:
        if not _CREDENTIAL_ID.fullmatch(credential):
            return False
        cursor = await connection.execute(
            "UPDATE credentials SET status = 'REVOKED', updated_at = %s"
            " WHERE id = %s AND status = 'ACTIVE' AND (%s::uuid IS NULL OR tenant = %s)",
            (self._clock.now(), credential, tenant, tenant),
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
        kind = credential[:2]
        prefix = "sk_live_partner_" if kind == "pk" else f"{_SECRET_PREFIXES[kind]}_{mode.value}_"
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

    # Repeats

    async def _once(
        self, tenant: UUID, key: Key | None, act: Callable[[Connection], Awaitable[tuple[Answer, _Shown | None]]]
    ) -> Answer:
        """Runs `act` unless `key` was answered before. `act` answers, and tells whose secret the answer shows.

        The record commits with what was done. An answer that says that nothing was done (a status of
        400 or more) is not kept, so that a repeat is decided anew.
        """
        async with self._changing(tenant) as connection:
            if key is not None and (first := await self._first_answer(connection, key)) is not None:
                return first
            answer, shown = await act(connection)
            if key is not None and answer.status < 400:
                body = answer.body
                if _BLANK.search(body):  # a repeat would put a secret there, perhaps somebody else's
                    raise ValueError("an answer holds what stands for a secret in a kept one")
                if shown is not None:
                    body = body.replace(self._secret(*shown).encode(), f"{{secret of {shown[0]} {shown[1].value}}}".encode())
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

        def filled(blank: re.Match[bytes]) -> bytes:
            return self._secret(blank[1].decode(), Mode((blank[2] or b"live").decode())).encode()

        return Answer(row[1], row[2], _BLANK.sub(filled, bytes(row[3])))


def _hash(secret: str) -> bytes:
    """What is stored of a secret and compared: its SHA-256 (32 bytes); the secrets have 256 bits, so no slow hash is needed."""
    return sha256(secret[:MAX_SECRET_CHARACTERS].encode(errors="surrogatepass")).digest()
