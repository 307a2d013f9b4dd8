"""The partner reference page's own examples, run as they stand: curl by bash, Python by Python.

Nothing is changed in them but the host, the tenant, the credential and the ids. The server's clock is
at the time of the page's samples, because the page's deadlines lie in the weeks after it.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Server
from tests.contract.partner_reference import differences, operations
from tests.contract.partner_world import Client, World, start

HOST = "https://api.signly.apologs.com"
TENANT = "58bff266-cdad-46db-b373-1b06476146cd"
CREDENTIAL = "sk_live_partner_abc123"
TOKEN = "eyJhbGciOi..."
TEMPLATE = "3f34581a-5b4a-4068-ab72-5f2b36611fa1"
DOCUMENT = "0e51e6ee-4643-4381-97e0-5164c00a0142"
PARTICIPANT = "a244be1a-98c5-4faa-bcb7-55218983a731"
PROCESS = "91b5d467-ee84-4c78-8f37-048387797ab3-d0a31523-3d9c-4613-936a-9bf510ad05d4"

#: How many examples the page has in each language.
CURL, PYTHON = 23, 7

NAMES = [
    "GET /api",
    "POST /api",
    "DELETE /api",
    "GET /v1/templates",
    "GET /v1/templates/{templateId}",
    "GET /v1/documents",
    "POST /v1/documents",
    "GET /v1/documents/{documentId}",
    "POST /v1/documents/{documentId}/extend",
    "DELETE /v1/documents/{documentId}/cancel",
    "POST /v1/documents/{documentId}/participants/{participantId}/resend",
    "GET /v1/events/{processId}",
    "GET /v1/templates/{templateId}/history",
    "GET /v1/templates/{templateId}/versions/{version}",
    "GET /v1/templates/{templateId}/fields",
    "PUT /v1/templates/{templateId}/fields",
    "POST /v1/templates",
    "PUT /v1/templates/{templateId}",
    "POST /v1/templates/{templateId}/versions/{version}/upload-url",
    "GET /v1/templates/{templateId}/versions/{version}/download-url",
    "DELETE /v1/templates/{templateId}/versions/{version}",
    "DELETE /v1/templates/{templateId}",
    "GET /v1/documents/{documentId}/summary",
]
WITH_PYTHON = [
    "GET /api",
    "POST /api",
    "GET /v1/templates",
    "POST /v1/templates",
    "GET /v1/documents",
    "POST /v1/documents",
    "GET /v1/events/{processId}",
]


@pytest.fixture(scope="module")
def world(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    name = f"reference_{uuid4().hex[:12]}"
    with start(server.create(name, migrated_template), tmp_path_factory.mktemp("reference"), followers=True) as made:
        yield made
    server.drop(name)


def in_the_state_of_the_sample(client: Client, name: str) -> dict[str, str]:
    """What the page's ids stand for, on a fresh tenant."""
    template = client.template(2)
    if name == "GET /v1/templates/{templateId}/fields":
        client(
            "PUT", f"/v1/templates/{template}/fields", [{"fieldName": "F", "fieldType": "SIGNATURE", "page": 1, "x": 1, "y": 1}]
        )
    made = client.document(template, templateVersion="0002")
    who = made["participants"][0]
    if name != "GET /v1/documents":
        client.look(made["documentId"], who["participantId"])
    return {
        HOST: client.world.url,
        TENANT: str(client.tenant),
        CREDENTIAL: client.headers["X-Auth-Signly"],
        TOKEN: client.world.administrator(client.tenant).headers["X-Auth-Signly"].removeprefix("Bearer "),
        PROCESS: who["processId"],
        TEMPLATE: template,
        DOCUMENT: made["documentId"],
        PARTICIPANT: who["participantId"],
    }


def with_own_ids(example: str, ids: dict[str, str]) -> str:
    for shown, own in ids.items():
        example = example.replace(shown, own)
    return example


def run(command: list[str], folder: Path) -> str:
    # curl reads its defaults from here, so that the example itself stays as it is.
    (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "\\n%{http_code}"\n')
    environment = {**os.environ, "CURL_HOME": str(folder), "HOME": str(folder), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def check(name: str, status: int, answer: Any) -> None:
    sample = next(sample for sample in operations()[name].samples if sample["success"])
    assert status == sample["status"]
    assert differences(name, sample, answer) == []


def test_all_examples_of_the_page_are_run_here() -> None:
    page = operations()
    assert sorted(page) == sorted(NAMES)
    assert [name for name, it in page.items() if it.python] == [name for name in page if name in WITH_PYTHON]
    assert sum(len(it.curl) for it in page.values()) == CURL
    assert sum(len(it.python) for it in page.values()) == PYTHON


@pytest.mark.parametrize("name", NAMES)
def test_a_curl_example_runs_as_it_stands(world: World, tmp_path: Path, name: str) -> None:
    (example,) = operations()[name].curl
    ids = in_the_state_of_the_sample(world.tenant(), name)
    body, _, status = run(["bash", "-c", with_own_ids(example, ids)], tmp_path).rpartition("\n")
    check(name, int(status), json.loads(body))


@pytest.mark.parametrize("name", WITH_PYTHON)
def test_a_python_example_runs_as_it_stands(world: World, tmp_path: Path, name: str) -> None:
    (example,) = operations()[name].python
    ids = in_the_state_of_the_sample(world.tenant(), name)
    status, _, answer = run([sys.executable, "-c", with_own_ids(example, ids)], tmp_path).partition("\n")
    check(name, int(status), ast.literal_eval(answer.strip()))
