"""The sessions reference page's cURL and Python examples, run as they stand but for host, credential and ids.

The page's cURL comes twice: with the session token alone, and with the organization's key. The second one and the
Python example send no session token, and the page's prose says what comes of that: 403 `invalid_session_token`.
With the header that the page requires added they complete.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.actor import Mode
from infrastructure.identity import KeyKind
from tests.conftest import Server
from tests.contract import signing_world
from tests.contract.partner_world import World, projecting, start
from tests.e2e.reference_pages import curl, page_holds, python
from tests.running import Person
from tests.shared_data import shared

PAGE = "reference/mattermode-complete-session.txt"
HOST = "https://api.mattermode.com"
KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
PLACEHOLDER = "id_placeholder"

#: As the page prints them, in lines: its text as a file has lost those.
WITH_TOKEN = r"""curl -X POST "https://api.mattermode.com/v1/signing_sessions/{id}/complete" \
  -H "X-Signing-Session-Token: string" \
  -H "Content-Type: application/json" \
  -d '{ "electronic_signature_text": "string" }'"""

WITH_KEY = r"""curl --request POST 'https://api.mattermode.com/v1/signing_sessions/id_placeholder/complete' \
  --header 'Authorization: Bearer sk_test_4eC39HqLyjWDarjtT1zdp7dc' \
  --header 'Matter-Version: 2026-06-10' \
  --header 'Idempotency-Key: ee7c3a9b-3f1a-4d8e-9b2a-7c5e1f0a2d4b' \
  --header 'Content-Type: application/json' \
  --data '{ "electronic_signature_text": "example"}'"""

PYTHON = """import requests
headers = {
  "Authorization": "Bearer sk_test_4eC39HqLyjWDarjtT1zdp7dc",
  "Matter-Version": "2026-06-10",
  "Idempotency-Key": "ee7c3a9b-3f1a-4d8e-9b2a-7c5e1f0a2d4b",
}
payload = {
  "electronic_signature_text": "example"
}
resp = requests.post(
  "https://api.mattermode.com/v1/signing_sessions/id_placeholder/complete",
  headers=headers,
  json=payload,
)
resp.raise_for_status()
print(resp.json())
"""

SAMPLE = """{
  "session": {
    "id": "string",
    "object": "signing_session",
    "target": {
      "document_id": "string",
      "signing_envelope_id": "string",
      "signer_id": "string"
    },
    "stakeholder_id": "string",
    "human_clerk_user_id": "string",
    "created_at": 0,
    "expires_at": 0,
    "status": "pending",
    "signature_token": "string",
    "disclosure_packet_hash": "string",
    "livemode": true
  },
  "acknowledgement": {},
  "envelope_status": "draft",
  "document_ids": ["string"]
}"""

PROBLEM = """{
  "type": "https://mattermode.com/docs/errors/invalid_state_transition",
  "title": "Invalid state transition",
  "status": 409,
  "detail": "Entity ent_Nq3KcAbc is in state `dissolved` and cannot be dissolved again.",
  "instance": "/requests/req_Qw9xYz8A",
  "code": "invalid_state_transition",
  "param": "founders[0].equity",
  "doc_url": "https://mattermode.com/docs/guides/errors#invalid_state_transition",
  "request_id": "req_Qw9xYz8A",
  "retry_after": 30,
  "authorized_by": {
    "human_principal_id": "usr_4Kj2m8pQ",
    "agent_id": "agt_Nq3KcAbc"
  }
}"""

#: What need not be: a session for a whole envelope names no document, one by invitation no account; tokens are shown once.
MAY_BE_NULL = {"document_id", "human_clerk_user_id", "signature_token", "disclosure_packet_hash"}


@dataclass(frozen=True)
class Signer:
    """Somebody who was invited: the session, and the token from the mail; `key` is the organization's, in test mode."""

    world: World
    session: str
    token: str
    key: str

    def own(self, example: str) -> str:
        """The example with this signer's host, credential and ids."""
        for shown, mine in ((HOST, self.world.url), (KEY, self.key), (PLACEHOLDER, self.session), ("{id}", self.session)):
            example = example.replace(shown, mine)
        return example.replace("X-Signing-Session-Token: string", f"X-Signing-Session-Token: {self.token}")


