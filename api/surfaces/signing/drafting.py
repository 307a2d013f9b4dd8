"""What managers send to draft a package, and the commands that it means."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from api.deps import Deps
from api.surfaces.signing.access import number
from api.surfaces.signing.answers import NOT_FOUND, Failed
from api.surfaces.signing.bodies import Body
from api.surfaces.signing.session import Visitor
from api.surfaces.signing.sources import Source
from api.text import Email
from domain.canonical import MAX_INTEGER
from domain.coordination import AddDocument, AddParticipant, CreateEnvelope
from domain.envelope import Document, EnvelopeCreated, OnParticipantFail, OrderMode, Slot
from domain.personal import Personal, Subject, SubjectKind, person
from domain.signing import DocumentReference, ProcessCreated, SignatureMode
from projections import directory
from projections.directory import LocationRow
from projections.documents import DocumentRow
from projections.envelopes import EnvelopeRow
from projections.signers import SignerRow

T = TypeVar("T")

_DIGITS: Final = r"^[0-9]{1,19}$"

MAX_NAME_CHARACTERS: Final = 200
MAX_NOTE_CHARACTERS: Final = 2_000
MAX_REASON_CHARACTERS: Final = 1_000
MAX_TITLE_CHARACTERS: Final = 300
MAX_ROLE_CHARACTERS: Final = 100
MAX_SIGNER_NUMBER: Final = 1_000


def printable(value: str) -> str:
    """One line of text, without the blanks around it; ValueError for anything else."""
    if not value.strip() or any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise ValueError("holds no text, or control characters")
    return value.strip()


def prose(value: str) -> str:
    """Text of any number of lines; ValueError for control characters."""
    if any(ord(c) < 32 and c not in "\t\n\r" for c in value):
        raise ValueError("holds control characters")
    return value


def _spelled(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole else value


#: What `printable` and `prose` let through, for the document.
ONE_LINE: Final[dict[str, Any]] = {"pattern": r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"}
LINES: Final[dict[str, Any]] = {"pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$"}

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS, json_schema_extra=ONE_LINE), AfterValidator(printable)]
Title = Annotated[
    str, Field(min_length=1, max_length=MAX_TITLE_CHARACTERS, json_schema_extra=ONE_LINE), AfterValidator(printable)
]
#: A numeric id: a string as in answers, or the number itself.
Id = Annotated[
    str,
    BeforeValidator(_spelled),
    Field(pattern=_DIGITS),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": _DIGITS}, {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}]}
    ),
]


class SigningBody(Body):
    """A new package."""

    location_id: Id
    flow_id: Id | None = None
    title: Title | None = Field(None, description="What signers see the package called.")
    note: Annotated[str, Field(max_length=MAX_NOTE_CHARACTERS, json_schema_extra=LINES), AfterValidator(prose)] | None = None
    order: Literal["parallel", "sequential"] = Field("parallel", description="Whether signers act by their number.")
    deadline_at: str | None = Field(None, max_length=40, description="ISO 8601; nothing can be signed after it.")


class DocumentBody(Body):
    """A document for a draft: the current PDF of a template, or one of the caller's own documents."""

    template_id: Id | None = None
    document_id: Annotated[str, Field(pattern=r"^doc_[0-9A-Za-z]{26}$")] | None = None
    title: Title | None = Field(None, description="Default: the source's own.")
    signer_ids: Annotated[list[Id], Field(max_length=100)] | None = Field(
        None, description="Who is to sign it. Default: everybody."
    )

    @model_validator(mode="after")
    def _one_source(self) -> "DocumentBody":
        if (self.template_id is None) == (self.document_id is None):
            raise ValueError("send either templateId or documentId")
        return self


class SignerBody(Body):
    """A signer for a draft."""

    full_name: Name
    email: Email
    number: int | None = Field(None, ge=1, le=MAX_SIGNER_NUMBER, description="Place in the order. Default: the last.")
    role: (
        Annotated[str, Field(min_length=1, max_length=MAX_ROLE_CHARACTERS, json_schema_extra=ONE_LINE), AfterValidator(printable)]
        | None
    ) = None
    document_ids: Annotated[list[Id], Field(max_length=100)] | None = Field(
        None, description="What to sign. Default: everything."
    )


class CancelBody(Body):
    """Why a package is cancelled."""

    reason: Annotated[str, Field(max_length=MAX_REASON_CHARACTERS, json_schema_extra=LINES), AfterValidator(prose)] | None = None


