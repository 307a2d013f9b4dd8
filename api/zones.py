"""Time zones by their names in the IANA database."""

from functools import cache
from zoneinfo import available_timezones

#: What the sentence for an unknown one says, on every surface.
UNKNOWN = "Must be the name of a time zone as the IANA database has it, for example Europe/Madrid."


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def known_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    return name in _names()
