"""Flows: walkthroughs of a location that packages can be tied to."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, Field, model_validator
from starlette.responses import Response

from api.deps import Answer, Deps, Outcome
from api.http import send_answer
from api.surfaces.signing.access import Once, User, number
from api.surfaces.signing.answers import NOT_FOUND, Failed, Row, answer, deps_of, in_milliseconds
from api.surfaces.signing.bodies import Body, read
from api.surfaces.signing.documentation import documented
from api.surfaces.signing.drafting import Id, numeric
from api.surfaces.signing.organizations import ScopeWord, sees
from api.surfaces.signing.packages import location_of
from api.surfaces.signing.revealing import Values, revealed, text_at, value_at
from api.surfaces.signing.session import Visitor, visitor_of
from domain.canonical import CanonicalError, Json, canonical
from domain.directory import MAX_NAME, ChangeFlow, DefineFlow, Module, Tier, parse_name
from domain.personal import Personal, Subject, SubjectKind
from projections import directory
from projections.directory import FlowRow

router: Final = APIRouter(prefix="/v1/signing/manager/flows", tags=["Manager flows"])

MAX_STEPS: Final = 100

#: All steps together in their canonical spelling, as at the terminal.
MAX_STEPS_BYTES: Final = 65_536


def _bounded(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        size_bytes = len(canonical(steps))
    except CanonicalError as err:
        raise ValueError(f"cannot be kept: {err}") from err
    if size_bytes > MAX_STEPS_BYTES:
        raise ValueError(f"takes more than {MAX_STEPS_BYTES} bytes")
    return steps


#: What `parse_name` lets through.
_ONE_LINE: Final[dict[str, Any]] = {
    "pattern": r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f\u2028\u2029][^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
}

FlowName = Annotated[str, Field(min_length=1, max_length=MAX_NAME, json_schema_extra=_ONE_LINE), AfterValidator(parse_name)]
Steps = Annotated[
    list[dict[str, Any]],
    Field(max_length=MAX_STEPS, description="What the walkthrough shows, in order; kept as given."),
    AfterValidator(_bounded),
]


class FlowRecord(Row):
    """A flow."""

    id: str
    organization_id: str
    location_id: str
    name: str | None
    steps: Any = Field(
        description="As they were given: a list of objects from here, any JSON from the terminal, or null for none.",
        json_schema_extra={"type": ["array", "object", "string", "number", "boolean", "null"]},
    )
    active: bool = Field(description="Whether new packages can be tied to it.")
    created_at: str
    updated_at: str


class Flows(Row):
    """Flows in the caller's scope."""

    flows: list[FlowRecord]
    scope: ScopeWord


class Flow(Row):
    """One flow."""

    flow: FlowRecord


class FlowBody(Body):
    """A new flow."""

    location_id: Id
    name: FlowName
    steps: Steps | None = None
    active: bool = True


class FlowChangeBody(Body):
    """What changes; at least one member."""

    name: FlowName | None = None
    steps: Steps | None = Field(None, description="All of them; an empty list takes them away.")
    active: bool | None = None

    @model_validator(mode="after")
    def _something(self) -> "FlowChangeBody":
        if (self.name, self.steps, self.active) == (None, None, None):
            raise ValueError("send name, steps or active")
        return self


def flow_record(row: FlowRow, values: Values) -> FlowRecord:
    """A flow as this surface shows it."""
    return FlowRecord(
        id=str(row.number),
        organization_id=str(row.organization_number),
        location_id=str(row.location_number),
        name=text_at(values, row.name),
        steps=value_at(values, row.steps),
        active=row.active,
        created_at=in_milliseconds(row.created_at),
        updated_at=in_milliseconds(row.updated_at),
    )


