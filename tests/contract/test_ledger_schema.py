"""The ledger surface's OpenAPI document holds in both directions, with all checks of schemathesis."""

from pathlib import Path

from domain.actor import Mode
from infrastructure.identity import KeyKind
from tests.contract.partner_world import World
from tests.contract.schema_runs import hold
from tests.contract.signatures_world import project

pytest_plugins = ["tests.contract.partner_fixtures"]


def test_what_the_document_says_is_so_for_a_key(world: World, tmp_path: Path) -> None:
    own = project(world)
    own.signature()
    configuration = _administration('["401", "403"]')
    assert hold(world, "ledger", tmp_path, {"Authorization": f"Bearer {own.key}"}, configuration=configuration) > 20


def test_what_the_document_says_is_so_for_an_administrator(world: World, tmp_path: Path) -> None:
    client = world.tenant()
    world.run(world.deps.identity.create_key(client.tenant, KeyKind.PROJECT, Mode.LIVE))
    bearer = world.administrator(client.tenant).headers["X-Auth-Signly"]
    configuration = _administration('["2xx", "400", "404", "409", "422"]')
    assert hold(world, "ledger", tmp_path, {"Authorization": bearer}, configuration=configuration) > 20


def _administration(statuses: str) -> str:
    return f"""
[[operations]]
include-name = [
    "GET /v1/ledger/credentials", "POST /v1/ledger/credentials", "DELETE /v1/ledger/credentials/{{id}}",
    "POST /v1/ledger/erasures", "GET /v1/ledger/holds", "POST /v1/ledger/holds", "POST /v1/ledger/holds/{{id}}/lift",
]
checks.positive_data_acceptance.expected-statuses = {statuses}
checks.negative_data_rejection.expected-statuses = ["4xx"]

# Of a position and an event's id there must be one, and sizes must be of what is sealed: no schema says so.
[[operations]]
include-name = ["GET /v1/ledger/proofs/inclusion", "GET /v1/ledger/proofs/consistency", "GET /v1/ledger/checkpoint"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "422"]
"""
