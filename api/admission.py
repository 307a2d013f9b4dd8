"""Who may read what is ours to show: any credential of any surface, or everybody where the log is public.

For the surfaces whose errors are problem documents (`api.problems`).
"""

from typing import Final

from starlette.requests import Request

from api import auth
from api.auth import Caller, Denied, Reason
from api.deps import Deps
from api.problems import Failed

_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}
_MISSING: Final = "Send a credential of any surface, as that surface takes it."

_DENIED: Final = {
    Reason.MISSING: _MISSING,
    Reason.MALFORMED: "Send one credential: Authorization: Bearer, one space and the credential, or the pair of X-...-Signly headers.",
    Reason.UNKNOWN: "The credential is not valid.",
    Reason.EXPIRED: "The token's time has passed.",
    Reason.WRONG_KIND: "This credential is for something else.",
}


async def anyone(request: Request, deps: Deps) -> Caller:
    """Whoever calls; raises Failed 401 for no credential and for one that does not hold."""
    try:
        caller = await auth.anyone(request, deps)
    except Denied as denied:
        if denied.reason is Reason.ISSUER_UNREACHABLE:
            raise Failed(503, "unavailable", "The token's issuer is out of reach; try again.", {"Retry-After": "2"}) from denied
        raise Failed(401, "unauthorized", _DENIED[denied.reason], _CHALLENGE) from denied
    if caller is None:
        raise Failed(401, "unauthorized", _MISSING, _CHALLENGE)
    return caller


async def monitor(request: Request, deps: Deps) -> None:
    """Lets pass who may read the whole log: everybody, or with COUNTERSIGN_PUBLIC_LOG=false as `anyone`.

    Where the log is public, a credential that does not hold is not looked at.
    """
    if not deps.settings.public_log:
        await anyone(request, deps)
