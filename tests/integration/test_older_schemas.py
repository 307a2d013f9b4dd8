"""A ledger that was begun by an older version: nothing of it is written anew, and everything still holds."""

from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from domain.actor import Mode
from domain.coordination import CancelEnvelope
from domain.entry import decode
from domain.envelope import Envelope, EnvelopeStatus
from domain.faults import Verdict
from domain.signing import Signing, SigningStatus
from infrastructure.codec import UPCASTS
from infrastructure.database import DatabaseUrls, connect
from infrastructure.export import export
from infrastructure.export_format import Scope, ScopeKind
from infrastructure.fsck import fsck
from infrastructure.reading import AsyncConnection
from infrastructure.verification import verify
from projections import envelopes, signers
from projections.rebuild import ensure_tables
from tests.conftest import ORIGIN
from tests.evidence_world import EvidenceWorld
from tests.histories import RecordedLog, Row, as_first_stored, store
from tests.integration.read_side import catch_up, query
from tests.running import in_loop, running


@pytest.fixture
def log() -> RecordedLog:
    log = EvidenceWorld(origin=ORIGIN)
    log.template()
    envelope, _ = log.completed()
    log.execute(envelope)
    log.open_envelope()
    return log


@pytest.fixture
def rows(log: RecordedLog) -> list[Row]:
    """The log as it was stored when everything had its first schema; there is nothing of the library in it."""
    rows = as_first_stored(log.rows, *log.states)
    assert {row.type for row in rows} >= {name for name in UPCASTS if name.endswith("/1")} - {"document.file-stored/1"}
    return rows


@pytest.fixture
def begun(database: DatabaseUrls, rows: list[Row]) -> DatabaseUrls:
    with connect(database.owner) as conn:
        store(conn, rows, at=decode(rows[-1].raw).at)
    return database


def test_it_is_valid_stored_and_exported(begun: DatabaseUrls, rows: list[Row], tmp_path: Path) -> None:
    with closing(fsck(begun.service)) as report:
        assert (report.verdict, list(report.faults)) == (Verdict.VALID, [])
        assert report.processes == {Verdict.VALID: 4}
    export(begun.service, Scope(ScopeKind.LOG), tmp_path / "log")
    with closing(verify(tmp_path / "log")) as verified:
        assert (verified.verdict, verified.entries) == (Verdict.VALID, len(rows))
    for envelope in (row.stream for row in rows if row.type == "envelope.created/1"):
        export(begun.service, Scope(ScopeKind.ENVELOPE, str(envelope)), tmp_path / "part")
        with closing(verify(tmp_path / "part")) as verified:
            assert verified.verdict is Verdict.VALID


def test_its_envelopes_and_signers_are_in_the_read_models(begun: DatabaseUrls, log: RecordedLog) -> None:
    ensure_tables(begun.owner)
    catch_up(begun)

    async def check(conn: AsyncConnection) -> None:
        for stream, state in log.states.items():
            if isinstance(state, Envelope):
                row = await envelopes.get(conn, log.tenant, Mode.LIVE, stream)
                assert row is not None
                assert (row.status, row.participants) == (state.status, tuple(state.slots))
                assert [it.id for it in await signers.of_envelope(conn, log.tenant, Mode.LIVE, stream)] == list(state.slots)

    query(begun, check)


@in_loop
async def test_its_envelopes_go_on_where_they_were(
    begun: DatabaseUrls, log: RecordedLog, rows: list[Row], data_folder: Path
) -> None:
    open_ones = [it for it, state in log.states.items() if isinstance(state, Envelope) and state.status is EnvelopeStatus.SENT]
    (envelope,) = open_ones
    async with running(begun, data_folder) as run:
        run.clock.offset = log.now - run.clock.now()
        assert await run.deps.ledger.state(Envelope, envelope) == log.states[envelope]
        for who in log.states[envelope].slots:
            assert await run.deps.ledger.state(Signing, who) == log.states[who]
        await run.handle(CancelEnvelope(envelope))
        for who in log.states[envelope].slots:
            signing = await run.deps.ledger.state(Signing, who)
            assert signing is not None
            assert signing.status is SigningStatus.CANCELLED
    with closing(fsck(begun.service)) as report:
        assert (report.verdict, list(report.faults)) == (Verdict.VALID, [])
    assert first_entries(begun, [envelope]) == [row.raw for row in rows if (row.stream, row.version) == (envelope, 1)]


def first_entries(database: DatabaseUrls, streams: list[UUID]) -> list[bytes]:
    with connect(database.service) as conn:
        found = conn.execute("SELECT entry FROM log WHERE version = 1 AND stream = ANY(%s)", [streams]).fetchall()
    return [bytes(raw) for (raw,) in found]
