"""The tenant's credentials: made, listed and revoked by an administrator of the tenant."""

from typing import Annotated, assert_never

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.deps import Answer, KeyKind, NewKey, NewPartnerKey, UnknownTenant
from api.http import json_answer, read_json, send_answer
from api.problems import Failed
from api.surfaces.ledger.access import ADMINISTRATOR, administrator, deps_of, forbidden
from api.surfaces.ledger.documentation import documented
from api.surfaces.ledger.models import Credential, Credentials, NewCredential, NewCredentialBody, Revoked, parse

router = APIRouter(prefix="/v1/ledger/credentials", tags=["Credentials"])


@router.post(
    "",
    summary="Make a credential",
    **documented(201, NewCredential, ADMINISTRATOR, 403, body=NewCredentialBody, changes=True),
)
async def create(request: Request) -> Response:
    """The answer shows the secret, of which only a hash is stored. A repeat under the same idempotency key shows it again."""
    caller = await administrator(request)
    body = parse(await read_json(request))
    identity = deps_of(request).identity
    key = await caller.key(request, "ledger")

    def render(made: NewKey | NewPartnerKey) -> Answer:
        shown = NewCredential(id=made.key.id, kind=body.kind, mode=body.mode, status="ACTIVE", secret=made.secret)
        return json_answer(201, shown.model_dump(mode="json", by_alias=True))

    try:
        match body.kind:
            case "partner":
                answer = await identity.answer_partner_key_creation(caller.tenant, "KEY", render, key)
            case "project" | "organization":
                answer = await identity.answer_key_creation(caller.tenant, KeyKind(body.kind), body.mode, render, key)
            case _:
                assert_never(body.kind)
    except UnknownTenant as err:
        raise forbidden("The token's tenant does not exist.") from err
    return send_answer(answer)


@router.get("", summary="List the credentials", **documented(200, Credentials, ADMINISTRATOR, 403))
async def index(request: Request) -> Response:
    """All of them, of both modes, without their secrets."""
    caller = await administrator(request)
    found = await deps_of(request).identity.credentials(caller.tenant)
    shown = Credentials(credentials=[Credential.model_validate(each, from_attributes=True) for each in found])
    return send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))


@router.delete("/{id}", summary="Revoke a credential", **documented(200, Revoked, ADMINISTRATOR, 403, 404, changes=True))
async def revoke(request: Request, id: Annotated[str, Path(description="The credential's public id.")]) -> Response:
    """Whoever uses it is refused from the next request on. One that was revoked before is answered like one that never was."""
    caller = await administrator(request)
    key = await caller.key(request, "ledger")
    absent = Failed(404, "not-found", "There is no such active credential.")

    def render(revoked: bool) -> Answer:
        shown = Revoked(id=id, status="REVOKED")
        # What was not done is not kept for repeats, and is answered below.
        return json_answer(200 if revoked else 404, shown.model_dump(mode="json", by_alias=True))

    try:
        answer = await deps_of(request).identity.answer_key_revocation(caller.tenant, id, render, key)
    except UnknownTenant as err:
        raise absent from err
    if answer.status != 200:
        raise absent
    return send_answer(answer)
