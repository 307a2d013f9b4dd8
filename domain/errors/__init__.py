"""Refusals, and the report of a history that cannot be.

A refusal is an answer, not a fault: a command was understood and is not allowed. It has a stable
`code` and the data that explains it, and no HTTP status; each surface has its own table of those.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.errors.fields import AnchorNotFound as AnchorNotFound
from domain.errors.fields import DuplicateField as DuplicateField
from domain.errors.fields import FieldAlreadyFilled as FieldAlreadyFilled
from domain.errors.fields import FieldLeavesPage as FieldLeavesPage
from domain.errors.fields import FieldMisplaced as FieldMisplaced
from domain.errors.fields import FieldOutsideDocument as FieldOutsideDocument
from domain.errors.fields import FieldRequired as FieldRequired
from domain.errors.fields import FieldUnknown as FieldUnknown
from domain.errors.fields import FieldValueUnfit as FieldValueUnfit
from domain.errors.fields import TooManyFields as TooManyFields
from domain.errors.refusal import ImpossibleHistory as ImpossibleHistory
from domain.errors.refusal import Refusal as Refusal
from domain.errors.retention import ErasureHeld as ErasureHeld
from domain.errors.retention import HoldEndsInPast as HoldEndsInPast
from domain.errors.retention import HoldNotFound as HoldNotFound
from domain.errors.retention import SubjectNotFound as SubjectNotFound
from domain.errors.retention import TooManyHolds as TooManyHolds


@dataclass(eq=False)
class TemplateNotFound(Refusal):
    code = "template-not-found"
    sentence = "Template {template} does not exist."
    template: UUID


@dataclass(eq=False)
class TemplateVersionNotFound(Refusal):
    code = "template-version-not-found"
    sentence = "The template has no version {version}."
    version: int


@dataclass(eq=False)
class TemplateFileMissing(Refusal):
    code = "template-file-missing"
    sentence = "No PDF has been uploaded for version {version} of the template."
    version: int


@dataclass(eq=False)
class TemplateFileAlreadyStored(Refusal):
    code = "template-file-already-stored"
    sentence = "Version {version} already has another PDF; create a new version to change it."
    version: int


@dataclass(eq=False)
class LastTemplateVersion(Refusal):
    code = "last-template-version"
    sentence = "Version {version} is the only one left; delete the template instead."
    version: int


@dataclass(eq=False)
class TooManyCopies(Refusal):
    code = "too-many-copies"
    sentence = "{count} recipients of copies; an envelope has at most {most}."
    count: int
    most: int


@dataclass(eq=False)
class EnvelopeTooLarge(Refusal):
    """Documents, participants, fields and copies of a new envelope are recorded in one entry, which is bounded."""

    code = "envelope-too-large"
    sentence = "The documents, participants and fields take {size_bytes} bytes together; at most {most_bytes} can be recorded."
    size_bytes: int
    most_bytes: int


@dataclass(eq=False)
class TemplateInactive(Refusal):
    code = "template-inactive"
    sentence = "Template {template} is not active; nothing new is made from it."
    template: UUID


@dataclass(eq=False)
class ConsentNotFound(Refusal):
    code = "consent-not-found"
    sentence = "Consent {consent} does not exist."
    consent: UUID


@dataclass(eq=False)
class LibraryDocumentNotFound(Refusal):
    code = "library-document-not-found"
    sentence = "Document {document} does not exist."
    document: UUID


@dataclass(eq=False)
class DocumentFileAlreadyStored(Refusal):
    code = "document-file-already-stored"
    sentence = "The document already has another PDF; create a new document for this one."


@dataclass(eq=False)
class DocumentFileMissing(Refusal):
    code = "document-file-missing"
    sentence = "The document has no PDF yet."


@dataclass(eq=False)
class DocumentNotFinal(Refusal):
    code = "document-not-final"
    sentence = "Document {document} is not final; only final documents can be put into an envelope."
    document: UUID


@dataclass(eq=False)
class TooManyComments(Refusal):
    code = "too-many-comments"
    sentence = "The document has {most} comments already, as many as it can have."
    most: int


@dataclass(eq=False)
class EnvelopeNotFound(Refusal):
    code = "envelope-not-found"
    sentence = "Envelope {envelope} does not exist."
    envelope: UUID


@dataclass(eq=False)
class ParticipantNotFound(Refusal):
    code = "participant-not-found"
    sentence = "The envelope has no participant {participant}."
    participant: UUID


@dataclass(eq=False)
class DocumentNotFound(Refusal):
    code = "document-not-found"
    sentence = "The participant has no document {document} to sign."
    document: UUID


@dataclass(eq=False)
class NoParticipants(Refusal):
    code = "no-participants"
    sentence = "An envelope needs at least one participant."


@dataclass(eq=False)
class NoDocuments(Refusal):
    code = "no-documents"
    sentence = "An envelope needs at least one document."


@dataclass(eq=False)
class TooManyParticipants(Refusal):
    code = "too-many-participants"
    sentence = "{count} participants; an envelope has at most {most}."
    count: int
    most: int


@dataclass(eq=False)
class TooManyDocuments(Refusal):
    code = "too-many-documents"
    sentence = "{count} documents; an envelope has at most {most}."
    count: int
    most: int


@dataclass(eq=False)
class TooManyAssignments(Refusal):
    """Every participant counts with each document that it has to sign."""

    code = "too-many-assignments"
    sentence = "The participants have {count} documents to sign together; an envelope has at most {most}."
    count: int
    most: int


@dataclass(eq=False)
class PolicyOutOfRange(Refusal):
    """`policy` names the setting of a participant: `attempts_max` or `cooldown_seconds`."""

    code = "policy-out-of-range"
    sentence = "The policy {policy} is a number from {least} to {most}."
    policy: str
    least: int
    most: int


@dataclass(eq=False)
class DuplicateParticipant(Refusal):
    """`index` and `first` count from 0, in the order of the command."""

    code = "duplicate-participant"
    sentence = "Participant {index} is the same person as participant {first}."
    index: int
    first: int


@dataclass(eq=False)
class EnvelopeClosed(Refusal):
    code = "envelope-closed"
    sentence = "The envelope is {status}; it accepts no further changes."
    status: str


@dataclass(eq=False)
class EnvelopeNotSent(Refusal):
    code = "envelope-not-sent"
    sentence = "The envelope has not been sent yet."


@dataclass(eq=False)
class EnvelopeNotDraft(Refusal):
    code = "envelope-not-draft"
    sentence = "The envelope has been sent; its documents and participants can no longer be changed."


@dataclass(eq=False)
class DeadlinePassed(Refusal):
    code = "deadline-passed"
    sentence = "The deadline was {deadline:%Y-%m-%dT%H:%M:%SZ}; nothing can be done after it."
    deadline: datetime


@dataclass(eq=False)
class DeadlineInPast(Refusal):
    code = "deadline-in-past"
    sentence = "The deadline {deadline:%Y-%m-%dT%H:%M:%SZ} is not in the future."
    deadline: datetime


@dataclass(eq=False)
class DeadlineNotLater(Refusal):
    code = "deadline-not-later"
    sentence = "The new deadline must be later than the present one, {current:%Y-%m-%dT%H:%M:%SZ}."
    current: datetime


@dataclass(eq=False)
class DeadlineMissing(Refusal):
    code = "deadline-missing"
    sentence = "The envelope has no deadline to extend."


@dataclass(eq=False)
class NotYetDue(Refusal):
    """An expiry was asked for before the deadline; `deadline` is None when there is none."""

    code = "not-yet-due"
    sentence = "The envelope is not due to expire."
    deadline: datetime | None


@dataclass(eq=False)
class NotInvited(Refusal):
    code = "not-invited"
    sentence = "It is not this participant's turn yet."


@dataclass(eq=False)
class SigningClosed(Refusal):
    code = "signing-closed"
    sentence = "The signing is {status}; it accepts no further changes."
    status: str


@dataclass(eq=False)
class HumanSignatureRequired(Refusal):
    code = "human-signature-required"
    sentence = "This participant has to sign in as a person; a token alone, or an agent, does not do."


@dataclass(eq=False)
class SessionTokenInvalid(Refusal):
    code = "session-token-invalid"
    sentence = "The session token is missing, or is neither the one of the latest invitation nor of the open session."


@dataclass(eq=False)
class SessionExpired(Refusal):
    code = "session-expired"
    sentence = "The session expired at {expires_at:%Y-%m-%dT%H:%M:%SZ}; ask for the invitation to be sent again."
    expires_at: datetime


@dataclass(eq=False)
class DocumentChanged(Refusal):
    code = "document-changed"
    sentence = "The document that was shown is not the one in the envelope."
    document: UUID


@dataclass(eq=False)
class OtpNotSent(Refusal):
    code = "otp-not-sent"
    sentence = "No one-time code is waiting for an answer."


@dataclass(eq=False)
class OtpExpired(Refusal):
    code = "otp-expired"
    sentence = "The one-time code expired at {expires_at:%Y-%m-%dT%H:%M:%SZ}."
    expires_at: datetime


@dataclass(eq=False)
class CooldownActive(Refusal):
    code = "cooldown-active"
    sentence = "The next attempt is possible at {until:%Y-%m-%dT%H:%M:%SZ}."
    until: datetime


@dataclass(eq=False)
class DirectoryEntryNotFound(Refusal):
    """`kind` is a word such as `organization`; `id` a UUID, or the slug of a role."""

    code = "directory-entry-not-found"
    sentence = "There is no {kind} {id}."
    kind: str
    id: UUID | str


@dataclass(eq=False)
class LastOwner(Refusal):
    code = "last-owner"
    sentence = "This is the organization's last owner; make somebody else an owner first."


@dataclass(eq=False)
class OwnerRoleFixed(Refusal):
    code = "owner-role-fixed"
    sentence = "The role owner has every permission; that cannot be changed."


@dataclass(eq=False)
class TooManyLocations(Refusal):
    code = "too-many-locations"
    sentence = "{count} locations; an appointment names at most {most}. Without any it is about all of them."
    count: int
    most: int


@dataclass(eq=False)
class CreditsInsufficient(Refusal):
    code = "credits-insufficient"
    sentence = "The tenant does not have enough credits."


@dataclass(eq=False)
class Conflict(Refusal):
    """Other commands kept changing the same streams; nothing was done, a repeat may succeed."""

    code = "conflict"
    sentence = "Other changes to the same envelope were in progress; try again."


@dataclass(eq=False)
class IdempotencyKeyReused(Refusal):
    code = "idempotency-key-reused"
    sentence = "The idempotency key was used before with another request."


@dataclass(eq=False)
class IdempotentAnswerErased(Refusal):
    code = "idempotent-answer-erased"
    sentence = "The request was done before; its answer held personal data that has since been erased."


@dataclass(eq=False)
class SealingContradicted(Refusal):
    code = "sealing-contradicted"
    sentence = "The {what} of the ledger are recorded up to entry {recorded} already, and not as these say."
    what: str
    recorded: int


@dataclass(eq=False)
class SealingKeyUnusable(Refusal):
    code = "sealing-key-unusable"
    sentence = "The key {key} was retired, or was never one of the ledger's."
    key: str


@dataclass(eq=False)
class FileNotTheLast(Refusal):
    """`sha256` is 64 hex digits."""

    code = "file-not-the-last"
    sentence = "The file {sha256} is not the last form of this document, so its seal cannot be renewed; take the last one."
    sha256: str
