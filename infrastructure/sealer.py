"""The sealer: signs a checkpoint of the log whenever it has grown (DESIGN section 9).

It reads the stored bytes of new entries again, hashes them itself, extends the tree from where it was signed last, and stores
tiles, the tree's right edge and the checkpoint in one transaction. The last checkpoint it signed is kept in a file too,
out of the database's reach, so a database that was set back or written anew is not signed for as if nothing had happened.
Where anything disagrees it refuses, raises an alarm, and signs nothing until a person has looked (docs/operating.md).
"""

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final

import psycopg

from domain.checkpoint import Checkpoint, CheckpointError, format_checkpoint, parse_checkpoint
from domain.entry import leaf_hash
from domain.merkle import CompactRange, ProofError, assemble, consistency_plan, needed, root_plan, verify_consistency
from domain.note import Note, NoteError, VerifierKey, format_note, open_note, sign_text
from domain.sealing import ENDINGS
from domain.tiles import Tile, TileError, edge, grow, read_nodes, tiles_for
from infrastructure.clock import Clock
from infrastructure.following import Connection, log_position
from infrastructure.log_keys import LogKeys, recorded_keys
from infrastructure.notifications import CHANNEL
from infrastructure.signing_keys import verify_ed25519

log = logging.getLogger(__name__)

#: The name under which all processes' sealers compete for the one lock.
NAME: Final = "sealer"

#: The file of the data folder with the last checkpoint that was signed.
LAST_SIGNED: Final = "checkpoint"

#: Entries under one checkpoint more than under the one before it.
BATCH: Final = 4_000
#: Entries in memory at a time: one has at most 64 KiB.
_READ_AT_ONCE: Final = 500

#: How often the sealer looks by itself.
POLL_SECONDS: Final = 0.5
#: Ends that come this close together share a checkpoint.
_LEAST_SECONDS: Final = 0.1

#: Of more new entries than a batch it does not matter whether one is an end: they are sealed at once.
_LOOK: Final = """
    SELECT sealing.size, sealing.alarm IS NOT NULL, log_head.position, EXISTS (
        SELECT FROM public.log WHERE sealing.alarm IS NULL AND position > seen
        AND position <= least(log_head.position, seen + %(batch)s) AND type = ANY(%(ends)s))
    FROM public.sealing, public.log_head, greatest(sealing.size, %(looked)s) AS seen"""
_TILES: Final = """
    SELECT level, index, content FROM unnest(%s::bigint[], %s::bigint[]) AS wanted(level, index)
    JOIN public.tiles USING (level, index)"""
_LEAVES: Final = "SELECT position, leaf, entry FROM public.log WHERE position > %s AND position <= %s ORDER BY position"


class Publication(Enum):
    """When clients get to see a checkpoint: at once, or when whoever collects cosignatures says so."""

    AT_ONCE = auto()
    AFTER_WITNESSES = auto()


