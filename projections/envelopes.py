"""Envelopes as the surfaces list and show them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict
from uuid import UUID

from domain.actor import Mode
from domain.envelope import (
    CertificateIssued,
    DeadlineExtended,
    DocumentExecuted,
    EnvelopeCancelled,
    EnvelopeCompleted,
    EnvelopeCreated,
    EnvelopeDeclined,
    EnvelopeExpired,
    EnvelopeFailed,
    EnvelopeSent,
    EnvelopeStatus,
    OnParticipantFail,
    OrderMode,
    ParticipantCompleted,
    ParticipantFailed,
)
from domain.signing import Started
from infrastructure.reading import AsyncConnection
from infrastructure.vault import Reference
from projections.projection import Item, Projection, ProjectionError
from projections.store import Store, Table

#: `personal` lists the paths of the personal values in the entry that created the envelope.
_DDL: Final = """
CREATE TABLE envelopes (
    id                  uuid        PRIMARY KEY,
    tenant              uuid        NOT NULL,
    mode                text        NOT NULL,
    status              text        NOT NULL,
    started             boolean     NOT NULL,
    order_mode          text        NOT NULL,
    on_participant_fail text        NOT NULL,
    template            uuid,
    template_version    integer,
    deadline            timestamptz,
    created_at          timestamptz NOT NULL,
    created_position    bigint      NOT NULL,
    updated_at          timestamptz NOT NULL,
    ended_at            timestamptz,
    participants        uuid[]      NOT NULL,
    completed           integer     NOT NULL,
    failed              integer     NOT NULL,
    documents           jsonb       NOT NULL,
    personal            text[]      NOT NULL,
    reason_version      bigint,
    certificate_sha256  text
) WITH (fillfactor = 80);
CREATE TABLE envelope_slots (
    participant uuid PRIMARY KEY,
    envelope    uuid NOT NULL
);
"""

_INDEXES: Final = """
CREATE INDEX envelopes_in_order ON envelopes (tenant, mode, created_position);
CREATE INDEX envelopes_by_status ON envelopes (tenant, mode, status, created_position);
CREATE INDEX envelopes_due ON envelopes (deadline) WHERE status IN ('draft', 'sent');
"""


class _Document(TypedDict):
    id: str
    sha256: str
    pages: int
    executed_sha256: str | None


class _Envelope(TypedDict):
    id: str
    tenant: str
    mode: str
    status: str
    started: bool
    order_mode: str
    on_participant_fail: str
    template: str | None
    template_version: int | None
    deadline: str | None
    created_at: str
    created_position: int
    updated_at: str
    ended_at: str | None
    participants: list[str]
    completed: int
    failed: int
    documents: list[_Document]
    personal: list[str]
    reason_version: int | None
    certificate_sha256: str | None


class _Slot(TypedDict):
    participant: str
    envelope: str


_ENVELOPES: Final = Table[_Envelope]("envelopes", ["id"], _Envelope.__annotations__)
_SLOTS: Final = Table[_Slot]("envelope_slots", ["participant"], _Slot.__annotations__)


def _created(item: Item) -> _Envelope:
    data = item.data
    template = data.get("template") or {}
    return {
        "id": item.stream,
        "tenant": data["tenant"],
        "mode": data["mode"],
        "status": EnvelopeStatus.DRAFT,
        "started": False,
        "order_mode": data["order"],
        "on_participant_fail": data["on_participant_fail"],
        "template": template.get("template"),
        "template_version": template.get("version"),
        "deadline": data.get("deadline"),
        "created_at": item.at,
        "created_position": item.position,
        "updated_at": item.at,
        "ended_at": None,
        "participants": [slot["participant"] for slot in data["participants"]],
        "completed": 0,
        "failed": 0,
        "documents": [
            {"id": document["id"], "sha256": document["sha256"], "pages": document["pages"], "executed_sha256": None}
            for document in data["documents"]
        ],
        "personal": list(item.personal),
        "reason_version": None,
        "certificate_sha256": None,
    }


def _sent(row: _Envelope, item: Item) -> None:
    row["status"] = EnvelopeStatus.SENT


def _started(row: _Envelope, item: Item) -> None:
    row["started"] = True


def _participant_completed(row: _Envelope, item: Item) -> None:
    row["completed"] += 1


def _participant_failed(row: _Envelope, item: Item) -> None:
    row["failed"] += 1


def _deadline_extended(row: _Envelope, item: Item) -> None:
    row["deadline"] = item.data["deadline"]


def _document_executed(row: _Envelope, item: Item) -> None:
    for document in row["documents"]:
        if document["id"] == item.data["document"]:
            document["executed_sha256"] = item.data["sha256"]


def _certificate_issued(row: _Envelope, item: Item) -> None:
    row["certificate_sha256"] = item.data["sha256"]


def _ended(status: EnvelopeStatus) -> Callable[[_Envelope, Item], None]:
    def end(row: _Envelope, item: Item) -> None:
        row["status"] = status
        row["ended_at"] = item.at

    return end


def _cancelled(row: _Envelope, item: Item) -> None:
    _ended(EnvelopeStatus.CANCELLED)(row, item)
    if "/reason" in item.personal:
        row["reason_version"] = item.version


_CHANGES: Final[Mapping[str, Callable[[_Envelope, Item], None]]] = {
    EnvelopeSent.TYPE: _sent,
    Started.TYPE: _started,
    ParticipantCompleted.TYPE: _participant_completed,
    ParticipantFailed.TYPE: _participant_failed,
    DeadlineExtended.TYPE: _deadline_extended,
    DocumentExecuted.TYPE: _document_executed,
    CertificateIssued.TYPE: _certificate_issued,
    EnvelopeCompleted.TYPE: _ended(EnvelopeStatus.COMPLETED),
    EnvelopeDeclined.TYPE: _ended(EnvelopeStatus.DECLINED),
    EnvelopeCancelled.TYPE: _cancelled,
    EnvelopeExpired.TYPE: _ended(EnvelopeStatus.EXPIRED),
    EnvelopeFailed.TYPE: _ended(EnvelopeStatus.FAILED),
}


def _fold(store: Store, items: Sequence[Item]) -> None:
    slots: dict[str, str] = {}
    for item in items:
        if item.type == EnvelopeCreated.TYPE:
            slots.update((slot["participant"], item.stream) for slot in item.data["participants"])
    started = {item.stream for item in items if item.type == Started.TYPE}
    envelope_of = {**slots, **{slot["participant"]: slot["envelope"] for slot in store.load(_SLOTS, started - slots.keys())}}
    touched = {envelope_of.get(item.stream, item.stream) for item in items}
    rows = {row["id"]: row for row in store.load(_ENVELOPES, touched - set(slots.values()))}
    for item in items:
        if item.type == EnvelopeCreated.TYPE:
            rows[item.stream] = _created(item)
            continue
        row = rows.get(envelope_of.get(item.stream, item.stream))
        if row is None:
            raise ProjectionError(f"{item.type} in stream {item.stream}, whose envelope was never created")
        _CHANGES[item.type](row, item)
        row["updated_at"] = item.at
    store.save(_ENVELOPES, rows.values())
    store.save(_SLOTS, [_Slot(participant=participant, envelope=envelope) for participant, envelope in slots.items()])


ENVELOPES: Final = Projection(
    name="envelopes",
    number=1,
    tables=("envelopes", "envelope_slots"),
    ddl=_DDL,
    indexes=_INDEXES,
    kinds=frozenset(("envelope",)),
    handles=frozenset((EnvelopeCreated.TYPE, *_CHANGES)),
    skips=frozenset(),
    fold=_fold,
)


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A PDF of an envelope. The hashes are 64 hex digits; `executed_sha256` is of the signed file once there is one."""

    id: UUID
    sha256: str
    pages: int
    executed_sha256: str | None


