"""Users' tokens of an OpenID Connect issuer: each way in which one may be wrong, against a real issuer on this machine."""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.actor import Mode
from infrastructure.clock import OffsetClock
from infrastructure.issuers import OidcIssuer
from infrastructure.oidc import Oidc
from infrastructure.tokens import MAX_TOKEN_CHARACTERS, TokenExpired, TokenRefused
from tests.issuer_server import EC, ED, RSA, RSA_OTHER, IssuerServer, issuer_server, jwk
from tests.running import in_loop

TENANT = UUID(int=7)
LEEWAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class World:
    issuer: IssuerServer
    oidc: Oidc
    clock: OffsetClock

    async def holds(self, token: str) -> bool:
        return (await self.oidc.verify(token)).subject == "auth0|ana"

    async def refuses(self, token: str) -> TokenRefused:
        with pytest.raises(TokenRefused) as refusal:
            await self.oidc.verify(token)
        return refusal.value


def configured(issuer: IssuerServer, **more: Any) -> OidcIssuer:
    return OidcIssuer.model_validate({"issuer": issuer.url, "audience": "countersign", "tenant": TENANT, **more})


@asynccontextmanager
async def world(**more: Any) -> AsyncIterator[World]:
    async with issuer_server() as issuer:
        clock = OffsetClock()
        oidc = Oidc([configured(issuer, **more)], clock, LEEWAY)
        yield World(issuer, oidc, clock)
        await oidc.close()


def part(content: object) -> str:
    return base64.urlsafe_b64encode(content if isinstance(content, bytes) else json.dumps(content).encode()).rstrip(b"=").decode()


def claims_of(token: str) -> Any:
    return jwt.decode(token, options={"verify_signature": False})


@in_loop
async def test_a_token_names_a_person_with_what_the_issuer_says_of_them() -> None:
    async with world() as w:
        token = w.issuer.token(RSA, "RS256")
        found = await w.oidc.verify(token)
        assert (found.by.tenant, found.by.mode, found.subject) == (TENANT, Mode.LIVE, "auth0|ana")
        assert (found.email, found.name, found.token_id) == ("ana@example.com", "Ana Lima", "t-1")
        assert found.signed_in_at == datetime.fromtimestamp(claims_of(token)["auth_time"], UTC)


@in_loop
async def test_what_the_issuer_does_not_say_is_absent() -> None:
    async with world() as w:
        found = await w.oidc.verify(w.issuer.token(RSA, "RS256", auth_time=None, name=None, jti=None, email=None))
        assert (found.email, found.name, found.token_id, found.signed_in_at) == (None, None, None, None)


@pytest.mark.parametrize("verified", [None, False, "true", 1, "yes", ["x"]], ids=str)
@in_loop
async def test_an_address_that_the_issuer_has_not_verified_counts_for_nothing(verified: object) -> None:
    async with world() as w:
        assert (await w.oidc.verify(w.issuer.token(RSA, "RS256", email_verified=verified))).email is None


@pytest.mark.parametrize(
    "email",
    ["", "ana", "a@b@c", "ana@example.com\nBcc: x", 'Ana" <ana@example.com>', "é" * 300 + "@x", 5, ["a@b.c"], "a b@c"],
    ids=str,
)
@in_loop
async def test_what_is_no_address_is_absent(email: object) -> None:
    async with world() as w:
        assert (await w.oidc.verify(w.issuer.token(RSA, "RS256", email=email))).email is None


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "EdDSA")], ids=lambda x: str(x)[:8]
)
@in_loop
async def test_the_usual_algorithms_are_taken(key: Any, algorithm: str) -> None:
    async with world() as w:
        w.issuer.keys = [jwk(RSA_OTHER, "k0"), jwk(key, "k1")]
        assert (await w.oidc.verify(w.issuer.token(key, algorithm))).subject == "auth0|ana"


