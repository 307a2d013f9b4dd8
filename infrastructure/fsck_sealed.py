"""What `fsck` does about the sealed part of a log: grows its tree again, and compares checkpoints and tiles with it."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg

from domain.checkpoint import Checkpoint, CheckpointError, parse_checkpoint
from domain.entry import leaf_hash
from domain.faults import FaultKind, Faults
from domain.merkle import CompactRange
from domain.note import NoteError, open_note
from domain.tiles import WIDTH, Tile, edge, grow
from infrastructure.log_keys import recorded_keys
from infrastructure.signing_keys import verify_ed25519
from infrastructure.snapshot import BATCH

_CHECKPOINTS: Final = "SELECT size, root, note FROM checkpoints ORDER BY size"
_TILES: Final = """
    SELECT level, index, content FROM unnest(%s::bigint[], %s::bigint[]) AS wanted(level, index)
    LEFT JOIN tiles USING (level, index)"""


class SealedTree:
    """Takes the entries' bytes in the order of the log. Of tiles and of checkpoints that differ, the first is named."""

    def __init__(self, conn: psycopg.Connection[Any], ledger: str, faults: Faults) -> None:
        self._conn = conn
        self._ledger = ledger
        self._faults = faults
        row = conn.execute("SELECT size, alarm, alarm_position FROM sealing").fetchone()
        self._size: int
        self._size, alarm, position = row or (0, "the table sealing has lost its row", None)
        if alarm is not None:
            faults.add(FaultKind.SEALED_OTHERWISE, f"the sealer refuses to sign: {alarm}", position=position)
        self._keys = recorded_keys(conn, ledger)
        self._waiting: list[bytes] = []
        self._tree = CompactRange()
        self._edge: dict[Tile, bytes] = {}
        self._stored = self._checkpoints()
        self._next = next(self._stored, None)
        self._tile_differs = self._checkpoint_differs = False
        self.checkpoints = 0

    def push(self, raw: bytes) -> None:
        size = self._tree.size + len(self._waiting)
        if size == self._size:
            return
        self._waiting.append(leaf_hash(raw))
        due = size + 1 in (self._size, None if self._next is None else self._next[0])
        if due or len(self._waiting) == BATCH:
            self._grow()

    def finish(self) -> None:
        """To be called after the last entry."""
        self._grow()
        if self._tree.size < self._size:
            self._differs(f"{self._size} entries were sealed, the log has {self._tree.size}", self._tree.size + 1)
        self._compare_tiles(self._edge)
        while self._next is not None:
            self._compare_checkpoint(*self._next)

    def _grow(self) -> None:
        made = grow(self._tree.extend(self._waiting), self._edge)
        self._waiting.clear()
        self._edge = {tile: made.get(tile) or self._edge[tile] for tile in edge(self._tree.size)}
        self._compare_tiles({tile: content for tile, content in made.items() if tile.width == WIDTH})
        while self._next is not None and self._next[0] <= self._tree.size:
            self._compare_checkpoint(*self._next)

    def _compare_tiles(self, made: dict[Tile, bytes]) -> None:
        if not made or self._tile_differs:
            return
        tiles = {(tile.level, tile.index): content for tile, content in made.items()}
        parameters = [[level for level, _ in tiles], [index for _, index in tiles]]
        for level, index, content in self._conn.execute(_TILES, parameters, binary=True):
            if content != tiles[level, index]:
                self._tile_differs = True
                first = ((index * WIDTH) << (8 * level)) + 1
                detail = f"tile {index} of level {level} is not what the entries from {first} on give"
                self._faults.add(FaultKind.SEALED_OTHERWISE, detail, position=first)
                return

    def _compare_checkpoint(self, size: int, root: bytes, note: bytes) -> None:
        self._next = next(self._stored, None)
        self.checkpoints += 1
        if self._checkpoint_differs:
            return
        try:
            said = parse_checkpoint(open_note(note, self._keys, verify_ed25519).text)
        except (NoteError, CheckpointError) as err:
            self._differs(f"the checkpoint of {size} entries cannot be believed: {err}", size)
            return
        if size != self._tree.size or said != Checkpoint(self._ledger, size, self._tree.root()) or root != said.root:
            self._differs(f"the checkpoint of {size} entries is of another tree than theirs", size)

    def _differs(self, detail: str, position: int) -> None:
        self._checkpoint_differs = True
        self._faults.add(FaultKind.SEALED_OTHERWISE, detail, position=position)

    def _checkpoints(self) -> Iterator[tuple[int, bytes, bytes]]:
        with self._conn.cursor(name="fsck_checkpoints") as cursor:
            cursor.itersize = BATCH
            yield from cursor.execute(_CHECKPOINTS, binary=True)
