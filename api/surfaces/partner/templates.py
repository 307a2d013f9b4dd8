"""Templates: versions of a PDF, and the fields on it."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from api.deps import Answer, Deps, Outcome
from api.http import send_answer
from api.surfaces.partner.access import MODE, Caller, Partner
from api.surfaces.partner.answers import Failed, Success, deps_of
from api.surfaces.partner.bodies import FIELDS, TEMPLATE, FieldBody, TemplateBody
from api.surfaces.partner.documentation import documented
from api.surfaces.partner.lists import Cursor, Limit, Sort, listing
from api.surfaces.partner.models import (
    Deleted,
    DownloadUrl,
    FetchedTemplate,
    FieldPlacement,
    HistoryItem,
    ListedTemplate,
    NewTemplate,
    TemplateVersion,
    UpdatedField,
    UploadUrl,
)
from api.surfaces.partner.placing import placed
from api.surfaces.partner.refusals import template_absent, version_absent
from api.surfaces.partner.validation import body_of
from domain.errors import TemplateFileMissing, TemplateNotFound, TemplateVersionNotFound
from domain.ids import IdError, parse_uuid
from domain.personal import Personal, Subject, SubjectKind
from domain.template import (
    AddVersion,
    CreateTemplate,
    DefineFields,
    DeleteTemplate,
    DeleteVersion,
    Template,
    Version,
)
from projections import templates
from projections.templates import VersionRow

router = APIRouter(prefix="/v1/templates", tags=["Templates"])

LISTED: Final = Success(200, "templates_listed", "Templates listed.")
CREATED: Final = Success(201, "template_created", "Template created.")
FETCHED: Final = Success(200, "template_fetched", "Template fetched.")
UPDATED: Final = Success(200, "template_updated", "Template updated.")
DELETED: Final = Success(200, "template_deleted", "Template deleted.")
HISTORY: Final = Success(200, "template_history_listed", "Template history listed.")
VERSION_FETCHED: Final = Success(200, "template_version_fetched", "Template version fetched.")
VERSION_DELETED: Final = Success(200, "template_version_deleted", "Template version deleted.")
FIELDS_FETCHED: Final = Success(200, "template_fields_fetched", "Template fields fetched.")
FIELDS_UPDATED: Final = Success(200, "template_fields_updated", "Template fields updated.")
UPLOAD: Final = Success(200, "template_upload_url_generated", "Upload URL generated.")
DOWNLOAD: Final = Success(200, "template_download_url_generated", "Download URL generated.")

PROJECTION: Final = "templates"


def _template_id(template: Annotated[str, Path(alias="templateId", description="Template identifier.")]) -> UUID:
    try:
        return parse_uuid(template)
    except IdError as err:
        raise Failed(template_absent(template)) from err


def _version(
    template: Annotated[str, Path(alias="templateId", description="Template identifier.")],
    version: Annotated[str, Path(description="Numeric version.")],
) -> int:
    if not (version.isascii() and version.isdigit() and len(version) <= 9):
        raise Failed(version_absent(template, version))
    return int(version)


TemplateId = Annotated[UUID, Depends(_template_id)]
VersionNumber = Annotated[int, Depends(_version)]


def spelled(template: UUID, version: int) -> str:
    """A version as `templateVersion` shows it: `<templateId>#0002`."""
    return f"{template}#{version:04}"


@router.get("", summary="Lists current templates.", **documented(LISTED, list[ListedTemplate], 400))
async def index(request: Request, caller: Partner, limit: Limit = None, cursor: Cursor = None, sort: Sort = None) -> Response:
    """The latest version of each template of the tenant. `pagination` is null when one page holds them all."""
    deps, wanted = deps_of(request), listing(limit, cursor, sort, PROJECTION)
    await deps.gate.wait([PROJECTION], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        found = await templates.page(
            connection, caller.tenant, MODE, wanted.limit + 1, after=wanted.after, descending=wanted.descending
        )
    rows, pagination = wanted.part(found, [row.created_position for row in found])
    opened = await deps.vault.open(reference for row in rows for reference in (row.name, row.description) if reference)
    texts = {reference: text.value for reference, text in opened.items()}
    data = [
        ListedTemplate(
            template_id=str(row.template),
            template_name=_text(texts.get(row.name)),
            description=None if row.description is None else _text(texts.get(row.description)),
            version=row.version,
            created_at=row.template_created_at,
            updated_at=row.template_updated_at,
        )
        for row in rows
    ]
    return send_answer(LISTED.answer(request, data, pagination))


@router.post("", summary="Creates a template.", **documented(CREATED, NewTemplate, body=TEMPLATE, changes=True))
async def create(request: Request, caller: Partner, body: Annotated[TemplateBody, Depends(body_of(TEMPLATE))]) -> Response:
    """Creates a template v1. You can then request a signed URL to upload the PDF for that version."""
    deps = deps_of(request)
    template = deps.new_id()
    name, description = _concealed(deps, caller, template, body)

    def render(outcome: Outcome) -> Answer:
        data = NewTemplate(template_id=str(template), template_name=body.template_name, description=body.description, version=1)
        return CREATED.answer(request, data)

    command = CreateTemplate(caller.tenant, MODE, template, name, description)
    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=await caller.key(request)))


@router.get("/{templateId}", summary="Gets the latest template version.", **documented(FETCHED, FetchedTemplate, 404))
async def fetch(request: Request, caller: Partner, template: TemplateId) -> Response:
    """Returns the current version of a specific template."""
    deps = deps_of(request)
    row = await _read(deps, caller, template)
    texts = await deps.reveal({"name": row.name, "description": row.description})
    data = FetchedTemplate(
        template_id=str(template),
        template_name=_text(texts["name"]),
        description=_text(texts["description"]),
        template_version=spelled(template, row.version),
        version=row.version,
        fields=_placements(row),
    )
    return send_answer(FETCHED.answer(request, data))


@router.put(
    "/{templateId}", summary="Creates a new version.", **documented(UPDATED, TemplateVersion, 404, body=TEMPLATE, changes=True)
)
async def update(
    request: Request, caller: Partner, template: TemplateId, body: Annotated[TemplateBody, Depends(body_of(TEMPLATE))]
) -> Response:
    """Updates template metadata and generates a new version, without fields, on top of which you can upload an updated PDF."""
    deps = deps_of(request)
    await _owned(deps, caller, template)
    name, description = _concealed(deps, caller, template, body)

    def render(outcome: Outcome) -> Answer:
        version = outcome.state(Template, template).latest
        return UPDATED.answer(request, _version_data(template, version))

    command = AddVersion(template, name, description)
    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=await caller.key(request)))


@router.delete("/{templateId}", summary="Deletes the full template.", **documented(DELETED, None, 404, changes=True))
async def delete(request: Request, caller: Partner, template: TemplateId) -> Response:
    """Deletes all versions of a template. Documents made from it go on."""
    deps = deps_of(request)
    await _owned(deps, caller, template)
    answer = await deps.ledger.handle(
        DeleteTemplate(template), caller.actor, lambda outcome: DELETED.answer(request, None), key=await caller.key(request)
    )
    return send_answer(answer)


@router.get("/{templateId}/history", summary="Lists version history.", **documented(HISTORY, list[HistoryItem], 404))
async def history(request: Request, caller: Partner, template: TemplateId) -> Response:
    """Returns every version of a template that has not been deleted, the oldest first."""
    deps = deps_of(request)
    await deps.gate.wait([PROJECTION], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        rows = await templates.history(connection, caller.tenant, MODE, template)
    if not rows:
        raise TemplateNotFound(template)
    data = [HistoryItem(template_version=spelled(template, row.version), version=row.version) for row in rows]
    return send_answer(HISTORY.answer(request, data))


@router.get(
    "/{templateId}/versions/{version}", summary="Gets a specific version.", **documented(VERSION_FETCHED, TemplateVersion, 404)
)
async def fetch_version(request: Request, caller: Partner, template: TemplateId, version: VersionNumber) -> Response:
    """Allows you to recover an exact template version without depending on the latest current version."""
    row = await _read(deps_of(request), caller, template, version)
    return send_answer(VERSION_FETCHED.answer(request, _version_data(template, row.version)))


@router.delete(
    "/{templateId}/versions/{version}",
    summary="Deletes a specific version.",
    **documented(VERSION_DELETED, Deleted, 404, changes=True),
)
async def delete_version(request: Request, caller: Partner, template: TemplateId, version: VersionNumber) -> Response:
    """Deletes a specific template version without affecting the rest of the history. The only one left cannot be deleted."""
    deps = deps_of(request)
    await _owned(deps, caller, template)
    answer = await deps.ledger.handle(
        DeleteVersion(template, version),
        caller.actor,
        lambda outcome: VERSION_DELETED.answer(request, Deleted(deleted=True)),
        key=await caller.key(request),
    )
    return send_answer(answer)


@router.get("/{templateId}/fields", summary="Gets signable fields.", **documented(FIELDS_FETCHED, list[FieldPlacement], 404))
async def fetch_fields(request: Request, caller: Partner, template: TemplateId) -> Response:
    """Retrieves the definition of signable or fillable fields of the template's current version."""
    row = await _read(deps_of(request), caller, template)
    return send_answer(FIELDS_FETCHED.answer(request, _placements(row)))


