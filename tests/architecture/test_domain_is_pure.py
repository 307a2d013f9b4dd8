"""The write model decides from its arguments alone.

Incident behind it: in a system whose rules read the clock, replaying an old log gave other answers
than on the day it was written, and no auditor could tell a changed log from a changed day. A verifier
that runs offline, years later, must get the same facts, so time, ids and randomness are arguments.
"""

import ast
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, modules, place, syntax

#: Modules of the standard library through which the world outside the arguments comes in.
WORLD = {
    "asyncio", "glob", "io", "locale", "logging", "multiprocessing", "os", "pathlib", "platform", "random", "secrets", "shutil",
    "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib",
}  # fmt: skip

#: What reads the world although its module is otherwise fine. `hash` differs from process to process.
IMPURE = {
    "date.today", "datetime.now", "datetime.today", "datetime.utcnow", "hash", "id", "input", "open", "print",
    "uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4",
}  # fmt: skip

KNOWN = sys.stdlib_module_names | {"domain"}

DOMAIN = list(modules("domain"))


def imported(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, name.name.partition(".")[0]) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node, "domain" if node.level else (node.module or "").partition(".")[0]))
    return found


def mentioned(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    """Names, and attributes as `owner.name`: `default_factory=uuid4` is as impure as `uuid4()`.

    A name that the module gives to something of its own is its own.
    """
    own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name not in own:
                found.append((node, name))
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                found.append((node, f"{owner}.{name}"))
            case _:
                pass
    return found


def impurities(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    foreign = [(node, f"imports {name}, which is not the standard library") for node, name in imported(tree) if name not in KNOWN]
    worldly = [(node, f"imports {name}") for node, name in imported(tree) if name in WORLD]
    impure = [(node, f"uses {name}") for node, name in mentioned(tree) if name in IMPURE]
    return foreign + worldly + impure


@pytest.mark.parametrize("module", DOMAIN, ids=lambda module: str(module.relative_to(ROOT)))
def test_the_domain_touches_nothing_outside_its_arguments(module: Path) -> None:
    assert [f"{place(module, node)} {fault}" for node, fault in impurities(syntax(module))] == []


@pytest.mark.parametrize(
    "source",
    [
        "import psycopg",
        "from infrastructure.append import Append",
        "import time",
        "from os import path",
        "def f():\n    import random",
        "from datetime import datetime\nat = datetime.now()",
        "import datetime\nat = datetime.datetime.now()",
        "from uuid import uuid4\nclass A:\n    x = field(default_factory=uuid4)",
        "import uuid\nx = uuid.uuid4()",
        "open('x')",
        "hash('x')",
    ],
)
def test_each_way_out_of_the_arguments_is_seen(source: str) -> None:
    assert impurities(ast.parse(source))


def test_what_decides_from_its_arguments_is_let_pass() -> None:
    source = "from datetime import datetime\nfrom uuid import UUID\nfrom domain.ids import uuid7\ndef f(id: UUID, now: datetime): return id, now"
    assert impurities(ast.parse(source)) == []
