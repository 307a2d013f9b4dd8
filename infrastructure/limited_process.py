"""A program that reads what is not to be trusted, run where its crashes, loops and hunger for memory harm nobody.

A process (`forked_process.py`) without settings of ours and without a folder; the program takes the limits itself before it reads
anything (`infrastructure.pdf_child.limit`). What it answers is somebody else's word: the file may have taken it over.
"""

import asyncio
import signal
from enum import StrEnum
from typing import Final
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


def breakdown(status: int) -> Breakdown:
    """What an exit status other than 0 tells, minus the number of a signal."""
    return Breakdown.TOOK_TOO_LONG if -status in _OUT_OF_TIME else Breakdown.BROKE_DOWN


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
