"""What a list costs: the rows it looks at, counted by PostgreSQL, are those it shows and not those there are."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from domain.actor import Mode
from domain.envelope import EnvelopeStatus
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.reading import AsyncConnection
from projections import documents, envelopes, signers
from projections.moment import Moment
from projections.rebuild import ensure_tables
from tests.conftest import Server

TENANT: Final = UUID(int=1)
#: As many as are made below.
ROWS: Final = 20_000
LIMIT: Final = 20
SUBJECT: Final = UUID(int=7)
COMMON_SOURCE: Final = UUID("8".zfill(32))
RARE_SOURCE: Final = UUID("9".zfill(32))
#: One envelope in this many is the person's, of the rare status and of the rare source.
RARE: Final = 200

#: Envelopes of two tenants and two modes, at eight times each, with two documents and two signers.
_FILL: Final = """
INSERT INTO read.envelopes (id, tenant, mode, status, started, order_mode, on_participant_fail, created_at, created_position,
    updated_at, sent_at, location, participants, completed, failed, documents, fields, copies, personal)
SELECT uuid_in(md5('e' || n)::cstring), uuid_in(lpad((1 + n % 2)::text, 32, '0')::cstring),
    CASE WHEN n % 10 = 0 THEN 'test' ELSE 'live' END, CASE WHEN n % 200 = 2 THEN 'declined' WHEN n % 7 = 0 THEN 'draft' ELSE 'sent' END,
    n % 3 = 0, 'parallel', 'continue', timestamptz '2026-01-01' + make_interval(secs => n / 8), n * 10,
    timestamptz '2026-01-01' + make_interval(secs => (n * 7919) % 20000), timestamptz '2026-01-01',
    uuid_in(lpad((n % 50)::text, 32, '0')::cstring), '{}', 0, 0,
    jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'number', n * 10000 + 1, 'sha256', '', 'pages', 1, 'title', null,
        'source', null, 'executed_sha256', null,
        'added_at', timestamptz '2026-01-01')), '[]', '{}', '{}'
FROM generate_series(1, 20000) AS n;
"""
_FILL_SOURCES: Final = """
INSERT INTO read.envelope_sources (envelope, source, tenant, mode, created_at, created_position)
SELECT id, uuid_in(lpad(CASE WHEN created_position / 10 % 200 = 4 THEN '9' ELSE '8' END, 32, '0')::cstring),
    tenant, mode, created_at, created_position FROM read.envelopes;
"""
_FILL_SIGNERS: Final = """
INSERT INTO read.signers (id, envelope, tenant, mode, number, modes, human_only, status, documents, personal, created_at,
    created_position, updated_at)
SELECT uuid_in(md5('s' || k || e.id)::cstring), e.id, e.tenant, e.mode, k, '{}', false, 'invited', '[]', '{}', e.created_at,
    e.created_position + k, e.updated_at
