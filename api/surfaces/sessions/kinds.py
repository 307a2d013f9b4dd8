"""The kinds of problems, each with its code. Clients match on `code` alone."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem, as documented."""

    status: int
    code: str
    title: str
    meaning: str


HEADER_INVALID: Final = Kind(400, "validation_header_invalid", "Invalid header", "A header is missing or malformed.")
BODY_INVALID: Final = Kind(400, "validation_body_invalid", "Invalid body", "The body is not JSON.")
QUERY_INVALID: Final = Kind(400, "validation_query_invalid", "Invalid query", "A query parameter has an unusable value.")
MISSING_CREDENTIALS: Final = Kind(
    401, "auth_missing_credentials", "Missing credentials", "The request shows no credential that the resource takes."
)
TOKEN_INVALID: Final = Kind(401, "auth_token_invalid", "Invalid token", "The bearer is not an active credential of this API.")
TOKEN_EXPIRED: Final = Kind(401, "auth_token_expired", "Expired token", "The bearer was valid until its time was over.")
CREDITS: Final = Kind(402, "credits_insufficient", "Insufficient credits", "The organization has no credits left.")
SESSION_TOKEN: Final = Kind(
    403,
    "invalid_session_token",
    "Invalid session token",
    "The session token is missing, or is not the one of the latest invitation or session.",
)
REAUTHENTICATION: Final = Kind(
    403,
    "reauthentication_required",
    "Sign in again",
    "A signing session is for a person who has signed in within the last five minutes.",
)
NOT_THE_SIGNER: Final = Kind(
    403, "policy_violation", "Not the signer", "The person who signed in is not the signer that the session would be for."
)
HUMAN_REQUIRED: Final = Kind(
    403, "human_signature_required", "Human signature required", "The signer has to sign in person; an agent may not."
)
NOT_FOUND: Final = Kind(404, "not_found_resource", "Not found", "There is no such resource, or it belongs to somebody else.")
NOT_IN_MODE: Final = Kind(404, "not_found_in_mode", "Not found in this mode", "The resource is of the other mode, live or test.")
METHOD: Final = Kind(405, "method_not_allowed", "Method not allowed", "The resource does not offer this method.")
TRANSITION: Final = Kind(
    409,
    "invalid_state_transition",
    "Invalid state transition",
    "The resource is not in a state that allows this; `current_state` says which it is in.",
)
CONSENT_REQUIRED: Final = Kind(
    409,
    "state_esra_consent_required",
    "Consent required",
    "The signer has not consented to electronic records, has withdrawn it, or the disclosure has changed since.",
)
REMINDED_ENOUGH: Final = Kind(
    409, "state_reminders_exhausted", "No reminders left", "All reminders that the envelope's policy allows have been sent."
)
DOCUMENT_CHANGED: Final = Kind(
    409, "state_document_changed", "Document changed", "The document shown is not the one in the envelope."
)
KEY_CONFLICT: Final = Kind(
    409,
    "validation_idempotency_key_conflict",
    "Idempotency key reused",
    "The idempotency key was used before with another request.",
)
ANSWER_ERASED: Final = Kind(
    409,
    "idempotent_answer_erased",
    "Answer erased",
    "The request was done before; its answer held personal data that has since been erased.",
)
LOCKED: Final = Kind(
    409,
    "state_optimistic_lock_conflict",
    "Concurrent change",
    "Others kept changing the same resource; nothing was done, so try again.",
)
SESSION_EXPIRED: Final = Kind(
    410, "session_expired", "Session expired", "The session's lifetime is over; ask for the invitation to be sent again."
)
TOO_LARGE: Final = Kind(413, "validation_body_too_large", "Body too large", "The body is larger than is accepted.")
CONTENT_TYPE: Final = Kind(
    415, "validation_content_type_invalid", "Unsupported content type", "The body is not sent as application/json."
)
VALIDATION: Final = Kind(
    422,
    "validation_failed",
    "Validation failed",
    "Some fields are missing, unknown or have unusable values; `errors` lists them.",
)
RATE_LIMITED: Final = Kind(429, "rate_limited", "Too many requests", "Wait for `retry_after` seconds.")
INTERNAL: Final = Kind(
    500, "internal_error", "Internal error", "Something unforeseen happened; it has been noted under `request_id`."
)
UNAVAILABLE: Final = Kind(
    503, "upstream_unavailable", "Unavailable", "The database cannot be reached; a repeat with the same idempotency key is safe."
)

KINDS: Final[tuple[Kind, ...]] = (
    HEADER_INVALID, BODY_INVALID, QUERY_INVALID, MISSING_CREDENTIALS, TOKEN_INVALID, TOKEN_EXPIRED, CREDITS, SESSION_TOKEN,
    REAUTHENTICATION, NOT_THE_SIGNER, HUMAN_REQUIRED, NOT_FOUND, NOT_IN_MODE, METHOD, TRANSITION, CONSENT_REQUIRED,
    REMINDED_ENOUGH, DOCUMENT_CHANGED, KEY_CONFLICT, ANSWER_ERASED, LOCKED, SESSION_EXPIRED, TOO_LARGE, CONTENT_TYPE, VALIDATION,
    RATE_LIMITED, INTERNAL, UNAVAILABLE,
)  # fmt: skip
