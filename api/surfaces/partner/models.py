"""The data of answers, as the reference page shows it; the page's documentation is made from these."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from api.surfaces.partner.answers import in_microseconds, in_milliseconds, in_seconds

D = TypeVar("D")

Seconds = Annotated[datetime, PlainSerializer(in_seconds, return_type=str)]
Milliseconds = Annotated[datetime, PlainSerializer(in_milliseconds, return_type=str)]
Microseconds = Annotated[datetime, PlainSerializer(in_microseconds, return_type=str)]


def _whole(value: float) -> float | int:
    return int(value) if value == int(value) else value


#: A number that is spelled without a fraction when it has none.
Number = Annotated[float | int, BeforeValidator(_whole)]

DocumentStatus = Literal["CREATED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "EXPIRED"]
ParticipantStatus = Literal["CREATED", "INVITED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "EXPIRED"]
AuthMethod = Literal["KEY", "HMAC"]


class Data(BaseModel):
    """Something answered: snake_case here, camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


# What is around the data


class Meta(BaseModel):
    request_id: str = Field(description="The id of this request: `req_` and a ULID; also in the header `X-Request-Id`.")
    timestamp: str = Field(description="When it was answered.")
    api_version: Literal["v1"]
    tenant_id: str | None = Field(description="The tenant that the credential belongs to; null while that is not verified.")


class Pagination(Data):
    """Where the rest of a list is."""

    next_cursor: str | None = Field(description="Send it as `cursor` to go on; null on the last page.")
    has_more: bool
    limit: int


class Error(BaseModel):
    type: Literal["validation", "not_found", "credits", "authentication", "authorization", "conflict", "internal", "unavailable"]
    details: dict[str, Any] = Field(description="The data of the error; for `validation_error`, the faults by field in `fields`.")


class SuccessAnswer(BaseModel, Generic[D]):
    success: Literal[True]
    status: int
    code: str
    message: str
    data: D
    pagination: Pagination | None
    meta: Meta
    error: None


class FailureAnswer(BaseModel):
    success: Literal[False]
    status: int
    code: str
    message: str
    data: None
    pagination: None
    meta: Meta
    error: Error


# Credential bootstrap


class Integration(Data):
    tenant_id: str
    auth_method: AuthMethod
    status: Literal["ACTIVE"]
    key_id: str
    created_at: Seconds
    updated_at: Seconds
    partner_base_url: str


class NewIntegration(Data):
    tenant_id: str
    auth_method: AuthMethod
    status: Literal["ACTIVE"]
    key_id: str
    api_key: str = Field(description="The secret. It is shown here and nowhere else.")
    created_at: Seconds


class Deleted(Data):
    deleted: Literal[True]


# Templates


class ListedTemplate(Data):
    template_id: str
    template_name: str | None = Field(description="Null if it was erased.")
    description: str | None
    version: int = Field(description="The current version: the highest that has not been deleted.")
    created_at: Seconds
    updated_at: Seconds


class NewTemplate(Data):
    template_id: str
    template_name: str
    description: str | None
    version: int


class FieldPlacement(Data):
    """A field, in points; what was not given when it was defined is left out."""

    field_name: str
    field_type: str
    page: int = Field(default=1, description="Counted from 1.")
    x: Number = Field(default=0, description="PDF points from the left edge of the displayed page to the field's left edge.")
    y: Number = Field(default=0, description="PDF points from the top edge of the displayed page to the field's top edge.")
    width: Number = Field(default=0, description="PDF points.")
    height: Number = Field(default=0, description="PDF points.")
    participant: int = Field(default=1, description="A place among the document's participants, counted from 1.")
    required: bool = False


class UpdatedField(Data):
    """A field as the answer to its definition repeats it."""

    field_name: str
    field_type: str
    page: int = 1


class TemplateVersion(Data):
    template_id: str
    template_version: str = Field(description="`<templateId>#` and the version in four digits.")
    version: int


class FetchedTemplate(Data):
    template_id: str
    template_name: str | None = Field(description="Null if it was erased.")
    description: str | None
    template_version: str
    version: int
    fields: list[FieldPlacement]


class HistoryItem(Data):
    template_version: str
    version: int


class UploadUrl(Data):
    method: Literal["PUT"]
    upload_url: str
    expires_in_seconds: int


class DownloadUrl(Data):
    download_url: str
    expires_in_seconds: int


# Documents


class NewParticipant(Data):
    participant_id: str
    display_name: str
    process_id: str = Field(description="Names the participant's signing process; see `GET /v1/events/{processId}`.")


class NewDocument(Data):
    document_id: str
    status: DocumentStatus
    template_id: str
    participants: list[NewParticipant]


class ListedDocument(Data):
    document_id: str
    created_at: Microseconds
    status: DocumentStatus
    template_id: str | None = Field(description="Null for a document that was not made from a template.")


class Participant(Data):
    participant_id: str
    display_name: str | None = Field(description="Null if it was erased.")
    status: ParticipantStatus
    process_id: str


class FetchedDocument(Data):
    document_id: str
    status: DocumentStatus = Field(description="`FAILED` also when a participant declined.")
    created_at: Microseconds
    updated_at: Seconds
    template_id: str | None
    deadline_at: Seconds | None
    metadata: dict[str, Any] | None = Field(description="As sent when the document was created.")
    participants: list[Participant]


class Extended(Data):
    document_id: str
    deadline_at: Seconds


class Cancelled(Data):
    document_id: str


class Resent(Data):
    document_id: str
    participant_id: str


class Summary(Data):
    document_id: str
    status: DocumentStatus
    completed_participants: int
    pending_participants: int = Field(description="Those who may still sign.")


# Events


class Event(Data):
    """One entry of the log. The members from `version` on let anyone recompute the chain.

    `hash` is SHA-256(0x00 || entry), the leaf hash of RFC 6962 section 2.1; `previousHash` is the hash of the
    process's event before it, 64 zeros for version 1.
    """

    event_id: str = Field(description="A ULID, derived from the entry's time and hash.")
    event_type: str
    process_id: str = Field(description="The document's id for what concerns the document as a whole.")
    status: Literal["SUCCESS", "FAILURE"]
    actor: Literal["backend", "frontend"] = Field(description="`frontend` for what the participant did.")
    timestamp: Milliseconds
    version: int = Field(description="Counts the entries of the process, or of the document, from 1.")
    position: int = Field(description="The entry's place in the whole log.")
    hash: str
    previous_hash: str
    entry: str = Field(description="The canonical bytes (RFC 8785) that are hashed, as text.")
