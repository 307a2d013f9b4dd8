"""The embedded server: shared by processes, stopped by the last, started again after any crash."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from infrastructure import embedded
from infrastructure.database import connect
from infrastructure.embedded import EmbeddedServerError, start_embedded
from infrastructure.migrate import migrate

ORIGIN = "countersign.test/embedded"

#: Joins the server, says so, and stays until its standard input ends.
_GUEST = """
import sys
from pathlib import Path
from infrastructure.embedded import start_embedded
server = start_embedded(Path(sys.argv[1]), lambda line: None)
print(server.process_id(), flush=True)
sys.stdin.read()
server.stop()
"""


def guest(data: Path) -> subprocess.Popen[str]:
    root = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", _GUEST, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=root
    )


def first_line(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_processes_share_one_server_and_the_last_one_stops_it(data_folder: Path) -> None:
    with guest(data_folder) as first, guest(data_folder) as second:
        processes = {first_line(first), first_line(second)}
        assert len(processes) == 1
        first.communicate("")
        with start_embedded(data_folder, print) as server:
            assert {server.process_id()} == processes
            second.communicate("")
            assert {server.process_id()} == processes
            connect(server.owner_url).close()
        assert server.process_id() is None
        with pytest.raises(psycopg.OperationalError):
            connect(server.owner_url)


def test_a_killed_process_does_not_keep_the_server_running(data_folder: Path) -> None:
    with guest(data_folder) as killed:
        first_line(killed)
        server = start_embedded(data_folder, print)
        killed.kill()
    server.stop()
    assert server.process_id() is None


def test_a_server_whose_only_user_was_killed_is_found_and_stopped_by_the_next(data_folder: Path) -> None:
    with guest(data_folder) as killed:
        process = first_line(killed)
        killed.kill()
    with start_embedded(data_folder, print) as server:
        assert server.process_id() == process
    assert server.process_id() is None


def test_everything_is_found_again_after_a_stop(data_folder: Path) -> None:
    with start_embedded(data_folder, print) as server:
        migrate(server.owner_url, ORIGIN)
    with start_embedded(data_folder, print) as server, connect(server.service_url) as conn:
        assert conn.execute("SELECT ledger FROM log_head").fetchone() == (ORIGIN,)
        assert conn.execute("SHOW fsync").fetchone() == ("on",)
        assert conn.execute("SHOW synchronous_commit").fetchone() == ("on",)
        assert conn.execute("SHOW data_checksums").fetchone() == ("on",)


def test_a_killed_server_starts_again_with_what_was_committed(data_folder: Path) -> None:
    with start_embedded(data_folder, print) as server:
        migrate(server.owner_url, ORIGIN)
        with connect(server.owner_url) as conn:
            conn.execute("INSERT INTO tenants VALUES ('58bff266-cdad-46db-b373-1b06476146cd', 'Example', now())")
        process = server.process_id()
        assert process is not None
        os.kill(process, signal.SIGKILL)
        server.ensure_running()
        with connect(server.service_url) as conn:
            assert conn.execute("SELECT name FROM tenants").fetchone() == ("Example",)


def test_a_pid_file_whose_number_now_belongs_to_another_process_is_no_server(data_folder: Path) -> None:
    """After a crash of the machine, or in a container, where the same small numbers come again."""
    with start_embedded(data_folder, print) as server:
        process = server.process_id()
        assert process is not None
        os.kill(process, signal.SIGKILL)
        while server.process_id() is not None:
            time.sleep(0.01)
        pid_file = data_folder / "postgres" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
        assert server.process_id() is None


def test_an_initialisation_that_was_cut_short_is_begun_again(data_folder: Path) -> None:
    half = data_folder / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with start_embedded(data_folder, print) as server:
        connect(server.owner_url).close()
    assert not half.exists()


def test_a_folder_with_a_long_name_gets_its_socket_elsewhere(data_folder: Path) -> None:
    with start_embedded(data_folder / ("long" * 20) / ("name" * 20), print) as server:
        connect(server.owner_url).close()


def test_the_owner_is_no_superuser_and_nothing_listens_on_the_network(data_folder: Path) -> None:
    with start_embedded(data_folder, print) as server, connect(server.owner_url) as conn:
        assert conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
        assert conn.execute("SHOW listen_addresses").fetchone() == ("",)
        with connect(server.superuser_url) as superuser:
            socket = superuser.execute("SHOW unix_socket_directories").fetchone()
    assert socket is not None
    assert Path(str(socket[0])).stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_as_root_what_is_changed_on_the_machine_is_said_before_it_happens(data_folder: Path) -> None:
    parent = data_folder.parent / "closed"
    parent.mkdir(mode=0o700)
    seen = []
    with start_embedded(parent / "data", lambda line: seen.append((line, parent.stat().st_mode & 0o777))):
        pass
    assert any(str(parent) in line and mode == 0o700 for line, mode in seen)
    assert parent.stat().st_mode & 0o777 == 0o701


def test_files_of_another_major_version_are_left_alone(data_folder: Path) -> None:
    with start_embedded(data_folder, print):
        pass
    version = data_folder / "postgres" / "PG_VERSION"
    version.write_text("9\n")
    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 9, but this is PostgreSQL \d+.*DATABASE_URL"):
        start_embedded(data_folder, print)
    assert version.read_text() == "9\n"


def test_without_any_programs_the_way_out_is_named(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(embedded, "_debian_initdb", lambda: None)
    with pytest.raises(EmbeddedServerError, match="Set DATABASE_URL"):
        start_embedded(data_folder, print)
