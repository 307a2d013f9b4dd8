"""Where a package's documents come from: the current version of a template, or a document of the library."""

from dataclasses import dataclass
from uuid import UUID

from api.deps import Deps, Reference
from api.surfaces.signing.access import number
from api.surfaces.signing.answers import NOT_FOUND, Failed
from api.surfaces.signing.session import Visitor
from domain.directory import Module, Place, Tier, user_subject
from domain.ids import IdError, parse_ulid_id
from domain.library import DocumentKind
from domain.template import StoredFile
from projections import library, templates


@dataclass(frozen=True, slots=True)
class Source:
    """A PDF that can become a document of a package. `id` is the library's, None for a template."""

    file: StoredFile
    title: Reference | None
    id: UUID | None = None


async def template_source(deps: Deps, visitor: Visitor, text: str, place: Place | None) -> Source:
    """The PDF of a template's current version; raises Failed."""
    await deps.gate.wait({"templates"}, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        row = await templates.by_number(conn, visitor.caller.tenant, visitor.caller.mode, number(text, "template"))
    if row is None or (row.location is not None and (place is None or row.location != place.location)):
        raise Failed(404, NOT_FOUND)
    visitor.require(Module.TEMPLATES, Tier.READ, place)
    if not row.active:
        raise Failed(409, "The template is not active; it cannot be used for new packages.")
    if row.file is None:
        raise Failed(409, "The template has no PDF yet.")
    return Source(row.file, row.name)


async def library_source(deps: Deps, visitor: Visitor, text: str) -> Source:
    """The PDF of a document of the caller's library; raises Failed."""
    try:
        wanted = parse_ulid_id("doc", text)
    except IdError as err:
        raise Failed(400, "Invalid document ID.") from err
    caller = visitor.caller
    owner = await deps.vault.subject_id(user_subject(caller.tenant, caller.user.issuer, caller.user.subject))
    if owner is None:
        raise Failed(404, NOT_FOUND)
    await deps.gate.wait({"library"}, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        row = await library.get(conn, caller.tenant, caller.mode, (DocumentKind.CHATTEL,), wanted, owner=owner)
    if row is None:
        raise Failed(404, NOT_FOUND)
    if row.file is None:
        raise Failed(409, "The document has no PDF yet.")
    return Source(row.file, row.title, row.id)
