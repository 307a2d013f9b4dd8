"""Lists: order, pages, filters, and cursors that hold for the list they were made for."""

from typing import Any
from uuid import UUID

import pytest

from domain.signing import DeclineSigning
from tests.contract.partner_world import SIGNER, Client, World, details

pytest_plugins = ["tests.contract.partner_fixtures"]


@pytest.fixture(scope="module")
def listing(world: World) -> tuple[Client, list[str]]:
    """A tenant with seven documents, the oldest first."""
    client = world.tenant()
    template = client.template()
    return client, [client.document(template)["documentId"] for _ in range(7)]


Listing = tuple[Client, list[str]]


def ids(answered: Any) -> list[str]:
    return [item["documentId"] for item in answered.data]


def test_the_newest_come_first_unless_the_oldest_are_asked_for(listing: Listing) -> None:
    client, made = listing
    assert ids(client("GET", "/v1/documents?sort=createdAt")) == made
    for query in ("", "?sort=-createdAt", "?sort="):
        assert ids(client("GET", f"/v1/documents{query}")) == made[::-1]


@pytest.mark.parametrize("sort", ["createdAt", "-createdAt"])
@pytest.mark.parametrize("limit", [1, 2, 3, 6])
def test_pages_together_are_the_whole_list_once(listing: Listing, sort: str, limit: int) -> None:
    client, made = listing
    expected = made if sort == "createdAt" else made[::-1]
    seen: list[str] = []
    cursor = ""
    while True:
        answered = client("GET", f"/v1/documents?limit={limit}&sort={sort}{cursor}")
        assert len(answered.data) <= limit
        seen += ids(answered)
        pagination = answered.body["pagination"]
        assert pagination["limit"] == limit
        assert pagination["hasMore"] is (pagination["nextCursor"] is not None)
        if not pagination["hasMore"]:
            break
        assert len(answered.data) == limit
        cursor = f"&cursor={pagination['nextCursor']}"
    assert seen == expected


def test_a_list_that_fits_has_no_pagination(listing: Listing) -> None:
    client, _ = listing
    for limit in (7, 100):
        assert client("GET", f"/v1/documents?limit={limit}").body["pagination"] is None


def test_what_is_created_meanwhile_does_not_move_the_pages(client: Client) -> None:
    template = client.template()
    made = [client.document(template)["documentId"] for _ in range(4)]
    first = client("GET", "/v1/documents?limit=2")
    client.document(template)
    cursor = first.body["pagination"]["nextCursor"]
    assert ids(client("GET", f"/v1/documents?limit=2&cursor={cursor}")) == [made[1], made[0]]


def test_a_cursor_is_refused_for_another_list_order_or_filter_and_when_altered(listing: Listing) -> None:
    client, _ = listing
    cursor = client("GET", "/v1/documents?limit=2").body["pagination"]["nextCursor"]
    altered = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
    for query in (
        f"/v1/documents?cursor={cursor}&sort=createdAt",
        f"/v1/documents?cursor={cursor}&status=CREATED",
        f"/v1/templates?cursor={cursor}",
        f"/v1/documents?cursor={altered}",
        f"/v1/documents?cursor={cursor}=",
        "/v1/documents?cursor=",
        "/v1/documents?cursor=x",
        "/v1/documents?cursor=%ff%00",
        "/v1/documents?cursor=bnVsbA",
        "/v1/documents?cursor=eyJhZnRlciI6LTF9",
    ):
        answered = client("GET", query)
        assert (answered.status, answered.body["code"], answered.error["type"]) == (400, "bad_request", "validation")
        assert details(answered) == {"code": "INVALID_CURSOR", "field": "cursor"}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "ten", "", "1e1", "%2B5", "٣", "9" * 5000])
def test_a_limit_out_of_range_is_refused(listing: Listing, limit: str) -> None:
    for path in ("/v1/documents", "/v1/templates"):
        answered = listing[0]("GET", f"{path}?limit={limit}")
        assert (answered.status, answered.body["code"]) == (400, "bad_request")
        assert details(answered) == {"code": "INVALID_LIMIT", "field": "limit"}


@pytest.mark.parametrize(
    ("sort", "field"), [("creationDate", "creationDate"), ("-updatedAt", "updatedAt"), ("CREATEDAT", "CREATEDAT")]
)
def test_another_sort_field_is_refused(listing: Listing, sort: str, field: str) -> None:
    for path in ("/v1/documents", "/v1/templates"):
        answered = listing[0]("GET", f"{path}?sort={sort}")
        assert (answered.status, answered.body["code"], answered.body["message"]) == (400, "bad_request", "Invalid sort field.")
        assert details(answered) == {"code": "INVALID_SORT_FIELD", "field": field}


def test_documents_are_filtered_by_status(client: Client) -> None:
    template = client.template()
    made = {status: client.document(template) for status in ("CREATED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED")}
    who = {status: document["participants"][0]["participantId"] for status, document in made.items()}
    client.look(made["IN_PROGRESS"]["documentId"], who["IN_PROGRESS"])
    client.sign(made["COMPLETED"]["documentId"], who["COMPLETED"])
    client.act(made["FAILED"]["documentId"], DeclineSigning(UUID(who["FAILED"]), None, SIGNER))
    client("DELETE", f"/v1/documents/{made['CANCELLED']['documentId']}/cancel")
    for status, document in made.items():
        found = client("GET", f"/v1/documents?status={status}").data
        assert [(item["documentId"], item["status"]) for item in found] == [(document["documentId"], status)]
    assert client("GET", "/v1/documents?status=EXPIRED").data == []
    refused = client("GET", "/v1/documents?status=DRAFT")
    assert (refused.status, details(refused)) == (400, {"code": "INVALID_STATUS", "field": "status"})


def test_templates_are_listed_in_pages_too(client: Client) -> None:
    made = [client("POST", "/v1/templates", {"templateName": str(number)}).data["templateId"] for number in range(3)]
    first = client("GET", "/v1/templates?limit=2")
    second = client("GET", f"/v1/templates?limit=2&cursor={first.body['pagination']['nextCursor']}")
    assert [item["templateId"] for item in (*first.data, *second.data)] == made[::-1]
    assert second.body["pagination"] == {"nextCursor": None, "hasMore": False, "limit": 2}
