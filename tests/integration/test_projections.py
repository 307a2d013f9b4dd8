"""What the read models show: the state that the deciders have, by whichever way it was folded."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain import coordination, template
from domain.actor import Mode
from domain.entry import decode
from domain.envelope import (
    DocumentAdded,
    Envelope,
    EnvelopeCreated,
    EnvelopeSent,
    EnvelopeStatus,
    FailureReason,
    Slot,
    SlotStatus,
)
from domain.signing import (
    ConsentGiven,
    DocumentSigned,
    DocumentViewed,
    InvitationBounced,
    InvitationDelivered,
    Invited,
    OtpFailed,
    OtpSent,
    OtpVerified,
    ProcessCreated,
    SessionOpened,
    Signing,
    SigningStatus,
    Started,
)
from domain.template import Template
from infrastructure.codec import Fact, decode_fact
from infrastructure.database import DatabaseUrls, connect
from infrastructure.following import Connection
from infrastructure.reading import AsyncConnection
from infrastructure.vault import Reference
from projections import PROJECTIONS, documents, envelopes, rebuild, signers, templates
from projections.rebuild import ensure_tables
from projections.signers import InvitationStatus
from tests.histories import START, RecordedLog, Row
from tests.integration.read_side import Roamer, append, catch_up, query

TABLES = [table for projection in PROJECTIONS for table in projection.tables]


@pytest.fixture
def owner(database: DatabaseUrls) -> Iterator[Connection]:
    ensure_tables(database.owner)
    with connect(database.owner) as conn:
        yield conn


def contents(conn: Connection) -> dict[str, list[Any]]:
    """All rows of all tables, in the order of their text."""
    found = {
        table: conn.execute(f"SELECT to_jsonb(t) FROM read.{table} AS t ORDER BY t::text".encode()).fetchall() for table in TABLES
    }
    return found | {"positions": conn.execute("SELECT * FROM read.positions ORDER BY projection").fetchall()}


Told = list[tuple[Row, datetime, Fact]]


def told(log: RecordedLog, stream: UUID) -> Told:
    """The facts of a stream, with their entries and times."""
    entries = [(row, decode(row.raw)) for row in log.rows if row.stream == stream]
    return [(row, entry.at, decode_fact(entry.type, entry.data, entry.personal)) for row, entry in entries]


def first(facts: Told, *kinds: type[Any]) -> datetime | None:
    """When the first fact of these kinds happened."""
    return min((at for _, at, fact in facts if isinstance(fact, kinds)), default=None)


async def check_envelope(conn: AsyncConnection, log: RecordedLog, envelope: UUID, state: Envelope) -> None:
    row = await envelopes.get(conn, log.tenant, Mode.LIVE, envelope)
    assert row is not None
    own = told(log, envelope)
    theirs = [told(log, who) for who in state.slots]
    outcomes = list(state.outcomes.values())
    assert (row.status, row.order_mode, row.on_participant_fail, row.deadline, row.declined_by) == (
        state.status,
        state.order,
        state.on_participant_fail,
        state.deadline,
        state.declined_by if state.status is EnvelopeStatus.DECLINED else None,
    )
    assert row.participants == tuple(state.slots)
    assert (row.completed, row.failed) == (outcomes.count(SlotStatus.COMPLETED), outcomes.count(SlotStatus.FAILED))
    assert [(it.id, it.sha256, it.pages, it.source) for it in row.documents] == [
        (it.id, it.sha256, it.pages, it.source) for it in state.documents
    ]
    assert {it.id for it in row.documents if it.executed_sha256} == set(state.executed)
    assert (row.certificate_sha256 is not None) is (state.certificate is not None)
    assert (row.ended_at is not None) is state.status.final
    created = own[0][2]
    assert isinstance(created, EnvelopeCreated)
    assert row.created_position == row.number == own[0][0].position
    assert (row.location, row.flow, row.fields) == (created.location, created.flow, created.fields)
    assert (row.subject, row.message) == (Reference(envelope, 1, "/subject"), None)
    assert [(it.id, it.name, it.email, it.details is not None) for it in row.copies] == [
        (
            it.id,
            Reference(envelope, 1, f"/copies/{at}/name"),
            Reference(envelope, 1, f"/copies/{at}/email"),
            it.details is not None,
        )
        for at, it in enumerate(created.copies)
    ]
    cancelled = [entry for entry, _, _ in own if entry.type == "envelope.cancelled/1" and b'"/reason"' in entry.raw]
    assert row.reason == (Reference(envelope, cancelled[0].version, "/reason") if cancelled else None)
    assert row.sent_at == first(own, EnvelopeSent)
    views = [at for facts in theirs if (at := first(facts, DocumentViewed))]
    assert row.viewed_at == min(views, default=None)
    starts = [at for facts in theirs if (at := first(facts, Started))]
    assert row.started is bool(starts)
    assert row.updated_at == max([own[-1][1], *starts, min(views, default=own[0][1])])
    for signer in await signers.of_envelope(conn, log.tenant, Mode.LIVE, envelope):
        assert signer == await signers.get_by_number(conn, log.tenant, Mode.LIVE, signer.created_position)
        check_signer(log, signer, log.states[signer.id])
    assert row == await envelopes.get_by_number(conn, log.tenant, Mode.LIVE, row.number)
    await check_documents(conn, log, row, own, theirs)


async def check_documents(
    conn: AsyncConnection, log: RecordedLog, envelope: envelopes.EnvelopeRow, own: Told, theirs: list[Told]
) -> None:
    """Both views of the documents: in their envelope's row, and each by itself."""
    created = own[0][2]
    assert isinstance(created, EnvelopeCreated)
    added = [(entry, at, 0, "/document/title", fact.document) for entry, at, fact in own if isinstance(fact, DocumentAdded)]
    begun = [(*own[0][:2], index, f"/documents/{index}/title", it) for index, it in enumerate(created.documents)]
    rows = await documents.of_envelope(conn, log.tenant, Mode.LIVE, envelope.id, 500)
    signatures = [(at, fact.document) for facts in theirs for _, at, fact in facts if isinstance(fact, DocumentSigned)]
    slots: list[Slot] = list(log.states[envelope.id].slots.values())
    assert [row.place for row in rows] == [place for place, _ in enumerate(rows, 1)]
    for index, (row, (entry, at, offset, path, document)) in enumerate(zip(rows, [*begun, *added], strict=True)):
        title = None if document.title is None else Reference(envelope.id, entry.version, path)
        assert (row.id, row.sha256, row.pages, row.source) == (document.id, document.sha256, document.pages, document.source)
        assert (row.number, row.title, row.created_at) == (entry.position * 1000 + offset, title, at)
        shown = envelope.documents[index]
        assert (shown.id, shown.number, shown.title, shown.executed_sha256) == (
            row.id,
            row.number,
            row.title,
            row.executed_sha256,
        )
        assert row.assigned == sum(row.id in slot.documents for slot in slots)
        assert row.signed == sum(it == row.id for _, it in signatures)
        assert row.updated_at >= max([row.created_at, *(at for at, it in signatures if it == row.id)])
        assert row == await documents.get_by_number(conn, log.tenant, Mode.LIVE, envelope.id, row.number)
        assert row == await documents.get(conn, log.tenant, Mode.LIVE, envelope.id, row.id)


