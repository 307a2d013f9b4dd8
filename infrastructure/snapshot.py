"""One unchanging view of the database for as long as a check or an export takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from infrastructure.database import connect
from infrastructure.migrate import MigrationError, check_migrated

#: Rows fetched at once: enough to hide the round trip, little enough to keep memory flat.
BATCH: Final = 2_000


class SnapshotError(Exception):
    """The database cannot be read, or is not at the schema of this code; the message says which."""


@contextmanager
def snapshot(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A read-only transaction in which everything is as it was at its start, whatever others append meanwhile.

    Raises SnapshotError, also for what the database refuses or fails at inside the block.
    """
    try:
        with connect(url, autocommit=False) as conn:
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            check_migrated(conn)
            yield conn
            conn.rollback()
    except (psycopg.Error, MigrationError) as err:
        raise SnapshotError(f"the database cannot be read: {err}") from err
