"""A real issuer of tokens on this machine, over HTTP, that can be made to behave badly."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

#: Made once: an RSA key takes a while.
RSA: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_OTHER: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC: Final = ec.generate_private_key(ec.SECP256R1())
ED: Final = ed25519.Ed25519PrivateKey.generate()

DISCOVERY: Final = "/.well-known/openid-configuration"
KEYS: Final = "/keys"


def number(value: int) -> str:
    """A number as JWKs have it (RFC 7518 section 2, Base64urlUInt)."""
    size = (value.bit_length() + 7) // 8
    return base64.urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()


def jwk(key: PrivateKeyTypes, key_id: str | None, **more: object) -> dict[str, Any]:
    """The public half of a key as a JWK."""
    match key:
        case rsa.RSAPrivateKey():
            public = key.public_key().public_numbers()
            members: dict[str, Any] = {"kty": "RSA", "n": number(public.n), "e": number(public.e)}
        case ec.EllipticCurvePrivateKey():
            members = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ed25519.Ed25519PrivateKey():
            members = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case _:
            raise TypeError(type(key).__name__)
    return members | ({} if key_id is None else {"kid": key_id}) | {"use": "sig"} | more


@dataclass(slots=True)
class IssuerServer:
    """`asked` counts the requests by path. `raw` replaces whole answers by path; `delay` seconds pass before each."""

    port: int = 0
    keys: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    raw: dict[str, bytes] = field(default_factory=dict)
    delay: float = 0
    down: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def fetches(self) -> int:
        """How often the keys were asked for."""
        return self.asked.count(KEYS)

    def token(
        self, key: PrivateKeyTypes, algorithm: str, key_id: str | None = "k1", header: object = None, **changed: Any
    ) -> str:
        """A token that holds for an hour, but for what is changed; None leaves a claim out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": "countersign",
            "sub": "auth0|ana",
            "iat": now,
            "exp": now + 3600,
            "auth_time": now - 60,
            "email": "ana@example.com",
            "email_verified": True,
            "name": "Ana Lima",
            "jti": "t-1",
        } | changed
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {} if key_id is None else {"kid": key_id}
        return jwt.encode(claims, key, algorithm, headers={**headers, **(header if isinstance(header, dict) else {})})  # type: ignore[arg-type]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of one connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            self.asked.append(path)
            await asyncio.sleep(self.delay)
            if not self.down:
                writer.write(self.raw.get(path) or self._document(path))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            writer.close()

    def _document(self, path: str) -> bytes:
        if path == DISCOVERY:
            return ok(json.dumps({"issuer": self.url, "jwks_uri": self.url + KEYS}).encode())
        return ok(json.dumps({"keys": self.keys}).encode())


def ok(body: bytes, headers: bytes = b"") -> bytes:
    """A whole answer with a body."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n%bContent-Length: %d\r\n\r\n%b" % (
        headers,
        len(body),
        body,
    )


@asynccontextmanager
async def issuer_server() -> AsyncIterator[IssuerServer]:
    """A running issuer whose key `k1` is the RSA key."""
    issuer = IssuerServer(keys=[jwk(RSA, "k1")])
    server = await asyncio.start_server(issuer.answer, "127.0.0.1", 0)
    issuer.port = server.sockets[0].getsockname()[1]
    try:
        yield issuer
    finally:
        server.close()