@in_loop
async def test_an_algorithm_that_the_settings_leave_out_is_refused() -> None:
    async with world(algorithms=["ES256"]) as w:
        w.issuer.keys = [jwk(RSA, "k1"), jwk(EC, "k2")]
        assert "algorithm" in (await w.refuses(w.issuer.token(RSA, "RS256"))).reason
        assert await w.holds(w.issuer.token(EC, "ES256", "k2"))
    async with world() as w:
        assert "algorithm" in (await w.refuses(w.issuer.token(RSA, "RS512"))).reason
        assert w.issuer.asked == [], "a token that is refused by its header asks the issuer nothing"


@in_loop
async def test_none_and_the_public_key_as_a_shared_secret_are_refused() -> None:
    """RFC 8725 section 2.1."""
    async with world() as w:
        good = w.issuer.token(RSA, "RS256")
        assert await w.holds(good)
        claims = claims_of(good)
        for name in ("none", "None", "NONE", ""):
            for signature in ("", "AA", good.rsplit(".", 1)[1]):
                await w.refuses(f"{part({'alg': name, 'kid': 'k1'})}.{part(claims)}.{signature}")
        public = RSA.public_key()
        secrets = [
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            json.dumps(w.issuer.keys[0]).encode(),
            b"",
        ]
        for secret in secrets:
            text = f"{part({'alg': 'HS256', 'kid': 'k1'})}.{part(claims)}"
            await w.refuses(f"{text}.{part(hmac.digest(secret or b'0', text.encode(), sha256))}")


@in_loop
async def test_a_shared_secret_in_the_key_set_is_no_key() -> None:
    """An issuer that publishes a symmetric key has told it to everybody."""
    async with world() as w:
        w.issuer.keys = [{"kty": "oct", "k": part(b"s" * 32), "kid": "k1", "alg": "HS256"}]
        await w.refuses(w.issuer.token("s" * 32, "HS256"))  # type: ignore[arg-type]
        await w.refuses(w.issuer.token(RSA, "RS256"))


@in_loop
async def test_a_signature_by_another_key_or_with_another_algorithm_than_the_keys_is_refused() -> None:
    async with world() as w:
        assert "no key" in (await w.refuses(w.issuer.token(RSA_OTHER, "RS256"))).reason
    async with world() as w:
        w.issuer.keys = [jwk(RSA, "k1", alg="PS256")]
        await w.refuses(w.issuer.token(RSA, "RS256"))
        assert await w.holds(w.issuer.token(RSA, "PS256"))
    async with world() as w:
        w.issuer.keys = [jwk(EC, "k1")]
        await w.refuses(w.issuer.token(RSA, "RS256"))


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "RSA-OAEP"},
        {"alg": "HS256"},
        {"kty": "EC"},
        {"kty": "oct"},
        {"n": "AQAB"},
        {"n": ""},
        {"e": "!"},
        {"n": 5},
        {"d": "AQAB"},
        {"kty": None},
        {"kid": 5},
        {"kty": ["RSA"]},
        {"alg": ["RS256"]},
    ],
    ids=str,
)
@in_loop
async def test_a_key_that_is_not_fit_for_it_verifies_nothing(change: dict[str, Any]) -> None:
    async with world() as w:
        w.issuer.keys = [jwk(RSA, "k1", **change), "nonsense", None, [], jwk(EC, "k2")]  # type: ignore[list-item]
        await w.refuses(w.issuer.token(RSA, "RS256"))
        assert await w.holds(w.issuer.token(EC, "ES256", "k2")), "its neighbours are not touched by it"


@in_loop
async def test_keys_that_are_too_weak_too_large_or_of_another_curve_are_left_out() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    other = ec.generate_private_key(ec.SECP384R1())
    async with world(algorithms=["RS256", "ES256"]) as w:
        huge = jwk(RSA, "k3") | {"n": part(b"\xff" * 2000)}
        w.issuer.keys = [jwk(weak, "k1"), jwk(other, "k2"), huge, jwk(other, "k4", crv="P-256")]
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            await w.refuses(w.issuer.token(weak, "RS256", "k1"))
        for key_id in ("k2", "k4"):
            text = w.issuer.token(EC, "ES256", key_id)
            await w.refuses(text)


