"""The heads manifest over the log: made at intervals and on demand, recorded in the log, proven from.

The map moves in one transaction with the follower's position; then the fact that records it is appended. Between the
two the manifest is pending, and nothing is proven from it: a proof is of no use before its root stands in the log.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from domain.actor import Actor, ActorKind
from domain.canonical import Json, canonical_exact
from domain.entry import EntryError, leaf_hash, parse_time
from domain.errors import SealingContradicted
from domain.heads import NO_PART, Head, HeadsError, Nodes, Part, missing, prove, update
from domain.sealing import ENDINGS, HeadsRecorded, RecordHeads, ledger_stream
from infrastructure.clock import Clock
from infrastructure.database import Reads
from infrastructure.following import Connection, Follower, LogEntry, Overtaken, begin, move, read_entries, stop
from infrastructure.installation import Installation
from infrastructure.ledger import NO_ANSWER, Ledger
from infrastructure.multiplexed import Statement
from infrastructure.notifications import CHANNEL, LogListener
from infrastructure.reading import ReadsUnavailable
from infrastructure.recorder import wire

log = logging.getLogger(__name__)

FOLLOWER: Final = "heads"
BY: Final = Actor(ActorKind.FOLLOWER, FOLLOWER)

#: Entries of one manifest: when it does not wait for its time, and what one transaction takes in. That is a second or two of work;
#: a follower that were silent for longer than FROZEN_SECONDS would lose its connection.
PORTION: Final = 10_000

_ENTRIES_AT_ONCE: Final = 1_000
_NODES_AT_ONCE: Final = 2_000

#: How often somebody who waits looks.
_LOOK_SECONDS: Final = 0.03
#: A manifest is pending for milliseconds, unless nobody can append.
_PENDING_SECONDS: Final = 5.0

#: Appends the fact; blocking, from any thread but the event loop's. "Already so" is no error.
Record: TypeAlias = Callable[[HeadsRecorded], None]

_LOOK: Final = """
    SELECT at.position, at.status = 'running', head.position, wanted.position, pending.position, pending.streams, pending.root
    FROM public.log_head AS head CROSS JOIN public.manifest_wanted AS wanted
    LEFT JOIN read.positions AS at ON at.projection = %s LEFT JOIN public.manifests AS pending ON pending.entry IS NULL"""
_OLDEST: Final = "SELECT position, entry FROM public.log WHERE position > %s AND stream <> %s ORDER BY position LIMIT 1"
_LOAD: Final = "SELECT prefix, content FROM public.manifest_nodes WHERE prefix = ANY(%b::text[])"
_STORE: Final = """
    INSERT INTO public.manifest_nodes (prefix, content) SELECT * FROM unnest(%b::text[], %b::bytea[])
    ON CONFLICT (prefix) DO UPDATE SET content = excluded.content"""
ADD: Final = "INSERT INTO public.manifests (position, streams, root) VALUES (%s, %s, %s)"
_MARK: Final = """
    UPDATE public.manifests SET entry = (
        SELECT position FROM public.log WHERE stream = %s AND type = %s ORDER BY version DESC LIMIT 1
    ) WHERE position = %s"""


def record_through(ledger: Ledger, origin: str) -> Record:
    """Appends on the running event loop, whichever thread asks for it."""
    loop = asyncio.get_running_loop()
    stream = ledger_stream(origin)

    def record(heads: HeadsRecorded) -> None:
        handled = ledger.handle(RecordHeads(stream, heads), BY, lambda outcome: NO_ANSWER)
        asyncio.run_coroutine_threadsafe(handled, loop).result()

    return record


def heads_follower(installation: Installation, listener: LogListener, ledger: Ledger, clock: Clock) -> Follower:
    """Makes manifests on a thread of its own, in one process of all at a time. Appends on the running event loop."""
    every = timedelta(seconds=installation.settings.heads_seconds)
    maker = ManifestMaker(installation.origin, record_through(ledger, installation.origin), every, clock)
    return Follower(installation.urls.service, FOLLOWER, maker.step, listener)


class ManifestMaker:
    """Makes the next manifest of the ledger `origin` when it is due.

    That is when somebody asked for it, when an entry that is not the ledger's own has waited for `every`, or when
    PORTION entries have come.
    """

    def __init__(self, origin: str, record: Record, every: timedelta, clock: Clock) -> None:
        self._stream = ledger_stream(origin)
        self._record = record
        self._every = every
        self._clock = clock
        self._waiting: tuple[int, datetime] | None = None

    def step(self, conn: Connection) -> bool:
        """Records a pending manifest, or makes one if it is due; false when there is nothing to do."""
        found = conn.execute(_LOOK, [FOLLOWER]).fetchone()
        if found is None or found[0] is None:
            begin(conn, FOLLOWER)
            return True
        position, running, head, wanted, *pending = found
        if not running:
            return False
        if pending[0] is not None:
            self._record_pending(conn, HeadsRecorded(pending[0], pending[1], pending[2].hex()))
            return True
        if position == head or not (wanted > position or head - position >= PORTION or self._overdue(conn, position)):
            return False
        self._advance(conn, position, min(head, position + PORTION))
        return True

    def _overdue(self, conn: Connection, position: int) -> bool:
        """Whether an entry after `position` has waited long enough for a manifest; the ledger's own may wait."""
        if self._waiting is None or self._waiting[0] != position:
            oldest = conn.execute(_OLDEST, [position, self._stream], binary=True).fetchone()
            if oldest is None:
                return False
            self._waiting = (position, _time_of(*oldest))
        return self._clock.now() - self._waiting[1] >= self._every

    def _advance(self, conn: Connection, position: int, until: int) -> None:
        """Takes the map on to `until`. A log or a map that contradicts itself stops the follower instead."""
        try:
            with conn.transaction():
                move(conn, {FOLLOWER: ""}, position, until)
                root = take_in(conn, _root_at(conn, position), _heads(conn, position, until))
                conn.execute(ADD, [until, root.rows, root.hash])
                # Crash point: up to here the map is that of the manifest before.
        except Overtaken:
            log.info("%s was moved by another process", FOLLOWER)
        except (HeadsError, EntryError) as err:
            _stop(conn, position, str(err))

    def _record_pending(self, conn: Connection, heads: HeadsRecorded) -> None:
        try:
            # Crash point: the map is ahead of the log. The next step finds the manifest pending.
            self._record(heads)
        except SealingContradicted as err:
            _stop(conn, heads.position, str(err))
            return
        # Crash point: the fact stands, the manifest is pending still. Recorded again, it is "already so".
        conn.execute(_MARK, [self._stream, HeadsRecorded.TYPE, heads.position])


