"""Entries that are not there or cannot be read, and whose they were, as far as the rest of the log tells."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from domain.faults import FaultKind, Faults

#: A longer gap is reported as a whole; nobody reads a list of more.
NAMED_VERSIONS: Final = 100


@dataclass(slots=True)
class _Gap:
    """Versions of a stream that did not come between two of its entries, `after` and `before` (positions)."""

    stream: UUID
    first: int
    last: int
    after: int
    before: int


class Losses:
    """Collects what is lost while a log is read; names it at the end.

    An entry that cannot be read has its own fault already; what was lost without a trace becomes one here.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._missing: list[tuple[int, int]] = []
        self._unreadable: dict[int, tuple[UUID, int] | None] = {}
        self._hints: dict[int, tuple[UUID, int]] = {}
        self._gaps: list[_Gap] = []
        #: The greatest position at which what was recorded there does not stand, 0 if there is none.
        self.last = 0
        #: Whether entries were lost whose stream is not known.
        self.unnamed = False

    def missing(self, first: int, last: int) -> None:
        """Nothing stands at these positions."""
        self._missing.append((first, last))
        self.last = max(self.last, last)

    def unreadable(self, position: int, stream: UUID | None = None, version: int | None = None) -> None:
        """What stands at `position` is not what was recorded there."""
        hint = self._hints.pop(position, None)
        self._unreadable[position] = hint if stream is None or version is None else (stream, version)
        self.last = max(self.last, position)

    def disturbed(self, position: int) -> None:
        """What stands at `position` belongs elsewhere, and is not lost."""
        self.last = max(self.last, position)

    def hint(self, position: int, stream: UUID | None, version: int | None) -> None:
        """What probably stood at `position`, before that is known to be lost."""
        if stream is not None and version is not None:
            self._hints[position] = (stream, version)

    def gap(self, stream: UUID, first: int, last: int, after: int, before: int) -> None:
        """Versions `first` to `last` of `stream` do not stand between the positions `after` and `before`."""
        self._gaps.append(_Gap(stream, first, last, after, before))

    def found(self, stream: UUID, version: int) -> bool:
        """Whether `version` had been thought lost; it is not any more."""
        for gap in self._gaps:
            if gap.stream == stream and gap.first <= version <= gap.last:
                self._gaps.remove(gap)
                if gap.first < version:
                    self._gaps.append(_Gap(stream, gap.first, version - 1, gap.after, gap.before))
                if version < gap.last:
                    self._gaps.append(_Gap(stream, version + 1, gap.last, gap.after, gap.before))
                return True
        return False

    def claim(self, position: int, stream: UUID, version: int) -> bool:
        """Whether a loss at `position` explains why `stream` lacks its last entry, `version`."""
        if position in self._unreadable:
            self._unreadable[position] = (stream, version)
            self._faults.name(position, stream, version)
            return True
        if self._take_missing(position):
            self._report(position, stream, version)
            return True
        return False

    def finish(self) -> None:
        """Reports what is missing, with its stream and version where only one can be meant."""
        for gap in self._gaps:
            self._attribute(gap)
        for first, last in self._missing:
            self.unnamed = True
            many = f"positions {first} to {last} are" if last > first else f"position {first} is"
            self._faults.add(FaultKind.MISSING, f"{many} not in the log", position=first)
        self.unnamed = self.unnamed or None in self._unreadable.values()

    def _attribute(self, gap: _Gap) -> None:
        versions = gap.last - gap.first + 1
        known = {place: hint for place, hint in self._unreadable.items() if gap.after < place < gap.before}
        wanted = set(range(gap.first, gap.last + 1)) if versions <= NAMED_VERSIONS else set()
        wanted -= {hint[1] for hint in known.values() if hint is not None and hint[0] == gap.stream}
        if versions <= NAMED_VERSIONS and not wanted:
            return
        candidates = sorted([place for place, hint in known.items() if not self._trusted(hint)] + self._missing_within(gap))
        if len(candidates) == len(wanted):
            for position, version in zip(candidates, sorted(wanted), strict=True):
                self.claim(position, gap.stream, version)
            return
        many = f"versions {gap.first} to {gap.last} are" if versions > 1 else f"version {gap.first} is"
        detail = f"{many} missing before the entry of the stream at position {gap.before}"
        self._faults.add(FaultKind.MISSING, detail, stream=gap.stream, version=gap.first)

    def _trusted(self, hint: tuple[UUID, int] | None) -> bool:
        """What an altered entry says of itself holds if exactly that is missing somewhere."""
        if hint is None:
            return False
        stream, version = hint
        return any(gap.stream == stream and gap.first <= version <= gap.last for gap in self._gaps)

    def _missing_within(self, gap: _Gap) -> list[int]:
        found: list[int] = []
        for first, last in self._missing:
            if last > gap.after and first < gap.before:
                start, stop = max(first, gap.after + 1), min(last, gap.before - 1)
                found.extend(range(start, min(stop, start + NAMED_VERSIONS) + 1))
        return found

    def _take_missing(self, position: int) -> bool:
        for index, (first, last) in enumerate(self._missing):
            if first <= position <= last:
                rest = [(first, position - 1), (position + 1, last)]
                self._missing[index : index + 1] = [part for part in rest if part[0] <= part[1]]
                return True
        return False

    def _report(self, position: int, stream: UUID, version: int) -> None:
        detail = f"position {position} is not in the log"
        self._faults.add(FaultKind.MISSING, detail, position=position, stream=stream, version=version)
