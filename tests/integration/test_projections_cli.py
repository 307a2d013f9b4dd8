"""`countersign projections`, as an operator types it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from rich.console import Console
from typer.testing import CliRunner

from api.cli_projections import build
from infrastructure.database import DatabaseUrls, connect
from projections import PROJECTIONS
from projections.rebuild import ensure_tables
from projections.runner import Runner
from tests.integration.read_side import append, envelopes, positions

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(database: DatabaseUrls) -> Run:
    ensure_tables(database.owner)

    @contextmanager
    def opened() -> Iterator[DatabaseUrls]:
        yield database

    def invoke(*arguments: str) -> tuple[int, str]:
        text = StringIO()
        result = CliRunner().invoke(build(opened, Console(file=text, width=200)), arguments)
        return result.exit_code, text.getvalue()

    return invoke


def test_a_stopped_projection_is_shown_with_its_reason_and_goes_on_after_restart(database: DatabaseUrls, run: Run) -> None:
    with connect(database.owner) as conn:
        conn.execute("ALTER TABLE read.signers ADD CONSTRAINT a_mistake CHECK (status <> 'completed')")
        head = append(conn, envelopes(1))
        while Runner().step(conn):
            pass
        stopped_at, status = positions(database.owner)["signers"]
        assert status == "stopped"
        code, text = run("list")
        (line,) = [line for line in text.splitlines() if "signers" in line]
        assert code == 0
        assert "stopped" in line
        assert f"entry {stopped_at + 1}" in line
        assert "a_mistake" in line
        assert f"the log ends at position {head}" in text

        conn.execute("ALTER TABLE read.signers DROP CONSTRAINT a_mistake")
        assert run("restart", "signers") == (0, "signers goes on\n")
        while Runner().step(conn):
            pass
    assert positions(database.owner)["signers"] == (head, "running")


def test_restarting_what_is_not_stopped_says_so(run: Run) -> None:
    code, text = run("restart", "signers")
    assert code == 1
    assert "no projection 'signers' is stopped" in text


def test_a_rebuild_shows_its_progress_and_its_rate(database: DatabaseUrls, run: Run) -> None:
    with connect(database.service) as conn:
        head = append(conn, envelopes(3))
    code, text = run("rebuild", "signers")
    assert code == 0
    assert f"{head}/{head}" in text
    assert f"signers: {head} entries in" in text
    others = {each.name: (0, "running") for each in PROJECTIONS if each.name != "signers"}
    assert positions(database.owner) == {**others, "signers": (head, "running")}
    assert run("rebuild")[0] == 0
    assert set(positions(database.owner).values()) == {(head, "running")}


def test_an_unknown_projection_is_refused_with_the_known_ones(run: Run) -> None:
    code, text = run("rebuild", "documents")
    assert code == 2
    assert "there are envelopes, signers, templates" in text
