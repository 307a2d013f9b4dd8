"""What the OpenAPI document says of each operation: its answer, its errors, who may call it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import Response

from api.http import FIRST_ANSWER_AGAIN
from api.problems import MEDIA_TYPE, Problem
from api.surfaces.ledger.access import SCHEMES

_MEANINGS: Final[Mapping[int, str]] = {
    400: "The body is not JSON, or a header cannot be used.",
    401: "No credential, or one that does not hold: unknown, revoked, expired.",
    403: "The credential holds and does not permit this.",
    404: "It does not exist, or it is another tenant's or of the other mode.",
    408: "The body did not arrive in time.",
    409: "What is there forbids it: a hold, or others changed the same at the same time.",
    413: "The body is too large.",
    415: "The body is not sent as the media type that it must have.",
    422: "The body has faults, or the idempotency key was used for another request.",
    429: "Too many requests of this credential, or too many without one; `Retry-After` says how long to wait.",
    500: "Something went wrong here; the log has more under the request's id.",
    503: "The database, or the token's issuer, is out of reach; the same request may be sent again.",
}


def documented(
    status: int,
    answer: type[BaseModel],
    security: Sequence[Mapping[str, Sequence[str]]],
    *errors: int,
    body: type[BaseModel] | None = None,
    changes: bool = False,
) -> dict[str, Any]:
    """The arguments of a route. `changes` says that it changes something and so honours `Idempotency-Key`."""
    statuses = sorted({*errors, 401, 429, 500, 503, *((400, 422) if changes else ()), *((400, 413, 415, 422) if body else ())})
    extra: dict[str, Any] = {"security": security}
    if changes:
        extra["parameters"] = [FIRST_ANSWER_AGAIN]
    if body is not None:
        schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {
        "status_code": status,
        "response_class": Response,
        "response_model": None,
        "responses": {
            status: {"model": answer, "description": (answer.__doc__ or "").strip()},
            **{code: {"model": Problem, "description": _MEANINGS[code]} for code in statuses},
        },
        "openapi_extra": extra,
    }


def documented_file(
    media_type: str,
    description: str,
    security: Sequence[Mapping[str, Sequence[str]]],
    *errors: int,
    parameters: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The arguments of a route that answers with a file, or that the client has it; `parameters` are those of the query."""
    described = documented(200, Problem, security, *errors)
    described["responses"][200] = {
        "description": description,
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
    }
    described["responses"][304] = {"description": "The client has these bytes already, by the `If-None-Match` that it sent."}
    described["openapi_extra"]["parameters"] = list(parameters)
    return described


class Documented(FastAPI):
    """An application whose document says what its operations do: problems as problems, credentials as they are sent."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            components = document["components"]
            components["securitySchemes"] = SCHEMES
            for operation in (each for item in document["paths"].values() for each in item.values()):
                _finish(operation, components["schemas"])
            for unused in ("HTTPValidationError", "ValidationError"):
                components["schemas"].pop(unused, None)
        return self.openapi_schema or document


def _finish(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    for status, answer in list(operation["responses"].items()):
        if answer.get("content", {}).get("application/json", {}).get("schema") == {
            "$ref": "#/components/schemas/HTTPValidationError"
        }:
            del operation["responses"][status]  # the framework's own, for path parameters: an id that is none is not found here
        elif int(status) >= 400:
            answer["content"] = {MEDIA_TYPE: answer["content"]["application/json"]}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        if "title" not in schema:
            continue  # a file
        schemas.update(schema.pop("$defs", {}))
        schemas[schema["title"]] = schema
        content["schema"] = {"$ref": f"#/components/schemas/{schema['title']}"}
