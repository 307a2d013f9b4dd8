"""Who calls: the bearer of an issuer's token, and whose assignments are this person's."""

import re
from typing import Annotated, Final, NoReturn

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from api.auth import Denied, Reason, UserCaller
from api.auth import user as recognise_user
from api.deps import Answer, Key
from api.surfaces.signing.answers import INVALID_TOKEN, MISSING_TOKEN, NOT_FOUND, Failed, deps_of

_SCHEME: Final = HTTPBearer(
    scheme_name="Session",
    bearerFormat="JWT",
    description="A token of an OpenID Connect issuer that this installation knows, or of its own (`countersign token --user`).",
    auto_error=False,
)

#: More digits than any position has; what is longer is no number that anybody was given.
_NUMBER: Final = re.compile(r"[0-9]{1,40}", re.ASCII)
_MAX_NUMBER: Final = 2**63 - 1


async def _caller(request: Request, _: Annotated[object, Security(_SCHEME)]) -> UserCaller:
    try:
        return await recognise_user(request, deps_of(request))
    except Denied as denied:
        _deny(denied)


def _deny(denied: Denied) -> NoReturn:
    match denied.reason:
        case Reason.MISSING | Reason.MALFORMED:
            raise Failed(401, MISSING_TOKEN, {"WWW-Authenticate": "Bearer"}) from denied
        case Reason.UNKNOWN | Reason.EXPIRED | Reason.WRONG_KIND:
            raise Failed(401, INVALID_TOKEN, {"WWW-Authenticate": 'Bearer error="invalid_token"'}) from denied
        case Reason.ISSUER_UNREACHABLE:
            raise Failed(503, "The token's issuer cannot be reached; try again.", {"Retry-After": "2"}) from denied


User = Annotated[UserCaller, Depends(_caller)]


class Repeated(Exception):
    """A request under an idempotency key that was answered before; the surface gives that answer again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


async def _once(request: Request, caller: User) -> Key | None:
    key = await caller.key(request, "signing")
    # Looked up first: what the request names may have changed since, and the answer must not.
    if key is not None and (first := await deps_of(request).ledger.answered(key)) is not None:
        raise Repeated(first)
    return key


#: The idempotency key of a request that changes something, if it was not answered before.
Once = Annotated[Key | None, Depends(_once)]


def number(text: str, what: str) -> int:
    """A numeric id of a path or query; raises Failed 400 for what is none, 404 for what nothing can have."""
    if not _NUMBER.fullmatch(text):
        raise Failed(400, f"Invalid {what} ID.")
    found = int(text)
    if found > _MAX_NUMBER:
        raise Failed(404, NOT_FOUND)
    return found