@in_loop
async def test_a_token_that_asks_for_what_is_not_understood_is_refused() -> None:
    """RFC 7515 section 4.1.11: an extension that is critical and not understood makes a signature invalid."""
    async with world() as w:
        asking: list[dict[str, Any]] = [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"zip": "DEF"}, {"enc": "A128GCM"}]
        for header in [*asking, {"crit": ["b64"], "b64": True}]:
            await w.refuses(_signed(w.issuer, header))
        assert await w.holds(_signed(w.issuer, {"x5u": "https://evil.example", "jku": "https://evil.example", "jwk": {}}))
        assert w.issuer.asked.count("/keys") == 1, "keys that a token brings or points to are not looked at"


def _signed(issuer: IssuerServer, header: dict[str, Any]) -> str:
    text = f"{part({'alg': 'RS256', 'kid': 'k1', **header})}.{part(claims_of(issuer.token(RSA, 'RS256')))}"
    return f"{text}.{part(RSA.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@pytest.mark.parametrize("kind", ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", "", 5, ["JWT"]], ids=str)
@in_loop
async def test_what_an_issuer_signs_for_another_purpose_names_nobody(kind: object) -> None:
    async with world() as w:
        await w.refuses(_signed(w.issuer, {"typ": kind}))
        await w.refuses(w.issuer.token(RSA, "RS256", events={"http://schemas.openid.net/event/backchannel-logout": {}}))
        for usual in ("JWT", "jwt", "at+jwt", "application/at+jwt"):
            assert await w.holds(_signed(w.issuer, {"typ": usual}))


@pytest.mark.parametrize(
    "changed",
    [{name: None} for name in ("iss", "aud", "sub", "iat", "exp")]
    + [
        {"aud": "another"},
        {"aud": []},
        {"aud": ["another"]},
        {"aud": ["countersign", 5]},
        {"aud": {"countersign": 1}},
        {"aud": "Countersign"},
    ]
    + [{"sub": ""}, {"sub": "x" * 256}, {"sub": 5}, {"sub": "a\nb"}, {"sub": "é"}, {"sub": ["a"]}, {"sub": "\x00"}]
    + [{"exp": "soon"}, {"exp": True}, {"exp": 2**70}, {"exp": -(2**70)}, {"exp": 1e300}, {"exp": [1]}, {"exp": float("nan")}]
    + [
        {"exp": float("inf")},
        {"iat": "now"},
        {"nbf": "now"},
        {"nbf": {}},
        {"auth_time": "now"},
        {"auth_time": False},
        {"iat": -1},
    ],
    ids=str,
)
@in_loop
async def test_a_claim_that_is_missing_or_wrong_refuses_the_token(changed: dict[str, Any]) -> None:
    async with world() as w:
        await w.refuses(w.issuer.token(RSA, "RS256", **changed) if "iss" not in changed else _without_issuer(w.issuer))


def _without_issuer(issuer: IssuerServer) -> str:
    claims = claims_of(issuer.token(RSA, "RS256"))
    del claims["iss"]
    return jwt.encode(claims, RSA, "RS256", headers={"kid": "k1"})


@in_loop
async def test_the_issuer_is_compared_to_the_letter() -> None:
    async with world() as w:
        for other in (
            w.issuer.url + "/",
            w.issuer.url.upper(),
            w.issuer.url.replace("127.0.0.1", "localhost"),
            "",
            "https://evil.example",
        ):
            await w.refuses(w.issuer.token(RSA, "RS256", iss=other))
        assert w.issuer.asked == [], "nobody can make us ask an issuer of their choice"


