"""The OpenAPI document holds in both directions: schemathesis sends what it allows and what it does not, with all checks."""

from pathlib import Path

import pytest

from tests.contract.partner_world import World
from tests.contract.schema_runs import hold
from tests.contract.sessions_server import Organization

pytest_plugins = ["tests.contract.partner_fixtures"]

#: What goes together no JSON Schema can say: one cursor, a target of a session, a signer with nothing that names anybody, a time that is
#: past. And a person's sign-in or a session's token, which requests here do not have, is demanded before anything else.
CONFIGURATION = """
[[operations]]
include-name = ["GET /v1/signing_envelopes", "GET /v1/documents"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "409"]

[[operations]]
include-name = "POST /v1/signing_envelopes"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "422", "409"]

[[operations]]
include-name = "POST /v1/signing_sessions"
checks.positive_data_acceptance.expected-statuses = ["403"]
checks.negative_data_rejection.expected-statuses = ["4xx"]

[[operations]]
include-name = "POST /v1/signing_sessions/{id}/complete"
checks.positive_data_acceptance.expected-statuses = ["403", "404", "409", "422"]

[[operations]]
include-name = "POST /v1/consents/esra"
checks.positive_data_acceptance.expected-statuses = ["2xx", "422", "409"]

[[operations]]
include-name = "POST /v1/documents"
checks.positive_data_acceptance.expected-statuses = ["2xx", "422", "409"]
"""

ROUTES = {
    "POST /v1/signing_sessions",
    "GET /v1/signing_sessions/{id}",
    "POST /v1/signing_sessions/{id}/complete",
    "POST /v1/signing_envelopes",
    "GET /v1/signing_envelopes",
    "GET /v1/signing_envelopes/{id}",
    "POST /v1/signing_envelopes/{id}/send",
    "POST /v1/signing_envelopes/{id}/void",
    "POST /v1/signing_envelopes/{id}/remind",
    "POST /v1/signing_envelopes/{id}/decline",
    "POST /v1/documents",
    "GET /v1/documents",
    "GET /v1/documents/{id}",
    "GET /v1/consents/esra",
    "POST /v1/consents/esra",
    "GET /v1/consents/{id}",
    "POST /v1/consents/{id}/withdraw",
    "GET /v1/events/{id}",
    "GET /v1/api_versions",
}


def test_every_route_names_its_credentials_its_key_and_its_problems(world: World) -> None:
    document = world.surfaces["sessions"].openapi()
    found = {f"{method.upper()} {path}": each for path, item in document["paths"].items() for method, each in item.items()}
    assert set(found) == ROUTES
    for name, operation in found.items():
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert "Matter-Version" in names
        assert ("Idempotency-Key" in names) is name.startswith("POST")
        assert bool(operation["security"]) is (name != "GET /v1/api_versions")
        assert {"400", "429", "500", "503"} <= set(operation["responses"])
        for status, answer in operation["responses"].items():
            (kind,) = answer["content"]
            assert kind == ("application/json" if int(status) < 400 else "application/problem+json")
            assert "$ref" in answer["content"][kind]["schema"]


@pytest.mark.parametrize("phases", ["coverage,fuzzing", "stateful"])
def test_what_the_document_says_is_so(world: World, tmp_path: Path, phases: str) -> None:
    own = Organization.of(world)
    own.sent()
    # The version goes along so that every request is this surface's, also those that are sent without a credential.
    headers = {"Authorization": f"Bearer {own.secret}", "Matter-Version": "2026-06-10"}
    assert hold(world, "sessions", tmp_path, headers, configuration=CONFIGURATION, phases=phases) > 5
