"""What a witness remembers: of each log the last checkpoint that it cosigned, in one small SQLite file.

The file is the witness's promise. Whoever starts with an empty one, but the old key, can be shown a second history and
will cosign it; so it is never made anew beside a key that is there already (`api.cli_witness`).
"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from domain.witnessing import NOTHING, Head

#: The file's name in the witness's folder.
STORE: Final = "witness.sqlite3"

#: How long one process waits while another writes.
_BUSY_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.02

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS heads (
    origin TEXT PRIMARY KEY NOT NULL,
    size INTEGER NOT NULL CHECK (typeof(size) = 'integer' AND size >= 0),
    root BLOB NOT NULL CHECK (typeof(root) = 'blob' AND length(root) = 32),
    note BLOB NOT NULL
);
CREATE TRIGGER IF NOT EXISTS heads_only_grow BEFORE UPDATE ON heads
WHEN NEW.origin IS NOT OLD.origin OR NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root IS NOT OLD.root)
BEGIN SELECT RAISE(ABORT, 'a witness never goes back'); END;
CREATE TRIGGER IF NOT EXISTS heads_stay BEFORE DELETE ON heads
BEGIN SELECT RAISE(ABORT, 'a witness never forgets'); END;
"""


class WitnessStoreError(Exception):
    """The file cannot be used, or not now; nothing is remembered that was not before. The message says why."""


class WitnessStore:
    """The heads of the logs that a witness follows. For any number of threads and processes at once."""

    def __init__(self, path: Path) -> None:
        """Opens the file, made where there is none. Raises WitnessStoreError."""
        self._guard = threading.Lock()
        with _failures():
            # One statement is one transaction (isolation_level None), on disk when it returns (synchronous FULL).
            self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            _switch_to_wal(self._connection)
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)

    def follow(self, origins: Iterable[str]) -> None:
        """Gives each log its row, unless it has one: a log that is followed again goes on where it was."""
        with self._guard, _failures():
            self._connection.executemany(
                "INSERT INTO heads VALUES (?, ?, ?, x'') ON CONFLICT DO NOTHING",
                [(origin, NOTHING.size, NOTHING.root) for origin in origins],
            )

    def head(self, origin: str) -> Head:
        """The last one cosigned of a log that is followed."""
        with self._guard, _failures():
            (row,) = self._connection.execute("SELECT size, root FROM heads WHERE origin = ?", (origin,)).fetchall()
        return Head(*row)

    def note(self, origin: str) -> bytes:
        """The signed note that the last one cosigned was in; empty before the first."""
        with self._guard, _failures():
            (row,) = self._connection.execute("SELECT note FROM heads WHERE origin = ?", (origin,)).fetchall()
        return bytes(row[0])

    def advance(self, origin: str, seen: Head, new: Head, note: bytes) -> bool:
        """Puts `new` in place of `seen`, on disk; false, and nothing changed, if something else stands there by now.

        The caller has proved that `new` grows out of `seen`, and cosigns after this answered true.
        """
        with self._guard, _failures():
            changed = self._connection.execute(
                "UPDATE heads SET size = ?, root = ?, note = ? WHERE origin = ? AND size = ? AND root = ?",
                (new.size, new.root, note, origin, seen.size, seen.root),
            )
            return changed.rowcount == 1

    def close(self) -> None:
        with self._guard:
            self._connection.close()


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Of several processes that make a file at once one may; SQLite does not let the others wait here as it does elsewhere."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as err:
        raise WitnessStoreError(f"the witness's record cannot be used: {err}") from err
