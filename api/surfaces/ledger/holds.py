"""Holds for the tenant's administrator: what is to be kept from erasure."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.deps import Answer, Deps, Outcome, UnknownTenant
from api.erasing import Unusable, parse_id, parse_instant
from api.http import json_answer, read_json, send_answer
from api.problems import Failed, Fault
from api.surfaces.ledger.access import ADMINISTRATOR, administrator, deps_of, forbidden
from api.surfaces.ledger.documentation import documented
from api.surfaces.ledger.erasure_models import HoldBody, LiftBody, LiftedHold, ShownHold, ShownHolds
from api.surfaces.ledger.models import invalid, parse_body
from domain.entry import format_time
from domain.envelope import Envelope
from domain.errors import EnvelopeNotFound
from domain.ids import IdError, parse_uuid
from domain.retention import Holds, LiftHold, PlaceHold, holds_stream

router = APIRouter(prefix="/v1/ledger/holds", tags=["Erasure"])


@router.get("", summary="List the holds", **documented(200, ShownHolds, ADMINISTRATOR, 403))
async def index(request: Request) -> Response:
    """Those that were not lifted, read from the log itself."""
    caller, deps = await administrator(request), deps_of(request)
    state, now = await deps.ledger.state(Holds, holds_stream(caller.tenant)), deps.clock.now()
    held = () if state is None else state.placed.values()
    shown = ShownHolds(holds=[ShownHold.of(hold, in_force=hold.in_force(now)) for hold in held])
    return send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))


@router.post(
    "",
    summary="Place a hold",
    **documented(201, ShownHold, ADMINISTRATOR, 403, 404, 409, body=HoldBody, changes=True),
)
async def create(request: Request) -> Response:
    """From this answer on nothing of the envelope, or of the tenant, is erased, until the hold ends or is lifted."""
    caller, deps = await administrator(request), deps_of(request)
    body = parse_body(HoldBody, await read_json(request))
    await _existing(deps, caller.tenant)
    until = None if body.until is None else _instant(body.until)
    envelope = None if body.envelope_id is None else await _envelope(deps, caller.tenant, body.envelope_id)
    hold = deps.new_id()

    def render(outcome: Outcome) -> Answer:
        placed = outcome.state(Holds, holds_stream(caller.tenant)).placed[hold]
        return json_answer(201, ShownHold.of(placed, in_force=True).model_dump(mode="json", by_alias=True))

    command = PlaceHold(caller.tenant, hold, envelope, body.reason, until)
    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=await caller.key(request, "ledger")))


@router.post(
    "/{id}/lift",
    summary="Lift a hold",
    **documented(200, LiftedHold, ADMINISTRATOR, 403, 404, 409, body=LiftBody, changes=True),
)
async def lift(request: Request, id: Annotated[str, Path(description="The hold's id.")]) -> Response:
    """What it forbade is allowed from this answer on. One that was lifted before is answered like one that never was."""
    caller, deps = await administrator(request), deps_of(request)
    body = parse_body(LiftBody, await read_json(request))
    try:
        hold = parse_uuid(id)
    except IdError as err:
        raise Failed(404, "hold-not-found", "There is no such hold.") from err

    def render(outcome: Outcome) -> Answer:
        shown = LiftedHold(id=str(hold), ground=body.ground, lifted_at=format_time(outcome.recorded[0].receipt.at))
        return json_answer(200, shown.model_dump(mode="json", by_alias=True))

    command = LiftHold(caller.tenant, hold, body.ground)
    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=await caller.key(request, "ledger")))


async def _existing(deps: Deps, tenant: UUID) -> None:
    try:
        await deps.identity.tenant_name(tenant)
    except UnknownTenant as err:
        raise forbidden("The token's tenant does not exist.") from err


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except Unusable as err:
        raise invalid([Fault(field=err.member, message=str(err))]) from err


async def _envelope(deps: Deps, tenant: UUID, text: str) -> UUID:
    """The id of an envelope of the tenant, of either mode; raises Failed 422, EnvelopeNotFound."""
    try:
        envelope = parse_id(text, "env")
    except IdError as err:
        raise invalid([Fault(field="envelopeId", message=str(err))]) from err
    state = await deps.ledger.state(Envelope, envelope)
    if state is None or state.tenant != tenant:
        raise EnvelopeNotFound(envelope)
    return envelope
