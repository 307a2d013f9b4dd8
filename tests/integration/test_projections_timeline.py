"""The timeline: what is stored, whole and in order, so that its reader can check it alone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import sha256
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from domain.actor import Mode
from domain.entry import NO_PREVIOUS
from domain.ids import ProcessId
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.reading import AsyncConnection
from projections import timeline
from projections.timeline import DamagedEntry, Timeline
from tests.histories import RecordedLog, as_first_stored
from tests.integration.read_side import append

T = TypeVar("T")


@pytest.fixture
def log(database: DatabaseUrls) -> RecordedLog:
    log = RecordedLog()
    log.template()
    log.completed()
    return log


def query(database: DatabaseUrls, ask: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    async def run() -> T:
        async with async_pool(database.service) as pool, pool.connection() as conn:
            return await ask(conn)

    return asyncio.run(run())


def of_process(database: DatabaseUrls, envelope: UUID, participant: UUID) -> Timeline | None:
    return query(database, lambda conn: timeline.of_process(conn, ProcessId(envelope, participant)))


def test_the_timeline_of_a_process_is_its_stream_and_proves_its_own_chain(database: DatabaseUrls, log: RecordedLog) -> None:
    envelope, (who, _) = log.completed()
    log.completed()
    with connect(database.service) as conn:
        append(conn, log.rows)
    found = of_process(database, envelope, who)
    assert found is not None
    assert (found.tenant, found.mode, found.envelope) == (log.tenant, Mode.LIVE, envelope)
    stored = [row for row in log.rows if row.stream == who]
    assert [(entry.position, entry.version, entry.type, entry.raw.encode()) for entry in found.entries] == [
        (row.position, row.version, row.type, row.raw) for row in stored
    ]
    previous = NO_PREVIOUS
    for entry in found.entries:
        assert entry.previous == previous
        assert sha256(b"\x00" + entry.raw.encode()).digest() == entry.leaf
        previous = entry.leaf
    assert found.entries[0].data["envelope"] == str(envelope)
    assert set(found.entries[0].personal) == {"/name", "/email"}
    assert found.entries[0].by == {"id": "key-1", "kind": "partner-key"}


def test_the_timeline_of_an_envelope_is_merged_with_those_of_its_processes(database: DatabaseUrls, log: RecordedLog) -> None:
    envelope, whose = log.completed()
    log.completed()
    with connect(database.service) as conn:
        append(conn, log.rows)
    found = query(database, lambda conn: timeline.of_envelope(conn, envelope))
    assert found is not None
    assert [entry.position for entry in found.entries] == [row.position for row in log.rows if row.stream in (envelope, *whose)]
    assert found.entries[0].type == "envelope.created/3"


def test_whoever_was_added_to_a_draft_is_in_the_timeline_of_the_envelope(database: DatabaseUrls, log: RecordedLog) -> None:
    envelope, whose = log.drafted()
    with connect(database.service) as conn:
        append(conn, log.rows)
    found = query(database, lambda conn: timeline.of_envelope(conn, envelope))
    assert found is not None
    assert [entry.position for entry in found.entries] == [row.position for row in log.rows if row.stream in (envelope, *whose)]
    assert {entry.stream for entry in found.entries} == {envelope, *whose}


def test_entries_of_the_first_schema_are_shown_as_they_are_stored_and_known_for_what_they_are(
    database: DatabaseUrls, log: RecordedLog
) -> None:
    envelope, (who, _) = log.completed()
    rows = as_first_stored(log.rows, envelope, who)
    with connect(database.service) as conn:
        append(conn, rows)
    found = query(database, lambda conn: timeline.of_envelope(conn, envelope))
    process = of_process(database, envelope, who)
    assert found is not None
    assert process is not None
    assert (found.entries[0].type, found.entries[0].current_type) == ("envelope.created/1", "envelope.created/3")
    assert (process.entries[0].type, process.entries[0].current_type) == (
        "signing.process-created/1",
        "signing.process-created/2",
    )
    assert "fields" not in found.entries[0].data
    assert [entry.raw.encode() for entry in process.entries] == [row.raw for row in rows if row.stream == who]


def test_what_is_not_a_process_or_an_envelope_has_no_timeline(database: DatabaseUrls, log: RecordedLog) -> None:
    envelope, (who, _) = log.completed()
    other, _ = log.completed()
    it = log.template()
    with connect(database.service) as conn:
        append(conn, log.rows)
    for pair in [(other, who), (uuid4(), who), (envelope, uuid4()), (envelope, envelope), (it, it)]:
        assert of_process(database, *pair) is None
    for stream in (uuid4(), who, it):
        assert query(database, lambda conn: timeline.of_envelope(conn, stream)) is None  # noqa: B023


def test_an_entry_changed_in_the_database_is_shown_as_it_stands(database: DatabaseUrls, log: RecordedLog) -> None:
    envelope, (who, _) = log.completed()
    rows = list(log.rows)
    index = next(index for index, row in enumerate(rows) if row.stream == who and row.type == "signing.consent-given/1")
    rows[index] = replace(rows[index], raw=rows[index].raw.replace(b"es-PE", b"en-GB"))
    with connect(database.service) as conn:
        append(conn, rows)
    found = of_process(database, envelope, who)
    assert found is not None
    wrong = [entry.position for entry in found.entries if sha256(b"\x00" + entry.raw.encode()).digest() != entry.leaf]
    assert wrong == [index + 1]


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:-1], lambda raw: b"[]", lambda raw: raw.replace(b'"at":"2026', b'"at":"year'), lambda raw: b"\xff" + raw],
)
def test_bytes_that_are_no_entry_are_reported_with_their_position(
    database: DatabaseUrls, log: RecordedLog, damage: Callable[[bytes], bytes]
) -> None:
    envelope, (who, _) = log.completed()
    rows = list(log.rows)
    index = max(index for index, row in enumerate(rows) if row.stream == who)
    rows[index] = replace(rows[index], raw=damage(rows[index].raw))
    with connect(database.service) as conn:
        append(conn, rows)
    with pytest.raises(DamagedEntry) as damaged:
        of_process(database, envelope, who)
    assert damaged.value.position == index + 1
