"""Tenants, credentials, administrators' tokens and credits, on a real database."""

import asyncio
import base64
import hmac
import json
import statistics
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.actor import Mode
from domain.errors import IdempotencyKeyReused
from infrastructure.append import Answer
from infrastructure.clock import FixedClock
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.identity import BalanceOutOfRange, Identity, NewPartnerKey, NotLimited, UnknownTenant
from infrastructure.issuer import AUDIENCE, ISSUER, LEEWAY, MAX_LIFETIME, LocalIssuer
from infrastructure.ledger import Key
from infrastructure.secrets import Keys
from infrastructure.tokens import TokenRefused

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
KEYS = Keys.derive(bytes(32), bytes(32))
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


def run(
    database: DatabaseUrls, work: Callable[[Identity, UUID], Coroutine[Any, Any, None]], clock: FixedClock | None = None
) -> None:
    """Runs `work` with an identity and a tenant."""

    async def inside() -> None:
        async with async_pool(database.service) as pool:
            identity = Identity(pool, KEYS, clock or FixedClock(NOW))
            await work(identity, await identity.create_tenant("Ana"))

    asyncio.run(inside())


def shown(new: NewPartnerKey) -> Answer:
    return Answer(201, "application/json", json.dumps({"keyId": new.key.id, "apiKey": new.secret}).encode())


# Credentials


