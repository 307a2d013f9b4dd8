"""Databases for tests: one embedded server for the whole run, a fresh migrated database per test.

`COUNTERSIGN_TEST_DATABASE_URL` replaces the embedded server by another; its login needs CREATEDB and
CREATEROLE. Under pytest-xdist the workers share the server.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from infrastructure.database import DatabaseUrls, connect
from infrastructure.embedded import start_embedded
from infrastructure.migrate import migrate

ORIGIN = "countersign.test/ledger"


@dataclass(frozen=True, slots=True)
class Server:
    """Any database of the server, reached as a login that may make others."""

    url: str

    def create(self, name: str, template: str | None = None) -> DatabaseUrls:
        with connect(self.url) as conn:
            like = SQL(" TEMPLATE {}").format(Identifier(template)) if template else SQL("")
            conn.execute(SQL("CREATE DATABASE {}").format(Identifier(name)) + like)
        return DatabaseUrls.of(make_conninfo(self.url, dbname=name))

    def drop(self, name: str) -> None:
        """FORCE may not end an autovacuum worker that is looking at the database; it is gone after a moment."""
        with connect(self.url) as conn:
            for patience in range(50, -1, -1):
                try:
                    conn.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
                    return
                except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse):
                    if not patience:
                        raise
                    time.sleep(0.1)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    if url := os.environ.get("COUNTERSIGN_TEST_DATABASE_URL"):
        yield Server(url)
        return
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex
    data = Path(tempfile.gettempdir()) / f"countersign-tests-{run[:12]}"
    embedded = start_embedded(data, print)
    yield Server(embedded.owner_url)
    embedded.stop()
    if embedded.process_id() is None:
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_template(server: Server) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to, to make copies of."""
    name = f"template_{uuid4().hex[:12]}"
    migrate(server.create(name).owner, ORIGIN)
    yield name
    server.drop(name)


@pytest.fixture
def database(server: Server, migrated_template: str) -> Iterator[DatabaseUrls]:
    """A fresh migrated database whose ledger has the origin ORIGIN."""
    name = f"test_{uuid4().hex[:12]}"
    yield server.create(name, migrated_template)
    server.drop(name)


@pytest.fixture
def empty_database(server: Server) -> Iterator[DatabaseUrls]:
    """A fresh database without any of our tables."""
    name = f"empty_{uuid4().hex[:12]}"
    yield server.create(name)
    server.drop(name)


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """Where a test may start a server of its own.

    Not `tmp_path`: run as root, the server is another user's process, and each pytest that starts on
    the machine closes the folder above to others again.
    """
    with tempfile.TemporaryDirectory(prefix="countersign-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "data"
