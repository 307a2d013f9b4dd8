"""How far a seal reaches (ETSI EN 319 142-1 section 6), and why not further, or why there is none."""

from dataclasses import dataclass

from domain.seal import Obstacle, Profile

__all__ = ["Obstacle", "Profile", "SealedPdf", "Shortfall"]


class CannotSeal(Exception):
    """There is no seal of this file; the message says why."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The obstacle, and in `detail` what happened, for people."""

    obstacle: Obstacle
    detail: str


@dataclass(frozen=True, slots=True)
class SealedPdf:
    """A sealed PDF; `why_not_higher` is None for B-LTA alone."""

    content: bytes
    profile: Profile
    why_not_higher: Shortfall | None
