"""What became of a personal value, as far as whoever tells of it may say."""

from dataclasses import dataclass
from typing import Final

from domain.canonical import Json, canonical

#: A value typed by a person may be of any length; its beginning is told.
MAX_SHOWN: Final = 2_000


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A personal value that is disclosed."""

    value: Json


@dataclass(frozen=True, slots=True)
class Withheld:
    """A personal value that exists and is left out."""


@dataclass(frozen=True, slots=True)
class Erased:
    """A personal value that was destroyed; the entry at `position` of the log says so, where that is known."""

    position: int | None = None


#: What became of a personal value. One that has none of these is missing, and nothing says why.
Shown = Disclosed | Withheld | Erased


def spell(value: Json, longest: int = MAX_SHOWN) -> str:
    """A value as people read it: a text as it is, anything else as JSON, cut where it has more characters than `longest`."""
    text = value if isinstance(value, str) else canonical(value).decode()
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"
