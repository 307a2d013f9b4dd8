"""What is sealed, for whoever reads it: published checkpoints, tiles, entries under them, and proofs.

Nothing here signs or waits for the sealer's lock: it reads what the sealer (`infrastructure.sealer`) has stored.
"""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domain.merkle import HASH_BYTES, Plan, ProofError, ProofFault, assemble, consistency_plan, inclusion_plan, needed
from domain.tiles import HEIGHT, WIDTH, Bundle, Tile, read_nodes, tiles_for
from infrastructure.database import Reads
from infrastructure.multiplexed import Row, Statement
from infrastructure.recorder import wire

#: How often somebody who waits for a checkpoint looks for it.
_LOOK_SECONDS: Final = 0.1

_COLUMNS: Final = b"""
    SELECT size, root, note, at,
        (SELECT string_agg(line, E'\\n' ORDER BY key_name, key_id) FROM public.cosignatures AS c WHERE c.size = k.size)
    FROM public.checkpoints AS k WHERE published"""
_LATEST: Final = Statement(b"sealed_latest", _COLUMNS + b" ORDER BY size DESC LIMIT 1")
_AT: Final = Statement(b"sealed_at", _COLUMNS + b" AND size = $1::bigint")
_COVERING: Final = Statement(b"sealed_covering", _COLUMNS + b" AND size >= $1::bigint ORDER BY size LIMIT 1")
_SIZE: Final = Statement(b"sealed_size", b"SELECT size FROM public.checkpoints WHERE published ORDER BY size DESC LIMIT 1")
_TILES: Final = Statement(
    b"sealed_tiles",
    b"SELECT level::bigint, index, content FROM unnest($1::bigint[], $2::bigint[]) AS wanted(level, index)"
    b" JOIN public.tiles USING (level, index)",
)
_ALARM: Final = Statement(b"sealed_alarm", b"SELECT alarm, alarm_position, alarm_at FROM public.sealing WHERE alarm IS NOT NULL")
_ENTRIES: Final = "SELECT entry FROM public.log WHERE position > %s AND position <= %s ORDER BY position"


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A published checkpoint. `note` is signed by the log alone; `cosignatures` are witnesses' lines, without newlines."""

    size: int
    root: bytes
    note: bytes
    at: datetime
    cosignatures: tuple[str, ...]

    def signed(self) -> bytes:
        """The note with the cosignatures after the log's own signatures (C2SP tlog-checkpoint)."""
        return self.note + "".join(f"{line}\n" for line in self.cosignatures).encode()


@dataclass(frozen=True, slots=True)
class Alarm:
    """Why nothing is signed any more. `position` is that of the entry or the checkpoint concerned, if it is one."""

    reason: str
    position: int | None
    at: datetime


class Sealed:
    """Reads over the service's pool. Raises DatabaseUnavailable where the database cannot be asked."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def latest(self) -> StoredCheckpoint | None:
        """The last published checkpoint, None before the first."""
        return _one(await self._reads.fetch(_LATEST))

    async def at(self, size: int) -> StoredCheckpoint | None:
        """The published checkpoint of this size, if there is one."""
        return _one(await self._reads.fetch(_AT, wire.int8(size)))

    async def covering(self, position: int) -> StoredCheckpoint | None:
        """The smallest published checkpoint whose tree holds the entry at `position`; None if it is not sealed yet."""
        return _one(await self._reads.fetch(_COVERING, wire.int8(position)))

    async def wait(self, position: int, seconds: float) -> StoredCheckpoint | None:
        """As `covering`, once there is one; None if there was none after `seconds`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            found = await self.covering(position)
            left = deadline - loop.time()
            if found is not None or left <= 0:
                return found
            await asyncio.sleep(min(_LOOK_SECONDS, left))

    async def alarm(self) -> Alarm | None:
        """Why the sealer refuses to sign, None if it does not."""
        rows = await self._reads.fetch(_ALARM)
        if not rows:
            return None
        reason, position, at = rows[0]
        return Alarm(reason.decode(), None if position is None else wire.as_int(position), wire.as_time(at))

    async def tile(self, tile: Tile) -> bytes | None:
        """The hashes of a tile, as many as its width; None unless the published tree has them."""
        if (tile.index * WIDTH + tile.width) << (HEIGHT * tile.level) > await self._size():
            return None
        content = (await self._content([tile])).get(tile)
        return None if content is None else content[: tile.width * HASH_BYTES]

    async def entries(self, bundle: Bundle) -> list[bytes] | None:
        """The entries of a bundle, as many as its width; None unless the published tree has them, and the log all of them."""
        end = bundle.start + bundle.width
        if end > await self._size():
            return None
        async with self._reads.connection() as conn:
            rows = await (await conn.execute(_ENTRIES, [bundle.start, end], binary=True)).fetchall()
        return [row[0] for row in rows] if len(rows) == bundle.width else None

    async def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """The proof that leaf `index` is in the tree of `size` leaves (RFC 9162 section 2.1.3.1).

        Raises ProofError unless 0 <= index < size and `size` is not beyond the last published checkpoint.
        """
        return (await self.inclusions([index], size))[index]

    async def inclusions(self, indexes: Collection[int], size: int) -> dict[int, tuple[bytes, ...]]:
        """As `inclusion`, for several leaves at once: each tile is read once."""
        plans = {index: inclusion_plan(index, size) for index in indexes}
        return dict(zip(plans, await self._assemble(list(plans.values()), size), strict=True))

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The proof that the tree of `new` leaves begins with that of `old` leaves (RFC 9162 section 2.1.4.1).

        Raises ProofError unless 0 < old <= new and `new` is not beyond the last published checkpoint.
        """
        (proof,) = await self._assemble([consistency_plan(old, new)], new)
        return proof

    async def _assemble(self, plans: Collection[Plan], size: int) -> list[tuple[bytes, ...]]:
        published = await self._size()
        if size > published:
            raise ProofError(ProofFault.SIZE, f"{size}, of which {published} are published")
        nodes = frozenset(node for plan in plans for node in needed(plan))
        found = read_nodes(nodes, size, await self._content(tiles_for(nodes, size)))
        return [assemble(plan, found) for plan in plans]

    async def _content(self, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
        """The stored bytes of tiles, at least as wide as asked for."""
        tiles = {(tile.level, tile.index): tile for tile in wanted}
        levels, indexes = [level for level, _ in tiles], [index for _, index in tiles]
        rows = await self._reads.fetch(_TILES, wire.int8_array(levels), wire.int8_array(indexes))
        return {tiles[wire.as_int(level), wire.as_int(index)]: content for level, index, content in rows}

    async def _size(self) -> int:
        rows = await self._reads.fetch(_SIZE)
        return wire.as_int(rows[0][0]) if rows else 0


def _one(rows: list[Row]) -> StoredCheckpoint | None:
    if not rows:
        return None
    size, root, note, at, lines = rows[0]
    cosignatures = () if lines is None else tuple(lines.decode().split("\n"))
    return StoredCheckpoint(wire.as_int(size), root, note, wire.as_time(at), cosignatures)
