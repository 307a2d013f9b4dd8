"""What each refusal of the domain is answered with here: one table."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from api.surfaces.partner.answers import Failure, in_seconds
from api.surfaces.partner.validation import at
from domain import errors
from domain.errors import Refusal

#: The path parameters of the request, as they were spelled.
Place = Mapping[str, str]

#: Makes the answer to a refusal.
Build = Callable[[Any, Place], Failure]

#: The domain's words for where an envelope or a signing has come to, in this surface's.
ENDED: Final[Mapping[str, str]] = {
    "completed": "completed",
    "declined": "failed",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}


def absent(message: str, details: Mapping[str, Any]) -> Failure:
    """The documented 404: for what does not exist, and in the same words for what is another tenant's."""
    return Failure(404, "not_found", message, "not_found", details)


def template_absent(template: str) -> Failure:
    """The documented 404 for a template."""
    return absent("Template not found.", {"templateId": template})


def version_absent(template: str, version: str | int) -> Failure:
    """The documented 404 for a version of a template."""
    return absent("Template version not found.", {"templateId": template, "version": version})


def document_absent(document: str) -> Failure:
    """The documented 404 for a document."""
    return absent("Document not found.", {"documentId": document})


def participant_absent(document: str, participant: str) -> Failure:
    """The documented 404 for a participant of a document."""
    return absent("Participant not found.", {"documentId": document, "participantId": participant})


def _conflict(code: str, message: str | None = None) -> Build:
    return lambda refusal, place: Failure(409, code, message or str(refusal), "conflict", dict(place))


def _invalid(*path: str) -> Build:
    return lambda refusal, place: at(path, str(refusal))


def _document_ended(status: str, place: Place) -> Failure:
    details = {**place, "status": status.upper()}
    return Failure(409, f"document_already_{status}", f"The document is already {status}.", "conflict", details)


def _participant_ended(refusal: errors.SigningClosed, place: Place) -> Failure:
    status = ENDED[refusal.status]
    details = {**place, "status": status.upper()}
    return Failure(409, f"participant_already_{status}", f"The participant's process is already {status}.", "conflict", details)


def _duplicate(refusal: errors.DuplicateParticipant, place: Place) -> Failure:
    return at(("participants", refusal.index, "_schema"), f"The same person as participant {refusal.first}.")


def _template_version(refusal: errors.TemplateVersionNotFound, place: Place) -> Failure:
    return version_absent(place.get("templateId", ""), refusal.version)


def _file_missing(refusal: errors.TemplateFileMissing, place: Place) -> Failure:
    return absent(str(refusal), {"templateId": place.get("templateId", ""), "version": refusal.version})


def _credits(refusal: errors.CreditsInsufficient, place: Place) -> Failure:
    return Failure(402, "insufficient_credits", "Not enough credits to process the document.", "credits")


def _cooldown(refusal: errors.CooldownActive, place: Place) -> Failure:
    return Failure(409, "cooldown_active", str(refusal), "conflict", {**place, "retryAt": in_seconds(refusal.until)})


def _not_later(refusal: errors.DeadlineNotLater, place: Place) -> Failure:
    return at(("newDeadlineAt",), f"Must be later than the present deadline, {in_seconds(refusal.current)}.")


