"""Who calls: the one place that recognises credentials, for every surface.

Each function gives a `Caller` or raises `Denied` with a reason of a closed list; what a reason is answered
with is the surface's own convention. A credential that was revoked is denied as one that never was.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from starlette.requests import Request

from api.deps import ApiKey, Deps, IssuerUnreachable, Key, TokenExpired, TokenOfAnotherKind, TokenRefused, User
from api.http import idempotency_key, note_accepted
from domain.actor import Actor, ActorKind, Mode

#: Where a bearer stands, but for the partner's surface.
AUTHORIZATION: Final = "authorization"

TENANT_HEADER: Final = "x-tenant-signly"
PARTNER_HEADER: Final = "x-auth-signly"

#: Three parts of base64url (RFC 7515 section 7.1); anything else with dots is no token.
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")

_PROJECT: Final = "ck_"
_ORGANIZATION: Final = "sk_"


class Reason(StrEnum):
    """Why nobody was recognised."""

    #: The request shows no credential.
    MISSING = "missing"
    #: The header is not `Bearer`, one space and the credential, or there are several.
    MALFORMED = "malformed"
    #: No such credential; one that was revoked, a token that does not hold.
    UNKNOWN = "unknown"
    #: A token that would hold, had its time not passed.
    EXPIRED = "expired"
    #: A credential for something else.
    WRONG_KIND = "wrong-kind"
    #: The token's issuer could not be asked for its keys: nobody knows, and a later try may succeed (503, never 401).
    ISSUER_UNREACHABLE = "issuer-unreachable"


class Denied(Exception):
    """Nobody was recognised, for `reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, once that is verified. Everything that is read or changed is of this tenant and this mode.

    `actor` is what goes into entries; `user` is the person behind a token of an issuer, if it is one.
    An administrator's mode is live.
    """

    tenant: UUID
    mode: Mode
    actor: Actor
    user: User | None = None

    async def key(self, request: Request, surface: str) -> Key | None:
        """The request's idempotency key on a surface. Two credentials never share one."""
        scope = f"{surface}:{self.tenant}:{self.mode.value}:{self.actor.kind.value}:{self.actor.id}"
        return await idempotency_key(request, scope)


@dataclass(frozen=True, slots=True)
class UserCaller(Caller):
    """A caller who is a person with a token of an issuer."""

    user: User


def bearer(request: Request) -> str | None:
    """The request's bearer credential (RFC 6750 section 2.1), None if it has no Authorization header.

    Raises Denied(MALFORMED) for another scheme, more or less than one space, or several headers.
    """
    return _bearer(request, AUTHORIZATION)


async def project(request: Request, deps: Deps) -> Caller:
    """The caller behind `Bearer ck_...`; raises Denied."""
    secret = _shown(request)
    if not secret.startswith(_PROJECT):
        raise Denied(_other_than(secret))
    return _of_key(request, ActorKind.PROJECT_KEY, await deps.identity.project(secret))


async def organization(request: Request, deps: Deps) -> Caller:
    """The caller behind `Bearer sk_...`; raises Denied."""
    secret = _shown(request)
    if not secret.startswith(_ORGANIZATION):
        raise Denied(_other_than(secret))
    return _of_key(request, ActorKind.ORGANIZATION_KEY, await deps.identity.organization(secret))


async def user(request: Request, deps: Deps) -> UserCaller:
    """The person behind `Bearer <token of an issuer>`; raises Denied."""
    token = _shown(request)
    if not _JWT.fullmatch(token):
        raise Denied(_other_than(token))
    return await _user(request, token, deps)


async def administrator(request: Request, deps: Deps, header: str = AUTHORIZATION) -> Caller:
    """The administrator behind `Bearer <token of countersign token --admin>` in `header`; raises Denied."""
    token = _shown(request, header)
    if not _JWT.fullmatch(token):
        raise Denied(_other_than(token))
    return _administrator(request, token, deps)


async def partner(request: Request, deps: Deps) -> Caller:
    """The caller behind `X-Tenant-Signly` and `X-Auth-Signly`; raises Denied."""
    tenants, secrets = request.headers.getlist(TENANT_HEADER), request.headers.getlist(PARTNER_HEADER)
    if len(tenants) > 1 or len(secrets) > 1:
        raise Denied(Reason.MALFORMED)
    if not tenants or not secrets or not tenants[0] or not secrets[0]:
        raise Denied(Reason.MISSING)
    key = await deps.identity.partner(tenants[0], secrets[0])
    if key is None:
        raise Denied(Reason.UNKNOWN)
    note_accepted(request)
    return Caller(key.tenant, Mode.LIVE, Actor(ActorKind.PARTNER_KEY, key.id))


async def anyone(request: Request, deps: Deps) -> Caller | None:
    """Whoever calls, by any credential of any surface; None for a request that shows none.

    Raises Denied for a credential that does not hold, and for two at once: nobody should have to guess
    which of them counts.
    """
    secret = bearer(request)
    if any(header in request.headers for header in (TENANT_HEADER, PARTNER_HEADER)):
        if secret is not None:
            raise Denied(Reason.MALFORMED)
        return await partner(request, deps)
    if secret is None:
        return None
    if secret.startswith(_PROJECT):
        return await project(request, deps)
    if secret.startswith(_ORGANIZATION):
        return await organization(request, deps)
    if not _JWT.fullmatch(secret):
        raise Denied(_other_than(secret))
    try:
        return await _user(request, secret, deps)
    except Denied as denied:
        if denied.reason is not Reason.WRONG_KIND:
            raise
    return _administrator(request, secret, deps)


def _bearer(request: Request, header: str) -> str | None:
    values = request.headers.getlist(header)
    if not values:
        return None
    scheme, space, credential = values[0].partition(" ")
    # A credential has no spaces (RFC 6750 section 2.1, b64token).
    if len(values) > 1 or scheme.lower() != "bearer" or not space or not credential or " " in credential:
        raise Denied(Reason.MALFORMED)
    return credential


def _shown(request: Request, header: str = AUTHORIZATION) -> str:
    credential = _bearer(request, header)
    if credential is None:
        raise Denied(Reason.MISSING)
    return credential


def _other_than(credential: str) -> Reason:
    """Why a credential of another form than the one asked for is denied. Only its form is looked at."""
    typed = credential.startswith((_PROJECT, _ORGANIZATION, "sig_"))
    return Reason.WRONG_KIND if typed or _JWT.fullmatch(credential) else Reason.UNKNOWN


def _of_key(request: Request, kind: ActorKind, key: ApiKey | None) -> Caller:
    if key is None:
        raise Denied(Reason.UNKNOWN)
    note_accepted(request)
    return Caller(key.tenant, key.mode, Actor(kind, key.id))


async def _user(request: Request, token: str, deps: Deps) -> UserCaller:
    try:
        found = await deps.identity.user(token)
    except IssuerUnreachable as err:
        raise Denied(Reason.ISSUER_UNREACHABLE) from err
    except TokenRefused as err:
        raise Denied(_why(err)) from err
    note_accepted(request)
    return UserCaller(found.tenant, found.mode, Actor(ActorKind.USER, found.id), found)


def _administrator(request: Request, token: str, deps: Deps) -> Caller:
    try:
        found = deps.identity.recognise_administrator(token)
    except TokenRefused as err:
        raise Denied(_why(err)) from err
    note_accepted(request)
    return Caller(found.tenant, Mode.LIVE, Actor(ActorKind.ADMINISTRATOR, found.subject))


def _why(refusal: TokenRefused) -> Reason:
    if isinstance(refusal, TokenExpired):
        return Reason.EXPIRED
    return Reason.WRONG_KIND if isinstance(refusal, TokenOfAnotherKind) else Reason.UNKNOWN
