"""What a check of the log can find, in the words that an auditor reads."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import UUID

#: So many faults are kept one by one; of a log that is broken throughout, the rest is only counted.
KEPT_FAULTS: Final = 1_000


class FaultKind(StrEnum):
    """What a fault looks like, from the evidence alone; who caused it and why is not in the evidence."""

    #: The bytes are not the ones that were hashed when they were recorded.
    MODIFIED = "modified"
    #: An entry between others is not there.
    MISSING = "missing"
    #: An entry stands at another place than it was recorded at.
    REORDERED = "reordered"
    #: An entry stands there a second time.
    REPEATED = "repeated"
    #: The entry is hashed correctly, but does not continue from the one that stands before it in its stream.
    RELINKED = "relinked"
    #: The log, or a stream at its end, is shorter than its head says.
    TRUNCATED = "truncated"
    #: An entry of another ledger, or of a stream that does not belong here.
    FOREIGN = "foreign"
    #: Every hash is right, but what the entries say could not have been decided.
    ILLEGAL_HISTORY = "illegal-history"
    #: A head that was kept says otherwise than the entries do.
    HEAD_MISMATCH = "head-mismatch"
    #: A stored disclosure belongs to no commitment of the log.
    STRAY_DISCLOSURE = "stray-disclosure"
    #: A stored checkpoint or tile is not that of the entries, or the sealer has refused to sign.
    SEALED_OTHERWISE = "sealed-otherwise"
    #: A file that the log names is not stored.
    LOST_FILE = "lost-file"
    #: A stored file does not have the hash that it is stored under, or cannot be read.
    ALTERED_FILE = "altered-file"


class Verdict(StrEnum):
    """Indeterminate: nothing speaks against it, but not enough could be checked to call it valid."""

    VALID = "valid"
    INVALID = "invalid"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and where it shows. Positions count from 1 along the log, lines from 1 in a file."""

    kind: FaultKind
    detail: str
    position: int | None = None
    stream: UUID | None = None
    version: int | None = None
    line: int | None = None


class Faults:
    """Collects faults; keeps the first KEPT_FAULTS and counts all."""

    def __init__(self) -> None:
        self.counts: Counter[FaultKind] = Counter()
        self._kept: list[Fault] = []

    def __len__(self) -> int:
        return self.counts.total()

    def __iter__(self) -> Iterator[Fault]:
        """In the order of the log; those without a place in it come last."""
        far = float("inf")
        return iter(sorted(self._kept, key=lambda fault: (fault.position or far, fault.line or far, str(fault.stream or ""))))

    @property
    def not_kept(self) -> int:
        """How many were found beyond those kept."""
        return len(self) - len(self._kept)

    def add(
        self,
        kind: FaultKind,
        detail: str,
        *,
        position: int | None = None,
        stream: UUID | None = None,
        version: int | None = None,
        line: int | None = None,
    ) -> None:
        self.counts[kind] += 1
        if len(self._kept) < KEPT_FAULTS:
            self._kept.append(Fault(kind, detail, position, stream, version, line))

    def name(self, position: int, stream: UUID, version: int) -> None:
        """Says whose entry it was that a fault at `position` made unreadable."""
        for index, fault in enumerate(self._kept):
            if fault.position == position and fault.stream is None:
                self._kept[index] = replace(fault, stream=stream, version=version)

    def withdraw(self, kind: FaultKind, position: int | None = None) -> None:
        """Takes back the faults of a kind, at one position or everywhere, that others have turned out to explain."""
        kept = [fault for fault in self._kept if fault.kind is not kind or position not in (None, fault.position)]
        self.counts[kind] -= len(self._kept) - len(kept)
        self._kept = kept

    def replace_all(self, kind: FaultKind, by: Fault) -> None:
        """Puts one fault in the place of all of a kind, when they turn out to have one cause."""
        del self.counts[kind]
        self._kept = [fault for fault in self._kept if fault.kind is not kind]
        self.counts[by.kind] += 1
        self._kept.append(by)
