"""How envelopes are folded: their tables, and what each fact changes in them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypedDict

from domain.envelope import (
    CertificateIssued,
    DeadlineExtended,
    DocumentAdded,
    DocumentExecuted,
    EnvelopeCancelled,
    EnvelopeCompleted,
    EnvelopeCreated,
    EnvelopeDeclined,
    EnvelopeExpired,
    EnvelopeFailed,
    EnvelopeSent,
    EnvelopeStatus,
    ParticipantAdded,
    ParticipantCompleted,
    ParticipantFailed,
    SealRenewed,
)
from domain.signing import DocumentViewed, Started
from projections.projection import Item, Projection, ProjectionError
from projections.store import Store, Table

#: `personal` lists the paths of the personal values in the entry that created the envelope. `phase` is the status,
#: with what is sent told apart by what the participants have done: surfaces' own statuses are sets of phases.
#: `envelope_slots` says whose envelope a signing's facts belong to, `envelope_sources` what documents were made from.
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
    location            uuid,
    flow                uuid,
    deadline            timestamptz,
    created_at          timestamptz NOT NULL,
    created_position    bigint      NOT NULL,
    updated_at          timestamptz NOT NULL,
    sent_at             timestamptz,
    viewed_at           timestamptz,
    ended_at            timestamptz,
    participants        uuid[]      NOT NULL,
    completed           integer     NOT NULL,
    failed              integer     NOT NULL,
    documents           jsonb       NOT NULL,
    fields              jsonb       NOT NULL,
    copies              uuid[]      NOT NULL,
    personal            text[]      NOT NULL,
    declined_by         uuid,
    reason_version      bigint,
    certificate_sha256  text,
    phase               text        NOT NULL GENERATED ALWAYS AS (CASE
        WHEN status <> 'sent' THEN status
        WHEN completed > 0    THEN 'signed'
        WHEN started          THEN 'started'
        ELSE 'sent'
    END) STORED
) WITH (fillfactor = 80);
CREATE TABLE envelope_slots (
    participant uuid PRIMARY KEY,
    envelope    uuid NOT NULL
);
CREATE TABLE envelope_sources (
    envelope         uuid        NOT NULL,
    source           uuid        NOT NULL,
    tenant           uuid        NOT NULL,
    mode             text        NOT NULL,
    created_at       timestamptz NOT NULL,
    created_position bigint      NOT NULL,
    PRIMARY KEY (envelope, source)
);
"""

_INDEXES: Final = """
CREATE INDEX envelopes_in_order ON envelopes (tenant, mode, created_position);
CREATE INDEX envelopes_by_phase ON envelopes (tenant, mode, phase, created_position);
CREATE INDEX envelopes_by_time ON envelopes (tenant, mode, created_at, created_position) WHERE status <> 'draft';
CREATE INDEX envelopes_latest ON envelopes (tenant, mode, updated_at, created_position);
CREATE INDEX envelopes_of_location ON envelopes (tenant, mode, location, updated_at, created_position)
    WHERE location IS NOT NULL;
CREATE INDEX envelopes_due ON envelopes (deadline) WHERE status IN ('draft', 'sent');
CREATE INDEX envelope_sources_by_time ON envelope_sources (tenant, mode, source, created_at, created_position);
"""


class _Title(TypedDict):
    version: int
    path: str


class _Document(TypedDict):
    id: str
    sha256: str
    pages: int
    number: int
    title: _Title | None
    source: str | None
    added_at: str
    executed_at: str | None
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
    location: str | None
    flow: str | None
    deadline: str | None
    created_at: str
    created_position: int
    updated_at: str
    sent_at: str | None
    viewed_at: str | None
    ended_at: str | None
    participants: list[str]
    completed: int
    failed: int
    documents: list[_Document]
    fields: list[Mapping[str, Any]]
    copies: list[str]
    personal: list[str]
    declined_by: str | None
    reason_version: int | None
    certificate_sha256: str | None


class _Slot(TypedDict):
    participant: str
    envelope: str


