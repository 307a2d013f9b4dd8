"""Retention: holds that forbid erasure, for as long as a law or a dispute wants data to be kept.

One stream per tenant, whose name is derived from the tenant's, so that an erasure can expect the stream to be where it was even
before the first hold is placed, and a verifier finds it without an index. A hold is on one envelope, with all its signings, or
on the whole tenant. Reasons and grounds are codes and not prose: they stay in the log for ever.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import ClassVar, Final, assert_never
from uuid import UUID, uuid5

from domain.errors import HoldEndsInPast, HoldNotFound, ImpossibleHistory, TooManyHolds

#: Holds of one tenant that have not been lifted. Far more than disputes at once; what is to be kept as a whole is held as a whole.
MAX_HOLDS: Final = 1_000

#: A code, as a regular expression. It stays in the log for ever, so it must not hold what is erased.
CODE: Final = "[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}"

_FOREVER: Final = datetime.max.replace(tzinfo=UTC)


class CodeError(ValueError):
    """A reason or a ground is not a code."""


def parse_code(text: str) -> str:
    """`text` if it is a code such as `gdpr-17-1-b`; raises CodeError. Prose might name the person that it is about."""
    if not re.fullmatch(CODE, text):
        raise CodeError("a code of at most 64 letters, digits and . _ : / -")
    return text


def holds_stream(tenant: UUID) -> UUID:
    """The stream of a tenant's holds: UUID version 5 (RFC 9562 section 5.5) in the tenant's namespace."""
    return uuid5(tenant, "countersign:holds")


# Facts


@dataclass(frozen=True, slots=True)
class HoldPlaced:
    """`envelope` None holds everything of the tenant; `until` None holds until it is lifted."""

    TYPE: ClassVar[str] = "retention.hold-placed/1"
    tenant: UUID
    hold: UUID
    envelope: UUID | None
    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class HoldLifted:
    TYPE: ClassVar[str] = "retention.hold-lifted/1"
    hold: UUID
    ground: str


RetentionFact = HoldPlaced | HoldLifted

# Commands


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """That the envelope is the tenant's is for the caller to check: it never changes."""

    tenant: UUID
    hold: UUID
    envelope: UUID | None
    reason: str
    until: datetime | None

    @property
    def holds(self) -> UUID:
        """The stream that it is about."""
        return holds_stream(self.tenant)


@dataclass(frozen=True, slots=True)
class LiftHold:
    tenant: UUID
    hold: UUID
    ground: str

    @property
    def holds(self) -> UUID:
        """The stream that it is about."""
        return holds_stream(self.tenant)


RetentionCommand = PlaceHold | LiftHold

# State


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that has not been lifted; `envelope` and `until` as in `HoldPlaced`."""

    id: UUID
    envelope: UUID | None
    reason: str
    until: datetime | None
    placed_at: datetime

    def in_force(self, now: datetime) -> bool:
        """Whether it still forbids anything; it does at the moment of `until`, and not after it."""
        return self.until is None or now <= self.until


@dataclass(frozen=True, slots=True)
class Holds:
    """A tenant's holds that have not been lifted, by id, in the order they were placed in."""

    tenant: UUID
    placed: Mapping[UUID, Hold]

    def in_force(self, now: datetime) -> tuple[Hold, ...]:
        """Those that forbid something, first what lasts longest: whoever waits for one waits for the others too."""
        kept = (hold for hold in self.placed.values() if hold.in_force(now))
        return tuple(sorted(kept, key=lambda hold: hold.until or _FOREVER, reverse=True))


def decide(command: RetentionCommand, state: Holds | None, now: datetime) -> tuple[RetentionFact, ...]:
    """The facts that follow from `command`; raises a Refusal. `state` is None before the first hold."""
    placed = {} if state is None else state.placed
    match command:
        case PlaceHold():
            if command.hold in placed:
                return ()
            if command.until is not None and command.until <= now:
                raise HoldEndsInPast(command.until)
            if len(placed) >= MAX_HOLDS:
                raise TooManyHolds(MAX_HOLDS)
            return (HoldPlaced(command.tenant, command.hold, command.envelope, command.reason, command.until),)
        case LiftHold():
            if command.hold not in placed:
                raise HoldNotFound(command.hold)
            return (HoldLifted(command.hold, command.ground),)
        case _ as unreachable:
            assert_never(unreachable)


def evolve(state: Holds | None, fact: RetentionFact, at: datetime) -> Holds:
    """The state after `fact`; raises ImpossibleHistory if it could not have been decided in `state`."""
    match fact:
        case HoldPlaced():
            before = {} if state is None else state.placed
            if state is not None and state.tenant != fact.tenant:
                raise ImpossibleHistory("a hold of another tenant")
            if fact.hold in before or len(before) >= MAX_HOLDS:
                raise ImpossibleHistory("a hold is placed twice, or one too many")
            hold = Hold(fact.hold, fact.envelope, fact.reason, fact.until, at)
            return Holds(fact.tenant, MappingProxyType({**before, fact.hold: hold}))
        case HoldLifted():
            if state is None or fact.hold not in state.placed:
                raise ImpossibleHistory("a hold is lifted that was not placed")
            return Holds(state.tenant, MappingProxyType({id: hold for id, hold in state.placed.items() if id != fact.hold}))
        case _ as unreachable:
            assert_never(unreachable)
