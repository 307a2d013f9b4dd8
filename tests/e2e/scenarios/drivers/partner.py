"""The partner surface: documents published from a template.

The product publishes in one request, so nothing is there before `send`. It has no route
for signers: they follow the invitation's link. Whoever is invited is resent one invitation, not the document's.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from tests.e2e.scenarios.calling import Answer, Json
from tests.e2e.scenarios.drivers.driver import Act, Draft, Refused, When
from tests.e2e.scenarios.drivers.link import REFUSALS, Link
from tests.e2e.scenarios.evidence import Event, recomputed
from tests.e2e.scenarios.tenancy import Tenancy, Timeline
from tests.e2e.scenarios.words import Person, Seen, SeenPerson


class Partner:
    surface: Final = "partner"

    refusals: Final[dict[tuple[Act, When], Refused]] = {
        **REFUSALS,
        (Act.RESEND, When.NOT_YET): (409, "participant_not_invited"),
        (Act.VOID, When.COMPLETED): (409, "document_already_completed"),
        (Act.VOID, When.DECLINED): (409, "document_already_failed"),
        (Act.VOID, When.VOIDED): (409, "document_already_cancelled"),
        (Act.VOID, When.EXPIRED): (409, "document_already_expired"),
        (Act.RESEND, When.COMPLETED): (409, "participant_already_completed"),
        (Act.RESEND, When.DECLINED): (409, "participant_already_failed"),
        (Act.RESEND, When.VOIDED): (409, "participant_already_cancelled"),
        (Act.RESEND, When.EXPIRED): (409, "participant_already_expired"),
    }

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._call = tenancy.partner
        link = Link(tenancy)
        self.prepare, self.view, self.sign, self.decline = link.prepare, link.view, link.sign, link.decline

    def create(self, people: Sequence[Person], *, ordered: bool, hours: int) -> Draft:
        deadline = self._tenancy.world.deps.clock.now() + timedelta(hours=hours)
        body = {
            "templateId": str(self._tenancy.template),
            "templateVersion": "0001",
            "participants": [_participant(person) for person in people],
            "orderMode": "SEQUENTIAL" if ordered else "PARALLEL",
            "deadlineAt": f"{deadline:%Y-%m-%dT%H:%M:%SZ}",
        }
        return Draft(None, body)

    def send(self, draft: Draft) -> str:
        id: str = self._call.done("POST", "/v1/documents", draft.body)["data"]["documentId"]
        return id

    def void(self, id: str) -> Answer:
        return self._call("DELETE", f"/v1/documents/{id}/cancel")

    def resend(self, id: str, person: Person) -> Answer:
        participant = self._participant(id, person)["participantId"]
        return self._call("POST", f"/v1/documents/{id}/participants/{participant}/resend")

    def spell(self, timeline: Timeline) -> str:
        return str(timeline.envelope)

    def status(self, id: str) -> Seen:
        """The product shows no addresses, no order and no times of people."""
        shown = self._document(id)
        return Seen(shown["status"], tuple(SeenPerson(it["displayName"], it["status"]) for it in shown["participants"]))

    def evidence(self, id: str, person: Person | None = None) -> tuple[Event, ...]:
        process = id if person is None else self._participant(id, person)["processId"]
        return recomputed(self._call.done("GET", f"/v1/events/{process}")["data"])

    def _document(self, id: str) -> Json:
        return self._call.done("GET", f"/v1/documents/{id}")["data"]

    def _participant(self, id: str, person: Person) -> Json:
        return next(it for it in self._document(id)["participants"] if it["displayName"] == person.name)


def _participant(person: Person) -> Json:
    return {"displayName": person.name, "signatureMode": ["SIGNATURE_EMAIL"], "identity": {"email": person.email}}