@pytest.fixture(scope="module")
def world(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    name = f"mattermode_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with start(urls, tmp_path_factory.mktemp("mattermode")) as made, projecting(urls):
        yield made
    server.drop(name)


@pytest.fixture
def signer(world: World) -> Signer:
    tenant = signing_world.tenant(world)
    key = world.run(world.deps.identity.create_key(tenant, KeyKind.ORGANIZATION, Mode.TEST)).secret
    sent = signing_world.package(world, tenant, Person("Ana Pérez", "ana@example.com"), mode=Mode.TEST)
    (participant,) = sent.processes
    return Signer(world, f"sgs_{participant.hex}", world.run(_token(world, participant)), key)


async def _token(world: World, participant: UUID) -> str:
    state = await world.deps.ledger.signing(participant)
    assert state is not None
    assert state.invitation is not None
    return world.deps.invitations.token(state.invitation.id)


def shape(value: Any) -> Any:
    """Members and the kinds of their values, as deep as there are any."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def check_completed(answer: Any) -> None:
    """The members of the sample in its order, with values of its kinds."""
    sample = json.loads(SAMPLE)
    assert list(answer) == list(sample)
    assert list(answer["session"]) == list(sample["session"])
    assert list(answer["session"]["target"]) == list(sample["session"]["target"])
    for shown, given in ((sample["session"], answer["session"]), (sample["session"]["target"], answer["session"]["target"])):
        for name, value in given.items():
            assert (value is None and name in MAY_BE_NULL) or shape(value) == shape(shown[name]) or isinstance(value, dict), name
    assert (answer["session"]["object"], answer["session"]["status"]) == ("signing_session", "completed")
    assert answer["session"]["livemode"] is False
    assert answer["acknowledgement"]["object"] == "esra_acknowledgement"
    assert answer["envelope_status"] == "completed"
    assert shape(answer["document_ids"]) == shape(sample["document_ids"])


def check_problem(problem: Any, code: str, *more: str) -> None:
    """The members of the page's problem in its order, then those that belong to the code."""
    sample = json.loads(PROBLEM)
    assert list(problem) == [*sample, *more]
    assert problem["code"] == code
    assert problem["type"].endswith(code)
    assert problem["doc_url"].endswith(f"#{code}")
    assert problem["instance"] == f"/requests/{problem['request_id']}"
    assert re.fullmatch(r"req_[0-9A-Z]{26}", problem["request_id"])
    assert list(problem["authorized_by"] or sample["authorized_by"]) == list(sample["authorized_by"])


def test_the_page_has_these_examples_and_these_samples() -> None:
    text = shared(PAGE).read_text()
    page_holds(text, WITH_TOKEN, WITH_KEY, PYTHON, SAMPLE, PROBLEM)
    assert text.count("curl ") == 2
    assert text.count("import requests") == 1


def test_the_curl_with_the_token_completes_the_session(signer: Signer, tmp_path: Path) -> None:
    status, body = curl(signer.own(WITH_TOKEN), tmp_path)
    assert status == 200, body
    check_completed(json.loads(body))
    status, body = curl(signer.own(WITH_TOKEN), tmp_path)
    assert status == 409
    problem = json.loads(body)
    check_problem(problem, "invalid_state_transition", "current_state", "attempted_transition", "allowed_transitions")
    assert problem["detail"].endswith("is in state `completed` and cannot be completed again.")


def test_the_curl_with_the_organizations_key_alone_is_refused_and_completes_with_the_token(
    signer: Signer, tmp_path: Path
) -> None:
    head = signer.world.head()
    status, body = curl(signer.own(WITH_KEY), tmp_path)
    assert status == 403
    check_problem(json.loads(body), "invalid_session_token")
    assert signer.world.head() == head
    with_header = signer.own(WITH_KEY).replace("  --data", f"  --header 'X-Signing-Session-Token: {signer.token}' \\\n  --data")
    first, second = curl(with_header, tmp_path), curl(with_header, tmp_path)
    assert first[0] == 200, first[1]
    check_completed(json.loads(first[1]))
    assert json.loads(first[1])["acknowledgement"]["signing_method"] == "agent_authorized"
    assert second == first  # the example's idempotency key: a repeat is answered alike


def test_the_python_without_the_token_is_refused_and_completes_with_it(signer: Signer, tmp_path: Path) -> None:
    head = signer.world.head()
    refused = python(sys.executable, signer.own(PYTHON), tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("requests.exceptions.HTTPError: 403 Client Error: Forbidden")
    told = python(sys.executable, signer.own(PYTHON).replace("resp.raise_for_status()\n", ""), tmp_path)
    check_problem(ast.literal_eval(told.stdout), "invalid_session_token")
    assert signer.world.head() == head
    key_line = '  "Idempotency-Key"'
    header = f'  "X-Signing-Session-Token": "{signer.token}",\n'
    done = python(sys.executable, signer.own(PYTHON).replace(key_line, header + key_line), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    check_completed(ast.literal_eval(done.stdout))
