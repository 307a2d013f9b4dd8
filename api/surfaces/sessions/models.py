"""What the sessions surface reads and answers, in the shapes of the reference page."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.fields import VALUES_DESCRIBED, Values
from api.surfaces.sessions.validation import Body, DocumentId, EnvelopeId, SignerId, StakeholderId, fault
from domain.canonical import CanonicalError, canonical

#: The longest attestation. It is kept word for word, so it has to fit what a person is shown and reads.
MAX_ATTESTATION_CHARACTERS: Final = 2000

#: The largest signature image, decoded.
MAX_IMAGE_BYTES: Final = 512 * 1024

#: What a client may say of itself, in its canonical spelling.
MAX_CLIENT_METADATA_BYTES: Final = 16 * 1024

#: How files of each type begin: PNG (ISO/IEC 15948 section 5.2), JPEG (ITU-T T.81 annex B). SVG is left out: it can hold scripts.
_IMAGES: Final[Mapping[str, bytes]] = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


def _attestation(text: str) -> str:
    if not text.strip():
        raise fault("blank", "Must not be blank.")
    return text


def _image(text: str) -> str:
    head, comma, data = text.partition(",")
    media_type, _, encoding = head.removeprefix("data:").partition(";")
    if not head.startswith("data:") or not comma or encoding != "base64" or media_type not in _IMAGES:
        raise fault("invalid_data_uri", "Must be a data URI of a PNG or JPEG image in base64 (RFC 2397).")
    if len(data) > (MAX_IMAGE_BYTES + 2) // 3 * 4:
        raise fault("too_large", f"Must not hold more than {MAX_IMAGE_BYTES} bytes.")
    try:
        content = b64decode(data, validate=True)
    except (binascii.Error, ValueError) as err:
        raise fault("invalid_data_uri", "Must be valid base64.") from err
    if len(content) > MAX_IMAGE_BYTES:
        raise fault("too_large", f"Must not hold more than {MAX_IMAGE_BYTES} bytes.")
    if not content.startswith(_IMAGES[media_type]):
        raise fault("invalid_image", f"Does not hold what it says: {media_type}.")
    return text


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(canonical(value))
    except CanonicalError as err:
        raise fault("invalid", f"Cannot be kept: {err}.") from err
    if size > MAX_CLIENT_METADATA_BYTES:
        raise fault("too_large", f"Must not take more than {MAX_CLIENT_METADATA_BYTES} bytes.")
    return value


class Completion(Body):
    """The body of a completion."""

    electronic_signature_text: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_ATTESTATION_CHARACTERS,
            description="The attestation that the signer accepted; kept word for word.",
        ),
        AfterValidator(_attestation),
    ]
    signature_blob: Annotated[
        str | None,
        Field(description="A drawn or typed signature as an image: a data URI of a PNG or JPEG, at most 512 KiB."),
        AfterValidator(lambda text: None if text is None else _image(text)),
    ] = None
    fields: Annotated[Values | None, Field(description=VALUES_DESCRIBED)] = None
    client_metadata: Annotated[
        dict[str, Any] | None,
        Field(description="What the client says of itself; kept as its own word."),
        AfterValidator(lambda value: None if value is None else _metadata(value)),
    ] = None


class NewSession(Body):
    """The body of a session for a person who has just signed in: for an envelope, or for one document."""

    stakeholder_id: StakeholderId
    document_id: Annotated[DocumentId | None, Field(description="The document, if no envelope is named.")] = None
    signing_envelope_id: EnvelopeId | None = None
    signer_id: Annotated[SignerId | None, Field(description="Required with an envelope.")] = None

    @model_validator(mode="after")
    def _target(self) -> Self:
        if (self.document_id is None) == (self.signing_envelope_id is None):
            raise fault("invalid_target", "Name either document_id or signing_envelope_id.")
        if (self.signer_id is None) != (self.signing_envelope_id is None):
            raise fault("invalid_target", "signer_id goes with signing_envelope_id.")
        return self


SigningMethod = Literal["session_token", "agent_authorized", "human_oauth", "one_time_code", "password"]
SessionStatus = Literal["pending", "completed", "declined", "failed", "cancelled", "expired"]
EnvelopeStatusWord = Literal["draft", "sent", "partially_signed", "completed", "declined", "voided", "expired", "failed"]


class Record(BaseModel):
    """What is answered: every member is always there, and the document says so."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Target(Record):
    document_id: str | None = Field(description="The document that the session was asked for. Null: it is for the envelope.")
    signing_envelope_id: str
    signer_id: str


class Session(Record):
    """A signing session: the right to complete one slot of an envelope."""

    id: str
    object: Literal["signing_session"] = "signing_session"
    target: Target
    stakeholder_id: str
    human_clerk_user_id: str | None = Field(
        default=None,
        description="The person who signed in for it, as the issuer names them. Null: the right is the invitation's.",
    )
    created_at: int = Field(description="Unix seconds.")
    expires_at: int | None = Field(
        description="Unix seconds: the earlier of the token's end and the envelope's deadline. Null before the invitation if there is no deadline."
    )
    status: SessionStatus
    signature_token: str | None = Field(
        default=None, description="Only in the answer that made the session: `sig_...`, to be used once, within 15 minutes."
    )
    disclosure_packet_hash: str | None = Field(
        default=None, description="SHA-256 of the disclosure that the stakeholder has consented to. Null: no consent is known."
    )
    livemode: bool


class Provenance(Record):
    """How the act was observed. The hashes are salted commitments; null is what was not observed."""

    identity: str
    ip_source: str | None
    user_agent_hash: str | None
    client_metadata_hash: str | None


class SignedDocument(Record):
    """One signature as it stands in the log. `hash` is the entry's leaf hash (RFC 6962 section 2.1)."""

    document_id: str
    document_sha256: str
    event_id: str
    version: int
    position: int
    hash: str


class ProcessHead(Record):
    """The process's last entry after this: whoever keeps it can tell later whether the record was changed."""

    process_id: str
    version: int
    position: int
    hash: str
    recorded_at: str


class Acknowledgement(Record):
    """The evidence of the completion. The attestation and the address themselves are disclosures, kept apart."""

    id: str
    object: Literal["esra_acknowledgement"] = "esra_acknowledgement"
    method: str = Field(description="How the signature was expressed.")
    signing_method: SigningMethod = Field(
        description="By what right: the invitation's token alone, with an organization's key, or a sign-in."
    )
    electronic_signature_text_hash: str | None = Field(description="Salted commitment to the attestation.")
    signature_blob_hash: str | None = Field(description="Salted commitment to the image.")
    ip_hash: str | None = Field(description="Salted commitment to the source address.")
    signed_at: int = Field(description="Unix seconds.")
    provenance: Provenance
    documents: list[SignedDocument]
    head: ProcessHead


class Completed(Record):
    session: Session
    acknowledgement: Acknowledgement
    envelope_status: EnvelopeStatusWord
    document_ids: list[str]


def unix_seconds(at: datetime) -> int:
    """Whole seconds since 1970, as this surface writes times."""
    return int(at.timestamp())


def schemas(*models: type[BaseModel]) -> dict[str, Any]:
    """The JSON schemas of models by name, for the OpenAPI document's components."""
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[str(schema.get("title", model.__name__))] = schema
    return found
