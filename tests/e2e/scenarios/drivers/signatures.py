"""The signatures surface: a stored PDF sent out for signature.

The product creates and sends in one request, so nothing is there before `send`. It has no route for signers, who follow the invitation's link, and none that sends an invitation again: at a
customer who also has the partner product, that one's is used. It has no events: the ledger shows them to the project's key.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from tests.e2e.scenarios.calling import Answer, Caller, Json
from tests.e2e.scenarios.drivers.driver import Act, Draft, Refused, When
from tests.e2e.scenarios.drivers.link import REFUSALS, Link
from tests.e2e.scenarios.drivers.partner import Partner
from tests.e2e.scenarios.evidence import Event, recomputed
from tests.e2e.scenarios.tenancy import ANCHOR, Tenancy, Timeline
from tests.e2e.scenarios.words import MILLISECONDS, Person, Seen, SeenPerson


class Signatures:
    surface: Final = "signatures"

    refusals: Final[dict[tuple[Act, When], Refused]] = {
        **REFUSALS,
        **{(act, when): refused for (act, when), refused in Partner.refusals.items() if act is Act.RESEND},
        **{(Act.VOID, when): (409, "conflict") for when in When if when is not When.NOT_YET},
    }

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._call = tenancy.project
        link = Link(tenancy)
        self.prepare, self.view, self.sign, self.decline = link.prepare, link.view, link.sign, link.decline
        self.resend = Partner(tenancy).resend

    def create(self, people: Sequence[Person], *, ordered: bool, hours: int) -> Draft:
        recipients = [_recipient(person, number if ordered else None) for number, person in enumerate(people, 1)]
        tags = [{"anchorString": ANCHOR, "type": "signature", "recipientIndex": index} for index in range(len(people))]
        return Draft(
            None, {"renderId": self._tenancy.render, "recipients": recipients, "anchorTags": tags, "expirationHours": hours}
        )

    def send(self, draft: Draft) -> str:
        id: str = self._call.done("POST", "/v1/signatures", draft.body)["id"]
        return id

    def void(self, id: str) -> Answer:
        return self._call("POST", f"/v1/signatures/{id}/cancel", {"reason": "Sent by mistake."})

    def spell(self, timeline: Timeline) -> str:
        return str(timeline.envelope)

    def status(self, id: str) -> Seen | None:
        answer = self._call("GET", f"/v1/signatures/{id}")
        if answer.status == 404:
            return None
        return Seen(answer.body["status"], tuple(map(_seen, answer.body["recipients"])), MILLISECONDS)

    def evidence(self, id: str, person: Person | None = None) -> tuple[Event, ...]:
        """A recipient's id is no process's; the process is found by the mail that the recipient got."""
        which = id if person is None else self._tenancy.mailbox.of(person.email)[-1].session
        ledger = Caller(self._tenancy.world, "ledger", self._call.headers)
        return recomputed(ledger.done("GET", f"/v1/ledger/timeline/{which}")["events"])


def _recipient(person: Person, order: int | None) -> Json:
    first, _, last = person.name.rpartition(" ")
    named = {"firstName": first, "lastName": last, "email": person.email, "designation": "Signer"}
    return named if order is None else {**named, "order": order}


def _seen(recipient: Json) -> SeenPerson:
    times = {word: recipient[f"{word}At"] for word in ("signed", "declined") if f"{word}At" in recipient}
    return SeenPerson(
        f"{recipient['firstName']} {recipient['lastName']}",
        next(iter(times), "-"),
        recipient["email"],
        recipient["order"],
        datetime.fromisoformat(times["signed"]) if "signed" in times else None,
    )
