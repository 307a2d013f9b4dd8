"""The credential at `/api`: made, shown without its secret, replaced, revoked."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from infrastructure.issuer import LocalIssuer
from infrastructure.secrets import Keys
from tests.contract.partner_world import Client, World, details

pytest_plugins = ["tests.contract.partner_fixtures"]


@pytest.fixture
def administrator(client: Client) -> Client:
    return client.world.administrator(client.tenant)


def partner(made: Client, secret: str) -> Client:
    return Client(made.world, made.tenant, {"X-Tenant-Signly": str(made.tenant), "X-Auth-Signly": secret}, "")


def test_a_key_credential_works_raw_and_not_as_hmac(administrator: Client) -> None:
    secret = administrator("POST", "/api", {"auth_method": "KEY"}).data["apiKey"]
    assert partner(administrator, secret)("GET", "/v1/templates").status == 200
    assert partner(administrator, f"HMAC {secret}")("GET", "/v1/templates").status == 401


def test_an_hmac_credential_works_in_both_forms(administrator: Client) -> None:
    made = administrator("POST", "/api", {"auth_method": "HMAC"})
    assert made.data["authMethod"] == "HMAC"
    for form in ("{}", "HMAC {}"):
        assert partner(administrator, form.format(made.data["apiKey"]))("GET", "/v1/templates").status == 200


def test_the_configuration_is_shown_without_the_secret(administrator: Client) -> None:
    made = administrator("POST", "/api", {"auth_method": "KEY"})
    shown = administrator("GET", "/api")
    assert "apiKey" not in shown.data
    assert made.data["apiKey"] not in shown.raw.decode()
    assert shown.data["keyId"] == made.data["keyId"]
    assert shown.data["partnerBaseUrl"] == administrator.world.url


def test_a_new_credential_replaces_the_one_before_at_once(client: Client, administrator: Client) -> None:
    assert client("GET", "/v1/templates").status == 200
    administrator("POST", "/api", {"auth_method": "KEY"})
    assert client("GET", "/v1/templates").status == 401


def test_a_revoked_credential_is_refused_from_the_next_request_on(client: Client, administrator: Client) -> None:
    assert administrator("DELETE", "/api").data == {"deleted": True}
    assert client("GET", "/v1/templates").status == 401
    for method in ("GET", "DELETE"):
        answered = administrator(method, "/api")
        assert (answered.status, answered.body["code"]) == (404, "api_integration_not_found")
        assert details(answered) == {"resource": "api_integration"}


@pytest.mark.parametrize(
    "sent", [{"auth_method": "JWT"}, {"auth_method": "key"}, {"auth_method": None}, {"auth_method": 1}, {"auth_method": []}, {}]
)
def test_another_method_is_the_documented_error(administrator: Client, sent: Any) -> None:
    answered = administrator("POST", "/api", sent)
    assert (answered.status, answered.body["code"], answered.body["message"]) == (
        400,
        "invalid_auth_method",
        "Auth method is invalid.",
    )
    assert answered.error == {"type": "validation", "details": {"field": "auth_method", "allowed": ["KEY", "HMAC"]}}


def test_other_faults_are_answered_as_everywhere(administrator: Client) -> None:
    assert administrator("POST", "/api", {"auth_method": "KEY", "scope": "all"}).fields == {"scope": ["Unknown field."]}
    assert administrator("POST", "/api", ["KEY"]).fields == {"_schema": ["Invalid input type."]}
    assert administrator("POST", "/api", content=b"auth_method=KEY").status == 415


def token(world: World, tenant: Any, role: str, minutes: int = 5) -> str:
    return LocalIssuer(Keys.derive(b"s" * 32, b"m" * 32), world.clock).mint("somebody", tenant, role, timedelta(minutes=minutes))


def test_without_a_valid_token_the_answer_is_401(client: Client) -> None:
    world = client.world
    expired = token(world, client.tenant, "admin")
    good = token(world, client.tenant, "admin", 60)
    headers = [
        {},
        {"X-Auth-Signly": ""},
        {"X-Auth-Signly": good},
        {"X-Auth-Signly": f"Basic {good}"},
        {"X-Auth-Signly": "Bearer"},
        {"X-Auth-Signly": f"Bearer {good}x"},
        {"X-Auth-Signly": f"Bearer {good[:-4]}AAAA"},
        {"X-Auth-Signly": "Bearer eyJhbGciOi..."},
        client.headers,
    ]
    for given in headers:
        for method in ("GET", "POST", "DELETE"):
            answered = Client(world, client.tenant, given, "")(
                method, "/api", {"auth_method": "KEY"} if method == "POST" else None
            )
            assert (answered.status, answered.body["code"]) == (401, "unauthorized")
            assert answered.body["meta"]["tenant_id"] is None
    offset = world.clock.offset
    try:
        world.clock.offset = offset + timedelta(minutes=10)
        assert Client(world, client.tenant, {"X-Auth-Signly": f"Bearer {expired}"}, "")("GET", "/api").status == 401
    finally:
        world.clock.offset = offset
    assert client("GET", "/v1/templates").status == 200


def test_a_token_without_the_role_is_403(client: Client) -> None:
    bearer = {"X-Auth-Signly": f"Bearer {token(client.world, client.tenant, 'member')}"}
    for method in ("GET", "POST", "DELETE"):
        answered = Client(client.world, client.tenant, bearer, "")(
            method, "/api", {"auth_method": "KEY"} if method == "POST" else None
        )
        assert (answered.status, answered.body["code"], answered.error["type"]) == (403, "forbidden", "authorization")
    assert client("GET", "/v1/templates").status == 200


def test_a_token_for_a_tenant_that_does_not_exist_makes_nothing(world: World) -> None:
    nobody = Client(world, uuid4(), {"X-Auth-Signly": f"Bearer {token(world, uuid4(), 'admin')}"}, "")
    assert nobody("POST", "/api", {"auth_method": "KEY"}).status == 403
    assert nobody("GET", "/api").status == 404
    assert nobody("DELETE", "/api").status == 404
