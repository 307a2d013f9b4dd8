"""The public keys of an issuer (JWKS, RFC 7517): fetched when needed, kept for a bounded time.

Whoever shows us a token chooses its key id, and so could make us ask the issuer: it is asked at most once
in PAUSE_SECONDS, for all requests together, whatever the tokens say.
"""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from infrastructure.issuers import is_key_url, is_loopback
from infrastructure.tokens import IssuerUnreachable

log = logging.getLogger(__name__)

#: How long keys are used without asking again: what an issuer withdraws is refused after that.
FRESH_SECONDS: Final = 600.0

#: How old keys may become while the issuer cannot be reached.
STALE_SECONDS: Final = 3600.0

#: Between two attempts, so also how long a new key may stay unknown after an attempt.
PAUSE_SECONDS: Final = 10.0

#: For all that one attempt asks, and how much an answer may hold. Key sets have some thousands of bytes.
TIMEOUT_SECONDS: Final = 5.0
MAX_DOCUMENT_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 100

#: RFC 7518 section 3.3 asks for 2048 bits; more than 8192 only cost time.
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192

#: A number of MAX_RSA_BITS in base64url.
_MAX_MEMBER_CHARACTERS: Final = 1400

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})

#: Which algorithms a key is for, by `kty` and `crv` (RFC 7518 section 3.1, RFC 8037 section 3.1): never a symmetric one.
_FITTING: Final[Mapping[tuple[str, str | None], frozenset[str]]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}

#: The members that make up a public key, by `kty` (RFC 7518 section 6, RFC 8037 section 2).
_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",)}

VerificationKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class FetchFailed(Exception):
    """The issuer's keys could not be fetched; the message says why."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may verify signatures of `algorithms`; `id` is its `kid`, if it has one."""

    id: str | None
    key: VerificationKey
    algorithms: frozenset[str]


