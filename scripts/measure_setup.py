#!/usr/bin/env python3
"""Measures what a newcomer waits for: a fresh clone until the server answers, started again, and until all tests have passed."""

import argparse
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: A set-up that takes longer than this has failed, whatever the network.
PATIENCE_SECONDS = 900.0


def main() -> None:
    """Prints the times and ends with 0 when the server answered and, unless left out, the tests passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the Python that runs the scripts (default: this one)")
    parser.add_argument("--without-tests", action="store_true", help="measure the server alone")
    options = parser.parse_args()
    print(f"Python {_version(options.python)}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores", flush=True)
    # A path with a space, as newcomers have them.
    with tempfile.TemporaryDirectory(prefix="countersign fresh ", ignore_cleanup_errors=True) as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        _report("fresh clone to the first answer", _until_first_answer(options.python, clone))
        _report("second start to the first answer", _until_first_answer(options.python, clone))
        if not options.without_tests:
            shutil.rmtree(clone / ".venv")
            _report("fresh environment to the end of scripts/test", _until_tested(options.python, clone))


def _until_first_answer(python: str, clone: Path) -> float:
    port = _free_port()
    started = time.monotonic()
    output = clone.parent / "serve.log"
    with output.open("w") as log:
        server = subprocess.Popen(
            [python, "scripts/serve"],
            cwd=clone,
            env=_environment(port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        while not _answers(port):
            if server.poll() is not None or time.monotonic() - started > PATIENCE_SECONDS:
                sys.exit(f"The server did not answer:\n{output.read_text()}")
            time.sleep(0.05)
        return time.monotonic() - started
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def _until_tested(python: str, clone: Path) -> float:
    started = time.monotonic()
    ended = subprocess.run(
        [python, "scripts/test"], cwd=clone, env=_environment(_free_port()), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        sys.exit(f"scripts/test failed:\n{ended.stdout[-5000:]}{ended.stderr[-2000:]}")
    print(ended.stdout.strip().splitlines()[-1])
    return time.monotonic() - started


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _environment(port: int) -> dict[str, str]:
    """This environment without what a developer set for Countersign or Python."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COUNTERSIGN_", "PYTHON")) and name not in ("DATABASE_URL", "VIRTUAL_ENV")
    }
    return kept | {"COUNTERSIGN_PORT": str(port)}


def _version(python: str) -> str:
    return subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _report(what: str, seconds: float) -> None:
    print(f"{seconds:7.1f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
