"""The runner: exactly once in both forms of a failure, and a poison entry harms one projection only."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from domain.envelope import EnvelopeCancelled, EnvelopeCreated, EnvelopeSent
from domain.retention import HoldPlaced, holds_stream
from domain.signing import ProcessCreated
from domain.template import TemplateCreated
from infrastructure.database import DatabaseUrls, connect
from infrastructure.following import Connection, places, restart
from projections import ENVELOPES, PROJECTIONS, SIGNERS, TEMPLATES
from projections.projection import Item, Projection
from projections.rebuild import ensure_tables
from projections.runner import Runner
from tests.histories import RecordedLog
from tests.integration.read_side import append, envelopes, of_type, positions, tallied, tally


def run(conn: Connection, *projections: Projection, batch: int = 50) -> None:
    runner = Runner(projections, batch=batch)
    while runner.step(conn):
        pass


def cut(owner: Connection, conn: Connection) -> None:
    owner.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])


@pytest.fixture
def owner(database: DatabaseUrls) -> Iterator[Connection]:
    with connect(database.owner) as conn:
        yield conn


def test_a_connection_cut_before_the_commit_leaves_nothing_and_the_next_takes_all(
    database: DatabaseUrls, owner: Connection
) -> None:
    ensure_tables(database.owner, [tally()])
    head = append(owner, envelopes(2))
    for at in (1, 13, head):
        with connect(database.service) as conn:
            lost = tally(on_item=lambda item: cut(owner, conn) if item.position == at else None)  # noqa: B023
            with pytest.raises(psycopg.OperationalError):
                run(conn, lost, batch=head)
        assert positions(database.owner)["tally"] == (0, "running")
        assert tallied(database.owner) == []
    with connect(database.service) as conn:
        run(conn, tally(), batch=head)
    assert tallied(database.owner) == list(range(1, head + 1))


class Unanswered(psycopg.Connection[Any]):
    """A connection whose commits happen, and whose client hears instead that the connection is lost."""

    commits_answered = 0

    @contextlib.contextmanager
    def transaction(self, savepoint_name: str | None = None, force_rollback: bool = False) -> Iterator[psycopg.Transaction]:
        with super().transaction(savepoint_name, force_rollback) as transaction:
            yield transaction
        if self.commits_answered == 0:
            self.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        self.commits_answered -= 1


@pytest.mark.parametrize("answered", [0, 1, 4])
def test_a_commit_whose_answer_is_lost_is_not_done_again(database: DatabaseUrls, owner: Connection, answered: int) -> None:
    ensure_tables(database.owner, [tally()])
    head = append(owner, envelopes(2))
    with Unanswered.connect(database.service, autocommit=True) as conn:
        conn.commits_answered = answered
        with pytest.raises(psycopg.OperationalError):
            run(conn, tally(), batch=5)
    assert tallied(database.owner) == list(range(1, 5 * (answered + 1) + 1))
    with connect(database.service) as conn:
        run(conn, tally(), batch=5)
    assert tallied(database.owner) == list(range(1, head + 1))


def test_runners_that_do_not_know_of_each_other_do_everything_once(database: DatabaseUrls, owner: Connection) -> None:
    ensure_tables(database.owner, [tally("a"), tally("b")])
    head = append(owner, envelopes(6))
    together = threading.Barrier(3)

    def work(batch: int) -> None:
        with connect(database.service) as conn:
            together.wait()
            run(conn, tally("a"), tally("b"), batch=batch)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(work, (1, 2, 3)))
    assert tallied(database.owner, "a") == tallied(database.owner, "b") == list(range(1, head + 1))


@pytest.mark.parametrize("at", [1, 2, 26, 49, 50, 51, 53])
@pytest.mark.parametrize("batch", [1, 50, 1000])
def test_a_poison_entry_stops_its_projection_there_and_no_other(
    database: DatabaseUrls, owner: Connection, at: int, batch: int
) -> None:
    def refuse(item: Item) -> None:
        if item.position == at:
            raise KeyError("documents")

    sick, well = tally("sick", refuse), tally("well")
    ensure_tables(database.owner, [sick, well])
    head = append(owner, envelopes(4))
    with connect(database.service) as conn:
        run(conn, sick, well, batch=batch)
        assert positions(database.owner) == {"sick": (at - 1, "stopped"), "well": (head, "running")}
        assert tallied(database.owner, "sick") == list(range(1, at))
        assert tallied(database.owner, "well") == list(range(1, head + 1))
        error = places(conn, ["sick"])["sick"].error
        assert error is not None
        assert error.startswith(f"entry {at} (")
        assert "documents" in error

        run(conn, sick, well, batch=batch)
        assert positions(database.owner)["sick"] == (at - 1, "stopped")
        assert restart(conn, "sick")
        run(conn, replace(sick, fold=tally("sick").fold), well, batch=batch)
    assert positions(database.owner) == {"sick": (head, "running"), "well": (head, "running")}
    assert tallied(database.owner, "sick") == tallied(database.owner, "well") == list(range(1, head + 1))


def test_a_row_that_the_database_refuses_is_poison_as_well(database: DatabaseUrls, owner: Connection) -> None:
    sick = tally("sick", ddl="ALTER TABLE sick ADD CHECK (NOT 9 = ANY(positions));")
    ensure_tables(database.owner, [sick])
    append(owner, envelopes(1))
    with connect(database.service) as conn:
        run(conn, sick)
        found = places(conn)["sick"]
    assert (found.position, found.running) == (8, False)
    assert found.error is not None
    assert "violates check constraint" in found.error


def test_a_projection_stops_at_a_fact_of_its_streams_that_it_does_not_know(database: DatabaseUrls, owner: Connection) -> None:
    ensure_tables(database.owner)
    log = RecordedLog()
    log.open_envelope()
    first = len(log.rows)
    append(owner, [*log.rows, of_type(log.append(log.uuid(), EnvelopeSent.TYPE, {}), "envelope.renamed/1")])
    with connect(database.service) as conn:
        run(conn, *PROJECTIONS)
    assert positions(database.owner) == {
        each.name: (first, "stopped") if "envelope" in each.kinds else (first + 1, "running") for each in PROJECTIONS
    }


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[]", b'{"at":"2026-11-20T22:30:00.000000Z"}'])
def test_bytes_that_are_no_entry_stop_those_who_need_them(database: DatabaseUrls, owner: Connection, raw: bytes) -> None:
    ensure_tables(database.owner)
    log = RecordedLog()
    log.open_envelope()
    damaged = replace(log.append(log.uuid(), EnvelopeCancelled.TYPE, {}), raw=raw)
    append(owner, [*log.rows[:-1], damaged])
    with connect(database.service) as conn:
        run(conn, *PROJECTIONS)
    head = len(log.rows)
    assert positions(database.owner) == {
        each.name: (head - 1, "stopped") if EnvelopeCancelled.TYPE in each.handles else (head, "running") for each in PROJECTIONS
    }
    assert EnvelopeCancelled.TYPE in ENVELOPES.handles


def test_a_fact_of_something_never_created_is_poison(database: DatabaseUrls, owner: Connection) -> None:
    ensure_tables(database.owner)
    log = RecordedLog().of_every_kind()
    beginnings = (EnvelopeCreated.TYPE, ProcessCreated.TYPE, TemplateCreated.TYPE)
    append(owner, [row for row in log.rows if row.type not in beginnings])
    with connect(database.service) as conn:
        run(conn, *PROJECTIONS)
        found = places(conn, [each.name for each in (ENVELOPES, SIGNERS, TEMPLATES)])
    assert len(found) == 3
    assert not any(place.running for place in found.values())
    assert all("never created" in (place.error or "") for place in found.values())


def test_a_runner_of_other_code_leaves_the_tables_alone(database: DatabaseUrls, owner: Connection) -> None:
    ensure_tables(database.owner, [tally()])
    head = append(owner, envelopes(1))
    with connect(database.service) as conn:
        older = replace(tally(), number=0)
        assert not Runner([older]).step(conn)
        assert positions(database.owner)["tally"] == (0, "running")
        run(conn, tally())
    assert tallied(database.owner) == list(range(1, head + 1))


def test_entries_that_nobody_needs_move_the_positions_all_the_same(database: DatabaseUrls, owner: Connection) -> None:
    ensure_tables(database.owner)
    log = RecordedLog()
    log.completed()
    log.record({holds_stream(log.tenant): (HoldPlaced(log.tenant, log.uuid(), None, "dispute", None),)})
    head = append(owner, log.rows)
    with connect(database.service) as conn:
        run(conn, *PROJECTIONS, batch=1)
    assert positions(database.owner) == {each.name: (head, "running") for each in PROJECTIONS}


def test_a_projection_that_forgets_a_fact_cannot_be_made() -> None:
    with pytest.raises(TypeError, match=r"neither handles nor skips envelope\.cancelled/1"):
        replace(ENVELOPES, handles=ENVELOPES.handles - {EnvelopeCancelled.TYPE})
    with pytest.raises(TypeError, match="handles and skips"):
        replace(SIGNERS, skips=SIGNERS.skips | SIGNERS.handles)


def test_a_change_of_tables_indexes_or_fold_is_another_revision() -> None:
    revisions = {
        TEMPLATES.revision,
        replace(TEMPLATES, ddl=TEMPLATES.ddl + "\n").revision,
        replace(TEMPLATES, indexes="").revision,
        replace(TEMPLATES, number=99).revision,
    }
    assert len(revisions) == 4
