"""How many requests a credential may send: the published numbers, and what the settings say instead."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BeforeValidator


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests at once, regained within a second, and so many regained within a minute."""

    per_second: int
    per_minute: int


#: By surface and class of credential; None is unlimited. `none` is for requests whose credential is missing or
#: was never accepted: they are counted by the client's address, so that guessing is limited too.
#: Sessions: the published numbers; a session's own token and a signed-in person are not in them, and get those of a
#: publishable key, which is in a browser's hands as they are. Signatures: the code is published and no numbers, so they are
#: the same. The others publish no limit (signing: "managed at the infrastructure level"), so none is set.
DEFAULTS: Final[Mapping[str, Rate | None]] = {
    "partner.key": None,
    "partner.admin": None,
    "partner.none": None,
    "signing.user": None,
    "signing.none": None,
    "signatures.live": Rate(100, 1000),
    "signatures.test": Rate(25, 250),
    "signatures.none": Rate(10, 100),
    "sessions.live": Rate(100, 1000),
    "sessions.test": Rate(25, 250),
    "sessions.user": Rate(10, 100),
    "sessions.token": Rate(10, 100),
    "sessions.none": Rate(10, 100),
    "ledger.key": Rate(100, 1000),
    "ledger.live": Rate(100, 1000),
    "ledger.test": Rate(25, 250),
    "ledger.user": Rate(10, 100),
    "ledger.none": Rate(10, 100),
}

#: The most that a setting may say; beyond it `off` says what is meant.
MAX_RATE: Final = 1_000_000

_RATE: Final = re.compile(r"(\d{1,7})/(\d{1,7})", re.ASCII)


def _read(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.strip() == "off":
        return dict.fromkeys(DEFAULTS)
    limits = dict(DEFAULTS)
    for item in (part.strip() for part in value.split(",") if part.strip()):
        name, _, rate = (part.strip() for part in item.partition("="))
        if name not in DEFAULTS:
            raise ValueError(f"has no class {name!r}; there are {', '.join(DEFAULTS)}")
        limits[name] = _rate(name, rate)
    return limits


def _rate(name: str, text: str) -> Rate | None:
    if text == "off":
        return None
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"is off, or of the form class=100/1000 (at once / per minute) or class=off; not so: {name}={text}")
    rate = Rate(int(found[1]), int(found[2]))
    if not 1 <= rate.per_second <= rate.per_minute <= MAX_RATE:
        raise ValueError(f"takes 1 or more at once, at least as many per minute, and at most {MAX_RATE}: {name}={text}")
    return rate


#: A setting's type: text as above, or all classes with their rates.
RateLimits = Annotated[Mapping[str, Rate | None], BeforeValidator(_read)]
