"""The OpenAPI document holds in both directions: schemathesis sends what it allows and what it does not, with all checks."""

from pathlib import Path
from typing import Any

import pytest

from tests.contract.partner_world import World
from tests.contract.schema_runs import hold
from tests.contract.signatures_world import SURFACE, pdf, project

pytest_plugins = ["tests.contract.partner_fixtures"]

#: Which orders and placements go together no JSON Schema can say; all else that the document allows must be accepted.
CONFIGURATION = """
# A header's value reaches nobody as it was made up: blanks at its ends are dropped, and letters beyond ASCII change on the way.
[[operations]]
include-name = "POST /v1/renders"
checks.negative_data_rejection.expected-statuses = ["2xx", "4xx"]

[[operations]]
include-name = "POST /v1/signatures"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]
"""

ROUTES = {
    ("POST", "/v1/signatures"): {200, 201, 400, 401, 402, 404, 409, 413, 415, 429, 500, 503},
    ("GET", "/v1/signatures"): {200, 400, 401, 429, 500, 503},
    ("GET", "/v1/signatures/{id}"): {200, 401, 404, 429, 500, 503},
    ("POST", "/v1/signatures/{id}/cancel"): {200, 400, 401, 404, 409, 413, 415, 429, 500, 503},
    ("GET", "/v1/signatures/{id}/download"): {200, 401, 404, 409, 429, 500, 503},
    ("GET", "/v1/signatures/{id}/certificate"): {200, 401, 404, 409, 429, 500, 503},
    ("POST", "/v1/renders"): {200, 201, 400, 401, 409, 413, 415, 429, 500, 503},
    ("GET", "/v1/renders/{id}"): {200, 401, 404, 429, 500, 503},
}


def test_every_route_is_documented_with_every_status_a_model_and_the_credential(world: World) -> None:
    document = world.surfaces[SURFACE].openapi()
    found: dict[tuple[str, str], Any] = {
        (method.upper(), path): operation for path, item in document["paths"].items() for method, operation in item.items()
    }
    assert {route: {int(status) for status in operation["responses"]} for route, operation in found.items()} == ROUTES
    for (method, _), operation in found.items():
        assert operation["security"] == [{"ProjectKey": []}]
        for status, answer in operation["responses"].items():
            for kind, content in answer["content"].items():
                assert kind == "application/pdf" or "$ref" in content["schema"], status
        names = [parameter["name"] for parameter in operation.get("parameters", ())]
        assert ("Idempotency-Key" in names) is (method == "POST")
    assert document["components"]["securitySchemes"]["ProjectKey"]["scheme"] == "bearer"


@pytest.mark.parametrize("phases", ["coverage,fuzzing", "stateful"])
def test_what_the_document_says_is_so(world: World, tmp_path: Path, phases: str) -> None:
    own = project(world)
    own.signature()
    headers = {"Authorization": f"Bearer {own.key}"}
    assert (
        hold(world, SURFACE, tmp_path, headers, configuration=CONFIGURATION, phases=phases, some_pdf=pdf(("{{sign_here}}",))) > 5
    )
