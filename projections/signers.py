"""Signers: each participant's signing as the surfaces show it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict
from uuid import UUID

from domain.actor import Mode
from domain.envelope import FailureReason
from domain.signing import (
    ConsentGiven,
    DocumentSigned,
    DocumentViewed,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    Invited,
    OtpFailed,
    OtpSent,
    OtpVerified,
    ProcessCreated,
    SignatureMode,
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFailed,
    SigningStatus,
    Started,
)
from infrastructure.reading import AsyncConnection
from infrastructure.vault import Reference
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
    status                text        NOT NULL,
    documents             jsonb       NOT NULL,
    personal              text[]      NOT NULL,
    invitation            uuid,
    invitation_expires_at timestamptz,
    created_at            timestamptz NOT NULL,
    created_position      bigint      NOT NULL,
    updated_at            timestamptz NOT NULL,
    invited_at            timestamptz,
    started_at            timestamptz,
    ended_at              timestamptz,
    failure               text,
    reason_version        bigint
) WITH (fillfactor = 80);
"""

_INDEXES: Final = """
CREATE INDEX signers_of_envelope ON signers (envelope);
CREATE INDEX signers_in_order ON signers (tenant, mode, created_position);
"""


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
    status: str
    documents: list[_Document]
    personal: list[str]
    invitation: str | None
    invitation_expires_at: str | None
    created_at: str
    created_position: int
    updated_at: str
    invited_at: str | None
    started_at: str | None
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
        "status": SigningStatus.CREATED,
        "documents": [{"id": document["id"], "sha256": document["sha256"], "signed_at": None} for document in data["documents"]],
        "personal": list(item.personal),
        "invitation": None,
        "invitation_expires_at": None,
        "created_at": item.at,
        "created_position": item.position,
        "updated_at": item.at,
        "invited_at": None,
        "started_at": None,
        "ended_at": None,
        "failure": None,
        "reason_version": None,
    }


def _invited(row: _Signer, item: Item) -> None:
    row["status"] = SigningStatus.INVITED
    row["invited_at"] = item.at
    _invitation_resent(row, item)


def _invitation_resent(row: _Signer, item: Item) -> None:
    row["invitation"] = item.data["invitation"]["id"]
    row["invitation_expires_at"] = item.data["invitation"]["expires_at"]


def _started(row: _Signer, item: Item) -> None:
    row["status"] = SigningStatus.STARTED
    row["started_at"] = item.at


def _document_signed(row: _Signer, item: Item) -> None:
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
    Invited.TYPE: _invited,
    InvitationResent.TYPE: _invitation_resent,
    Started.TYPE: _started,
    DocumentSigned.TYPE: _document_signed,
    SigningCompleted.TYPE: _ended(SigningStatus.COMPLETED),
    SigningDeclined.TYPE: _declined,
    SigningFailed.TYPE: _failed,
    SigningCancelled.TYPE: _ended(SigningStatus.CANCELLED),
    SigningExpired.TYPE: _ended(SigningStatus.EXPIRED),
}

_SKIPPED: Final = (InvitationDelivered, InvitationBounced, DocumentViewed, OtpSent, OtpVerified, OtpFailed, ConsentGiven)


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
    `invitation` and its expiry are of the latest one. `ended_at` is the time of the terminal fact,
    `failure` why the participant will not sign.
    """

    id: UUID
    envelope: UUID
    tenant: UUID
    mode: Mode
    number: int
    role: str | None
    modes: tuple[SignatureMode, ...]
    status: SigningStatus
    documents: tuple[SignedDocument, ...]
    personal: frozenset[str]
    invitation: UUID | None
    invitation_expires_at: datetime | None
    created_at: datetime
    created_position: int
    updated_at: datetime
    invited_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    failure: FailureReason | None
    reason_version: int | None

    @property
    def completed_at(self) -> datetime | None:
        return self.ended_at if self.status is SigningStatus.COMPLETED else None

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
    def reason(self) -> Reference | None:
        """The reason given for declining."""
        return None if self.reason_version is None else Reference(self.id, self.reason_version, "/reason")

    def reference(self, path: str) -> Reference | None:
        """Where the personal value at `path` of the creating entry stands; None if none was given."""
        return Reference(self.id, 1, path) if path in self.personal else None


_COLUMNS: Final = ", ".join(SignerRow.__dataclass_fields__)
_SELECT: Final = f"SELECT {_COLUMNS} FROM read.signers"  # noqa: S608


def _row(columns: Sequence[Any]) -> SignerRow:
    values = dict(zip(SignerRow.__dataclass_fields__, columns, strict=True))
    values["mode"] = Mode(values["mode"])
    values["modes"] = tuple(SignatureMode(mode) for mode in values["modes"])
    values["status"] = SigningStatus(values["status"])
    values["documents"] = tuple(
        SignedDocument(UUID(it["id"]), it["sha256"], None if it["signed_at"] is None else datetime.fromisoformat(it["signed_at"]))
        for it in values["documents"]
    )
    values["personal"] = frozenset(values["personal"])
    values["failure"] = None if values["failure"] is None else FailureReason(values["failure"])
    return SignerRow(**values)


async def get(conn: AsyncConnection, tenant: UUID, mode: Mode, participant: UUID) -> SignerRow | None:
    """The participant's signing, or None if the tenant has no such one in this mode."""
    found = await conn.execute(f"{_SELECT} WHERE id = %s AND tenant = %s AND mode = %s".encode(), [participant, tenant, mode])
    columns = await found.fetchone()
    return None if columns is None else _row(columns)


async def of_envelopes(
    conn: AsyncConnection, tenant: UUID, mode: Mode, envelopes: Sequence[UUID]
) -> dict[UUID, tuple[SignerRow, ...]]:
    """The signers of each of the envelopes, by envelope, in the order of their numbers, then of the envelope."""
    found = await conn.execute(
        f"{_SELECT} WHERE envelope = ANY(%s) AND tenant = %s AND mode = %s ORDER BY number, created_position".encode(),
        [list(envelopes), tenant, mode],
    )
    signers: dict[UUID, tuple[SignerRow, ...]] = dict.fromkeys(envelopes, ())
    for columns in await found.fetchall():
        signer = _row(columns)
        signers[signer.envelope] = (*signers[signer.envelope], signer)
    return signers


async def of_envelope(conn: AsyncConnection, tenant: UUID, mode: Mode, envelope: UUID) -> tuple[SignerRow, ...]:
    """The signers of one envelope, in the order of their numbers; empty if the tenant has no such envelope."""
    return (await of_envelopes(conn, tenant, mode, [envelope]))[envelope]
