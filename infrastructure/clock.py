"""Where the time comes from: an argument everywhere, read from the machine only here."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time as an aware datetime in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class OffsetClock:
    """Another clock, ahead of it by `offset` (behind it if negative), which may be changed at any time.

    For machines whose clock is known to be wrong, and for seeing what happens later without waiting.
    """

    def __init__(self, offset: timedelta = timedelta(0), clock: Clock | None = None) -> None:
        self.offset = offset
        self._clock = clock or SystemClock()

    def now(self) -> datetime:
        return self._clock.now() + self.offset


class FixedClock:
    """Stands still at `at` until it is set or moved."""

    def __init__(self, at: datetime) -> None:
        self.set(at)

    def now(self) -> datetime:
        return self._at

    def set(self, at: datetime) -> None:
        """Raises ValueError for a naive datetime, whose meaning would depend on the machine."""
        if at.tzinfo is None:
            raise ValueError("a clock's time is an aware datetime")
        self._at = at.astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        self._at += by
