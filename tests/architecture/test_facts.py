"""Facts are frozen, stored under names we chose, and hold only what has one spelling.

Incidents behind it: a ledger that stored class paths could not rename a module without rewriting its
history; and an amount of 0.1 + 0.2 had another hash after a round trip through another language.
"""

import dataclasses
import re
from typing import Any, get_args, get_type_hints

import pytest

from domain.personal import Personal
from infrastructure.codec import FACTS

NAME = re.compile(r"[a-z]+(\.[a-z]+(-[a-z]+)*)/[1-9][0-9]*")


def parts(hint: Any) -> set[Any]:
    """Every type within a type hint, through unions, tuples and dataclasses."""
    if dataclasses.is_dataclass(hint) and hint is not Personal:
        return {hint}.union(*(parts(member) for member in get_type_hints(hint).values()))
    return {hint}.union(*(parts(member) for member in get_args(hint)))


@pytest.mark.parametrize(("name", "fact"), FACTS.items())
def test_a_fact_has_a_name_of_our_own_with_a_schema_number(name: str, fact: type[Any]) -> None:
    assert NAME.fullmatch(name), f"{fact.__qualname__} is stored as {name!r}"


@pytest.mark.parametrize("fact", FACTS.values())
def test_a_fact_is_frozen_and_has_slots(fact: type[Any]) -> None:
    assert fact.__dataclass_params__.frozen
    assert "__dict__" not in dir(fact)


@pytest.mark.parametrize("fact", FACTS.values())
def test_a_fact_holds_nothing_that_has_several_spellings(fact: type[Any]) -> None:
    assert parts(fact).isdisjoint({float, complex, dict, list, set, Any, object})
