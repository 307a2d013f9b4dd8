"""The judge of a log: takes entries in the order of the log and names what is wrong with them.

`fsck` feeds it from the database and `verify` from a file, so both find the same faults and call them
by the same names. Each entry is judged when the next one is known, because only then does it show
whether an entry, or the one before it, stands in the wrong place.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Final, NamedTuple
from uuid import UUID

from domain.entry import NO_PREVIOUS, Entry, EntryError, decode, format_time, leaf_hash
from domain.errors import ImpossibleHistory
from domain.faults import FaultKind, Faults
from infrastructure.codec import KNOWN
from infrastructure.losses import Losses
from infrastructure.replay import Replay
from infrastructure.spill import Spill

#: Streams kept in memory, some hundreds of bytes each.
STREAMS: Final = 20_000


class Numbering(Enum):
    """What the positions of the entries can be relied on for."""

    #: Keys of a table: each is where the entry stands.
    TABLE = auto()
    #: Written beside each entry of a whole log: they count 1, 2, 3, and the order of the lines is where an entry stands.
    GAPLESS_FILE = auto()
    #: Written beside the entries of some streams: they only increase.
    SPARSE_FILE = auto()


@dataclass(slots=True)
class Stream:
    """What is known of a stream so far. `leaf` is that of its last entry, `position` where that stands."""

    version: int = 0
    leaf: bytes = NO_PREVIOUS
    position: int = 0
    entries: int = 0
    package: UUID | None = None
    state: str = ""
    sound: bool = True
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a stream as somebody kept it."""

    version: int
    leaf: bytes
    position: int


@dataclass(slots=True)
class _Held:
    """An entry that waits for the next one before it is judged."""

    position: int
    line: int | None
    entry: Entry
    leaf: bytes


class Columns(NamedTuple):
    """What the row of a table says of the entry in it."""

    stream: UUID
    version: int
    type: str


