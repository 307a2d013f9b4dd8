"""Holds: every rule, given facts, when a command comes, then facts or a refusal."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import HoldEndsInPast, HoldNotFound, TooManyHolds
from domain.retention import (
    MAX_HOLDS,
    CodeError,
    HoldLifted,
    HoldPlaced,
    Holds,
    LiftHold,
    PlaceHold,
    RetentionCommand,
    RetentionFact,
    decide,
    evolve,
    holds_stream,
    parse_code,
)
from tests.given import ENVELOPE, MICROSECOND, NOW, TENANT, Given, uid

FIRST, SECOND = uid(71), uid(72)
LATER = NOW + timedelta(days=30)


def placed(hold: int = 71, *, envelope: bool = False, until: datetime | None = None) -> HoldPlaced:
    return HoldPlaced(TENANT, uid(hold), ENVELOPE if envelope else None, "litigation", until)


nothing: Given[RetentionCommand, Holds, RetentionFact] = Given(decide, evolve)
held = nothing.given(placed())


def in_force(given: Given[RetentionCommand, Holds, RetentionFact], at: datetime = NOW) -> list[int]:
    assert given.state is not None
    return [hold.id.int for hold in given.state.in_force(at)]


def test_a_hold_is_placed_once() -> None:
    command = PlaceHold(TENANT, FIRST, ENVELOPE, "litigation", LATER)
    assert nothing.when(command) == (placed(envelope=True, until=LATER),)
    assert nothing.given(placed(envelope=True, until=LATER)).when(command) == ()
    held.cannot_be(placed())


def test_a_hold_that_has_ended_before_it_begins_is_refused() -> None:
    refusal = nothing.refuses(PlaceHold(TENANT, FIRST, None, "tax", NOW), HoldEndsInPast)
    assert refusal.details() == {"until": NOW}
    assert nothing.when(PlaceHold(TENANT, FIRST, None, "tax", NOW + MICROSECOND))


def test_a_lifted_hold_forbids_nothing_and_is_lifted_once() -> None:
    assert held.when(LiftHold(TENANT, FIRST, "settled")) == (HoldLifted(FIRST, "settled"),)
    lifted = held.given(placed(72), HoldLifted(FIRST, "settled"))
    assert in_force(lifted) == [72]
    assert lifted.refuses(LiftHold(TENANT, FIRST, "settled"), HoldNotFound).hold == FIRST
    lifted.cannot_be(HoldLifted(FIRST, "settled"))
    nothing.cannot_be(HoldLifted(FIRST, "settled"))
    assert nothing.refuses(LiftHold(TENANT, SECOND, "settled"), HoldNotFound).hold == SECOND


def test_a_hold_is_in_force_up_to_its_end_and_not_after_it() -> None:
    until = nothing.given(placed(until=LATER))
    assert in_force(until, LATER) == [71]
    assert in_force(until, LATER + MICROSECOND) == []
    assert in_force(held, datetime.max.replace(tzinfo=UTC)) == [71]


def test_the_hold_that_lasts_longest_is_the_first() -> None:
    several = nothing.given(placed(71, until=LATER), placed(72), placed(73, until=LATER + MICROSECOND))
    assert in_force(several) == [72, 73, 71]


def test_a_hold_knows_since_when_it_is_and_what_it_holds() -> None:
    state = nothing.given(placed(envelope=True, until=LATER), at=NOW).state
    assert state is not None
    (hold,) = state.placed.values()
    assert (hold.envelope, hold.reason, hold.until, hold.placed_at) == (ENVELOPE, "litigation", LATER, NOW)


def test_there_are_only_so_many_holds_that_were_not_lifted() -> None:
    full = nothing.given(*(placed(1_000 + number) for number in range(MAX_HOLDS)))
    assert full.refuses(PlaceHold(TENANT, FIRST, None, "tax", None), TooManyHolds).most == MAX_HOLDS
    full.cannot_be(placed())
    assert full.given(HoldLifted(uid(1_000), "settled")).when(PlaceHold(TENANT, FIRST, None, "tax", None))


def test_a_hold_of_another_tenant_cannot_be() -> None:
    held.cannot_be(HoldPlaced(uid(9), SECOND, None, "tax", None))


def test_each_tenant_has_a_stream_of_holds_that_anybody_can_name() -> None:
    assert str(holds_stream(TENANT)) == "94cc1748-057a-5ac3-8f2f-f13ff0bd7a39"
    assert PlaceHold(TENANT, FIRST, None, "tax", None).holds == LiftHold(TENANT, FIRST, "settled").holds == holds_stream(TENANT)
    assert holds_stream(uid(9)) != holds_stream(TENANT)


@pytest.mark.parametrize("text", ["x", "gdpr-17-1-b", "HGB:257/1_2.a", "a" * 64])
def test_a_reason_is_a_code(text: str) -> None:
    assert parse_code(text) == text


@pytest.mark.parametrize("text", ["", "-a", "because Ana asked", "a" * 65, "ana@example.com", "a\n", "Ü", "²"])
def test_prose_is_no_reason(text: str) -> None:
    with pytest.raises(CodeError):
        parse_code(text)
