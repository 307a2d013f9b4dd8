"""Managers' templates: listed, renamed, switched off and on, put at a location, duplicated. Their PDFs come by the partner's API."""

from collections.abc import Mapping
from typing import Annotated, Final
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
from api.surfaces.signing.drafting import ONE_LINE, Id, numeric, printable
from api.surfaces.signing.organizations import ScopeWord, sees
from api.surfaces.signing.packages import location_of
from api.surfaces.signing.places import numbers_of
from api.surfaces.signing.revealing import Values, revealed, text_at
from api.surfaces.signing.session import FORBIDDEN, Visitor, visitor_of
from domain.directory import Module, Tier
from domain.personal import Subject, SubjectKind
from domain.template import DuplicateTemplate, ReviseTemplate
from projections import directory, templates
from projections.directory import LocationRow
from projections.templates import VersionRow

router: Final = APIRouter(prefix="/v1/signing/manager/templates", tags=["Manager templates"])

#: As documented.
MAX_NAME_CHARACTERS: Final = 500

_READ_MODELS: Final = frozenset(("templates", "directory"))

TemplateName = Annotated[
    str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS, json_schema_extra=ONE_LINE), AfterValidator(printable)
]


class TemplateFieldRecord(Row):
    """Where somebody signs or fills in. Points from the top left of the displayed page; null where it was left open."""

    name: str
    type: str
    page: int | None
    x: float | None
    y: float | None
    width: float | None
    height: float | None
    participant: int | None = Field(description="A place among the participants of what is made from it, counted from 1.")
    required: bool | None


class TemplateRecord(Row):
    """A template as its current version has it."""

    id: str
    location_id: str | None
    name: str | None
    description: str | None
    active: bool = Field(description="Whether new packages can be made from it.")
    version: int
    pages: int | None = Field(description="Null until a PDF was uploaded.")
    sha256: str | None
    fields: list[TemplateFieldRecord]
    created_at: str
    updated_at: str


class Templates(Row):
    """Templates in the caller's scope."""

    templates: list[TemplateRecord]
    scope: ScopeWord


class Template(Row):
    """One template."""

    template: TemplateRecord


class TemplateBody(Body):
    """What changes; at least one member."""

    name: TemplateName | None = None
    active: bool | None = Field(None, description="False hides it from new packages.")
    location_id: Id | None = Field(None, description="The location that it is for from now on.")

    @model_validator(mode="after")
    def _something(self) -> "TemplateBody":
        if (self.name, self.active, self.location_id) == (None, None, None):
            raise ValueError("send name, active or locationId")
        return self


class DuplicateBody(Body):
    """What is to be different; nothing has to be."""

    name: TemplateName | None = Field(None, description="Default: the template's own.")
    location_id: Id | None = Field(None, description="Default: the template's own.")


def template_record(row: VersionRow, location: int | None, values: Values) -> TemplateRecord:
    """A template as this surface shows it; `location` is the numeric id of its location."""
    return TemplateRecord(
        id=str(row.created_position),
        location_id=None if location is None else str(location),
        name=text_at(values, row.name),
        description=text_at(values, row.description),
        active=row.active,
        version=row.version,
        pages=None if row.file is None else row.file.pages,
        sha256=None if row.file is None else row.file.sha256,
        fields=[
            TemplateFieldRecord(
                name=field.name,
                type=field.type.value,
                page=field.page,
                x=_points(field.x_millipoints),
                y=_points(field.y_millipoints),
                width=_points(field.width_millipoints),
                height=_points(field.height_millipoints),
                participant=field.participant,
                required=field.required,
            )
            for field in row.fields
        ],
        created_at=in_milliseconds(row.template_created_at),
        updated_at=in_milliseconds(row.template_updated_at),
    )


def _points(millipoints: int | None) -> float | None:
    return None if millipoints is None else millipoints / 1000


