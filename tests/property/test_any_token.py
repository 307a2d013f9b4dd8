"""Whatever is shown as a token is taken or refused; nothing else is ever raised."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.clock import OffsetClock
from infrastructure.issuer import LocalIssuer
from infrastructure.issuers import OidcIssuer
from infrastructure.oidc import Oidc
from infrastructure.tokens import TokenRefused
from tests.issuer_server import RSA, IssuerServer, issuer_server
from tests.running import KEYS

JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["countersign", "RS256", "k1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
HEADER_MEMBER: Final = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x5c", "cty", "zip"])
CLAIM: Final = st.sampled_from(
    ["iss", "aud", "sub", "exp", "iat", "nbf", "auth_time", "email", "email_verified", "name", "jti", "events"]
)


@asynccontextmanager
async def checked() -> AsyncIterator[tuple[IssuerServer, Oidc]]:
    async with issuer_server() as issuer:
        known = OidcIssuer.model_validate({"issuer": issuer.url, "audience": "countersign", "tenant": UUID(int=7)})
        oidc = Oidc([known], OffsetClock(), timedelta(seconds=30))
        yield issuer, oidc
        await oidc.close()


def part(content: object) -> str:
    return base64.urlsafe_b64encode(content if isinstance(content, bytes) else json.dumps(content).encode()).rstrip(b"=").decode()


class Anything:
    """An issuer for which each example of hypothesis is one more token; the keys are fetched once."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.stack = checked()
        self.issuer, self.oidc = self.runner.run(self.stack.__aenter__())
        self.local = LocalIssuer(KEYS, OffsetClock())
        assert self.verify(self.issuer.token(RSA, "RS256"))

    def verify(self, token: str) -> bool:
        """False if the token was refused; what else may be raised, the test sees."""
        for verify in (self.local.verify, self.local.verify_user):
            with pytest.raises(TokenRefused):
                verify(token)
        try:
            self.runner.run(self.oidc.verify(token))
        except TokenRefused:
            return False
        return True

    def close(self) -> None:
        self.runner.run(self.stack.__aexit__(None, None, None))
        self.runner.close()


@pytest.fixture(scope="module")
def anything() -> Iterator[Anything]:
    found = Anything()
    yield found
    found.close()


@settings(max_examples=3 * settings().max_examples)
@given(token=st.text() | st.text("abAB01-_.=", max_size=40) | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_no_text_is_a_token(anything: Anything, token: str) -> None:
    assert not anything.verify(token)


@settings(max_examples=3 * settings().max_examples)
@given(header=st.binary(max_size=60), claims=st.binary(max_size=60), signature=st.binary(max_size=60))
def test_no_bytes_make_a_token(anything: Anything, header: bytes, claims: bytes, signature: bytes) -> None:
    assert not anything.verify(".".join(map(part, (header, claims, signature))))


@settings(max_examples=3 * settings().max_examples)
@given(header=st.dictionaries(HEADER_MEMBER, JSON, max_size=3), claims=st.dictionaries(CLAIM, JSON, max_size=3))
def test_whatever_an_issuer_signs_is_taken_or_refused(anything: Anything, header: dict[str, Any], claims: dict[str, Any]) -> None:
    """Signed with the issuer's own key: what is wrong with it cannot be left to the signature."""
    content = jwt.decode(anything.issuer.token(RSA, "RS256"), options={"verify_signature": False}) | claims
    text = f"{part({'alg': 'RS256', 'kid': 'k1', **header})}.{part(content)}"
    held = anything.verify(f"{text}.{part(RSA.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}")
    assert not held or (isinstance(content["sub"], str) and content["iss"] == anything.issuer.url)


@settings(max_examples=2 * settings().max_examples)
@given(data=st.data())
def test_no_mutation_of_a_token_is_accepted(anything: Anything, data: st.DataObject) -> None:
    token = anything.issuer.token(RSA, "RS256")
    start = data.draw(st.integers(0, len(token)))
    end = data.draw(st.integers(start, min(len(token), start + 12)))
    changed = token[:start] + data.draw(st.text("abcXYZ019-_.=", max_size=12)) + token[end:]
    assert changed == token or not anything.verify(changed)
