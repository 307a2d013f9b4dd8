"""The documentation pages: whole without a network, and nothing in them is taken for markup."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI, Query, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel, Field

from api import pages


class Trouble(BaseModel):
    """What went <wrong>."""

    code: str = Field(description="Match on `code`.")


class Thing(BaseModel):
    size: int


def fetch(path: str) -> httpx.Response:
    app = FastAPI(title="Things <b>", summary="What `things` are & do", description="First.\n\nUse `/things`.")
    key = APIKeyHeader(name="X-Key", scheme_name="TheKey", description="As `made` <once>.")
    bearer = HTTPBearer(scheme_name="TheToken")
    troubles: dict[int | str, dict[str, Any]] = {409: {"model": Trouble, "description": "Not now."}}

    @app.get("/things/{name}", summary="A thing", tags=["Things"], responses=troubles, dependencies=[Security(key)])
    async def thing(name: str, size: int = Query(1, description="How <big>")) -> list[Thing]:
        return [Thing(size=size)]

    @app.post("/things", dependencies=[Security(bearer)])
    async def make(thing: Thing) -> Thing:
        return thing

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=pages.build({"things": app}))
        async with httpx.AsyncClient(transport=transport, base_url="http://docs.example") as client:
            return await client.get(path)

    return asyncio.run(get())


def test_the_index_names_each_surface() -> None:
    page = fetch("/docs")
    assert page.status_code == 200
    assert 'href="/docs/things"' in page.text


def test_a_surface_shows_its_operations_and_parameters() -> None:
    page = fetch("/docs/things").text
    assert "/things/{name}" in page
    assert "<code>/things</code>" in page
    assert "How &lt;big&gt;" in page
    assert "<b>" not in page


def test_a_surface_shows_how_requests_are_authenticated() -> None:
    page = fetch("/docs/things").text
    assert "<code>TheKey</code></td><td><code>X-Key: ...</code></td><td>As <code>made</code> &lt;once&gt;.</td>" in page
    assert "<code>Authorization: Bearer ...</code>" in page
    assert "<p>Credentials: <code>TheKey</code></p>" in page


def test_an_answer_leads_to_its_members_and_so_does_an_error() -> None:
    page = fetch("/docs/things").text
    assert '<a href="#shape-Thing"><code>Thing[]</code></a> as <code>application/json</code>' in page
    assert '<a href="#shape-Trouble"><code>Trouble</code></a>' in page
    assert '<details id="shape-Trouble">' in page
    assert "What went &lt;wrong&gt;." in page
    assert "Match on <code>code</code>." in page


def test_a_body_says_how_it_is_sent() -> None:
    assert 'Body: <a href="#shape-Thing"><code>Thing</code></a> as <code>application/json</code>' in fetch("/docs/things").text


def test_pages_load_nothing_from_elsewhere() -> None:
    for path in ("/docs", "/docs/things"):
        page = fetch(path).text
        assert "<script" not in page
        assert "http://" not in page
        assert "https://" not in page


def test_an_unknown_surface_is_not_found() -> None:
    assert fetch("/docs/other").status_code == 404
    assert fetch("/docs/other/openapi.json").status_code == 404


def test_the_document_is_there_for_tools() -> None:
    assert fetch("/docs/things/openapi.json").json()["paths"].keys() == {"/things/{name}", "/things"}


def test_the_root_leads_to_the_documentation() -> None:
    assert fetch("/").headers["location"] == "/docs"
