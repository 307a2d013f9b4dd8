"""What can happen to an envelope, written once in neutral words and played on every surface.

A scenario gets a `Stage` of one surface. What it does there is looked at through all four.
"""

from collections.abc import Callable
from typing import Final

from tests.e2e.scenarios.drivers.driver import Act, When
from tests.e2e.scenarios.stage import Stage

Scenario = Callable[[Stage], None]

#: The way of somebody who reads before signing.
SIGNED: Final = ["process-created", "invited", "started", "document-viewed", "document-signed", "completed"]

WAITED: Final = ["process-created", "invited"]


def create_and_send(on: Stage) -> None:
    ana, bo = on.people
    on.create()
    if on.drafted:
        on.stands("draft", waiting=[ana, bo])
        assert on.mails(ana) == on.mails(bo) == 0
    on.send()
    on.stands("sent", invited=[ana, bo])
    assert on.mails(ana) == on.mails(bo) == 1
    on.happened(["created", "sent"], WAITED, WAITED)


def view(on: Stage) -> None:
    ana, bo = on.people
    on.begin()
    on.do(Act.VIEW, ana)
    on.stands("viewed", started=[ana], invited=[bo])
    # Looking again within the hour is no new fact.
    on.changes_nothing(lambda: on.do(Act.VIEW, ana))
    on.happened(["created", "sent"], [*WAITED, "started", "document-viewed"], WAITED)


def sign_in_order(on: Stage) -> None:
    ana, bo = on.people
    on.begin(ordered=True)
    on.stands("sent", invited=[ana], waiting=[bo])
    assert (on.mails(ana), on.mails(bo)) == (1, 0)
    on.do(Act.VIEW, ana)
    on.do(Act.SIGN, ana)
    on.stands("partially-signed", signed=[ana], invited=[bo])
    assert (on.mails(ana), on.mails(bo)) == (1, 1)
    on.do(Act.VIEW, bo)
    on.do(Act.SIGN, bo)
    on.stands("completed", signed=[ana, bo])
    on.over(When.COMPLETED)
    on.happened(["created", "sent", "participant-completed", "participant-completed", "completed"], SIGNED, SIGNED)


def sign_out_of_order(on: Stage) -> None:
    ana, bo = on.people
    on.begin(ordered=True)
    for act in (Act.VIEW, Act.SIGN, Act.DECLINE):
        on.refused(act, When.NOT_YET, bo)
    on.stands("sent", invited=[ana], waiting=[bo])
    on.do(Act.SIGN, ana)
    on.do(Act.SIGN, bo)
    on.stands("completed", signed=[ana, bo])
    unread = [fact for fact in SIGNED if fact != "document-viewed"]
    on.happened(["created", "sent", "participant-completed", "participant-completed", "completed"], unread, unread)


def decline(on: Stage) -> None:
    ana, bo = on.people
    on.begin()
    on.do(Act.VIEW, ana)
    on.do(Act.SIGN, ana)
    on.do(Act.DECLINE, bo)
    on.stands("declined", signed=[ana], declined=[bo])
    on.over(When.DECLINED, tried_by=bo)
    on.happened(["created", "sent", "participant-completed", "participant-failed", "declined"], SIGNED, [*WAITED, "declined"])


def void(on: Stage) -> None:
    ana, bo = on.people
    on.begin(ordered=True)
    on.do(Act.VIEW, ana)
    on.do(Act.VOID)
    on.stands("voided", voided=[ana, bo])
    on.over(When.VOIDED)
    on.happened(
        ["created", "sent", "cancelled"], [*WAITED, "started", "document-viewed", "cancelled"], ["process-created", "cancelled"]
    )


def expire(on: Stage) -> None:
    ana, bo = on.people
    on.begin()
    on.do(Act.VIEW, ana)
    on.do(Act.SIGN, ana)
    on.until_expired()
    on.stands("expired", signed=[ana], expired=[bo])
    on.over(When.EXPIRED, tried_by=bo)
    on.happened(["created", "sent", "participant-completed", "expired"], SIGNED, [*WAITED, "expired"])


def resend(on: Stage) -> None:
    ana, bo = on.people
    on.begin(ordered=True)
    first = on.invitation(ana)
    on.later(hours=2)  # reminders may not come sooner than an hour after the invitation
    on.do(Act.RESEND, ana)
    assert (on.mails(ana), on.mails(bo)) == (2, 0)
    on.refused_token(first, 403, "invalid_session_token")
    on.stands("sent", invited=[ana], waiting=[bo])
    on.accepted_token(on.invitation(ana))
    on.stands("partially-signed", signed=[ana], invited=[bo])
    # A used token is of no more use than one that was replaced.
    on.refused_token(first, 403, "invalid_session_token")
    on.refused_token(on.invitation(ana), 409, "invalid_state_transition")
    on.happened(
        ["created", "sent", "participant-completed"],
        ["process-created", "invited", "invitation-resent", "started", "document-signed", "completed"],
        WAITED,
    )


def complete(on: Stage) -> None:
    ana, bo = on.people
    on.begin()
    for person in (bo, ana):  # at once means in any order
        on.do(Act.VIEW, person)
        on.do(Act.SIGN, person)
    on.stands("completed", signed=[ana, bo])
    on.over(When.COMPLETED, tried_by=bo)
    on.refused_token(on.invitation(bo), 409, "invalid_state_transition")
    on.happened(["created", "sent", "participant-completed", "participant-completed", "completed"], SIGNED, SIGNED)


def fetch_evidence(on: Stage) -> None:
    ana, bo = on.people
    on.begin(ordered=True)
    on.do(Act.VIEW, ana)
    on.do(Act.SIGN, ana)
    whole = on.evidence()
    assert {event.stream for event in whole} == {on.envelope, on.process(ana), on.process(bo)}
    for person in (ana, bo):
        alone = on.evidence(person)
        assert [event.entry for event in alone] == [event.entry for event in whole if event.stream == on.process(person)]
    # What was shown is what was stored, what was signed is what was shown.
    (viewed,) = (event for event in whole if event.fact == "document-viewed")
    (signed,) = (event for event in whole if event.fact == "document-signed")
    assert signed.data["sha256"] == viewed.data["sha256"] == on.document_sha256()
    on.names_nobody(whole)


SCENARIOS: Final[dict[str, Scenario]] = {
    "create and send": create_and_send,
    "view": view,
    "sign in order": sign_in_order,
    "sign out of order": sign_out_of_order,
    "decline": decline,
    "void": void,
    "expire": expire,
    "resend": resend,
    "complete": complete,
    "fetch evidence": fetch_evidence,
}