class KeySet:
    """The keys of one issuer. `jwks` is where they are; None discovers that at the issuer.

    Belongs to one event loop. `monotonic` tells seconds that only ever grow.
    """

    def __init__(self, issuer: str, jwks: str | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._jwks = jwks
        self._monotonic = monotonic
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at: float | None = None
        self._attempted_at: float | None = None
        self._failed = False
        self._attempt: asyncio.Task[None] | None = None
        self._tls: ssl.SSLContext | None = None

    async def candidates(self, key_id: str | None, algorithm: str) -> tuple[PublicKey, ...]:
        """The keys with this id that fit the algorithm, all that fit it for None; mostly one, perhaps none.

        A key that is not among those at hand may be new, so the issuer is asked again, if it was not
        asked just now. Raises IssuerUnreachable when that, or having any keys at all, fails.
        """
        age = self._age()
        if age > FRESH_SECONDS:
            # Who failed a moment ago is not waited for again, while old keys will do.
            await self._refresh(wait=not (self._failed and age <= STALE_SECONDS))
        if self._age() > STALE_SECONDS:
            raise IssuerUnreachable(self._issuer)
        found = self._fitting(key_id, algorithm)
        if not found:
            await self._refresh()
            found = self._fitting(key_id, algorithm)
            if not found and self._failed:
                raise IssuerUnreachable(self._issuer)
        return found

    async def close(self) -> None:
        """Ends an attempt that is under way."""
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.gather(self._attempt, return_exceptions=True)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._monotonic() - self._fetched_at

    def _fitting(self, key_id: str | None, algorithm: str) -> tuple[PublicKey, ...]:
        return tuple(key for key in self._keys if algorithm in key.algorithms and key_id in (None, key.id))

    async def _refresh(self, wait: bool = True) -> None:
        """Fetches the keys, unless that was tried just now. Whoever comes meanwhile waits for the same attempt."""
        if self._attempt is None:
            if self._attempted_at is not None and self._monotonic() - self._attempted_at < PAUSE_SECONDS:
                return
            self._attempt = asyncio.create_task(self._fetch(), name="countersign-issuer-keys")
        if wait:
            # A client that goes away does not end what others wait for.
            await asyncio.shield(self._attempt)

    async def _fetch(self) -> None:
        failed = True
        try:
            self._keys = await self._load()
            self._fetched_at = self._monotonic()
            failed = False
        except FetchFailed as err:
            log.warning("the keys of %s could not be fetched: %s", self._issuer, err)
        finally:
            self._failed = failed
            self._attempted_at = self._monotonic()
            self._attempt = None

    async def _load(self) -> tuple[PublicKey, ...]:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                where = self._jwks or discovered(await self._get(discovery_url(self._issuer)), self._issuer)
                return await asyncio.to_thread(read_keys, await self._get(where))
        except TimeoutError as err:
            raise FetchFailed(f"no answer within {TIMEOUT_SECONDS} seconds") from err

    async def _get(self, url: str) -> object:
        """The JSON document at `url`. Nothing leads elsewhere: a redirection is a failure."""
        if self._tls is None:
            self._tls = await asyncio.to_thread(_tls)
        import httpx

        headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "countersign"}
        body = bytearray()
        try:
            async with (
                # A proxy of the environment is for other machines.
                httpx.AsyncClient(verify=self._tls, trust_env=not is_loopback(url), timeout=TIMEOUT_SECONDS) as client,
                client.stream("GET", url, headers=headers, follow_redirects=False) as response,
            ):
                if response.status_code != 200:
                    raise FetchFailed(f"{url} answered {response.status_code}")
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise FetchFailed(f"{url} answered in an encoding that was not asked for")
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_DOCUMENT_BYTES:
                        raise FetchFailed(f"{url} answered more than {MAX_DOCUMENT_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as err:
            raise FetchFailed(f"{url}: {str(err) or type(err).__name__}") from err
        return await asyncio.to_thread(_parsed, url, bytes(body))


def _tls() -> ssl.SSLContext:
    # Imported when there is such an issuer, and off the event loop: it takes a quarter of a second.
    import httpx

    return httpx.create_ssl_context()


def discovery_url(issuer: str) -> str:
    """Where an issuer describes itself (OpenID Connect Discovery section 4.1)."""
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def discovered(document: object, issuer: str) -> str:
    """The address of the keys; raises FetchFailed unless the document is the issuer's own (Discovery section 4.3)."""
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise FetchFailed("the discovery document is not of this issuer")
    where = document.get("jwks_uri")
    if not isinstance(where, str) or not is_key_url(where):
        raise FetchFailed("the discovery document has no usable jwks_uri")
    if urlsplit(issuer).scheme == "https" and urlsplit(where).scheme != "https":
        raise FetchFailed("the discovery document's jwks_uri is not https")
    return where


def read_keys(document: object) -> tuple[PublicKey, ...]:
    """The keys of a JWK set that verify signatures; those for something else or of an unknown kind are left out
    (RFC 7517 section 5). Raises FetchFailed for what is no JWK set.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise FetchFailed("the document is not a JWK set")
    return tuple(key for item in listed[:MAX_KEYS] if (key := _public_key(item)) is not None)


def _public_key(item: object) -> PublicKey | None:
    if not isinstance(item, dict) or not _for_signatures(item):
        return None
    kind, key_id = item.get("kty"), item.get("kid")
    members = [item.get(name) for name in _MEMBERS.get(kind, ())] if isinstance(kind, str) else []
    if not members or not all(isinstance(member, str) and len(member) <= _MAX_MEMBER_CHARACTERS for member in members):
        return None
    curve = item.get("crv")
    fitting = _FITTING.get((str(kind), None if kind == "RSA" else str(curve)), frozenset())
    if item.get("alg") is not None:
        fitting = fitting & {str(item["alg"])}
    if not fitting or not (key_id is None or isinstance(key_id, str)):
        return None
    try:
        key = jwt.PyJWK({**item, "kty": kind}, min(fitting)).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError):
        return None
    if isinstance(key, RSAPublicKey):
        return PublicKey(key_id, key, fitting) if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS else None
    return PublicKey(key_id, key, fitting) if isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey) else None


def _for_signatures(item: dict[str, Any]) -> bool:
    """Whether a key is public and meant to verify signatures (RFC 7517 sections 4.2, 4.3)."""
    operations = item.get("key_ops", ["verify"])
    return (
        item.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and not {"d", "k", "p", "q", "oth"} & item.keys()
    )


def _parsed(url: str, body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as err:
        raise FetchFailed(f"{url} answered what is not JSON") from err
