"""Who may do what with a session: its token, or an organization's key for what the organization may see."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final, cast
from uuid import UUID

from starlette.requests import Request

from api.deps import Deps, OrganizationKey
from api.surfaces.sessions.problems import (
    HEADER_INVALID,
    MISSING_CREDENTIALS,
    NOT_FOUND,
    NOT_IN_MODE,
    TOKEN_INVALID,
    Problem,
)
from domain.ids import IdError, parse_typed_id
from domain.signing import Signing

VERSION_HEADER: Final = "Matter-Version"
TOKEN_HEADER: Final = "X-Signing-Session-Token"

_VERSION: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request showed: an organization's key, verified, and a session token, not verified yet."""

    organization: OrganizationKey | None
    token: str | None


def deps_of(request: Request) -> Deps:
    """The running parts, as handed to `build`."""
    return cast(Deps, request.app.state.deps)


async def credentials(request: Request) -> Credentials:
    """The credentials of a request; raises Problem for a header that is malformed or a key that is not valid.

    A session token may also come as the bearer (`sig_...`), as the documentation has it in another place.
    """
    version = request.headers.get(VERSION_HEADER)
    if version is not None and not _is_date(version):
        raise Problem(HEADER_INVALID, f"{VERSION_HEADER} is a date of the form YYYY-MM-DD.", param=VERSION_HEADER)
    token = request.headers.get(TOKEN_HEADER) or None
    header = request.headers.get("authorization")
    if header is None:
        return Credentials(None, token)
    scheme, _, bearer = header.partition(" ")
    if scheme.lower() != "bearer" or not bearer or " " in bearer:
        raise Problem(TOKEN_INVALID, "Authorization is Bearer, one space, and the key.")
    if bearer.startswith("sig_"):
        return Credentials(None, token or bearer)
    organization = await deps_of(request).identity.organization(bearer)
    if organization is None:
        raise Problem(TOKEN_INVALID)
    return Credentials(organization, token)


def _is_date(text: str) -> bool:
    if not _VERSION.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def session_id(text: str) -> UUID:
    """The participant that a session id names; raises Problem 404 for what is not a session id."""
    try:
        return parse_typed_id("sgs", text)
    except IdError as err:
        raise Problem(NOT_FOUND, "There is no such signing session.") from err


def visible(signing: Signing | None, organization: OrganizationKey | None) -> Signing:
    """`signing`, unless there is none or it is not the organization's, or not of its key's mode: then Problem 404."""
    if signing is None:
        raise Problem(NOT_FOUND, "There is no such signing session.")
    if organization is not None and organization.tenant != signing.tenant:
        raise Problem(NOT_FOUND, "There is no such signing session.")
    if organization is not None and organization.mode is not signing.mode:
        raise Problem(
            NOT_IN_MODE, f"The signing session is of mode {signing.mode.value}, the key of mode {organization.mode.value}."
        )
    return signing


def known(shown: Credentials) -> None:
    """Raises Problem 401 for a request that shows nothing at all."""
    if shown.organization is None and shown.token is None:
        raise Problem(MISSING_CREDENTIALS)
