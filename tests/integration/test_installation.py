"""Opening an installation: what a first run makes, what a later one finds, and what it refuses to go on with."""

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from infrastructure.database import DatabaseUrls, connect
from infrastructure.installation import MASTER_KEY, SECRET_KEY, Installation, InstallationError, open_installation
from infrastructure.secrets import Keys, SecretError, load_or_create
from infrastructure.settings import PREFIX, Settings
from tests.conftest import ORIGIN


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "var"


def settings(data: Path, database: DatabaseUrls | None, **more: str) -> Settings:
    told = {PREFIX + "DATA": str(data), **{PREFIX + name: value for name, value in more.items()}}
    return Settings.read(told | ({"DATABASE_URL": database.owner} if database is not None else {}))


def opened(found: Settings) -> Installation:
    """As it was found; closed again, so only what was read is of use."""
    with open_installation(found, print) as installation:
        return installation


def test_a_first_run_makes_everything_and_a_second_finds_it(empty_database: DatabaseUrls, data: Path) -> None:
    first = opened(settings(data, empty_database))
    assert first.origin.startswith("countersign.local/")
    assert {path.name for path in data.iterdir()} == {SECRET_KEY, MASTER_KEY}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in data.iterdir())
    second = opened(settings(data, empty_database))
    assert (second.origin, second.keys) == (first.origin, first.keys)


def test_the_ledgers_name_is_the_one_that_was_asked_for_and_stays(empty_database: DatabaseUrls, data: Path) -> None:
    assert opened(settings(data, empty_database, ORIGIN="sign.example.com/2026")).origin == "sign.example.com/2026"
    assert opened(settings(data, empty_database)).origin == "sign.example.com/2026"
    with pytest.raises(InstallationError, match=r"sign\.example\.com/2026"):
        opened(settings(data, empty_database, ORIGIN="other.example.com"))


def test_keys_from_the_settings_leave_no_files(database: DatabaseUrls, data: Path) -> None:
    key = "A" * 43 + "="
    found = opened(settings(data, database, SECRET_KEY=key, MASTER_KEY=key))
    assert found.keys == Keys.derive(bytes(32), bytes(32))
    assert found.origin == ORIGIN
    assert list(data.iterdir()) == []


def test_a_lost_master_key_is_not_replaced_while_there_is_data_under_it(database: DatabaseUrls, data: Path) -> None:
    opened(settings(data, database))
    with connect(database.owner) as connection:
        connection.execute(
            "INSERT INTO subjects (id, tenant, kind, lookup, wrapped_key) VALUES (%s, %s, 'person', %s, %s)",
            (uuid4(), uuid4(), bytes(32), bytes(60)),
        )
    (data / MASTER_KEY).rename(data / "backup")
    with pytest.raises(InstallationError, match=r"restore .*master\.key"):
        opened(settings(data, database))
    assert not (data / MASTER_KEY).exists()
    (data / "backup").rename(data / MASTER_KEY)
    assert opened(settings(data, database)).origin == ORIGIN


def test_a_database_that_cannot_be_reached_is_said_so(data: Path) -> None:
    nowhere = DatabaseUrls.of(f"host={data} dbname=x user=x")
    with pytest.raises(InstallationError, match="The database cannot be used"):
        opened(settings(data, nowhere))


def test_a_data_folder_that_cannot_be_made_is_said_so(database: DatabaseUrls, data: Path) -> None:
    data.write_text("a file is in the way")
    with pytest.raises(InstallationError, match="COUNTERSIGN_DATA"):
        opened(settings(data, database))


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Somewhere the embedded server's system user gets to."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_without_a_database_url_the_embedded_server_is_started_and_stopped_again(short_folder: Path) -> None:
    with open_installation(settings(short_folder / "var", None), print) as installation:
        assert installation.server is not None
        assert installation.server.process_id() is not None
        with connect(installation.urls.service) as connection:
            assert connection.execute("SELECT ledger FROM log_head").fetchone() == (installation.origin,)
    assert installation.server.process_id() is None


# Key files


def _load(path: Path, answers: "multiprocessing.Queue[bytes]") -> None:
    answers.put(load_or_create(path))


def test_processes_that_start_together_agree_on_a_new_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for attempt in range(5):
        path = tmp_path / f"{attempt}.key"
        answers: multiprocessing.Queue[bytes] = context.Queue()
        processes = [context.Process(target=_load, args=(path, answers)) for _ in range(8)]
        for process in processes:
            process.start()
        found = {answers.get(timeout=30) for _ in processes}
        for process in processes:
            process.join()
        assert found == {path.read_bytes()}
    assert len(list(tmp_path.iterdir())) == 5


def test_a_key_that_others_can_read_or_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    key = load_or_create(path)
    assert load_or_create(path) == key
    path.chmod(0o644)
    with pytest.raises(SecretError, match="chmod 600"):
        load_or_create(path)
    path.chmod(0o600)
    path.write_bytes(key[:31])
    with pytest.raises(SecretError, match="31 bytes"):
        load_or_create(path)
