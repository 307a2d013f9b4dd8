"""The locks: exact, hashed, without addresses, and in agreement (docs/adr/0001).

Incident behind it: an unpinned build backend was replaced at its source overnight, and the next
installation ran the replacement with full rights.
"""

import re
import tomllib

import pytest

from scripts import interpreter
from tests.architecture.source import ROOT

LOCKS = ("requirements.lock", "requirements-test.lock")
PIN = re.compile(r"([a-z0-9.-]+)==([^ ;]+)(?: ; [^\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: str) -> dict[str, str]:
    return {match[1]: match[2] for match in PIN.finditer((ROOT / lock).read_text())}


def names(requirements: list[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9_.-]+", requirement) for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_nothing_but_exact_versions_with_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    rest = PIN.sub("", text)
    assert pins(lock)
    assert [line for line in rest.splitlines() if not line.startswith("# ")] == []
    assert "://" not in text


def test_the_locks_hold_every_declared_library_and_the_build_backend() -> None:
    runtime = names(PROJECT["project"]["dependencies"]) | names(PROJECT["build-system"]["requires"])
    assert runtime <= pins("requirements.lock").keys()
    assert names(PROJECT["project"]["optional-dependencies"]["test"]) <= pins("requirements-test.lock").keys()


def test_the_test_lock_holds_the_runtime_lock_in_the_same_versions() -> None:
    assert pins("requirements.lock").items() <= pins("requirements-test.lock").items()


def test_the_start_scripts_and_the_project_agree_on_the_supported_pythons() -> None:
    oldest, newest = interpreter.OLDEST, interpreter.NEWEST
    assert PROJECT["project"]["requires-python"] == f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"
