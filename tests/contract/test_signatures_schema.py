"""The OpenAPI document holds in both directions: schemathesis sends what it allows and what it does not, with all checks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from api.surfaces.signatures import REFUSALS
from domain.errors import Refusal
from tests.contract.partner_world import World
from tests.contract.signatures_world import SURFACE, pdf, project

pytest_plugins = ["tests.contract.partner_fixtures"]

#: How requests with a PDF are made: schemathesis knows no PDFs.
HOOKS = """
import schemathesis
from hypothesis import strategies
from pathlib import Path

@schemathesis.serializer("application/pdf")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode()

schemathesis.openapi.media_type("application/pdf", strategies.just(Path(__file__).with_name("some.pdf").read_bytes()))
"""

#: Which orders and placements go together no JSON Schema can say; all else that the document allows must be accepted.
CONFIGURATION = """
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


def test_every_refusal_has_an_answer() -> None:
    def below(kind: type[Refusal]) -> set[type[Refusal]]:
        return {kind for each in kind.__subclasses__() for kind in (each, *below(each))}

    assert set(REFUSALS) == below(Refusal)


def test_what_the_document_says_is_so(world: World, tmp_path: Path) -> None:
    own = project(world)
    own.signature()
    (tmp_path / "openapi.json").write_text(json.dumps(world.surfaces[SURFACE].openapi()))
    (tmp_path / "some.pdf").write_bytes(pdf(("{{sign_here}}",)))
    (tmp_path / "hooks.py").write_text(HOOKS)
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    command += ["--config-file", "schemathesis.toml", "run", "openapi.json", "--url", world.url, "--checks", "all"]
    command += [
        "--header",
        f"Authorization: Bearer {own.key}",
        "--phases",
        "coverage,fuzzing,stateful",
        "--max-examples",
        "6",
        "--workers",
        "2",
    ]
    command += ["--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off", "--no-color"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