def test_a_partner_key_lets_in_its_tenant_alone(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        new = await identity.create_partner_key(tenant, "KEY")
        other = await identity.create_tenant("Bob")
        await identity.create_partner_key(other, "KEY")
        assert new.secret.startswith("sk_live_partner_")
        assert len(new.secret) == len("sk_live_partner_") + 43
        assert await identity.partner(str(tenant), new.secret) == new.key == await identity.partner_key_of(tenant)
        assert await identity.partner(str(tenant).upper(), new.secret) == new.key
        assert await identity.partner(str(other), new.secret) is None
        assert await identity.organization(new.secret) is None
        for wrong in ("", " ", new.secret[:-1], new.secret + "x", new.secret.upper(), new.key.id, "x" * 10_000, "\udcff", "\x00"):
            assert await identity.partner(str(tenant), wrong) is None

    run(database, work)


@pytest.mark.parametrize("tenant_id", ["", "x", "00000000-0000-0000-0000-000000000000", "{%s}", "urn:uuid:%s", "\x00", "é"])
def test_a_tenant_that_does_not_exist_lets_nobody_in(database: DatabaseUrls, tenant_id: str) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        new = await identity.create_partner_key(tenant, "KEY")
        assert await identity.partner(tenant_id.replace("%s", str(tenant)), new.secret) is None

    run(database, work)


def test_only_an_hmac_credential_takes_the_prefix(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        key = await identity.create_partner_key(tenant, "KEY")
        assert await identity.partner(str(tenant), f"HMAC {key.secret}") is None
        signed = await identity.create_partner_key(tenant, "HMAC")
        assert await identity.partner(str(tenant), f"HMAC {signed.secret}") == signed.key
        assert await identity.partner(str(tenant), signed.secret) == signed.key
        assert await identity.partner(str(tenant), f"Bearer {signed.secret}") is None

    run(database, work)


def test_a_new_partner_key_replaces_the_one_before(database: DatabaseUrls, clock: FixedClock) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        first = await identity.create_partner_key(tenant, "KEY")
        clock.advance(HOUR)
        second = await identity.create_partner_key(tenant, "KEY")
        assert first.secret != second.secret
        assert await identity.partner(str(tenant), first.secret) is None
        assert await identity.partner(str(tenant), second.secret) == second.key
        assert [(item.id, item.status, item.updated_at) for item in await identity.credentials(tenant)] == [
            (first.key.id, "REVOKED", NOW + HOUR),
            (second.key.id, "ACTIVE", NOW + HOUR),
        ]

    run(database, work, clock)


def test_a_revoked_key_is_refused_at_once_by_every_process(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        new = await identity.create_partner_key(tenant, "KEY")
        organization, secret = await identity.create_organization_key(tenant, Mode.TEST)
        async with async_pool(database.service) as pool:
            elsewhere = Identity(pool, KEYS, FixedClock(NOW))
            assert await elsewhere.partner(str(tenant), new.secret) == new.key
            assert await elsewhere.organization(secret) == organization
            assert await elsewhere.is_active(new.key.id)
            assert await identity.revoke_partner_key(tenant)
            assert await identity.revoke_key(organization.id)
            assert await elsewhere.partner(str(tenant), new.secret) is None
            assert await elsewhere.organization(secret) is None
            assert not await elsewhere.is_active(new.key.id)
            assert not await elsewhere.is_active(organization.id)
        assert not await identity.revoke_partner_key(tenant)
        assert not await identity.revoke_key(organization.id)
        assert not await identity.revoke_key("pk_unknown")
        assert await identity.partner_key_of(tenant) is None

    run(database, work)


def test_organization_keys_are_of_one_mode_and_there_may_be_many(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        live, live_secret = await identity.create_organization_key(tenant, Mode.LIVE)
        test, test_secret = await identity.create_organization_key(tenant, Mode.TEST)
        assert live_secret.startswith("sk_live_")
        assert test_secret.startswith("sk_test_")
        assert await identity.organization(live_secret) == live
        assert await identity.organization(test_secret) == test
        assert await identity.organization(test_secret.replace("sk_test_", "sk_live_")) is None
        assert await identity.organization("") is None
        assert await identity.partner(str(tenant), live_secret) is None

    run(database, work)


def test_no_secret_is_stored_anywhere(database: DatabaseUrls) -> None:
    secrets: list[str] = []

    def render(new: NewPartnerKey) -> Answer:
        secrets.append(new.secret)
        return shown(new)

    async def work(identity: Identity, tenant: UUID) -> None:
        secrets.append((await identity.create_organization_key(tenant, Mode.LIVE))[1])
        await identity.answer_partner_key_creation(tenant, "KEY", render, Key("partner:admin", "k", b"request"))

    run(database, work)
    assert len(secrets) == 2
    with connect(database.owner) as connection:
        rows = connection.execute("SELECT secret_hash FROM credentials UNION ALL SELECT body FROM idempotency").fetchall()
    assert len(rows) == 3
    for secret in secrets:
        assert not any(secret.encode() in bytes(row[0]) or secret[-43:].encode() in bytes(row[0]) for row in rows)
        assert (sha256(secret.encode()).digest(),) in [(bytes(row[0]),) for row in rows]


def test_the_table_refuses_a_second_active_partner_key(database: DatabaseUrls) -> None:
    """What the code promises holds against code that forgets it."""

    async def work(identity: Identity, tenant: UUID) -> None:
        await asyncio.gather(*(identity.create_partner_key(tenant, "KEY") for _ in range(8)))
        assert [item.status for item in await identity.credentials(tenant)].count("ACTIVE") == 1

    run(database, work)
    with connect(database.service) as connection, pytest.raises(Exception, match="credentials_one_partner"):
        connection.execute("UPDATE credentials SET status = 'ACTIVE'")


def test_credentials_need_a_tenant(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        for attempt in (
            identity.create_partner_key(uuid4(), "KEY"),
            identity.create_organization_key(uuid4(), Mode.LIVE),
            identity.revoke_partner_key(uuid4()),
            identity.set_credits(uuid4(), 5),
            identity.credits(uuid4()),
        ):
            with pytest.raises(UnknownTenant):
                await attempt

    run(database, work)


# Repeats


def test_a_repeat_shows_the_same_secret_and_makes_no_other(database: DatabaseUrls, clock: FixedClock) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        key = Key("partner:admin", "k", b"request")
        first = await identity.answer_partner_key_creation(tenant, "KEY", shown, key)
        clock.advance(HOUR)
        again = await identity.answer_partner_key_creation(tenant, "KEY", shown, key)
        assert again == first
        assert len(await identity.credentials(tenant)) == 1
        assert await identity.partner(str(tenant), json.loads(first.body)["apiKey"]) is not None
        with pytest.raises(IdempotencyKeyReused):
            await identity.answer_partner_key_creation(tenant, "HMAC", shown, Key("partner:admin", "k", b"other"))
        assert len(await identity.credentials(tenant)) == 1
        without = await identity.answer_partner_key_creation(tenant, "KEY", shown, None)
        assert without != first

    run(database, work, clock)


def test_simultaneous_repeats_make_one_credential(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        key = Key("partner:admin", "k", b"request")
        answers = await asyncio.gather(*(identity.answer_partner_key_creation(tenant, "KEY", shown, key) for _ in range(8)))
        assert len(set(answers)) == 1
        assert len(await identity.credentials(tenant)) == 1

    run(database, work)


def test_a_repeated_revocation_is_answered_as_the_first_one(database: DatabaseUrls) -> None:
    def render(revoked: bool) -> Answer:
        return Answer(200 if revoked else 404, "application/json", b"%d" % revoked)

    async def work(identity: Identity, tenant: UUID) -> None:
        key = Key("partner:admin", "k", b"request")
        nothing = await identity.answer_partner_key_revocation(tenant, render, key)
        assert nothing.status == 404
        await identity.create_partner_key(tenant, "KEY")
        assert (await identity.answer_partner_key_revocation(tenant, render, key)).status == 200
        assert (await identity.answer_partner_key_revocation(tenant, render, key)).status == 200
        assert (await identity.answer_partner_key_revocation(tenant, render, None)).status == 404

    run(database, work)


# Tokens


def issuer(clock: FixedClock) -> LocalIssuer:
    return LocalIssuer(KEYS, clock)


def private_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hmac.new(KEYS.tokens, b"local-issuer/ed25519/v1", sha256).digest())


def claims(**changed: Any) -> dict[str, Any]:
    content = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ana",
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + HOUR).timestamp()),
        "tenant": str(UUID(int=7)),
        "role": "admin",
    } | changed
    return {name: value for name, value in content.items() if value is not None}


def test_an_administrators_token_names_its_tenant(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        administrator = identity.administrator(identity.mint_admin_token(tenant, HOUR, "ana"))
        assert administrator is not None
        assert (administrator.subject, administrator.tenant) == ("ana", tenant)

    run(database, work)


def test_another_role_is_known_but_is_no_administrator(database: DatabaseUrls, clock: FixedClock) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        token = issuer(clock).mint("bob", tenant, "member", HOUR)
        assert identity.administrator(token) is None
        bearer = identity.bearer(token)
        assert bearer is not None
        assert (bearer.subject, bearer.tenant, bearer.administrator) == ("bob", tenant, False)

    run(database, work, clock)


def test_a_token_holds_for_its_lifetime_and_a_little_leeway(clock: FixedClock) -> None:
    token = issuer(clock).mint("ana", UUID(int=7), "admin", HOUR)
    clock.advance(HOUR + LEEWAY - timedelta(seconds=1))
    assert issuer(clock).verify(token).expires_at == NOW + HOUR
    clock.advance(timedelta(seconds=1))
    with pytest.raises(TokenRefused, match="expired"):
        issuer(clock).verify(token)
    clock.set(NOW - LEEWAY - timedelta(seconds=1))
    with pytest.raises(TokenRefused, match="future"):
        issuer(clock).verify(token)


@pytest.mark.parametrize("lifetime", [timedelta(0), -HOUR, MAX_LIFETIME + timedelta(seconds=1)], ids=str)
def test_no_token_is_minted_for_ever_or_for_the_past(clock: FixedClock, lifetime: timedelta) -> None:
    with pytest.raises(ValueError, match="lives more than"):
        issuer(clock).mint("ana", UUID(int=7), "admin", lifetime)


@pytest.mark.parametrize(
    "changed",
    [{name: None} for name in ("iss", "aud", "sub", "iat", "exp", "tenant", "role")]
    + [{"iss": "https://elsewhere.example"}, {"aud": "another"}, {"exp": "soon"}, {"exp": 1e40}, {"exp": 2**70}, {"iat": "now"}]
    + [{"tenant": 7}, {"tenant": "7"}, {"tenant": ["x"]}, {"sub": 5}, {"role": ["admin"]}, {"exp": True}],
    ids=str,
)
def test_a_claim_that_is_missing_or_wrong_refuses_the_token(clock: FixedClock, changed: dict[str, Any]) -> None:
    assert issuer(clock).verify(_signed(claims())).subject == "ana"
    with pytest.raises(TokenRefused):
        issuer(clock).verify(_signed(claims(**changed)))


def _part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def _signed(content: object, header: dict[str, Any] | None = None) -> str:
    text = f"{_part(header or {'alg': 'EdDSA', 'typ': 'JWT'})}.{_part(content)}"
    return f"{text}.{base64.urlsafe_b64encode(private_key().sign(text.encode())).rstrip(b'=').decode()}"


def test_the_tokens_own_word_for_its_algorithm_counts_for_nothing(clock: FixedClock) -> None:
    """`none`, and the public key taken for a shared secret: the two oldest attacks on JWT (RFC 8725 section 2.1)."""
    assert issuer(clock).verify(_signed(claims())).subject == "ana"
    unsigned = f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims())}."
    public = private_key().public_key()
    forms = [
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ]
    forged = []
    for secret in forms:
        text = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims())}"
        mac = hmac.new(secret, text.encode(), sha256).digest()
        forged.append(f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")
    mislabelled = _signed(claims(), {"alg": "HS256", "typ": "JWT"})
    for token in [unsigned, *forged, mislabelled]:
        with pytest.raises(TokenRefused):
            issuer(clock).verify(token)


def test_a_token_of_another_installation_is_refused(clock: FixedClock) -> None:
    other = LocalIssuer(Keys.derive(bytes([1]) * 32, bytes(32)), clock)
    with pytest.raises(TokenRefused):
        issuer(clock).verify(other.mint("ana", UUID(int=7), "admin", HOUR))


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "x" * 100_000, "é.é.é", "\x00", "Bearer x", "e30.e30.", "W10.W10.AA"])
def test_what_is_no_token_is_refused(clock: FixedClock, token: str) -> None:
    with pytest.raises(TokenRefused):
        issuer(clock).verify(token)


