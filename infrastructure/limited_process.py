"""A program that reads what is not to be trusted, run where its crashes, loops and hunger for memory harm nobody.

A fresh process without settings of ours and without a folder; the program takes the limits itself before it reads anything
(`infrastructure.pdf_child.limit`). What it answers is somebody else's word: the file may have taken it over.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, cast
from weakref import WeakKeyDictionary

#: Time on the clock, more than the program's own limit of processor time: the machine may be busy.
TIMEOUT_SECONDS: Final = 30.0

#: Programs at once. Each may take a processor and a gigabyte.
MAX_PROCESSES: Final = 2

#: All that a program needs to find its interpreter and its libraries, and no credentials.
ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")

_CHUNK_BYTES: Final = 4096

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


async def ask(program: Path, parts: Sequence[bytes], most_bytes: int, arguments: Sequence[str] = ()) -> bytes:
    """What a Python program writes after reading `parts`, at most `most_bytes`; raises NoAnswer."""
    async with turn():
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the folder of the file is not where the program looks for libraries
            str(program),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            cwd="/",
        )
        feeding = asyncio.create_task(_feed(cast(asyncio.StreamWriter, child.stdin), parts))
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await read_answer(cast(asyncio.StreamReader, child.stdout), most_bytes)
                await feeding
                status = await child.wait()
        except TimeoutError:
            raise NoAnswer(Breakdown.TOOK_TOO_LONG) from None
        finally:
            feeding.cancel()
            if child.returncode is None:
                child.kill()
            # `wait` ends only with the pipe, and a reader whose buffer is full never sees its end (Python's documentation of
            # subprocesses, the note on `Process.wait` and pipes).
            while await cast(asyncio.StreamReader, child.stdout).read(_CHUNK_BYTES):
                pass
            await child.wait()
    if status == 0:
        return answer
    raise NoAnswer(breakdown(status))


def breakdown(status: int) -> Breakdown:
    """What an exit status other than 0 tells, minus the number of a signal."""
    return Breakdown.TOOK_TOO_LONG if -status in _OUT_OF_TIME else Breakdown.BROKE_DOWN


async def _feed(pipe: asyncio.StreamWriter, parts: Sequence[bytes]) -> None:
    try:
        for part in parts:
            pipe.write(part)
            await pipe.drain()
        pipe.close()
        await pipe.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it ended before it had read everything; its status says why


async def read_answer(pipe: asyncio.StreamReader, most_bytes: int) -> bytes:
    """All that a program says; raises NoAnswer for more than `most_bytes`."""
    answer = bytearray()
    while chunk := await pipe.read(_CHUNK_BYTES):
        answer += chunk
        if len(answer) > most_bytes:
            raise NoAnswer(Breakdown.TOO_MUCH)
    return bytes(answer)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def turn() -> asyncio.Semaphore:
    """What lets in MAX_PROCESSES at a time; a semaphore belongs to one event loop."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MAX_PROCESSES))
