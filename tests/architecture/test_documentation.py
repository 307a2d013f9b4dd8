"""Every answer model is documented in OpenAPI.

Incident behind it: path ids without a word, successes called "Successful Response", and a member of any shape whatever: a
client generated from such a document checks nothing.
"""

from collections.abc import Iterator

import pytest

from tests.architecture.documents import PUBLISHED, Json, Operation, document, operations

#: Of a schema, what does not limit what fits it.
ANNOTATIONS = {"title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly"}

#: Operations that say who somebody is to nobody: the versions of an API are public.
PUBLIC = {"sessions GET /v1/api_versions"}

#: Members of answers that may be missing: those of errors, and what the products' pages say is missing until it is so.
SOMETIMES = {
    "partner FieldPlacement": {"page", "x", "y", "width", "height", "participant", "required"},
    "partner UpdatedField": {"page"},
    "signatures Recipient": {"declinedAt", "signedAt"},
    "signatures Error": {"issues"},
    "sessions Problem": {"allowed_transitions", "attempted_transition", "current_state", "errors"},
    "ledger Problem": {"errors", "hold", "retryAfter"},
}

OPERATIONS = list(operations(*PUBLISHED))

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


def without_shape(surface: str, schema: Json, place: str = "", seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The places within a schema at which anything fits. Objects with members of any name are no such place."""
    if schema in (True, {}) or not set(schema) - ANNOTATIONS:
        yield place or "all of it"
        return
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        if name not in seen:
            yield from without_shape(surface, document(surface)["components"]["schemas"][name], place, seen | {name})
    for name, member in schema.get("properties", {}).items():
        yield from without_shape(surface, member, f"{place}.{name}", seen)
    for word in ("anyOf", "oneOf", "allOf"):
        for index, each in enumerate(schema.get(word, ())):
            yield from without_shape(surface, each, f"{place}/{word}/{index}", seen)
    if schema.get("type") == "array":
        yield from without_shape(surface, schema.get("items", {}), f"{place}[]", seen)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from without_shape(surface, schema["additionalProperties"], f"{place}.*", seen)


@each_operation
def test_every_answer_has_a_schema_and_says_what_it_is(operation: Operation) -> None:
    responses = operation.described["responses"]
    assert any(status.startswith("2") for status in responses)
    for status, response in responses.items():
        assert response["description"] not in ("", "Successful Response"), status
        assert ("content" in response) == (status not in ("204", "304"))
        for media_type, content in response.get("content", {}).items():
            assert list(without_shape(operation.surface, content["schema"])) == [], (status, media_type)


@each_operation
def test_every_body_and_every_parameter_has_a_schema_and_says_what_it_is(operation: Operation) -> None:
    for content in operation.described.get("requestBody", {}).get("content", {}).values():
        assert list(without_shape(operation.surface, content["schema"])) == []
    given = operation.described.get("parameters", [])
    for parameter in given:
        assert parameter.get("description"), parameter["name"]
        assert list(without_shape(operation.surface, parameter["schema"])) == [], parameter["name"]
    named = {parameter["name"] for parameter in given if parameter["in"] == "path"}
    assert named == {part[1:-1] for part in operation.path.split("/") if part.startswith("{")}


@each_operation
def test_errors_are_the_surfaces_own_and_none_is_the_frameworks(operation: Operation) -> None:
    assert "HTTPValidationError" not in str(operation.described)
    assert {"429", "500", "503"} <= set(operation.described["responses"])


@each_operation
def test_a_change_honours_idempotency_keys_and_says_so(operation: Operation) -> None:
    taken = {parameter["name"] for parameter in operation.described.get("parameters", ()) if parameter["in"] == "header"}
    # The one makes a link that ends by itself, the other looks at a file: nothing is changed.
    harmless = operation.path.endswith(("/upload-url", "/v1/verifications"))
    assert ("Idempotency-Key" in taken) == (operation.method != "GET" and not harmless)


@each_operation
def test_every_operation_says_who_may_call_it(operation: Operation) -> None:
    described, known = operation.described, document(operation.surface)["components"]["securitySchemes"]
    assert described["summary"]
    assert described["description"]
    assert described["tags"]
    assert (described["security"] == []) == (str(operation) in PUBLIC)
    assert {name for each in described["security"] for name in each} <= set(known)
    assert ("401" in described["responses"]) == (str(operation) not in PUBLIC)


@each_operation
def test_operation_ids_are_unique(operation: Operation) -> None:
    of_surface = [each.described["operationId"] for each in OPERATIONS if each.surface == operation.surface]
    assert of_surface.count(operation.described["operationId"]) == 1


def answered(surface: str) -> dict[str, Json]:
    """The named schemas that answers of a surface are made of."""
    known, found = document(surface)["components"]["schemas"], dict[str, Json]()
    waiting: list[Json] = [each.described["responses"] for each in OPERATIONS if each.surface == surface]
    while waiting:
        match waiting.pop():
            case {"$ref": str(reference)}:
                name = reference.removeprefix("#/components/schemas/")
                if name not in found:
                    found[name] = known[name]
                    waiting.append(known[name])
            case dict() as members:
                waiting += members.values()
            case list() as items:
                waiting += items
            case _:
                pass
    return found


@pytest.mark.parametrize("surface", PUBLISHED)
def test_members_of_answers_are_always_there_and_the_document_says_so(surface: str) -> None:
    missing = {
        f"{surface} {name}": left
        for name, schema in answered(surface).items()
        if (left := set(schema.get("properties", ())) - set(schema.get("required", ())))
    }
    assert missing == {name: members for name, members in SOMETIMES.items() if name.startswith(f"{surface} ")}
