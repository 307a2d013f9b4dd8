"""What each refusal of the domain is answered with here: one table."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from api.surfaces.signatures.answers import Failure, Issues, absent, invalid
from domain import errors
from domain.errors import Refusal

#: Makes the answer to a refusal.
Build = Callable[[Any], Failure]


def conflict(message: str) -> Failure:
    """The documented 409: the present state does not allow it."""
    return Failure(409, "conflict", message)


def ended(status: str) -> Failure:
    """The documented 409 for what a request that has ended allows no more."""
    return conflict(f"The signature request is already {status}.")


def _conflict(refusal: Refusal) -> Failure:
    return conflict(str(refusal))


def _absent(what: str) -> Build:
    return lambda refusal: absent(what)


def _invalid(*path: str) -> Build:
    return lambda refusal: invalid(Issues((), {path[0]: (str(refusal),)}) if path else Issues((str(refusal),)))


def _credits(refusal: errors.CreditsInsufficient) -> Failure:
    return Failure(402, "signature_credits_exhausted", "The account is out of signature credits; nothing was created.")


def _forbidden(refusal: Refusal) -> Failure:
    return Failure(403, "forbidden", str(refusal))


#: Templates, sessions, one-time codes and the directory belong to other surfaces; their refusals have an answer here all the same.
REFUSALS: Final[Mapping[type[Refusal], Build]] = {
    errors.TemplateNotFound: _absent("template"),
    errors.TemplateVersionNotFound: _absent("template version"),
    errors.TemplateFileMissing: _conflict,
    errors.TemplateFileAlreadyStored: _conflict,
    errors.LastTemplateVersion: _conflict,
    errors.TemplateInactive: _conflict,
    errors.DuplicateField: _invalid("fields"),
    errors.FieldLeavesPage: _invalid("fields"),
    errors.AnchorNotFound: _invalid("fields"),
    errors.FieldUnknown: _invalid("fields"),
    errors.FieldRequired: _invalid("fields"),
    errors.FieldAlreadyFilled: _invalid("fields"),
    errors.FieldValueUnfit: _invalid("fields"),
    errors.FileNotTheLast: _conflict,
    errors.FieldOutsideDocument: _invalid("fields"),
    errors.FieldMisplaced: _invalid("fields"),
    errors.TooManyFields: _invalid("fields"),
    errors.LibraryDocumentNotFound: _absent("render"),
    errors.DocumentFileAlreadyStored: _conflict,
    errors.DocumentFileMissing: _conflict,
    errors.DocumentNotFinal: _conflict,
    errors.TooManyComments: _conflict,
    errors.EnvelopeNotFound: _absent("signature request"),
    errors.ParticipantNotFound: _absent("recipient"),
    errors.DocumentNotFound: _absent("document"),
    errors.NoParticipants: _invalid("recipients"),
    errors.NoDocuments: _invalid("renderId"),
    errors.TooManyParticipants: _invalid("recipients"),
    errors.TooManyDocuments: _invalid(),
    errors.TooManyAssignments: _invalid("recipients"),
    errors.TooManyCopies: _invalid("recipients"),
    errors.EnvelopeTooLarge: _invalid(),
    errors.PolicyOutOfRange: _invalid("recipients"),
    errors.DuplicateParticipant: _invalid("recipients"),
    errors.EnvelopeClosed: lambda refusal: ended(refusal.status),
    errors.EnvelopeNotSent: _conflict,
    errors.EnvelopeNotDraft: _conflict,
    errors.HumanSignatureRequired: _forbidden,
    errors.DeadlinePassed: lambda refusal: ended("expired"),
    errors.DeadlineInPast: _invalid("expirationHours"),
    errors.DeadlineNotLater: _invalid("expirationHours"),
    errors.DeadlineMissing: _conflict,
    errors.NotYetDue: _conflict,
    errors.NotInvited: _conflict,
    errors.SigningClosed: lambda refusal: ended(refusal.status),
    errors.SessionTokenInvalid: _forbidden,
    errors.SessionExpired: _conflict,
    errors.DocumentChanged: _conflict,
    errors.OtpNotSent: _conflict,
    errors.OtpExpired: _conflict,
    errors.CooldownActive: _conflict,
    errors.CreditsInsufficient: _credits,
    errors.Conflict: lambda refusal: conflict("Other changes to the same signature request were in progress; try again."),
    errors.IdempotencyKeyReused: _conflict,
    errors.IdempotentAnswerErased: _conflict,
    errors.SubjectNotFound: _absent("person"),
    errors.ErasureHeld: _conflict,
    errors.HoldNotFound: _absent("hold"),
    errors.HoldEndsInPast: _invalid("until"),
    errors.TooManyHolds: _conflict,
    errors.SealingContradicted: _conflict,
    errors.SealingKeyUnusable: _conflict,
    errors.DirectoryEntryNotFound: _absent("entry of the directory"),
    errors.TooManyLocations: _conflict,
    errors.OwnerRoleFixed: _conflict,
    errors.LastOwner: _conflict,
    errors.ConsentNotFound: _absent("consent"),
}


def answer_to(refusal: Refusal) -> Failure:
    """The answer to a refusal."""
    return REFUSALS[type(refusal)](refusal)
