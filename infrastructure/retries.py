"""When to try again what failed for now."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Retry:
    """The n-th pause is `first` times `factor` to the power n-1, at most `longest`; after `attempts` it is given up.

    An attempt that nothing is heard of, because its process died, counts, and is repeated after `lease`, which must be longer than an
    attempt can take. The defaults go on for two days.
    """

    first: timedelta = timedelta(seconds=10)
    factor: int = 3
    longest: timedelta = timedelta(hours=6)
    attempts: int = 15
    lease: timedelta = timedelta(minutes=5)

    def pause(self, attempt: int) -> timedelta:
        """How long to wait after the `attempt`-th attempt, counted from 1."""
        growth: int = self.factor ** min(attempt - 1, 16)
        return min(self.first * growth, self.longest)
