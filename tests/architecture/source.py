"""The project's own source, as the architecture tests read it."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("api", "domain", "infrastructure", "projections", "scripts")


def modules(*folders: str) -> Iterator[Path]:
    """Every Python module of these top-level folders."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def syntax(module: Path) -> ast.Module:
    return ast.parse(module.read_text(), str(module))


def place(module: Path, node: ast.AST) -> str:
    """`domain/entry.py:12`, for a message that an editor can follow."""
    return f"{module.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def tracked_files() -> list[Path]:
    """The files under version control; skips the test in a copy without it."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a checkout: it looks at the files under version control")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
