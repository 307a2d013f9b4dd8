"""Renders: PDFs that are uploaded, looked into, kept, and given back by a signed URL."""

import io
from urllib.parse import quote
from uuid import UUID

import httpx
import pikepdf
import pytest

from domain.actor import Mode
from tests.contract.partner_world import World
from tests.contract.signatures_world import Project, body, pdf, project

pytest_plugins = ["tests.contract.partner_fixtures"]

MEMBERS = ["id", "status", "pollUrl", "downloadUrl", "errorMessage", "createdAt", "completedAt", "durationMs"]


@pytest.fixture
def own(world: World) -> Project:
    """A fresh project."""
    return project(world)


def encrypted() -> bytes:
    with pikepdf.open(io.BytesIO(pdf())) as document:
        out = io.BytesIO()
        document.save(out, encryption=pikepdf.Encryption(owner="o", user="u"))
    return out.getvalue()


def test_an_upload_is_a_render_at_once_and_its_url_gives_the_same_bytes(own: Project) -> None:
    content = pdf(("Lease 88",))
    answered = own.upload(content, "Lease 88")
    assert answered.status == 201
    made = answered.body
    assert list(made) == MEMBERS
    assert (made["status"], made["errorMessage"], made["durationMs"]) == ("succeeded", None, 0)
    assert made["createdAt"] == made["completedAt"]
    assert httpx.get(made["downloadUrl"], trust_env=False).content == content
    polled = own("GET", made["pollUrl"].removeprefix(own.world.url)).body
    assert {**polled, "downloadUrl": ""} == {**made, "downloadUrl": ""}


def test_what_the_render_is_called_is_what_its_document_is_called(own: Project) -> None:
    render = own.upload(pdf(("{{sign_here}}",)), quote("Miete — 88")).body["id"]
    identity = own.signature(render, name="Something else")["id"]
    document = own.envelope(identity).documents[0]
    assert document.title is not None
    stored = own.world.run(own.world.deps.vault.open_entries([UUID(identity)]))
    values = {reference.path: opened.value for reference, opened in stored.items()}
    assert (values["/documents/0/title"], values["/subject"]) == ("Miete — 88", "Something else")


def test_the_url_of_a_revoked_key_gives_nothing(own: Project) -> None:
    other = own.other_key()
    url = other.upload(pdf()).body["downloadUrl"]
    assert httpx.get(url, trust_env=False).status_code == 200
    own.world.run(own.world.deps.identity.revoke_key(other.id))
    assert httpx.get(url, trust_env=False).status_code == 403


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"<html>", "not a PDF"),
        (b"%PDF-1.7\n" + b"x" * 2000, "damaged"),
        (encrypted(), "encrypted"),
        (pdf(pages=501), "501 pages"),
    ],
)
def test_what_cannot_be_signed_is_refused_with_the_reason(own: Project, content: bytes, sentence: str) -> None:
    before = own.world.head()
    answered = own.upload(content)
    assert sentence in answered.issues[""][0]
    assert own.world.head() == before


def test_an_upload_of_more_than_20_mb_is_refused(own: Project) -> None:
    limit = 20 * 1024 * 1024
    within = own.upload(b"%PDF-1.7\n".ljust(limit, b"x"))
    assert (within.status, within.code) == (400, "invalid_request")
    beyond = own.upload(b"%PDF-1.7\n".ljust(limit + 1, b"x"))
    assert (beyond.status, beyond.code) == (413, "payload_too_large")


@pytest.mark.parametrize("name", ["", "x" * 256, "a%0Ab", "%20"])
def test_a_name_that_is_not_valid_is_named(own: Project, name: str) -> None:
    answered = own("POST", f"/v1/renders?name={name}", content=pdf(), headers={"Content-Type": "application/pdf"})
    assert list(answered.issues) == ["name"]


def test_a_compressed_upload_is_not_read(own: Project) -> None:
    answered = own.upload(pdf(), **{"Content-Encoding": "gzip"})
    assert (answered.status, answered.code) == (415, "unsupported_media_type")


def test_a_render_of_the_other_mode_is_no_render_to_sign(own: Project) -> None:
    render = own.render()
    test = own.other_key(Mode.TEST)
    answered = test("POST", "/v1/signatures", body(render))
    assert (answered.status, answered.code) == (404, "not_found")
