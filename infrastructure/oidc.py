"""Users' tokens of OpenID Connect issuers: which issuer's, whether its signature and its times hold, whom they name.

In the order of RFC 8725 section 3: the form; the issuer and the audience that the settings name; the
algorithm, of those the settings allow and the key is for; the signature; then the times and the claims.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import jwt

from infrastructure.clock import Clock
from infrastructure.issuers import OidcIssuer
from infrastructure.jwks import KeySet, PublicKey
from infrastructure.tokens import (
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

#: Types of tokens that name a user: an ID token or none (RFC 7519 section 5.1), an access token (RFC 9068 section 2.1).
#: What an issuer signs besides, such as a logout token, has another type (RFC 8725 section 3.11).
_TYPES: Final = ("jwt", "application/jwt", "at+jwt", "application/at+jwt")

#: The claim of a logout or security event token (RFC 8417), whatever type it says it has.
_EVENTS: Final = "events"

MAX_KEY_ID_CHARACTERS: Final = 255

#: Keys with the same id that are tried.
_MAX_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class OidcClaims:
    """What a token that holds says; `email` only if the issuer has verified it."""

    by: OidcIssuer
    subject: str
    email: str | None
    name: str | None
    signed_in_at: datetime | None
    token_id: str | None


class Oidc:
    """Checks the tokens of `issuers`. Belongs to one event loop.

    `leeway` is what our clock and an issuer's may differ by; `monotonic` tells seconds that only ever grow.
    """

    def __init__(
        self, issuers: Sequence[OidcIssuer], clock: Clock, leeway: timedelta, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuers = tuple(issuers)
        self._clock = clock
        self._leeway = leeway
        self._keys = {(one.issuer, one.jwks): KeySet(one.issuer, one.jwks, monotonic) for one in self._issuers}

    async def verify(self, token: str) -> OidcClaims:
        """The claims of a token that holds now; raises TokenRefused (TokenExpired) or IssuerUnreachable."""
        return await self.verify_shown(unverified(token))

    async def verify_shown(self, shown: Unverified) -> OidcClaims:
        """As `verify`, of a token that was parsed already."""
        issuer = self._issuer_of(shown)
        algorithm, key_id = _algorithm(shown.header, issuer), _key_id(shown.header)
        keys = await self._keys[issuer.issuer, issuer.jwks].candidates(key_id, algorithm)
        if key_id is None and len(keys) > 1:  # OpenID Connect Core section 10.1
            raise TokenRefused("the issuer has several keys and the token names none")
        claims = _opened(shown.token, keys, issuer, algorithm)
        now = self._clock.now()
        check_times(claims, now, self._leeway)
        signed_in_at = moment(claims, "auth_time")
        if signed_in_at is not None and signed_in_at > now + self._leeway:
            raise TokenRefused("signed in in the future")
        if _EVENTS in claims:
            raise TokenRefused("tells of an event and names no user")
        # OpenID Connect Core section 5.1: a boolean. A word is not taken for one.
        email = email_of(claims) if claims.get("email_verified") is True else None
        return OidcClaims(issuer, subject_of(claims), email, name_of(claims), signed_in_at, token_id_of(claims))

    async def close(self) -> None:
        """Ends what is under way."""
        for keys in self._keys.values():
            await keys.close()

    def _issuer_of(self, shown: Unverified) -> OidcIssuer:
        """The one issuer of the settings whose URL and audience the token names, as it says itself."""
        audience = shown.claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience
        if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
            raise TokenRefused("aud is missing or unusable")
        named = shown.claims.get("iss")
        found = [one for one in self._issuers if one.issuer == named and one.audience in audiences]
        if len(found) != 1:
            raise TokenRefused("of no issuer of ours, for another audience, or for several of ours")
        return found[0]


def _algorithm(header: Mapping[str, Any], issuer: OidcIssuer) -> str:
    algorithm, kind = header.get("alg"), header.get("typ", "JWT")
    if algorithm not in issuer.algorithms:
        raise TokenRefused("signed with an algorithm that the settings do not allow")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise TokenRefused("of a type that names no user")
    return str(algorithm)


def _key_id(header: Mapping[str, Any]) -> str | None:
    value = header.get("kid")
    if value is not None and not (isinstance(value, str) and len(value) <= MAX_KEY_ID_CHARACTERS):
        raise TokenRefused("kid is unusable")
    return value


def _opened(token: str, keys: Sequence[PublicKey], issuer: OidcIssuer, algorithm: str) -> Mapping[str, Any]:
    """The claims under a signature by one of `keys`. Times are the caller's to check, against our clock."""
    for key in keys[:_MAX_TRIES]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                issuer=issuer.issuer,
                audience=issuer.audience,
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_sub": False, "verify_jti": False},
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, RecursionError) as err:
            raise TokenRefused(str(err)) from err
        return claims
    raise TokenRefused("signed with no key of the issuer")