@dataclass(frozen=True, slots=True)
class EnvelopeRow:
    """An envelope as it stands. `documents` and `participants` are in the envelope's order.

    `created_position` is the log position of the fact that created it: its place in lists and its
    numeric id. `started` says that a participant has acted. `ended_at` is the time of its terminal fact.
    """

    id: UUID
    tenant: UUID
    mode: Mode
    status: EnvelopeStatus
    started: bool
    order_mode: OrderMode
    on_participant_fail: OnParticipantFail
    template: UUID | None
    template_version: int | None
    deadline: datetime | None
    created_at: datetime
    created_position: int
    updated_at: datetime
    ended_at: datetime | None
    participants: tuple[UUID, ...]
    completed: int
    failed: int
    documents: tuple[DocumentRow, ...]
    personal: frozenset[str]
    reason_version: int | None
    certificate_sha256: str | None

    @property
    def subject(self) -> Reference | None:
        return self.reference("/subject")

    @property
    def message(self) -> Reference | None:
        return self.reference("/message")

    @property
    def metadata(self) -> Reference | None:
        return self.reference("/metadata")

    @property
    def reason(self) -> Reference | None:
        """The reason given for cancelling it."""
        return None if self.reason_version is None else Reference(self.id, self.reason_version, "/reason")

    def title(self, index: int) -> Reference | None:
        """The title of the document at `index`."""
        return self.reference(f"/documents/{index}/title")

    def reference(self, path: str) -> Reference | None:
        """Where the personal value at `path` of the creating entry stands; None if none was given."""
        return Reference(self.id, 1, path) if path in self.personal else None


