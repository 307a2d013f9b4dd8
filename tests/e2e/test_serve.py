"""What a newcomer does with `countersign serve`, and what may go wrong around it."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infrastructure.embedded import start_embedded
from infrastructure.settings import variable
from scripts.server_process import ROOT, ServerProcess, bare_environment, database_process, kill_database

#: Ctrl-C should feel like one: the process and its PostgreSQL are gone within this many seconds, on a busy machine too.
TIDY_SECONDS = 10.0


@pytest.fixture
def data(data_folder: Path) -> Iterator[Path]:
    """A data folder that does not exist yet; what a failed test left running in it is stopped."""
    yield data_folder
    if database_process(data_folder) is not None:
        start_embedded(data_folder, print).stop()


def printed(server: ServerProcess) -> str:
    """What it has printed, complete up to the last line of its greeting."""
    deadline = time.monotonic() + 10
    while b"Stop with Ctrl-C." not in server.printed:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return server.printed.decode()


def stopped(server: ServerProcess) -> float:
    """Stops it as Ctrl-C does; the seconds it took."""
    began = time.monotonic()
    assert server.stop() == 0, server.printed.decode()
    return time.monotonic() - began


@pytest.mark.skipif(shutil.which("curl") is None, reason="the printed lines are for curl, which is not here")
def test_the_first_run_prints_what_works_when_pasted_and_the_second_finds_everything(data: Path) -> None:
    with ServerProcess(data, "serve") as server:
        greeting = printed(server)
        lines = [line.strip() for line in greeting.splitlines() if line.strip().startswith("curl ")]
        answers = [
            json.loads(subprocess.run(["bash", "-c", f"{line} --silent"], capture_output=True, check=True, timeout=30).stdout)
            for line in lines
        ]
        assert len(answers) == 3
        health, created, listed = answers
        assert health["ok"] is True
        assert (created["status"], created["success"]) == (201, True)
        template = created["data"]["templateId"]
        assert [each["templateId"] for each in listed["data"]] == [template]
        documentation = re.search(r"documentation +(http\S+)", greeting)
        assert documentation is not None
        assert httpx.get(documentation[1]).status_code == 200
        secret = re.search(r"key +(\S+)", greeting)
        assert secret is not None
        url = server.url
        assert stopped(server) < TIDY_SECONDS
    assert database_process(data) is None, "PostgreSQL ends with the last process that used it"

    with ServerProcess(data, "serve", environment={variable("port"): url.rpartition(":")[2]}) as again:
        greeting = printed(again)
        assert secret[1] not in greeting
        assert "sk_" not in greeting
        assert "made before" in greeting
        found = json.loads(subprocess.run(["bash", "-c", f"{lines[2]} --silent"], capture_output=True, check=True).stdout)
        assert [each["templateId"] for each in found["data"]] == [template]
        assert stopped(again) < TIDY_SECONDS


def test_another_postgresql_is_used_and_left_alone(data_folder: Path, data: Path) -> None:
    with start_embedded(data_folder.parent / "elsewhere", print) as external:
        environment = {"DATABASE_URL": external.owner_url}
        with ServerProcess(data, "serve", environment=environment) as server:
            assert "tenant id" in printed(server)
            assert httpx.get(f"{server.url}/ready").status_code == 200
            assert not (data / "postgres").exists()
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
        assert external.process_id() is not None
        with ServerProcess(data, "serve", environment=environment) as again:
            assert "made before" in printed(again)


def test_a_database_that_is_not_there_is_named(data: Path) -> None:
    server = ServerProcess(data, "serve", environment={"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"})
    server.launch()
    assert server.wait() == 1
    said = server.printed.decode()
    assert "The database cannot be used" in said
    assert "Traceback" not in said


def test_a_port_in_use_is_named_with_the_way_out(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = ServerProcess(data, "serve", environment={variable("port"): str(port)})
        server.launch()
        assert server.wait() == 1
    said = server.printed.decode()
    assert f"127.0.0.1:{port} cannot be used: Address already in use. Set COUNTERSIGN_PORT to another port." in said
    assert "Traceback" not in said
    assert database_process(data) is None


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_ctrl_c_ends_it_quickly_while_clients_hold_connections_open(data: Path, command: str) -> None:
    with ServerProcess(data, command) as process, httpx.Client() as client:
        if process.url:
            assert client.get(f"{process.url}/health").status_code == 200  # and its connection stays open
        assert stopped(process) < TIDY_SECONDS
    said = process.printed.decode()
    assert "Traceback" not in said
    assert "Error" not in said
    assert database_process(data) is None


def test_a_killed_postgresql_is_started_again_and_requests_meanwhile_are_told_so(data: Path) -> None:
    with ServerProcess(data, "serve", "--no-followers") as server:
        greeting = printed(server)
        headers = dict(re.findall(r'"(X-[\w-]+): ([^"]+)"', greeting))
        url = f"{server.url}/v1/events/00000000-0000-4000-8000-000000000000"
        assert httpx.get(url, headers=headers).status_code == 404  # read from the log
        kill_database(data, children=True)
        statuses: list[int] = []
        deadline = time.monotonic() + 60
        while not statuses or statuses[-1] != 404:
            assert time.monotonic() < deadline, statuses
            answer = httpx.get(url, headers=headers, timeout=30)
            statuses.append(answer.status_code)
            assert answer.status_code in (404, 503), answer.text
            assert answer.json()["code"] == {404: "not_found", 503: "service_unavailable"}[answer.status_code]
            time.sleep(0.05)
        assert b"starting it again" in server.printed
        made = httpx.post(f"{server.url}/v1/templates", headers=headers, json={"templateName": "After the outage"}, timeout=30)
        assert made.status_code == 201, made.text


def test_the_demonstration_starts_its_own_server_and_passes(data: Path) -> None:
    environment = {**bare_environment(), variable("data"): str(data), variable("port"): str(_free_port())}
    done = subprocess.run(
        [sys.executable, "-m", "api", "demo"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "starting one for the demonstration",
        "What the answers of the API alone prove",
        "    completeness  valid ",
        "-signed.pdf, held against that evidence: valid",
        "-certificate.pdf, held against that evidence: valid",
        "What that does not prove",
        "a witness: the policy asks for none",
    ):
        assert said in done.stdout
    assert database_process(data) is None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
