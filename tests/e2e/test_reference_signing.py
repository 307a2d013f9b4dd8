"""The curls of the signing reference pages, run as they stand but for host, token and ids, and their sample answers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Server
from tests.contract import signing_world
from tests.contract.partner_reference import form
from tests.contract.partner_world import World, projecting, start
from tests.contract.signing_world import Dealership, User
from tests.e2e.reference_pages import curl, page_holds
from tests.e2e.scenarios.tenancy import PLAIN
from tests.shared_data import shared

OVERVIEW, QUEUE = "reference/safeclose-overview.txt", "reference/safeclose-signer-queue.txt"

HEALTH_HOST, HOST, TOKEN = "https://your-api.example.com", "https://api.safeclose.com", "<clerk_jwt>"

HEALTH = "curl https://your-api.example.com/health"
LIST = """curl https://api.safeclose.com/v1/signing/signer/signings \\
  -H "Authorization: Bearer <clerk_jwt>\""""
GET = """curl https://api.safeclose.com/v1/signing/signer/signings/3001 \\
  -H "Authorization: Bearer <clerk_jwt>\""""
DOCUMENTS = """curl https://api.safeclose.com/v1/signing/signer/signings/3001/documents \\
  -H "Authorization: Bearer <clerk_jwt>\""""
DOCUMENT = """curl https://api.safeclose.com/v1/signing/signer/signings/3001/documents/7 \\
  -H "Authorization: Bearer <clerk_jwt>\""""
SIGN = """curl -X POST https://api.safeclose.com/v1/signing/signer/signings/3001/documents/7/sign \\
  -H "Authorization: Bearer <clerk_jwt>" \\
  -H "Content-Type: application/json" \\
  -d '{"clientMeta": {"userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"}}'"""
SIGNERS = """curl https://api.safeclose.com/v1/signing/signer/signings/3001/signers \\
  -H "Authorization: Bearer <clerk_jwt>\""""
SIGNER = """curl https://api.safeclose.com/v1/signing/signer/signings/3001/signers/802 \\
  -H "Authorization: Bearer <clerk_jwt>\""""

HEALTHY = """{
  "ok": true,
  "service": "safeclose-api",
  "ts": "2026-04-27T00:00:00.000Z"
}"""

SIGNED = """{
  "ok": true,
  "firstESign": true,
  "observedAt": "2025-06-15T14:30:00.000Z",
  "document": {
    "id": "7",
    "signingId": "3001",
    "position": 1,
    "status": "signed",
    "updatedAt": "2025-06-15T14:30:00.000Z"
  },
  "signer": {
    "id": "801",
    "signingId": "3001",
    "status": "completed",
    "number": 1,
    "fullName": "Jordan Lee",
    "email": "jordan@dealership.com",
    "updatedAt": "2025-06-15T14:30:00.000Z"
  },
  "vaultJobEnqueued": true
}"""

MISSING = """{
  "error": "Missing Authorization Bearer token."
}"""


@dataclass(frozen=True)
class Queue:
    """Jordan's, with one package that Sam signs too: the ids that stand for the page's."""

    world: World
    token: str
    signing: str
    document: str
    signer: str
    co_signer: str

    def run(self, example: str, folder: Path, **other: str) -> tuple[int, Any]:
        """The example with own host, token and ids; `other` replaces some of the latter."""
        ids = {"signing": self.signing, "document": self.document, "co_signer": self.co_signer, "token": self.token, **other}
        for shown, own in ((HOST, self.world.url), (HEALTH_HOST, self.world.url), (TOKEN, ids["token"])):
            example = example.replace(shown, own)
        for shown, own in (
            ("/signings/3001", f"/signings/{ids['signing']}"),
            ("/documents/7", f"/documents/{ids['document']}"),
            ("/signers/802", f"/signers/{ids['co_signer']}"),
        ):
            example = example.replace(shown, own)
        status, body = curl(example, folder)
        return status, json.loads(body)