class _Source(TypedDict):
    envelope: str
    source: str
    tenant: str
    mode: str
    created_at: str
    created_position: int


#: A document's numeric id is the log position of the fact that brought it, and its index in there from 0. One fact brings
#: fewer than that (domain.envelope.MAX_DOCUMENTS), so the numbers of two facts never meet.
DOCUMENTS_PER_FACT: Final = 1_000

_ENVELOPES: Final = Table[_Envelope]("envelopes", ["id"], _Envelope.__annotations__)
_SLOTS: Final = Table[_Slot]("envelope_slots", ["participant"], _Slot.__annotations__)
_SOURCES: Final = Table[_Source]("envelope_sources", ["envelope", "source"], _Source.__annotations__)


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
        "location": data.get("location"),
        "flow": data.get("flow"),
        "deadline": data.get("deadline"),
        "created_at": item.at,
        "created_position": item.position,
        "updated_at": item.at,
        "sent_at": None,
        "viewed_at": None,
        "ended_at": None,
        "participants": [slot["participant"] for slot in data["participants"]],
        "completed": 0,
        "failed": 0,
        "documents": [
            _document(item, document, index, f"/documents/{index}/title") for index, document in enumerate(data["documents"])
        ],
        "fields": data["fields"],
        "copies": [copy["id"] for copy in data["copies"]],
        "personal": list(item.personal),
        "declined_by": None,
        "reason_version": None,
        "certificate_sha256": None,
    }


def _document(item: Item, document: Mapping[str, Any], index: int, title: str) -> _Document:
    return {
        "id": document["id"],
        "sha256": document["sha256"],
        "pages": document["pages"],
        "number": item.position * DOCUMENTS_PER_FACT + index,
        "title": {"version": item.version, "path": title} if title in item.personal else None,
        "source": document.get("source"),
        "added_at": item.at,
        "executed_at": None,
        "executed_sha256": None,
    }


def _document_added(row: _Envelope, item: Item) -> None:
    row["documents"].append(_document(item, item.data["document"], 0, "/document/title"))


def _participant_added(row: _Envelope, item: Item) -> None:
    row["participants"].append(item.data["slot"]["participant"])


def _sent(row: _Envelope, item: Item) -> None:
    row["status"] = EnvelopeStatus.SENT
    row["sent_at"] = item.at


def _started(row: _Envelope, item: Item) -> None:
    row["started"] = True


def _viewed(row: _Envelope, item: Item) -> None:
    row["viewed_at"] = item.at


def _participant_completed(row: _Envelope, item: Item) -> None:
    row["completed"] += 1


def _participant_failed(row: _Envelope, item: Item) -> None:
    row["failed"] += 1


def _deadline_extended(row: _Envelope, item: Item) -> None:
    row["deadline"] = item.data["deadline"]


def _document_executed(row: _Envelope, item: Item) -> None:
    for document in row["documents"]:
        if document["id"] == item.data["document"]:
            document["executed_sha256"], document["executed_at"] = item.data["sha256"], item.at


def _certificate_issued(row: _Envelope, item: Item) -> None:
    row["certificate_sha256"] = item.data["sha256"]


def _seal_renewed(row: _Envelope, item: Item) -> None:
    of = item.data.get("document")
    if of is None:
        row["certificate_sha256"] = item.data["sha256"]
    for document in row["documents"]:
        if document["id"] == of:
            document["executed_sha256"] = item.data["sha256"]


def _ended(status: EnvelopeStatus) -> Callable[[_Envelope, Item], None]:
    def end(row: _Envelope, item: Item) -> None:
        row["status"] = status
        row["ended_at"] = item.at

    return end


def _cancelled(row: _Envelope, item: Item) -> None:
    _ended(EnvelopeStatus.CANCELLED)(row, item)
    if "/reason" in item.personal:
        row["reason_version"] = item.version


def _declined(row: _Envelope, item: Item) -> None:
    _ended(EnvelopeStatus.DECLINED)(row, item)
    row["declined_by"] = item.data["participant"]


