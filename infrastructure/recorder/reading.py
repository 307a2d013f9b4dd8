"""Reading the log: the entries of streams for the ledger, the whole log for followers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from infrastructure.append import Answer
from infrastructure.database import Reads
from infrastructure.multiplexed import Row, Statement
from infrastructure.recorder import wire
from infrastructure.recorder.plan import KeptAnswer, repeated

_COLUMNS = "SELECT position, stream, version, type, leaf, entry AS raw FROM log"

_STREAM = Statement(b"stream", f"{_COLUMNS} WHERE stream = $1::uuid AND version > $2::bigint ORDER BY version".encode())
_STREAMS = Statement(b"streams", f"{_COLUMNS} WHERE stream = ANY($1::uuid[]) ORDER BY position".encode())
_NEWER = Statement(
    b"newer",
    b"SELECT position, log.stream, log.version, type, leaf, entry FROM unnest($1::uuid[], $2::bigint[]) AS known(stream, version)"
    b" JOIN log ON log.stream = known.stream AND log.version > known.version ORDER BY position",
)
#: The envelope is named in the first entry of a signing (domain.signing.ProcessCreated).
_SIGNING = Statement(
    b"signing",
    b"""
    WITH wanted AS (
        SELECT $1::uuid AS stream
        UNION ALL
        SELECT heads.stream FROM log JOIN heads ON heads.stream = (convert_from(entry, 'UTF8')::json #>> '{data,envelope}')::uuid
        WHERE log.stream = $1::uuid AND log.version = 1 AND type LIKE 'signing.%' AND heads.version <= $2::bigint
    )
    SELECT position, stream, version, type, leaf, entry FROM wanted JOIN log USING (stream) ORDER BY position""",
)
_ANSWERED = Statement(
    b"answered",
    b"SELECT request_hash, status, media_type, body, receipts FROM idempotency WHERE scope = $1::text AND key = $2::text",
)


class StoredEntry(NamedTuple):
    """One row of the log; `raw` is the entry's canonical bytes, `leaf` its 32-byte hash."""

    position: int
    stream: UUID
    version: int
    type: str
    leaf: bytes
    raw: bytes


class LogReader:
    """Reads committed entries through a pool that its owner opens and closes."""

    def __init__(self, pool: Reads) -> None:
        self._pool = pool

    async def read_stream(self, stream: UUID, after_version: int = -1) -> list[StoredEntry]:
        """The stream's entries in order, those after a version if one is given; empty if there is no such stream."""
        return _stored(await self._pool.fetch(_STREAM, stream.bytes, wire.int8(after_version)))

    async def read_streams(self, streams: Sequence[UUID]) -> list[StoredEntry]:
        """The entries of several streams, merged in the order of the log."""
        return _stored(await self._pool.fetch(_STREAMS, wire.uuid_array(streams)))

    async def read_newer(self, known: Mapping[UUID, int]) -> list[StoredEntry]:
        """The entries of streams after a version of each, merged in the order of the log."""
        return _stored(await self._pool.fetch(_NEWER, wire.uuid_array(known), wire.int8_array(list(known.values()))))

    async def read_signing(self, participant: UUID, longest_envelope: int) -> list[StoredEntry]:
        """The entries of a signing and, unless there are more than `longest_envelope` of them, those of its envelope."""
        return _stored(await self._pool.fetch(_SIGNING, participant.bytes, wire.int8(longest_envelope)))

    async def read_log(self, after_position: int, limit: int) -> list[StoredEntry]:
        """Up to `limit` entries after a position, in order. Positions are gapless, so an empty list is the end."""
        return await self._read(f"{_COLUMNS} WHERE position > %s ORDER BY position LIMIT %s", [after_position, limit])

    async def head(self) -> int:
        """The position of the log's last entry, 0 while there is none."""
        async with self._pool.connection() as conn:
            row = await (await conn.execute("SELECT position FROM log_head")).fetchone()
        return int(row[0]) if row else 0

    async def answered(self, scope: str, key: str, request_hash: bytes) -> Answer | None:
        """The answer already given under an idempotency key, if any: the look-up before deciding.

        Raises KeyReused if it was given to another request, AnswerErased if it is not kept any more.
        """
        rows = await self._pool.fetch(_ANSWERED, scope.encode(), key.encode())
        for kept_hash, status, media_type, body, receipts in rows:
            kept = KeptAnswer.of(kept_hash, wire.as_int(status), media_type.decode(), body, receipts.decode())
            return repeated(kept, request_hash)
        return None

    async def _read(self, query: str, parameters: Sequence[object]) -> list[StoredEntry]:
        async with self._pool.connection() as conn:
            return await _entries(conn, query, parameters)


def _stored(rows: Iterable[Row]) -> list[StoredEntry]:
    return [
        StoredEntry(wire.as_int(position), wire.as_uuid(stream), wire.as_int(version), type_.decode(), leaf, raw)
        for position, stream, version, type_, leaf, raw in rows
    ]


async def _entries(conn: AsyncConnection[Any], query: str, parameters: Sequence[object]) -> list[StoredEntry]:
    async with conn.cursor(binary=True, row_factory=class_row(StoredEntry)) as cursor:
        await cursor.execute(query.encode(), parameters)
        return await cursor.fetchall()
