"""Documents from publishing to their end, and what is known of them on the way."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.actor import Actor, ActorKind
from domain.coordination import ExpireEnvelope
from domain.envelope import Envelope, OnParticipantFail, OrderMode
from domain.personal import Subject, SubjectKind, person
from domain.signing import Channel, DeclineSigning, SendOtp, SignatureMode, Signing, SigningStatus, VerifyOtp
from infrastructure.ledger import NO_ANSWER
from tests.contract.partner_world import NOW, SIGNER, Client, World, at, body, details, participant, projecting

pytest_plugins = ["tests.contract.partner_fixtures"]


def envelope_of(client: Client, document: str) -> Envelope:
    state = client.world.run(client.world.deps.ledger.state(Envelope, UUID(document)))
    assert state is not None
    return state


def signing_of(client: Client, participant: str) -> Signing:
    state = client.world.run(client.world.deps.ledger.state(Signing, UUID(participant)))
    assert state is not None
    return state


def fetched(client: Client, document: str) -> Any:
    return client("GET", f"/v1/documents/{document}").data


def summary(client: Client, document: str) -> tuple[str, int, int]:
    data = client("GET", f"/v1/documents/{document}/summary").data
    return data["status"], data["completedParticipants"], data["pendingParticipants"]


def people(document: Any) -> list[str]:
    return [item["participantId"] for item in document["participants"]]


def test_a_process_runs_from_publishing_to_completion(client: Client) -> None:
    made = client.document(count=2)
    one, (first, second) = made["documentId"], people(made)
    assert fetched(client, one)["status"] == "CREATED"
    assert summary(client, one) == ("CREATED", 0, 2)
    client.look(one, first)
    assert fetched(client, one)["status"] == "IN_PROGRESS"
    assert [item["status"] for item in fetched(client, one)["participants"]] == ["IN_PROGRESS", "INVITED"]
    client.sign(one, first)
    assert summary(client, one) == ("IN_PROGRESS", 1, 1)
    client.sign(one, second)
    assert summary(client, one) == ("COMPLETED", 2, 0)
    assert [item["status"] for item in fetched(client, one)["participants"]] == ["COMPLETED", "COMPLETED"]


def test_what_was_published_is_what_was_sent(client: Client) -> None:
    sent = body(
        client.template(),
        orderMode="SEQUENTIAL",
        flowPolicy={"onParticipantFail": "CONTINUE"},
        metadata={"source": "crm", "contractId": "CNT-4482", "n": [1, 2.5, None, {"ñ": True}]},
        participants=[
            participant(
                1,
                signatureMode=["SIGNATURE_EMAIL", "SIGNATURE_SMS", "SIGNATURE_BIOMETRIC"],
                identity={"email": "a@example.com", "phone": "+573217597071", "documentNumber": "1109661121"},
            ),
            participant(2, policy=None),
        ],
    )
    made = client("POST", "/v1/documents", sent).data
    envelope = envelope_of(client, made["documentId"])
    assert (envelope.order, envelope.on_participant_fail) == (OrderMode.SEQUENTIAL, OnParticipantFail.CONTINUE)
    assert envelope.deadline is not None
    assert envelope.deadline.isoformat() == "2026-05-21T23:59:00+00:00"
    assert [slot.number for slot in envelope.slots.values()] == [1, 2]
    first, second = (signing_of(client, who) for who in people(made))
    assert (first.attempts_max, first.cooldown) == (3, timedelta(seconds=60))
    assert (second.attempts_max, second.cooldown) == (None, None)
    assert (first.status, second.status) == (SigningStatus.INVITED, SigningStatus.CREATED)
    data = fetched(client, made["documentId"])
    assert data["metadata"] == sent["metadata"]
    assert data["deadlineAt"] == "2026-05-21T23:59:00Z"
    assert [item["displayName"] for item in data["participants"]] == ["Juan David Otero 1", "Juan David Otero 2"]
    assert [item["processId"] for item in data["participants"]] == [item["processId"] for item in made["participants"]]
    assert made["participants"][0]["processId"] == f"{made['documentId']}-{people(made)[0]}"
    created = client("GET", f"/v1/events/{made['participants'][0]['processId']}").data[0]
    assert f'"modes":["{SignatureMode.EMAIL}","{SignatureMode.SMS}","{SignatureMode.BIOMETRIC}"]' in created["entry"]


def test_what_is_personal_is_not_in_the_entries(client: Client) -> None:
    made = client.document(metadata={"contractId": "CNT-4482"})
    text = client("GET", f"/v1/events/{made['documentId']}").raw.decode()
    assert "Otero" not in text
    assert "juan1@example.com" not in text
    assert "CNT-4482" not in text
    assert "Acuerdo" not in text


@pytest.mark.parametrize("spelled", ["0001", "1", "{template}#0001"])
def test_the_version_may_be_spelled_in_each_of_its_forms(client: Client, spelled: str) -> None:
    template = client.template()
    answered = client("POST", "/v1/documents", body(template, templateVersion=spelled.format(template=template)))
    assert answered.status == 201
    assert answered.data["templateId"] == template


def test_a_document_needs_no_deadline_and_then_has_none_to_extend(client: Client) -> None:
    sent = body(client.template())
    del sent["deadlineAt"]
    one = client("POST", "/v1/documents", sent).data["documentId"]
    assert fetched(client, one)["deadlineAt"] is None
    before = client.world.head()
    answered = client("POST", f"/v1/documents/{one}/extend", {"newDeadlineAt": "2026-06-15T23:59:00Z"})
    assert (answered.status, answered.body["code"]) == (409, "document_without_deadline")
    assert client.world.head() == before


def test_an_extended_deadline_is_shown_and_the_same_again_changes_nothing(client: Client) -> None:
    one = client.document()["documentId"]
    for _ in range(2):
        answered = client("POST", f"/v1/documents/{one}/extend", {"newDeadlineAt": "2026-06-16T01:59:00+02:00"})
        assert answered.data == {"documentId": one, "deadlineAt": "2026-06-15T23:59:00Z"}
        before = client.world.head()
    assert client.world.head() == before
    assert fetched(client, one)["deadlineAt"] == "2026-06-15T23:59:00Z"


def test_a_cancelled_document_refuses_everything_with_the_same_code(client: Client) -> None:
    made = client.document()
    one, who = made["documentId"], people(made)[0]
    assert client("DELETE", f"/v1/documents/{one}/cancel").status == 200
    assert summary(client, one) == ("CANCELLED", 0, 0)
    before = client.world.head()
    for answered in (
        client("DELETE", f"/v1/documents/{one}/cancel"),
        client("POST", f"/v1/documents/{one}/extend", {"newDeadlineAt": "2026-06-15T23:59:00Z"}),
    ):
        assert (answered.status, answered.body["code"], answered.error["type"]) == (409, "document_already_cancelled", "conflict")
        assert details(answered) == {"documentId": one, "status": "CANCELLED"}
    resent = client("POST", f"/v1/documents/{one}/participants/{who}/resend")
    assert (resent.status, resent.body["code"]) == (409, "participant_already_cancelled")
    assert client.world.head() == before


def test_a_completed_document_cannot_be_cancelled(client: Client) -> None:
    made = client.document()
    client.sign(made["documentId"], people(made)[0])
    before = client.world.head()
    answered = client("DELETE", f"/v1/documents/{made['documentId']}/cancel")
    assert (answered.status, answered.body["code"]) == (409, "document_already_completed")
    assert client.world.head() == before


def test_a_declined_document_has_failed(client: Client) -> None:
    made = client.document(count=2)
    client.act(made["documentId"], DeclineSigning(UUID(people(made)[0]), None, SIGNER))
    assert summary(client, made["documentId"]) == ("FAILED", 0, 0)
    assert [item["status"] for item in fetched(client, made["documentId"])["participants"]] == ["FAILED", "CANCELLED"]
    assert client("DELETE", f"/v1/documents/{made['documentId']}/cancel").body["code"] == "document_already_failed"


def test_with_continue_the_others_go_on_after_a_failure(client: Client) -> None:
    made = client.document(count=3, orderMode="SEQUENTIAL", flowPolicy={"onParticipantFail": "CONTINUE"})
    one, (first, second, _) = made["documentId"], people(made)
    client.act(one, DeclineSigning(UUID(first), None, SIGNER))
    assert summary(client, one) == ("CREATED", 0, 2)
    client.sign(one, second)
    assert summary(client, one) == ("IN_PROGRESS", 1, 1)


def test_attempts_that_are_used_up_fail_the_document(client: Client) -> None:
    made = client.document(participants=[participant(policy={"attemptsMax": 1})])
    one, who = made["documentId"], UUID(people(made)[0])
    code = client.world.deps.vault.conceal("123456", person(client.tenant, email="juan1@example.com", otherwise=who))
    until = client.world.clock.now() + timedelta(minutes=5)
    client.act(one, SendOtp(who, Channel.EMAIL, code, until, SIGNER))
    client.act(one, VerifyOtp(who, "0" * 64, SIGNER))
    assert summary(client, one) == ("FAILED", 0, 0)


def test_after_the_deadline_nothing_is_accepted_and_then_the_document_is_expired(own_world: World) -> None:
    client = own_world.tenant()
    with projecting(own_world.database):
        made = client.document(deadlineAt="2026-04-24T15:00:00Z")
        one, who = made["documentId"], people(made)[0]
        own_world.clock.offset = at(NOW + timedelta(days=2))
        before = own_world.head()
        for answered in (
            client("DELETE", f"/v1/documents/{one}/cancel"),
            client("POST", f"/v1/documents/{one}/extend", {"newDeadlineAt": "2026-06-15T23:59:00Z"}),
            client("POST", f"/v1/documents/{one}/participants/{who}/resend"),
        ):
            assert (answered.status, answered.body["code"]) == (409, "document_already_expired")
        assert own_world.head() == before
        by = Actor(ActorKind.FOLLOWER, "expiry")
        own_world.run(own_world.deps.ledger.handle(ExpireEnvelope(UUID(one)), by, lambda outcome: NO_ANSWER))
        assert summary(client, one) == ("EXPIRED", 0, 0)
        assert client("DELETE", f"/v1/documents/{one}/cancel").body["code"] == "document_already_expired"
        assert client("POST", f"/v1/documents/{one}/participants/{who}/resend").body["code"] == "participant_already_expired"


def test_a_resent_invitation_replaces_the_one_before(client: Client) -> None:
    made = client.document()
    one, who = made["documentId"], people(made)[0]
    before = signing_of(client, who).invitation
    assert client("POST", f"/v1/documents/{one}/participants/{who}/resend").data == {"documentId": one, "participantId": who}
    after = signing_of(client, who).invitation
    assert before is not None
    assert after is not None
    assert before.token_sha256 != after.token_sha256


def test_resending_to_somebody_whose_turn_has_not_come_or_who_is_not_there_is_refused(client: Client) -> None:
    made = client.document(count=2, orderMode="SEQUENTIAL")
    other = client.document()
    one, (_, second) = made["documentId"], people(made)
    before = client.world.head()
    early = client("POST", f"/v1/documents/{one}/participants/{second}/resend")
    assert (early.status, early.body["code"]) == (409, "participant_not_invited")
    for stranger in (str(uuid4()), people(other)[0]):
        answered = client("POST", f"/v1/documents/{one}/participants/{stranger}/resend")
        assert (answered.status, answered.body["message"]) == (404, "Participant not found.")
        assert details(answered) == {"documentId": one, "participantId": stranger}
    assert client.world.head() == before


def test_credits_are_taken_one_by_one_and_never_below_zero_by_many_at_once(client: Client) -> None:
    template = client.template()
    deps = client.world.deps
    client.world.run(deps.identity.set_credits(client.tenant, 5))
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: client("POST", "/v1/documents", body(template)), range(20)))
    statuses = [answered.status for answered in answers]
    assert (statuses.count(201), statuses.count(402)) == (5, 15)
    refused = next(answered for answered in answers if answered.status == 402)
    assert refused.error == {"type": "credits", "details": {}}
    assert client.world.run(deps.identity.credits(client.tenant)) == 0
    assert len(client("GET", "/v1/documents?limit=100").data) == 5


def test_a_refused_document_costs_nothing(client: Client) -> None:
    template = client.template()
    client.world.run(client.world.deps.identity.set_credits(client.tenant, 1))
    assert client("POST", "/v1/documents", body(template, deadlineAt="2020-01-01T00:00:00Z")).status == 400
    assert client.world.run(client.world.deps.identity.credits(client.tenant)) == 1


def test_an_erased_person_is_shown_without_a_name(client: Client) -> None:
    made = client.document(count=2, metadata={"contractId": "CNT-4482"})
    one, (first, _) = made["documentId"], people(made)
    by = Actor(ActorKind.OPERATOR, "test")
    ledger = client.world.deps.ledger
    client.world.run(ledger.erase(person(client.tenant, email="juan1@example.com", otherwise=UUID(first)), "request", by))
    client.world.run(ledger.erase(Subject(client.tenant, SubjectKind.ENVELOPE, one), "request", by))
    data = fetched(client, one)
    assert [item["displayName"] for item in data["participants"]] == [None, "Juan David Otero 2"]
    assert data["metadata"] is None
