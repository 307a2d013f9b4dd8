"""What a driver of a surface does. Scenarios are written in these words alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from tests.e2e.scenarios.calling import Answer
from tests.e2e.scenarios.evidence import Event
from tests.e2e.scenarios.tenancy import Timeline
from tests.e2e.scenarios.words import Person, Seen


class Act(StrEnum):
    """What somebody may try that is refused."""

    VIEW = "view"
    SIGN = "sign"
    DECLINE = "decline"
    VOID = "void"
    RESEND = "resend"


class When(StrEnum):
    """When it is refused."""

    NOT_YET = "before one's turn"
    COMPLETED = "after completion"
    DECLINED = "after a decline"
    VOIDED = "after a void"
    EXPIRED = "after expiry"


#: A status and what clients branch on; None: not refused but answered as before, for nothing is left to be done.
Refused = tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be sent. `id` names it on its surface, None where there is no such thing before it is sent.

    `body` is what is sent then, where that is one request.
    """

    id: str | None
    body: Any = None


class Driver(Protocol):
    """One surface, as somebody uses it who has its documentation and its credentials.

    Every method speaks HTTP. Those that change something answer what the surface answered. `id` is an
    envelope's in the surface's own spelling; people are named as they were when it was created.
    """

    @property
    def surface(self) -> str: ...

    @property
    def refusals(self) -> Mapping[tuple[Act, When], Refused]:
        """How each act is refused, in the convention of the surface that a user of the product meets there."""
        ...

    def create(self, people: Sequence[Person], *, ordered: bool, hours: int) -> Draft:
        """Prepares an envelope for these people, to be signed within so many hours."""
        ...

    def send(self, draft: Draft) -> str:
        """Sends it; answers its id."""
        ...

    def prepare(self, id: str, act: Act, person: Person) -> None:
        """What has to be so before a person acts, and is recorded elsewhere than in the envelope."""
        ...

    def view(self, id: str, person: Person) -> Answer: ...

    def sign(self, id: str, person: Person) -> Answer: ...

    def decline(self, id: str, person: Person) -> Answer: ...

    def void(self, id: str) -> Answer: ...

    def resend(self, id: str, person: Person) -> Answer: ...

    def spell(self, timeline: Timeline) -> str:
        """The surface's id of an envelope that may have been made on another."""
        ...

    def status(self, id: str) -> Seen | None:
        """The envelope and its people in the surface's words; None if it does not show one like that."""
        ...

    def evidence(self, id: str, person: Person | None = None) -> tuple[Event, ...]:
        """The events of the envelope and its processes, or of one person's process; their chain is recomputed."""
        ...