def numeric(value: str | int) -> str:
    """A numeric id as a path would spell it."""
    return str(value)


def about(visitor: Visitor, envelope: UUID) -> Subject:
    """Whose data a package's own words are."""
    return Subject(visitor.caller.tenant, SubjectKind.ENVELOPE, str(envelope))


async def opening(deps: Deps, visitor: Visitor, body: SigningBody, location: LocationRow) -> CreateEnvelope:
    """The command that drafts a package; raises Failed for a flow that is not the location's."""
    envelope = deps.new_id()
    subject = about(visitor, envelope)

    def conceal(text: str | None) -> Personal | None:
        return deps.vault.conceal(text, subject) if text else None

    created = EnvelopeCreated(
        tenant=visitor.caller.tenant,
        mode=visitor.caller.mode,
        documents=(),
        participants=(),
        order=OrderMode(body.order),
        on_participant_fail=OnParticipantFail.CANCEL_FLOW,
        deadline=_deadline(body.deadline_at),
        template=None,
        subject=conceal(body.title),
        message=conceal(body.note),
        metadata=None,
        location=location.id,
        flow=await _flow(deps, visitor, body, location),
        zone=deps.settings.time_zone,
    )
    return CreateEnvelope(envelope, created, {}, send=False)


async def _flow(deps: Deps, visitor: Visitor, body: SigningBody, location: LocationRow) -> UUID | None:
    if body.flow_id is None:
        return None
    wanted = number(numeric(body.flow_id), "flow")
    async with deps.reads.connection() as conn:
        row = await directory.flow(conn, visitor.caller.tenant, visitor.caller.mode, wanted)
    if row is None or row.location != location.id:
        raise Failed(404, NOT_FOUND)
    if not row.active:
        raise Failed(409, "The flow is not active; it cannot be used for new packages.")
    return row.id


def _deadline(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as err:
        raise Failed(400, "Invalid body. deadlineAt: not an ISO 8601 time.") from err


def added_document(
    deps: Deps,
    visitor: Visitor,
    envelope: EnvelopeRow,
    people: tuple[SignerRow, ...],
    body: DocumentBody,
    source: Source,
    title: str | None,
) -> AddDocument:
    """The command that adds a source's PDF to a draft; raises Failed for a signer that the package does not have."""
    known = {row.created_position: row.id for row in people}
    wanted = list(known.values()) if body.signer_ids is None else [_of(known, id, "signer") for id in body.signer_ids]
    called = title if body.title is None else body.title
    document = Document(
        deps.new_id(),
        source.file.sha256,
        source.file.pages,
        None if called is None else deps.vault.conceal(called, about(visitor, envelope.id)),
        source.id,
    )
    return AddDocument(envelope.id, document, tuple(dict.fromkeys(wanted)))


def added_signer(
    deps: Deps,
    visitor: Visitor,
    envelope: EnvelopeRow,
    papers: tuple[DocumentRow, ...],
    people: tuple[SignerRow, ...],
    emails: dict[UUID, str],
    body: SignerBody,
) -> AddParticipant:
    """The command that adds a signer to a draft; `emails` are those of the signers it has."""
    caller, who = visitor.caller, deps.new_id()
    known = {row.number: row for row in papers}
    wanted = list(papers) if body.document_ids is None else [_of(known, id, "document") for id in body.document_ids]
    chosen = tuple({row.id: DocumentReference(row.id, row.sha256) for row in wanted}.values())
    place = body.number or 1 + max((row.number for row in people), default=0)
    subject = person(caller.tenant, email=body.email, otherwise=who)
    process = ProcessCreated(
        tenant=caller.tenant,
        mode=caller.mode,
        envelope=envelope.id,
        number=place,
        documents=chosen,
        modes=(SignatureMode.EMAIL,),
        name=deps.vault.conceal(body.full_name, subject),
        email=deps.vault.conceal(body.email, subject),
        phone=None,
        document_number=None,
        role=body.role,
    )
    slot = Slot(who, place, tuple(document.id for document in chosen), body.role)
    persons = {other: person(caller.tenant, email=email, otherwise=other) for other, email in emails.items()}
    return AddParticipant(envelope.id, slot, process, persons, frozenset(row.id for row in people))


def _of(known: dict[int, T], id: str | int, what: str) -> T:
    found = known.get(int(id))
    if found is None:
        raise Failed(400, f"Invalid body. The package has no {what} {id}.")
    return found
