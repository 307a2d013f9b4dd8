"""The signing surface: packages that a manager drafts at a location, and the queue of those who sign them.

Signers sign in and find the package in their queue. The product has no way to read a document there, nor to
decline: for both there is the invitation's link. It has no events: the ledger shows a signer those of the package.
What was made on another surface belongs to no location, so an administrator looks at it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from tests.e2e.scenarios.calling import Answer, Json
from tests.e2e.scenarios.drivers.driver import Act, Draft, Refused, When
from tests.e2e.scenarios.drivers.link import REFUSALS, Link
from tests.e2e.scenarios.evidence import Event, recomputed
from tests.e2e.scenarios.tenancy import ADMINISTRATOR, MANAGER, Tenancy, Timeline
from tests.e2e.scenarios.words import MILLISECONDS, Person, Seen, SeenPerson

_MANAGER: Final = "/v1/signing/manager/signings"
_SIGNER: Final = "/v1/signing/signer/signings"

#: The envelope's states in the sentences of refusals.
_ENDS: Final = {
    When.COMPLETED: "completed",
    When.DECLINED: "declined",
    When.VOIDED: "cancelled",
    When.EXPIRED: "expired",
}


class Signing:
    surface: Final = "signing"

    refusals: Final[dict[tuple[Act, When], Refused]] = {
        **REFUSALS,
        (Act.SIGN, When.NOT_YET): (409, "It is not this participant's turn yet."),
        **{(Act.SIGN, when): (409, f"The signing is {end}; it accepts no further changes.") for when, end in _ENDS.items()},
        # Documented: a repeat is answered alike, whatever has become of the package.
        (Act.SIGN, When.COMPLETED): None,
        **{
            (act, when): (409, f"The envelope is {end}; it accepts no further changes.")
            for act in (Act.VOID, Act.RESEND)
            for when, end in _ENDS.items()
        },
    }

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        link = Link(tenancy)
        self.prepare, self.view, self.decline = link.prepare, link.view, link.decline

    def create(self, people: Sequence[Person], *, ordered: bool, hours: int) -> Draft:
        call = self._tenancy.employee(MANAGER)
        deadline = self._tenancy.world.deps.clock.now() + timedelta(hours=hours)
        (location,) = call.done("GET", "/v1/signing/manager/locations")["locations"]
        (template,) = call.done("GET", "/v1/signing/manager/templates")["templates"]
        body = {
            "locationId": int(location["id"]),
            "order": "sequential" if ordered else "parallel",
            "deadlineAt": deadline.isoformat(),
        }
        id: str = call.done("POST", _MANAGER, body)["signing"]["id"]
        call.done("POST", f"{_MANAGER}/{id}/documents", {"templateId": template["id"]})
        for person in people:
            call.done("POST", f"{_MANAGER}/{id}/signers", {"fullName": person.name, "email": person.email})
        return Draft(id)

    def send(self, draft: Draft) -> str:
        done = self._tenancy.employee(MANAGER).done("POST", f"{_MANAGER}/{draft.id}/activate")
        id: str = done["signing"]["id"]
        return id

    def sign(self, id: str, person: Person) -> Answer:
        """Finds the package in the queue, looks what is in it, and signs the first document."""
        call = self._tenancy.person(person)
        assert id in [signing["id"] for signing in call.done("GET", _SIGNER)["signings"]]
        document = call.done("GET", f"{_SIGNER}/{id}/documents")["documents"][0]["id"]
        return call("POST", f"{_SIGNER}/{id}/documents/{document}/sign", {"clientMeta": {"userAgent": "Test"}})

    def void(self, id: str) -> Answer:
        return self._tenancy.employee(ADMINISTRATOR)("POST", f"{_MANAGER}/{id}/cancel", {"reason": "Sent by mistake."})

    def resend(self, id: str, person: Person) -> Answer:
        """It goes to everybody whose turn it is."""
        return self._tenancy.employee(ADMINISTRATOR)("POST", f"{_MANAGER}/{id}/resend")

    def spell(self, timeline: Timeline) -> str:
        return str(timeline.number)

    def status(self, id: str) -> Seen:
        shown = self._package(id)
        signing = shown["signing"]
        word = signing["status"] if signing["outcome"] is None else f"{signing['status']}/{signing['outcome']}"
        return Seen(word, tuple(map(_seen, shown["signers"])), MILLISECONDS)

    def evidence(self, id: str, person: Person | None = None) -> tuple[Event, ...]:
        """As its signers see it."""
        signers = self._package(id)["signers"]
        reader = Person("", signers[0]["email"], "user_reader") if person is None else person
        which = id if person is None else next(it["id"] for it in signers if it["email"] == person.email)
        ledger = self._tenancy.person(reader, "ledger")
        return recomputed(ledger.done("GET", f"/v1/ledger/timeline/{which}")["events"])

    def _package(self, id: str) -> Json:
        return self._tenancy.employee(ADMINISTRATOR).done("GET", f"{_MANAGER}/{id}")


def _seen(signer: Json) -> SeenPerson:
    at = signer["eSignRecordedAt"]
    return SeenPerson(
        signer["fullName"],
        signer["status"],
        signer["email"],
        signer["number"],
        None if at is None else datetime.fromisoformat(at),
    )
