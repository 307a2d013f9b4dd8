"""Which entries an erasure has emptied, and where the log says so.

A fact names the entries that held something of the erased subject, not which of their values. An entry that held values of several
subjects is listed with the first of its erasures.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypedDict
from uuid import UUID

from domain.erasure import SubjectErased
from infrastructure.reading import AsyncConnection
from projections.projection import Item, Projection
from projections.store import Store, Table

#: The projections that these reads wait for.
READ_MODELS: Final = ("erasures",)

#: `position` is that of the erasing entry.
_DDL: Final = """
CREATE TABLE erasures (
    stream   uuid   NOT NULL,
    version  bigint NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (stream, version)
);
"""


class _Row(TypedDict):
    stream: str
    version: int
    position: int


_ERASURES: Final = Table[_Row]("erasures", ["stream", "version"], _Row.__annotations__)


def _fold(store: Store, items: Sequence[Item]) -> None:
    named = [(entry["stream"], entry["version"], item.position) for item in items for entry in item.data["entries"]]
    known = {(row["stream"], row["version"]) for row in store.load(_ERASURES, {stream for stream, _, _ in named})}
    rows: dict[tuple[str, int], _Row] = {}
    for stream, version, position in named:
        if (stream, version) not in known:
            rows.setdefault((stream, version), {"stream": stream, "version": version, "position": position})
    store.save(_ERASURES, rows.values())


ERASURES: Final = Projection(
    name="erasures",
    number=1,
    tables=("erasures",),
    ddl=_DDL,
    indexes="",
    kinds=frozenset(("personal",)),
    handles=frozenset((SubjectErased.TYPE,)),
    skips=frozenset(),
    fold=_fold,
)

_SELECT: Final = b"SELECT stream, version, position FROM read.erasures WHERE stream = ANY(%s)"


async def of_streams(conn: AsyncConnection, streams: Collection[UUID]) -> Mapping[tuple[UUID, int], int]:
    """The position of the erasing entry by stream and version, for the entries of `streams` that were emptied."""
    found = await conn.execute(_SELECT, [list(streams)])
    return {(stream, version): position for stream, version, position in await found.fetchall()}
