"""How signers are folded: each participant's signing, and what each fact changes in it."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final, TypedDict

from domain.envelope import FailureReason
from domain.signing import (
    ConsentGiven,
    DocumentAssigned,
    DocumentSigned,
    DocumentViewed,
    FieldsFilled,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    Invited,
    OtpFailed,
    OtpSent,
    OtpVerified,
    ProcessCreated,
    SessionOpened,
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFailed,
    SigningStatus,
    Started,
)
from projections.projection import Item, Projection, ProjectionError
from projections.store import Store, Table

#: `personal` lists the paths of the personal values in the entry that created the process.
_DDL: Final = """
CREATE TABLE signers (
    id                    uuid        PRIMARY KEY,
    envelope              uuid        NOT NULL,
    tenant                uuid        NOT NULL,
    mode                  text        NOT NULL,
    number                integer     NOT NULL,
    role                  text,
    modes                 text[]      NOT NULL,
    human_only            boolean     NOT NULL,
    status                text        NOT NULL,
    documents             jsonb       NOT NULL,
    personal              text[]      NOT NULL,
    invitation            uuid,
    invitation_expires_at timestamptz,
    invitation_status     text,
    bounce_reason         text,
    session               uuid,
    session_version       bigint,
    session_opened_at     timestamptz,
    session_expires_at    timestamptz,
    created_at            timestamptz NOT NULL,
    created_position      bigint      NOT NULL,
    updated_at            timestamptz NOT NULL,
    invited_at            timestamptz,
    started_at            timestamptz,
    viewed_at             timestamptz,
    consented_at          timestamptz,
    first_signed_at       timestamptz,
    ended_at              timestamptz,
    failure               text,
    reason_version        bigint
) WITH (fillfactor = 80);
"""

_INDEXES: Final = """
CREATE INDEX signers_of_envelope ON signers (envelope);
CREATE INDEX signers_in_order ON signers (tenant, mode, created_position);
"""


class InvitationStatus(StrEnum):
    """What is known of a message to a participant: that it was issued, and later whether it arrived."""

    ISSUED = "issued"
    DELIVERED = "delivered"
    BOUNCED = "bounced"


class _Document(TypedDict):
    id: str
    sha256: str
    signed_at: str | None


class _Signer(TypedDict):
    id: str
    envelope: str
    tenant: str
    mode: str
    number: int
    role: str | None
    modes: list[str]
    human_only: bool
    status: str
    documents: list[_Document]
    personal: list[str]
    invitation: str | None
    invitation_expires_at: str | None
    invitation_status: str | None
    bounce_reason: str | None
    session: str | None
    session_version: int | None
    session_opened_at: str | None
    session_expires_at: str | None
    created_at: str
    created_position: int
    updated_at: str
    invited_at: str | None
    started_at: str | None
    viewed_at: str | None
    consented_at: str | None
    first_signed_at: str | None
    ended_at: str | None
    failure: str | None
    reason_version: int | None


_SIGNERS: Final = Table[_Signer]("signers", ["id"], _Signer.__annotations__)


def _created(item: Item) -> _Signer:
    data = item.data
    return {
        "id": item.stream,
        "envelope": data["envelope"],
        "tenant": data["tenant"],
        "mode": data["mode"],
        "number": data["number"],
        "role": data.get("role"),
        "modes": data["modes"],
        "human_only": data["human_only"],
        "status": SigningStatus.CREATED,
        "documents": [_document(document) for document in data["documents"]],
        "personal": list(item.personal),
        "invitation": None,
        "invitation_expires_at": None,
        "invitation_status": None,
        "bounce_reason": None,
        "session": None,
        "session_version": None,
        "session_opened_at": None,
        "session_expires_at": None,
        "created_at": item.at,
        "created_position": item.position,
        "updated_at": item.at,
        "invited_at": None,
        "started_at": None,
        "viewed_at": None,
        "consented_at": None,
        "first_signed_at": None,
        "ended_at": None,
        "failure": None,
        "reason_version": None,
    }


def _document(reference: Mapping[str, str]) -> _Document:
    return {"id": reference["id"], "sha256": reference["sha256"], "signed_at": None}


def _document_assigned(row: _Signer, item: Item) -> None:
    row["documents"].append(_document(item.data["document"]))


def _invited(row: _Signer, item: Item) -> None:
    row["status"] = SigningStatus.INVITED
    row["invited_at"] = item.at
    _invitation_resent(row, item)


def _invitation_resent(row: _Signer, item: Item) -> None:
    row["invitation"] = item.data["invitation"]["id"]
    row["invitation_expires_at"] = item.data["invitation"]["expires_at"]
    row["invitation_status"] = InvitationStatus.ISSUED
    row["bounce_reason"] = None


def _invitation_delivered(row: _Signer, item: Item) -> None:
    if item.data["invitation"] == row["invitation"]:
        row["invitation_status"] = InvitationStatus.DELIVERED


def _invitation_bounced(row: _Signer, item: Item) -> None:
    if item.data["invitation"] == row["invitation"]:
        row["invitation_status"] = InvitationStatus.BOUNCED
        row["bounce_reason"] = item.data["reason"]


def _session_opened(row: _Signer, item: Item) -> None:
    row["session"] = item.data["session"]["id"]
    row["session_version"] = item.version
    row["session_opened_at"] = item.at
    row["session_expires_at"] = item.data["session"]["expires_at"]


def _started(row: _Signer, item: Item) -> None:
    row["status"] = SigningStatus.STARTED
    row["started_at"] = item.at


def _document_viewed(row: _Signer, item: Item) -> None:
    row["viewed_at"] = row["viewed_at"] or item.at


def _consent_given(row: _Signer, item: Item) -> None:
    row["consented_at"] = row["consented_at"] or item.at


def _document_signed(row: _Signer, item: Item) -> None:
    row["first_signed_at"] = row["first_signed_at"] or item.at
    for document in row["documents"]:
        if document["id"] == item.data["document"]:
            document["signed_at"] = item.at


def _ended(status: SigningStatus) -> Callable[[_Signer, Item], None]:
    def end(row: _Signer, item: Item) -> None:
        row["status"] = status
        row["ended_at"] = item.at

    return end


def _declined(row: _Signer, item: Item) -> None:
    _ended(SigningStatus.DECLINED)(row, item)
    row["failure"] = FailureReason.DECLINED
    if "/reason" in item.personal:
        row["reason_version"] = item.version


def _failed(row: _Signer, item: Item) -> None:
    _ended(SigningStatus.FAILED)(row, item)
    row["failure"] = item.data["reason"]


_CHANGES: Final[Mapping[str, Callable[[_Signer, Item], None]]] = {
    DocumentAssigned.TYPE: _document_assigned,
    Invited.TYPE: _invited,
    InvitationResent.TYPE: _invitation_resent,
    InvitationDelivered.TYPE: _invitation_delivered,
    InvitationBounced.TYPE: _invitation_bounced,
    SessionOpened.TYPE: _session_opened,
    Started.TYPE: _started,
    DocumentViewed.TYPE: _document_viewed,
    ConsentGiven.TYPE: _consent_given,
    DocumentSigned.TYPE: _document_signed,
    SigningCompleted.TYPE: _ended(SigningStatus.COMPLETED),
    SigningDeclined.TYPE: _declined,
    SigningFailed.TYPE: _failed,
    SigningCancelled.TYPE: _ended(SigningStatus.CANCELLED),
    SigningExpired.TYPE: _ended(SigningStatus.EXPIRED),
}

_SKIPPED: Final = (FieldsFilled, OtpSent, OtpVerified, OtpFailed)


def _fold(store: Store, items: Sequence[Item]) -> None:
    created = {item.stream for item in items if item.type == ProcessCreated.TYPE}
    rows = {row["id"]: row for row in store.load(_SIGNERS, {item.stream for item in items} - created)}
    for item in items:
        if item.type == ProcessCreated.TYPE:
            rows[item.stream] = _created(item)
            continue
        row = rows.get(item.stream)
        if row is None:
            raise ProjectionError(f"{item.type} in stream {item.stream}, whose process was never created")
        _CHANGES[item.type](row, item)
        row["updated_at"] = item.at
    store.save(_SIGNERS, rows.values())


SIGNERS: Final = Projection(
    name="signers",
    number=1,
    tables=("signers",),
    ddl=_DDL,
    indexes=_INDEXES,
    kinds=frozenset(("signing",)),
    handles=frozenset((ProcessCreated.TYPE, *_CHANGES)),
    skips=frozenset(fact.TYPE for fact in _SKIPPED),
    fold=_fold,
)
