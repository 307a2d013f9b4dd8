"""A place in a list that is ordered by time: the time, and the position that tells rows of the same time apart."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

#: Decimal digits of the largest position that PostgreSQL's bigint holds.
_POSITION_DIGITS: Final = 19
_MAX_POSITION: Final = 2**63 - 1
_MICROSECOND_DIGITS: Final = 6

_FRACTION: Final = re.compile(r"(?<=:\d\d)[.,](\d{1,64})(?![.,\d])", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A place between rows: all rows older than `at` lie beyond it, and of those at `at` the ones before `position`.

    Without a position it is the time itself, and every row that lies beyond is strictly older.
    """

    at: datetime
    position: int = 0

    def spell(self) -> str:
        """An ISO 8601 time, whose digits after the microseconds are the position: exact, and a time to whoever reads it."""
        at = self.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        return f"{at}{self.position:0{_POSITION_DIGITS}d}Z"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What `spell` made, or any other ISO 8601 time (UTC if it names no offset); None if it is neither."""
        found = _FRACTION.search(text)
        digits = "" if found is None else found[1]
        whole = text if found is None else text[: found.start()] + text[found.end() :]
        if "." in whole or "," in whole:
            return None
        try:
            at = datetime.fromisoformat(whole)
            at = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
            at = at.replace(microsecond=int(digits[:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, "0")))
        except (ValueError, OverflowError):
            return None
        rest = digits[_MICROSECOND_DIGITS:]
        if len(rest) == _POSITION_DIGITS:
            return cls(at, min(int(rest), _MAX_POSITION))
        # Finer than any time in the log: rows of its microsecond are older.
        return cls(at, _MAX_POSITION if rest.strip("0") else 0)
