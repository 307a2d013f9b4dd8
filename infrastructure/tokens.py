"""What all signed tokens (JWT, RFC 7519) have in common: their form, their times, and why one is refused."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt

#: Identity tokens with many groups reach some thousands; what is longer is not parsed.
MAX_TOKEN_CHARACTERS: Final = 8192

#: OpenID Connect Core section 2: `sub` is at most 255 ASCII characters, and `|` here separates it from the issuer.
MAX_SUBJECT_CHARACTERS: Final = 255

#: RFC 5321 section 4.5.3.1.3, less the angle brackets.
MAX_EMAIL_CHARACTERS: Final = 254

#: A name in a certificate has one line.
MAX_NAME_CHARACTERS: Final = 200

#: The header's members that say something we would have to understand (RFC 7515 section 4.1.11, RFC 7797, RFC 7516):
#: a token that has one of them is refused, whatever it asks for.
_NOT_UNDERSTOOD: Final = ("crit", "b64", "zip", "enc")

#: Header, claims and signature in base64url (RFC 7515 section 7.1). A signature is never empty here.
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

_EMAIL: Final = re.compile(r"[^\s@\"<>(),:;\\]+@[^\s@\"<>(),:;\\]+")


class TokenRefused(Exception):
    """The token does not hold; `reason` says why, for a log rather than for the client."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenExpired(TokenRefused):
    """The token held until its time passed."""


class TokenOfAnotherKind(TokenRefused):
    """The token holds, and is for something else."""


class IssuerUnreachable(Exception):
    """The issuer's keys are not at hand and could not be fetched, so nobody knows whether the token holds."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself, before anything of it is believed."""

    token: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def unverified(token: str) -> Unverified:
    """A token's header and claims, nothing verified; raises TokenRefused for what is no token of ours to read."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenRefused("too long")
    if not _COMPACT.fullmatch(token):
        raise TokenRefused("not three parts of base64url")
    try:
        found = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as err:
        raise TokenRefused(f"cannot be read: {err}") from err
    if any(name in found["header"] for name in _NOT_UNDERSTOOD):
        raise TokenRefused("the header asks for something that is not understood here")
    return Unverified(token, found["header"], found["payload"])


def check_times(claims: Mapping[str, Any], now: datetime, leeway: timedelta) -> datetime:
    """When the token ends; raises TokenExpired, or TokenRefused for a token of the future or times that are none.

    `exp` and `iat` are required, `nbf` is not (RFC 7519 section 4.1).
    """
    expires, issued = moment(claims, "exp"), moment(claims, "iat")
    if expires is None or issued is None:
        raise TokenRefused("exp or iat is missing")
    begins = moment(claims, "nbf")
    if issued > now + leeway or (begins is not None and begins > now + leeway):
        raise TokenRefused("issued for the future")
    if now >= expires + leeway:
        raise TokenExpired("expired")
    return expires


def moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    """A claim that is a NumericDate (RFC 7519 section 2), None without it; raises TokenRefused for anything else."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenRefused(f"{name} is not a time")
    try:
        at = datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError) as err:
        raise TokenRefused(f"{name} is not a time") from err
    # Room for the leeway on both sides.
    if not 1970 <= at.year <= 9000:
        raise TokenRefused(f"{name} is not a time")
    return at


def subject_of(claims: Mapping[str, Any]) -> str:
    """The `sub` claim: 1 to 255 printable ASCII characters; raises TokenRefused."""
    value = claims.get("sub")
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= MAX_SUBJECT_CHARACTERS
        or not (value.isascii() and value.isprintable())
    ):
        raise TokenRefused("sub is missing or unusable")
    return value


def email_of(claims: Mapping[str, Any]) -> str | None:
    """The `email` claim, None where there is none that can be written to. Whether it was verified is another claim."""
    value = claims.get("email")
    usable = isinstance(value, str) and len(value) <= MAX_EMAIL_CHARACTERS and value.isprintable() and _EMAIL.fullmatch(value)
    return value if usable else None


def name_of(claims: Mapping[str, Any]) -> str | None:
    """The `name` claim, None where there is none of one line and at most 200 characters."""
    value = claims.get("name")
    usable = isinstance(value, str) and len(value) <= MAX_NAME_CHARACTERS and value.isprintable() and value.strip()
    return value if usable else None


def token_id_of(claims: Mapping[str, Any]) -> str | None:
    """The `jti` claim, None where there is none of at most 255 printable characters."""
    value = claims.get("jti")
    usable = isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT_CHARACTERS and value.isprintable()
    return value if usable else None
