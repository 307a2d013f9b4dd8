"""How a PDF is sealed, as the log tells it (PAdES, ETSI EN 319 142-1 section 6)."""

from dataclasses import dataclass
from datetime import datetime
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
class Seal:
    """The profile reached, and what kept it from a higher one; None for B-LTA alone.

    `certificate_sha256` is of the sealing certificate (DER, 64 hex digits); `stamped_at` and `authority` (a URL) are
    those of the time stamp on the signature, if there is one.
    """

    profile: Profile
    obstacle: Obstacle | None
    certificate_sha256: str
    stamped_at: datetime | None = None
    authority: str | None = None
