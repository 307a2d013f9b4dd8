"""The lists of the surfaces: complete, without repeats while rows are added, and of the caller's own alone."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import UUID, uuid4

import pytest

from domain.actor import Mode
from domain.coordination import CancelEnvelope, Participate
from domain.envelope import EnvelopeStatus
from domain.signing import Channel, OpenSession, SendOtp, Session, ViewDocument
from infrastructure.database import DatabaseUrls, connect
from infrastructure.following import Connection
from infrastructure.reading import AsyncConnection
from projections import envelopes, signers
from projections.envelopes import EnvelopeRow
from projections.moment import Moment
from projections.rebuild import ensure_tables
from tests.histories import RecordedLog
from tests.integration.read_side import Roamer, append, catch_up, query


@pytest.fixture
def owner(database: DatabaseUrls) -> Iterator[Connection]:
    ensure_tables(database.owner)
    with connect(database.owner) as conn:
        yield conn


class Growing:
    """A log and its read models, which new rows reach in between the reads."""

    def __init__(self, database: DatabaseUrls, owner: Connection, seed: int = 1) -> None:
        self._database, self._owner = database, owner
        self.walk = Roamer(seed)
        self.log = self.walk.log
        self._appended = 0

    def flush(self) -> None:
        append(self._owner, self.log.rows[self._appended :])
        self._appended = len(self.log.rows)
        catch_up(self._database)

    def open(self, count: int, *, at_once: bool = False) -> list[UUID]:
        """Sent envelopes; `at_once` gives all of them the same time."""
        opened = []
        for _ in range(count):
            now = self.log.now
            opened.append(self.log.open_envelope(participants=1, documents=1)[0])
            if at_once:
                self.log.now = now
        self.log.later()
        return opened

    def wander(self, steps: int) -> None:
        for _ in range(steps):
            self.walk.go(self.log.random.randrange(16), self.log.random.randrange(1001))


@pytest.fixture
def growing(database: DatabaseUrls, owner: Connection) -> Growing:
    return Growing(database, owner)


def older(
    database: DatabaseUrls, log: RecordedLog, limit: int, than: Moment | None, source: UUID | None = None
) -> list[EnvelopeRow]:
    async def ask(conn: AsyncConnection) -> Sequence[EnvelopeRow]:
        return await envelopes.older(conn, log.tenant, Mode.LIVE, limit, than=than, source=source)

    return list(query(database, ask))


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7])
def test_pages_by_time_lose_and_repeat_nothing_where_many_rows_have_the_same_time(
    database: DatabaseUrls, growing: Growing, limit: int
) -> None:
    before = [it for count in (3, 1, 5, 4) for it in growing.open(count, at_once=True)]
    growing.flush()
    assert len({row.created_at for row in older(database, growing.log, 50, None)}) == 4
    seen: list[UUID] = []
    than: Moment | None = None
    while rows := older(database, growing.log, limit, than):
        seen += [row.id for row in rows]
        cursor = rows[-1].moment.spell()
        than = Moment.parse(cursor)
        growing.open(2, at_once=True)
        growing.flush()
    assert seen == before[::-1]


def test_a_plain_time_as_the_cursor_gives_what_is_strictly_older(database: DatabaseUrls, growing: Growing) -> None:
    growing.open(2, at_once=True)
    growing.open(3, at_once=True)
    growing.flush()
    everything = older(database, growing.log, 50, None)
    for row in everything:
        expected = [it.id for it in everything if it.created_at < row.created_at]
        assert [it.id for it in older(database, growing.log, 50, Moment(row.created_at))] == expected
    assert older(database, growing.log, 50, Moment(everything[0].created_at + timedelta(microseconds=1))) == everything


def test_envelopes_are_found_by_what_their_documents_were_made_from(database: DatabaseUrls, growing: Growing) -> None:
    growing.wander(150)
    for which in range(40):
        growing.walk.go(0, which)
        growing.walk.go(3, len(growing.walk.drafts) - 1)
    growing.flush()
    everything = older(database, growing.log, 500, None)
    assert EnvelopeStatus.DRAFT not in {row.status for row in everything}
    drafts = {it for it in growing.walk.drafts if growing.log.states[it].status is EnvelopeStatus.DRAFT}
    assert drafts
    for source in growing.walk.papers:
        expected = [row.id for row in everything if source in {it.source for it in row.documents}]
        assert len(expected) > 4
        pages: list[UUID] = []
        than: Moment | None = None
        while rows := older(database, growing.log, 2, than, source):
            pages += [row.id for row in rows]
            than = rows[-1].moment
        assert pages == expected
    assert older(database, growing.log, 9, None, uuid4()) == []


def window(database: DatabaseUrls, log: RecordedLog, limit: int, **where: object) -> tuple[list[UUID], list[int], bool]:
    async def ask(conn: AsyncConnection) -> envelopes.Window:
        return await envelopes.window(conn, log.tenant, Mode.LIVE, limit, **where)  # type: ignore[arg-type]

    found = query(database, ask)
    return [row.id for row in found.rows], [row.created_position for row in found.rows], found.has_more


@pytest.mark.parametrize("count", [0, 1, 3, 4, 8, 9])
def test_windows_lead_through_a_growing_list_there_and_back(database: DatabaseUrls, growing: Growing, count: int) -> None:
    before = growing.open(count)
    growing.flush()
    seen, places, more = window(database, growing.log, 4)
    while more:
        growing.open(1)
        growing.flush()
        ids, positions, more = window(database, growing.log, 4, after=places[-1])
        seen, places = seen + ids, places + positions
    assert seen == before[::-1]
    if not places:
        return
    ids, positions, more = window(database, growing.log, 4, after=places[-1])
    assert (ids, more) == ([], False)
    back: list[UUID] = [seen[-1]]
    position, more = places[-1], True
    while more:
        ids, positions, more = window(database, growing.log, 4, before=position)
        back = ids + back
        position = positions[0] if positions else position
    assert back[-len(seen) :] == seen
    assert len(back) == len(set(back)) == sum(row.type == "envelope.created/3" for row in growing.log.rows)


def test_a_window_in_two_directions_is_a_mistake(database: DatabaseUrls, growing: Growing) -> None:
    with pytest.raises(ValueError, match="after a row or ends before one"):
        window(database, growing.log, 4, after=1, before=9)


def test_filters_restrict_lists_to_what_they_say(database: DatabaseUrls, growing: Growing) -> None:
    growing.wander(250)
    growing.flush()
    everything = _all(database, growing.log)
    assert {row.status for row in everything} >= {EnvelopeStatus.DRAFT, EnvelopeStatus.SENT, EnvelopeStatus.COMPLETED}
    for statuses in (
        [],
        [EnvelopeStatus.SENT],
        [EnvelopeStatus.DRAFT, EnvelopeStatus.CANCELLED],
        [EnvelopeStatus.SENT] * 2,
        list(EnvelopeStatus),
    ):
        for started in (None, False, True):
            for signed in (None, False, True):
                expected = [
                    row.id
                    for row in everything
                    if row.status in statuses and started in (None, row.started) and signed in (None, row.completed > 0)
                ]
                filters = {"statuses": statuses, "started": started, "signed": signed}
                assert window(database, growing.log, 500, **filters)[0] == expected
    assert any(row.status is EnvelopeStatus.SENT and row.completed for row in everything)


def _all(database: DatabaseUrls, log: RecordedLog) -> tuple[EnvelopeRow, ...]:
    return query(database, lambda conn: envelopes.page(conn, log.tenant, Mode.LIVE, 10_000, descending=True))


def test_a_managers_list_is_of_the_locations_in_scope_and_an_admins_of_all(database: DatabaseUrls, growing: Growing) -> None:
    growing.wander(200)
    growing.flush()
    everything = sorted(_all(database, growing.log), key=lambda row: (row.updated_at, row.created_position), reverse=True)
    places = growing.walk.places

    def latest(locations: Iterable[UUID] | None, limit: int = 500) -> list[UUID]:
        scope = None if locations is None else list(locations)
        found = query(database, lambda conn: envelopes.latest(conn, growing.log.tenant, Mode.LIVE, limit, locations=scope))
        return [row.id for row in found]

    assert latest(None) == [row.id for row in everything]
    assert latest(None, 3) == [row.id for row in everything[:3]]
    for scope in ([], places[:1], places[1:], [*places, *places], [uuid4()]):
        expected = [row.id for row in everything if row.location in scope]
        assert latest(scope) == expected
        assert latest(scope, 3) == expected[:3]
    assert {row.location for row in everything} == {None, *places}


def test_a_person_sees_what_was_sent_to_the_address_most_recently_updated_first(
    database: DatabaseUrls, owner: Connection, growing: Growing
) -> None:
    growing.wander(150)
    growing.flush()
    subject, other = uuid4(), uuid4()
    log, random = growing.log, Random(5)
    people = {row.stream: random.choice([subject, other, None]) for row in log.rows if row.type == "signing.process-created/2"}
    for it in (subject, other):
        owner.execute("INSERT INTO subjects VALUES (%s, %s, 'person', %s, '')", [it, log.tenant, it.bytes])
    for stream, whose in people.items():
        for version, path in ((1, "/email"), (1, "/name"), (2, "/email")):
            if whose is not None:
                owner.execute("INSERT INTO disclosures VALUES (%s, %s, %s, %s, '')", [stream, version, path, whose])
    owner.execute("INSERT INTO disclosures VALUES (%s, 1, '/email', %s, '')", [uuid4(), subject])

    async def ask(conn: AsyncConnection, tenant: UUID, mode: Mode, limit: int) -> tuple[signers.Assignment, ...]:
        return await signers.of_person(conn, tenant, mode, subject, limit)

    found = query(database, lambda conn: ask(conn, log.tenant, Mode.LIVE, 500))
    rows = {row.id: row for row in _all(database, log)}
    sent = {row.id for row in rows.values() if row.sent_at is not None}
    expected = {it for it, whose in people.items() if whose == subject and log.states[it].envelope in sent}
    hidden = {it for it, whose in people.items() if whose == subject} - expected
    assert hidden
    assert {it.signer.id for it in found} == expected
    assert len(found) == len(expected) > 5
    order = [(it.signer.updated_at, it.signer.created_position) for it in found]
    assert order == sorted(order, reverse=True)
    assert all(it.envelope == rows[it.signer.envelope] for it in found)
    assert query(database, lambda conn: ask(conn, log.tenant, Mode.LIVE, 3)) == found[:3]
    assert query(database, lambda conn: ask(conn, log.tenant, Mode.TEST, 3)) == ()
    assert query(database, lambda conn: ask(conn, uuid4(), Mode.LIVE, 3)) == ()

    async def own(conn: AsyncConnection, envelope: UUID) -> list[UUID]:
        return [row.id for row in await signers.of_person_in(conn, log.tenant, Mode.LIVE, subject, envelope)]

    for envelope in rows:
        assert set(query(database, lambda conn: own(conn, envelope))) == {  # noqa: B023
            it for it in expected if log.states[it].envelope == envelope
        }


def test_envelopes_by_their_ids_come_most_recently_updated_first(database: DatabaseUrls, growing: Growing) -> None:
    first, second, third = growing.open(3)
    growing.log.on_package(CancelEnvelope(first))
    growing.flush()

    def of_ids(ids: Sequence[UUID], mode: Mode = Mode.LIVE) -> list[UUID]:
        found = query(database, lambda conn: envelopes.of_ids(conn, growing.log.tenant, mode, ids))
        return [row.id for row in found]

    assert of_ids([third, second, first, first, uuid4()]) == [first, third, second]
    assert of_ids([]) == of_ids([first], Mode.TEST) == []


def test_only_the_first_view_of_a_document_updates_an_envelope(database: DatabaseUrls, growing: Growing) -> None:
    log = growing.log
    envelope, (who,) = log.open_envelope(participants=1, documents=1)
    (paper,) = log.states[who].documents

    def view() -> EnvelopeRow:
        log.on_package(Participate(envelope, ViewDocument(who, paper, log.states[who].documents[paper], log.provenance())))
        growing.flush()
        return _all(database, log)[0]

    seen = view()
    assert seen.viewed
    assert seen.viewed_at == seen.updated_at
    assert view() == seen


def test_started_alone_is_not_viewed(database: DatabaseUrls, growing: Growing) -> None:
    log = growing.log
    envelope, (who,) = log.open_envelope(participants=1, documents=1)
    code = SendOtp(who, Channel.EMAIL, log.personal("123456"), log.now + timedelta(minutes=5), log.provenance())
    log.on_package(Participate(envelope, code))
    growing.flush()
    row = _all(database, log)[0]
    assert row.started
    assert not row.viewed


def test_a_session_is_pending_until_its_time_is_over_or_the_signing_has_ended(database: DatabaseUrls, growing: Growing) -> None:
    log = growing.log

    def opened() -> tuple[UUID, UUID]:
        envelope, (who,) = log.open_envelope(participants=1, documents=1)
        session = Session(log.uuid(), log.random.randbytes(32).hex(), log.now + timedelta(minutes=15))
        log.on_package(Participate(envelope, OpenSession(who, session, log.personal("user_1"), log.now)))
        return envelope, who

    def status(who: UUID, now: datetime) -> object:
        growing.flush()
        row = query(database, lambda conn: signers.get(conn, log.tenant, Mode.LIVE, who))
        assert row is not None
        return row.session_status(now)

    envelope, who = opened()
    begun = log.now
    assert status(who, begun) is signers.SessionStatus.PENDING
    assert status(who, begun + timedelta(minutes=16)) is signers.SessionStatus.EXPIRED
    log.sign(envelope, who)
    assert status(who, begun + timedelta(minutes=16)) is signers.SessionStatus.COMPLETED
    envelope, who = opened()
    log.on_package(CancelEnvelope(envelope))
    assert status(who, log.now) is signers.SessionStatus.CANCELLED
    _, (who,) = log.open_envelope(participants=1, documents=1)
    assert status(who, log.now) is None
