"""The signatures reference page's one example, run as it stands by bash: only the host is another, and the variables are set."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Server
from tests.contract.partner_reference import form
from tests.contract.partner_world import World, projecting, start
from tests.contract.signatures_world import Project, project
from tests.e2e.reference_pages import curl, page_holds
from tests.shared_data import shared

PAGE = "reference/craftkit-get-signature.txt"
HOST = "https://api.craftkit.dev"

CURL = """curl https://api.craftkit.dev/v1/signatures/$SIGNATURE_ID \\
  -H "Authorization: Bearer $CRAFTKIT_API_KEY\""""

#: The page's sample. Its id of a recipient stands for any of that form.
SAMPLE = """{
  "id": "0193c2c3-2222-7aaa-8bbb-000000000002",
  "renderId": "0193c2c3-1111-7aaa-8bbb-000000000001",
  "name": "Charter handover — BK-12345",
  "status": "completed",
  "recipients": [
    {
      "id": "rcp_8e10-12ab34cd56ef",
      "firstName": "Jane",
      "lastName": "Doe",
      "email": "jane@example.com",
      "designation": "Signer",
      "order": 1,
      "signedAt": "2026-06-05T11:40:00.000Z"
    }
  ],
  "expirationHours": 168,
  "signedDownloadUrl": "https://api.craftkit.dev/v1/signatures/0193c2c3-2222-7aaa-8bbb-000000000002/download",
  "certificateUrl": "https://api.craftkit.dev/v1/signatures/0193c2c3-2222-7aaa-8bbb-000000000002/certificate",
  "errorMessage": null,
  "createdAt": "2026-06-05T10:00:00.000Z",
  "completedAt": "2026-06-05T11:42:08.000Z"
}"""

#: "Null until the document is archived", and "until available": until there are executed documents, null.
NOT_YET = {"signedDownloadUrl", "certificateUrl"}


@pytest.fixture(scope="module")
def world(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    name = f"craftkit_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with start(urls, tmp_path_factory.mktemp("craftkit")) as made, projecting(urls):
        yield made
    server.drop(name)


@pytest.fixture
def client(world: World) -> Project:
    return project(world)


def run(client: Project, id: str, folder: Path, key: str | None = None) -> tuple[int, Any]:
    example = CURL.replace(HOST, client.world.url)
    status, body = curl(example, folder, SIGNATURE_ID=id, CRAFTKIT_API_KEY=key or client.key)
    return status, json.loads(body)


def test_the_page_has_this_example_and_this_sample() -> None:
    page_holds(shared(PAGE).read_text(), CURL, SAMPLE)


def test_the_example_answers_in_the_shape_of_the_sample(client: Project, tmp_path: Path) -> None:
    jane = {"firstName": "Jane", "lastName": "Doe", "email": "jane@example.com", "designation": "Signer"}
    id = client.signature(recipients=[jane])["id"]
    client.sign(id)
    status, answer = run(client, id, tmp_path)
    sample = json.loads(SAMPLE)
    assert status == 200
    assert list(answer) == list(sample)
    (recipient,), (shown,) = answer["recipients"], sample["recipients"]
    assert list(recipient) == list(shown)
    assert re.fullmatch(r"rcp_[0-9a-f]{4}-[0-9a-f]{12}", recipient["id"])
    for name in ("name", "status", "expirationHours", "errorMessage"):
        assert answer[name] == sample[name]
    for name in ("firstName", "lastName", "email", "designation", "order"):
        assert recipient[name] == shown[name]
    for name in ("id", "renderId", "createdAt", "completedAt"):
        assert form(answer[name]) == form(sample[name])
    assert form(recipient["signedAt"]) == form(shown["signedAt"])
    assert {name for name in answer if answer[name] is None and sample[name] is not None} == NOT_YET


def test_a_request_that_is_out_says_so_and_leaves_out_what_did_not_happen(client: Project, tmp_path: Path) -> None:
    status, answer = run(client, client.signature()["id"], tmp_path)
    assert (status, answer["status"], answer["completedAt"]) == (200, "sent", None)
    assert not {"signedAt", "declinedAt"} & answer["recipients"][0].keys()


def test_the_errors_that_the_page_names(client: Project, tmp_path: Path) -> None:
    id = client.signature()["id"]
    for status, code, asked, key in (
        (401, "unauthorized", id, "ck_live_unknown"),
        (401, "unauthorized", id, "sk_live_of_another_kind"),
        (404, "not_found", str(uuid4()), client.key),
        (404, "not_found", id, project(client.world).key),  # another project's key
    ):
        found, answer = run(client, asked, tmp_path, key)
        assert (found, answer["error"]["code"]) == (status, code)
