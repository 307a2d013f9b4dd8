"""Published vectors and sample files that are kept beside the project, not in it."""

from pathlib import Path

import pytest

_FOLDER = Path(__file__).resolve().parent.parent.parent / "shared"


def shared(path: str) -> Path:
    """The file or folder `path` of the sample data; skips the test, saying so, where it is absent."""
    found = _FOLDER / path
    if not found.exists():
        pytest.skip(f"needs the sample data {path!r} in a folder 'shared' beside the project")
    return found
