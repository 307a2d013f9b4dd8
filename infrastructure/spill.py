"""A mapping that keeps what was used last in memory and the rest in a temporary file.

Checking a log keeps something for each stream. This is what makes that possible in a bounded
amount of memory, however long the log is.
"""

import copyreg
import io
import pickle
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

V = TypeVar("V")

#: All that a spilled value may be made of, beside classes of the packages named in `_OWN`.
_PLAIN: Final = frozenset(
    (
        ("collections", "deque"),
        ("datetime", "datetime"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("uuid", "UUID"),
        ("builtins", "frozenset"),
    )
)
_OWN: Final = ("domain", "infrastructure")


class SpillError(ValueError):
    """The temporary file holds something that was not put there."""


def _read_only(members: dict[Any, Any]) -> "MappingProxyType[Any, Any]":
    return MappingProxyType(members)


def _reduce_mapping(mapping: "MappingProxyType[Any, Any]") -> tuple[Any, ...]:
    return _read_only, (dict(mapping),)


class _Pickler(pickle.Pickler):
    """States hold read-only mappings, which pickle does not know."""

    dispatch_table = copyreg.dispatch_table | {MappingProxyType: _reduce_mapping}


class _Unpickler(pickle.Unpickler):
    """Makes nothing but our own values: the file is private, and still nothing else may come out of it."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        if module.partition(".")[0] in _OWN:
            found = super().find_class(module, name)
            if found is _read_only or (isinstance(found, type) and found.__module__ == module):
                return found
        raise SpillError(f"{module}.{name} is not part of a spilled value")


class Spill(Generic[V]):
    """Values by UUID, `capacity` of them in memory; those not used for longest go to a file of this process alone.

    Values are plain data of our own classes (docs/adr/0007). The file has no name and is gone with the
    process. A value that `get` has given may be changed until the next `put`.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._live: OrderedDict[UUID, V] = OrderedDict()
        self._spilled = 0
        self._file: sqlite3.Connection | None = None

    def __len__(self) -> int:
        return len(self._live) + self._spilled

    def get(self, key: UUID) -> V | None:
        value = self._live.get(key)
        if value is not None:
            self._live.move_to_end(key)
            return value
        return self._recall(key) if self._spilled else None

    def put(self, key: UUID, value: V) -> None:
        """`key` must not be spilled: `get` it first."""
        self._live[key] = value
        if len(self._live) > self._capacity:
            self._make_room()

    def items(self) -> Iterator[tuple[UUID, V]]:
        """Everything, in no particular order; nothing may be put meanwhile."""
        yield from self._live.items()
        if self._file is not None:
            for key, value in self._file.execute("SELECT key, value FROM spilled"):
                yield UUID(bytes=key), _load(value)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _recall(self, key: UUID) -> V | None:
        query = "DELETE FROM spilled WHERE key = ? RETURNING value"
        row = None if self._file is None else self._file.execute(query, [key.bytes]).fetchone()
        if row is None:
            return None
        self._spilled -= 1
        value: V = _load(row[0])
        self.put(key, value)
        return value

    def _make_room(self) -> None:
        leaving = [self._live.popitem(last=False) for _ in range(max(self._capacity // 10, 1))]
        file = self._file = self._file or _temporary()
        file.execute("BEGIN")
        file.executemany("INSERT INTO spilled VALUES (?, ?)", ((key.bytes, _dump(value)) for key, value in leaving))
        file.execute("COMMIT")
        self._spilled += len(leaving)


def _temporary() -> sqlite3.Connection:
    # An empty name is SQLite's private temporary database, deleted when it is closed (sqlite.org/inmemorydb.html).
    file = sqlite3.connect("", isolation_level=None)
    file.execute("PRAGMA journal_mode = OFF")
    file.execute("PRAGMA synchronous = OFF")
    file.execute("CREATE TABLE spilled (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
    return file


def _dump(value: object) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


def _load(raw: bytes) -> Any:
    return _Unpickler(io.BytesIO(raw)).load()