_CHANGES: Final[Mapping[str, Callable[[_Envelope, Item], None]]] = {
    DocumentAdded.TYPE: _document_added,
    ParticipantAdded.TYPE: _participant_added,
    EnvelopeSent.TYPE: _sent,
    Started.TYPE: _started,
    DocumentViewed.TYPE: _viewed,
    ParticipantCompleted.TYPE: _participant_completed,
    ParticipantFailed.TYPE: _participant_failed,
    DeadlineExtended.TYPE: _deadline_extended,
    DocumentExecuted.TYPE: _document_executed,
    CertificateIssued.TYPE: _certificate_issued,
    SealRenewed.TYPE: _seal_renewed,
    EnvelopeCompleted.TYPE: _ended(EnvelopeStatus.COMPLETED),
    EnvelopeDeclined.TYPE: _declined,
    EnvelopeCancelled.TYPE: _cancelled,
    EnvelopeExpired.TYPE: _ended(EnvelopeStatus.EXPIRED),
    EnvelopeFailed.TYPE: _ended(EnvelopeStatus.FAILED),
}


#: Facts of signings: they stand in a participant's stream.
_OF_SIGNINGS: Final = frozenset((Started.TYPE, DocumentViewed.TYPE))


def _slots_of(item: Item) -> Sequence[Mapping[str, Any]]:
    """The slots that a fact gives its envelope; none in most facts."""
    if item.type == EnvelopeCreated.TYPE:
        slots: Sequence[Mapping[str, Any]] = item.data["participants"]
        return slots
    return (item.data["slot"],) if item.type == ParticipantAdded.TYPE else ()


def _fold(store: Store, items: Sequence[Item]) -> None:
    slots = {slot["participant"]: item.stream for item in items for slot in _slots_of(item)}
    acting = {item.stream for item in items if item.type in _OF_SIGNINGS}
    envelope_of = {**slots, **{slot["participant"]: slot["envelope"] for slot in store.load(_SLOTS, acting - slots.keys())}}
    created = {item.stream for item in items if item.type == EnvelopeCreated.TYPE}
    touched = {envelope_of.get(item.stream, item.stream) for item in items}
    rows = {row["id"]: row for row in store.load(_ENVELOPES, touched - created)}
    for item in items:
        if item.type == EnvelopeCreated.TYPE:
            rows[item.stream] = _created(item)
            continue
        row = rows.get(envelope_of.get(item.stream, item.stream))
        if row is None:
            raise ProjectionError(f"{item.type} in stream {item.stream}, whose envelope was never created")
        if item.type == DocumentViewed.TYPE and row["viewed_at"] is not None:
            continue  # only the first view changes anything
        _CHANGES[item.type](row, item)
        row["updated_at"] = item.at
    store.save(_ENVELOPES, rows.values())
    store.save(_SLOTS, [_Slot(participant=participant, envelope=envelope) for participant, envelope in slots.items()])
    _save_sources(store, [rows[item.stream] for item in items if item.type in (EnvelopeCreated.TYPE, DocumentAdded.TYPE)])


def _save_sources(store: Store, rows: Iterable[_Envelope]) -> None:
    sources = {
        (row["id"], document["source"]): _Source(
            envelope=row["id"],
            source=document["source"],
            tenant=row["tenant"],
            mode=row["mode"],
            created_at=row["created_at"],
            created_position=row["created_position"],
        )
        for row in rows
        for document in row["documents"]
        if document["source"] is not None
    }
    store.save(_SOURCES, sources.values())


ENVELOPES: Final = Projection(
    name="envelopes",
    number=2,
    tables=("envelopes", "envelope_slots", "envelope_sources"),
    ddl=_DDL,
    indexes=_INDEXES,
    kinds=frozenset(("envelope",)),
    handles=frozenset((EnvelopeCreated.TYPE, *_CHANGES)),
    skips=frozenset(),
    fold=_fold,
)
