"""The surface as a whole: its document, its refusals, and what it answers when something behind it is away."""

from collections.abc import Iterator

import pytest
from psycopg.conninfo import conninfo_to_dict

from api.surfaces.partner import REFUSALS
from domain.errors import Refusal
from infrastructure.database import connect
from tests.conftest import Server
from tests.contract.partner_reference import operations
from tests.contract.partner_world import Client, World, projecting

pytest_plugins = ["tests.contract.partner_fixtures"]


def subclasses(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def test_every_refusal_has_an_answer() -> None:
    assert set(subclasses(Refusal)) == set(REFUSALS)


def test_the_document_has_the_pages_operations_and_each_documents_its_answers(world: World) -> None:
    document = world.app.openapi()
    described = {f"{method.upper()} {path}": it for path, item in document["paths"].items() for method, it in item.items()}
    ours = described.pop("GET /v1/templates/{templateId}/versions/{version}/preview")
    assert ours["description"]
    assert described.keys() == operations().keys()
    for name, operation in described.items():
        statuses = set(operation["responses"])
        assert {"401", "500", "503"} < statuses
        assert "422" not in statuses
        success = next(iter(operation["responses"]))
        assert str(operations()[name].samples[0]["status"]) == success
        assert ("Idempotency-Key" in str(operation.get("parameters"))) is (
            not name.startswith("GET") and not name.endswith("upload-url")
        )
        assert operation["summary"]
        assert operation["description"]
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    assert {"DocumentBody", "ParticipantBody", "TemplateBody", "FieldBody", "ExtendBody", "IntegrationBody"} < schemas.keys()
    assert described["GET /v1/documents"]["security"] == [{"Tenant": [], "Credential": []}]
    assert described["GET /api"]["security"] == [{"Administrator": []}]


def test_a_read_whose_read_model_is_behind_answers_503_and_a_write_goes_on(own_world: World) -> None:
    client = own_world.tenant()
    made = client.document()
    for path in (
        "/v1/templates",
        "/v1/documents",
        f"/v1/documents/{made['documentId']}",
        f"/v1/documents/{made['documentId']}/summary",
    ):
        answered = client("GET", path)
        assert (answered.status, answered.body["code"], answered.error["type"]) == (503, "service_unavailable", "unavailable")
        assert int(answered.headers["retry-after"]) > 0
    with projecting(own_world.database):
        assert client("GET", f"/v1/documents/{made['documentId']}").status == 200


def test_a_read_waits_for_what_was_just_written(client: Client) -> None:
    for number in range(20):
        made = client("POST", "/v1/templates", {"templateName": str(number)}).data["templateId"]
        assert client("GET", f"/v1/templates/{made}").data["templateName"] == str(number)


def test_without_a_database_the_answer_is_503_and_tells_nothing_of_it(own_world: World, server: Server) -> None:
    client = own_world.tenant()
    name = str(conninfo_to_dict(own_world.database.owner)["dbname"])
    with connect(server.url) as conn:
        conn.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false'.encode())
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
            [name],
        )
        answered = client("POST", "/v1/templates", {"templateName": "x"})
        assert (answered.status, answered.body["code"]) == (503, "service_unavailable")
        assert name not in answered.raw.decode()
        conn.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true'.encode())


def test_a_fault_of_ours_is_logged_with_the_request_id_and_nothing_of_it_is_answered(
    own_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    client = own_world.tenant()
    with connect(own_world.database.owner) as conn:
        conn.execute("ALTER TABLE credentials RENAME COLUMN status TO standing")
    answered = client("GET", "/v1/templates")
    assert (answered.status, answered.body["code"], answered.body["message"]) == (500, "internal_error", "Internal error.")
    assert answered.error == {"type": "internal", "details": {}}
    assert "status" not in answered.raw.decode().replace('"status":500', "")
    logged = [record for record in caplog.records if answered.body["meta"]["request_id"] in record.getMessage()]
    assert len(logged) == 1
    assert logged[0].exc_info is not None
