"""The writer's transaction, in two round trips: lock and read, then write and commit."""

from collections.abc import Sequence
from typing import Final

from infrastructure.database import connect
from infrastructure.notifications import CHANNEL
from infrastructure.recorder import wire
from infrastructure.recorder.command import Command
from infrastructure.recorder.plan import AnswerRow, Head, KeptAnswer, Plan, State, concerned
from infrastructure.recorder.wire import Pipeline

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

_BEGIN: Final = b"begin"
_COMMIT: Final = b"commit"
_LOCK_HEAD: Final = b"lock_head"
_HEADS: Final = b"heads"
_ANSWERS: Final = b"answers"
_SUBJECTS: Final = b"subjects"
_DISCLOSURES: Final = b"disclosures"
_CREDITS: Final = b"credits"
_WRITE_LOG: Final = b"write_log"
_WRITE_DISCLOSURES: Final = b"write_disclosures"
_TAKE_CREDITS: Final = b"take_credits"
_ERASE_ANSWERS: Final = b"erase_answers"
_ERASE_DISCLOSURES: Final = b"erase_disclosures"
_ERASE_SUBJECTS: Final = b"erase_subjects"
_WRITE_ANSWER: Final = b"write_answer"
_LEAF_AT: Final = b"leaf_at"

_STATEMENTS: Final = {
    _BEGIN: "BEGIN",
    _COMMIT: "COMMIT",
    _LOCK_HEAD: "SELECT position, at FROM log_head WHERE one FOR UPDATE",
    _HEADS: "SELECT stream, version, leaf FROM heads WHERE stream = ANY($1)",
    _ANSWERS: """
        SELECT scope, key, request_hash, status, media_type, body, receipts FROM idempotency
        WHERE (scope, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))""",
    _SUBJECTS: "SELECT id FROM subjects WHERE id = ANY($1)",
    _DISCLOSURES: "SELECT subject, count(*) FROM disclosures WHERE subject = ANY($1) GROUP BY subject",
    _CREDITS: "SELECT tenant, balance FROM credits WHERE tenant = ANY($1) ORDER BY tenant FOR UPDATE",
    _WRITE_LOG: """
        WITH new AS MATERIALIZED (
            SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[])
                AS new (position, stream, version, type, leaf, entry)
        ), entries AS (
            INSERT INTO log (position, stream, version, type, leaf, entry)
            SELECT position, stream, version, type, leaf, entry FROM new
        ), moved AS (
            INSERT INTO heads (stream, version, leaf, position)
            SELECT DISTINCT ON (stream) stream, version, leaf, position FROM new ORDER BY stream, version DESC
            ON CONFLICT (stream) DO UPDATE SET version = excluded.version, leaf = excluded.leaf, position = excluded.position
        ), counted AS (
            UPDATE log_head SET position = $7::bigint, at = $8::timestamptz WHERE one
        )
        SELECT pg_notify($9::text, $7::bigint::text)""",
    _WRITE_DISCLOSURES: """
        INSERT INTO disclosures (stream, version, path, subject, ciphertext)
        SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[], $5::bytea[])""",
    _TAKE_CREDITS: "UPDATE credits SET balance = balance - $1::bigint WHERE tenant = $2::uuid",
    _ERASE_ANSWERS: """
        UPDATE idempotency SET body = NULL, erased = true
        WHERE streams && ARRAY(SELECT DISTINCT stream FROM disclosures WHERE subject = ANY($1))""",
    _ERASE_DISCLOSURES: "DELETE FROM disclosures WHERE subject = ANY($1)",
    _ERASE_SUBJECTS: "DELETE FROM subjects WHERE id = ANY($1)",
    _WRITE_ANSWER: """
        INSERT INTO idempotency (scope, key, request_hash, status, media_type, body, streams, created_at, receipts)
        VALUES ($1::text, $2::text, $3::bytea, $4::integer, $5::text, $6::bytea, $7::uuid[], $8::timestamptz, $9::text)""",
    _LEAF_AT: "SELECT leaf FROM log WHERE position = $1::bigint",
}


def connect_writer(service_url: str, ledger: str) -> Pipeline:
    """Raises psycopg.OperationalError if the server cannot be reached, ValueError if it holds another ledger."""
    conn = connect(service_url)
    try:
        for setting in _SESSION.items():
            conn.execute("SELECT set_config(%s, %s, false)", setting)
        row = conn.execute("SELECT ledger FROM log_head").fetchone()
        if row is None or row[0] != ledger:
            raise ValueError(f"the database holds the ledger {row and row[0]!r}, not {ledger!r}")
        return Pipeline(conn, _STATEMENTS)
    except BaseException:
        conn.close()
        raise


