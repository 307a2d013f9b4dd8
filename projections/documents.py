"""The documents of envelopes, each by itself, with how far its signing has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict
from uuid import UUID

from domain.actor import Mode
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
    ParticipantAdded,
    ParticipantCompleted,
    ParticipantFailed,
)
from domain.signing import DocumentSigned
from infrastructure.reading import AsyncConnection
from infrastructure.vault import Reference
from projections.parts import document_number, slots_of
from projections.projection import Item, Projection, ProjectionError
from projections.store import Store, Table

#: `document_streams` says for the streams of envelopes and of their participants whose documents their facts concern.
_DDL: Final = """
CREATE TABLE documents (
    envelope        uuid        NOT NULL,
    id              uuid        NOT NULL,
    tenant          uuid        NOT NULL,
    mode            text        NOT NULL,
    place           integer     NOT NULL,
    number          bigint      NOT NULL,
    sha256          text        NOT NULL,
    pages           integer     NOT NULL,
    source          uuid,
    title_version   bigint,
    title_path      text,
    assigned        integer     NOT NULL,
    signed          integer     NOT NULL,
    executed_sha256 text,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (envelope, id)
) WITH (fillfactor = 80);
CREATE TABLE document_streams (
    stream   uuid PRIMARY KEY,
    envelope uuid NOT NULL,
    tenant   uuid NOT NULL,
    mode     text NOT NULL
);
"""


class _Document(TypedDict):
    envelope: str
    id: str
    tenant: str
    mode: str
    place: int
    number: int
    sha256: str
    pages: int
    source: str | None
    title_version: int | None
    title_path: str | None
    assigned: int
    signed: int
    executed_sha256: str | None
    created_at: str
    updated_at: str


class _Stream(TypedDict):
    stream: str
    envelope: str
    tenant: str
    mode: str


_DOCUMENTS: Final = Table[_Document]("documents", ["envelope", "id"], _Document.__annotations__)
_STREAMS: Final = Table[_Stream]("document_streams", ["stream"], _Stream.__annotations__)


class _Rows:
    """The rows that a batch concerns, by their keys; streams that are new in it are told apart from those loaded."""

    def __init__(self, store: Store, items: Sequence[Item]) -> None:
        created = {item.stream for item in items if item.type == EnvelopeCreated.TYPE}
        entering = created | {slot["participant"] for item in items for slot in slots_of(item)}
        known = store.load(_STREAMS, {item.stream for item in items} - entering)
        self.streams = {row["stream"]: row for row in known}
        self.new: dict[str, _Stream] = {}
        self.documents: dict[str, dict[str, _Document]] = {}
        for row in store.load(_DOCUMENTS, {row["envelope"] for row in known} - created):
            self.documents.setdefault(row["envelope"], {})[row["id"]] = row

    def enter(self, stream: str, envelope: str, tenant: str, mode: str) -> None:
        self.streams[stream] = self.new[stream] = _Stream(stream=stream, envelope=envelope, tenant=tenant, mode=mode)

    def stream(self, item: Item) -> _Stream:
        if item.stream not in self.streams:
            raise ProjectionError(f"{item.type} in stream {item.stream}, whose envelope was never created")
        return self.streams[item.stream]

    def document(self, item: Item, id: str) -> _Document:
        row = self.documents.get(self.stream(item)["envelope"], {}).get(id)
        if row is None:
            raise ProjectionError(f"{item.type} in stream {item.stream} of document {id}, which the envelope does not have")
        row["updated_at"] = item.at
        return row

    def add(self, item: Item, document: Mapping[str, Any], index: int, title: str) -> None:
        owner = self.stream(item)
        documents = self.documents.setdefault(owner["envelope"], {})
        titled = title in item.personal
        documents[document["id"]] = {
            "envelope": owner["envelope"],
            "id": document["id"],
            "tenant": owner["tenant"],
            "mode": owner["mode"],
            "place": len(documents) + 1,
            "number": document_number(item.position, index),
            "sha256": document["sha256"],
            "pages": document["pages"],
            "source": document.get("source"),
            "title_version": item.version if titled else None,
            "title_path": title if titled else None,
            "assigned": 0,
            "signed": 0,
            "executed_sha256": None,
            "created_at": item.at,
            "updated_at": item.at,
        }

    def take_slot(self, item: Item, slot: Mapping[str, Any]) -> None:
        owner = self.stream(item)
        self.enter(slot["participant"], owner["envelope"], owner["tenant"], owner["mode"])
        for document in slot["documents"]:
            self.document(item, document)["assigned"] += 1

    def save(self, store: Store) -> None:
        store.save(_STREAMS, self.new.values())
        store.save(_DOCUMENTS, [row for documents in self.documents.values() for row in documents.values()])


def _created(rows: _Rows, item: Item) -> None:
    rows.enter(item.stream, item.stream, item.data["tenant"], item.data["mode"])
    for index, document in enumerate(item.data["documents"]):
        rows.add(item, document, index, f"/documents/{index}/title")
    for slot in slots_of(item):
        rows.take_slot(item, slot)


def _document_added(rows: _Rows, item: Item) -> None:
    rows.add(item, item.data["document"], 0, "/document/title")
    rows.document(item, item.data["document"]["id"])["assigned"] = len(item.data["participants"])


def _participant_added(rows: _Rows, item: Item) -> None:
    rows.take_slot(item, item.data["slot"])


def _signed(rows: _Rows, item: Item) -> None:
    rows.document(item, item.data["document"])["signed"] += 1


def _executed(rows: _Rows, item: Item) -> None:
    rows.document(item, item.data["document"])["executed_sha256"] = item.data["sha256"]


_HANDLERS: Final = {
    EnvelopeCreated.TYPE: _created,
    DocumentAdded.TYPE: _document_added,
    ParticipantAdded.TYPE: _participant_added,
    DocumentSigned.TYPE: _signed,
    DocumentExecuted.TYPE: _executed,
}

_SKIPPED: Final = (
    EnvelopeSent,
    ParticipantCompleted,
    ParticipantFailed,
    DeadlineExtended,
    CertificateIssued,
    EnvelopeCompleted,
    EnvelopeDeclined,
    EnvelopeCancelled,
    EnvelopeExpired,
    EnvelopeFailed,
)


def _fold(store: Store, items: Sequence[Item]) -> None:
    rows = _Rows(store, items)
    for item in items:
        _HANDLERS[item.type](rows, item)
    rows.save(store)


DOCUMENTS: Final = Projection(
    name="documents",
    number=1,
    tables=("documents", "document_streams"),
    ddl=_DDL,
    indexes="",
    kinds=frozenset(("envelope",)),
    handles=frozenset(_HANDLERS),
    skips=frozenset(fact.TYPE for fact in _SKIPPED),
    fold=_fold,
)


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document of an envelope as it stands. The hashes are 64 hex digits.

    `place` is its place in the envelope from 1, `number` its numeric id, `source` the document of the
    library that it was made from. Of the `assigned` participants `signed` have signed it;
    `executed_sha256` is of the signed file once there is one.
    """

    id: UUID
    envelope: UUID
    tenant: UUID
    mode: Mode
    place: int
    number: int
    sha256: str
    pages: int
    source: UUID | None
    title_version: int | None
    title_path: str | None
    assigned: int
    signed: int
    executed_sha256: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def title(self) -> Reference | None:
        if self.title_version is None or self.title_path is None:
            return None
        return Reference(self.envelope, self.title_version, self.title_path)

    @property
    def complete(self) -> bool:
        """Whether everybody who is to sign it has signed it, and somebody was."""
        return 0 < self.assigned == self.signed


