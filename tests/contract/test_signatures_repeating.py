"""Idempotency keys: a repeat does nothing again and answers with the resource as it is by then."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from domain.actor import Actor, ActorKind, Mode
from domain.personal import person
from tests.contract.partner_world import World
from tests.contract.signatures_world import Answered, Project, body, pdf, project

pytest_plugins = ["tests.contract.partner_fixtures"]

KEY = {"Idempotency-Key": "sign-order-12345"}


@pytest.fixture
def own(world: World) -> Project:
    """A fresh project."""
    return project(world)


def test_a_repeat_answers_200_with_the_request_as_it_is_by_then(own: Project) -> None:
    render = own.render()
    first = own("POST", "/v1/signatures", body(render), headers=KEY)
    before = own.world.head()
    again = own("POST", "/v1/signatures", body(render), headers=KEY)
    assert (first.status, again.status, again.body) == (201, 200, first.body)
    assert own.world.head() == before
    own.sign(first.body["id"])
    signed = own("POST", "/v1/signatures", body(render), headers=KEY)
    assert (signed.status, signed.body["status"]) == (200, "completed")
    assert signed.body == own.get(first.body["id"])


def test_the_body_of_a_repeat_is_not_compared(own: Project) -> None:
    first = own("POST", "/v1/signatures", body(own.render()), headers=KEY)
    other = own("POST", "/v1/signatures", body(own.render(), name="Another"), headers=KEY)
    assert (other.status, other.body) == (200, first.body)
    gone = own("POST", "/v1/signatures", body("0193c2c3-1111-7aaa-8bbb-000000000001"), headers=KEY)
    assert (gone.status, gone.body) == (200, first.body)


def test_a_key_is_the_projects_in_its_mode_whichever_credential_sends_it(own: Project) -> None:
    render = own.render()
    first = own("POST", "/v1/signatures", body(render), headers=KEY).body["id"]
    assert own.other_key()("POST", "/v1/signatures", body(render), headers=KEY).body["id"] == first
    for other in (project(own.world), own.other_key(Mode.TEST)):
        answered = other("POST", "/v1/signatures", body(other.render()), headers=KEY)
        assert (answered.status, answered.body["id"] != first) == (201, True)


def test_of_twenty_at_once_with_one_key_one_creates_and_one_credit_is_taken(own: Project) -> None:
    render = own.render()
    own.world.run(own.world.deps.identity.set_credits(own.tenant, 10))

    def create(_: int) -> Answered:
        return own("POST", "/v1/signatures", body(render), headers=KEY)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(create, range(20)))
    assert sorted(answered.status for answered in answers) == [200] * 19 + [201]
    assert len({answered.body["id"] for answered in answers}) == 1
    assert len(own("GET", "/v1/signatures").body["signatures"]) == 1
    assert own.world.run(own.world.deps.identity.credits(own.tenant)) == 9


def test_a_repeated_upload_answers_with_the_first_render(own: Project) -> None:
    first = own.upload(pdf(("one",)), "one", **KEY)
    again = own.upload(pdf(("two",)), "two", **KEY)
    assert (first.status, again.status, again.body["id"]) == (201, 200, first.body["id"])
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: own.upload(pdf(("x",)), **{"Idempotency-Key": "other"}), range(8)))
    assert sorted(answered.status for answered in answers) == [200] * 7 + [201]
    assert len({answered.body["id"] for answered in answers}) == 1


def test_a_repeated_cancellation_is_no_conflict_and_without_a_key_it_is(own: Project) -> None:
    identity = own.signature()["id"]
    first = own("POST", f"/v1/signatures/{identity}/cancel", {"reason": "x"}, headers=KEY)
    before = own.world.head()
    again = own("POST", f"/v1/signatures/{identity}/cancel", headers=KEY)
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert own("POST", f"/v1/signatures/{identity}/cancel").status == 409
    assert own.world.head() == before


def test_a_key_serves_each_operation_by_itself(own: Project) -> None:
    render = own.upload(pdf(("{{sign_here}}",)), **KEY).body["id"]
    made = own("POST", "/v1/signatures", body(render), headers=KEY)
    other = own.signature(render)["id"]
    assert made.status == 201
    for identity in (made.body["id"], other):
        assert own("POST", f"/v1/signatures/{identity}/cancel", headers=KEY).body["status"] == "cancelled"


def test_of_many_cancellations_at_once_one_acts(own: Project) -> None:
    identity = own.signature()["id"]

    def cancel(number: int) -> Answered:
        return own("POST", f"/v1/signatures/{identity}/cancel", headers={"Idempotency-Key": f"k{number}"})

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(cancel, range(8)))
    assert sorted(answered.status for answered in answers) == [200] + [409] * 7


def test_a_refusal_is_not_kept(own: Project) -> None:
    render = own.render()
    own.world.run(own.world.deps.identity.set_credits(own.tenant, 0))
    assert own("POST", "/v1/signatures", body(render), headers=KEY).status == 402
    own.world.run(own.world.deps.identity.set_credits(own.tenant, 1))
    assert own("POST", "/v1/signatures", body(render, name=""), headers=KEY).status == 400
    assert own("POST", "/v1/signatures", body(render), headers=KEY).status == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_of_no_length_or_of_too_much_is_not_valid(own: Project, key: str) -> None:
    before = own.world.head()
    assert list(
        own("POST", "/v1/signatures", body("0193c2c3-1111-7aaa-8bbb-000000000001"), headers={"Idempotency-Key": key}).issues
    ) == [""]
    assert own.world.head() == before


def test_a_repeat_after_the_person_was_erased_shows_nothing_of_them(own: Project) -> None:
    render = own.render()
    first = own("POST", "/v1/signatures", body(render), headers=KEY)
    subject = person(own.tenant, email="jane1@example.com", otherwise=UUID(int=0))
    own.world.run(own.world.deps.ledger.erase(subject, "request", Actor(ActorKind.OPERATOR, "test")))
    before = own.world.head()
    again = own("POST", "/v1/signatures", body(render), headers=KEY)
    assert (again.status, again.code) == (409, "conflict")
    assert "Jane" not in again.raw.decode()
    assert own.world.head() == before
    assert own.get(first.body["id"])["recipients"][0]["firstName"] == ""
