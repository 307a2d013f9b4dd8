"""The sessions surface: envelopes of library documents, and sessions of people who have just signed in.

People sign in and open a session of their own, which the product calls the human-OAuth flow; they decline
with the invitation's token. It has no route to look at a document: that is the invitation's link. Its events
are single facts; the whole of a process is shown by the ledger to the organization's key.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from domain.ids import typed_id
from tests.e2e.scenarios.calling import Answer, Caller, Json
from tests.e2e.scenarios.drivers.driver import Act, Draft, Refused, When
from tests.e2e.scenarios.drivers.link import ATTESTATION, REFUSALS, Link
from tests.e2e.scenarios.evidence import Event, recomputed
from tests.e2e.scenarios.tenancy import Tenancy, Timeline, put
from tests.e2e.scenarios.words import SECONDS, Person, Seen, SeenPerson

_ENVELOPES: Final = "/v1/signing_envelopes"
_TRANSITION: Final = (409, "invalid_state_transition")


class Sessions:
    surface: Final = "sessions"

    refusals: Final[dict[tuple[Act, When], Refused]] = {
        **REFUSALS,
        # A session cannot be opened before the invitation, so the token is not what it fails for.
        (Act.SIGN, When.NOT_YET): _TRANSITION,
        (Act.DECLINE, When.NOT_YET): (403, "invalid_session_token"),
        **{(act, when): _TRANSITION for act in (Act.DECLINE, Act.VOID, Act.RESEND) for when in When if when is not When.NOT_YET},
    }

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._call = tenancy.organization
        self.view = Link(tenancy).view

    def create(self, people: Sequence[Person], *, ordered: bool, hours: int) -> Draft:
        document = self._call.done("POST", "/v1/documents", {"entity_id": "ent_1", "type": "nda"})
        put(self._tenancy.world, document["upload_url"])
        body = {
            "entity_id": "ent_1",
            "document_ids": [document["id"]],
            "signers": [_signer(person, number) for number, person in enumerate(people, 1)],
            "routing": "sequential" if ordered else "parallel",
            "expires_at": int((self._tenancy.world.deps.clock.now() + timedelta(hours=hours)).timestamp()),
        }
        return Draft(self._call.done("POST", _ENVELOPES, body)["id"])

    def send(self, draft: Draft) -> str:
        assert draft.id is not None
        id: str = self._call.done("POST", f"{_ENVELOPES}/{draft.id}/send")["id"]
        return id

    def prepare(self, id: str, act: Act, person: Person) -> None:
        """Whoever is to sign has consented to electronic records before."""
        if act is not Act.SIGN:
            return
        body = {
            "stakeholder_id": self._signer(id, person)["stakeholder_id"],
            "hardware_capability_affirmed": True,
            "paper_copy_request_method": "By mail to legal@example.com",
        }
        self._call.done("POST", "/v1/consents/esra", body)

    def sign(self, id: str, person: Person) -> Answer:
        """Signs in, opens a session for the own place in the envelope, and completes it with its token."""
        signer = self._signer(id, person)
        wanted = {"signing_envelope_id": id, "signer_id": signer["id"], "stakeholder_id": signer["stakeholder_id"]}
        opened = self._tenancy.person(person, "sessions")("POST", "/v1/signing_sessions", wanted)
        if not opened.ok:
            return opened
        path = f"/v1/signing_sessions/{opened.body['id']}/complete"
        token = opened.body["signature_token"]
        return self._tenancy.nobody("POST", path, {"electronic_signature_text": ATTESTATION}, X_Signing_Session_Token=token)

    def decline(self, id: str, person: Person) -> Answer:
        """With the token of the invitation; who got none has none to show, for it says who declines."""
        path, body = f"{_ENVELOPES}/{id}/decline", {"reason": "Not as agreed."}
        if got := self._tenancy.mailbox.of(person.email):
            return self._tenancy.nobody("POST", path, body, X_Signing_Session_Token=got[-1].token)
        return self._tenancy.nobody("POST", path, body)

    def void(self, id: str) -> Answer:
        return self._call("POST", f"{_ENVELOPES}/{id}/void", {"reason": "Sent by mistake."})

    def resend(self, id: str, person: Person) -> Answer:
        """A reminder goes to everybody whose turn it is."""
        return self._call("POST", f"{_ENVELOPES}/{id}/remind")

    def spell(self, timeline: Timeline) -> str:
        return typed_id("env", timeline.envelope)

    def status(self, id: str) -> Seen:
        shown = self._envelope(id)
        return Seen(shown["status"], tuple(map(_seen, shown["signers"])), SECONDS)

    def evidence(self, id: str, person: Person | None = None) -> tuple[Event, ...]:
        which = id if person is None else self._signer(id, person)["signing_session"]
        ledger = Caller(self._tenancy.world, "ledger", self._call.headers)
        return recomputed(ledger.done("GET", f"/v1/ledger/timeline/{which}")["events"])

    def _envelope(self, id: str) -> Json:
        return self._call.done("GET", f"{_ENVELOPES}/{id}")

    def _signer(self, id: str, person: Person) -> Json:
        return next(it for it in self._envelope(id)["signers"] if it["email"] == person.email)


def _signer(person: Person, number: int) -> Json:
    return {"name": person.name, "email": person.email, "stakeholder_id": person.stakeholder, "order": number}


def _seen(signer: Json) -> SeenPerson:
    at = None if signer["signed_at"] is None else datetime.fromtimestamp(signer["signed_at"], UTC)
    return SeenPerson(signer["name"], signer["status"], signer["email"], signer["order"], at)
