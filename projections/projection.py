"""What a projection is: tables of its own, the facts it handles, and a fold over batches of them.

A fold works on rows as JSON has them: the entry's own spelling of ids and times goes into the
database as it stands, and PostgreSQL gives it the column's type. That spares the building of facts and
rows in Python, which took most of a rebuild's time. So a fold names the members of `data` itself; that it
reads them right is held against the domain's own `evolve` in the tests.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar, cast

from infrastructure.codec import FACTS
from infrastructure.following import Connection, LogEntry


class ProjectionError(Exception):
    """An entry that a projection cannot take in; the message says why."""


class Item:
    """An entry as folds see it. `at` is its time as spelled, `personal` maps paths to commitments."""

    __slots__ = ("at", "data", "fault", "personal", "position", "stream", "type", "version")

    at: str
    data: Mapping[str, Any]
    personal: Mapping[str, str]
    stream: str
    version: int

    def __init__(self, row: LogEntry) -> None:
        self.position, self.type, raw = row
        self.fault: Exception | None = None
        try:
            entry = _DECODE(raw.decode())
            self.at = entry["at"]
            self.data = entry["data"]
            self.personal = entry["personal"]
            self.stream = entry["stream"]
            self.version = entry["version"]
        except (ValueError, KeyError, TypeError) as err:
            self.fault = ProjectionError(f"not an entry: {err!r}")


_DECODE: Final = json.JSONDecoder().decode

Fold = Callable[[Connection, Sequence[Item]], None]


@dataclass(frozen=True)
class Projection:
    """A read model's write side. The connection's search path leads to its tables.

    `ddl` makes the tables and `indexes` what they are searched by; a change of either makes them anew,
    and so does a new `number`, for a fold that fills them otherwise. `fold` gets the entries of the types it
    `handles`, in order, inside the transaction that moves the position. Of the streams it reads
    (`kinds`, the part of a type before the dot) it must handle or skip every fact.
    """

    name: str
    number: int
    tables: tuple[str, ...]
    ddl: str
    indexes: str
    kinds: frozenset[str]
    handles: frozenset[str]
    skips: frozenset[str]
    fold: Fold
    revision: str = field(init=False)

    def __post_init__(self) -> None:
        known = {name for name in FACTS if name.partition(".")[0] in self.kinds}
        if missing := known - self.handles - self.skips:
            raise TypeError(f"projection {self.name} neither handles nor skips {', '.join(sorted(missing))}")
        if both := self.handles & self.skips:
            raise TypeError(f"projection {self.name} handles and skips {', '.join(sorted(both))}")
        digest = sha256(f"{self.ddl}\n{self.indexes}".encode()).hexdigest()[:16]
        object.__setattr__(self, "revision", f"{self.number}-{digest}")

    def take(self, items: Iterable[Item]) -> list[Item]:
        """The items to fold; raises ProjectionError for one that is damaged or of an unknown fact."""
        taken = []
        for item in items:
            if item.type in self.handles:
                if item.fault is not None:
                    raise item.fault
                taken.append(item)
            elif item.type not in self.skips and item.type.partition(".")[0] in self.kinds:
                raise ProjectionError(f"{item.type} is not a fact that this version knows")
        return taken


def left_out(projections: Iterable[Projection]) -> list[str]:
    """The types that none of the projections needs to see."""
    wanted = {name for projection in projections for name in projection.handles}
    return sorted(FACTS.keys() - wanted)


Row = TypeVar("Row")


class Table(Generic[Row]):
    """Reads and writes whole rows as JSON; `Row` is a TypedDict with the table's columns."""

    def __init__(self, name: str, key: Sequence[str], columns: Iterable[str]) -> None:
        keys, names = ", ".join(key), list(columns)
        rest = [column for column in names if column not in key]
        self._load = f"SELECT to_jsonb(t) FROM {name} AS t WHERE {key[0]} = ANY(%s::uuid[])".encode()  # noqa: S608
        self._save = (
            f"INSERT INTO {name} ({', '.join(names)}) SELECT {', '.join(names)}"  # noqa: S608
            f" FROM json_populate_recordset(NULL::{name}, %s::json)"
            f" ON CONFLICT ({keys}) DO UPDATE SET ({', '.join(rest)}) = ROW ({', '.join(f'excluded.{column}' for column in rest)})"
        ).encode()

    def load(self, conn: Connection, keys: Iterable[str]) -> list[Row]:
        """The rows whose first key column is one of `keys` (UUIDs as text)."""
        wanted = list(keys)
        return [cast(Row, row) for (row,) in conn.execute(self._load, [wanted]).fetchall()] if wanted else []

    def save(self, conn: Connection, rows: Iterable[Row]) -> None:
        """Inserts the rows, or replaces those of the same key."""
        written = list(rows)
        if written:
            conn.execute(self._save, [_ENCODE(written)])


_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
