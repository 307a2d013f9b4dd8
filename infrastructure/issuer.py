"""The local issuer: signed tokens (JWT, RFC 7519) for an installation's own administrators, and for users where
there is no other issuer.

Its Ed25519 key is derived from the secret key, so every host that shares the secret accepts the same
tokens and there is no further file to guard. The two kinds of token have an audience each, so neither
is ever taken for the other (RFC 8725 section 3.12).
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.actor import Mode
from domain.ids import IdError, parse_uuid
from infrastructure.clock import Clock
from infrastructure.secrets import Keys
from infrastructure.tokens import (
    TokenOfAnotherKind,
    TokenRefused,
    Unverified,
    check_times,
    email_of,
    moment,
    name_of,
    subject_of,
    token_id_of,
    unverified,
)

ISSUER: Final = "urn:countersign:local-issuer"

#: Whom a token is for: the administration of a tenant, or the surfaces that take users.
AUDIENCE: Final = "urn:countersign:administration"
USER_AUDIENCE: Final = "urn:countersign:users"

#: RFC 8037 section 3.1. Pinned: the token's own `alg` never chooses how it is verified (RFC 8725 section 3.1).
ALGORITHM: Final = "EdDSA"

ADMINISTRATOR: Final = "admin"

#: What clocks of several hosts may differ by (RFC 7519 section 4.1.4 allows "a few minutes").
LEEWAY: Final = timedelta(seconds=30)

#: An administrator's token can replace a tenant's credential, so none lives longer than this.
MAX_LIFETIME: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Claims:
    """What an administration token that holds says: who, for which tenant, as what, until when."""

    subject: str
    tenant: UUID
    role: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UserClaims:
    """What a user's token that holds says. The operator who minted it vouches for the e-mail address."""

    subject: str
    tenant: UUID
    mode: Mode
    email: str | None
    name: str | None
    signed_in_at: datetime | None
    token_id: str | None


class LocalIssuer:
    """Mints tokens and checks its own."""

    def __init__(self, keys: Keys, clock: Clock, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        seed = hmac.new(keys.tokens, b"local-issuer/ed25519/v1", sha256).digest()
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._private.public_key()
        raw = self._public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = urlsafe_b64encode(raw).rstrip(b"=").decode()
        # The key's thumbprint: SHA-256 over its required members in order (RFC 7638, RFC 8037 appendix A.3).
        thumbprint = sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
        self._key_id = urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
        self._clock = clock
        self._random = random

    def mint(self, subject: str, tenant: UUID, role: str, lifetime: timedelta) -> str:
        """An administration token for `subject`; ValueError unless `lifetime` is positive and at most MAX_LIFETIME."""
        return self._sign(AUDIENCE, subject, tenant, lifetime, {"role": role})

    def mint_user(
        self, subject: str, tenant: UUID, mode: Mode, lifetime: timedelta, email: str | None = None, name: str | None = None
    ) -> str:
        """A user's token, signed in now; ValueError for a lifetime as in `mint`, and for claims it would not accept itself."""
        now = int(self._clock.now().timestamp())
        claims = {"mode": mode.value, "auth_time": now, "jti": self._random(16).hex(), "email": email, "name": name}
        claims = {key: value for key, value in claims.items() if value is not None}
        if email is not None and email_of(claims) is None:
            raise ValueError("the e-mail address cannot be used")
        if name is not None and name_of(claims) is None:
            raise ValueError("a name is one line of 1 to 200 characters")
        try:
            subject_of({"sub": subject})
        except TokenRefused as err:
            raise ValueError("a user is named by 1 to 255 printable ASCII characters") from err
        return self._sign(USER_AUDIENCE, subject, tenant, lifetime, claims)

    def verify(self, token: str) -> Claims:
        """The claims of an administration token of ours; raises TokenRefused for any other, and for one out of its time."""
        claims = self._open(unverified(token), AUDIENCE)
        expires, subject, tenant = check_times(claims, self._clock.now(), LEEWAY), subject_of(claims), _tenant(claims)
        role = claims.get("role")
        if not isinstance(role, str):
            raise TokenRefused("role is missing or unusable")
        return Claims(subject, tenant, role, expires)

    def verify_user(self, token: str) -> UserClaims:
        """The claims of a user's token of ours; raises TokenRefused for any other, and for one out of its time."""
        return self.verify_user_shown(unverified(token))

    def verify_user_shown(self, shown: Unverified) -> UserClaims:
        """As `verify_user`, of a token that was parsed already."""
        claims = self._open(shown, USER_AUDIENCE)
        check_times(claims, self._clock.now(), LEEWAY)
        try:
            mode = Mode(claims["mode"])
        except (KeyError, ValueError) as err:
            raise TokenRefused("mode is missing or unusable") from err
        return UserClaims(
            subject_of(claims),
            _tenant(claims),
            mode,
            email_of(claims),
            name_of(claims),
            moment(claims, "auth_time"),
            token_id_of(claims),
        )

    def _sign(self, audience: str, subject: str, tenant: UUID, lifetime: timedelta, more: Mapping[str, Any]) -> str:
        if not timedelta(0) < lifetime <= MAX_LIFETIME:
            raise ValueError(f"a token lives more than 0 seconds and at most {MAX_LIFETIME.days} days")
        now = self._clock.now()
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "sub": subject,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "tenant": str(tenant),
            **more,
        }
        return jwt.encode(claims, self._private, ALGORITHM, headers={"kid": self._key_id})

    def _open(self, shown: Unverified, audience: str) -> Mapping[str, Any]:
        """The claims of a token that we signed for `audience`. Its times are the caller's to check, against our clock."""
        try:
            claims: dict[str, Any] = jwt.decode(
                shown.token,
                self._public,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as err:
            raise TokenRefused(str(err)) from err
        if claims.get("aud") != audience:
            known = claims.get("aud") in (AUDIENCE, USER_AUDIENCE)
            raise TokenOfAnotherKind("for another audience") if known else TokenRefused("aud is missing or unusable")
        return claims


def _tenant(claims: Mapping[str, Any]) -> UUID:
    value = claims.get("tenant")
    try:
        return parse_uuid(value if isinstance(value, str) else "")
    except IdError as err:
        raise TokenRefused("tenant is missing or unusable") from err
