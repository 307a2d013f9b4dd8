"""How far a long command has come: a bar at a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from api.cli_context import say

#: Between two lines where there is no terminal.
_PAUSE_SECONDS: Final = 5.0

#: What is being done, how much of it is done, and how much there is.
Tell = Callable[[str, int, int], None]


@contextmanager
def progress(*, in_bytes: bool = False) -> Iterator[Tell]:
    """Gives a function to tell progress with; everything goes to standard error."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _lines(in_bytes=in_bytes)
        return
    amount: ProgressColumn = TextColumn("{task.percentage:>3.0f} %") if in_bytes else MofNCompleteColumn()
    with Progress(TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn(), console=console) as bars:
        tasks = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield tell


def _lines(*, in_bytes: bool) -> Tell:
    told = time.monotonic()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _PAUSE_SECONDS:
            told = time.monotonic()
            say(f"{what}: {decimal(done)} of {decimal(total)}" if in_bytes else f"{what}: {done:,} of {total:,}")

    return tell
