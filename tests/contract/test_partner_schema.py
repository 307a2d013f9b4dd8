"""The partner surface's OpenAPI document holds in both directions, with all checks of schemathesis."""

from pathlib import Path

import pytest

from tests.contract.partner_world import World
from tests.contract.schema_runs import hold

pytest_plugins = ["tests.contract.partner_fixtures"]

#: Which template version, deadline and participants go together no JSON Schema can say, nor that no two fields have one name.
CONFIGURATION = """
[[operations]]
include-name = "POST /v1/documents"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]

[[operations]]
include-name = "PUT /v1/templates/{templateId}/fields"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]

[[operations]]
include-name = ["GET /v1/documents", "GET /v1/templates"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "409"]

[[operations]]
include-name = "POST /v1/documents/{documentId}/extend"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]
"""


@pytest.mark.parametrize("phases", ["coverage,fuzzing", "stateful"])
def test_what_the_document_says_is_so(world: World, tmp_path: Path, phases: str) -> None:
    client = world.tenant()
    client.document()
    assert hold(world, "partner", tmp_path, client.headers, configuration=CONFIGURATION, phases=phases) > 5
