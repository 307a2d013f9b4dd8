"""A decision on its way into the log: what it rests on, and what is to be appended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.actor import Actor
from domain.canonical import Json
from domain.personal import Disclosure
from infrastructure.aggregates import State
from infrastructure.append import Erasure, NewEntry, Receipt, StreamAppend
from infrastructure.codec import EncodedFact, Fact, encode_fact
from infrastructure.vault import Reference


@dataclass(slots=True)
class Loaded:
    """A stream as far as it is known: its last entry and what its entries add up to, both None if it has none."""

    head: Receipt | None
    state: State | None
    cached: bool

    @property
    def version(self) -> int:
        return 0 if self.head is None else self.head.version


def unknown() -> Loaded:
    """A stream of which nothing has been read, or nothing is there."""
    return Loaded(None, None, cached=False)


@dataclass(frozen=True, slots=True)
class Step:
    """A fact on its way into the log: encoded, and the version it will have if nobody comes between."""

    stream: UUID
    version: int
    fact: Fact
    encoded: EncodedFact


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision with the state it was decided on. `about` are the streams that the command names.

    It stands only if the streams of `unchanged` are where they were loaded.
    """

    steps: tuple[Step, ...]
    loaded: Mapping[UUID, Loaded]
    about: tuple[UUID, ...]
    now: datetime
    not_after: datetime | None = None
    erase: tuple[Erasure, ...] = ()
    unchanged: tuple[UUID, ...] = ()

    @property
    def disclosures(self) -> list[tuple[Reference, Disclosure]]:
        return [
            (Reference(step.stream, step.version, path), disclosure)
            for step in self.steps
            for path, disclosure in step.encoded.disclosures
        ]

    def heads(self, receipts: Sequence[Receipt]) -> Iterable[Receipt]:
        """The last entry of each stream that was appended to, and of those that the command names."""
        known = {stream: self.loaded[stream].head for stream in self.about if stream in self.loaded}
        known.update((receipt.stream, receipt) for receipt in receipts)
        return [head for head in known.values() if head is not None]


def steps_of(facts: Mapping[UUID, Sequence[Fact]], loaded: Mapping[UUID, Loaded]) -> tuple[Step, ...]:
    """The facts of a decision, behind what their streams hold as they were loaded."""
    return tuple(
        Step(stream, version, fact, encode_fact(fact))
        for stream, stream_facts in facts.items()
        for version, fact in enumerate(stream_facts, loaded[stream].version + 1)
    )


def stream_appends(decided: Decided, by: Actor) -> tuple[StreamAppend, ...]:
    """What is to be appended to each stream, and what each is expected to hold."""
    actor: dict[str, Json] = {"kind": by.kind.value, "id": by.id}
    entries: dict[UUID, list[NewEntry]] = {stream: [] for stream in decided.unchanged}
    if not decided.steps:
        # "Already so" appends nothing, but a kept answer must be found when one of these streams is erased from.
        entries = {stream: [] for stream, item in decided.loaded.items() if item.state is not None}
    for step in decided.steps:
        encoded = step.encoded
        entries.setdefault(step.stream, []).append(NewEntry(encoded.type, actor, encoded.data, encoded.personal))
    return tuple(StreamAppend(stream, decided.loaded[stream].version, tuple(new)) for stream, new in entries.items())


def tenant_of(decided: Decided) -> UUID:
    """The tenant of the aggregates concerned, from their state or from the fact that creates them."""
    states = (item.state for item in decided.loaded.values() if item.state is not None)
    for candidate in (*states, *(step.fact for step in decided.steps)):
        tenant = getattr(candidate, "tenant", None)
        if isinstance(tenant, UUID):
            return tenant
    raise LookupError("a debit without a tenant")
