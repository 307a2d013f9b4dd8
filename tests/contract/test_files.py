"""Upload and download by signed URL, through the whole application, on a real database and a real folder."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pikepdf
import pytest

from api.app import running
from api.deps import Deps
from api.surfaces.files import REFUSALS
from domain.actor import Actor, ActorKind, Mode
from domain.errors import Refusal
from domain.personal import Subject, SubjectKind
from domain.template import AddVersion, CreateTemplate, DefineFields, DeleteTemplate, Field, FieldType, Template, TemplateCommand
from infrastructure.clock import OffsetClock
from infrastructure.database import DatabaseUrls, connect
from infrastructure.installation import Installation
from infrastructure.ledger import NO_ANSWER
from infrastructure.secrets import Keys
from infrastructure.settings import PREFIX, Settings
from tests.conftest import ORIGIN

LIMIT = 20_000


def pdf(pages: int = 1, title: str = "contract") -> bytes:
    out = BytesIO()
    with pikepdf.new() as document:
        for _ in range(pages):
            document.add_blank_page()
        document.docinfo["/Title"] = title
        document.save(out, deterministic_id=True)
    return out.getvalue()


@dataclass
class Place:
    """A running application with one tenant, its partner credential, and a template without a file."""

    deps: Deps
    http: httpx.AsyncClient
    clock: OffsetClock
    database: DatabaseUrls
    actor: Actor
    tenant: UUID
    template: UUID
    blobs: Path

    def upload_url(self, version: int = 1, limit: int = LIMIT) -> str:
        return urlsplit(self.deps.urls.upload(self.template, version, limit, self.actor)).path

    def download_url(self, data: bytes, filename: str = "template.pdf") -> str:
        return urlsplit(self.deps.urls.download(sha256(data).hexdigest(), filename, self.actor)).path

    async def put(self, data: bytes, url: str | None = None, **headers: str) -> httpx.Response:
        return await self.http.put(url or self.upload_url(), content=data, headers=headers)

    async def command(self, command: TemplateCommand) -> None:
        await self.deps.ledger.handle(command, self.actor, lambda _: NO_ANSWER)

    async def stored(self, version: int = 1) -> str | None:
        """The SHA-256 of the version's file, as the log has it."""
        state = await self.deps.ledger.state(Template, self.template)
        assert state is not None
        file = state.versions[version].file
        return None if file is None else file.sha256

    async def forms(self, version: int = 1) -> set[str]:
        """The SHA-256 of both forms of the version's file, as the log has them."""
        state = await self.deps.ledger.state(Template, self.template)
        assert state is not None
        file = state.versions[version].file
        assert file is not None
        assert file.normalised_sha256 is not None
        return {file.sha256, file.normalised_sha256}

    def kept(self) -> set[str]:
        """The hashes of the blobs in the folder."""
        return {path.parent.name + path.name for path in self.blobs.rglob("*") if path.is_file()}

    def head(self) -> int:
        with connect(self.database.service) as connection:
            row = connection.execute("SELECT position FROM log_head").fetchone()
        assert row is not None
        return int(row[0])


Work = Callable[[Place], Coroutine[Any, Any, None]]