#: Sessions, one-time codes and the library belong to other surfaces; their refusals have an answer here all the same.
REFUSALS: Final[Mapping[type[Refusal], Build]] = {
    errors.TemplateNotFound: lambda refusal, place: template_absent(place.get("templateId", str(refusal.template))),
    errors.TemplateVersionNotFound: _template_version,
    errors.TemplateFileMissing: _file_missing,
    errors.TemplateFileAlreadyStored: _conflict("template_file_already_stored"),
    errors.LastTemplateVersion: _conflict("last_template_version"),
    errors.TemplateInactive: _conflict("template_inactive"),
    errors.ConsentNotFound: lambda refusal, place: absent("Consent not found.", {}),
    errors.LibraryDocumentNotFound: lambda refusal, place: document_absent(place.get("documentId", str(refusal.document))),
    errors.DocumentFileAlreadyStored: _conflict("document_file_already_stored"),
    errors.DocumentFileMissing: _conflict("document_file_missing"),
    errors.DocumentNotFinal: _conflict("document_not_final"),
    errors.TooManyComments: _conflict("too_many_comments"),
    errors.DuplicateField: _invalid("_schema"),
    errors.FieldLeavesPage: _invalid("_schema"),
    errors.AnchorNotFound: _invalid("_schema"),
    errors.FieldUnknown: _invalid("_schema"),
    errors.FieldRequired: _invalid("_schema"),
    errors.FieldAlreadyFilled: _invalid("_schema"),
    errors.FieldValueUnfit: _invalid("_schema"),
    errors.FileNotTheLast: _conflict("file_not_the_last"),
    errors.FieldOutsideDocument: _invalid("_schema"),
    errors.TooManyFields: _invalid("_schema"),
    errors.FieldMisplaced: _invalid("_schema"),
    errors.TooManyCopies: _invalid("_schema"),
    errors.EnvelopeTooLarge: _invalid("_schema"),
    errors.EnvelopeNotFound: lambda refusal, place: document_absent(place.get("documentId", str(refusal.envelope))),
    errors.ParticipantNotFound: lambda refusal, place: participant_absent(
        place.get("documentId", ""), place.get("participantId", str(refusal.participant))
    ),
    errors.DocumentNotFound: lambda refusal, place: document_absent(place.get("documentId", str(refusal.document))),
    errors.NoParticipants: _invalid("participants"),
    errors.NoDocuments: _invalid("templateVersion"),
    errors.TooManyParticipants: _invalid("participants"),
    errors.TooManyDocuments: _invalid("_schema"),
    errors.TooManyAssignments: _invalid("participants"),
    errors.PolicyOutOfRange: _invalid("participants"),
    errors.DuplicateParticipant: _duplicate,
    errors.EnvelopeClosed: lambda refusal, place: _document_ended(ENDED[refusal.status], place),
    errors.EnvelopeNotSent: _conflict("document_not_sent", "The document has not been sent yet."),
    errors.EnvelopeNotDraft: _conflict("document_already_sent", "The document has been sent already."),
    errors.HumanSignatureRequired: _conflict("human_signature_required"),
    errors.DeadlinePassed: lambda refusal, place: _document_ended("expired", place),
    errors.DeadlineInPast: lambda refusal, place: at(("deadlineAt",), "Must be in the future."),
    errors.DeadlineNotLater: _not_later,
    errors.DeadlineMissing: _conflict("document_without_deadline", "The document has no deadline to extend."),
    errors.NotYetDue: _conflict("document_not_due", "The document's deadline has not passed."),
    errors.NotInvited: _conflict("participant_not_invited"),
    errors.SigningClosed: _participant_ended,
    errors.SessionTokenInvalid: lambda refusal, place: Failure(401, "session_token_invalid", str(refusal), "authentication"),
    errors.SessionExpired: _conflict("session_expired"),
    errors.DocumentChanged: _conflict("document_changed"),
    errors.OtpNotSent: _conflict("otp_not_sent"),
    errors.OtpExpired: _conflict("otp_expired"),
    errors.CooldownActive: _cooldown,
    errors.DirectoryEntryNotFound: lambda refusal, place: absent(str(refusal), {}),
    errors.LastOwner: _conflict("last_owner"),
    errors.OwnerRoleFixed: _conflict("owner_role_fixed"),
    errors.TooManyLocations: _invalid("_schema"),
    errors.CreditsInsufficient: _credits,
    errors.Conflict: _conflict("conflict", "Other changes to the same document were in progress; try again."),
    errors.IdempotencyKeyReused: _conflict("idempotency_key_reused"),
    errors.IdempotentAnswerErased: _conflict("idempotent_answer_erased"),
    errors.SubjectNotFound: lambda refusal, place: absent(str(refusal), {}),
    errors.ErasureHeld: _conflict("erasure_held"),
    errors.HoldNotFound: lambda refusal, place: absent(str(refusal), {}),
    errors.HoldEndsInPast: _invalid("_schema"),
    errors.TooManyHolds: _conflict("too_many_holds"),
    errors.SealingContradicted: _conflict("sealing_contradicted"),
    errors.SealingKeyUnusable: _conflict("sealing_key_unusable"),
}


def answer_to(refusal: Refusal, place: Place) -> Failure:
    """The answer to a refusal, with what the path of the request says."""
    return REFUSALS[type(refusal)](refusal, place)
