"""Fixtures of the partner surface, for the modules that name this one in `pytest_plugins`."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from infrastructure.database import DatabaseUrls
from tests.conftest import Server
from tests.contract.partner_world import Client, World, projecting, start


@pytest.fixture(scope="session")
def world(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One running server for all tests that do not disturb it."""
    name = f"partner_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with start(urls, tmp_path_factory.mktemp("partner")) as made, projecting(urls):
        yield made
    server.drop(name)


@pytest.fixture
def own_world(database: DatabaseUrls, tmp_path: Path) -> Iterator[World]:
    """A running server of the test's own, which it may disturb; nothing keeps its read models up to date."""
    with start(database, tmp_path, read_wait_seconds=0.5) as made:
        yield made


@pytest.fixture
def client(world: World) -> Client:
    """A fresh tenant of the shared server."""
    return world.tenant()