def test_no_changed_token_is_accepted(clock: FixedClock) -> None:
    token = issuer(clock).mint("ana", UUID(int=7), "admin", HOUR)
    signature = token.rindex(".")
    for place in range(signature):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(TokenRefused):
            issuer(clock).verify(changed)


# Credits


def test_credits_are_unlimited_until_a_balance_is_set(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        assert await identity.credits(tenant) is None
        with pytest.raises(NotLimited):
            await identity.add_credits(tenant, 5)
        await identity.set_credits(tenant, 3)
        assert await identity.credits(tenant) == 3
        assert await identity.add_credits(tenant, 4) == 7
        assert await identity.add_credits(tenant, -7) == 0
        with pytest.raises(BalanceOutOfRange):
            await identity.add_credits(tenant, -1)
        with pytest.raises(BalanceOutOfRange):
            await identity.set_credits(tenant, -1)
        with pytest.raises(BalanceOutOfRange):
            await identity.set_credits(tenant, 2**63)
        await identity.set_credits(tenant, 2**63 - 1)
        with pytest.raises(BalanceOutOfRange):
            await identity.add_credits(tenant, 1)
        assert [(found.name, found.balance) for found in await identity.tenants()] == [("Ana", 2**63 - 1)]
        await identity.set_credits(tenant, None)
        assert await identity.credits(tenant) is None

    run(database, work)


def test_simultaneous_additions_are_all_counted(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        await identity.set_credits(tenant, 0)
        await asyncio.gather(*(identity.add_credits(tenant, 1) for _ in range(20)))
        assert await identity.credits(tenant) == 20

    run(database, work)


# Time


def test_how_long_it_takes_does_not_tell_which_tenants_exist(database: DatabaseUrls) -> None:
    """Medians of requests with a wrong secret, taken in turns; a hash comparison left out would not show, a query would."""

    async def work(identity: Identity, tenant: UUID) -> None:
        await identity.create_partner_key(tenant, "KEY")
        candidates = [str(tenant), str(uuid4()), "not-a-tenant"]
        taken: dict[str, list[float]] = {candidate: [] for candidate in candidates}
        for _ in range(300):
            for candidate in candidates:
                began = time.perf_counter()
                assert await identity.partner(candidate, "sk_live_partner_wrong") is None
                taken[candidate].append(time.perf_counter() - began)
        medians = [statistics.median(times) for times in taken.values()]
        assert max(medians) < 1.5 * min(medians)

    run(database, work)
