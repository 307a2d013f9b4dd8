"""What every answer has, whichever surface gives it: an id of ours, and the limits where they are kept."""

import re
from pathlib import Path

import httpx
import pytest

from infrastructure.database import DatabaseUrls
from tests.contract.partner_world import World, start

pytest_plugins = ["tests.contract.partner_fixtures"]

REQUEST_ID = re.compile(r"req_[0-9A-HJKMNP-TV-Z]{26}")
TENANT = {"X-Tenant-Signly": "t", "X-Auth-Signly": "k"}


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/health", {}),
        ("POST", "/health", {}),
        ("GET", "/docs", {}),
        ("GET", "/docs/nothing", {}),
        ("GET", "/docs/partner/openapi.json", {}),
        ("GET", "/nothing", {}),
        ("GET", "/v1/templates", {}),
        ("GET", "/v1/templates", TENANT),
        ("GET", "/v1/nothing", TENANT),
        ("GET", "/v1/documents", {"Authorization": "Bearer a.b.c"}),
        ("GET", "/v1/signing/session", {}),
        ("GET", "/v1/signing_sessions/sgs_1", {}),
        ("POST", "/v1/signing_sessions/sgs_1/complete", {"X-Signing-Session-Token": "sig_x"}),
        ("GET", "/v1/signatures", {}),
        ("GET", "/v1/signatures/x", {"Authorization": "Bearer ck_live_x"}),
        ("GET", "/v1/ledger/head", {}),
        ("PUT", "/v1/ledger/head", {}),
        ("GET", "/files/download/x", {}),
        ("GET", "/sign/sgs_1", {}),
    ],
)
def test_every_answer_has_an_id_of_ours_and_not_the_clients(
    world: World, method: str, path: str, headers: dict[str, str]
) -> None:
    response = world.http.request(method, world.url + path, headers={**headers, "X-Request-Id": "mine"})
    assert len(response.headers.get_list("x-request-id")) == 1
    assert REQUEST_ID.fullmatch(response.headers["x-request-id"])
    assert "mine" not in response.text


def test_two_requests_have_two_ids(world: World) -> None:
    assert len({world.http.get(f"{world.url}/health").headers["x-request-id"] for _ in range(5)}) == 5


def test_a_path_of_no_surface_is_a_problem_with_a_code_and_the_requests_id(world: World) -> None:
    response = world.http.get(f"{world.url}/nothing")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": f"No surface has the path /nothing. See {world.deps.settings.base_url}/docs.",
        "code": "not-found",
        "requestId": response.headers["x-request-id"],
    }


@pytest.mark.parametrize("surface", ["partner", "signing", "signatures", "sessions", "ledger"])
def test_each_surface_has_its_page_and_its_document(world: World, surface: str) -> None:
    assert f'href="/docs/{surface}"' in world.http.get(f"{world.url}/docs").text
    page: httpx.Response = world.http.get(f"{world.url}/docs/{surface}")
    assert page.status_code == 200
    assert "<script" not in page.text
    document = world.http.get(f"{world.url}/docs/{surface}/openapi.json").json()
    assert document["paths"]
    for path in document["paths"]:
        assert path in page.text
    for name in document["components"].get("securitySchemes", {}):
        assert name in page.text


#: One class of each surface whose limits are set here, what its client sends, and where its 429 has its code.
LIMITED = [
    ("partner", "/v1/templates", TENANT, ["code"], "rate_limited"),
    ("signing", "/v1/signing/session", {"Authorization": "Bearer a.b.c"}, ["error"], None),
    ("signatures", "/v1/signatures", {"Authorization": "Bearer ck_live_x"}, ["error", "code"], "rate_limited"),
    ("sessions", "/v1/signing_sessions/sgs_1", {"Authorization": "Bearer sk_test_x"}, ["code"], "rate_limited"),
    ("ledger", "/v1/ledger/head", {"Authorization": "Bearer sk_live_x"}, ["code"], "rate-limited"),
]


def test_each_surface_refuses_too_many_requests_in_its_own_words(database: DatabaseUrls, tmp_path: Path) -> None:
    limits = ",".join(f"{surface}.none=1/2" for surface, *_ in LIMITED)
    with start(database, tmp_path, rate_limits=limits) as world:
        for surface, path, headers, place, code in LIMITED:
            first, second = (world.http.get(world.url + path, headers=headers) for _ in range(2))
            assert (first.status_code, second.status_code) == (401, 429), surface
            assert REQUEST_ID.fullmatch(second.headers["x-request-id"])
            assert int(second.headers["retry-after"]) >= 1
            found: object = second.json()
            for member in place:
                assert isinstance(found, dict)
                found = found[member]
            assert isinstance(found, str) if code is None else found == code
            assert ("x-ratelimit-limit" in second.headers) == (surface in ("sessions", "ledger"))
            document = world.surfaces[surface].openapi()
            described = [item["get"]["responses"] for route, item in document["paths"].items() if "get" in item]
            assert all("429" in responses for responses in described), surface
