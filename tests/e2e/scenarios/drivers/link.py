"""What invited people do with the link in their invitation, whichever product invited them.

The products agree on it: a person gets a mail, opens the page, reads, and signs there or declines. The
page's own requests are made here: `GET /sign/{session}/...`, its decline, and the completion of the
session with the token from the mail.
"""

from dataclasses import dataclass
from typing import Final

from domain.ids import typed_id
from tests.e2e.scenarios.calling import Answer
from tests.e2e.scenarios.drivers.driver import Act, Refused, When
from tests.e2e.scenarios.evidence import processes
from tests.e2e.scenarios.mailbox import Invitation
from tests.e2e.scenarios.tenancy import Tenancy
from tests.e2e.scenarios.words import Person

ATTESTATION: Final = "I agree to sign this electronically."

#: What the page answers to who comes too late, and what the completion answers.
_CLOSED: Final = (409, "signing-closed")
_TRANSITION: Final = (409, "invalid_state_transition")

#: Nobody has a token before their turn; one who comes with another's is not let in.
REFUSALS: Final[dict[tuple[Act, When], Refused]] = {
    (Act.VIEW, When.NOT_YET): (403, "session-token-invalid"),
    (Act.SIGN, When.NOT_YET): (403, "invalid_session_token"),
    (Act.DECLINE, When.NOT_YET): (403, "session-token-invalid"),
    # Who has signed still gets their copy; that is no new fact.
    (Act.VIEW, When.COMPLETED): None,
    (Act.VIEW, When.DECLINED): _CLOSED,
    (Act.VIEW, When.VOIDED): _CLOSED,
    (Act.VIEW, When.EXPIRED): _CLOSED,
    **{(Act.SIGN, when): _TRANSITION for when in When if when is not When.NOT_YET},
    **{(Act.DECLINE, when): _CLOSED for when in When if when is not When.NOT_YET},
}


@dataclass(frozen=True, slots=True)
class Link:
    """The page behind the link, opened by people of one tenant's envelopes."""

    tenancy: Tenancy

    def prepare(self, id: str, act: Act, person: Person) -> None:
        """Nothing: the link is all it takes."""

    def view(self, id: str, person: Person) -> Answer:
        """Opens the package and its first document, as the page does."""
        mine = self.invitation(id, person)
        package = self.tenancy.page("GET", f"/sign/{mine.session}/package", X_Signing_Session_Token=mine.token)
        if not package.ok:
            return package
        document = package.body["documents"][0]["id"]
        return self.tenancy.page("GET", f"/sign/{mine.session}/documents/{document}", X_Signing_Session_Token=mine.token)

    def sign(self, id: str, person: Person) -> Answer:
        return self.complete(self.invitation(id, person))

    def complete(self, invitation: Invitation) -> Answer:
        """Completes a session with the token that an invitation has."""
        path = f"/v1/signing_sessions/{invitation.session}/complete"
        return self.tenancy.nobody(
            "POST", path, {"electronic_signature_text": ATTESTATION}, X_Signing_Session_Token=invitation.token
        )

    def decline(self, id: str, person: Person) -> Answer:
        mine = self.invitation(id, person)
        return self.tenancy.page(
            "POST", f"/sign/{mine.session}/decline", {"reason": "Not as agreed."}, X_Signing_Session_Token=mine.token
        )

    def invitation(self, id: str, person: Person) -> Invitation:
        """The newest one that the person got; who got none comes with the token of who did, for their own session."""
        if mine := self.tenancy.mailbox.of(person.email):
            return mine[-1]
        timeline = self.tenancy.timeline(id)
        sessions = {typed_id("sgs", participant) for participant in processes(timeline.events)}
        others = [it for it in self.tenancy.mailbox.all() if it.session in sessions]
        (own,) = sessions - {it.session for it in others}
        return Invitation(own, others[-1].token)
