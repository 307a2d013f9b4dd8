"""Documents of the library as this surface reads and answers them: each gets a PDF, then goes into envelopes."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from api.auth import Caller
from api.deps import Deps, Reference
from api.surfaces.sessions.models import Record, unix_seconds
from api.surfaces.sessions.people import member, text
from api.surfaces.sessions.validation import Body, EntityId, Line, Metadata, fault
from domain.actor import Mode
from domain.canonical import CanonicalError, canonical
from domain.ids import typed_id
from domain.library import DocumentKind
from projections import executions
from projections.executions import Execution
from projections.library import DocumentRow

#: What this surface has of the library: what was made here, and stored renders. A person's own records are not among it.
KINDS: Final = (DocumentKind.GENERATED, DocumentKind.RENDER)

#: The parameters of a document, in their canonical spelling.
MAX_PARAMETERS_BYTES: Final = 16 * 1024

ExecutionStatus = Literal["draft", "sent", "partially_signed", "executed"]
DocumentStatus = Literal["draft", "final", "signed"]


def _parameters(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(canonical(value))
    except CanonicalError as err:
        raise fault("invalid", f"Cannot be kept: {err}.") from err
    if size > MAX_PARAMETERS_BYTES:
        raise fault("too_large", f"Must not take more than {MAX_PARAMETERS_BYTES} bytes.")
    return value


class NewDocument(Body):
    """The body of a new document."""

    entity_id: EntityId
    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="Such as `nda` or `board_consent`.")]
    title: Annotated[Line | None, Field(description="What signers see. By default the type.")] = None
    parameters: Annotated[
        dict[str, Any] | None,
        Field(description="What the document is made from; kept as given."),
        AfterValidator(lambda value: None if value is None else _parameters(value)),
    ] = None
    metadata: Metadata | None = None


class LibraryItem(Record):
    """A document. It is `final` once its PDF is stored, and `signed` once an envelope with it is completed."""

    id: str
    object: Literal["document"] = "document"
    created: int
    updated: int
    mode: Literal["live", "test"]
    livemode: bool
    metadata: dict[str, str]
    entity_id: str | None = Field(description="Null for a document that was not made through this API.")
    type: str | None
    title: str | None
    parameters: dict[str, Any] | None
    status: DocumentStatus
    execution_status: ExecutionStatus = Field(description="How far the envelope has come that has come furthest with it.")
    signing_envelope_ids: list[str] = Field(description="The envelopes it is in, the newest first; at most ten.")
    sha256: str | None = Field(description="Of the PDF, 64 hex digits.")
    pages: int | None
    upload_url: str | None = Field(description="Where to PUT the PDF, until it is stored; the URL is the credential.")
    upload_expires_in: int | None = Field(description="Seconds.")


class DocumentList(Record):
    """A page of documents, newest first."""

    object: Literal["list"] = "list"
    data: list[LibraryItem]
    has_more: bool
    url: str
    next_cursor: str | None


def details_of(body: NewDocument) -> dict[str, Any]:
    """What is remembered of a document beside its title."""
    known = {"entity_id": body.entity_id, "parameters": body.parameters, "metadata": body.metadata}
    return {name: value for name, value in known.items() if value is not None}


def references(row: DocumentRow) -> dict[str, Reference | None]:
    """Where a document's personal values stand."""
    return {f"{row.id}/title": row.title, f"{row.id}/details": row.details}


def upload(deps: Deps, caller: Caller, document: UUID) -> tuple[str, int]:
    """A URL to PUT the PDF to, and the seconds that it works."""
    return deps.urls.upload_document(document, deps.settings.upload_limit_bytes, caller.actor), deps.urls.lifetime_seconds


def show(deps: Deps, caller: Caller, row: DocumentRow, texts: Mapping[str, object], found: Execution) -> LibraryItem:
    """A document as it is answered. `texts` are the values at its references."""
    details = texts.get(f"{row.id}/details")
    known: Mapping[str, Any] = details if isinstance(details, dict) else {}
    metadata, parameters = known.get("metadata"), known.get("parameters")
    url, seconds = upload(deps, caller, row.id) if row.file is None else (None, None)
    status: ExecutionStatus = found.status
    return LibraryItem(
        id=typed_id("doc", row.id),
        created=unix_seconds(row.created_at),
        updated=unix_seconds(row.updated_at),
        mode=caller.mode.value,
        livemode=caller.mode is Mode.LIVE,
        metadata={key: value for key, value in metadata.items() if isinstance(value, str)} if isinstance(metadata, dict) else {},
        entity_id=member(details, "entity_id"),
        type=row.type,
        title=text(texts.get(f"{row.id}/title")),
        parameters=parameters if isinstance(parameters, dict) else None,
        status="draft" if row.file is None else "signed" if status == "executed" else "final",
        execution_status=status,
        signing_envelope_ids=[typed_id("env", envelope) for envelope in found.envelopes],
        sha256=None if row.file is None else row.file.sha256,
        pages=None if row.file is None else row.file.pages,
        upload_url=url,
        upload_expires_in=seconds,
    )


async def shown(deps: Deps, caller: Caller, rows: Sequence[DocumentRow]) -> list[LibraryItem]:
    """Documents as they are answered."""
    async with deps.reads.connection() as conn:
        found = await executions.of_documents(conn, caller.tenant, caller.mode, [row.id for row in rows])
    texts = await deps.reveal({name: place for row in rows for name, place in references(row).items()})
    return [show(deps, caller, row, texts, found[row.id]) for row in rows]
