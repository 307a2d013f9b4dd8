"""Answers kept for repeats are forgotten when their time is over: they may hold what a person sent."""

import time
from datetime import timedelta
from pathlib import Path

from infrastructure.database import DatabaseUrls, connect
from infrastructure.repeats import BATCH, Repeats
from tests.contract.partner_world import NOW, start

DAY = timedelta(hours=24)


def keep(urls: DatabaseUrls, count: int, age: timedelta, name: str) -> None:
    """Keeps answers that are that old at NOW."""
    with connect(urls.service) as conn:
        conn.execute(
            "INSERT INTO idempotency (scope, key, request_hash, status, media_type, body, streams, created_at)"
            " SELECT 'test', %s || n, '', 200, 'text/plain', 'Ana', '{}', %s FROM generate_series(1, %s) n",
            (name, NOW - age, count),
        )


def kept(urls: DatabaseUrls) -> set[str]:
    with connect(urls.service) as conn:
        return {row[0].rstrip("0123456789") for row in conn.execute("SELECT key FROM idempotency").fetchall()}


def test_answers_are_kept_for_their_time_and_then_forgotten_in_batches(database: DatabaseUrls, tmp_path: Path) -> None:
    with start(database, tmp_path) as world:
        keep(database, BATCH + 1, DAY + timedelta(minutes=1), "old")
        keep(database, 1, DAY - timedelta(minutes=5), "recent")
        repeats = Repeats(world.deps.reads, world.clock, DAY)
        assert [world.run(repeats.forget_due()) for _ in range(3)] == [BATCH, 1, 0]
        assert kept(database) == {"recent"}


def test_after_its_time_a_key_is_free_again(database: DatabaseUrls, tmp_path: Path) -> None:
    with start(database, tmp_path) as world:
        client = world.tenant()
        key = {"Idempotency-Key": "k"}
        first = client("POST", "/v1/templates", {"templateName": "x"}, headers=key)
        assert client("POST", "/v1/templates", {"templateName": "x"}, headers=key).raw == first.raw
        repeats = Repeats(world.deps.reads, world.clock, timedelta(0))
        assert world.run(repeats.forget_due()) == 1
        again = client("POST", "/v1/templates", {"templateName": "y"}, headers=key)
        assert again.status == 201
        assert again.data["templateId"] != first.data["templateId"]


def test_a_running_process_forgets_what_the_settings_say(database: DatabaseUrls, tmp_path: Path) -> None:
    keep(database, 1, timedelta(hours=3), "old")
    keep(database, 1, timedelta(hours=1), "recent")
    with start(database, tmp_path, followers=True, idempotency_hours=2):
        deadline = time.monotonic() + 20
        while kept(database) != {"recent"}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
