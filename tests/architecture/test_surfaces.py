"""Every surface answers every refusal, and has every route of its reference page.

Incident behind it: a refusal that was new to the domain was answered 500 by a surface that nobody had thought of.
"""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

from api import problems, surfaces
from domain.errors import Refusal


def refusals(of: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    """Every kind of refusal that can be raised."""
    for kind in of.__subclasses__():
        below = list(refusals(kind))
        yield from below or [kind]


#: Surfaces that answer no commands: probes.
WITHOUT = {"health"}

NAMES = sorted({module.name for module in pkgutil.iter_modules(surfaces.__path__)} - WITHOUT)


@pytest.mark.parametrize("name", NAMES)
def test_every_refusal_has_an_answer_in_every_surface(name: str) -> None:
    table = importlib.import_module(f"api.surfaces.{name}").REFUSALS
    assert set(refusals()) - set(table) == set()
    assert set(table) - set(refusals()) == set()


def test_every_refusal_has_an_answer_as_a_problem() -> None:
    assert set(problems.REFUSALS) == set(refusals())
