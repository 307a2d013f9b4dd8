"""A repeat with the same key gives the first answer, byte for byte, and does nothing again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from domain.actor import Actor, ActorKind
from domain.personal import person
from infrastructure.database import connect
from tests.contract.partner_world import Answered, Client, body

pytest_plugins = ["tests.contract.partner_fixtures"]

KEY = {"Idempotency-Key": "9d5c-once"}

Route = tuple[str, str, Any]


def new_template(client: Client) -> Route:
    return "POST", "/v1/templates", {"templateName": "x"}


def new_version(client: Client) -> Route:
    return "PUT", f"/v1/templates/{client.template(uploaded=False)}", {"templateName": "x"}


def new_fields(client: Client) -> Route:
    return "PUT", f"/v1/templates/{client.template(uploaded=False)}/fields", [{"fieldName": "A", "fieldType": "TEXT"}]


def gone_version(client: Client) -> Route:
    return "DELETE", f"/v1/templates/{client.template(2, uploaded=False)}/versions/1", None


def gone_template(client: Client) -> Route:
    return "DELETE", f"/v1/templates/{client.template(uploaded=False)}", None


def new_document(client: Client) -> Route:
    return "POST", "/v1/documents", body(client.template())


def extended(client: Client) -> Route:
    return "POST", f"/v1/documents/{client.document()['documentId']}/extend", {"newDeadlineAt": "2026-06-15T23:59:00Z"}


def cancelled(client: Client) -> Route:
    return "DELETE", f"/v1/documents/{client.document()['documentId']}/cancel", None


def resent(client: Client) -> Route:
    made = client.document()
    return "POST", f"/v1/documents/{made['documentId']}/participants/{made['participants'][0]['participantId']}/resend", None


ROUTES: list[Callable[[Client], Route]] = [
    new_template,
    new_version,
    new_fields,
    gone_version,
    gone_template,
    new_document,
    extended,
    cancelled,
    resent,
]


@pytest.mark.parametrize("route", ROUTES)
def test_a_repeat_gives_the_first_answer_and_does_nothing_again(client: Client, route: Callable[[Client], Route]) -> None:
    method, path, sent = route(client)
    first = client(method, path, sent, headers=KEY)
    assert first.status < 300
    before = client.world.head()
    again = client(method, path, sent, headers=KEY)
    assert (again.status, again.raw) == (first.status, first.raw)
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert client.world.head() == before


@pytest.mark.parametrize("route", ROUTES)
def test_the_same_key_with_another_request_is_refused(client: Client, route: Callable[[Client], Route]) -> None:
    method, path, sent = route(client)
    client(method, path, sent, headers=KEY)
    before = client.world.head()
    answered = client("POST", "/v1/templates", {"templateName": "another"}, headers=KEY)
    assert (answered.status, answered.body["code"], answered.error["type"]) == (409, "idempotency_key_reused", "conflict")
    assert client.world.head() == before


def test_a_repeat_gives_the_first_answer_whatever_has_happened_since(client: Client) -> None:
    template = client.template()
    first = client("POST", "/v1/documents", body(template), headers=KEY)
    client("DELETE", f"/v1/documents/{first.data['documentId']}/cancel")
    client("DELETE", f"/v1/templates/{template}")
    assert client("POST", "/v1/documents", body(template), headers=KEY).raw == first.raw


def test_of_many_repeats_at_once_one_acts(client: Client) -> None:
    template = client.template()
    client.world.run(client.world.deps.identity.set_credits(client.tenant, 10))

    def publish(_: int) -> Answered:
        return client("POST", "/v1/documents", body(template), headers=KEY)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(publish, range(16)))
    assert {answered.raw for answered in answers} == {answers[0].raw}
    assert answers[0].status == 201
    assert len(client("GET", "/v1/documents").data) == 1
    assert client.world.run(client.world.deps.identity.credits(client.tenant)) == 9


def test_a_key_belongs_to_one_tenant(client: Client) -> None:
    other = client.world.tenant()
    sent = {"templateName": "x"}
    first = client("POST", "/v1/templates", sent, headers=KEY)
    assert other("POST", "/v1/templates", sent, headers=KEY).data["templateId"] != first.data["templateId"]


def test_a_refusal_is_not_kept(client: Client) -> None:
    template = client.template()
    client.world.run(client.world.deps.identity.set_credits(client.tenant, 0))
    assert client("POST", "/v1/documents", body(template), headers=KEY).status == 402
    client.world.run(client.world.deps.identity.set_credits(client.tenant, 1))
    assert client("POST", "/v1/documents", body(template), headers=KEY).status == 201


def test_an_answer_whose_person_was_erased_is_not_repeated(client: Client) -> None:
    sent = body(client.template())
    first = client("POST", "/v1/documents", sent, headers=KEY)
    subject = person(client.tenant, email="juan1@example.com", otherwise=UUID(int=0))
    client.world.run(client.world.deps.ledger.erase(subject, "request", Actor(ActorKind.OPERATOR, "test")))
    before = client.world.head()
    answered = client("POST", "/v1/documents", sent, headers=KEY)
    assert (answered.status, answered.body["code"]) == (409, "idempotent_answer_erased")
    assert first.data["documentId"] not in answered.raw.decode()
    assert client.world.head() == before


def test_a_repeated_creation_of_a_credential_shows_the_secret_again_and_it_is_stored_nowhere(client: Client) -> None:
    administrator = client.world.administrator(client.tenant)
    first = administrator("POST", "/api", {"auth_method": "HMAC"}, headers=KEY)
    again = administrator("POST", "/api", {"auth_method": "HMAC"}, headers=KEY)
    assert (again.status, again.raw) == (201, first.raw)
    secret = first.data["apiKey"]
    assert client.with_headers(**{"X-Auth-Signly": f"HMAC {secret}"})("GET", "/v1/templates").status == 200
    with connect(client.world.database.service) as conn:
        kept = conn.execute("SELECT body FROM idempotency WHERE status = 201 AND body IS NOT NULL").fetchall()
    assert kept
    assert all(secret.encode() not in bytes(row[0]) for row in kept)
    assert administrator("POST", "/api", {"auth_method": "KEY"}, headers=KEY).body["code"] == "idempotency_key_reused"


def test_a_repeated_revocation_gives_the_first_answer(client: Client) -> None:
    administrator = client.world.administrator(client.tenant)
    first = administrator("DELETE", "/api", headers=KEY)
    assert administrator("DELETE", "/api", headers=KEY).raw == first.raw
    assert administrator("DELETE", "/api").status == 404
