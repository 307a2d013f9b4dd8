"""An issuer's keys: when it is asked for them, and what happens when it does not answer as it should."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure import jwks
from infrastructure.clock import OffsetClock
from infrastructure.issuers import OidcIssuer
from infrastructure.jwks import (
    FRESH_SECONDS,
    MAX_DOCUMENT_BYTES,
    MAX_KEYS,
    PAUSE_SECONDS,
    STALE_SECONDS,
    FetchFailed,
    discovered,
    read_keys,
)
from infrastructure.oidc import Oidc
from infrastructure.tokens import IssuerUnreachable, TokenRefused
from tests.issuer_server import DISCOVERY, EC, ED, KEYS, RSA, RSA_OTHER, IssuerServer, issuer_server, jwk, ok
from tests.running import in_loop


@dataclass(slots=True)
class World:
    """`seconds` is the monotonic clock that decides on the age of keys."""

    issuer: IssuerServer
    oidc: Oidc
    seconds: list[float]

    def later(self, seconds: float) -> None:
        self.seconds[0] += seconds

    async def accepts(self, key_id: str | None = "k1") -> bool:
        """Whether a token holds that the RSA key has signed as `key_id`."""
        try:
            await self.oidc.verify(self.issuer.token(RSA, "RS256", key_id))
        except TokenRefused:
            return False
        return True

    async def cannot_tell(self, key_id: str = "k1") -> None:
        with pytest.raises(IssuerUnreachable):
            await self.oidc.verify(self.issuer.token(RSA, "RS256", key_id))


@asynccontextmanager
async def world(**more: object) -> AsyncIterator[World]:
    async with issuer_server() as issuer:
        seconds = [1000.0]
        content = {"issuer": issuer.url, "audience": "countersign", "tenant": UUID(int=7), **more}
        oidc = Oidc([OidcIssuer.model_validate(content)], OffsetClock(), timedelta(seconds=30), lambda: seconds[0])
        yield World(issuer, oidc, seconds)
        await oidc.close()


@in_loop
async def test_keys_are_discovered_once_and_kept() -> None:
    async with world() as w:
        for _ in range(5):
            assert await w.accepts()
        assert w.issuer.asked == [DISCOVERY, KEYS]


@in_loop
async def test_a_key_address_in_the_settings_needs_no_discovery() -> None:
    async with issuer_server() as elsewhere, world(jwks=elsewhere.url + "/jwks.json") as w:
        assert await w.accepts()
        assert (elsewhere.asked, w.issuer.asked) == (["/jwks.json"], [])


@in_loop
async def test_a_new_key_is_found_and_a_withdrawn_one_is_refused_when_the_keys_are_old() -> None:
    async with world() as w:
        assert await w.accepts()
        w.issuer.keys = [jwk(RSA, "k2")]
        w.later(PAUSE_SECONDS)
        assert await w.accepts("k2")
        assert not await w.accepts("k1")
        w.issuer.keys = [jwk(RSA_OTHER, "k3")]
        w.later(FRESH_SECONDS)
        assert await w.accepts("k2"), "not older than they may become"
        w.later(1)
        assert not await w.accepts("k2")
        w.issuer.keys = []
        w.later(FRESH_SECONDS + 1)
        assert not await w.accepts("k3"), "an issuer may withdraw them all"


@in_loop
async def test_made_up_key_ids_do_not_make_us_hammer_the_issuer() -> None:
    async with world() as w:
        assert await w.accepts()
        for second in range(100):
            assert not any(await asyncio.gather(*(w.accepts(f"{second}-{n}") for n in range(10))))
            w.later(0.999)
        assert 1 + 100 // PAUSE_SECONDS >= w.issuer.fetches > 5
        assert await w.accepts(), "and who has a real key is not disturbed"


@in_loop
async def test_all_who_wait_share_one_attempt() -> None:
    async with world() as w:
        w.issuer.delay = 0.05
        assert all(await asyncio.gather(*(w.accepts() for _ in range(50))))
        assert w.issuer.asked == [DISCOVERY, KEYS]


@in_loop
async def test_a_client_that_goes_away_does_not_end_what_others_wait_for() -> None:
    async with world() as w:
        w.issuer.delay = 0.1
        first, second = asyncio.create_task(w.accepts()), asyncio.create_task(w.accepts())
        await asyncio.sleep(0.05)
        first.cancel()
        assert await second
        assert w.issuer.fetches == 1


@in_loop
async def test_old_keys_serve_for_a_while_when_the_issuer_is_down() -> None:
    async with world() as w:
        assert await w.accepts()
        w.issuer.down = True
        w.later(FRESH_SECONDS + 1)
        assert await w.accepts()
        await w.cannot_tell("k2")  # it may be a new key, so this is no refusal
        w.later(STALE_SECONDS - FRESH_SECONDS - 2)
        assert await w.accepts()
        w.later(2)
        await w.cannot_tell()
        w.issuer.down = False
        await w.cannot_tell()  # it was asked just now
        w.later(PAUSE_SECONDS)
        assert await w.accepts()


@in_loop
async def test_nobody_waits_for_an_issuer_that_just_failed_while_old_keys_will_do() -> None:
    async with world() as w:
        assert await w.accepts()
        w.issuer.down = True
        w.later(FRESH_SECONDS + 1)
        assert await w.accepts()
        w.issuer.down, w.issuer.delay = False, 0.3
        w.later(PAUSE_SECONDS)
        asked = len(w.issuer.asked)
        began = asyncio.get_running_loop().time()
        assert await w.accepts()
        assert asyncio.get_running_loop().time() - began < 0.2
        await asyncio.sleep(1)
        assert len(w.issuer.asked) == asked + 2, "it was asked again meanwhile"


@in_loop
async def test_without_keys_an_issuer_that_cannot_be_reached_is_no_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    issuer = OidcIssuer.model_validate({"issuer": f"http://127.0.0.1:{port}", "audience": "countersign", "tenant": UUID(int=7)})
    oidc = Oidc([issuer], OffsetClock(), timedelta(seconds=30))
    with pytest.raises(IssuerUnreachable):
        await oidc.verify(IssuerServer(port).token(RSA, "RS256"))
    await oidc.close()


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
HUGE = b'{"keys": [' + b" " * MAX_DOCUMENT_BYTES + b"]}"

BAD: dict[str, Callable[[IssuerServer], tuple[str, bytes]]] = {
    "discovery redirects": lambda _: (DISCOVERY, REDIRECT),
    "keys redirect": lambda _: (KEYS, REDIRECT),
    "discovery of another issuer": lambda s: (
        DISCOVERY,
        ok(json.dumps({"issuer": "https://x.example", "jwks_uri": s.url + KEYS}).encode()),
    ),
    "discovery without keys": lambda s: (DISCOVERY, ok(json.dumps({"issuer": s.url}).encode())),
    "keys in a file": lambda s: (DISCOVERY, ok(json.dumps({"issuer": s.url, "jwks_uri": "file:///etc/passwd"}).encode())),
    "keys over plain http": lambda s: (
        DISCOVERY,
        ok(json.dumps({"issuer": s.url, "jwks_uri": "http://x.example/keys"}).encode()),
    ),
    "not json": lambda _: (KEYS, ok(b"<html>")),
    "deep": lambda _: (KEYS, ok(b"[" * 100_000)),
    "not an object": lambda _: (KEYS, ok(b"[]")),
    "no list": lambda _: (KEYS, ok(b'{"keys": {}}')),
    "not utf-8": lambda _: (KEYS, ok(b'{"keys": ["\xff"]}')),
    "empty": lambda _: (KEYS, ok(b"")),
    "not found": lambda _: (KEYS, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    "broken": lambda _: (KEYS, b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
    "no http": lambda _: (KEYS, b"SSH-2.0-OpenSSH\r\n"),
    "cut": lambda _: (KEYS, ok(b'{"keys": []}')[:-4]),
    "huge": lambda _: (KEYS, ok(HUGE)),
    "packed": lambda _: (KEYS, ok(b"\x1f\x8b", b"Content-Encoding: gzip\r\n")),
    "headers without end": lambda _: (KEYS, b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 300_000),
}


@pytest.mark.parametrize("name", BAD)
@in_loop
async def test_an_issuer_that_answers_badly_gives_no_keys(name: str) -> None:
    async with world() as w:
        path, answer = BAD[name](w.issuer)
        w.issuer.raw[path] = answer
        await w.cannot_tell()
        assert "/elsewhere" not in w.issuer.asked
        w.issuer.raw.clear()
        w.later(PAUSE_SECONDS)
        assert await w.accepts(), "and is asked again later"


@in_loop
async def test_an_issuer_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "TIMEOUT_SECONDS", 0.2)
    async with world() as w:
        w.issuer.delay = 5
        began = asyncio.get_running_loop().time()
        await w.cannot_tell()
        assert asyncio.get_running_loop().time() - began < 2


@in_loop
async def test_the_loop_goes_on_while_an_issuer_is_slow() -> None:
    async with world() as w:
        w.issuer.delay = 0.2
        waiting = asyncio.create_task(w.accepts())
        longest, before = 0.0, asyncio.get_running_loop().time()
        while not waiting.done():
            await asyncio.sleep(0.001)
            longest, before = max(longest, asyncio.get_running_loop().time() - before), asyncio.get_running_loop().time()
        assert await waiting
        assert longest < 0.15


@in_loop
async def test_a_token_without_a_key_id_needs_an_issuer_with_one_key() -> None:
    async with world() as w:
        assert await w.accepts(None)
        w.issuer.keys = [jwk(RSA, "k1"), jwk(RSA_OTHER, "k2")]
        w.later(FRESH_SECONDS + 1)
        assert not await w.accepts(None)
        assert await w.accepts("k1")


@in_loop
async def test_two_keys_of_one_name_are_both_tried() -> None:
    async with world() as w:
        w.issuer.keys = [jwk(RSA_OTHER, "k1"), jwk(RSA, "k1")]
        assert await w.accepts()


def test_an_https_issuer_has_its_keys_at_https() -> None:
    document = {"issuer": "https://login.example", "jwks_uri": "http://127.0.0.1/keys"}
    with pytest.raises(FetchFailed, match="not https"):
        discovered(document, "https://login.example")
    assert discovered(document | {"jwks_uri": "https://keys.example/k"}, "https://login.example") == "https://keys.example/k"


def test_only_so_many_keys_of_a_set_are_read() -> None:
    assert len(read_keys({"keys": [jwk(RSA, f"k{n}") for n in range(MAX_KEYS + 5)]})) == MAX_KEYS


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "AQAB"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MEMBER = st.sampled_from(["kty", "crv", "n", "e", "x", "y", "kid", "use", "key_ops", "alg", "d", "k"])


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(st.dictionaries(MEMBER, JSON, max_size=8) | JSON, max_size=4) | JSON)
def test_any_document_gives_keys_or_our_error(listed: object) -> None:
    for document in (listed, {"keys": listed}):
        try:
            read_keys(document)
        except FetchFailed:
            continue


@settings(max_examples=2 * settings().max_examples)
@given(MEMBER, JSON)
def test_any_change_of_a_key_gives_a_key_or_none(member: str, value: object) -> None:
    for item in (jwk(RSA, "k1"), jwk(EC, "k2"), jwk(ED, "k3")):
        assert len(read_keys({"keys": [item | {member: value}]})) <= 1
