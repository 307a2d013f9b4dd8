"""A limited program (`limited_process.py`) that is loaded once and forked for each task (`fork_server.py`): for what is done often.

A fork has the same limits, no settings of ours and one task, and nothing of another one; it starts in milliseconds.
"""

import asyncio
import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from infrastructure.limited_process import ENVIRONMENT, TIMEOUT_SECONDS, Breakdown, NoAnswer, breakdown, read_answer, turn


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
                env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
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
    async with turn():
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
    raise NoAnswer(breakdown(int(status)) if status else Breakdown.BROKE_DOWN)


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
    try:
        return await read_answer(pipe, most_bytes)
    except ConnectionError:
        return b""  # it ended before it had read everything; its status says why
