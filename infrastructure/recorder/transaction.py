"""The writer's transaction, in two round trips: lock and read, then write and commit."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from infrastructure.database import connect
from infrastructure.recorder.command import Command
from infrastructure.recorder.plan import Head, KeptAnswer, Plan, State, concerned

#: Where new entries are announced; the payload is the last position.
CHANNEL: Final = "countersign_log"

#: What every statement of the writer runs under.
_SESSION: Final = {
    "TimeZone": "UTC",
    # A writer that hangs inside its transaction holds up every other one: the server then ends it, and
    # the others do not wait for ever.
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "15s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # Statements are planned once, perhaps on empty tables, for which PostgreSQL would rather read them whole:
    # a plan that gets slower with every entry until statistics are gathered.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",
}

_LOCK_HEAD: Final = "SELECT position, at FROM log_head WHERE one FOR UPDATE"
_HEADS: Final = "SELECT stream, version, leaf FROM heads WHERE stream = ANY(%s)"
_ANSWERS: Final = """
    SELECT scope, key, request_hash, status, media_type, body FROM idempotency
    WHERE (scope, key) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"""
_SUBJECTS: Final = "SELECT id FROM subjects WHERE id = ANY(%s)"
_DISCLOSURES: Final = "SELECT subject, count(*) FROM disclosures WHERE subject = ANY(%s) GROUP BY subject"
_CREDITS: Final = "SELECT tenant, balance FROM credits WHERE tenant = ANY(%s) ORDER BY tenant FOR UPDATE"

_WRITE_LOG: Final = """
    WITH new AS MATERIALIZED (
        SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::bigint[], %s::text[], %s::bytea[], %s::bytea[], %s::boolean[])
            AS new (position, stream, version, type, leaf, entry, is_head)
    ), entries AS (
        INSERT INTO log (position, stream, version, type, leaf, entry)
        SELECT position, stream, version, type, leaf, entry FROM new
    ), moved AS (
        INSERT INTO heads AS old (stream, version, leaf, position)
        SELECT stream, version, leaf, position FROM new WHERE is_head
        ON CONFLICT (stream) DO UPDATE SET version = excluded.version, leaf = excluded.leaf, position = excluded.position
    ), counted AS (
        UPDATE log_head SET position = %s, at = %s WHERE one
    )
    SELECT pg_notify('countersign_log', %s)"""
_WRITE_DISCLOSURES: Final = """
    INSERT INTO disclosures (stream, version, path, subject, ciphertext)
    SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::uuid[], %s::bytea[])"""
_TAKE_CREDITS: Final = "UPDATE credits SET balance = balance - %s WHERE tenant = %s"
_WRITE_ANSWER: Final = """
    INSERT INTO idempotency (scope, key, request_hash, status, media_type, body, streams, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""
_ERASE_ANSWERS: Final = """
    UPDATE idempotency SET body = NULL, erased = true
    WHERE streams && ARRAY(SELECT DISTINCT stream FROM disclosures WHERE subject = ANY(%s))"""
_ERASE_DISCLOSURES: Final = "DELETE FROM disclosures WHERE subject = ANY(%s)"
_ERASE_SUBJECTS: Final = "DELETE FROM subjects WHERE id = ANY(%s)"


def connect_writer(service_url: str, ledger: str) -> psycopg.Connection[Any]:
    """Raises psycopg.OperationalError if the server cannot be reached, ValueError if it holds another ledger."""
    conn = connect(service_url)
    try:
        conn.prepare_threshold = 0
        for setting in _SESSION.items():
            conn.execute("SELECT set_config(%s, %s, false)", setting)
        row = conn.execute("SELECT ledger FROM log_head").fetchone()
        if row is None or row[0] != ledger:
            raise ValueError(f"the database holds the ledger {row and row[0]!r}, not {ledger!r}")
    except BaseException:
        conn.close()
        raise
    return conn


def lock_and_read(conn: psycopg.Connection[Any], commands: Sequence[Command]) -> State:
    """Begins the transaction. The caller is inside `conn.pipeline()`.

    The reads are statements of their own behind the lock: under READ COMMITTED each takes its
    snapshot when it starts, hence after the previous holder of the lock has committed.
    """
    streams, keys, subjects, erase, tenants = concerned(commands)
    conn.execute("BEGIN")
    head = conn.execute(_LOCK_HEAD, binary=True)
    heads = conn.execute(_HEADS, [streams], binary=True) if streams else None
    answers = conn.execute(_ANSWERS, [[scope for scope, _ in keys], [key for _, key in keys]]) if keys else None
    known = conn.execute(_SUBJECTS, [subjects]) if subjects else None
    disclosures = conn.execute(_DISCLOSURES, [erase]) if erase else None
    credits = conn.execute(_CREDITS, [tenants]) if tenants else None

    row = head.fetchone()
    if row is None:
        raise psycopg.DataError("log_head has no row")
    state = State(row[0], _utc(row[1]))
    if heads is not None:
        state.heads = {stream: Head(version, leaf) for stream, version, leaf in heads}
    if answers is not None:
        state.answers = {(scope, key): KeptAnswer.from_row(kept) for scope, key, *kept in answers}
    if known is not None:
        state.subjects = {subject for (subject,) in known}
    if disclosures is not None:
        state.disclosures = dict(disclosures.fetchall())
    if credits is not None:
        state.credits = dict(credits.fetchall())
    return state


def write_and_commit(conn: psycopg.Connection[Any], plan: Plan) -> None:
    """Queues the writes and the commit; they are sent, and have happened or failed, when the pipeline is left."""
    if plan.rows:
        last = set(plan.heads.values())
        positions, streams, versions, types, leaves, entries = map(list, zip(*plan.rows, strict=True))
        is_head = [index in last for index in range(len(positions))]
        conn.execute(
            _WRITE_LOG, [positions, streams, versions, types, leaves, entries, is_head, plan.position, plan.at, str(plan.position)]
        )
    if plan.disclosures:
        columns = zip(*((new.stream, new.version, new.path, new.subject, new.ciphertext) for new in plan.disclosures), strict=True)
        conn.execute(_WRITE_DISCLOSURES, [list(column) for column in columns])
    for tenant, credits in sorted(plan.debits.items()):
        conn.execute(_TAKE_CREDITS, [credits, tenant])
    if plan.erase:
        for statement in (_ERASE_ANSWERS, _ERASE_DISCLOSURES, _ERASE_SUBJECTS):
            conn.execute(statement, [plan.erase])
    for key, answer, concerned_streams, at in plan.answers:
        conn.execute(
            _WRITE_ANSWER,
            [key.scope, key.key, key.request_hash, answer.status, answer.media_type, answer.body, concerned_streams, at],
        )
    # Crash point: up to here nothing has happened. Once the server has flushed this, everything has.
    conn.execute("COMMIT")


def has_happened(conn: psycopg.Connection[Any], plan: Plan) -> bool:
    """Whether a plan whose commit got no answer is in the log. `plan` has rows.

    Waits for the log's head, which the lost transaction holds for as long as its fate is open. Its last
    leaf stands for the whole of it: the leaf covers its stream, version, time and predecessor, and
    nobody else writes it at this position. (pg_xact_status would not do: after a crash of the server,
    the number of a transaction that left no trace is given to another one.)
    """
    with conn.transaction():
        conn.execute(_LOCK_HEAD)
        last = plan.rows[-1]
        row = conn.execute("SELECT leaf FROM log WHERE position = %s", [last.position]).fetchone()
    return row is not None and row[0] == last.leaf


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