class Refused(Exception):
    """Signing would vouch for what does not hold. `position` is that of the entry or the checkpoint concerned."""

    def __init__(self, reason: str, position: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What has been signed last, checked: the tree and the partial tiles at its right edge."""

    tree: CompactRange
    edge: Mapping[Tile, bytes]


class Sealer:
    """The step of the follower that seals. `folder` is the data folder."""

    def __init__(
        self,
        keys: LogKeys,
        folder: Path,
        clock: Clock,
        *,
        checkpoint_seconds: float = 2.0,
        publication: Publication = Publication.AT_ONCE,
        batch: int = BATCH,
    ) -> None:
        self._keys = keys
        self._file = folder / LAST_SIGNED
        self._clock = clock
        self._due_seconds = max(checkpoint_seconds - POLL_SECONDS, 0)
        self._publication = publication
        self._batch = batch
        self._compared = False
        self._looked = 0
        self._signed_at = -float("inf")

    def step(self, conn: Connection) -> bool:
        """Seals the next entries, if it is time; true when there may be more at once.

        A refusal becomes an alarm, with which nothing happens here until `resume`.
        """
        row = conn.execute(_LOOK, {"batch": self._batch, "ends": list(ENDINGS), "looked": self._looked}).fetchone()
        if row is None:
            raise LookupError("the table sealing has lost its row")
        size, alarm, head, ending = row
        if alarm:
            self._compared = False  # whatever the person does who takes the alarm back
            return False
        waited = time.monotonic() - self._signed_at
        many = abs(head - size) > self._batch
        if self._compared and not (many or ending or (head != size and waited >= self._due_seconds)):
            self._looked = head
            return False
        if not many:
            time.sleep(max(_LEAST_SECONDS - waited, 0))
        try:
            with conn.transaction():
                sealed = self._seal(conn)
        except Refused as err:
            _raise_alarm(conn, err, self._clock)
            return False
        # Crash point: it is sealed, and whoever asks sees it; nobody has to be told.
        self._compared, self._looked, self._signed_at = True, sealed, time.monotonic()
        return bool(sealed - size >= self._batch)

    def _seal(self, conn: Connection) -> int:
        """Signs the log as it is, or as far as a batch goes; answers up to where it is signed now."""
        last = self._last(conn)
        head = log_position(conn)
        if head < last.tree.size:
            raise Refused(f"the log ends at {head}, but {last.tree.size} entries are signed", head + 1)
        self._compare_with_file(conn, last, head)
        before = Checkpoint(self._keys.origin, last.tree.size, last.tree.root())
        until = min(before.size + self._batch, head)
        if until == before.size:
            if self._publication is Publication.AT_ONCE:  # it may wait for witnesses of whom nobody is asked any more
                conn.execute("UPDATE public.checkpoints SET published = true WHERE size = %s AND NOT published", [until])
            return until
        leaves = [leaf for some in _leaves(conn, before.size, until) for leaf in some]
        tree = last.tree
        made = grow(tree.extend(leaves), last.edge)
        after = Checkpoint(self._keys.origin, tree.size, tree.root())
        _prove(before, after, lambda _: {**last.edge, **made})
        note = self._sign(after)
        self._store(conn, tree, made, note)
        # Crash point: signed, but nobody has seen it, and nothing of it is left.
        _keep(self._file, note)
        # Crash point: the file is ahead of the database. The log has those entries, so the next one signs the same.
        return until

    def _last(self, conn: Connection) -> _Sealed:
        """What the database says was signed last. Nobody else seals until the transaction ends."""
        row = conn.execute("SELECT size, frontier FROM public.sealing FOR UPDATE", binary=True).fetchone()
        if row is None:
            raise LookupError("the table sealing has lost its row")
        size, frontier = row
        try:
            tree = CompactRange.from_bytes(frontier)
        except ProofError as err:
            raise Refused(f"the stored right edge of the tree is none: {err}", size) from err
        now = Checkpoint(self._keys.origin, tree.size, tree.root())
        signed = conn.execute("SELECT size, note FROM public.checkpoints ORDER BY size DESC LIMIT 1", binary=True).fetchone()
        upto = 0 if signed is None else signed[0]
        if not size == tree.size == upto:
            raise Refused(f"sealed up to {size}, with the tree of {tree.size} entries and a checkpoint of {upto}", size)
        if signed is not None and self._open(signed[1], self._keys.known(), "the last checkpoint", size) != now:
            raise Refused("the last checkpoint is not that of the stored tree", size)
        return _Sealed(tree, _edge(conn, tree))

    def _open(self, note: bytes, keys: Collection[VerifierKey], what: str, size: int | None) -> Checkpoint:
        """The checkpoint of a note that one of the keys has signed."""
        try:
            return parse_checkpoint(open_note(note, keys, verify_ed25519).text)
        except (NoteError, CheckpointError) as err:
            raise Refused(f"{what} cannot be believed: {err}", size) from err

    def _compare_with_file(self, conn: Connection, last: _Sealed, head: int) -> None:
        """The checkpoint in the file and the database's tree must be of one history, whichever of them is ahead."""
        try:
            note = self._file.read_bytes()
        except FileNotFoundError:
            return  # the first one, or a host on which nothing was sealed yet
        keys = self._keys.known()
        if not self._compared:  # since this host has signed others may have, and keys may have been retired
            keys += recorded_keys(conn, self._keys.origin)
        kept, tree = self._open(note, keys, f"the file {self._file.name}", None), last.tree
        if kept.origin != self._keys.origin:
            raise Refused(f"the file {self._file.name} is of the ledger {kept.origin!r}", None)
        if kept.size > head:
            raise Refused(f"the database was set back: its log ends at {head}, but {kept.size} entries were signed", head + 1)
        if kept.size > tree.size:
            tree = CompactRange(tree.size, tree.hashes)
            for leaves in _leaves(conn, tree.size, kept.size):
                tree.extend(leaves)
        now = Checkpoint(kept.origin, tree.size, tree.root())
        _prove(kept, now, lambda tiles: _tiles(conn, tiles))

    def _sign(self, checkpoint: Checkpoint) -> bytes:
        text = format_checkpoint(checkpoint)
        return format_note(Note(text, tuple(sign_text(text, key) for key in self._keys.signing())))

    def _store(self, conn: Connection, tree: CompactRange, made: Mapping[Tile, bytes], note: bytes) -> None:
        with conn.cursor() as cursor:
            try:
                cursor.executemany(
                    "INSERT INTO public.tiles VALUES (%s, %s, %s) ON CONFLICT (level, index) DO UPDATE SET content = excluded.content",
                    [(tile.level, tile.index, content) for tile, content in made.items()],
                )
            except psycopg.errors.RestrictViolation as err:
                raise Refused("a stored tile beyond the tree's right edge is not what the log gives", tree.size) from err
            cursor.execute("UPDATE public.sealing SET size = %s, frontier = %s", [tree.size, tree.to_bytes()])
            at_once = self._publication is Publication.AT_ONCE
            cursor.execute(
                "INSERT INTO public.checkpoints VALUES (%s, %s, %s, %s, %s)",
                [tree.size, tree.root(), note, self._clock.now(), at_once],
            )
            if not at_once:  # wakes whoever collects cosignatures
                cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(tree.size)])


