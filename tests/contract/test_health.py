"""The probes, as on the reference page; also while the database is away."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from api.surfaces.health import build
from infrastructure.database import DatabaseUrls, connect
from tests.conftest import Server
from tests.running import client_of, in_loop, running


@in_loop
async def test_health_is_answered_as_documented(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, client_of(build(run.deps)) as http:
        response = await http.get("/health")
        assert response.status_code == 200
        body = response.json()
        assert list(body) == ["ok", "service", "ts"]
        assert (body["ok"], body["service"]) == (True, "safeclose-api")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["ts"])
        assert (await http.head("/health")).status_code == 200
        with connect(database.owner) as conn:
            conn.execute("UPDATE sealing SET alarm = 'there is no entry at 7', alarm_position = 7, alarm_at = now()")
            alarmed = (await http.get("/health")).json()
        assert (list(alarmed), alarmed["ok"]) == (["ok", "service", "ts", "alarm"], True)
        assert alarmed["alarm"] == "Checkpoints are not signed: there is no entry at 7."
        with connect(database.owner) as conn:
            conn.execute("UPDATE sealing SET alarm = NULL, alarm_position = NULL, alarm_at = NULL")
            conn.execute(
                "INSERT INTO executions (envelope, position, status, next_attempt_at, updated_at)"
                " SELECT gen_random_uuid(), position, status, now(), now()"
                " FROM (VALUES (7, 'waiting'), (8, 'done'), (9, 'failed'), (10, 'failed')) AS made(position, status)"
            )
        behind = (await http.get("/health")).json()
        assert (list(behind), behind["executions"]) == (["ok", "service", "ts", "executions"], {"waiting": 1, "failed": 2})
        assert (await http.head("/ready")).status_code == 200
        assert set(build(run.deps).openapi()["paths"]) == {"/health", "/ready"}


@in_loop
async def test_ready_tells_whether_the_database_answers(database: DatabaseUrls, tmp_path: Path, server: Server) -> None:
    async with running(database, tmp_path) as run, client_of(build(run.deps)) as http:
        response = await http.get("/ready")
        assert (response.status_code, response.json()) == (200, {"ready": True})
        name = database.owner.split("dbname=")[1].split()[0]
        with connect(server.url) as conn:
            conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
                [name],
            )
            try:
                response = await http.get("/ready")
                assert (response.status_code, response.json()) == (503, {"ready": False})
                assert (await http.get("/health")).status_code == 200
            finally:
                conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        deadline = time.monotonic() + 20
        while (await http.get("/ready")).status_code != 200:
            assert time.monotonic() < deadline


@pytest.mark.skipif(
    "COUNTERSIGN_TEST_DATABASE_URL" in os.environ, reason="the processes of another host's server cannot be stopped"
)
@in_loop
async def test_a_database_that_hangs_is_not_ready_and_the_probe_does_not_hang_with_it(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as run, client_of(build(run.deps)) as http:
        async with run.deps.reads.connection() as connection:
            backend = connection.info.backend_pid
        with connect(database.owner) as conn:
            pids = [
                row[0]
                for row in conn.execute(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                ).fetchall()
            ]
        assert backend in pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            for _ in range(3):
                response = await http.get("/ready")
                assert (response.status_code, response.json()) == (503, {"ready": False})
            assert time.monotonic() - began < 5
            assert (await http.get("/health")).status_code == 200
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + 20
        while (await http.get("/ready")).status_code != 200:
            assert time.monotonic() < deadline
