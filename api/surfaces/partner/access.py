"""Who calls: the partner's credential on `/v1`, an administrator's token on `/api`."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

from api.deps import Key
from api.http import idempotency_key, note_accepted
from api.surfaces.partner.answers import Failed, Failure, deps_of, identify
from domain.actor import Actor, ActorKind, Mode

#: A partner credential acts on live data; the reference page knows no other.
MODE: Final = Mode.LIVE

_TENANT: Final = APIKeyHeader(
    name="X-Tenant-Signly",
    scheme_name="Tenant",
    description="Tenant identifier that scopes the entire operation.",
    auto_error=False,
)
_CREDENTIAL: Final = APIKeyHeader(
    name="X-Auth-Signly",
    scheme_name="Credential",
    description="Tenant partner credential: the raw value, or for `HMAC` also `HMAC <secret>`.",
    auto_error=False,
)
_ADMINISTRATOR: Final = APIKeyHeader(
    name="X-Auth-Signly",
    scheme_name="Administrator",
    description="`Bearer <token>` of an administrator of the tenant; `countersign token --admin` makes one.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, once that is verified."""

    tenant: UUID
    actor: Actor

    async def key(self, request: Request) -> Key | None:
        """The request's idempotency key. Two credentials never share one."""
        return await idempotency_key(request, f"partner:{self.tenant}:{self.actor.kind}:{self.actor.id}")


async def _partner(
    request: Request, tenant: Annotated[str | None, Security(_TENANT)], secret: Annotated[str | None, Security(_CREDENTIAL)]
) -> Caller:
    if not tenant or not secret:
        raise Failed(_unauthorized("Send X-Tenant-Signly and X-Auth-Signly."))
    key = await deps_of(request).identity.partner(tenant, secret)
    if key is None:
        raise Failed(_unauthorized("The tenant or the credential is not valid."))
    note_accepted(request)
    identify(request, key.tenant)
    return Caller(key.tenant, Actor(ActorKind.PARTNER_KEY, key.id))


async def _administrator(request: Request, header: Annotated[str | None, Security(_ADMINISTRATOR)]) -> Caller:
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Failed(_unauthorized("Send X-Auth-Signly: Bearer and an administrator's token."))
    bearer = deps_of(request).identity.bearer(token.strip())
    if bearer is None:
        raise Failed(_unauthorized("The token is not valid."))
    note_accepted(request)
    identify(request, bearer.tenant)
    if not bearer.administrator:
        raise Failed(forbidden("The token is not an administrator's."))
    return Caller(bearer.tenant, Actor(ActorKind.ADMINISTRATOR, bearer.subject))


Partner = Annotated[Caller, Depends(_partner)]
Administrator = Annotated[Caller, Depends(_administrator)]


def forbidden(message: str) -> Failure:
    """The answer to a token that is valid and does not permit this."""
    return Failure(403, "forbidden", message, "authorization")


def _unauthorized(message: str) -> Failure:
    # RFC 9110 section 11.6.1 asks for a challenge; the scheme names the header that this API uses.
    return Failure(401, "unauthorized", message, "authentication", headers={"WWW-Authenticate": "X-Auth-Signly"})
