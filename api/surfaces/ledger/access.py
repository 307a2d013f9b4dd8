"""Who calls: any credential of any surface reads, an administrator of the tenant administers."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from starlette.requests import Request

from api import admission
from api.auth import Caller
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
#: The whole log: without credential, unless the settings ask for one.
MONITOR: Final[Sequence[Mapping[str, Sequence[str]]]] = [{}, *ANYONE]


def deps_of(request: Request) -> Deps:
    """The running parts, as handed to `build`."""
    return cast(Deps, request.app.state.deps)


async def anyone(request: Request) -> Caller:
    """Whoever calls; raises Failed 401 for no credential and for one that does not hold."""
    return await admission.anyone(request, deps_of(request))


async def monitor(request: Request) -> None:
    """Lets pass who may read the whole log; otherwise as `anyone`."""
    await admission.monitor(request, deps_of(request))


async def administrator(request: Request) -> Caller:
    """The tenant's administrator who calls; raises Failed 401 as `anyone`, 403 for who is none."""
    caller = await anyone(request)
    if caller.actor.kind is not ActorKind.ADMINISTRATOR:
        raise forbidden("The credential is not an administrator's.")
    return caller


def forbidden(detail: str) -> Failed:
    """The answer to a credential that is valid and does not permit this."""
    return Failed(403, "forbidden", detail)