@router.get("", summary="List templates", **documented(200, Templates, 400, 403, 404))
async def list_templates(
    request: Request,
    caller: User,
    locationId: Annotated[str | None, Query(description="Only those of this location.")] = None,  # noqa: N803
) -> Response:
    """Templates of the locations where you may read them, and those without a location, by id, at most 500; inactive ones too."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    visitor.require(Module.TEMPLATES, Tier.READ)
    only = None
    if locationId is not None:
        only = frozenset([(await location_of(request, visitor, locationId, Module.TEMPLATES, Tier.READ)).id])
    await deps.gate.wait(_READ_MODELS, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        where = only or await directory.location_ids(conn, caller.tenant, caller.mode, visitor.access.scope(Module.TEMPLATES))
        rows = await templates.located(conn, caller.tenant, caller.mode, where, shared=only is None)
    numbers = await numbers_of(deps, caller, ids=[row.location for row in rows])
    values = await revealed(deps, (reference for row in rows for reference in (row.name, row.description)))
    records = [template_record(row, _at(numbers, row), values) for row in rows]
    return send_answer(answer(200, Templates(templates=records, scope=visitor.scope)))


@router.get("/{templateId}", summary="Get one template", **documented(200, Template, 400, 403, 404))
async def get_template(request: Request, caller: User, templateId: str) -> Response:  # noqa: N803
    """A template in your scope."""
    visitor = await visitor_of(request, caller)
    row, location = await _managed(request, visitor, templateId, Tier.READ)
    return send_answer(answer(200, Template(template=await _record(deps_of(request), row, location))))


@router.patch(
    "/{templateId}", summary="Change a template", **documented(200, Template, 403, 404, body=TemplateBody, changes=True)
)
async def change(request: Request, caller: User, templateId: str, key: Once) -> Response:  # noqa: N803
    """Renames it, switches it off or on, or puts it at another location. Packages that were made from it stay as they are."""
    deps, visitor, body = deps_of(request), await visitor_of(request, caller), await read(request, TemplateBody)
    row, location = await _managed(request, visitor, templateId, Tier.WRITE)
    target = await _target(request, visitor, body.location_id)
    record = await _record(deps, row, target or location)
    about = Subject(caller.tenant, SubjectKind.TEMPLATE, str(row.template))
    renamed = body.name is not None and body.name != record.name
    command = ReviseTemplate(
        row.template,
        deps.vault.conceal(body.name, about) if renamed else None,
        None if target is None else target.id,
        body.active,
    )

    def render(outcome: Outcome) -> Answer:
        changed: dict[str, object] = {}
        if body.name is not None:
            changed["name"] = body.name
        if body.active is not None:
            changed["active"] = body.active
        if outcome.recorded:
            changed["updated_at"] = in_milliseconds(outcome.recorded[-1].receipt.at)
        return answer(200, Template(template=record.model_copy(update=changed)))

    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=key))


@router.post(
    "/{templateId}/duplicate",
    summary="Duplicate a template",
    **documented(201, Template, 403, 404, body=DuplicateBody, body_required=False, changes=True),
)
async def duplicate(request: Request, caller: User, templateId: str, key: Once) -> Response:  # noqa: N803
    """A new, active template with the current version's PDF and fields."""
    deps, visitor, body = deps_of(request), await visitor_of(request, caller), await read(request, DuplicateBody, optional=True)
    row, location = await _managed(request, visitor, templateId, Tier.READ)
    target = await _target(request, visitor, body.location_id) or location
    if target is not None:
        visitor.require(Module.TEMPLATES, Tier.WRITE, target.place)
    elif not visitor.access.admin:
        raise Failed(403, FORBIDDEN)
    record = await _record(deps, row, target)
    name = body.name or record.name
    if name is None:
        raise Failed(409, "The template's name was erased; send one for the duplicate.")
    made = deps.new_id()
    about = Subject(caller.tenant, SubjectKind.TEMPLATE, str(made))
    command = DuplicateTemplate(
        tenant=caller.tenant,
        mode=caller.mode,
        template=made,
        name=deps.vault.conceal(name, about),
        description=None if record.description is None else deps.vault.conceal(record.description, about),
        file=row.file,
        fields=row.fields,
        location=None if target is None else target.id,
    )

    def render(outcome: Outcome) -> Answer:
        receipt = outcome.recorded[0].receipt
        at = in_milliseconds(receipt.at)
        new = {"id": str(receipt.position), "name": name, "active": True, "version": 1, "created_at": at, "updated_at": at}
        return answer(201, Template(template=record.model_copy(update=new)))

    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=key))


async def _managed(request: Request, visitor: Visitor, template_id: str, at_least: Tier) -> tuple[VersionRow, LocationRow | None]:
    """The template of a path and its location; raises Failed 403 for a tier that is too low, 404 outside the caller's scope."""
    visitor.require(Module.TEMPLATES, Tier.READ)
    deps, wanted, caller = deps_of(request), number(template_id, "template"), visitor.caller
    await deps.gate.wait(_READ_MODELS, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        row = await templates.by_number(conn, caller.tenant, caller.mode, wanted)
        location = None
        if row is not None and row.location is not None:
            location = await directory.location(conn, caller.tenant, caller.mode, row.location)
    if row is None or (location is not None and not sees(visitor, location.place)):
        raise Failed(404, NOT_FOUND)
    if location is not None:
        visitor.require(Module.TEMPLATES, at_least, location.place)
    elif at_least is not Tier.READ and not visitor.access.admin:
        raise Failed(403, FORBIDDEN)  # what all locations use is an administrator's to change
    return row, location


async def _target(request: Request, visitor: Visitor, id: str | int | None) -> LocationRow | None:
    return None if id is None else await location_of(request, visitor, numeric(id), Module.TEMPLATES, Tier.WRITE)


async def _record(deps: Deps, row: VersionRow, location: LocationRow | None) -> TemplateRecord:
    values = await revealed(deps, (row.name, row.description))
    return template_record(row, None if location is None else location.number, values)


def _at(numbers: Mapping[UUID, int], row: VersionRow) -> int | None:
    return None if row.location is None else numbers.get(row.location)
