"""Every match of the write model names every case, and ends in `assert_never`.

Incident behind it: a widely read event-sourcing sample ends its `evolve` in "anything else: state
unchanged". A fact that was added later was decided, stored, and forgotten by the fold; orders stayed
open for ever, and no test failed. With `assert_never` the type checker refuses the forgotten case.
"""

import ast
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, modules, place, syntax


def takes_anything(pattern: ast.pattern | None) -> bool:
    """`_`, and `_ as name`."""
    return pattern is None or (isinstance(pattern, ast.MatchAs) and takes_anything(pattern.pattern))


def ends_in_assert_never(match: ast.Match) -> bool:
    last = match.cases[-1]
    if not takes_anything(last.pattern) or last.guard is not None:
        return False
    statement = last.body[-1]
    call = statement.value if isinstance(statement, ast.Expr | ast.Return) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "assert_never"


def open_matches(tree: ast.AST) -> list[ast.Match]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Match) and not ends_in_assert_never(node)]


@pytest.mark.parametrize("module", list(modules("domain")), ids=lambda module: str(module.relative_to(ROOT)))
def test_every_match_of_the_domain_ends_in_assert_never(module: Path) -> None:
    assert [place(module, node) for node in open_matches(syntax(module))] == []


@pytest.mark.parametrize(
    "ending",
    ["case A(): pass", "case _: return state", "case _ as other: raise ValueError(other)", "case _ if late: assert_never(x)"],
)
def test_a_match_that_ends_otherwise_is_seen(ending: str) -> None:
    assert open_matches(ast.parse(f"match x:\n    case B(): pass\n    {ending}"))


def test_a_match_that_ends_in_assert_never_is_let_pass() -> None:
    assert not open_matches(ast.parse("match x:\n    case A(): pass\n    case _ as unreachable: assert_never(unreachable)"))
