"""A program that reads what is not to be trusted, run where its crashes, loops and hunger for memory harm nobody.

It is loaded once, without settings of ours and without a folder, and forked for each task (`fork_server.py`). The fork takes its limits
before it reads anything (`infrastructure.pdf_child.limit`), and has one task and nothing of another. What it answers is somebody else's
word: the file may have taken it over.
"""

import asyncio
import atexit
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

#: Time on the clock, more than the program's own limit of processor time: the machine may be busy.
TIMEOUT_SECONDS: Final = 30.0

#: Programs at once. Each may take a processor and a gigabyte.
MAX_PROCESSES: Final = 2

#: All that a program needs to find its interpreter and its libraries, and no credentials.
_ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")

_CHUNK_BYTES: Final = 65_536

#: RLIMIT_CPU sends SIGXCPU, and SIGKILL a second later (setrlimit(2)).
_OUT_OF_TIME: Final = (signal.SIGXCPU, signal.SIGKILL)


class Breakdown(StrEnum):
    """How a program can fail to answer."""

    TOOK_TOO_LONG = "took-too-long"
    BROKE_DOWN = "broke-down"
    #: It said more than it could have to say.
    TOO_MUCH = "too-much"


class NoAnswer(Exception):
    """The program gave no answer."""

    def __init__(self, breakdown: Breakdown) -> None:
        super().__init__(breakdown.value)
        self.breakdown = breakdown


def _breakdown(status: int) -> Breakdown:
    """What an exit status other than 0 tells, minus the number of a signal."""
    return Breakdown.TOOK_TOO_LONG if -status in _OUT_OF_TIME else Breakdown.BROKE_DOWN


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn() -> asyncio.Semaphore:
    """What lets in MAX_PROCESSES at a time; a semaphore belongs to one event loop."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MAX_PROCESSES))


class _Program:
    """A loaded program of this process: started when it is first needed, and anew if it ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one_at_a_time = Lock()
        self._running: tuple[subprocess.Popen[bytes], socket.socket] | None = None

    def give(self, task: socket.socket, fate: socket.socket) -> None:
        """Has a task done; raises OSError if the program has just ended."""
        with self._one_at_a_time:
            if self._running is None or self._running[0].poll() is not None:
                self.end()
                self._running = self._start()
            socket.send_fds(self._running[1], [b"1"], [task.fileno(), fate.fileno()])

    def end(self) -> None:
        """Ends it and its tasks."""
        if self._running is not None:
            process, control = self._running
            control.close()
            process.wait()

    def _start(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        control, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                # -P: the folder of the file is not where the program looks for libraries
                [sys.executable, "-P", str(self._path)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                cwd="/",
            )
        return process, control


_programs: Final[dict[Path, _Program]] = {}


def _program(path: Path) -> _Program:
    if path not in _programs:
        _programs[path] = _Program(path)
        atexit.register(_programs[path].end)
    return _programs[path]


async def ask_fork(program: Path, parts: Sequence[bytes], most_bytes: int) -> bytes:
    """What a fork of a Python program writes after reading `parts`, at most `most_bytes`; raises NoAnswer."""
    async with _turn():
        try:
            ours, fate = _begin(program)
        except OSError as err:
            raise NoAnswer(Breakdown.BROKE_DOWN) from err
        source, feed = await asyncio.open_unix_connection(sock=ours)
        ending, keep = await asyncio.open_unix_connection(sock=fate)
        feeding = asyncio.create_task(_feed(feed, parts))
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await _answer(source, most_bytes)
                await feeding
                status = await ending.read()
        except TimeoutError:
            raise NoAnswer(Breakdown.TOOK_TOO_LONG) from None
        finally:
            feeding.cancel()
            for end in (keep, feed):
                end.transport.abort()  # the first of them kills the fork, if it is not dead yet
                with suppress(OSError):
                    await end.wait_closed()
    if status == b"0":
        return answer
    raise NoAnswer(_breakdown(int(status)) if status else Breakdown.BROKE_DOWN)


def _begin(program: Path) -> tuple[socket.socket, socket.socket]:
    """Our ends of a task and of its fate; raises OSError if the program has just ended, or there is no room for more sockets."""
    ours, task = socket.socketpair()
    with task:
        try:
            fate, theirs = socket.socketpair()
            with theirs:
                try:
                    _program(program).give(task, theirs)
                except OSError:
                    fate.close()
                    raise
        except OSError:
            ours.close()
            raise
    return ours, fate


async def _feed(pipe: asyncio.StreamWriter, parts: Sequence[bytes]) -> None:
    try:
        for part in parts:
            pipe.write(part)
            await pipe.drain()
        pipe.write_eof()
    except ConnectionError:
        pass  # it ended before it had read everything; its status says why


async def _answer(pipe: asyncio.StreamReader, most_bytes: int) -> bytes:
    answer = bytearray()
    try:
        while chunk := await pipe.read(_CHUNK_BYTES):
            answer += chunk
            if len(answer) > most_bytes:
                raise NoAnswer(Breakdown.TOO_MUCH)
    except ConnectionError:
        return b""  # it ended before it had read everything; its status says why
    return bytes(answer)