def check_signer(log: RecordedLog, row: signers.SignerRow, state: Signing) -> None:
    own = told(log, row.id)
    created = own[0][2]
    assert isinstance(created, ProcessCreated)
    assert (row.envelope, row.number, row.status, row.created_at) == (
        state.envelope,
        state.number,
        state.status,
        state.created_at,
    )
    assert {it.id: it.signed_at for it in row.documents if it.signed_at} == dict(state.signed)
    assert [(it.id, it.sha256) for it in row.documents] == list(state.documents.items())
    assert row.invitation == (state.invitation.id if state.invitation else None)
    assert row.invitation_expires_at == (state.invitation.expires_at if state.invitation else None)
    reports = {
        fact.invitation: InvitationStatus.BOUNCED if isinstance(fact, InvitationBounced) else InvitationStatus.DELIVERED
        for _, _, fact in own
        if isinstance(fact, InvitationDelivered | InvitationBounced)
    }
    expected = reports.get(state.invitation.id, InvitationStatus.ISSUED) if state.invitation else None
    assert row.invitation_status is expected
    assert (row.bounce_reason is not None) is (expected is InvitationStatus.BOUNCED)
    assert (row.invited_at, row.started_at, row.viewed_at) == (
        first(own, Invited),
        first(own, Started),
        first(own, DocumentViewed),
    )
    assert (row.consented_at, row.first_signed_at) == (first(own, ConsentGiven), first(own, DocumentSigned))
    assert row.ended_at == state.ended_at
    assert row.updated_at == max(at for _, at, fact in own if not isinstance(fact, OtpSent | OtpVerified | OtpFailed))
    assert row.created_position == own[0][0].position
    assert (row.name, row.email, row.phone) == (Reference(row.id, 1, "/name"), Reference(row.id, 1, "/email"), None)
    assert row.details == (None if created.details is None else Reference(row.id, 1, "/details"))
    assert row.human_only is created.human_only
    failures = {SigningStatus.DECLINED: FailureReason.DECLINED, SigningStatus.FAILED: FailureReason.ATTEMPTS_EXHAUSTED}
    assert row.failure is failures.get(state.status)
    ends = {
        SigningStatus.COMPLETED: row.completed_at,
        SigningStatus.DECLINED: row.declined_at,
        SigningStatus.FAILED: row.failed_at,
    }
    assert {status for status, at in ends.items() if at is not None} == {state.status} & ends.keys()
    declined = [entry for entry, _, _ in own if entry.type == "signing.declined/1"]
    assert row.reason == (Reference(row.id, declined[0].version, "/reason") if declined else None)
    opened = [(entry, at) for entry, at, fact in own if isinstance(fact, SessionOpened)]
    assert row.session == (state.session.id if state.session else None)
    assert row.session_expires_at == (state.session.expires_at if state.session else None)
    assert row.session_opened_at == (opened[-1][1] if opened else None)
    assert row.session_user == (Reference(row.id, opened[-1][0].version, "/user") if opened else None)


