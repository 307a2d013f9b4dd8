"""The documentation pages: whole without a network, and nothing in them is taken for markup."""

import asyncio

import httpx
from fastapi import FastAPI, Query

from api import pages


def fetch(path: str) -> httpx.Response:
    app = FastAPI(title="Things <b>", summary="What `things` are & do", description="First.\n\nUse `/things`.")

    @app.get("/things/{name}", summary="A thing", tags=["Things"])
    async def thing(name: str, size: int = Query(1, description="How <big>")) -> dict[str, int]:
        return {name: size}

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
    assert fetch("/docs/things/openapi.json").json()["paths"].keys() == {"/things/{name}"}


def test_the_root_leads_to_the_documentation() -> None:
    assert fetch("/").headers["location"] == "/docs"
