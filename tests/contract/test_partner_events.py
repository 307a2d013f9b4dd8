"""The timeline of a process, as an auditor gets it over the wire."""

import json
from datetime import timedelta
from hashlib import sha256
from typing import Any, get_args
from uuid import UUID

from api.surfaces.partner.events import WORDS
from domain.canonical import canonical
from domain.entry import parse_time
from domain.envelope import EnvelopeFact
from domain.ids import event_id
from domain.personal import person
from domain.signing import Channel, DeclineSigning, GiveConsent, SendOtp, SigningFact, VerifyOtp
from tests.contract.partner_world import SIGNER, Client, World, participant

pytest_plugins = ["tests.contract.partner_fixtures"]


def events(client: Client, process: str) -> list[Any]:
    found: list[Any] = client("GET", f"/v1/events/{process}").data
    return found


def check_chain(found: list[Any]) -> None:
    """What an auditor does who has nothing but the answer."""
    leaves: dict[str, list[str]] = {}
    for event in found:
        raw = event["entry"].encode()
        entry = json.loads(raw)
        assert canonical(entry) == raw
        leaf = sha256(b"\x00" + raw).hexdigest()
        chain = leaves.setdefault(entry["stream"], [])
        assert event["hash"] == leaf
        assert event["previousHash"] == entry["previous"] == (chain[-1] if chain else "0" * 64)
        assert event["version"] == entry["version"] == len(chain) + 1
        assert event["eventId"] == event_id(parse_time(entry["at"]), bytes.fromhex(leaf))
        assert event["timestamp"] == entry["at"][:23] + "Z"
        chain.append(leaf)
    assert [event["position"] for event in found] == sorted(event["position"] for event in found)


def test_every_fact_of_an_envelope_and_its_signings_has_a_word_and_nothing_else_has() -> None:
    facts = {fact.TYPE for fact in (*get_args(EnvelopeFact), *get_args(SigningFact))}
    assert facts == WORDS.keys()


def test_a_process_is_told_from_its_creation_to_its_end_and_the_chain_can_be_recomputed(client: Client) -> None:
    made = client.document(participants=[participant(policy={"attemptsMax": 3})])
    one, who = made["documentId"], made["participants"][0]
    participant_id = UUID(who["participantId"])
    code = client.world.deps.vault.conceal("123456", person(client.tenant, email="juan1@example.com", otherwise=participant_id))
    until = client.world.clock.now() + timedelta(minutes=5)
    client("POST", f"/v1/documents/{one}/participants/{participant_id}/resend")
    client.look(one, str(participant_id))
    client.act(one, SendOtp(participant_id, Channel.EMAIL, code, until, SIGNER))
    client.act(one, VerifyOtp(participant_id, "0" * 64, SIGNER))
    client.act(one, SendOtp(participant_id, Channel.EMAIL, code, until, SIGNER))
    client.act(one, VerifyOtp(participant_id, code.commitment, SIGNER))
    client.act(one, GiveConsent(participant_id, "0" * 64, "es-CO", SIGNER))
    client.sign(one, str(participant_id))
    found = events(client, who["processId"])
    assert [(event["eventType"], event["status"], event["actor"]) for event in found] == [
        ("PROCESS_CREATED", "SUCCESS", "backend"),
        ("INVITATION_CREATED", "SUCCESS", "backend"),
        ("INVITATION_RESENT", "SUCCESS", "backend"),
        ("PROCESS_STARTED", "SUCCESS", "frontend"),
        ("DOCUMENT_OPENED", "SUCCESS", "frontend"),
        ("OTP_SENT", "SUCCESS", "frontend"),
        ("OTP_FAILED", "FAILURE", "frontend"),
        ("OTP_RESENT", "SUCCESS", "frontend"),
        ("OTP_VERIFIED", "SUCCESS", "frontend"),
        ("CONSENT_GIVEN", "SUCCESS", "frontend"),
        ("FIELD_SIGNED", "SUCCESS", "frontend"),
        ("PROCESS_COMPLETED", "SUCCESS", "frontend"),
    ]
    assert {event["processId"] for event in found} == {who["processId"]}
    check_chain(found)


def test_a_documents_id_gives_the_merged_timeline_in_the_order_of_the_log(client: Client) -> None:
    made = client.document(count=2)
    one = made["documentId"]
    client.act(one, DeclineSigning(UUID(made["participants"][0]["participantId"]), None, SIGNER))
    merged = events(client, one)
    check_chain(merged)
    parts = [events(client, who["processId"]) for who in made["participants"]]
    own = [event for event in merged if event["processId"] == one]
    assert sorted([*own, *parts[0], *parts[1]], key=lambda event: event["position"]) == merged
    assert [event["eventType"] for event in own] == ["DOCUMENT_CREATED", "DOCUMENT_SENT", "PARTICIPANT_FAILED", "DOCUMENT_FAILED"]
    assert [part[-1]["eventType"] for part in parts] == ["PROCESS_FAILED", "PROCESS_CANCELLED"]


def test_the_timeline_is_read_from_the_log_and_needs_no_read_model(own_world: World) -> None:
    client = own_world.tenant()
    made = client.document()
    assert len(events(client, made["participants"][0]["processId"])) == 2
    assert client("GET", f"/v1/documents/{made['documentId']}").status == 503


def test_ids_of_other_documents_and_swapped_ids_are_not_found(client: Client) -> None:
    made, other = client.document(), client.document()
    one, who = made["documentId"], made["participants"][0]["participantId"]
    template = client.template(uploaded=False)
    for process in (
        f"{other['documentId']}-{who}",
        f"{who}-{one}",
        f"{one}-{one}",
        who,
        template,
        f"{one}{who}",
        f"{one}-{who}-",
        f"{one}-{who}".replace("-", "", 1),
    ):
        answered = client("GET", f"/v1/events/{process}")
        assert (answered.status, answered.body["message"]) == (404, "Process not found.")
        assert answered.error == {"type": "not_found", "details": {"processId": process}}
