"""Envelopes as this surface reads and answers them."""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from api.surfaces.sessions.models import EnvelopeStatusWord, Record, Session
from api.surfaces.sessions.validation import (
    Body,
    DocumentId,
    Email,
    EntityId,
    Line,
    Metadata,
    StakeholderId,
    Text,
    Time,
    fault,
)
from api.zones import UNKNOWN, known_zone
from domain.envelope import MAX_DOCUMENTS, MAX_PARTICIPANTS

#: Reminders: at least an hour apart, at most a month, and so many.
MAX_INTERVAL_HOURS: Final = 720
MAX_REMINDERS: Final = 100

Routing = Literal["parallel", "sequential"]
AgentRule = Literal["allowed", "forbidden"]
SignerStatus = Literal["pending", "sent", "signed", "declined", "failed", "voided", "expired"]


def _zone(name: str | None) -> str | None:
    if name is not None and not known_zone(name):
        raise fault("unknown_time_zone", UNKNOWN)
    return name


class ReminderPolicy(Body):
    """How often those whose turn it is may be reminded, and how many times."""

    interval_hours: Annotated[int, Field(ge=1, le=MAX_INTERVAL_HOURS, description="Least time between two reminders.")]
    max_reminders: Annotated[int, Field(ge=0, le=MAX_REMINDERS)]


class NewSigner(Body):
    """A signer of a new envelope. At least one of `stakeholder_id`, `email` and `name` says who it is."""

    stakeholder_id: StakeholderId | None = None
    human_clerk_user_id: Annotated[
        Line | None,
        Field(description="The signer's account, if sessions are opened by another one than the e-mail address tells."),
    ] = None
    email: Email | None = None
    name: Line | None = None
    role: Annotated[Line | None, Field(max_length=64)] = None
    order: Annotated[
        int | None, Field(ge=1, le=1000, description="In a sequential envelope; by default the place in the list.")
    ] = None
    document_ids: Annotated[
        list[DocumentId] | None, Field(min_length=1, max_length=MAX_DOCUMENTS, description="By default all of the envelope.")
    ] = None
    agent_authorized: Annotated[AgentRule, Field(description="Whether an agent may sign for the signer in live mode.")] = (
        "allowed"
    )

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.stakeholder_id is None and self.email is None and self.name is None:
            raise fault("required", "Must have a stakeholder_id, an email or a name.")
        return self


class NewEnvelope(Body):
    """The body of a new envelope."""

    entity_id: EntityId
    document_ids: Annotated[list[DocumentId], Field(min_length=1, max_length=MAX_DOCUMENTS)]
    signers: Annotated[list[NewSigner], Field(min_length=1, max_length=MAX_PARTICIPANTS)]
    subject: Line | None = None
    routing: Routing = "parallel"
    expires_at: Time | None = None
    reminder_policy: ReminderPolicy | None = None
    message: Text | None = None
    metadata: Metadata | None = None
    time_zone: Annotated[
        str | None,
        Field(
            description="In which the envelope's papers tell days, and times beside UTC: a name of the IANA database. Default: the server's.",
            examples=["Europe/Madrid"],
        ),
        AfterValidator(_zone),
    ] = None


class VoidReason(Body):
    """The body of a void; it may be left out."""

    reason: Text | None = None


class DeclineReason(Body):
    """The body of a decline; it may be left out."""

    reason: Text | None = None


class EnvelopeSigner(Record):
    """A signer's place in an envelope. What was erased, or never given, is null."""

    id: str
    object: Literal["signer"] = "signer"
    stakeholder_id: str
    email: str | None
    name: str | None
    role: str | None
    order: int
    status: SignerStatus
    document_ids: list[str]
    agent_authorized: AgentRule
    signed_at: int | None = Field(description="Unix seconds.")
    signing_session: str | Session = Field(description="The session's id; with `expand[]=signers` the session itself.")


class EnvelopeDocument(Record):
    """A document as it is in an envelope. The hashes are SHA-256, 64 hex digits."""

    id: str
    object: Literal["document"] = "document"
    title: str | None
    pages: int
    sha256: str
    executed_sha256: str | None = Field(
        description="Of the signed file, once there is one; `GET /v1/executions/{id}` says where it is."
    )


class SigningEnvelope(Record):
    """An envelope: documents, those who sign them, and how far they have come. Times are Unix seconds."""

    id: str
    object: Literal["signing_envelope"] = "signing_envelope"
    created: int
    updated: int
    mode: Literal["live", "test"]
    livemode: bool
    metadata: dict[str, str]
    entity_id: str | None = Field(description="Null for an envelope that was not made through this API.")
    status: EnvelopeStatusWord
    subject: str | None
    message: str | None
    routing: Routing
    expires_at: int | None
    reminder_policy: ReminderPolicy | None
    void_reason: str | None
    document_ids: list[str]
    documents: list[EnvelopeDocument] | None = Field(default=None, description="With `expand[]=documents`.")
    signers: list[EnvelopeSigner]


class EnvelopeList(Record):
    """A page of envelopes, newest first."""

    object: Literal["list"] = "list"
    data: list[SigningEnvelope]
    has_more: bool
    url: str
    next_cursor: str | None = Field(description="For `starting_after`, while there is more.")


class Declined(Record):
    """What came of a decline."""

    session: Session
    envelope_status: EnvelopeStatusWord
    document_ids: list[str]