async def check_template(conn: AsyncConnection, log: RecordedLog, it: UUID, state: Template) -> None:
    versions = await templates.history(conn, log.tenant, Mode.LIVE, it)
    current = await templates.get(conn, log.tenant, Mode.LIVE, it)
    if state.deleted:
        assert (versions, current) == ((), None)
        return
    assert {row.version: template.Version(row.file, row.fields) for row in versions} == dict(state.versions)
    assert current is not None
    assert current == next(row for row in versions if row.current)
    assert current.version == state.current
    for row in versions:
        assert row == await templates.get(conn, log.tenant, Mode.LIVE, it, row.version)
        added = [entry for entry in log.rows if entry.stream == it and b'"/name"' in entry.raw][row.version - 1]
        assert row.name == Reference(it, added.version, "/name")
        assert row.description == (Reference(it, added.version, "/description") if b'"/description"' in added.raw else None)
    assert await templates.get(conn, log.tenant, Mode.LIVE, it, state.latest + 1) is None


@pytest.mark.usefixtures("owner")
# The log only grows, so an example cannot be run again on what it began with: no reuse, no shrinking.
@settings(max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(st.tuples(st.integers(0, 15), st.integers(0, 1000)), min_size=20, max_size=80),
    batch=st.integers(1, 30),
    kept=st.integers(1, 50),
)
def test_read_models_show_what_the_deciders_know_however_they_were_made(
    database: DatabaseUrls, acts: list[tuple[int, int]], batch: int, kept: int
) -> None:
    walk = Roamer(uuid4().int)
    for kind, which in acts:
        walk.go(kind, which)
    log = walk.log
    with connect(database.owner) as conn:
        head = append(conn, log.rows)
        catch_up(database, batch)
        for row in log.rows:  # as they stand in the log, which other examples have begun
            object.__setattr__(row, "position", row.position + head - len(log.rows))
        followed = contents(conn)

        async def check(conn: AsyncConnection) -> None:
            for envelope in (*walk.drafts, *(it for it, _ in walk.envelopes)):
                await check_envelope(conn, log, envelope, log.states[envelope])
            for it in walk.templates:
                await check_template(conn, log, it, log.states[it])

        query(database, check)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rebuild, "BATCH", batch)
            patch.setattr(rebuild, "ROWS_KEPT", kept)
            patch.setattr(rebuild, "_CLOSE", batch)
            rebuild.rebuild(database.owner)
        assert contents(conn) == followed