@dataclass
class History:
    """Feed it with `push`, then `finish`. `known` are leaves that somebody else kept, by position.

    `streams` are those that the log may hold, None for all.
    """

    ledger: str
    numbering: Numbering
    streams: Collection[UUID] | None = None
    known: dict[int, bytes] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.entries = 0
        #: The log's last position, where that is stated beforehand.
        self.end: int | None = None
        self.last = 0
        self.last_at: datetime | None = None
        self.unknown: Counter[str] = Counter()
        self.ledgers: Counter[str] = Counter()
        self.seen: set[int] = set()
        self.table: Spill[Stream] = Spill(STREAMS)
        self.replay = Replay(self.faults, None if self.numbering is not Numbering.SPARSE_FILE else self.streams)
        self.losses = Losses(self.faults)
        self._held: _Held | None = None
        self._torn = 0
        self._displaced: dict[int, tuple[int, int | None, UUID, int]] = {}
        self._astray: dict[tuple[UUID, int], bytes] = {}

    def push(self, position: int, raw: bytes, leaf: bytes, line: int | None = None, row: Columns | None = None) -> None:
        """Takes the next entry: its bytes, the leaf that is stated for it, and what its table's row says it is."""
        self.entries += 1
        entry = self._read(position, raw, leaf, line, row)
        if entry is not None and self._admit(position, entry, line, row):
            held, self._held = self._held, _Held(position, line, entry, leaf)
            if held is not None:
                self._judge(held, position, entry)

    def torn(self, line: int, reason: str) -> None:
        """A line of a file holds no entry that can be read."""
        self._flush()
        place = self.last + 1 + self._torn
        known = self.numbering is Numbering.GAPLESS_FILE and (self.end is None or place <= self.end)
        position = place if known else None
        self.faults.add(FaultKind.MODIFIED, f"the line cannot be read: {reason}", position=position, line=line)
        self._torn += 1

    def lose(self, position: int, stream: UUID | None = None, version: int | None = None) -> None:
        """What stands at `position` is not what was recorded there, as `version` of `stream` if that is known."""
        self._flush()
        if stream is not None:
            self._unsound(stream)
        if self.numbering is Numbering.GAPLESS_FILE:
            # The line's place decides, when the next entry comes: its number was not confirmed by a hash.
            self._torn += 1
            self.losses.hint(self.last + self._torn, stream, version)
            return
        if self.numbering is Numbering.TABLE:
            self._skip_to(position)
        self.losses.unreadable(position, stream, version)
        self.last = max(self.last, position)

    def _flush(self) -> None:
        """Judges the entry that waits; what follows it is of no help."""
        held, self._held = self._held, None
        if held is not None:
            self._judge(held, held.position + 1, None)

    def end_of_entries(self, next_position: int | None = None) -> None:
        """No more entries come; `next_position` is the one that the next would have, if that is known."""
        held, self._held = self._held, None
        if held is not None:
            self._judge(held, next_position, None)
        if self._torn and next_position is not None:
            self._skip_to(next_position)
        self.losses.unnamed = self._torn > 0

    def _read(self, position: int, raw: bytes, leaf: bytes, line: int | None, row: Columns | None) -> Entry | None:
        computed = leaf_hash(raw)
        if self.known and position in self.known:
            self._compare_known(position, computed, line)
        try:
            entry = decode(raw)
        except EntryError as err:
            self._spoilt(FaultKind.MODIFIED, f"the bytes are not an entry: {err}", position, line, row)
            return None
        if computed != leaf:
            detail = f"the bytes hash to {computed.hex()}, not to the leaf {leaf.hex()} that was recorded"
            self._spoilt(FaultKind.MODIFIED, detail, position, line, row or Columns(entry.stream, entry.version, entry.type))
            return None
        return entry

    def _spoilt(self, kind: FaultKind, detail: str, position: int, line: int | None, row: Columns | None) -> None:
        stream, version = (None, None) if row is None else (row.stream, row.version)
        self.faults.add(kind, detail, position=position, stream=stream, version=version, line=line)
        self.lose(position, stream, version)

    def _compare_known(self, position: int, computed: bytes, line: int | None) -> None:
        self.seen.add(position)
        if computed != self.known[position]:
            detail = f"the head kept outside says {self.known[position].hex()}, the entry here hashes to {computed.hex()}"
            self.faults.add(FaultKind.HEAD_MISMATCH, detail, position=position, line=line)

    def _admit(self, position: int, entry: Entry, line: int | None, row: Columns | None) -> bool:
        """Whether the entry belongs to this log, and in this row."""
        if entry.ledger != self.ledger:
            self.ledgers[entry.ledger] += 1
            self._spoilt(FaultKind.FOREIGN, f"an entry of the ledger {entry.ledger!r}", position, line, row)
        elif self.streams is not None and entry.stream not in self.streams:
            detail = f"an entry of stream {entry.stream}, which is not part of this export"
            self._spoilt(FaultKind.FOREIGN, detail, position, line, row)
        elif row is not None and (wrong := _misplaced(entry, row)) is not None:
            self._spoilt(*wrong, position, line, row)
        else:
            return True
        return False

    # Where an entry stands

    def _judge(self, held: _Held, next_position: int | None, following: Entry | None) -> None:
        if held.position != self.last + 1 or self._torn:
            place = self._place(held, next_position)
            if place is None:
                return
            slot, displaced = place
        else:
            slot, displaced = held.position, False
        self._torn = 0
        if not displaced:
            displaced = self._out_of_time(held, following) or self._overtaken(held, following)
        self.last = slot
        self._follow(held, slot, displaced=displaced)

    def _place(self, held: _Held, next_position: int | None) -> tuple[int, bool] | None:
        """The position at which the entry stands and whether it belongs there; None if it stands there in excess."""
        position, expected = held.position, self.last + 1
        if self.numbering is Numbering.GAPLESS_FILE and not self._torn:
            swapped = next_position == expected and position == expected + 1
            if next_position == expected + 1 or swapped:
                self._displaced[expected] = (position, held.line, held.entry.stream, held.entry.version)
                return expected, True
            if next_position == expected:
                self._repeated(held)
                return None
        if position >= expected:
            if self.numbering is not Numbering.SPARSE_FILE or self._torn:
                self._skip_to(position)
            return position, False
        record = self.table.get(held.entry.stream)
        if record is not None and held.entry.version <= record.version:
            self._repeated(held)
            return None
        self._reordered(held, f"position {position} stands after position {self.last}")
        return self.last, True

    def _skip_to(self, position: int) -> None:
        """The positions from the last entry to before `position` hold nothing that can be used."""
        lost = range(self.last + 1, position)
        if self.numbering is Numbering.SPARSE_FILE:
            for each in lost[: self._torn]:  # somewhere between; which one does not matter
                self.losses.unreadable(each)
        elif self._torn and len(lost) <= 2 * self._torn:
            for each in lost:
                self.losses.unreadable(each)
        elif lost:
            self.losses.missing(lost.start, lost.stop - 1)
        self.last = max(self.last, position - 1)
        self._torn = 0

    def _repeated(self, held: _Held) -> None:
        detail = f"version {held.entry.version} of the stream stands in the log before"
        self._fault(FaultKind.REPEATED, detail, held, held.position)
        self._unsound(held.entry.stream)

    def _reordered(self, held: _Held, detail: str) -> None:
        self._fault(FaultKind.REORDERED, detail, held, held.position)

    def _out_of_time(self, held: _Held, following: Entry | None) -> bool:
        """Time never decreases along the log: names the entry that does not fit between its neighbours."""
        at = held.entry.at
        if self.last_at is not None and at < self.last_at:
            self._reordered(held, f"its time {format_time(at)} is before that of the entry that precedes it")
            return True
        early = following is not None and following.at < at
        if early and following is not None and (self.last_at is None or following.at >= self.last_at):
            self._reordered(held, f"its time {format_time(at)} is after that of the entry that follows it")
            return True
        self.last_at = at
        return False

    def _overtaken(self, held: _Held, following: Entry | None) -> bool:
        if following is None or following.stream != held.entry.stream or following.version != held.entry.version - 1:
            return False
        self._reordered(held, f"version {held.entry.version} stands before version {following.version} of its stream")
        return True

    # Chains

    def _follow(self, held: _Held, position: int, *, displaced: bool) -> None:
        entry = held.entry
        stream = self.table.get(entry.stream)
        if stream is None:
            stream = Stream()
            self.table.put(entry.stream, stream)
        stream.entries += 1
        if displaced:
            stream.sound = False
            self.replay.stop(entry, stream)
            self.losses.disturbed(position)
            if entry.version != stream.version + 1:
                if not self.losses.found(entry.stream, entry.version):
                    self._astray[entry.stream, entry.version] = held.leaf
                return
        elif entry.version != stream.version + 1:
            self._gather(entry.stream, stream)
            if entry.version != stream.version + 1 and not self._jump(held, position, stream):
                return
        if entry.previous != stream.leaf and entry.version == stream.version + 1:
            self._relinked(held, position, stream)
        stream.version, stream.leaf, stream.position = entry.version, held.leaf, position
        if not displaced:
            self._replay(held, position, stream)

    def _jump(self, held: _Held, position: int, stream: Stream) -> bool:
        """An entry whose version does not follow: whether the stream goes on from it."""
        entry = held.entry
        if entry.version <= stream.version:
            if self.losses.found(entry.stream, entry.version):
                self._fault(FaultKind.REORDERED, f"it stands after version {stream.version} of its stream", held, position)
            else:
                self._repeated(held)
            stream.sound = False
            return False
        if stream.version == 0 and entry.previous == NO_PREVIOUS and entry.type not in KNOWN:
            # Only the ledger's own streams are promised to begin at version 1.
            stream.version = entry.version - 1
            return True
        self.losses.gap(entry.stream, stream.version + 1, entry.version - 1, stream.position, position)
        stream.sound = False
        self.replay.stop(entry, stream)
        return True

    def _relinked(self, held: _Held, position: int, stream: Stream) -> None:
        entry, before = held.entry, stream.leaf.hex()
        where = f"version {stream.version} at position {stream.position} hashes to {before}"
        if stream.version == 0:
            where = "it is the first of its stream"
        detail = f"its previous is {entry.previous.hex()}, but {where}: one of the two was replaced and hashed again"
        self._fault(FaultKind.RELINKED, detail, held, position)
        stream.sound = False

    def _gather(self, stream_id: UUID, stream: Stream) -> None:
        """Goes on over entries of the stream that stood elsewhere."""
        while (leaf := self._astray.pop((stream_id, stream.version + 1), None)) is not None:
            stream.version += 1
            stream.leaf = leaf

    def _replay(self, held: _Held, position: int, stream: Stream) -> None:
        entry = held.entry
        if entry.type not in KNOWN:
            self.unknown[entry.type] += 1
            stream.unknown += 1
            self.replay.stop(entry, stream)
            return
        try:
            self.replay.take(entry, position, stream)
        except ImpossibleHistory as err:
            stream.sound = False
            self.replay.stop(entry, stream)
            if not self.replay.explained(stream, self.losses.last):
                self._fault(FaultKind.ILLEGAL_HISTORY, str(err), held, position)

    def _fault(self, kind: FaultKind, detail: str, held: _Held, position: int) -> None:
        entry = held.entry
        self.faults.add(kind, detail, position=position, stream=entry.stream, version=entry.version, line=held.line)

    def _unsound(self, stream: UUID) -> None:
        record = self.table.get(stream)
        if record is not None:
            record.sound = False

    # The end

    def finish(self) -> None:
        """Names what only shows at the end; heads and ends of the log are compared before."""
        for slot, (said, line, stream, version) in self._displaced.items():
            kind = FaultKind.REORDERED if said in self._displaced else FaultKind.MODIFIED
            detail = f"the entry says position {said}, the line is the place of position {slot}"
            self.faults.add(kind, detail, position=slot, stream=stream, version=version, line=line)
        self.losses.finish()
        if self.numbering is Numbering.SPARSE_FILE and (self.losses.last or self.faults.counts[FaultKind.MISSING]):
            # One envelope at most, and not all of it: what seems impossible follows from what is not there.
            self.faults.withdraw(FaultKind.ILLEGAL_HISTORY)
        for position in sorted(self.known.keys() - self.seen):
            kind = FaultKind.TRUNCATED if position > self.last else FaultKind.MISSING
            self.faults.add(kind, "a head kept outside names an entry here, and there is none", position=position)
        self.replay.finish(self.last, self.losses.last)

    def compare_end(self, position: int, source: str, line: int | None = None) -> None:
        """Compares the log's last position with `position`, as `source` kept it."""
        if position > self.last:
            detail = f"{source} says that the log goes to position {position}, its entries end at {self.last}"
            self.faults.add(FaultKind.TRUNCATED, detail, position=self.last + 1, line=line)
        elif position < self.last:
            detail = f"{source} says that the log ends at position {position}, its entries go to {self.last}"
            self.faults.add(FaultKind.HEAD_MISMATCH, detail, position=position + 1, line=line)

    def compare_head(self, stream_id: UUID, head: Head, line: int | None = None) -> None:
        """Compares the end of a stream with its head, as it was kept."""
        stream = self.table.get(stream_id) or Stream()
        self._gather(stream_id, stream)
        if (stream.version, stream.leaf, stream.position) == (head.version, head.leaf, head.position):
            return
        stream.sound = False
        if head.version > stream.version:
            self._shorter(stream_id, stream, head, line)
            return
        kind = FaultKind.HEAD_MISMATCH
        detail = f"its head is version {head.version}, its entries go to version {stream.version}"
        if head.version == stream.version and head.leaf != stream.leaf:
            detail = f"its head has the leaf {head.leaf.hex()}, its last entry hashes to {stream.leaf.hex()}"
        elif head.version == stream.version:
            kind = FaultKind.REORDERED
            detail = f"its last entry was recorded at position {head.position} and stands at {stream.position}"
            self.faults.withdraw(FaultKind.ILLEGAL_HISTORY, stream.position)
        self.faults.add(kind, detail, position=stream.position or None, stream=stream_id, version=stream.version, line=line)

    def _shorter(self, stream_id: UUID, stream: Stream, head: Head, line: int | None) -> None:
        if self.losses.claim(head.position, stream_id, head.version):
            return
        detail = f"its entries end at version {stream.version}, its head is version {head.version} at position {head.position}"
        if head.position <= self.last:
            self.faults.add(FaultKind.MISSING, detail, position=head.position, stream=stream_id, version=head.version, line=line)
        elif not self.faults.counts[FaultKind.TRUNCATED]:
            self.faults.add(
                FaultKind.TRUNCATED, detail, position=head.position, stream=stream_id, version=head.version, line=line
            )

    def records(self) -> Iterator[tuple[UUID, Stream]]:
        """What is known of every stream, in no particular order."""
        return self.table.items()

    def close(self) -> None:
        self.table.close()
        self.replay.close()


def _misplaced(entry: Entry, row: Columns) -> tuple[FaultKind, str] | None:
    """How an entry, itself sound, differs from what its row says it is."""
    if entry.stream != row.stream:
        return (
            FaultKind.FOREIGN,
            f"version {entry.version} of stream {entry.stream} stands in the place of another stream's entry",
        )
    if entry.version != row.version:
        return FaultKind.REORDERED, f"version {entry.version} of the stream stands in the place of version {row.version}"
    if entry.type != row.type:
        return FaultKind.MODIFIED, f"the column says the type is {row.type!r}, the entry says {entry.type!r}"
    return None
