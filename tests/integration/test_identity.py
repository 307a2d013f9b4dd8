"""Tenants, credentials and credits, on a real database."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.actor import Mode
from domain.errors import IdempotencyKeyReused
from infrastructure.append import Answer
from infrastructure.clock import FixedClock
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.identity import BalanceOutOfRange, Identity, KeyKind, NewKey, NewPartnerKey, NotLimited, UnknownTenant
from infrastructure.ledger import Key
from infrastructure.secrets import Keys

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


def test_project_keys_and_organization_keys_open_different_doors(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        project = await identity.create_key(tenant, KeyKind.PROJECT, Mode.TEST)
        organization = await identity.create_key(tenant, KeyKind.ORGANIZATION, Mode.TEST)
        assert (project.key.id[:3], organization.key.id[:3]) == ("pj_", "ok_")
        assert project.secret.startswith("ck_test_")
        assert organization.secret.startswith("sk_test_")
        assert project.secret not in repr(project)
        assert await identity.project(project.secret) == project.key
        assert await identity.organization(organization.secret) == organization.key
        assert await identity.organization(project.secret) is None
        assert await identity.project(organization.secret) is None
        assert await identity.project(project.secret.replace("ck_test_", "ck_live_")) is None
        assert await identity.project("ck_test_" + organization.secret[-43:]) is None
        for wrong in ("", "ck_test_", project.secret[:-1], project.secret + "x", "x" * 10_000, "\udcff", "\x00"):
            assert await identity.project(wrong) is None

    run(database, work)


def test_a_key_is_revoked_for_its_own_tenant_alone(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        other = await identity.create_tenant("Bob")
        new = await identity.create_key(tenant, KeyKind.PROJECT, Mode.LIVE)
        assert not await identity.revoke_key(new.key.id, other)
        assert await identity.project(new.secret) == new.key
        for nothing in ("", "pj_x", "pj_\x00", new.key.id.lower(), new.key.id + "\n"):
            assert not await identity.revoke_key(nothing, tenant)
        assert await identity.revoke_key(new.key.id, tenant)
        assert await identity.project(new.secret) is None
        assert not await identity.revoke_key(new.key.id, tenant)

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


@pytest.mark.parametrize("kind", KeyKind)
@pytest.mark.parametrize("mode", Mode)
def test_a_repeat_shows_the_secret_of_a_key_of_either_kind_and_mode(database: DatabaseUrls, kind: KeyKind, mode: Mode) -> None:
    secrets: list[str] = []

    def render(new: NewKey) -> Answer:
        secrets.append(new.secret)
        return Answer(201, "application/json", json.dumps({"id": new.key.id, "secret": new.secret}).encode())

    async def work(identity: Identity, tenant: UUID) -> None:
        key = Key("ledger:admin", "k", b"request")
        first = await identity.answer_key_creation(tenant, kind, mode, render, key)
        assert await identity.answer_key_creation(tenant, kind, mode, render, key) == first
        assert secrets == [json.loads(first.body)["secret"]]
        assert len(await identity.credentials(tenant)) == 1
        with pytest.raises(IdempotencyKeyReused):
            await identity.answer_key_creation(tenant, kind, mode, render, Key("ledger:admin", "k", b"other"))

    run(database, work)
    with connect(database.owner) as connection:
        bodies = connection.execute("SELECT body FROM idempotency").fetchall()
    assert [secrets[0][-43:].encode() in bytes(row[0]) for row in bodies] == [False]


def test_an_answer_cannot_ask_for_the_secret_of_another_key(database: DatabaseUrls) -> None:
    """What stands for a secret in a kept answer must not come from whoever words the answer."""

    async def work(identity: Identity, tenant: UUID) -> None:
        other = await identity.create_key(await identity.create_tenant("Bob"), KeyKind.PROJECT, Mode.LIVE)
        asking = Answer(201, "text/plain", b"{secret of %s live}" % other.key.id.encode())
        with pytest.raises(ValueError, match="stands for a secret"):
            await identity.answer_key_creation(tenant, KeyKind.PROJECT, Mode.LIVE, lambda _: asking, Key("s", "k", b"r"))
        assert await identity.credentials(tenant) == ()

    run(database, work)


def test_a_revocation_is_answered_again_as_the_first_time(database: DatabaseUrls) -> None:
    def render(revoked: bool) -> Answer:
        return Answer(200 if revoked else 404, "application/json", b"%d" % revoked)

    async def work(identity: Identity, tenant: UUID) -> None:
        new = await identity.create_key(tenant, KeyKind.ORGANIZATION, Mode.LIVE)
        stranger = await identity.create_tenant("Bob")
        key = Key("ledger:admin", "k", b"request")
        assert (await identity.answer_key_revocation(stranger, new.key.id, render, None)).status == 404
        assert [(await identity.answer_key_revocation(tenant, new.key.id, render, key)).status for _ in range(2)] == [200, 200]
        assert (await identity.answer_key_revocation(tenant, new.key.id, render, None)).status == 404

    run(database, work)


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
