"""Documents of the library as they stand, and their comments."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict
from uuid import UUID

from domain.actor import Mode
from domain.library import (
    DocumentCommented,
    DocumentCreated,
    DocumentDeleted,
    DocumentFileStored,
    DocumentFinalized,
    DocumentKind,
    DocumentRevised,
)
from domain.template import StoredFile
from infrastructure.reading import AsyncConnection
from infrastructure.vault import Reference
from projections.projection import Item, Projection, ProjectionError
from projections.store import Store, Table

#: The newest comments of a document that are shown.
COMMENTS_SHOWN: Final = 80

#: Rows of a list that is not paged.
MOST_LISTED: Final = 500

#: `entry` is the version, in the document's stream, of the entry that says its title and description.
#: `updated_position` is the log position of the last fact about the document itself; comments leave it.
_DDL: Final = """
CREATE TABLE library_documents (
    id               uuid        PRIMARY KEY,
    tenant           uuid        NOT NULL,
    mode             text        NOT NULL,
    kind             text        NOT NULL,
    type             text,
    entry            bigint      NOT NULL,
    titled           boolean     NOT NULL,
    described        boolean     NOT NULL,
    detailed         boolean     NOT NULL,
    owned            boolean     NOT NULL,
    sha256           text,
    size_bytes       bigint,
    pages            integer,
    normalised_sha256 text,
    final            boolean     NOT NULL,
    finalized_at     timestamptz,
    deleted          boolean     NOT NULL,
    comments         integer     NOT NULL,
    created_at       timestamptz NOT NULL,
    created_position bigint      NOT NULL,
    updated_at       timestamptz NOT NULL,
    updated_position bigint      NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE library_comments (
    comment    uuid        NOT NULL,
    document   uuid        NOT NULL,
    entry      bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    position   bigint      NOT NULL,
    PRIMARY KEY (comment, document)
);
"""

_INDEXES: Final = """
CREATE INDEX library_documents_in_order ON library_documents (tenant, mode, created_position) WHERE NOT deleted;
CREATE INDEX library_documents_by_update ON library_documents (tenant, mode, updated_position) WHERE NOT deleted;
CREATE INDEX library_comments_of_document ON library_comments (document, position);
"""


class _Document(TypedDict):
    id: str
    tenant: str
    mode: str
    kind: str
    type: str | None
    entry: int
    titled: bool
    described: bool
    detailed: bool
    owned: bool
    sha256: str | None
    size_bytes: int | None
    pages: int | None
    normalised_sha256: str | None
    final: bool
    finalized_at: str | None
    deleted: bool
    comments: int
    created_at: str
    created_position: int
    updated_at: str
    updated_position: int


class _Comment(TypedDict):
    comment: str
    document: str
    entry: int
    created_at: str
    position: int


_DOCUMENTS: Final = Table[_Document]("library_documents", ["id"], _Document.__annotations__)
_COMMENTS: Final = Table[_Comment]("library_comments", ["comment", "document"], _Comment.__annotations__)


def _created(item: Item) -> _Document:
    data, personal = item.data, item.personal
    return {
        "id": item.stream,
        "tenant": data["tenant"],
        "mode": data["mode"],
        "kind": data["kind"],
        "type": data.get("type"),
        "entry": item.version,
        "titled": "/title" in personal,
        "described": "/description" in personal,
        "detailed": "/details" in personal,
        "owned": "/owner" in personal,
        "sha256": None,
        "size_bytes": None,
        "pages": None,
        "normalised_sha256": None,
        "final": False,
        "finalized_at": None,
        "deleted": False,
        "comments": 0,
        "created_at": item.at,
        "created_position": item.position,
        "updated_at": item.at,
        "updated_position": item.position,
    }


def _file_stored(row: _Document, item: Item) -> None:
    file = item.data["file"]
    row["sha256"], row["size_bytes"], row["pages"] = file["sha256"], file["size_bytes"], file["pages"]
    row["normalised_sha256"] = file.get("normalised_sha256")
    if row["kind"] != DocumentKind.CHATTEL:
        _finalized(row, item)


def _revised(row: _Document, item: Item) -> None:
    row["type"], row["entry"] = item.data.get("type"), item.version
    row["titled"], row["described"] = "/title" in item.personal, "/description" in item.personal


def _finalized(row: _Document, item: Item) -> None:
    row["final"], row["finalized_at"] = True, item.at


def _deleted(row: _Document, item: Item) -> None:
    row["deleted"] = True


def _commented(row: _Document, item: Item) -> _Comment:
    row["comments"] += 1
    return {
        "comment": item.data["comment"],
        "document": item.stream,
        "entry": item.version,
        "created_at": item.at,
        "position": item.position,
    }


_CHANGES: Final = {
    DocumentFileStored.TYPE: _file_stored,
    DocumentRevised.TYPE: _revised,
    DocumentFinalized.TYPE: _finalized,
    DocumentDeleted.TYPE: _deleted,
}


def _fold(store: Store, items: Sequence[Item]) -> None:
    created = {item.stream for item in items if item.type == DocumentCreated.TYPE}
    rows = {row["id"]: row for row in store.load(_DOCUMENTS, {item.stream for item in items} - created)}
    comments: list[_Comment] = []
    for item in items:
        if item.type == DocumentCreated.TYPE:
            rows[item.stream] = _created(item)
            continue
        row = rows.get(item.stream)
        if row is None:
            raise ProjectionError(f"{item.type} in stream {item.stream}, whose document was never created")
        if item.type == DocumentCommented.TYPE:
            comments.append(_commented(row, item))
            continue
        _CHANGES[item.type](row, item)
        row["updated_at"], row["updated_position"] = item.at, item.position
    store.save(_DOCUMENTS, rows.values())
    store.save(_COMMENTS, comments)


LIBRARY: Final = Projection(
    name="library",
    number=1,
    tables=("library_documents", "library_comments"),
    ddl=_DDL,
    indexes=_INDEXES,
    kinds=frozenset(("document",)),
    handles=frozenset((DocumentCreated.TYPE, DocumentCommented.TYPE, *_CHANGES)),
    skips=frozenset(),
    fold=_fold,
)


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as it stands.

    `created_position` is the log position of the fact that created it: its number. `file` is None until a
    PDF is stored; `final` says whether it may be put into an envelope, `finalized_at` since when.
    `updated_at` and `updated_position` are of the last fact about the document; comments leave them.
    """

    id: UUID
    kind: DocumentKind
    type: str | None
    title: Reference | None
    description: Reference | None
    details: Reference | None
    owner: Reference | None
    file: StoredFile | None
    final: bool
    finalized_at: datetime | None
    comments: int
    created_at: datetime
    created_position: int
    updated_at: datetime
    updated_position: int


@dataclass(frozen=True, slots=True)
class CommentRow:
    """A comment. `position` is the log position of its fact: its number."""

    id: UUID
    document: UUID
    author: Reference
    text: Reference
    created_at: datetime
    position: int


_SELECT: Final = """
    SELECT d.id, d.kind, d.type, d.entry, d.titled, d.described, d.detailed, d.owned, d.sha256, d.size_bytes, d.pages,
        d.normalised_sha256,
        d.final, d.finalized_at, d.comments, d.created_at, d.created_position, d.updated_at, d.updated_position
    FROM read.library_documents AS d
    WHERE NOT d.deleted AND d.tenant = %(tenant)s AND d.mode = %(mode)s AND d.kind = ANY(%(kinds)s)"""

#: The owner stands in the entry that created the document. The vault knows whose that value is.
_OWNED: Final = """
    AND d.id IN (SELECT stream FROM disclosures WHERE subject = %(owner)s AND version = 1 AND path = '/owner')"""


def _row(columns: Sequence[Any]) -> DocumentRow:
    id, kind, type, entry, titled, described, detailed, owned, sha256, size_bytes, pages, normalised, *own = columns
    return DocumentRow(
        id,
        DocumentKind(kind),
        type,
        Reference(id, entry, "/title") if titled else None,
        Reference(id, entry, "/description") if described else None,
        Reference(id, 1, "/details") if detailed else None,
        Reference(id, 1, "/owner") if owned else None,
        None if sha256 is None else StoredFile(sha256, size_bytes, pages, normalised),
        *own,
    )


async def get(
    conn: AsyncConnection, tenant: UUID, mode: Mode, kinds: Collection[DocumentKind], document: UUID, *, owner: UUID | None = None
) -> DocumentRow | None:
    """The document, or None if the tenant has none such of these kinds in this mode, or if it was deleted.

    With `owner`, the id of a subject (`Vault.subject_id`), None also for what belongs to anybody else.
    """
    found = await conn.execute(
        f"{_SELECT} AND d.id = %(document)s{_OWNED if owner else ''}".encode(),
        {"tenant": tenant, "mode": mode, "kinds": list(kinds), "document": document, "owner": owner},
    )
    columns = await found.fetchone()
    return None if columns is None else _row(columns)


async def owned(
    conn: AsyncConnection,
    tenant: UUID,
    mode: Mode,
    kinds: Collection[DocumentKind],
    owner: UUID,
    *,
    limit: int = MOST_LISTED,
    before: int | None = None,
) -> tuple[DocumentRow, ...]:
    """Up to `limit` documents of an owner, the last updated first. `owner` is the id of a subject (`Vault.subject_id`).

    `before` is the `updated_position` of the last one seen.
    """
    found = await conn.execute(
        (
            f"{_SELECT}{_OWNED} AND (%(before)s::bigint IS NULL OR d.updated_position < %(before)s)"
            " ORDER BY d.updated_position DESC LIMIT %(limit)s"
        ).encode(),
        {"tenant": tenant, "mode": mode, "kinds": list(kinds), "owner": owner, "before": before, "limit": limit},
    )
    return tuple(_row(columns) for columns in await found.fetchall())


async def page(
    conn: AsyncConnection,
    tenant: UUID,
    mode: Mode,
    kinds: Collection[DocumentKind],
    limit: int,
    *,
    after: int | None = None,
    descending: bool = False,
) -> tuple[DocumentRow, ...]:
    """Up to `limit` documents in the order of their creation. `after` is the `created_position` of the last one seen."""
    query = (
        f"{_SELECT} AND (%(after)s::bigint IS NULL OR d.created_position {'<' if descending else '>'} %(after)s)"
        f" ORDER BY d.created_position {'DESC' if descending else 'ASC'} LIMIT %(limit)s"
    )
    found = await conn.execute(
        query.encode(), {"tenant": tenant, "mode": mode, "kinds": list(kinds), "after": after, "limit": limit}
    )
    return tuple(_row(columns) for columns in await found.fetchall())


async def comments(
    conn: AsyncConnection, tenant: UUID, mode: Mode, document: UUID, *, limit: int = COMMENTS_SHOWN
) -> tuple[CommentRow, ...]:
    """The last `limit` comments of a document, the oldest of them first; empty if there is no such document."""
    found = await conn.execute(
        b"SELECT c.comment, c.document, c.entry, c.created_at, c.position FROM read.library_comments AS c"
        b" JOIN read.library_documents AS d ON d.id = c.document"
        b" WHERE NOT d.deleted AND d.tenant = %s AND d.mode = %s AND d.id = %s ORDER BY c.position DESC LIMIT %s",
        [tenant, mode, document, limit],
    )
    rows = [
        CommentRow(comment, of, Reference(of, entry, "/author"), Reference(of, entry, "/text"), created_at, position)
        for comment, of, entry, created_at, position in await found.fetchall()
    ]
    return tuple(reversed(rows))
