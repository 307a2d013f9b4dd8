"""The OpenAPI document holds in both directions: schemathesis sends what it allows and what it does not, with all checks."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infrastructure.database import DatabaseUrls
from tests.contract.partner_world import World, projecting, start
from tests.contract.schema_runs import hold
from tests.contract.signing_world import Dealership, User, dealership, package, user
from tests.running import Person

pytest_plugins = ["tests.contract.partner_fixtures"]

SURFACE = "signing"

#: Reads and changes of each route; `changes` are those that honour an idempotency key.
ROUTES = {
    "GET /v1/signing/session",
    "GET /v1/signing/me",
    "GET /v1/signing/signer/signings",
    "GET /v1/signing/signer/signings/{signingId}",
    "GET /v1/signing/signer/signings/{signingId}/documents",
    "GET /v1/signing/signer/signings/{signingId}/documents/{documentId}",
    "POST /v1/signing/signer/signings/{signingId}/documents/{documentId}/sign",
    "GET /v1/signing/signer/signings/{signingId}/signers",
    "GET /v1/signing/signer/signings/{signingId}/signers/{signerId}",
    "GET /v1/signing/organizations",
    "GET /v1/signing/companies",
    "GET /v1/signing/companies/{companyId}",
    "GET /v1/signing/manager/locations",
    "GET /v1/signing/manager/locations/{locationId}",
    "GET /v1/signing/manager/signings",
    "POST /v1/signing/manager/signings",
    "GET /v1/signing/manager/signings/{signingId}",
    "POST /v1/signing/manager/signings/{signingId}/documents",
    "POST /v1/signing/manager/signings/{signingId}/signers",
    "POST /v1/signing/manager/signings/{signingId}/activate",
    "POST /v1/signing/manager/signings/{signingId}/cancel",
    "POST /v1/signing/manager/signings/{signingId}/resend",
    "GET /v1/signing/manager/templates",
    "GET /v1/signing/manager/templates/{templateId}",
    "PATCH /v1/signing/manager/templates/{templateId}",
    "POST /v1/signing/manager/templates/{templateId}/duplicate",
    "GET /v1/signing/manager/flows",
    "POST /v1/signing/manager/flows",
    "GET /v1/signing/manager/flows/{flowId}",
    "PATCH /v1/signing/manager/flows/{flowId}",
    "GET /v1/documents",
    "POST /v1/documents",
    "GET /v1/documents/{id}",
    "PATCH /v1/documents/{id}",
    "DELETE /v1/documents/{id}",
    "PUT /v1/documents/{id}/file",
    "GET /v1/documents/{id}/comments",
    "POST /v1/documents/{id}/comments",
    "GET /v1/workspace/memberships",
    "GET /v1/workspace/active-org-id",
    "GET /v1/workspace/active-org",
    "GET /v1/workspace/organizations/{organizationId}",
    "GET /v1/workspace/profile",
    "GET /v1/workspace/menu-core",
}

#: What goes together no JSON Schema can say: one source of a document, something to change, a deadline that is a time to come. Nor does
#: it say that numbers in what is kept as given have to be ones that every reader keeps exactly (RFC 7493 section 2.2).
CONFIGURATION = """
[[operations]]
include-name = [
    "POST /v1/signing/manager/signings",
    "POST /v1/signing/manager/signings/{signingId}/documents",
    "POST /v1/signing/signer/signings/{signingId}/documents/{documentId}/sign",
    "POST /v1/signing/manager/flows",
    "POST /v1/documents",
    "PATCH /v1/signing/manager/templates/{templateId}",
    "PATCH /v1/signing/manager/flows/{flowId}",
    "PATCH /v1/documents/{id}",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "409"]
"""


@pytest.fixture
def alone(database: DatabaseUrls, tmp_path: Path) -> Iterator[World]:
    """A server whose host name is this surface's: requests without a token to paths of several products are answered by it too."""
    with start(database, tmp_path / "data", surface_hosts="127.0.0.1=signing") as made, projecting(database):
        yield made


def admin(dealers: Dealership) -> User:
    return dealers.admin("root")


def manager(dealers: Dealership) -> User:
    return dealers.manager("boss", ("north",), "jordan@dealership.com", signings="full", templates="write", flows="read")


def signer(dealers: Dealership) -> User:
    return user(dealers.world, dealers.tenant, "user_jordan", "jordan@dealership.com")


def test_every_route_is_documented_with_its_credential_its_key_and_its_errors(world: World) -> None:
    document = world.surfaces[SURFACE].openapi()
    found: dict[str, Any] = {
        f"{method.upper()} {path}": operation for path, item in document["paths"].items() for method, operation in item.items()
    }
    assert set(found) == ROUTES
    for name, operation in found.items():
        assert operation["security"] == [{"Session": []}]
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        assert ("Idempotency-Key" in names) is not name.startswith("GET")
        assert {"401", "429", "500", "503"} <= set(operation["responses"])
        for status, answer in operation["responses"].items():
            assert status == "204" or "$ref" in answer["content"]["application/json"]["schema"]


@pytest.mark.parametrize(("role", "phases"), [(admin, "coverage"), (manager, "fuzzing"), (signer, "fuzzing")])
def test_what_the_document_says_is_so(alone: World, tmp_path: Path, role: Callable[[Dealership], User], phases: str) -> None:
    dealers = dealership(alone)
    package(alone, dealers.tenant, Person("Jordan Lee", "jordan@dealership.com", number=1))
    headers = {"Authorization": role(dealers).headers["Authorization"]}
    assert hold(alone, SURFACE, tmp_path, headers, configuration=CONFIGURATION, phases=phases, examples=4) > 5
