"""Which envelopes name a file, by its SHA-256: for whoever has a file and asks what it is.

Nothing is believed because it stands here. What an envelope says of a file is read from its entries, and those are checked.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict
from uuid import UUID

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
    SealRenewed,
)
from infrastructure.reading import AsyncConnection
from projections.projection import Item, Projection
from projections.store import Store, Table

#: The projections that these reads wait for.
READ_MODELS: Final = ("files",)

#: `made` says of a file that it was made after the end: an executed document or certificate, sealed or not; `position` is that of the
#: last entry of the envelope that names it.
_DDL: Final = """
CREATE TABLE files (
    envelope uuid    NOT NULL,
    sha256   text    NOT NULL,
    made     boolean NOT NULL,
    position bigint  NOT NULL,
    PRIMARY KEY (envelope, sha256)
);
"""
_INDEXES: Final = "CREATE INDEX files_by_hash ON files (sha256, made DESC, position DESC);"

#: The files that the entry of a made one names, and whether each was made after the end: the form that was drawn on was there before.
_MADE: Final = {"normalised_sha256": False, "body_sha256": True, "sha256": True}


class _Row(TypedDict):
    envelope: str
    sha256: str
    made: bool
    position: int


_FILES: Final = Table[_Row]("files", ["envelope", "sha256"], _Row.__annotations__)


def _fold(store: Store, items: Sequence[Item]) -> None:
    rows = {(item.stream, name): _row(item, name, made=made) for item in items for name, made in _named(item)}
    store.save(_FILES, rows.values())


def _row(item: Item, name: str, *, made: bool) -> _Row:
    return {"envelope": item.stream, "sha256": name, "made": made, "position": item.position}


def _named(item: Item) -> Iterator[tuple[str, bool]]:
    """The files that an entry names, and whether each was made after the end."""
    data = item.data
    if item.type == EnvelopeCreated.TYPE:
        yield from ((document["sha256"], False) for document in data["documents"])
    elif item.type == DocumentAdded.TYPE:
        yield data["document"]["sha256"], False
    else:
        yield from ((data[name], made) for name, made in _MADE.items() if data.get(name) is not None)


FILES: Final = Projection(
    name="files",
    number=1,
    tables=("files",),
    ddl=_DDL,
    indexes=_INDEXES,
    kinds=frozenset(("envelope",)),
    handles=frozenset(
        (EnvelopeCreated.TYPE, DocumentAdded.TYPE, DocumentExecuted.TYPE, CertificateIssued.TYPE, SealRenewed.TYPE),
    ),
    skips=frozenset(
        (
            ParticipantAdded.TYPE,
            EnvelopeSent.TYPE,
            ParticipantCompleted.TYPE,
            ParticipantFailed.TYPE,
            DeadlineExtended.TYPE,
            EnvelopeCompleted.TYPE,
            EnvelopeDeclined.TYPE,
            EnvelopeCancelled.TYPE,
            EnvelopeExpired.TYPE,
            EnvelopeFailed.TYPE,
        )
    ),
    fold=_fold,
)


@dataclass(frozen=True, slots=True)
class Named:
    """An envelope names the file with this SHA-256 (hex). `made` as in the table; `position` is that of an entry that does."""

    sha256: str
    envelope: UUID
    made: bool
    position: int


#: One file may be the beginning of very many envelopes; the index gives the few that are asked for.
_SELECT: Final = b"""
    SELECT wanted.sha256, f.envelope, f.made, f.position FROM unnest(%(hashes)s::text[]) AS wanted(sha256)
    CROSS JOIN LATERAL (
        SELECT envelope, made, position FROM read.files AS f
        WHERE f.sha256 = wanted.sha256 ORDER BY made DESC, position DESC LIMIT %(limit)s) AS f"""


async def named(conn: AsyncConnection, hashes: Collection[str], limit: int = 1) -> tuple[Named, ...]:
    """Of each of the files up to `limit` envelopes that name it: first those that it was made for, then the newest."""
    found = await conn.execute(_SELECT, {"hashes": list(hashes), "limit": limit})
    return tuple(Named(*row) for row in await found.fetchall())


_MADE_FOR: Final = b"""
    SELECT DISTINCT envelope FROM read.files WHERE made AND envelope > %(after)s ORDER BY envelope LIMIT %(limit)s"""


async def envelopes_with_made(conn: AsyncConnection, after: UUID, limit: int) -> tuple[UUID, ...]:
    """The envelopes, in the order of their ids after `after`, for which files were made; at most `limit`."""
    found = await conn.execute(_MADE_FOR, {"after": after, "limit": limit})
    return tuple(envelope for (envelope,) in await found.fetchall())


async def count_with_made(conn: AsyncConnection) -> int:
    """How many envelopes those are."""
    row = await (await conn.execute(b"SELECT count(DISTINCT envelope) FROM read.files WHERE made")).fetchone()
    return 0 if row is None else int(row[0])