def resume(conn: Connection) -> bool:
    """Takes the alarm back, so that the sealer looks again; false if there is none. What it finds then it judges anew."""
    taken = conn.execute("UPDATE public.sealing SET alarm = NULL, alarm_position = NULL, alarm_at = NULL WHERE alarm IS NOT NULL")
    return taken.rowcount > 0


def _raise_alarm(conn: Connection, refused: Refused, clock: Clock) -> None:
    where = "" if refused.position is None else f" (position {refused.position})"
    log.critical("the sealer refuses to sign%s: %s. Nothing is signed until a person has looked", where, refused.reason)
    conn.execute(
        "UPDATE public.sealing SET alarm = %s, alarm_position = %s, alarm_at = %s WHERE alarm IS NULL",
        [refused.reason, refused.position, clock.now()],
    )


def _leaves(conn: Connection, after: int, until: int) -> Iterator[list[bytes]]:
    """The leaf hashes at positions `after` + 1 to `until`, from the stored bytes; raises Refused where those are not right."""
    while after < until:
        upto = min(after + _READ_AT_ONCE, until)
        leaves = []
        for position, leaf, entry in conn.execute(_LEAVES, [after, upto], binary=True):
            after += 1
            if position != after:
                raise Refused(f"the entry that follows {after - 1} stands at {position}", after)
            leaves.append(leaf_hash(entry))
            if leaves[-1] != leaf:
                raise Refused(f"the entry at {position} is not the one that was recorded: its bytes have another hash", position)
        if after != upto:
            raise Refused(f"there is no entry at {after + 1}", after + 1)
        yield leaves


def _tiles(conn: Connection, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
    """The stored bytes of tiles, at least as wide as asked for."""
    tiles = {(tile.level, tile.index): tile for tile in wanted}
    rows = conn.execute(_TILES, [[level for level, _ in tiles], [index for _, index in tiles]], binary=True) if tiles else ()
    return {tiles[level, index]: content for level, index, content in rows}


def _edge(conn: Connection, tree: CompactRange) -> dict[Tile, bytes]:
    """The partial tiles at the right edge of the tree, which must hold what the tree says."""
    content = _tiles(conn, edge(tree.size))
    (nodes,) = root_plan(tree.size)
    try:
        found = read_nodes(nodes, tree.size, content)
    except TileError as err:
        raise Refused(f"the tiles at the tree's right edge cannot be used: {err}", tree.size) from err
    if tuple(found[node] for node in nodes) != tree.hashes:
        raise Refused("the tiles at the tree's right edge are of another tree", tree.size)
    return content


def _prove(old: Checkpoint, new: Checkpoint, tiles: Callable[[Iterable[Tile]], Mapping[Tile, bytes]]) -> None:
    """Raises Refused unless the new tree begins with the old one, proven from the tiles of the new one."""
    if not old.size:
        return
    try:
        plan = consistency_plan(old.size, new.size)
        nodes = needed(plan)
        proof = assemble(plan, read_nodes(nodes, new.size, tiles(tiles_for(nodes, new.size))))
        verify_consistency(old.size, new.size, proof, old.root, new.root)
    except (ProofError, TileError) as err:
        raise Refused(
            f"the tree of {new.size} entries does not continue the one signed last, of {old.size}: {err}", old.size
        ) from err


def _keep(file: Path, note: bytes) -> None:
    """Replaces the file whole, and has it on disk."""
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    with unfinished.open("wb") as written:
        written.write(note)
        written.flush()
        os.fsync(written.fileno())
    unfinished.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
