"""Pictures of a template's pages with its fields."""

from io import BytesIO

import httpx
import pytest
from PIL import Image

from tests.contract.partner_world import Client, pdf

pytest_plugins = ["tests.contract.partner_fixtures"]


def shown(client: Client, template: str, query: str = "", version: int = 1) -> httpx.Response:
    path = f"/v1/templates/{template}/versions/{version}/preview{query}"
    return client.world.http.get(client.world.url + path, headers=client.headers)


def test_a_page_is_shown_with_the_boxes_of_the_fields_that_stand_on_it(client: Client) -> None:
    template = client.template()  # two blank letter pages
    fields = [
        {"fieldName": "A", "fieldType": "SIGNATURE", "page": 2, "x": 306, "y": 396},
        {"fieldName": "B", "fieldType": "TEXT"},
    ]
    assert client("PUT", f"/v1/templates/{template}/fields", fields).status == 200
    first, second = shown(client, template), shown(client, template, "?page=2")
    assert (second.status_code, second.headers["content-type"]) == (200, "image/png")
    assert second.headers["cache-control"] == "no-store"
    blank, boxed = Image.open(BytesIO(first.content)), Image.open(BytesIO(second.content))
    assert blank.getextrema() == ((255, 255),) * 3
    across, down = boxed.size
    assert across / down == pytest.approx(612 / 792, rel=0.01)
    # The box is where its points are, from the top left.
    inside, outside = boxed.getpixel((across * 4 // 5, down * 411 // 792)), boxed.getpixel((across // 4, down * 411 // 792))
    assert inside != (255, 255, 255) == outside


def test_what_cannot_be_shown_is_said_so(client: Client) -> None:
    template = client.template()
    for page in ("0", "x", "1.5", "-1", "", "9999999", "²"):
        answered = client("GET", f"/v1/templates/{template}/versions/1/preview?page={page}")
        assert (answered.status, answered.error["details"]) == (400, {"code": "INVALID_PAGE", "field": "page"})
    answered = client("GET", f"/v1/templates/{template}/versions/1/preview?page=3")
    assert (answered.status, answered.body["message"]) == (404, "The PDF has 2 page(s).")
    assert client("GET", f"/v1/templates/{template}/versions/2/preview").body["message"] == "Template version not found."
    bare = client.template(uploaded=False)
    answered = client("GET", f"/v1/templates/{bare}/versions/1/preview")
    assert (answered.status, answered.body["message"]) == (404, "No PDF has been uploaded for version 1 of the template.")


def test_another_tenants_template_is_not_shown(client: Client) -> None:
    template, other = client.template(), client.world.tenant()
    answered = other("GET", f"/v1/templates/{template}/versions/1/preview")
    assert (answered.status, answered.body["message"]) == (404, "Template not found.")
    client("DELETE", f"/v1/templates/{template}")
    assert client("GET", f"/v1/templates/{template}/versions/1/preview").body["message"] == "Template not found."


def test_an_older_version_is_shown_with_its_own_fields(client: Client) -> None:
    template = client.template()
    client("PUT", f"/v1/templates/{template}/fields", [{"fieldName": "A", "fieldType": "CHECKBOX", "page": 1, "x": 1, "y": 1}])
    client("PUT", f"/v1/templates/{template}", {"templateName": "Second"})
    client.upload(template, 2, pdf(1))
    old, new = (Image.open(BytesIO(shown(client, template, version=number).content)) for number in (1, 2))
    assert old.getextrema() != new.getextrema() == ((255, 255),) * 3