def _stop(conn: Connection, position: int, reason: str) -> None:
    log.error("no heads manifest is made any more, from position %s on: %s", position, reason)
    stop(conn, FOLLOWER, "", position, reason)


def _time_of(position: int, raw: bytes) -> datetime:
    # `at` is the first member of a canonical entry, so this spares the parsing of the rest.
    if raw[:7] != b'{"at":"':
        raise EntryError(f"entry {position} does not begin with its time")
    return parse_time(raw[7:34].decode("ascii", "replace"))


def _root_at(conn: Connection, position: int) -> Part:
    if not position:
        return NO_PART
    found = conn.execute("SELECT root, streams FROM public.manifests WHERE position = %s", [position], binary=True).fetchone()
    if found is None:
        raise HeadsError(f"there is no manifest of position {position}")
    return Part(*found)


def _heads(conn: Connection, position: int, until: int) -> list[Head]:
    """Where the streams end that have entries after `position`, up to `until`; from the entries' own bytes."""
    heads: dict[str, Head] = {}
    for after in range(position, until, _ENTRIES_AT_ONCE):
        for entry in read_entries(conn, after, min(until, after + _ENTRIES_AT_ONCE)):
            _compare(entry)
            before = heads.get(entry.stream)
            closed = entry.type in ENDINGS or (before is not None and before.closed)
            heads[entry.stream] = Head(UUID(entry.stream), entry.version, leaf_hash(entry.entry), closed)
    return list(heads.values())


def _compare(entry: LogEntry) -> None:
    """These three are the last members of a canonical entry, and no string within one can look like that."""
    members: Mapping[str, Json] = {"stream": entry.stream, "type": entry.type, "version": entry.version}
    if not entry.entry.endswith(canonical_exact(members)[1:]):
        raise EntryError(f"entry {entry.position} does not say what its row says")


def take_in(conn: Connection, root: Part, heads: Collection[Head]) -> Part:
    """Moves the stored map of `root` on by some heads, in the caller's transaction; answers its root after. Raises HeadsError."""
    streams = [head.stream for head in heads]
    nodes: dict[str, bytes | None] = {}
    while wanted := missing(nodes, streams):
        nodes.update(dict.fromkeys(wanted))
        for prefixes in _portions(wanted):
            nodes.update(conn.execute(_LOAD, [prefixes], binary=True).fetchall())
    changed = update(nodes, root, heads)
    for prefixes in _portions(changed.nodes):
        conn.execute(_STORE, [prefixes, [changed.nodes[prefix] for prefix in prefixes]])
    return changed.root


def _portions(prefixes: Iterable[str]) -> Iterator[list[str]]:
    in_order = sorted(prefixes)
    for start in range(0, len(in_order), _NODES_AT_ONCE):
        yield in_order[start : start + _NODES_AT_ONCE]


@dataclass(frozen=True, slots=True)
class RecordedHeads:
    """A manifest: of the first `position` entries, with so many streams, recorded by the entry at position `entry`."""

    entry: int
    position: int
    streams: int
    root: bytes


@dataclass(frozen=True, slots=True)
class ProvenHead:
    """A stream's row in a manifest, and the path from it to the manifest's root (`domain.heads.verify_row`)."""

    row: bytes
    path: tuple[bytes, ...]
    manifest: RecordedHeads


