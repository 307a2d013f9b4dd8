"""Executions: a follower notes completed envelopes, workers make their files, the table says how it stands.

At least once: an attempt whose process dies is repeated when its lease ends, and makes only what is missing. What came of it are
facts; the table holds work to do and, of what could not be done, the reason.
"""

from typing import Final

from infrastructure.execution.executor import Executor
from infrastructure.execution.table import note_completed
from infrastructure.lanes import Lanes
from infrastructure.notifications import LogListener

FOLLOWER: Final = "executions"

#: How often a worker looks for work by itself; what the follower notes wakes it at once.
POLL_SECONDS: Final = 0.5


def executions(url: str, listener: LogListener, executor: Executor, *, lanes: int) -> Lanes:
    """Makes the files of completed envelopes, in `lanes` at a time. `url` connects as the service role."""
    return Lanes(url, listener, FOLLOWER, note_completed, executor.execute_next, count=lanes, poll_seconds=POLL_SECONDS)
