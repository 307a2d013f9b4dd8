"""Published vectors and sample files that are kept beside the project, not in it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")

_FOLDER = Path(__file__).resolve().parent.parent.parent / "shared"


def shared(path: str) -> Path:
    """The file or folder `path` of the sample data; skips the test, saying so, where it is absent."""
    found = _FOLDER / path
    if not found.exists():
        pytest.skip(f"needs the sample data {path!r} in a folder 'shared' beside the project")
    return found


def some(files: Sequence[T], one_in: int) -> Sequence[T]:
    """Every `one_in`-th of many files, spread over all of them; all with COUNTERSIGN_TEST_CORPUS=whole, which takes minutes."""
    return files if os.environ.get("COUNTERSIGN_TEST_CORPUS") == "whole" else files[::one_in]