@router.put(
    "/{templateId}/fields",
    summary="Creates or updates signable fields.",
    **documented(FIELDS_UPDATED, list[UpdatedField], 404, body=FIELDS, changes=True),
)
async def update_fields(
    request: Request, caller: Partner, template: TemplateId, body: Annotated[list[FieldBody], Depends(body_of(FIELDS))]
) -> Response:
    """Overwrites the template field definition for the current version."""
    deps, key = deps_of(request), await caller.key(request)
    state = await _owned(deps, caller, template)
    if key is not None and (first := await deps.ledger.answered(key)) is not None:
        return send_answer(first)
    if state.deleted:
        raise TemplateNotFound(template)
    fields, looked = await placed(deps, template, state, body)
    data = [UpdatedField(field_name=item.name, field_type=item.type, **_given(page=item.page)) for item in fields]
    command = DefineFields(template, fields, looked)
    answer = await deps.ledger.handle(command, caller.actor, lambda outcome: FIELDS_UPDATED.answer(request, data), key=key)
    return send_answer(answer)


@router.post(
    "/{templateId}/versions/{version}/upload-url",
    summary="Generates the signed URL to upload the PDF.",
    **documented(UPLOAD, UploadUrl, 404),
)
async def upload_url(request: Request, caller: Partner, template: TemplateId, version: VersionNumber) -> Response:
    """Allows uploading the file associated with a specific template version: send the PDF there with PUT.

    Nothing is changed by it: a repeat gives another URL.
    """
    deps = deps_of(request)
    await present(deps, caller, template, version)
    data = UploadUrl(
        method="PUT",
        upload_url=deps.urls.upload(template, version, deps.settings.upload_limit_bytes, caller.actor),
        expires_in_seconds=deps.urls.lifetime_seconds,
    )
    return send_answer(UPLOAD.answer(request, data))