@in_loop
async def test_times_hold_against_our_clock_with_a_little_leeway() -> None:
    async with world() as w:
        token = w.issuer.token(RSA, "RS256")
        for still in (timedelta(0), -LEEWAY + timedelta(seconds=2), timedelta(hours=1, seconds=28)):
            w.clock.offset = still
            assert await w.holds(token)
        w.clock.offset = timedelta(hours=1, seconds=31)
        assert isinstance(await w.refuses(token), TokenExpired)
        w.clock.offset = -timedelta(seconds=33)
        assert "future" in (await w.refuses(token)).reason
        w.clock.offset = timedelta(0)
        now = int(w.clock.now().timestamp())
        assert "future" in (await w.refuses(w.issuer.token(RSA, "RS256", nbf=now + 60))).reason
        assert "future" in (await w.refuses(w.issuer.token(RSA, "RS256", auth_time=now + 60))).reason
        assert await w.holds(w.issuer.token(RSA, "RS256", nbf=now + 20, iat=now + 20, auth_time=now + 20))
        assert await w.holds(w.issuer.token(RSA, "RS256", exp=now + 60.5)), "a NumericDate may have a fraction"


@in_loop
async def test_an_audience_decides_between_two_worlds_of_one_issuer() -> None:
    async with issuer_server() as issuer:
        test = configured(issuer, audience="countersign-test", mode="test", tenant=UUID(int=8))
        oidc = Oidc([configured(issuer), test], OffsetClock(), LEEWAY)
        assert (await oidc.verify(issuer.token(RSA, "RS256"))).by.mode is Mode.LIVE
        found = await oidc.verify(issuer.token(RSA, "RS256", aud=["other", "countersign-test"]))
        assert (found.by.mode, found.by.tenant) == (Mode.TEST, UUID(int=8))
        with pytest.raises(TokenRefused):
            await oidc.verify(issuer.token(RSA, "RS256", aud=["countersign", "countersign-test"]))
        assert issuer.fetches == 1, "they share the issuer's keys"
        await oidc.close()


@in_loop
async def test_a_key_of_one_issuer_signs_nothing_for_another() -> None:
    async with issuer_server() as mine, issuer_server() as other:
        mine.keys, other.keys = [jwk(RSA, "k1")], [jwk(RSA_OTHER, "k1")]
        oidc = Oidc([configured(mine), configured(other, tenant=UUID(int=8))], OffsetClock(), LEEWAY)
        assert (await oidc.verify(mine.token(RSA, "RS256"))).by.tenant == TENANT
        with pytest.raises(TokenRefused):
            await oidc.verify(other.token(RSA, "RS256"))
        await oidc.close()


@in_loop
async def test_what_is_too_long_or_no_token_is_refused_before_anything_is_asked() -> None:
    async with world() as w:
        long = w.issuer.token(RSA, "RS256", groups=["x" * MAX_TOKEN_CHARACTERS])
        assert "too long" in (await w.refuses(long)).reason
        deep = f"{part({'alg': 'RS256'})}.{part(b'[' * 2800)}.AA"
        nested = ".".join([part(b'{"a":' * 1000), part({}), "AA"])
        good = w.issuer.token(RSA, "RS256")
        odd = [good + "=", good + ".", "." + good, good.replace(".", ".."), " " + good, good + "\n", good.replace(".", "。")]
        for token in ["", ".", "..", "a.b.c", "é.é.é", "\x00", "\udcff", "e30.e30.", "W10.W10.AA", deep, nested, *odd]:
            await w.refuses(token)
        assert w.issuer.asked == []


@in_loop
async def test_no_changed_token_is_accepted() -> None:
    async with world() as w:
        w.issuer.keys = [jwk(ED, "k1")]
        token = w.issuer.token(ED, "EdDSA")
        assert await w.holds(token)
        for place in range(len(token)):
            for other in ("A", "B", "_"):
                changed = token[:place] + other + token[place + 1 :]
                if changed != token:
                    await w.refuses(changed)


@in_loop
async def test_a_private_key_that_slipped_into_the_key_set_is_not_trusted() -> None:
    """Whoever could read it can sign."""
    async with world() as w:
        private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA))
        w.issuer.keys = [{**private, "kid": "k1"}]
        await w.refuses(w.issuer.token(RSA, "RS256"))
