"""The local issuer: signed tokens (JWT, RFC 7519) for an installation's own administrators.

Its Ed25519 key is derived from the secret key, so every host that shares the secret accepts the same
tokens and there is no further file to guard.
"""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.ids import IdError, parse_uuid
from infrastructure.clock import Clock
from infrastructure.secrets import Keys

ISSUER: Final = "urn:countersign:local-issuer"
AUDIENCE: Final = "urn:countersign:administration"

#: RFC 8037 section 3.1. Pinned: the token's own `alg` never chooses how it is verified (RFC 8725 section 3.1).
ALGORITHM: Final = "EdDSA"

ADMINISTRATOR: Final = "admin"

#: What clocks of several hosts may differ by (RFC 7519 section 4.1.4 allows "a few minutes").
LEEWAY: Final = timedelta(seconds=30)

#: An administrator's token can replace a tenant's credential, so none lives longer than this.
MAX_LIFETIME: Final = timedelta(days=30)

#: Far more than our own tokens need; what is longer is not parsed.
MAX_TOKEN_CHARACTERS: Final = 4096

_REQUIRED: Final = ("iss", "aud", "sub", "exp", "iat", "tenant", "role")


class TokenRefused(Exception):
    """The token does not hold; `reason` says why, for a log rather than for the client."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token that holds says: who, for which tenant, as what, until when."""

    subject: str
    tenant: UUID
    role: str
    expires_at: datetime


class LocalIssuer:
    """Mints tokens and checks its own."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        seed = hmac.new(keys.tokens, b"local-issuer/ed25519/v1", sha256).digest()
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._private.public_key()
        raw = self._public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = urlsafe_b64encode(raw).rstrip(b"=").decode()
        # The key's thumbprint: SHA-256 over its required members in order (RFC 7638, RFC 8037 appendix A.3).
        thumbprint = sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
        self._key_id = urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
        self._clock = clock

    def mint(self, subject: str, tenant: UUID, role: str, lifetime: timedelta) -> str:
        """A token for `subject`; ValueError unless `lifetime` is positive and at most MAX_LIFETIME."""
        if not timedelta(0) < lifetime <= MAX_LIFETIME:
            raise ValueError(f"a token lives more than 0 seconds and at most {MAX_LIFETIME.days} days")
        now = self._clock.now()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "tenant": str(tenant),
            "role": role,
        }
        return jwt.encode(claims, self._private, ALGORITHM, headers={"kid": self._key_id})

    def verify(self, token: str) -> Claims:
        """The claims of a token of ours; raises TokenRefused for any other, and for one out of its time."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise TokenRefused("too long")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                # Times are checked below, against our clock rather than the machine's.
                options={"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except (jwt.PyJWTError, ValueError) as err:
            raise TokenRefused(str(err)) from err
        return self._read(claims)

    def _read(self, claims: dict[str, Any]) -> Claims:
        issued, expires, subject, role = claims["iat"], claims["exp"], claims["sub"], claims["role"]
        if type(issued) is not int or type(expires) is not int or not isinstance(subject, str) or not isinstance(role, str):
            raise TokenRefused("a claim is of the wrong type")
        now = self._clock.now()
        if now.timestamp() >= expires + LEEWAY.total_seconds():
            raise TokenRefused("expired")
        if issued > now.timestamp() + LEEWAY.total_seconds():
            raise TokenRefused("issued in the future")
        try:
            tenant = parse_uuid(claims["tenant"])
            return Claims(subject, tenant, role, datetime.fromtimestamp(expires, now.tzinfo))
        except (IdError, OverflowError, OSError, ValueError) as err:
            raise TokenRefused("a claim cannot be read") from err
