"""Real `countersign` processes on loopback, for what can only be shown with several of them, or by killing them.

A process is started in a session of its own and ended by its own number, never by its name.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from infrastructure.settings import Settings, variable

ROOT: Final = Path(__file__).resolve().parent.parent

#: A first start makes the database; a start after a crash waits for its recovery. Both are quick, unless the machine is busy.
START_SECONDS: Final = 90.0
STOP_SECONDS: Final = 30.0

_READY: Final = re.compile(rb"listening on (http://\S+)\n|(Worker is following)")


class StartFailed(Exception):
    """The process ended, or was not ready in time; the message holds what it printed."""


class ServerProcess:
    """One `countersign serve` or `countersign worker` over the data folder `data`.

    `url` is where it answers, empty for a worker. What it prints is in `printed` and in a file beside `data`, named
    by `name`. `environment` is added to that of this process, without the variables that configure this one.
    """

    def __init__(self, data: Path, *arguments: str, environment: Mapping[str, str] | None = None, name: str = "") -> None:
        self.arguments = arguments
        self.url = ""
        self._log = data.with_name(f"{data.name}.{name or arguments[0]}.log")
        # The first port is the system's choice; it is kept, so that clients find the server again after a restart.
        self._environment = {**bare_environment(), variable("data"): str(data), variable("port"): "0", **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._printed_from = 0

    def start(self) -> Self:
        """Starts it, again after a kill, and returns once it is ready. Raises StartFailed."""
        self.launch()
        self.await_ready()
        return self

    def launch(self) -> None:
        """Starts it without waiting."""
        with self._log.open("ab") as log:
            self._printed_from = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "api", *self.arguments],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def await_ready(self) -> None:
        """Returns once it says that it is ready. Raises StartFailed."""
        deadline = time.monotonic() + START_SECONDS
        while (found := _READY.search(self.printed)) is None:
            if self.exit_code is not None:
                raise StartFailed(f"it ended with exit code {self.exit_code}:\n{self.printed.decode(errors='replace')}")
            if time.monotonic() > deadline:
                self.kill()
                raise StartFailed(f"it was not ready after {START_SECONDS:.0f} s:\n{self.printed.decode(errors='replace')}")
            time.sleep(0.02)
        if found[1] is not None:
            self.url = found[1].decode()
            self._environment[variable("port")] = self.url.rpartition(":")[2]

    @property
    def printed(self) -> bytes:
        """What it has printed since it was last started, both of its outputs."""
        with self._log.open("rb") as log:
            log.seek(self._printed_from)
            return log.read()

    @property
    def process_id(self) -> int:
        """Its number; LookupError if it was never started."""
        if self._process is None:
            raise LookupError("the process was not started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return None if self._process is None else self._process.poll()

    def signal(self, number: int) -> None:
        """Sends a signal; no effect when it has ended."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """`kill -9`, and nothing after it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    def wait(self) -> int:
        """Waits until it ends by itself; its exit code. Raises subprocess.TimeoutExpired."""
        return 0 if self._process is None else self._process.wait(START_SECONDS)

    def stop(self) -> int:
        """Asks it to end, as Ctrl-C does, waits, and answers its exit code. Idempotent. It is killed if it does not end."""
        if self._process is None:
            return 0
        self.signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def database_process(data: Path) -> int | None:
    """The number of the embedded PostgreSQL's first process, None if its file does not name one that lives."""
    with suppress(FileNotFoundError, IndexError, ValueError, ProcessLookupError):
        process = int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(process, 0)
        return process
    return None


def kill_database(data: Path, *, children: bool) -> int:
    """`kill -9` of the embedded PostgreSQL's first process; its children notice and end.

    With `children` those are killed in the same instant, where the system tells them (Linux), so that none
    finishes what it was doing. Answers how many processes were killed. LookupError if it does not run.
    """
    process = database_process(data)
    if process is None:
        raise LookupError(f"no PostgreSQL runs on {data}")
    victims = [process]
    if children:
        with suppress(FileNotFoundError):
            victims += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    for victim in victims:
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    return len(victims)


def bare_environment() -> dict[str, str]:
    """This process's environment without our own settings: a test is not to run on the developer's database."""
    own = {variable(field) for field in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in own}