def test_every_way_in_which_an_envelope_can_end_is_shown(database: DatabaseUrls, owner: Connection) -> None:
    log = RecordedLog().of_every_kind()
    append(owner, log.rows)
    catch_up(database)
    ends = {state.status for state in log.states.values() if isinstance(state, Envelope)}
    assert ends >= {
        EnvelopeStatus.COMPLETED,
        EnvelopeStatus.DECLINED,
        EnvelopeStatus.CANCELLED,
        EnvelopeStatus.EXPIRED,
        EnvelopeStatus.SENT,
    }

    async def check(conn: AsyncConnection) -> None:
        for stream, state in log.states.items():
            if isinstance(state, Envelope):
                await check_envelope(conn, log, stream, state)
            elif isinstance(state, Template):
                await check_template(conn, log, stream, state)

    query(database, check)


def test_the_reads_of_one_tenant_and_mode_show_nothing_of_others(database: DatabaseUrls, owner: Connection) -> None:
    log = RecordedLog()
    it = log.template()
    envelope, (who, _) = log.completed()
    append(owner, log.rows)
    catch_up(database)

    async def found(conn: AsyncConnection, tenant: UUID, mode: Mode) -> list[bool]:
        return [
            await envelopes.get(conn, tenant, mode, envelope) is not None,
            bool(await envelopes.page(conn, tenant, mode, 10)),
            await signers.get(conn, tenant, mode, who) is not None,
            bool(await signers.of_envelope(conn, tenant, mode, envelope)),
            await templates.get(conn, tenant, mode, it) is not None,
            bool(await templates.history(conn, tenant, mode, it)),
            bool(await templates.page(conn, tenant, mode, 10)),
        ]

    assert query(database, lambda conn: found(conn, log.tenant, Mode.LIVE)) == [True] * 7
    assert query(database, lambda conn: found(conn, log.tenant, Mode.TEST)) == [False] * 7
    assert query(database, lambda conn: found(conn, uuid4(), Mode.LIVE)) == [False] * 7


def test_no_personal_value_reaches_a_read_model(database: DatabaseUrls, owner: Connection) -> None:
    log = RecordedLog().of_every_kind()
    append(owner, log.rows)
    catch_up(database)
    text = str(contents(owner))
    for value in ("Ana", "@example.com", "Contrato", "Firma", "203.0.113.9", "Mozilla", "I agree"):
        assert value not in text
    commitments = {commitment for row in log.rows for commitment in _commitments(row.raw)}
    assert commitments
    assert not [commitment for commitment in commitments if commitment in text]


