"""What the surfaces see of a participant's signing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from domain.actor import Mode
from domain.envelope import FailureReason
from domain.signing import BounceReason, SignatureMode, SigningStatus
from infrastructure.vault import Reference
from projections.signers.fold import InvitationStatus


class SessionStatus(StrEnum):
    """Whether a signing session still lets somebody act. It ends with the signing, or when its time is over."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A document that a participant is to sign, by its SHA-256 (64 hex digits), and when that was done."""

    id: UUID
    sha256: str
    signed_at: datetime | None


@dataclass(frozen=True, slots=True)
class SignerRow:
    """A participant's signing as it stands; `id` is the participant's and the session's.

    `created_position` is the log position of the fact that created it: the signer's numeric id.
    `invitation` and what follows it are of the latest one, and so with `session`. `viewed_at`,
    `consented_at` and `first_signed_at` are of the first such act. `ended_at` is the time of the
    terminal fact, `failure` why the participant will not sign.
    """

    id: UUID
    envelope: UUID
    tenant: UUID
    mode: Mode
    number: int
    role: str | None
    modes: tuple[SignatureMode, ...]
    human_only: bool
    status: SigningStatus
    documents: tuple[SignedDocument, ...]
    personal: frozenset[str]
    invitation: UUID | None
    invitation_expires_at: datetime | None
    invitation_status: InvitationStatus | None
    bounce_reason: BounceReason | None
    session: UUID | None
    session_version: int | None
    session_opened_at: datetime | None
    session_expires_at: datetime | None
    created_at: datetime
    created_position: int
    updated_at: datetime
    invited_at: datetime | None
    started_at: datetime | None
    viewed_at: datetime | None
    consented_at: datetime | None
    first_signed_at: datetime | None
    ended_at: datetime | None
    failure: FailureReason | None
    reason_version: int | None

    @property
    def completed_at(self) -> datetime | None:
        return self._ended(SigningStatus.COMPLETED)

    @property
    def declined_at(self) -> datetime | None:
        return self._ended(SigningStatus.DECLINED)

    @property
    def failed_at(self) -> datetime | None:
        return self._ended(SigningStatus.FAILED)

    @property
    def name(self) -> Reference | None:
        return self.reference("/name")

    @property
    def email(self) -> Reference | None:
        return self.reference("/email")

    @property
    def phone(self) -> Reference | None:
        return self.reference("/phone")

    @property
    def document_number(self) -> Reference | None:
        return self.reference("/document_number")

    @property
    def details(self) -> Reference | None:
        """What a surface remembers of the person: a JSON object."""
        return self.reference("/details")

    @property
    def reason(self) -> Reference | None:
        """The reason given for declining."""
        return None if self.reason_version is None else Reference(self.id, self.reason_version, "/reason")

    @property
    def session_user(self) -> Reference | None:
        """Who signed in for the latest session."""
        return None if self.session_version is None else Reference(self.id, self.session_version, "/user")

    def session_status(self, now: datetime) -> SessionStatus | None:
        """Where the latest session stands at `now`; None if none was opened."""
        if self.session_expires_at is None:
            return None
        if self.status is SigningStatus.COMPLETED:
            return SessionStatus.COMPLETED
        if self.status is SigningStatus.EXPIRED or (not self.status.final and now > self.session_expires_at):
            return SessionStatus.EXPIRED
        return SessionStatus.CANCELLED if self.status.final else SessionStatus.PENDING

    def reference(self, path: str) -> Reference | None:
        """Where the personal value at `path` of the creating entry stands; None if none was given."""
        return Reference(self.id, 1, path) if path in self.personal else None

    def _ended(self, status: SigningStatus) -> datetime | None:
        return self.ended_at if self.status is status else None


COLUMNS: Final = tuple(SignerRow.__dataclass_fields__)


def read_row(columns: Sequence[Any]) -> SignerRow:
    """The row of a SELECT of `COLUMNS`."""
    values = dict(zip(COLUMNS, columns, strict=True))
    values["mode"] = Mode(values["mode"])
    values["modes"] = tuple(SignatureMode(mode) for mode in values["modes"])
    values["status"] = SigningStatus(values["status"])
    values["documents"] = tuple(
        SignedDocument(UUID(it["id"]), it["sha256"], None if it["signed_at"] is None else datetime.fromisoformat(it["signed_at"]))
        for it in values["documents"]
    )
    values["personal"] = frozenset(values["personal"])
    for column, kind in _WORDS.items():
        values[column] = None if values[column] is None else kind(values[column])
    return SignerRow(**values)


_WORDS: Final = {"invitation_status": InvitationStatus, "bounce_reason": BounceReason, "failure": FailureReason}
