"""Who calls: the project's key as a bearer."""

from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.auth import Caller, Denied, project
from api.deps import Key
from api.surfaces.signatures.answers import Failed, Failure, deps_of
from api.surfaces.signatures.parsing import key_value

#: What the document says of the credential; `project` is what looks at it.
_BEARER: Final = HTTPBearer(
    scheme_name="ProjectKey",
    bearerFormat="ck_live_... or ck_test_...",
    description="A key of the project. It has full access to the project's requests of its own mode, live or test.",
    auto_error=False,
)


async def _project(request: Request, shown: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]) -> Caller:
    try:
        return await project(request, deps_of(request))
    except Denied as denied:
        # RFC 9110 section 11.6.1 asks for a challenge.
        headers = {"WWW-Authenticate": "Bearer"}
        raise Failed(Failure(401, "unauthorized", "Missing, invalid or revoked API key.", headers=headers)) from denied


Project = Annotated[Caller, Depends(_project)]


def key_for(request: Request, caller: Caller, what: str) -> Key | None:
    """The request's idempotency key for `what`, within the project and the mode.

    The body is not compared: a repeat is whatever comes under the same key.
    """
    value = key_value(request)
    return None if value is None else Key(f"signatures:{caller.tenant}:{caller.mode.value}:{what}", value, b"")
