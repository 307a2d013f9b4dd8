"""Holds under any commands: what is in force is what a list of them says, and no other history folds."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import ImpossibleHistory, Refusal
from domain.retention import HoldLifted, HoldPlaced, Holds, LiftHold, PlaceHold, RetentionCommand, RetentionFact, decide, evolve
from tests.given import NOW, TENANT, uid

ids = st.integers(1, 4).map(uid)
ends = st.none() | st.integers(-1, 6).map(lambda hours: NOW + timedelta(hours=hours))
commands: st.SearchStrategy[RetentionCommand] = st.one_of(
    st.builds(PlaceHold, st.just(TENANT), ids, st.none() | ids, st.sampled_from(["tax", "litigation"]), ends),
    st.builds(LiftHold, st.just(TENANT), ids, st.just("settled")),
)
histories = st.lists(st.tuples(st.timedeltas(timedelta(0), timedelta(hours=2)), commands), max_size=12)


@given(histories)
@settings(max_examples=60)
def test_what_is_in_force_is_what_was_placed_and_neither_lifted_nor_over(
    history: list[tuple[timedelta, RetentionCommand]],
) -> None:
    state: Holds | None = None
    now = NOW
    facts: list[tuple[RetentionFact, datetime]] = []
    for pause, command in history:
        now += pause
        try:
            decided = decide(command, state, now)
        except Refusal:
            continue
        for fact in decided:
            state = evolve(state, fact, now)
            facts.append((fact, now))
    lasting: dict[object, HoldPlaced] = {}
    for fact, _ in facts:
        if isinstance(fact, HoldPlaced):
            lasting[fact.hold] = fact
        else:
            del lasting[fact.hold]
    expected = {id for id, hold in lasting.items() if hold.until is None or hold.until >= now}
    assert {hold.id for hold in (state.in_force(now) if state else ())} == expected
    _no_fact_can_be_left_out_or_doubled(facts)


def _no_fact_can_be_left_out_or_doubled(facts: list[tuple[RetentionFact, datetime]]) -> None:
    for index, (fact, at) in enumerate(facts):
        tampered = [[*facts[: index + 1], (fact, at), *facts[index + 1 :]]]
        if isinstance(fact, HoldPlaced) and any(
            isinstance(later, HoldLifted) and later.hold == fact.hold for later, _ in facts[index:]
        ):
            tampered.append(facts[:index] + facts[index + 1 :])
        for history in tampered:
            with pytest.raises(ImpossibleHistory):
                _fold(history)


def _fold(facts: list[tuple[RetentionFact, datetime]]) -> None:
    state: Holds | None = None
    for fact, at in facts:
        state = evolve(state, fact, at)