FROM read.envelopes AS e, generate_series(1, 2) AS k;
"""
_FILL_SUBJECTS: Final = """
INSERT INTO subjects SELECT uuid_in(lpad(n::text, 32, '0')::cstring), uuid_in(lpad('1', 32, '0')::cstring), 'person', n::text::bytea, ''
FROM generate_series(7, 8) AS n;
"""
_FILL_DISCLOSURES: Final = """
INSERT INTO disclosures
SELECT s.id, 1, path, uuid_in(lpad(CASE WHEN s.created_position / 10 % 200 = 4 THEN '7' ELSE '8' END, 32, '0')::cstring), ''
FROM read.signers AS s, unnest(ARRAY['/email', '/name', '/details']) AS path;
"""


class Counting:
    """A connection on which each query is first run under EXPLAIN ANALYZE; `looked_at` are the rows its scans came across."""

    def __init__(self, conn: AsyncConnection) -> None:
        self._conn = conn
        self.looked_at = 0
        self.scans: set[str] = set()

    async def execute(self, query: bytes, values: Mapping[str, Any]) -> Any:
        plan = await self._conn.execute(b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + query, values)
        row = await plan.fetchone()
        assert row is not None
        self._walk(row[0][0]["Plan"])
        return await self._conn.execute(query, values)

    def _walk(self, node: Mapping[str, Any]) -> None:
        if "Relation Name" in node:
            self.scans.add(node["Node Type"])
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            self.looked_at += int(rows * node["Actual Loops"])
        for child in node.get("Plans", ()):
            self._walk(child)


Ask = Callable[[AsyncConnection, int], Awaitable[object]]


def _moment(position: int) -> Moment:
    """Of the envelope that stands at a position."""
    return Moment(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=position // 10 // 8), position)


def _window(conn: AsyncConnection, at: int, *statuses: EnvelopeStatus) -> Awaitable[object]:
    return envelopes.window(conn, TENANT, Mode.LIVE, LIMIT, after=at, statuses=statuses or None)


#: Pages of lists, from a position on, with the rows that such a page may look at.
PAGES: Final[Mapping[str, tuple[Ask, int]]] = {
    "all, oldest first": (lambda conn, at: envelopes.page(conn, TENANT, Mode.LIVE, LIMIT, after=at), LIMIT),
    "all, newest first": (_window, LIMIT + 1),
    "all, backwards": (lambda conn, at: envelopes.window(conn, TENANT, Mode.LIVE, LIMIT, before=at), LIMIT + 1),
    "of a rare status": (lambda conn, at: _window(conn, at, EnvelopeStatus.DECLINED), LIMIT + 1),
    "of a status that none has": (lambda conn, at: _window(conn, at, EnvelopeStatus.FAILED), 0),
    "of statuses, common and rare": (
        lambda conn, at: _window(conn, at, EnvelopeStatus.DECLINED, EnvelopeStatus.DRAFT, EnvelopeStatus.FAILED),
        2 * (LIMIT + 1),
    ),
    "sent and signed by nobody": (
        lambda conn, at: envelopes.page(conn, TENANT, Mode.LIVE, LIMIT, after=at, statuses=[EnvelopeStatus.SENT], signed=True),
        0,
    ),
    "by time": (lambda conn, at: envelopes.older(conn, TENANT, Mode.LIVE, LIMIT, than=_moment(at)), LIMIT),
    "by time, of a common source": (
        lambda conn, at: envelopes.older(conn, TENANT, Mode.LIVE, LIMIT, than=_moment(at), source=COMMON_SOURCE),
        3 * LIMIT,  # the sources, their envelopes, and the drafts among them
    ),
    "by time, of a rare source": (
        lambda conn, at: envelopes.older(conn, TENANT, Mode.LIVE, LIMIT, than=_moment(at), source=RARE_SOURCE),
        2 * ROWS // RARE,
    ),
}

#: Other reads, as above.
READS: Final[Mapping[str, tuple[Ask, int]]] = {
    "latest of all": (lambda conn, at: envelopes.latest(conn, TENANT, Mode.LIVE, LIMIT), LIMIT),
    "latest of some locations": (
        lambda conn, at: envelopes.latest(conn, TENANT, Mode.LIVE, LIMIT, locations=[_numbered(at) for at in (12, 14, 16)]),
        3 * LIMIT,
    ),
    "by number": (lambda conn, at: envelopes.get_by_number(conn, TENANT, Mode.LIVE, at), 1),
    "signer by number": (lambda conn, at: signers.get_by_number(conn, TENANT, Mode.LIVE, at + 1), 1),
    # Three disclosures of each of the person's signers, and for those of the address the signer and its envelope.
    "a person's": (lambda conn, at: signers.of_person(conn, TENANT, Mode.LIVE, SUBJECT, LIMIT), 5 * ROWS // RARE * 2),
    "documents": (lambda conn, at: documents.of_envelope(conn, TENANT, Mode.LIVE, _envelope(at), LIMIT), 3),
    "document by number": (
        lambda conn, at: documents.get_by_number(conn, TENANT, Mode.LIVE, _envelope(at), at * 1000 + 1),
        3,  # the envelope and its two signers
    ),
}


def _numbered(number: int) -> UUID:
    return UUID(str(number).zfill(32))


def _envelope(position: int) -> UUID:
    return UUID(md5(f"e{position // 10}".encode(), usedforsecurity=False).hexdigest())


@pytest.fixture(scope="module")
def filled(server: Server, migrated_template: str) -> Iterator[DatabaseUrls]:
    name = f"plans_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    ensure_tables(urls.owner)
    with connect(urls.owner) as conn:
        for statement in (_FILL, _FILL_SOURCES, _FILL_SIGNERS, _FILL_SUBJECTS, _FILL_DISCLOSURES, "ANALYZE"):
            conn.execute(statement.encode())
    yield urls
    server.drop(name)


def counted(urls: DatabaseUrls, ask: Ask, at: int) -> tuple[object, int]:
    """What the read gives, and how many rows its scans came across; none of them goes over a whole table."""

    async def run() -> tuple[object, int]:
        async with async_pool(urls.service) as pool, pool.connection() as conn:
            counting = Counting(conn)
            found = await ask(counting, at)  # type: ignore[arg-type]
            assert "Seq Scan" not in counting.scans
            return found, counting.looked_at

    return asyncio.run(run())


@pytest.mark.parametrize("name", PAGES)
def test_each_page_of_a_list_looks_at_the_rows_that_it_shows(filled: DatabaseUrls, name: str) -> None:
    ask, most = PAGES[name]
    sizes = []
    for at in (ROWS * 10 - 5_000, ROWS * 5, 5_000):  # near one end, in the middle, near the other
        found, looked_at = counted(filled, ask, at)
        rows = found.rows if isinstance(found, envelopes.Window) else found
        assert isinstance(rows, tuple)
        assert looked_at <= most
        sizes.append(len(rows))
    assert max(sizes) == (0 if most == 0 else LIMIT)


@pytest.mark.parametrize("name", READS)
def test_other_reads_look_at_what_they_concern(filled: DatabaseUrls, name: str) -> None:
    ask, most = READS[name]
    found, looked_at = counted(filled, ask, 40_020)
    assert found
    assert 0 < looked_at <= most


def test_a_query_without_an_index_is_noticed(filled: DatabaseUrls) -> None:
    async def unindexed(conn: AsyncConnection, at: int) -> object:
        return await (
            await conn.execute(b"SELECT 1 FROM read.envelopes WHERE deadline IS NULL AND flow = %(at)s", {"at": RARE_SOURCE})
        ).fetchall()

    with pytest.raises(AssertionError, match="Seq Scan"):
        counted(filled, unindexed, 0)