def lock_and_ask(pipeline: Pipeline, commands: Sequence[Command]) -> list[bytes]:
    """Sends the beginning of the transaction, and answers which statements were asked.

    The reads are statements of their own behind the lock: under READ COMMITTED each takes its
    snapshot when it starts, hence after the previous holder of the lock has committed.
    """
    wanted = concerned(commands)
    asked: list[bytes] = []

    def ask(statement: bytes, *parameters: bytes) -> None:
        pipeline.send(statement, *parameters)
        asked.append(statement)

    ask(_BEGIN)
    ask(_LOCK_HEAD)
    if wanted.streams:
        ask(_HEADS, wire.uuid_array(wanted.streams))
    if wanted.keys:
        ask(_ANSWERS, wire.text_array(scope for scope, _ in wanted.keys), wire.text_array(key for _, key in wanted.keys))
    if wanted.subjects:
        ask(_SUBJECTS, wire.uuid_array(wanted.subjects))
    if wanted.erase:
        ask(_DISCLOSURES, wire.uuid_array(wanted.erase))
    if wanted.tenants:
        ask(_CREDITS, wire.uuid_array(wanted.tenants))
    pipeline.dispatch()
    return asked


def read(pipeline: Pipeline, asked: Sequence[bytes]) -> State:
    """Waits for the lock and for what was asked behind it."""
    found = {statement: wire.rows(answer) for statement, answer in zip(asked, pipeline.collect(), strict=True)}
    ((position, at),) = found[_LOCK_HEAD]
    return State(
        position=wire.as_int(position),
        at=wire.as_time(at),
        heads={wire.as_uuid(stream): Head(wire.as_int(version), leaf) for stream, version, leaf in found.get(_HEADS, ())},
        answers=dict(map(_kept, found.get(_ANSWERS, ()))),
        subjects={wire.as_uuid(subject) for (subject,) in found.get(_SUBJECTS, ())},
        disclosures={wire.as_uuid(subject): wire.as_int(count) for subject, count in found.get(_DISCLOSURES, ())},
        credits={wire.as_uuid(tenant): wire.as_int(balance) for tenant, balance in found.get(_CREDITS, ())},
    )


def write_and_commit(pipeline: Pipeline, plan: Plan) -> None:
    """Sends everything to be written, and the commit; both have happened once `pipeline.collect` returns."""
    if plan.rows:
        pipeline.send(
            _WRITE_LOG,
            wire.int8_array([row.position for row in plan.rows]),
            wire.uuid_array([row.stream for row in plan.rows]),
            wire.int8_array([row.version for row in plan.rows]),
            wire.text_array([row.type for row in plan.rows]),
            wire.bytea_array([row.leaf for row in plan.rows]),
            wire.bytea_array([row.raw for row in plan.rows]),
            wire.int8(plan.position),
            wire.timestamptz(plan.at),
            CHANNEL.encode(),
        )
    if plan.disclosures:
        pipeline.send(
            _WRITE_DISCLOSURES,
            wire.uuid_array([new.stream for new in plan.disclosures]),
            wire.int8_array([new.version for new in plan.disclosures]),
            wire.text_array([new.path for new in plan.disclosures]),
            wire.uuid_array([new.subject for new in plan.disclosures]),
            wire.bytea_array([new.ciphertext for new in plan.disclosures]),
        )
    for tenant, credits in sorted(plan.debits.items()):
        pipeline.send(_TAKE_CREDITS, wire.int8(credits), tenant.bytes)
    if plan.erase:
        subjects = wire.uuid_array(plan.erase)
        for statement in (_ERASE_ANSWERS, _ERASE_DISCLOSURES, _ERASE_SUBJECTS):
            pipeline.send(statement, subjects)
    for row in plan.answers:
        _send_answer(pipeline, row)
    # Crash point: up to here nothing has happened. Once the server has flushed this, everything has.
    pipeline.send(_COMMIT)
    pipeline.dispatch()


def has_happened(pipeline: Pipeline, plan: Plan) -> bool:
    """Whether a plan whose commit got no answer is in the log. `plan` has rows.

    Waits for the log's head, which the lost transaction holds for as long as its fate is open. Its last
    leaf stands for the whole of it: the leaf covers its stream, version, time and predecessor, and
    nobody else writes it at this position. (pg_xact_status would not do: after a crash of the server,
    the number of a transaction that left no trace is given to another one.)
    """
    last = plan.rows[-1]
    pipeline.send(_BEGIN)
    pipeline.send(_LOCK_HEAD)
    pipeline.send(_LEAF_AT, wire.int8(last.position))
    pipeline.send(_COMMIT)
    return [last.leaf] in wire.rows(pipeline.exchange()[2])


def _send_answer(pipeline: Pipeline, row: AnswerRow) -> None:
    key, answer = row.idempotency, row.answer
    pipeline.send(
        _WRITE_ANSWER,
        key.scope.encode(),
        key.key.encode(),
        key.request_hash,
        wire.int4(answer.status),
        answer.media_type.encode(),
        answer.body,
        wire.uuid_array(row.streams),
        wire.timestamptz(row.at),
        answer.receipts.encode(),
    )


def _kept(row: Sequence[bytes]) -> tuple[tuple[str, str], KeptAnswer]:
    scope, key, request_hash, status, media_type, body, receipts = row
    kept = KeptAnswer.of(request_hash, wire.as_int(status), media_type.decode(), body, receipts.decode())
    return (scope.decode(), key.decode()), kept