@pytest.fixture
def run(database: DatabaseUrls, tmp_path: Path) -> Callable[[Work], None]:
    """Runs a test's work in a place of its own."""
    told = {"DATA": str(tmp_path), "UPLOAD_LIMIT_BYTES": str(LIMIT * 2), "UPLOAD_LIMIT_PAGES": "5"}
    settings = Settings.read({PREFIX + name: value for name, value in told.items()})
    installation = Installation(settings, database, Keys.derive(bytes(32), bytes(32)), ORIGIN, None)
    clock = OffsetClock()

    async def inside(work: Work) -> None:
        async with running(installation, clock=clock, followers=False) as found:
            deps = found.deps
            tenant = await deps.identity.create_tenant("Ana")
            credential = await deps.identity.create_partner_key(tenant, "KEY")
            template = deps.new_id()
            name = deps.vault.conceal("Lease", Subject(tenant, SubjectKind.TEMPLATE, str(template)))
            transport = httpx.ASGITransport(found.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                actor = Actor(ActorKind.PARTNER_KEY, credential.key.id)
                place = Place(deps, http, clock, database, actor, tenant, template, tmp_path / "blobs")
                await place.command(CreateTemplate(tenant, Mode.LIVE, template, name, None))
                await work(place)

    return lambda work: asyncio.run(inside(work))


def check_problem(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert list(problem) == ["type", "title", "status", "detail", "code", "requestId"]
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["detail"].endswith(".")
    assert problem["requestId"] == response.headers["x-request-id"]


def test_an_uploaded_pdf_is_stored_recorded_and_served_again(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        data = pdf(pages=3)
        digest = sha256(data).hexdigest()
        response = await place.put(data)
        assert response.status_code == 200
        assert response.json() == {"sha256": digest, "sizeBytes": len(data), "pages": 3}
        assert await place.stored() == digest
        assert place.kept() == await place.forms()
        with connect(place.database.service) as connection:
            row = connection.execute("SELECT entry FROM log WHERE type = 'template.file-stored/2'").fetchone()
        assert row is not None
        assert place.actor.id.encode() in bytes(row[0])

        served = await place.http.get(place.download_url(data))
        assert served.content == data
        assert served.headers["content-type"] == "application/pdf"
        assert served.headers["content-disposition"] == "attachment; filename=\"template.pdf\"; filename*=UTF-8''template.pdf"
        assert served.headers["x-content-type-options"] == "nosniff"
        assert served.headers["cache-control"] == "no-store"
        head = await place.http.head(place.download_url(data))
        assert head.status_code == 200
        assert head.headers["content-length"] == str(len(data))

    run(work)


def test_the_same_bytes_again_change_nothing_and_other_bytes_are_refused(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        data, other = pdf(), pdf(title="other")
        first = await place.put(data)
        position = place.head()
        again = await place.put(data)
        assert (again.status_code, again.content) == (200, first.content)
        check_problem(await place.put(other), 409, "template-file-already-stored")
        assert place.head() == position
        assert await place.stored() == sha256(data).hexdigest()
        assert place.kept() == await place.forms(), "what was refused leaves no file behind"
        lease = place.deps.vault.conceal("Lease", Subject(place.tenant, SubjectKind.TEMPLATE, str(place.template)))
        await place.command(AddVersion(place.template, lease, None))
        assert (await place.put(other, place.upload_url(version=2))).status_code == 200
        assert await place.stored(2) == sha256(other).hexdigest()

    run(work)


def test_simultaneous_uploads_of_different_files_leave_one(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        answers = await asyncio.gather(*(place.put(pdf(title=str(number))) for number in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        winner = next(answer for answer in answers if answer.status_code == 200)
        assert await place.stored() == winner.json()["sha256"]

    run(work)


def test_a_repeat_under_an_idempotency_key_gets_the_first_answer(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        data = pdf()
        keyed = {"Idempotency-Key": "upload-1"}
        first = await place.put(data, **keyed)
        position = place.head()
        again = await place.put(data, place.upload_url(), **keyed)
        assert (again.status_code, again.content) == (first.status_code, first.content) == (200, again.content)
        check_problem(await place.put(pdf(title="other"), **keyed), 422, "idempotency-key-reused")
        await place.command(DeleteTemplate(place.template))
        after = await place.put(data, place.upload_url(), **keyed)
        assert (after.status_code, after.content) == (200, first.content)
        check_problem(await place.put(data), 404, "template-not-found")
        assert place.head() == position + 1
        check_problem(await place.put(data, **{"Idempotency-Key": "x" * 256}), 400, "bad-request")

    run(work)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"<html>", "not-a-pdf"),
        (pdf()[:-100], "damaged"),
        (pdf(pages=0), "no-pages"),
        (pdf(pages=6), "too-many-pages"),
    ],
    ids=["empty", "html", "cut-off", "no-pages", "six-pages"],
)
def test_an_unusable_pdf_is_refused_with_a_reason_and_leaves_nothing(run: Callable[[Work], None], data: bytes, code: str) -> None:
    async def work(place: Place) -> None:
        position = place.head()
        check_problem(await place.put(data), 422, code)
        assert place.head() == position
        assert place.kept() == set()

    run(work)


def test_a_file_larger_than_the_url_permits_is_refused_while_it_arrives(run: Callable[[Work], None]) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"%PDF-1.7\n"
        while True:
            sent += 1000
            assert sent <= LIMIT * 3, "the server goes on reading"
            yield bytes(1000)

    async def work(place: Place) -> None:
        assert (await place.put(pdf() + bytes(LIMIT))).status_code == 413
        check_problem(await place.http.put(place.upload_url(), content=endless()), 413, "too-large")
        exactly = pdf()
        assert (await place.put(exactly, place.upload_url(limit=len(exactly)))).status_code == 200
        check_problem(await place.put(exactly, place.upload_url(limit=len(exactly) - 1)), 413, "too-large")

    run(work)


def test_the_installations_limit_holds_whatever_a_url_permits(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        check_problem(await place.put(bytes(LIMIT * 2 + 1), place.upload_url(limit=LIMIT * 9)), 413, "too-large")

    run(work)


def test_a_url_is_good_for_its_own_method_alone(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        data = pdf()
        await place.put(data)
        up, down = place.upload_url(), place.download_url(data)
        check_problem(await place.put(data, down.replace("/download/", "/upload/")), 403, "url-method")
        check_problem(await place.http.get(up.replace("/upload/", "/download/")), 403, "url-method")
        assert (await place.http.head(up.replace("/upload/", "/download/"))).status_code == 403
        for method, url in (("GET", up), ("POST", up), ("DELETE", up), ("PUT", down), ("POST", down), ("DELETE", down)):
            response = await place.http.request(method, url)
            check_problem(response, 405, "method-not-allowed")
            assert response.headers["allow"]

    run(work)


def test_a_url_that_was_changed_or_has_expired_permits_nothing(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        data = pdf()
        up, down = place.upload_url(), place.download_url(data)
        changed = up[:-1] + ("A" if up[-1] != "A" else "B")
        check_problem(await place.put(data, changed), 403, "url-signature")
        check_problem(await place.put(data, "/files/upload/nonsense"), 403, "url-malformed")
        check_problem(await place.http.get("/files/download/a.b"), 403, "url-signature")
        place.clock.offset += timedelta(minutes=15)
        check_problem(await place.put(data, up), 403, "url-expired")
        check_problem(await place.http.get(down), 403, "url-expired")
        assert await place.stored() is None

    run(work)


def test_revoking_a_credential_ends_its_urls_at_once(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        data = pdf()
        await place.put(data)
        up, down = place.upload_url(), place.download_url(data)
        assert (await place.http.get(down)).status_code == 200
        await place.deps.identity.revoke_partner_key(place.tenant)
        check_problem(await place.put(data, up), 403, "credential-revoked")
        check_problem(await place.http.get(down), 403, "credential-revoked")

    run(work)


@pytest.mark.parametrize(
    "media_type", ["application/pdf", "application/octet-stream", "application/x-www-form-urlencoded", "Application/PDF; v=1"]
)
def test_the_content_types_that_clients_send_with_raw_bytes_are_taken(run: Callable[[Work], None], media_type: str) -> None:
    async def work(place: Place) -> None:
        assert (await place.put(pdf(), **{"Content-Type": media_type})).status_code == 200

    run(work)


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Type": "application/json"}, {"Content-Encoding": "gzip"}],
    ids=["form", "json", "gzip"],
)
def test_a_pdf_inside_something_else_is_refused(run: Callable[[Work], None], headers: dict[str, str]) -> None:
    async def work(place: Place) -> None:
        check_problem(await place.put(pdf(), **headers), 415, "unsupported-media-type")

    run(work)


def test_what_does_not_fit_the_template_is_refused(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        check_problem(await place.put(pdf(), place.upload_url(version=7)), 404, "template-version-not-found")
        await place.command(DefineFields(place.template, (Field("here", FieldType.SIGNATURE, page=2),)))
        check_problem(await place.put(pdf(pages=1)), 422, "field-outside-document")
        assert place.kept() == set()
        assert (await place.put(pdf(pages=2))).status_code == 200

    run(work)


def test_a_file_that_is_gone_or_damaged_is_said_to_be_so(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        data = pdf()
        check_problem(await place.http.get(place.download_url(data)), 404, "file-not-found")
        await place.put(data)
        name = sha256(data).hexdigest()
        path = next(path for path in place.blobs.rglob("*") if path.is_file() and path.parent.name + path.name == name)
        path.write_bytes(data.replace(b"contract", b"contrakt"))
        check_problem(await place.http.get(place.download_url(data)), 500, "file-damaged")
        assert (await place.put(data)).status_code == 200
        assert (await place.http.get(place.download_url(data))).content == data

    run(work)


@pytest.mark.parametrize(
    ("filename", "plain", "encoded"),
    [
        ("contrato añadido.pdf", "contrato a_adido.pdf", "contrato%20a%C3%B1adido.pdf"),
        ('a"b\\c.pdf', "a_b_c.pdf", "a%22b%5Cc.pdf"),
        ("a\r\nSet-Cookie: x=1.pdf", "a__Set-Cookie: x=1.pdf", "a%0D%0ASet-Cookie%3A%20x%3D1.pdf"),
        ("../x.pdf", ".._x.pdf", "..%2Fx.pdf"),
    ],
)
def test_no_filename_breaks_the_header(run: Callable[[Work], None], filename: str, plain: str, encoded: str) -> None:
    async def work(place: Place) -> None:
        data = pdf()
        await place.put(data)
        response = await place.http.get(place.download_url(data, filename))
        assert response.headers["content-disposition"] == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
        assert "set-cookie" not in response.headers

    run(work)


def test_every_refusal_has_an_answer() -> None:
    assert set(REFUSALS) == set(Refusal.__subclasses__())
    assert all(400 <= status < 500 for status in REFUSALS.values())


def test_a_database_out_of_reach_is_said_so(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        data = pdf()
        await place.put(data)
        await place.deps.reads.close()
        response = await place.http.get(place.download_url(data))
        check_problem(response, 503, "unavailable")
        assert response.headers["retry-after"] == "2"
        check_problem(await place.put(data), 503, "unavailable")

    run(work)


def test_what_nobody_expected_tells_nothing_of_the_inside_and_a_repeat_succeeds(run: Callable[[Work], None]) -> None:
    async def work(place: Place) -> None:
        data = pdf()
        with connect(place.database.owner) as connection:
            connection.execute("ALTER TABLE credentials RENAME TO hidden")
            broken = await place.put(data)
            connection.execute("ALTER TABLE hidden RENAME TO credentials")
        # Answered outside all middleware, which would add the header.
        assert (broken.status_code, broken.json()["code"]) == (500, "internal-error")
        assert broken.json()["requestId"].startswith("req_")
        assert "credentials" not in broken.text
        assert (await place.put(data)).status_code == 200

    run(work)
