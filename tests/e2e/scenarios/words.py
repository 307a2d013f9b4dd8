"""One process, four vocabularies: where an envelope and the people in it stand, and what each surface calls that."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: Rows: where an envelope stands. Columns: partner, signing (its status and its outcome), signatures, sessions.
#: A draft is nothing that the signatures product could show: it sends what it creates.
_ENVELOPE: Final = """
draft             CREATED       draft                 -           draft
sent              CREATED       active                sent        sent
viewed            IN_PROGRESS   active                viewed      sent
partially-signed  IN_PROGRESS   active                viewed      partially_signed
completed         COMPLETED     complete/completed    completed   completed
declined          FAILED        cancelled/declined    declined    declined
voided            CANCELLED     cancelled/cancelled   cancelled   voided
expired           EXPIRED       cancelled/expired     expired     expired
"""

#: The same for the people. The signatures product says of a recipient only when they signed or declined.
_PERSON: Final = """
waiting    CREATED       pending     -          pending
invited    INVITED       pending     -          sent
started    IN_PROGRESS   started     -          sent
signed     COMPLETED     completed   signed     signed
declined   FAILED        declined    declined   declined
voided     CANCELLED     cancelled   -          voided
expired    EXPIRED       expired     -          expired
"""

SURFACES: Final = ("partner", "signing", "signatures", "sessions")


def _table(text: str) -> dict[str, dict[str, str]]:
    rows = [line.split() for line in text.strip().splitlines()]
    return {neutral: dict(zip(SURFACES, words, strict=True)) for neutral, *words in rows}


ENVELOPE: Final = _table(_ENVELOPE)
PERSON: Final = _table(_PERSON)

#: How many of an answer's times make one: what a surface rounds off.
MILLISECONDS: Final = timedelta(milliseconds=1)
SECONDS: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is to sign. `stakeholder` is what an organization calls them."""

    name: str
    email: str
    stakeholder: str


@dataclass(frozen=True, slots=True)
class SeenPerson:
    """A person as a surface shows them, in its words; None is what it does not show."""

    name: str
    word: str
    email: str | None = None
    order: int | None = None
    signed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """An envelope as a surface shows it, in its words. `precision` is that of its times; None: it shows none of signatures."""

    word: str
    people: tuple[SeenPerson, ...]
    precision: timedelta | None = None
