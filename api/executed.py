"""What surfaces say of executed files that are not there: whether they come, and when to look again."""

from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final

from api.deps import ExecutionRow, ExecutionStatus

#: Execution takes a few seconds where nothing stands in its way; who waits for longer is not to forget it for hours.
_SOON_SECONDS: Final = 2
_MOST_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a file of a completed envelope is not there. `retry_after` is in seconds, None where to wait is of no use."""

    sentence: str
    retry_after: int | None


def missing(row: ExecutionRow | None, now: datetime) -> Missing:
    """What is said of a file that is not there, by how the execution stands."""
    if row is None or not row.troubled:
        return Missing("It is being prepared; ask again in a moment.", _SOON_SECONDS)
    if row.status is ExecutionStatus.FAILED:
        return Missing(f"It could not be made: {row.sentence} The signatures stand.", None)
    left = ceil((row.next_attempt_at - now).total_seconds())
    return Missing(f"It could not be made yet and is tried again: {row.sentence}", min(max(left, _SOON_SECONDS), _MOST_SECONDS))
