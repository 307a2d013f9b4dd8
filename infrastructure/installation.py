"""What every process of an installation opens first: the database, its ledger's name, and the keys.

One place, so that the API, the followers and the commands at a terminal agree on where these are.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import psycopg

from infrastructure.database import DatabaseUrls, connect
from infrastructure.embedded import EmbeddedServer, EmbeddedServerError, Say, start_embedded
from infrastructure.migrate import MigrationError, check_migrated, migrate
from infrastructure.secrets import Keys, SecretError, load_or_create
from infrastructure.settings import Settings, variable

#: Files of the data folder, each with 32 random bytes that only their owner can read.
SECRET_KEY: Final = "secret.key"
MASTER_KEY: Final = "master.key"


class InstallationError(Exception):
    """The installation cannot be opened; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation, open. `origin` is the ledger's name; `server` is the embedded server, if it is one."""

    settings: Settings
    urls: DatabaseUrls
    keys: Keys
    origin: str
    server: EmbeddedServer | None

    def at(self, base_url: str) -> "Installation":
        """The same, reached by clients at `base_url`: where the port is known only once it is taken."""
        return replace(self, settings=self.settings.model_copy(update={"base_url": base_url}))


@contextmanager
def open_installation(settings: Settings, say: Say) -> Iterator[Installation]:
    """Starts the embedded server if need be, brings the database to this code's schema, loads the keys.

    What is made on a first run (folder, database, keys, the ledger's name) is made here, and `say` tells
    what changes on the machine. Blocking. Raises InstallationError.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise InstallationError(
            f"The data folder {settings.data} cannot be made: {err.strerror}. Set {variable('data')}"
        ) from err
    server = None
    try:
        try:
            if settings.database_url is None:
                server = start_embedded(settings.data, say)
                urls = server.urls()
            else:
                urls = DatabaseUrls.of(settings.database_url, settings.owner_database_url)
            origin = _ready_database(urls, settings.origin)
            keys = _load_keys(settings, urls)
        except psycopg.Error as err:
            raise InstallationError(f"The database cannot be used: {str(err).strip()}") from err
        except (EmbeddedServerError, MigrationError, SecretError) as err:
            raise InstallationError(str(err)) from err
        yield Installation(settings, urls, keys, origin, server)
    finally:
        if server is not None:
            server.stop()


def _ready_database(urls: DatabaseUrls, wanted: str | None) -> str:
    """Migrates where that is needed, and answers the ledger's name."""
    try:
        with connect(urls.service) as connection:
            check_migrated(connection)
            origin = _origin(connection)
    except (psycopg.Error, MigrationError):
        origin = None  # new, or behind: what else it may be, the migration tells
    if origin is None or (wanted is not None and wanted != origin):
        origin = _migrate(urls, wanted)
    return origin


def _migrate(urls: DatabaseUrls, wanted: str | None) -> str:
    with connect(urls.owner) as connection:
        exists = connection.execute("SELECT to_regclass('public.log_head') IS NOT NULL").fetchone()
        held = _origin(connection) if exists is not None and exists[0] else None
        origin = wanted or held or f"countersign.local/{secrets.token_hex(8)}"
        try:
            migrate(urls.owner, origin)
        except MigrationError:
            # Another process made the ledger, under a name of its own, since we looked.
            if wanted is not None or held is not None or (held := _origin(connection)) is None:
                raise
            return held
    return origin


def _origin(connection: psycopg.Connection[tuple[object, ...]]) -> str | None:
    row = connection.execute("SELECT ledger FROM log_head").fetchone()
    return None if row is None else str(row[0])


def _load_keys(settings: Settings, urls: DatabaseUrls) -> Keys:
    master = settings.data / MASTER_KEY
    if settings.master_key is None and not master.exists():
        with connect(urls.service) as connection:
            held = connection.execute("SELECT 1 FROM subjects LIMIT 1").fetchone()
        if held is not None:
            raise InstallationError(
                f"The database holds personal data, but its key is missing: restore {master} from a backup, or set {variable('master_key')}. "
                "With a new key that data could never be read again."
            )
    return Keys.derive(
        settings.secret_key or load_or_create(settings.data / SECRET_KEY), settings.master_key or load_or_create(master)
    )