_COLUMNS: Final = ", ".join(DocumentRow.__dataclass_fields__)
_SELECT: Final = (
    f"SELECT {_COLUMNS} FROM read.documents WHERE envelope = %(envelope)s AND tenant = %(tenant)s AND mode = %(mode)s"  # noqa: S608
)


async def of_envelope(conn: AsyncConnection, tenant: UUID, mode: Mode, envelope: UUID, limit: int) -> tuple[DocumentRow, ...]:
    """Up to `limit` documents of the envelope, in their places; none if the tenant has no such envelope in this mode."""
    values = {"tenant": tenant, "mode": mode, "envelope": envelope, "limit": limit}
    return await _rows(conn, f"{_SELECT} ORDER BY place, number LIMIT %(limit)s", values)


async def get(conn: AsyncConnection, tenant: UUID, mode: Mode, envelope: UUID, document: UUID) -> DocumentRow | None:
    """The document, or None if the tenant has no such one in this envelope and mode."""
    rows = await _rows(conn, f"{_SELECT} AND id = %(id)s", {"tenant": tenant, "mode": mode, "envelope": envelope, "id": document})
    return rows[0] if rows else None


async def get_by_number(conn: AsyncConnection, tenant: UUID, mode: Mode, envelope: UUID, number: int) -> DocumentRow | None:
    """As `get`, by the numeric id."""
    rows = await _rows(
        conn, f"{_SELECT} AND number = %(number)s", {"tenant": tenant, "mode": mode, "envelope": envelope, "number": number}
    )
    return rows[0] if rows else None


async def _rows(conn: AsyncConnection, query: str, values: Mapping[str, Any]) -> tuple[DocumentRow, ...]:
    found = await conn.execute(query.encode(), values)
    return tuple(_row(columns) for columns in await found.fetchall())


def _row(columns: Sequence[Any]) -> DocumentRow:
    values = dict(zip(DocumentRow.__dataclass_fields__, columns, strict=True))
    values["mode"] = Mode(values["mode"])
    return DocumentRow(**values)
