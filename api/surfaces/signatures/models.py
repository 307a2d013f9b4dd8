"""What is answered, as the reference page shows it; the documentation is made from these."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from api.surfaces.signatures.answers import in_milliseconds

Time = Annotated[
    datetime, PlainSerializer(in_milliseconds, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]

Status = Literal["sent", "viewed", "declined", "expired", "cancelled", "completed", "failed"]
Designation = Literal["Signer", "CC"]

#: The sample of the reference page, with ids of nobody.
_SIGNATURE: dict[str, JsonValue] = {
    "id": "0193c2c3-2222-7aaa-8bbb-000000000002",
    "renderId": "0193c2c3-1111-7aaa-8bbb-000000000001",
    "name": "Charter handover — BK-12345",
    "status": "completed",
    "recipients": [
        {
            "id": "rcp_8e10-12ab34cd56ef",
            "firstName": "Jane",
            "lastName": "Doe",
            "email": "jane@example.com",
            "designation": "Signer",
            "order": 1,
            "signedAt": "2026-06-05T11:40:00.000Z",
        }
    ],
    "expirationHours": 168,
    "signedDownloadUrl": "https://sign.example/v1/signatures/0193c2c3-2222-7aaa-8bbb-000000000002/download",
    "certificateUrl": "https://sign.example/v1/signatures/0193c2c3-2222-7aaa-8bbb-000000000002/certificate",
    "errorMessage": None,
    "createdAt": "2026-06-05T10:00:00.000Z",
    "completedAt": "2026-06-05T11:42:08.000Z",
}


class Shown(BaseModel):
    """Something answered: snake_case here, camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Recipient(Shown):
    """A recipient. What was erased is empty; `signedAt` and `declinedAt` are there once they happened."""

    id: str = Field(description="`rcp_` and what tells the recipient apart.")
    first_name: str
    last_name: str
    email: str
    designation: Designation = Field(description="`Signer` signs; `CC` gets a copy and signs nothing.")
    order: int = Field(description="From 1. In a request that was sent with orders, signers sign in this order.")
    signed_at: Time | None = None
    declined_at: Time | None = None


class SignatureRequest(Shown):
    """A signature request."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SIGNATURE]})

    id: UUID
    render_id: UUID = Field(description="The render that was sent for signature; the document's own id where there was none.")
    name: str
    status: Status = Field(description="`completed`, `declined`, `expired`, `cancelled` and `failed` are final.")
    recipients: list[Recipient]
    expiration_hours: int | None = Field(description="From creation to the deadline, in whole hours; null without a deadline.")
    signed_download_url: str | None = Field(description="Null until the signed document is archived.")
    certificate_url: str | None = Field(description="Null until the certificate of completion is available.")
    error_message: str | None = Field(description="Why it was cancelled or declined, if that was said, or why it failed.")
    created_at: Time
    completed_at: Time | None


class SignatureList(Shown):
    """A page of signature requests, the newest first."""

    signatures: list[SignatureRequest]
    next_cursor: str | None = Field(
        description="Send it as `cursor` to go on; null on a page without rows. `hasMore` says whether there is reason to."
    )
    has_more: bool = Field(description="Whether a full page came back.")


class Render(Shown):
    """A stored PDF that signature requests can be made from."""

    id: UUID
    status: Literal["queued", "rendering", "succeeded", "failed"] = Field(
        description="`succeeded`: an upload is looked into before it is answered, so it never waits."
    )
    poll_url: str
    download_url: str | None = Field(description="A signed URL of the PDF, good for a limited time.")
    error_message: str | None
    created_at: Time
    completed_at: Time | None
    duration_ms: int | None


class Issues(Shown):
    """What is wrong, as Zod's `flatten` gives it: with the whole, and by top-level field."""

    form_errors: list[str]
    field_errors: dict[str, list[str]]


class Error(BaseModel):
    code: str = Field(description="Branch on this.")
    message: str = Field(description="For people; it may be worded otherwise tomorrow.")
    issues: Issues | None = Field(default=None, description="With `invalid_request` alone.")


class ErrorBody(BaseModel):
    error: Error
