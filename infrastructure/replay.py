"""Replays entries through the domain: every fact must be one that could have been decided where it stands."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast
from uuid import UUID

from domain.entry import Entry
from domain.envelope import EnvelopeCreated, EnvelopeFact
from domain.errors import ImpossibleHistory
from domain.evidence import PackageHistory
from domain.faults import FaultKind, Faults
from domain.signing import ProcessCreated, SigningFact
from infrastructure.aggregates import BY_FACT, State
from infrastructure.codec import CodecError, Fact, decode_fact
from infrastructure.spill import Spill

#: Envelopes kept in memory with all that is known of their signings, some kilobytes each.
PACKAGES: Final = 4_000


class Replayed(Protocol):
    """The part of a stream's record that replaying reads and writes; `state` is where it stands, in a word."""

    version: int
    package: UUID | None
    state: str


@dataclass(slots=True)
class _Package:
    history: PackageHistory
    started: int
    position: int
    stopped: bool = False


class Replay:
    """States of everything in a log, folded as the entries come.

    `streams` names the streams of a log that holds only some, None when it holds all.
    """

    def __init__(self, faults: Faults, streams: Collection[UUID] | None) -> None:
        self._faults = faults
        self._streams = streams
        self._packages: Spill[_Package] = Spill(PACKAGES)
        self._others: Spill[State] = Spill(PACKAGES)
        self._stopped: set[UUID] = set()
        #: Envelopes whose history was not replayed to its end, and why.
        self.troubled: dict[UUID, str] = {}

    def take(self, entry: Entry, position: int, stream: Replayed) -> None:
        """Folds in the next entry of its stream; raises ImpossibleHistory."""
        if entry.stream in self._stopped:
            self.stop(entry, stream)
            return
        fact = _fact_of(entry)
        if stream.package is None and not stream.state:
            stream.package = _package_of(entry.stream, fact)
        try:
            if stream.package is not None:
                self._in_package(stream.package, entry, fact, position, stream)
            else:
                self._alone(entry, fact, stream)
        except ArithmeticError as err:
            raise ImpossibleHistory(f"{entry.type}: {err}") from err

    def _in_package(self, envelope: UUID, entry: Entry, fact: Fact, position: int, stream: Replayed) -> None:
        package = self._packages.get(envelope)
        if package is None:
            package = _Package(self._begin(envelope), position, position)
            self._packages.put(envelope, package)
        if package.stopped:
            return
        history = package.history
        if history.unsettled and position != package.position + 1:
            raise ImpossibleHistory("another entry stands within the decision that this one belongs to")
        history.feed(entry.stream, cast("EnvelopeFact | SigningFact", fact), entry.at)
        package.position = position
        state = history.envelope if entry.stream == envelope else history.signings.get(entry.stream)
        stream.state = "" if state is None else state.status.value

    def _begin(self, envelope: UUID) -> PackageHistory:
        if self._streams is None or envelope in self._streams:
            return PackageHistory(envelope)
        return PackageHistory(envelope, self._streams)

    def _alone(self, entry: Entry, fact: Fact, stream: Replayed) -> None:
        state, aggregate = self._others.get(entry.stream), BY_FACT[type(fact)]
        if state is not None and type(state) is not aggregate.state:
            raise ImpossibleHistory(f"{entry.type} in a stream of another kind")
        after = aggregate.evolve(state, fact, entry.at)
        self._others.put(entry.stream, after)
        stream.state = aggregate.label(after)

    def stop(self, entry: Entry, stream: Replayed) -> None:
        """Goes no further with the stream of `entry`, nor with the envelope that it belongs to."""
        if stream.package is None and not stream.state:
            try:
                stream.package = _package_of(entry.stream, _fact_of(entry))
            except ImpossibleHistory:
                stream.package = None
        if stream.package is None:
            self._stopped.add(entry.stream)
            return
        package = self._packages.get(stream.package)
        if package is None:
            package = _Package(self._begin(stream.package), 0, 0)
            self._packages.put(stream.package, package)
        package.stopped = True
        self.troubled.setdefault(stream.package, f"the history of its envelope was replayed only to position {package.position}")

    def explained(self, stream: Replayed, last_loss: int) -> bool:
        """Whether entries were lost since the envelope of `stream` began: then what follows may only seem impossible."""
        package = None if stream.package is None else self._packages.get(stream.package)
        return package is not None and last_loss > 0 and (package.history.envelope is None or last_loss > package.started)

    def finish(self, last: int, last_loss: int) -> None:
        """Names histories that break off within a decision; `last` is the position of the log's last entry."""
        for envelope, package in self._packages.items():
            if package.stopped:
                continue
            try:
                package.history.finish()
            except ImpossibleHistory as err:
                self.troubled[envelope] = f"the history of its envelope breaks off at position {package.position}"
                if last_loss > package.started or self._faults.counts[FaultKind.TRUNCATED]:
                    continue
                kind = FaultKind.TRUNCATED if package.position == last else FaultKind.ILLEGAL_HISTORY
                self._faults.add(kind, str(err), position=package.position, stream=envelope)

    def close(self) -> None:
        self._packages.close()
        self._others.close()


def _fact_of(entry: Entry) -> Fact:
    try:
        return decode_fact(entry.type, entry.data, entry.personal)
    except CodecError as err:
        raise ImpossibleHistory(f"{entry.type} does not say what such a fact must: {err}") from err


def _package_of(stream: UUID, fact: Any) -> UUID | None:
    """The envelope that a stream beginning with `fact` belongs to."""
    if isinstance(fact, ProcessCreated):
        return fact.envelope
    return stream if isinstance(fact, EnvelopeCreated) else None
