"""Migrations: applied once, in order, by one process, and never silently against the wrong database."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from infrastructure.database import DatabaseUrls, connect
from infrastructure.migrate import MIGRATIONS, MigrationError, check_migrated, load, migrate

ORIGIN = "countersign.test/migrations"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))


def test_a_fresh_database_gets_every_migration_and_the_second_run_does_nothing(empty_database: DatabaseUrls) -> None:
    assert migrate(empty_database.owner, ORIGIN) == [migration.number for migration in load()]
    assert migrate(empty_database.owner, ORIGIN) == []
    with connect(empty_database.service) as conn:
        check_migrated(conn)
        assert conn.execute("SELECT ledger, position FROM log_head").fetchall() == [(ORIGIN, 0)]


def test_eight_processes_that_start_at_once_apply_each_migration_once(empty_database: DatabaseUrls) -> None:
    with ThreadPoolExecutor(8) as threads:
        applied = list(threads.map(lambda _: migrate(empty_database.owner, ORIGIN), range(8)))
    assert sorted(applied, reverse=True) == [[migration.number for migration in load()], [], [], [], [], [], [], []]


def test_an_edited_migration_is_refused(empty_database: DatabaseUrls, folder: Path) -> None:
    migrate(empty_database.owner, ORIGIN, folder)
    edited = next(folder.glob("0002_*.sql"))
    edited.write_text(edited.read_text() + "\n-- a harmless comment\n")
    with pytest.raises(MigrationError, match=r"migration 2 .* was edited after it had been applied"):
        migrate(empty_database.owner, ORIGIN, folder)


def test_a_database_newer_than_the_code_is_refused(empty_database: DatabaseUrls, folder: Path) -> None:
    number = len(load(folder)) + 1
    extra = folder / f"{number:04}_from_the_future.sql"
    extra.write_text("CREATE TABLE future ()")
    assert number in migrate(empty_database.owner, ORIGIN, folder)
    with pytest.raises(MigrationError, match=f"has migration {number} .*newer"):
        migrate(empty_database.owner, ORIGIN)


def test_a_failing_migration_leaves_nothing_of_itself_and_keeps_those_before_it(
    empty_database: DatabaseUrls, folder: Path
) -> None:
    number = len(load(folder)) + 1
    bad = folder / f"{number:04}_half.sql"
    bad.write_text("CREATE TABLE half (); SELECT 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty_database.owner, ORIGIN, folder)
    with connect(empty_database.owner) as conn:
        assert conn.execute("SELECT to_regclass('half'), to_regclass('log')").fetchone() == (None, "log")
        with pytest.raises(MigrationError, match="run the migration first"):
            check_migrated(conn, folder)
    bad.write_text("CREATE TABLE half ()")
    assert migrate(empty_database.owner, ORIGIN, folder) == [number]


def test_the_origin_cannot_change(empty_database: DatabaseUrls) -> None:
    migrate(empty_database.owner, ORIGIN)
    with pytest.raises(MigrationError, match=r"holds the ledger 'countersign.test/migrations', not 'another'"):
        migrate(empty_database.owner, "another")


@pytest.mark.parametrize("names", [["0002_b.sql"], ["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "0001_b.sql"], ["1_a.sql"]])
def test_misnumbered_files_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationError):
        load(tmp_path)
