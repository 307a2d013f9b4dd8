"""How far a seal reaches (ETSI EN 319 142-1 section 6), and why not further."""

from dataclasses import dataclass
from enum import StrEnum


class Profile(StrEnum):
    """The baseline levels of PAdES; each holds those before."""

    #: Signed.
    B_B = "B-B"
    #: With a trusted time, before which the signature existed.
    B_T = "B-T"
    #: With what is needed to validate it when the authorities are gone.
    B_LT = "B-LT"
    #: With a trusted time over all that, which can be renewed.
    B_LTA = "B-LTA"


class Obstacle(StrEnum):
    """What kept a seal from the next profile."""

    #: No time-stamping authority is configured.
    NO_AUTHORITY = "no-authority"
    #: The authority gave no time stamp that can be believed.
    NOT_STAMPED = "not-stamped"
    #: Certificates or lists of revocations are missing.
    NO_MATERIAL = "no-material"
    #: The authority stamped the signature, but not the file with the material.
    NOT_ARCHIVED = "not-archived"


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
