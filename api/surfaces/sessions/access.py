"""Who may do what: an organization's key, a session's token, or a person who has just signed in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, cast
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request

from api import auth
from api.auth import Caller, Denied, Reason, UserCaller
from api.deps import Deps, Key
from api.http import idempotency_key
from api.surfaces.sessions.kinds import (
    HEADER_INVALID,
    MISSING_CREDENTIALS,
    NOT_FOUND,
    NOT_IN_MODE,
    QUERY_INVALID,
    REAUTHENTICATION,
    TOKEN_EXPIRED,
    TOKEN_INVALID,
    UNAVAILABLE,
    Kind,
)
from api.surfaces.sessions.problems import RETRY_AFTER_SECONDS, Problem
from domain.actor import ActorKind, Mode
from domain.ids import IdError, parse_typed_id
from domain.signing import Signing

VERSION_HEADER: Final = "Matter-Version"
TOKEN_HEADER: Final = "X-Signing-Session-Token"
KEY_HEADER: Final = "Idempotency-Key"

#: The dated versions, oldest first: general availability, and that of the reference page. They do not differ in what is here.
VERSIONS: Final = ("2026-05-01", "2026-06-10")

#: What a request without the header is answered in. The oldest: a client that names none does not change under it.
DEFAULT_VERSION: Final = VERSIONS[0]

_VERSION: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

_KINDS: Final[Mapping[Reason, Kind]] = {
    Reason.MISSING: MISSING_CREDENTIALS,
    Reason.MALFORMED: TOKEN_INVALID,
    Reason.UNKNOWN: TOKEN_INVALID,
    Reason.EXPIRED: TOKEN_EXPIRED,
    Reason.WRONG_KIND: TOKEN_INVALID,
    Reason.ISSUER_UNREACHABLE: UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request showed: an organization's key, verified, and a session token, not verified yet."""

    organization: Caller | None
    token: str | None


def deps_of(request: Request) -> Deps:
    """The running parts, as handed to `build`."""
    return cast(Deps, request.app.state.deps)


def check_version(request: Request) -> None:
    """Raises Problem for a version that is malformed or unknown; without one it is DEFAULT_VERSION."""
    version = request.headers.get(VERSION_HEADER)
    if version is None or version in VERSIONS:
        return
    what = f"There is no version {version}" if _is_date(version) else f"{VERSION_HEADER} is a date of the form YYYY-MM-DD"
    raise Problem(HEADER_INVALID, f"{what}; known versions are {', '.join(VERSIONS)}.", param=VERSION_HEADER)


def _is_date(text: str) -> bool:
    if not _VERSION.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


async def credentials(request: Request) -> Credentials:
    """The credentials of a request; raises Problem for a header that is malformed or a key that is not valid.

    A session token may also come as the bearer (`sig_...`), as the documentation has it in another place.
    """
    check_version(request)
    token = request.headers.get(TOKEN_HEADER) or None
    try:
        bearer = auth.bearer(request)
        if bearer is None:
            return Credentials(None, token)
        if bearer.startswith("sig_"):
            return Credentials(None, token or bearer)
        caller = await auth.organization(request, deps_of(request))
    except Denied as denied:
        raise _problem(denied) from denied
    _note(request, caller)
    return Credentials(caller, token)


async def organization(request: Request) -> Caller:
    """The organization whose key the request shows; raises Problem 401 for any other credential, 400 for the version."""
    check_version(request)
    try:
        caller = await auth.organization(request, deps_of(request))
    except Denied as denied:
        raise _problem(denied) from denied
    _note(request, caller)
    return caller


async def person(request: Request) -> UserCaller:
    """The person whose sign-in the request shows; raises Problem 403 for another valid credential, 401 for none."""
    check_version(request)
    try:
        caller = await auth.anyone(request, deps_of(request))
    except Denied as denied:
        raise _problem(denied) from denied
    if caller is None:
        raise Problem(MISSING_CREDENTIALS)
    _note(request, caller)
    if not isinstance(caller, UserCaller):
        raise Problem(REAUTHENTICATION, "A signing session is for a person: send the token of one who has just signed in.")
    return caller


def _problem(denied: Denied) -> Problem:
    kind = _KINDS[denied.reason]
    if denied.reason is Reason.ISSUER_UNREACHABLE:
        return Problem(kind, "The issuer of the token cannot be asked for its keys.", retry_after=RETRY_AFTER_SECONDS)
    malformed = denied.reason is Reason.MALFORMED
    return Problem(kind, "Authorization is Bearer, one space, and the credential." if malformed else None)


def _note(request: Request, caller: Caller) -> None:
    """Problems say whose credential was recognised."""
    human = caller.actor.kind is ActorKind.USER
    request.state.authorized_by = {
        "human_principal_id": caller.actor.id if human else None,
        "agent_id": None if human else caller.actor.id,
    }


async def repeat_key(request: Request, scope: str) -> Key | None:
    """The request's idempotency key for `scope`; raises Problem 400 if it cannot be used."""
    try:
        return await idempotency_key(request, scope)
    except HTTPException as err:
        if err.status_code != HEADER_INVALID.status:
            raise
        raise Problem(HEADER_INVALID, err.detail, param=KEY_HEADER) from err


async def callers_key(request: Request, caller: Caller) -> Key | None:
    """As `repeat_key`, for a caller. Two credentials never share a key."""
    return await repeat_key(request, f"sessions:{caller.tenant}:{caller.mode.value}:{caller.actor.kind.value}:{caller.actor.id}")


def dry_run(request: Request) -> bool:
    """Whether the request is to be simulated; raises Problem 400 for another value than true or false."""
    value = request.query_params.get("dry_run", "false")
    if value not in ("true", "false"):
        raise Problem(QUERY_INVALID, "dry_run is true or false.", param="dry_run")
    return value == "true"


def refuse_dry_run(request: Request) -> None:
    """Raises Problem 400: what is not simulated must not be done instead."""
    if dry_run(request):
        raise Problem(QUERY_INVALID, "This cannot be simulated; nothing was done.", param="dry_run")


def typed(prefix: str, text: str, noun: str, param: str | None = None) -> UUID:
    """The UUID of a typed id; raises Problem 404 for what is not one."""
    try:
        return parse_typed_id(prefix, text)
    except IdError as err:
        raise absent(noun, param) from err


def absent(noun: str, param: str | None = None) -> Problem:
    """The 404 for what does not exist, and in the same words for what is another organization's."""
    return Problem(NOT_FOUND, f"There is no such {noun}.", param=param)


def check_owner(caller: Caller, tenant: UUID, mode: Mode, noun: str, param: str | None = None) -> None:
    """Raises Problem 404 for what is another organization's, or of the other mode: only the owner is told which."""
    if tenant != caller.tenant:
        raise absent(noun, param)
    if mode is not caller.mode:
        detail = f"The {noun} is of mode {mode.value}, the credential of mode {caller.mode.value}."
        raise Problem(NOT_IN_MODE, detail, param=param)


def session_id(text: str) -> UUID:
    """The participant that a session id names; raises Problem 404 for what is not a session id."""
    return typed("sgs", text, "signing session")


def visible(signing: Signing | None, caller: Caller | None) -> Signing:
    """`signing`, unless there is none or it is not the caller's, or not of its mode: then Problem 404."""
    if signing is None:
        raise absent("signing session")
    if caller is not None:
        check_owner(caller, signing.tenant, signing.mode, "signing session")
    return signing


def known(shown: Credentials) -> None:
    """Raises Problem 401 for a request that shows nothing at all."""
    if shown.organization is None and shown.token is None:
        raise Problem(MISSING_CREDENTIALS)
