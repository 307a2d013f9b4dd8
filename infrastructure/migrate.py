"""Brings a database to the schema of this code: numbered SQL files, each applied once, in order.

Several processes may start at once; one migrates, the others wait and find nothing to do.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import psycopg

from infrastructure.database import connect

MIGRATIONS: Final = Path(__file__).parent / "migrations"

#: Any number will do, as long as every version of this code uses the same one ("countersi" in ASCII).
_LOCK: Final = 0x636F756E74657273

_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class MigrationError(Exception):
    """The database and this code do not belong together; the message says how and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file; `sha256` is of its bytes, in hex."""

    number: int
    name: str
    text: str
    sha256: str


def load(folder: Path = MIGRATIONS) -> list[Migration]:
    """The files of `folder` in order; raises MigrationError unless they are numbered 1, 2, 3 and so on."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if not match:
            raise MigrationError(f"{path.name} is not named like 0001_what_it_does.sql")
        raw = path.read_bytes()
        found.append(Migration(int(match[1]), match[2], raw.decode(), sha256(raw).hexdigest()))
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise MigrationError(f"the migrations in {folder} are numbered {numbers}, not 1, 2, 3 and so on")
    return found


def migrate(owner_url: str, origin: str, folder: Path = MIGRATIONS) -> list[int]:
    """Applies what is missing and answers the numbers applied, in order.

    `origin` names the ledger in every entry. It is set by the first migration and can never change.
    Raises MigrationError if an applied file was edited, if the database is newer than this code, or
    if it holds another ledger; psycopg.Error if a file fails, which leaves the files before it applied.
    """
    if not origin or "\x00" in origin:
        raise MigrationError("a ledger needs an origin, for example countersign.example.com/2026")
    wanted = load(folder)
    with connect(owner_url) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [_LOCK])  # released with the connection
        conn.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = _applied(conn)
        _compare(applied, wanted)
        missing = [migration for migration in wanted if migration.number not in applied]
        for migration in missing:
            _apply(conn, migration)
        _claim(conn, origin)
    return [migration.number for migration in missing]


def check_migrated(conn: psycopg.Connection[Any], folder: Path = MIGRATIONS) -> None:
    """Raises MigrationError unless the database is exactly at the schema of this code."""
    wanted = load(folder)
    applied = _applied(conn)
    _compare(applied, wanted)
    if len(applied) < len(wanted):
        raise MigrationError(
            f"the database is at migration {len(applied)}, this code needs {len(wanted)}: run the migration first"
        )


def _applied(conn: psycopg.Connection[Any]) -> dict[int, tuple[str, str]]:
    rows = conn.execute("SELECT number, name, sha256 FROM schema_migrations ORDER BY number").fetchall()
    return {number: (name, digest) for number, name, digest in rows}


def _compare(applied: dict[int, tuple[str, str]], wanted: list[Migration]) -> None:
    known = {migration.number: migration for migration in wanted}
    for number, (name, digest) in applied.items():
        migration = known.get(number)
        if migration is None:
            raise MigrationError(
                f"the database has migration {number} ({name}), which this code does not know: it is newer. Update the code"
            )
        if migration.sha256 != digest:
            raise MigrationError(
                f"migration {number} ({name}) was edited after it had been applied. Restore the file and add a new one"
            )


def _apply(conn: psycopg.Connection[Any], migration: Migration) -> None:
    with conn.transaction():
        conn.execute(migration.text.encode())
        conn.execute(
            "INSERT INTO schema_migrations (number, name, sha256) VALUES (%s, %s, %s)",
            [migration.number, migration.name, migration.sha256],
        )


def _claim(conn: psycopg.Connection[Any], origin: str) -> None:
    conn.execute("INSERT INTO log_head (ledger, position, at) VALUES (%s, 0, 'epoch') ON CONFLICT DO NOTHING", [origin])
    row = conn.execute("SELECT ledger FROM log_head").fetchone()
    if row is None or row[0] != origin:
        held = row[0] if row else None
        raise MigrationError(
            f"the database holds the ledger {held!r}, not {origin!r}; an origin is in every entry and cannot change"
        )
