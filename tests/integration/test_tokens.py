"""Tokens of the local issuer, an administrator's and a user's, and whom any token names."""

import asyncio
import base64
import hmac
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.actor import Mode
from infrastructure.clock import FixedClock, OffsetClock
from infrastructure.database import DatabaseUrls, async_pool
from infrastructure.identity import Identity
from infrastructure.issuer import AUDIENCE, ISSUER, LEEWAY, MAX_LIFETIME, USER_AUDIENCE, LocalIssuer
from infrastructure.issuers import OidcIssuer
from infrastructure.oidc import Oidc
from infrastructure.secrets import Keys
from infrastructure.tokens import TokenExpired, TokenOfAnotherKind, TokenRefused
from tests.issuer_server import RSA, issuer_server

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


def test_a_users_token_and_an_administrators_are_never_taken_for_each_other(clock: FixedClock) -> None:
    local = issuer(clock)
    user = local.mint_user("ana", UUID(int=7), Mode.TEST, HOUR, "ana@example.com", "Ana Lima")
    admin = local.mint("ana", UUID(int=7), "admin", HOUR)
    found = local.verify_user(user)
    assert (found.subject, found.tenant, found.mode, found.email, found.name) == (
        "ana",
        UUID(int=7),
        Mode.TEST,
        "ana@example.com",
        "Ana Lima",
    )
    assert found.signed_in_at == NOW
    assert found.token_id
    assert local.verify_user(local.mint_user("ana", UUID(int=7), Mode.TEST, HOUR)).token_id != found.token_id
    with pytest.raises(TokenOfAnotherKind):
        local.verify(user)
    with pytest.raises(TokenOfAnotherKind):
        local.verify_user(admin)
    clock.advance(HOUR + LEEWAY)
    with pytest.raises(TokenExpired):
        local.verify_user(user)


@pytest.mark.parametrize(
    "changed",
    [{name: None} for name in ("iss", "aud", "sub", "iat", "exp", "tenant", "mode")]
    + [
        {"mode": "both"},
        {"mode": ["live"]},
        {"mode": {}},
        {"tenant": 7},
        {"aud": [USER_AUDIENCE]},
        {"auth_time": "now"},
        {"sub": ""},
    ],
    ids=str,
)
def test_a_users_claim_that_is_missing_or_wrong_refuses_the_token(clock: FixedClock, changed: dict[str, Any]) -> None:
    content = {"aud": USER_AUDIENCE, "mode": "live", "role": None}
    assert issuer(clock).verify_user(_signed(claims(**content))).subject == "ana"
    with pytest.raises(TokenRefused):
        issuer(clock).verify_user(_signed(claims(**(content | changed))))


def test_a_user_has_one_pseudonym_in_a_tenant_and_it_does_not_tell_who_they_are(database: DatabaseUrls) -> None:
    async def work(identity: Identity, tenant: UUID) -> None:
        first = await identity.user(identity.mint_user_token(tenant, "ana@example.com", Mode.LIVE, HOUR))
        again = await identity.user(identity.mint_user_token(tenant, "ana@example.com", Mode.TEST, HOUR))
        assert first.id == again.id
        assert first.id.startswith("usr_")
        assert len(first.id) == 36
        assert identity.pseudonym(uuid4(), first.issuer, first.subject) != first.id
        assert identity.pseudonym(tenant, "https://x.example", first.subject) != first.id
        elsewhere = Identity(identity._pool, Keys.derive(bytes(32), bytes([1]) * 32), FixedClock(NOW))
        assert elsewhere.pseudonym(tenant, first.issuer, first.subject) != first.id

    run(database, work)


def test_a_token_of_an_issuer_in_the_settings_names_its_user(database: DatabaseUrls) -> None:
    async def inside() -> None:
        async with async_pool(database.service) as pool, issuer_server() as server:
            clock, tenant = OffsetClock(), uuid4()
            known = OidcIssuer(issuer=server.url, audience="countersign", tenant=tenant, mode=Mode.TEST)
            oidc = Oidc([known], clock, LEEWAY)
            identity = Identity(pool, KEYS, clock, oidc=oidc)
            user = await identity.user(server.token(RSA, "RS256"))
            assert (user.tenant, user.mode, user.issuer, user.subject) == (tenant, Mode.TEST, server.url, "auth0|ana")
            assert (user.email, user.id) == ("ana@example.com", identity.pseudonym(tenant, server.url, "auth0|ana"))
            assert (await identity.user(identity.mint_user_token(tenant, "bob", Mode.LIVE, HOUR))).subject == "bob"
            for claimed in (ISSUER, "https://elsewhere.example"):
                with pytest.raises(TokenRefused):
                    await identity.user(server.token(RSA, "RS256", iss=claimed, tenant=str(tenant), mode="live"))
            await oidc.close()

    asyncio.run(inside())