_COLUMNS: Final = ", ".join(EnvelopeRow.__dataclass_fields__)
_SELECT: Final = f"SELECT {_COLUMNS} FROM read.envelopes"  # noqa: S608


def _row(columns: Sequence[Any]) -> EnvelopeRow:
    values = dict(zip(EnvelopeRow.__dataclass_fields__, columns, strict=True))
    values["mode"] = Mode(values["mode"])
    values["status"] = EnvelopeStatus(values["status"])
    values["order_mode"] = OrderMode(values["order_mode"])
    values["on_participant_fail"] = OnParticipantFail(values["on_participant_fail"])
    values["participants"] = tuple(values["participants"])
    values["documents"] = tuple(
        DocumentRow(UUID(it["id"]), it["sha256"], it["pages"], it["executed_sha256"]) for it in values["documents"]
    )
    values["personal"] = frozenset(values["personal"])
    return EnvelopeRow(**values)


async def get(conn: AsyncConnection, tenant: UUID, mode: Mode, envelope: UUID) -> EnvelopeRow | None:
    """The envelope, or None if the tenant has no such one in this mode."""
    found = await conn.execute(f"{_SELECT} WHERE id = %s AND tenant = %s AND mode = %s".encode(), [envelope, tenant, mode])
    columns = await found.fetchone()
    return None if columns is None else _row(columns)


async def page(
    conn: AsyncConnection,
    tenant: UUID,
    mode: Mode,
    limit: int,
    *,
    after: int | None = None,
    descending: bool = False,
    statuses: Collection[EnvelopeStatus] | None = None,
    started: bool | None = None,
) -> tuple[EnvelopeRow, ...]:
    """Up to `limit` envelopes in the order of their creation, from the one after `created_position` `after` on.

    With `descending` the newest come first. `statuses` and `started` restrict it. A page never changes
    its place: what is created later comes after it (before it, if descending).
    """
    order = "DESC" if descending else "ASC"
    query = (
        f"{_SELECT} WHERE tenant = %(tenant)s AND mode = %(mode)s"
        f" AND (%(after)s::bigint IS NULL OR created_position {'<' if descending else '>'} %(after)s)"
        f"{'' if statuses is None else ' AND status = ANY(%(statuses)s)'}"
        f"{'' if started is None else ' AND started = %(started)s'}"
        f" ORDER BY created_position {order} LIMIT %(limit)s"
    )
    found = await conn.execute(
        query.encode(),
        {
            "tenant": tenant,
            "mode": mode,
            "after": after,
            "statuses": None if statuses is None else list(statuses),
            "started": started,
            "limit": limit,
        },
    )
    return tuple(_row(columns) for columns in await found.fetchall())


async def due(conn: AsyncConnection, now: datetime, limit: int) -> tuple[UUID, ...]:
    """Up to `limit` open envelopes whose deadline has passed at `now`, of all tenants, the longest overdue first."""
    found = await conn.execute(
        "SELECT id FROM read.envelopes WHERE status IN ('draft', 'sent') AND deadline < %s ORDER BY deadline LIMIT %s",
        [now, limit],
    )
    return tuple(envelope for (envelope,) in await found.fetchall())