@pytest.fixture(scope="module")
def world(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    name = f"safeclose_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with start(urls, tmp_path_factory.mktemp("safeclose")) as made, projecting(urls):
        yield made
    server.drop(name)


@pytest.fixture(scope="module")
def dealers(world: World) -> Dealership:
    return signing_world.dealership(world)


@pytest.fixture(scope="module")
def template(dealers: Dealership) -> str:
    """The numeric id of a template, whose PDF came through the partner surface."""
    world = dealers.world
    made = world.run(world.deps.identity.create_partner_key(dealers.tenant, "KEY"))
    headers = {"X-Tenant-Signly": str(dealers.tenant), "X-Auth-Signly": made.secret}
    template = world.http.post(f"{world.url}/v1/templates", json={"templateName": "Deal"}, headers=headers).json()["data"]
    path = f"{world.url}/v1/templates/{template['templateId']}/versions/1/upload-url"
    url = world.http.post(path, headers=headers).json()["data"]["uploadUrl"]
    assert world.http.put(url, content=PLAIN, headers={"Content-Type": "application/pdf"}).status_code == 200
    (listed,) = dealers.admin("templates")("GET", "/v1/signing/manager/templates").body["templates"]
    found: str = listed["id"]
    return found


@pytest.fixture
def queue(dealers: Dealership, template: str) -> Queue:
    """A package of its own for each test, and a Jordan."""
    manager: User = dealers.manager(f"manager_{uuid4().hex[:8]}", ("north",), signings="write", templates="read")
    path = "/v1/signing/manager/signings"
    id = manager("POST", path, {"locationId": int(dealers.location("north"))}).body["signing"]["id"]
    document = manager("POST", f"{path}/{id}/documents", {"templateId": template}).body["document"]["id"]
    email = f"jordan-{uuid4().hex[:8]}@dealership.com"
    people = [("Jordan Lee", email), ("Sam Roe", f"sam-{email}")]
    jordan, sam = (
        manager("POST", f"{path}/{id}/signers", {"fullName": name, "email": to}).body["signer"]["id"] for name, to in people
    )
    assert manager("POST", f"{path}/{id}/activate").status == 200
    token = signing_world.user(dealers.world, dealers.tenant, "user_jordan", email).headers["Authorization"]
    return Queue(dealers.world, token.removeprefix("Bearer "), id, document, jordan, sam)


def agrees(sample: Any, answer: Any) -> None:
    """The members of the sample are there, with values of their forms; records have more, as the page says they may."""
    for name, shown in sample.items():
        if isinstance(shown, dict):
            agrees(shown, answer[name])
        else:
            assert form(answer[name]) == form(shown), name


def test_the_pages_have_these_examples_and_these_samples() -> None:
    overview, queue = shared(OVERVIEW).read_text(), shared(QUEUE).read_text()
    page_holds(overview, HEALTH, HEALTHY, MISSING)
    page_holds(queue, LIST, GET, DOCUMENTS, DOCUMENT, SIGN, SIGNERS, SIGNER, SIGNED)
    assert (overview.count("\ncurl "), queue.count("\ncurl ")) == (1, 7)


def test_the_health_example_answers_as_the_page_shows(queue: Queue, tmp_path: Path) -> None:
    status, answer = queue.run(HEALTH, tmp_path)
    sample = json.loads(HEALTHY)
    assert (status, list(answer)) == (200, list(sample))
    assert (answer["ok"], answer["service"], form(answer["ts"])) == (True, "safeclose-api", form(sample["ts"]))


def test_the_reading_examples_find_the_package_and_what_is_in_it(queue: Queue, tmp_path: Path) -> None:
    status, listed = queue.run(LIST, tmp_path)
    assert (status, list(listed)) == (200, ["signers", "signings"])
    assert [signer["id"] for signer in listed["signers"]] == [queue.signer]
    assert [signing["id"] for signing in listed["signings"]] == [queue.signing]
    status, one = queue.run(GET, tmp_path)
    assert (status, one) == (200, {"signing": listed["signings"][0]})
    status, documents = queue.run(DOCUMENTS, tmp_path)
    assert (status, [document["id"] for document in documents["documents"]]) == (200, [queue.document])
    assert queue.run(DOCUMENT, tmp_path) == (200, {"document": documents["documents"][0]})
    status, signers = queue.run(SIGNERS, tmp_path)
    assert (status, [signer["id"] for signer in signers["signers"]]) == (200, [queue.signer, queue.co_signer])
    assert [signer["number"] for signer in signers["signers"]] == [1, 2]
    assert queue.run(SIGNER, tmp_path) == (200, {"signer": signers["signers"][1]})


def test_the_signing_example_answers_in_the_shape_of_the_sample_and_alike_again(queue: Queue, tmp_path: Path) -> None:
    status, first = queue.run(SIGN, tmp_path)
    sample = json.loads(SIGNED)
    assert (status, list(first)) == (200, list(sample))
    agrees(sample, first)
    assert (first["ok"], first["firstESign"], first["vaultJobEnqueued"]) == (True, True, True)
    assert (first["document"]["id"], first["document"]["signingId"]) == (queue.document, queue.signing)
    assert (first["signer"]["id"], first["signer"]["status"], first["signer"]["fullName"]) == (
        queue.signer,
        "completed",
        "Jordan Lee",
    )
    head = queue.world.head()
    status, again = queue.run(SIGN, tmp_path)
    assert (status, again["ok"], again["firstESign"], again["observedAt"]) == (200, True, False, first["observedAt"])
    assert queue.world.head() == head


def test_the_errors_that_the_pages_name(queue: Queue, tmp_path: Path) -> None:
    without = LIST.replace(f' \\\n  -H "Authorization: Bearer {TOKEN}"', "")
    assert queue.run(without, tmp_path) == (401, json.loads(MISSING))
    assert queue.run(LIST, tmp_path, token="a.b.c") == (401, {"error": "Invalid or expired token."})
    for example in (GET, DOCUMENTS, DOCUMENT, SIGN, SIGNERS, SIGNER):
        for wrong, status in (("abc", 400), ("999999", 404)):
            found, answer = queue.run(example, tmp_path, signing=wrong)
            assert (found, list(answer)) == (status, ["error"])
    for example in (DOCUMENT, SIGN):
        assert [queue.run(example, tmp_path, document=wrong)[0] for wrong in ("abc", "999999")] == [400, 404]
    assert [queue.run(SIGNER, tmp_path, co_signer=wrong)[0] for wrong in ("abc", "999999")] == [400, 404]
    status, answer = queue.run(SIGN.replace('"clientMeta": {', '"clientMeta": '), tmp_path)
    assert (status, list(answer)) == (400, ["error"])