def _commitments(raw: bytes) -> list[str]:
    return list(decode(raw).personal.values())


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("kind", ["envelopes", "templates"])
def test_pages_stay_where_they_are_while_rows_are_added(
    database: DatabaseUrls, owner: Connection, kind: str, descending: bool
) -> None:
    log = RecordedLog()
    ids: list[UUID] = []

    def add(count: int) -> None:
        before = len(log.rows)
        ids.extend(log.template() if kind == "templates" else log.open_envelope()[0] for _ in range(count))
        append(owner, log.rows[before:])
        catch_up(database)

    async def page(conn: AsyncConnection, after: int | None) -> list[tuple[UUID, int]]:
        if kind == "templates":
            shown = await templates.page(conn, log.tenant, Mode.LIVE, 4, after=after, descending=descending)
            return [(row.template, row.created_position) for row in shown]
        found = await envelopes.page(conn, log.tenant, Mode.LIVE, 4, after=after, descending=descending)
        return [(row.id, row.created_position) for row in found]

    add(10)
    first = list(reversed(ids)) if descending else list(ids)
    pages: list[list[UUID]] = []
    after = None
    while True:
        shown = query(database, lambda conn: page(conn, after))  # noqa: B023
        pages.append([it for it, _ in shown])
        if len(shown) < 4:
            break
        after = shown[-1][1]
        if len(pages) < 3:
            add(2)
    seen = [it for each in pages for it in each]
    expected = first if descending else ids
    assert seen == expected
    again = query(database, lambda conn: page(conn, None))
    assert [it for it, _ in again] == (list(reversed(ids))[:4] if descending else pages[0])


def test_lists_are_restricted_by_status_and_by_whether_anybody_acted(database: DatabaseUrls, owner: Connection) -> None:
    log = RecordedLog()
    completed, _ = log.completed()
    untouched, _ = log.open_envelope()
    begun, (first, _) = log.open_envelope()
    log.sign(begun, first)
    cancelled, _ = log.open_envelope()
    log.on_package(coordination.CancelEnvelope(cancelled))
    append(owner, log.rows)
    catch_up(database)

    def listed(**filters: Any) -> list[UUID]:
        return [row.id for row in query(database, lambda conn: envelopes.page(conn, log.tenant, Mode.LIVE, 9, **filters))]

    assert listed() == [completed, untouched, begun, cancelled]
    assert listed(statuses=[EnvelopeStatus.COMPLETED, EnvelopeStatus.CANCELLED]) == [completed, cancelled]
    assert listed(statuses=[EnvelopeStatus.SENT], started=False) == [untouched]
    assert listed(statuses=[EnvelopeStatus.SENT], started=True, descending=True) == [begun]
    assert listed(statuses=[]) == []


def test_what_is_due_is_open_and_past_its_deadline(database: DatabaseUrls, owner: Connection) -> None:
    log = RecordedLog()
    later, _ = log.open_envelope(deadline=timedelta(minutes=10))
    soon, _ = log.open_envelope(deadline=timedelta(minutes=5))
    log.open_envelope(deadline=None)
    ended, _ = log.open_envelope(deadline=timedelta(minutes=1))
    log.on_package(coordination.CancelEnvelope(ended))
    append(owner, log.rows)
    catch_up(database)

    def due(minutes: float, limit: int = 10) -> tuple[UUID, ...]:
        return query(database, lambda conn: envelopes.due(conn, START.astimezone(UTC) + timedelta(minutes=minutes), limit))

    assert due(4) == ()
    assert due(6) == (soon,)
    assert due(11) == (soon, later)
    assert due(11, 1) == (soon,)


def test_signers_come_in_the_order_of_their_numbers_by_envelope(database: DatabaseUrls, owner: Connection) -> None:
    log = RecordedLog()
    opened = dict(log.open_envelope(participants=count) for count in (3, 1))
    append(owner, log.rows)
    catch_up(database)
    unknown = uuid4()
    found = query(database, lambda conn: signers.of_envelopes(conn, log.tenant, Mode.LIVE, [*opened, unknown]))
    assert {envelope: tuple(row.id for row in rows) for envelope, rows in found.items()} == {**opened, unknown: ()}
    assert [row.number for row in found[next(iter(opened))]] == [1, 2, 3]