@router.get(
    "/{templateId}/versions/{version}/download-url",
    summary="Generates a signed download URL.",
    **documented(DOWNLOAD, DownloadUrl, 404),
)
async def download_url(request: Request, caller: Partner, template: TemplateId, version: VersionNumber) -> Response:
    """Returns a temporary URL to download the stored PDF for a specific version."""
    deps = deps_of(request)
    file = (await present(deps, caller, template, version)).file
    if file is None:
        raise TemplateFileMissing(version)
    data = DownloadUrl(
        download_url=deps.urls.download(file.sha256, f"template-{template}-{version:04}.pdf", caller.actor),
        expires_in_seconds=deps.urls.lifetime_seconds,
    )
    return send_answer(DOWNLOAD.answer(request, data))


async def _owned(deps: Deps, caller: Caller, template: UUID) -> Template:
    """The caller's template, deleted or not; raises TemplateNotFound also for another tenant's.

    Whether it was deleted is left to the decision, which comes after a repeated request is recognised.
    """
    state = await deps.ledger.state(Template, template)
    if state is None or state.tenant != caller.tenant or state.mode is not MODE:
        raise TemplateNotFound(template)
    return state


async def present(deps: Deps, caller: Caller, template: UUID, version: int) -> Version:
    """A version of the caller's template as the log has it."""
    state = await _owned(deps, caller, template)
    if state.deleted:
        raise TemplateNotFound(template)
    if version not in state.versions:
        raise TemplateVersionNotFound(version)
    return state.versions[version]


async def _read(deps: Deps, caller: Caller, template: UUID, version: int | None = None) -> VersionRow:
    """A version of the caller's template as the read model has it, the current one unless a number is given."""
    await deps.gate.wait([PROJECTION], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        row = await templates.get(connection, caller.tenant, MODE, template, version)
        if row is None and version is not None and await templates.get(connection, caller.tenant, MODE, template) is not None:
            raise TemplateVersionNotFound(version)
    if row is None:
        raise TemplateNotFound(template)
    return row


def _concealed(deps: Deps, caller: Caller, template: UUID, body: TemplateBody) -> tuple[Personal, Personal | None]:
    subject = Subject(caller.tenant, SubjectKind.TEMPLATE, str(template))
    description = None if body.description is None else deps.vault.conceal(body.description, subject)
    return deps.vault.conceal(body.template_name, subject), description


def _version_data(template: UUID, version: int) -> TemplateVersion:
    return TemplateVersion(template_id=str(template), template_version=spelled(template, version), version=version)


def _placements(row: VersionRow) -> list[FieldPlacement]:
    return [
        FieldPlacement(
            field_name=item.name,
            field_type=item.type,
            **_given(
                page=item.page,
                x=_points(item.x_millipoints),
                y=_points(item.y_millipoints),
                width=_points(item.width_millipoints),
                height=_points(item.height_millipoints),
                participant=item.participant,
                required=item.required,
            ),
        )
        for item in row.fields
    ]


def _points(thousandths: int | None) -> float | None:
    return None if thousandths is None else thousandths / 1000


def _given(**members: float | None) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
