"""What the sessions surface reads and answers, in the shapes of the reference page."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from api.surfaces.sessions.problems import VALIDATION, Problem
from domain.canonical import CanonicalError, canonical

#: The longest attestation. It is kept word for word, so it has to fit what a person is shown and reads.
MAX_ATTESTATION_CHARACTERS: Final = 2000

#: The largest signature image, decoded.
MAX_IMAGE_BYTES: Final = 512 * 1024

#: What a client may say of itself, in its canonical spelling.
MAX_CLIENT_METADATA_BYTES: Final = 16 * 1024

#: Faults listed in one answer; the first ones are enough to act on.
MAX_FAULTS: Final = 100

#: How files of each type begin: PNG (ISO/IEC 15948 section 5.2), JPEG (ITU-T T.81 annex B). SVG is left out: it can hold scripts.
_IMAGES: Final[Mapping[str, bytes]] = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


def _fault(code: str, sentence: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{sentence}", {"sentence": sentence})


def _attestation(text: str) -> str:
    if not text.strip():
        raise _fault("blank", "Must not be blank.")
    return text


def _image(text: str) -> str:
    head, comma, data = text.partition(",")
    media_type, _, encoding = head.removeprefix("data:").partition(";")
    if not head.startswith("data:") or not comma or encoding != "base64" or media_type not in _IMAGES:
        raise _fault("invalid_data_uri", "Must be a data URI of a PNG or JPEG image in base64 (RFC 2397).")
    if len(data) > (MAX_IMAGE_BYTES + 2) // 3 * 4:
        raise _fault("too_large", f"Must not hold more than {MAX_IMAGE_BYTES} bytes.")
    try:
        content = b64decode(data, validate=True)
    except (binascii.Error, ValueError) as err:
        raise _fault("invalid_data_uri", "Must be valid base64.") from err
    if len(content) > MAX_IMAGE_BYTES:
        raise _fault("too_large", f"Must not hold more than {MAX_IMAGE_BYTES} bytes.")
    if not content.startswith(_IMAGES[media_type]):
        raise _fault("invalid_image", f"Does not hold what it says: {media_type}.")
    return text


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(canonical(value))
    except CanonicalError as err:
        raise _fault("invalid", f"Cannot be kept: {err}.") from err
    if size > MAX_CLIENT_METADATA_BYTES:
        raise _fault("too_large", f"Must not take more than {MAX_CLIENT_METADATA_BYTES} bytes.")
    return value


class Completion(BaseModel):
    """The body of a completion."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

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
    client_metadata: Annotated[
        dict[str, Any] | None,
        Field(description="What the client says of itself; kept as its own word."),
        AfterValidator(lambda value: None if value is None else _metadata(value)),
    ] = None


def parse(value: object) -> Completion:
    """The body as a completion; raises Problem with every fault in it."""
    try:
        return Completion.model_validate(value)
    except ValidationError as err:
        found = err.errors(include_url=False, include_input=False)[:MAX_FAULTS]
        faults = [
            {
                "field": ".".join(str(part) for part in fault["loc"]),
                "code": _CODES.get(fault["type"], fault["type"]),
                "message": _SENTENCES.get(fault["type"], fault["msg"]),
            }
            for fault in found
        ]
        # What was sent is in no message: it is personal.
        raise Problem(
            VALIDATION,
            f"{faults[0]['field'] or 'The body'}: {faults[0]['message']}",
            param=faults[0]["field"] or None,
            more={"errors": faults},
        ) from None


_CODES: Final[Mapping[str, str]] = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "string_type": "invalid_type",
    "dict_type": "invalid_type",
    "model_type": "invalid_type",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
}
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "Must be given.",
    "extra_forbidden": "Is not a field of this request.",
    "string_type": "Must be a string.",
    "dict_type": "Must be an object.",
    "model_type": "Must be an object.",
    "string_too_short": "Must not be empty.",
    "string_too_long": f"Must not be longer than {MAX_ATTESTATION_CHARACTERS} characters.",
}

SessionStatus = Literal["pending", "completed", "declined", "failed", "cancelled", "expired"]
EnvelopeStatusWord = Literal["draft", "sent", "partially_signed", "completed", "declined", "voided", "expired", "failed"]


class Target(BaseModel):
    document_id: str | None = Field(description="Null: the session is for an envelope.")
    signing_envelope_id: str
    signer_id: str


class Session(BaseModel):
    """A signing session: the right to complete one slot of an envelope."""

    id: str
    object: Literal["signing_session"] = "signing_session"
    target: Target
    stakeholder_id: str
    human_clerk_user_id: str | None = Field(default=None, description="Null: no such account was observed.")
    created_at: int = Field(description="Unix seconds.")
    expires_at: int | None = Field(
        description="Unix seconds: the earlier of the token's end and the envelope's deadline. Null before the invitation if there is no deadline."
    )
    status: SessionStatus
    signature_token: None = Field(default=None, description="Always null: the token is in the invitation and nowhere else.")
    disclosure_packet_hash: str | None = Field(
        default=None, description="Null: no disclosure packet was shown through this surface."
    )
    livemode: bool


class Provenance(BaseModel):
    """How the act was observed. The hashes are salted commitments; null is what was not observed."""

    identity: str
    ip_source: str | None
    user_agent_hash: str | None
    client_metadata_hash: str | None


class SignedDocument(BaseModel):
    """One signature as it stands in the log. `hash` is the entry's leaf hash (RFC 6962 section 2.1)."""

    document_id: str
    document_sha256: str
    event_id: str
    version: int
    position: int
    hash: str


class ProcessHead(BaseModel):
    """The process's last entry after this: whoever keeps it can tell later whether the record was changed."""

    process_id: str
    version: int
    position: int
    hash: str
    recorded_at: str


class Acknowledgement(BaseModel):
    """The evidence of the completion. The attestation and the address themselves are disclosures, kept apart."""

    id: str
    object: Literal["esra_acknowledgement"] = "esra_acknowledgement"
    method: str
    electronic_signature_text_hash: str | None = Field(description="Salted commitment to the attestation.")
    signature_blob_hash: str | None = Field(description="Salted commitment to the image.")
    ip_hash: str | None = Field(description="Salted commitment to the source address.")
    signed_at: int = Field(description="Unix seconds.")
    provenance: Provenance
    documents: list[SignedDocument]
    head: ProcessHead


class Completed(BaseModel):
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
