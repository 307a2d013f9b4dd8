"""The tenant's partner credential: made, shown and revoked by an administrator of the tenant."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import Answer, NewPartnerKey, UnknownTenant
from api.http import read_json, send_answer
from api.surfaces.partner.access import Administrator, forbidden
from api.surfaces.partner.answers import Failed, Failure, Success, deps_of, failure_answer
from api.surfaces.partner.bodies import INTEGRATION, METHODS, IntegrationBody
from api.surfaces.partner.documentation import documented
from api.surfaces.partner.models import Deleted, Integration, NewIntegration
from api.surfaces.partner.validation import parse

router = APIRouter(tags=["Credential bootstrap"])

FETCHED: Final = Success(200, "api_integration_fetched", "API integration configuration fetched.")
CREATED: Final = Success(201, "api_integration_created", "API integration created.")
DELETED: Final = Success(200, "api_integration_deleted", "API integration deleted.")

_NOT_FOUND: Final = Failure(
    404, "api_integration_not_found", "API integration configuration not found.", "not_found", {"resource": "api_integration"}
)
_INVALID_METHOD: Final = Failure(
    400, "invalid_auth_method", "Auth method is invalid.", "validation", {"field": "auth_method", "allowed": list(METHODS)}
)


@router.get("/api", summary="Gets the tenant partner configuration.", **documented(FETCHED, Integration, 403, 404))
async def fetch(request: Request, caller: Administrator) -> Response:
    """The secret is not part of it: it is shown once, when it is created."""
    deps = deps_of(request)
    key = await deps.identity.partner_key_of(caller.tenant)
    if key is None:
        raise Failed(_NOT_FOUND)
    data = Integration(
        tenant_id=str(key.tenant),
        auth_method=key.method,
        status="ACTIVE",
        key_id=key.id,
        created_at=key.created_at,
        updated_at=key.updated_at,
        partner_base_url=deps.settings.base_url,
    )
    return send_answer(FETCHED.answer(request, data))


@router.post(
    "/api",
    summary="Creates a partner credential.",
    **documented(CREATED, NewIntegration, 403, body=INTEGRATION, changes=True),
)
async def create(request: Request, caller: Administrator) -> Response:
    """A tenant has one credential. Where there is one it is replaced, and its secret stops working at once."""
    body = await _body(request)

    def render(made: NewPartnerKey) -> Answer:
        data = NewIntegration(
            tenant_id=str(made.key.tenant),
            auth_method=made.key.method,
            status="ACTIVE",
            key_id=made.key.id,
            api_key=made.secret,
            created_at=made.key.created_at,
        )
        return CREATED.answer(request, data)

    key = await caller.key(request)
    try:
        answer = await deps_of(request).identity.answer_partner_key_creation(caller.tenant, body.auth_method, render, key)
    except UnknownTenant as err:
        raise Failed(forbidden("The token's tenant does not exist.")) from err
    return send_answer(answer)


@router.delete("/api", summary="Revokes the current partner credential.", **documented(DELETED, Deleted, 403, 404, changes=True))
async def delete(request: Request, caller: Administrator) -> Response:
    """Your backend stops being able to authenticate with the revoked credential, from the next request on."""

    def render(revoked: bool) -> Answer:
        return DELETED.answer(request, Deleted(deleted=True)) if revoked else failure_answer(request, _NOT_FOUND)

    key = await caller.key(request)
    try:
        return send_answer(await deps_of(request).identity.answer_partner_key_revocation(caller.tenant, render, key))
    except UnknownTenant as err:
        raise Failed(_NOT_FOUND) from err


async def _body(request: Request) -> IntegrationBody:
    """The documented error is for the method alone; other faults are answered as everywhere."""
    value = await read_json(request)
    if isinstance(value, dict) and value.keys() <= {"auth_method"} and value.get("auth_method") not in METHODS:
        raise Failed(_INVALID_METHOD)
    return parse(INTEGRATION, value)
