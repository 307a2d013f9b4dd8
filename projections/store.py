"""Where folds get rows from and put them: straight into the tables, or, on a rebuild, behind them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar, cast

from infrastructure.following import Connection

Row = TypeVar("Row", bound=Mapping[str, Any])


class Table(Generic[Row]):
    """A table of a projection, its rows read and written whole, as JSON. `Row` is a TypedDict of its columns.

    Rows whose first key column is the same are loaded together.
    """

    def __init__(self, name: str, key: Sequence[str], columns: Iterable[str]) -> None:
        keys, names = ", ".join(key), list(columns)
        rest = [column for column in names if column not in key]
        self.name = name
        self.key = tuple(key)
        self.load = f"SELECT to_jsonb(t) FROM {name} AS t WHERE {key[0]} = ANY(%s::uuid[])".encode()  # noqa: S608
        self.save = (
            f"INSERT INTO {name} ({', '.join(names)}) SELECT {', '.join(names)}"  # noqa: S608
            f" FROM json_populate_recordset(NULL::{name}, %s::json)"
            f" ON CONFLICT ({keys}) DO UPDATE SET ({', '.join(rest)}) = ROW ({', '.join(f'excluded.{column}' for column in rest)})"
        ).encode()

    def group(self, row: Row) -> str:
        """The value of the first key column."""
        return cast(str, row[self.key[0]])


class Store:
    """Loads and saves at once, in the caller's transaction."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def load(self, table: Table[Row], groups: Iterable[str]) -> list[Row]:
        """The rows whose first key column is one of `groups` (UUIDs as text). The caller may change them."""
        wanted = list(groups)
        return [cast(Row, row) for (row,) in self._conn.execute(table.load, [wanted]).fetchall()] if wanted else []

    def save(self, table: Table[Row], rows: Iterable[Row]) -> None:
        """Inserts the rows, or replaces those of the same key."""
        written = list(rows)
        if written:
            self._conn.execute(table.save, [_ENCODE(written)])


_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode

#: A few megabytes of JSON.
_ROWS_PER_STATEMENT: Final = 2_000

_Group = dict[tuple[Any, ...], Mapping[str, Any]]


class WriteBehind(Store):
    """Keeps the rows touched last in memory and writes a row when its turn to leave comes, in the background.

    An envelope's entries stand close together in the log, so most rows are written once. For a rebuild
    only: until `flush` the tables lag behind, and after an error they are worth nothing.
    """

    def __init__(self, conn: Connection, writing: Connection, capacity: int) -> None:
        """Loads through `conn`, writes through `writing`; `capacity` is the number of rows kept, of all tables together."""
        super().__init__(conn)
        self._capacity = capacity
        self._kept: dict[tuple[str, str], _Group] = {}  # in the order of their last use
        self._tables: dict[str, Table[Any]] = {}
        self._rows = 0
        self._behind = Store(writing)
        self._thread = ThreadPoolExecutor(1, "countersign-rebuild")
        self._writing: Future[None] | None = None

    def load(self, table: Table[Row], groups: Iterable[str]) -> list[Row]:
        missing = []
        found: list[Row] = []
        for group in groups:
            kept = self._kept.get((table.name, group))
            if kept is None:
                missing.append(group)
            else:
                found += cast(Iterable[Row], kept.values())
        if missing:
            self._settle()
            loaded = super().load(table, missing)
            self._keep(table, loaded)
            found += loaded
        return found

    def save(self, table: Table[Row], rows: Iterable[Row]) -> None:
        """Rows of a group that was there before MUST have been loaded through this store since the last `trim`."""
        self._keep(table, rows)

    def trim(self) -> None:
        """Writes the rows not used for longest until half the capacity is left, once it is exceeded."""
        if self._rows > self._capacity:
            self._write(self._capacity // 2)

    def flush(self) -> None:
        """Writes all that is left, and waits until it is written."""
        self._write(0)
        self._settle()

    def close(self) -> None:
        """Gives up what has not been flushed."""
        self._thread.shutdown(cancel_futures=True)

    def _keep(self, table: Table[Row], rows: Iterable[Row]) -> None:
        self._tables[table.name] = table
        name, kept = table.name, self._kept
        for row in rows:
            place = (name, table.group(row))
            group = kept.pop(place, None) or {}
            before = len(group)
            group[tuple([row[column] for column in table.key])] = row
            self._rows += len(group) - before
            kept[place] = group

    def _write(self, keep: int) -> None:
        leaving: dict[str, list[Mapping[str, Any]]] = {}
        for place in list(self._kept):
            if self._rows <= keep:
                break
            group = self._kept.pop(place)
            self._rows -= len(group)
            leaving.setdefault(place[0], []).extend(group.values())
        self._settle()
        self._writing = self._thread.submit(self._save_all, leaving)

    def _save_all(self, leaving: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        for name, rows in leaving.items():
            for start in range(0, len(rows), _ROWS_PER_STATEMENT):
                self._behind.save(self._tables[name], rows[start : start + _ROWS_PER_STATEMENT])

    def _settle(self) -> None:
        """Waits for what is being written; raises what went wrong with it."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None