@router.get("", summary="List flows", **documented(200, Flows, 400, 403, 404))
async def list_flows(
    request: Request,
    caller: User,
    locationId: Annotated[str | None, Query(description="Only those of this location.")] = None,  # noqa: N803
) -> Response:
    """Flows of the locations where you may read them, by id, at most 500; inactive ones too."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    visitor.require(Module.FLOWS, Tier.READ)
    only = None
    if locationId is not None:
        only = (await location_of(request, visitor, locationId, Module.FLOWS, Tier.READ)).id
    async with deps.reads.connection() as conn:
        rows = await directory.flows(conn, caller.tenant, caller.mode, visitor.access.scope(Module.FLOWS), location=only)
    values = await revealed(deps, (reference for row in rows for reference in (row.name, row.steps)))
    return send_answer(answer(200, Flows(flows=[flow_record(row, values) for row in rows], scope=visitor.scope)))


@router.get("/{flowId}", summary="Get one flow", **documented(200, Flow, 400, 403, 404))
async def get_flow(request: Request, caller: User, flowId: str) -> Response:  # noqa: N803
    """A flow in your scope."""
    deps = deps_of(request)
    row = await _managed(request, await visitor_of(request, caller), flowId, Tier.READ)
    return send_answer(answer(200, Flow(flow=flow_record(row, await revealed(deps, (row.name, row.steps))))))


@router.post("", summary="Define a flow", **documented(201, Flow, 403, 404, body=FlowBody, changes=True))
async def create(request: Request, caller: User, key: Once) -> Response:
    """A flow of one location."""
    deps, visitor, body = deps_of(request), await visitor_of(request, caller), await read(request, FlowBody)
    visitor.require(Module.FLOWS, Tier.WRITE)
    location = await location_of(request, visitor, numeric(body.location_id), Module.FLOWS, Tier.WRITE)
    command = DefineFlow(
        organization=location.organization,
        flow=deps.new_id(),
        location=location.id,
        name=_concealed(deps, visitor, location.organization, body.name),
        steps=_concealed(deps, visitor, location.organization, body.steps) if body.steps else None,
        active=body.active,
    )

    def render(outcome: Outcome) -> Answer:
        receipt = outcome.recorded[0].receipt
        record = FlowRecord(
            id=str(receipt.position),
            organization_id=str(location.organization_number),
            location_id=str(location.number),
            name=body.name,
            steps=body.steps or None,
            active=body.active,
            created_at=in_milliseconds(receipt.at),
            updated_at=in_milliseconds(receipt.at),
        )
        return answer(201, Flow(flow=record))

    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=key))


@router.patch("/{flowId}", summary="Change a flow", **documented(200, Flow, 403, 404, body=FlowChangeBody, changes=True))
async def change(request: Request, caller: User, flowId: str, key: Once) -> Response:  # noqa: N803
    """Renames it, gives it other steps, or switches it off or on for new packages."""
    deps, visitor, body = deps_of(request), await visitor_of(request, caller), await read(request, FlowChangeBody)
    row = await _managed(request, visitor, flowId, Tier.WRITE)
    record = flow_record(row, await revealed(deps, (row.name, row.steps)))
    # What stays the same is not recorded again.
    name = None if body.name is None or body.name == record.name else body.name
    steps = None if body.steps is None or body.steps == (record.steps or []) else body.steps
    command = ChangeFlow(
        row.organization,
        row.id,
        None if name is None else _concealed(deps, visitor, row.organization, name),
        None if steps is None else _concealed(deps, visitor, row.organization, steps),
        body.active,
    )

    def render(outcome: Outcome) -> Answer:
        changed: dict[str, object] = {}
        if name is not None:
            changed["name"] = name
        if steps is not None:
            changed["steps"] = steps
        if body.active is not None:
            changed["active"] = body.active
        if outcome.recorded:
            changed["updated_at"] = in_milliseconds(outcome.recorded[-1].receipt.at)
        return answer(200, Flow(flow=record.model_copy(update=changed)))

    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=key))


async def _managed(request: Request, visitor: Visitor, flow_id: str, at_least: Tier) -> FlowRow:
    """The flow of a path; raises Failed 403 for a tier that is too low, 404 outside the caller's scope."""
    visitor.require(Module.FLOWS, Tier.READ)
    deps, wanted, caller = deps_of(request), number(flow_id, "flow"), visitor.caller
    async with deps.reads.connection() as conn:
        row = await directory.flow(conn, caller.tenant, caller.mode, wanted)
    if row is None or not sees(visitor, row.place):
        raise Failed(404, NOT_FOUND)
    visitor.require(Module.FLOWS, at_least, row.place)
    return row


def _concealed(deps: Deps, visitor: Visitor, organization: UUID, value: Json) -> Personal:
    """A value among the organization's own."""
    return deps.vault.conceal(value, Subject(visitor.caller.tenant, SubjectKind.ORGANIZATION, str(organization)))