_NONE: Final = RecordedHeads(0, 0, NO_PART.rows, NO_PART.hash)

_LATEST: Final = Statement(
    b"heads_latest",
    b"SELECT entry, position, streams, root FROM public.manifests WHERE entry IS NOT NULL ORDER BY position DESC LIMIT 1",
)
#: One statement sees one state of both tables.
_PROOF: Final = Statement(
    b"heads_proof",
    b"SELECT m.entry, m.position, m.streams, m.root, n.prefix, n.content"
    b" FROM (SELECT * FROM public.manifests ORDER BY position DESC LIMIT 1) AS m"
    b" LEFT JOIN public.manifest_nodes AS n ON n.prefix = ANY($1::text[])",
)
_WANT: Final = Statement(
    b"heads_want",
    b"WITH asked AS (UPDATE public.manifest_wanted SET position = $1::bigint WHERE position < $1::bigint RETURNING 1)"
    b" SELECT pg_notify('" + CHANNEL.encode() + b"', $1::text) FROM asked",
)
_STOPPED: Final = Statement(
    b"heads_stopped", b"SELECT error FROM read.positions WHERE projection = 'heads' AND status <> 'running'"
)
_OUTSTANDING: Final = Statement(
    b"heads_outstanding", b"SELECT position FROM public.log WHERE stream <> ALL($1::uuid[]) ORDER BY position DESC LIMIT 1"
)


class Heads:
    """Recorded manifests and proofs from the last one. Raises DatabaseUnavailable where the database cannot be asked."""

    def __init__(self, reads: Reads, origin: str) -> None:
        self._reads = reads
        self._stream = ledger_stream(origin)

    async def latest(self) -> RecordedHeads | None:
        """The last manifest that stands in the log, None before the first."""
        rows = await self._reads.fetch(_LATEST)
        return _recorded(*rows[0]) if rows else None

    async def newest(self) -> int:
        """The position of the last entry that is not the ledger's own, 0 if there is none."""
        rows = await self._reads.fetch(_OUTSTANDING, wire.uuid_array([self._stream]))
        return wire.as_int(rows[0][0]) if rows else 0

    async def stopped(self) -> str | None:
        """Why no manifests are made any more, None if they are."""
        rows = await self._reads.fetch(_STOPPED)
        return rows[0][0].decode() if rows else None

    async def want(self, position: int, seconds: float) -> RecordedHeads | None:
        """A manifest that covers the entry at `position`, of which there must be one; made if need be.

        Many who want one share it. None if there was none after `seconds`, or none will come.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        found = await self.latest()
        if found is None or found.position < position:
            await self._reads.fetch(_WANT, wire.int8(position))
        while found is None or found.position < position:
            if loop.time() > deadline or await self.stopped() is not None:
                return None
            await asyncio.sleep(_LOOK_SECONDS)
            found = await self.latest()
        return found

    async def prove(self, streams: Iterable[UUID]) -> dict[UUID, ProvenHead]:
        """Rows and paths, in the last recorded manifest, of those of the streams that it has; all of one manifest.

        Raises ReadsUnavailable while one is recorded for too long, and when the stored map is damaged.
        """
        asked = tuple(streams)
        deadline = asyncio.get_running_loop().time() + _PENDING_SECONDS
        while (found := await self._nodes(asked)) is None:
            if asyncio.get_running_loop().time() > deadline:
                raise ReadsUnavailable(FOLLOWER, f"the last manifest is not recorded after {_PENDING_SECONDS:g} s")
            await asyncio.sleep(_LOOK_SECONDS)
        manifest, nodes = found
        try:
            proofs = prove(nodes, Part(manifest.root, manifest.streams), asked)
        except HeadsError as err:
            raise ReadsUnavailable(FOLLOWER, str(err)) from err
        return {stream: ProvenHead(proof.row, proof.path, manifest) for stream, proof in proofs.items()}

    async def _nodes(self, streams: Collection[UUID]) -> tuple[RecordedHeads, Nodes] | None:
        """The nodes that proofs of the streams need, with their manifest; None while it is pending, or if it was overtaken."""
        manifest = _NONE
        nodes: dict[str, bytes | None] = {}
        while wanted := missing(nodes, streams):
            rows = await self._reads.fetch(_PROOF, wire.text_array(wanted))
            if rows and rows[0][0] is None:
                return None
            seen = _recorded(*rows[0][:4]) if rows else _NONE
            if nodes and seen != manifest:
                return None
            manifest = seen
            nodes.update(dict.fromkeys(wanted))
            nodes.update((prefix.decode(), content) for *_, prefix, content in rows if prefix is not None)
        return manifest, nodes


def _recorded(entry: bytes, position: bytes, streams: bytes, root: bytes) -> RecordedHeads:
    return RecordedHeads(wire.as_int(entry), wire.as_int(position), wire.as_int(streams), root)
