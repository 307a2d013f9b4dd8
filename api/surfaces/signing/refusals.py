"""What each refusal of the domain is answered with here: one table of statuses; the sentence is the refusal's own."""

from collections.abc import Mapping
from typing import Final

from api.surfaces.signing.answers import NOT_FOUND, Failure
from domain import errors
from domain.errors import Refusal

#: 404 always has the same words, so that what is absent and what is not visible cannot be told apart.
REFUSALS: Final[Mapping[type[Refusal], int]] = {
    errors.TemplateNotFound: 404,
    errors.TemplateVersionNotFound: 404,
    errors.TemplateFileMissing: 409,
    errors.TemplateFileAlreadyStored: 409,
    errors.LastTemplateVersion: 409,
    errors.DuplicateField: 400,
    errors.FieldLeavesPage: 400,
    errors.AnchorNotFound: 400,
    errors.FieldUnknown: 400,
    errors.FieldRequired: 400,
    errors.FieldAlreadyFilled: 400,
    errors.FieldValueUnfit: 400,
    errors.FileNotTheLast: 409,
    errors.FieldOutsideDocument: 400,
    errors.TooManyFields: 400,
    errors.EnvelopeNotFound: 404,
    errors.ParticipantNotFound: 404,
    errors.DocumentNotFound: 404,
    errors.NoParticipants: 409,
    errors.NoDocuments: 409,
    errors.TooManyParticipants: 409,
    errors.TooManyDocuments: 409,
    errors.TooManyAssignments: 409,
    errors.PolicyOutOfRange: 400,
    errors.DuplicateParticipant: 409,
    errors.EnvelopeClosed: 409,
    errors.EnvelopeNotSent: 409,
    errors.DeadlinePassed: 409,
    errors.DeadlineInPast: 400,
    errors.DeadlineNotLater: 400,
    errors.DeadlineMissing: 409,
    errors.NotYetDue: 409,
    errors.NotInvited: 409,
    errors.SigningClosed: 409,
    errors.SessionTokenInvalid: 403,
    errors.SessionExpired: 409,
    errors.DocumentChanged: 409,
    errors.OtpNotSent: 409,
    errors.OtpExpired: 409,
    errors.CooldownActive: 409,
    errors.DirectoryEntryNotFound: 404,
    errors.LastOwner: 409,
    errors.OwnerRoleFixed: 409,
    errors.TooManyLocations: 400,
    errors.CreditsInsufficient: 409,
    errors.Conflict: 409,
    errors.IdempotencyKeyReused: 409,
    errors.IdempotentAnswerErased: 409,
    errors.SubjectNotFound: 404,
    errors.ErasureHeld: 409,
    errors.HoldNotFound: 404,
    errors.HoldEndsInPast: 400,
    errors.TooManyHolds: 409,
    errors.SealingContradicted: 409,
    errors.SealingKeyUnusable: 409,
    errors.FieldMisplaced: 400,
    errors.TooManyCopies: 400,
    errors.EnvelopeTooLarge: 409,
    errors.TemplateInactive: 409,
    errors.ConsentNotFound: 404,
    errors.LibraryDocumentNotFound: 404,
    errors.DocumentFileAlreadyStored: 409,
    errors.DocumentFileMissing: 409,
    errors.DocumentNotFinal: 409,
    errors.TooManyComments: 409,
    errors.EnvelopeNotDraft: 409,
    errors.HumanSignatureRequired: 403,
}


def answer_to(refusal: Refusal) -> Failure:
    """The answer to a refusal."""
    status = REFUSALS[type(refusal)]
    return Failure(status, NOT_FOUND if status == 404 else str(refusal))
