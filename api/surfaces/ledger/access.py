"""Who calls: any credential of any surface reads, an administrator of the tenant administers."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from starlette.requests import Request

from api import auth
from api.auth import Caller, Denied, Reason
from api.deps import Deps
from api.problems import Failed
from domain.actor import ActorKind

#: OpenAPI's security schemes, and how each kind of route may be called.
SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A project's key (`ck_...`), an organization's (`sk_...`), or the token of a person or an administrator.",
    },
    "tenant": {"type": "apiKey", "in": "header", "name": "X-Tenant-Signly", "description": "A partner's tenant."},
    "credential": {"type": "apiKey", "in": "header", "name": "X-Auth-Signly", "description": "That partner's credential."},
    "administrator": {
        "type": "http",
        "scheme": "bearer",
        "description": "An administrator's token; `countersign token --admin` makes one.",
    },
}
ANYONE: Final[Sequence[Mapping[str, Sequence[str]]]] = [{"bearer": []}, {"tenant": [], "credential": []}]
ADMINISTRATOR: Final[Sequence[Mapping[str, Sequence[str]]]] = [{"administrator": []}]

_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}
_MISSING: Final = "Send a credential of any surface, as that surface takes it."

_DENIED: Final = {
    Reason.MISSING: _MISSING,
    Reason.MALFORMED: "Send one credential: Authorization: Bearer, one space and the credential, or the pair of X-...-Signly headers.",
    Reason.UNKNOWN: "The credential is not valid.",
    Reason.EXPIRED: "The token's time has passed.",
    Reason.WRONG_KIND: "This credential is for something else.",
}


def deps_of(request: Request) -> Deps:
    """The running parts, as handed to `build`."""
    return cast(Deps, request.app.state.deps)


async def anyone(request: Request) -> Caller:
    """Whoever calls; raises Failed 401 for no credential and for one that does not hold."""
    try:
        caller = await auth.anyone(request, deps_of(request))
    except Denied as denied:
        if denied.reason is Reason.ISSUER_UNREACHABLE:
            raise Failed(503, "unavailable", "The token's issuer is out of reach; try again.", {"Retry-After": "2"}) from denied
        raise Failed(401, "unauthorized", _DENIED[denied.reason], _CHALLENGE) from denied
    if caller is None:
        raise Failed(401, "unauthorized", _MISSING, _CHALLENGE)
    return caller


async def administrator(request: Request) -> Caller:
    """The tenant's administrator who calls; raises Failed 401 as `anyone`, 403 for who is none."""
    caller = await anyone(request)
    if caller.actor.kind is not ActorKind.ADMINISTRATOR:
        raise forbidden("The credential is not an administrator's.")
    return caller


def forbidden(detail: str) -> Failed:
    """The answer to a credential that is valid and does not permit this."""
    return Failed(403, "forbidden", detail)
