"""What the tests of the read side share: appending rows as the recorder would, and a projection that can count."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypedDict
from uuid import UUID

from psycopg import Connection

from infrastructure.codec import FACTS
from infrastructure.database import connect
from projections.projection import Item, Projection
from projections.store import Store, Table
from tests.histories import RecordedLog, Row

_ROW = str(UUID(int=1))


class _Tally(TypedDict):
    id: str
    positions: list[int]


def tally(name: str = "tally", on_item: Callable[[Item], object] = lambda item: None, *, ddl: str = "") -> Projection:
    """A projection that keeps the position of every entry it was given: a lost or a repeated one shows.

    `on_item` is called for each entry before anything is written, and may raise.
    """
    table = Table[_Tally](name, ["id"], _Tally.__annotations__)

    def fold(store: Store, items: Sequence[Item]) -> None:
        for item in items:
            on_item(item)
        positions = [position for row in store.load(table, [_ROW]) for position in row["positions"]]
        store.save(table, [_Tally(id=_ROW, positions=positions + [item.position for item in items])])

    return Projection(
        name=name,
        number=1,
        tables=(name,),
        ddl=f"CREATE TABLE {name} (id uuid PRIMARY KEY, positions bigint[] NOT NULL); {ddl}",
        indexes="",
        kinds=frozenset(("envelope", "signing", "template")),
        handles=frozenset(fact for fact in FACTS if not fact.startswith("personal.")),
        skips=frozenset(),
        fold=fold,
    )


def tallied(url: str, name: str = "tally") -> list[int]:
    """The positions that a tally was given, in order of arrival."""
    with connect(url) as conn:
        rows = conn.execute(f"SELECT positions FROM read.{name}".encode()).fetchall()
    return list(rows[0][0]) if rows else []


def append(conn: Connection[Any], rows: Iterable[Row]) -> int:
    """Appends rows behind the log's head as the recorder does, whatever positions they have; answers the new head."""
    with conn.transaction():
        found = conn.execute("SELECT position FROM log_head FOR UPDATE").fetchone()
        position = found[0] if found else 0
        for row in rows:
            position += 1
            conn.execute(
                "INSERT INTO log (position, stream, version, type, leaf, entry) VALUES (%s, %s, %s, %s, %s, %s)",
                [position, row.stream, row.version, row.type, row.leaf, row.raw],
            )
        conn.execute("UPDATE log_head SET position = %s", [position])
        conn.execute("SELECT pg_notify('countersign_log', %s)", [str(position)])
    return int(position)


def envelopes(count: int, seed: int = 1) -> list[Row]:
    """A log of envelopes, each completed by two participants."""
    log = RecordedLog(seed=seed)
    for _ in range(count):
        log.completed(documents=1)
    return log.rows


def of_type(row: Row, type: str) -> Row:
    """The row with another type in its column, and its bytes as they were."""
    return replace(row, type=type)


def positions(url: str) -> dict[str, tuple[int, str]]:
    """Position and status of all followers."""
    with connect(url) as conn:
        return {
            name: (position, status)
            for name, position, status in conn.execute("SELECT projection, position, status FROM read.positions")
        }
