"""Pictures of a template's pages with the boxes of its fields: a wrong place is seen at once."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import WithJsonSchema
from starlette.responses import Response

from api.deps import DrawingRefused, PreviewBox, preview
from api.surfaces.partner.access import Partner
from api.surfaces.partner.answers import Failed, Failure, Success, deps_of
from api.surfaces.partner.documentation import documented
from api.surfaces.partner.lists import bad_query
from api.surfaces.partner.placing import VersionFile
from api.surfaces.partner.refusals import absent
from api.surfaces.partner.templates import TemplateId, VersionNumber, present
from domain.errors import TemplateFileMissing

router = APIRouter(prefix="/v1/templates", tags=["Templates"])

SHOWN: Final = Success(200, "template_previewed", "The page as a PNG.")

#: A picture of somebody's document: nobody keeps it, and no browser takes it for anything else.
_HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
}


def _picture() -> dict[str, Any]:
    """As `documented`, with a picture for the answer."""
    described = documented(SHOWN, None, 400, 404, 409)
    content = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
    described["responses"][SHOWN.status] = {"description": SHOWN.message, "content": content}
    return described


Page = Annotated[
    str | None,
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 999_999}),
    Query(description="Counted from 1. Default: the first."),
]


@router.get("/{templateId}/versions/{version}/preview", summary="Shows a page with its fields.", **_picture())
async def show(request: Request, caller: Partner, template: TemplateId, version: VersionNumber, page: Page = None) -> Response:
    """A page of a version's PDF as readers display it, with a box for each field that stands on it."""
    number = _number(page)
    deps = deps_of(request)
    known = await present(deps, caller, template, version)
    if known.file is None:
        raise TemplateFileMissing(version)
    held = VersionFile(template, version, known.file)
    pages = await held.pages(deps)
    if number > len(pages.sizes):
        details = {"templateId": str(template), "version": version, "page": number}
        raise Failed(absent(f"The PDF has {len(pages.sizes)} page(s).", details))
    boxes = [PreviewBox(field.name, field.type, box) for field in known.fields if field.page == number and (box := field.box)]
    content = await held.content(deps, pages.sha256)
    try:
        picture = await preview(content, number, boxes)
    except DrawingRefused as err:
        raise Failed(Failure(409, "template_preview_failed", err.sentence, "conflict")) from err
    return Response(picture, SHOWN.status, _HEADERS, "image/png")


def _number(text: str | None) -> int:
    if text is None:
        return 1
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= 1):
        raise Failed(bad_query("Invalid page: a number from 1.", "INVALID_PAGE", "page"))
    return int(text)
