"""The set-up: what it takes for finished, what it leaves out, and that two at once make one."""

import os
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from scripts import bootstrap, interpreter

LOCK = (
    "first==1.0 ; python_version < '4' \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nsecond==2.0 \\\n    --hash=sha256:cc\n"
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with an environment that looks finished for both locks."""
    environment = tmp_path / ".venv"
    environment.mkdir()
    for name in ("pyproject.toml", bootstrap.RUNTIME, bootstrap.TEST):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "ENVIRONMENT", environment)
    monkeypatch.setattr(bootstrap, "PYTHON", environment / "python")
    monkeypatch.setattr(bootstrap, "STAMP", environment / "stamp.json")
    (environment / "python").symlink_to(sys.executable)
    finished = {name: bootstrap._digest(name) for name in (bootstrap.RUNTIME, bootstrap.TEST)}
    bootstrap._write_stamp({"origin": bootstrap._origin(), "locks": finished})
    return tmp_path


def test_a_finished_environment_is_used_as_it_is(checkout: Path) -> None:
    assert bootstrap._is_ready(bootstrap.RUNTIME)
    assert bootstrap._is_ready(bootstrap.TEST)


@pytest.mark.parametrize("changed", ["pyproject.toml", bootstrap.RUNTIME])
def test_a_changed_lock_or_project_file_asks_for_a_set_up(checkout: Path, changed: str) -> None:
    (checkout / changed).write_text("changed")
    assert not bootstrap._is_ready(bootstrap.RUNTIME)


def test_an_interrupted_set_up_is_not_taken_for_finished(checkout: Path) -> None:
    (checkout / ".venv" / "stamp.json").unlink()
    assert not bootstrap._is_ready(bootstrap.RUNTIME)


def test_a_half_written_stamp_is_not_taken_for_finished(checkout: Path) -> None:
    stamp = checkout / ".venv" / "stamp.json"
    stamp.write_bytes(stamp.read_bytes()[:-5])
    assert not bootstrap._is_ready(bootstrap.RUNTIME)


def test_an_environment_whose_python_was_replaced_is_made_anew(checkout: Path) -> None:
    python = checkout / ".venv" / "python"
    python.unlink()
    python.symlink_to("/bin/sh")
    assert not bootstrap._is_ready(bootstrap.RUNTIME)


def test_a_library_is_left_out_of_a_lock_with_all_its_hashes() -> None:
    assert bootstrap.without("first", LOCK) == "second==2.0 \\\n    --hash=sha256:cc\n"
    assert bootstrap.without("second", LOCK) + "second==2.0 \\\n    --hash=sha256:cc\n" == LOCK
    assert bootstrap.without("fir", LOCK) == LOCK


def test_the_real_lock_holds_the_embedded_database_that_musl_systems_leave_out() -> None:
    lock = (Path(bootstrap.__file__).parent.parent / bootstrap.RUNTIME).read_text()
    shortened = bootstrap.without(bootstrap.EMBEDDED_DATABASE, lock)
    assert len(bootstrap._PIN.findall(shortened)) == len(bootstrap._PIN.findall(lock)) - 1


def _hold_the_lock(root: Path, held: Any, release: Any) -> None:
    bootstrap.ROOT = root  # type: ignore[misc]  # in a process of its own
    with bootstrap._alone():
        held.set()
        release.wait(30)


def test_a_second_set_up_waits_for_the_first(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    context = get_context("spawn")
    (held, release), (second_held, now) = (context.Event(), context.Event()), (context.Event(), context.Event())
    first = context.Process(target=_hold_the_lock, args=(checkout, held, release))
    second = context.Process(target=_hold_the_lock, args=(checkout, second_held, now))
    first.start()
    assert held.wait(30)
    second.start()
    printed, patience = "", 60
    while not printed and patience:  # a process takes its time to start
        assert not second_held.wait(0.5)
        printed, patience = capfd.readouterr().out, patience - 1
    assert printed == "Another set-up is running; waiting for it.\n"
    assert not second_held.wait(0.2)
    release.set()
    assert second_held.wait(30)
    now.set()
    first.join(30)
    second.join(30)
    assert capfd.readouterr().out == ""


def test_a_step_that_fails_ends_the_set_up_with_what_it_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        bootstrap._run("Libraries", [sys.executable, "-c", "print('no such wheel'); raise SystemExit(3)"])
    assert "Libraries: failed\nno such wheel\n" in str(end.value)


def test_a_version_managers_stand_in_that_does_not_run_is_no_python(tmp_path: Path) -> None:
    stand_in = tmp_path / "python3.13"
    stand_in.write_text("#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n")
    stand_in.chmod(0o755)
    assert not interpreter._fits(str(stand_in))
    assert interpreter._fits(os.path.realpath(sys.executable))


def test_the_set_up_keeps_the_users_mirrors_and_installs_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", "/etc/certificates.pem")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environment = bootstrap._environment()
    assert environment["PIP_CERT"] == "/etc/certificates.pem"
    assert environment.keys().isdisjoint({"PIP_TARGET", "PYTHONPATH"})
