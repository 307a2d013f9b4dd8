"""What the OpenAPI document says of each operation: its answer, its errors, its body."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import Response

from api.http import idempotency_parameter
from api.surfaces.signatures.models import ErrorBody

_MEANINGS: Final[Mapping[int, str]] = {
    400: "`invalid_json`, or `invalid_request` with `issues`. Nothing was changed.",
    401: "`unauthorized`: the key is missing, wrong, revoked or not a project's.",
    402: "`signature_credits_exhausted`: nothing was created and nothing was taken.",
    404: "`not_found`: it does not exist, or it is another project's or mode's.",
    409: "`conflict`: the present state does not allow it; `message` says why. Nothing was changed.",
    413: "`payload_too_large`.",
    415: "`unsupported_media_type`.",
    429: "`rate_limited`: try again after `Retry-After` seconds.",
    500: "`internal`. The header `X-Request-Id` leads to the cause in the server's log.",
    503: "`service_unavailable`: try again after `Retry-After` seconds, with the same idempotency key.",
}

_IDEMPOTENCY_KEY: Final = idempotency_parameter(
    "A repeat with the same key does nothing again and answers 200 with the resource as it is by then."
    " The body of a repeat is not compared with the first. Keys are the project's, for each operation its own."
)

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

PDF: Final[Mapping[str, Any]] = {"application/pdf": _BINARY}


def documented(
    status: int,
    answer: type[BaseModel] | None,
    *errors: int,
    body: Mapping[str, Any] | None = None,
    optional: bool = False,
    repeats: str = "",
) -> dict[str, Any]:
    """The arguments of a route: the model of its answer, a PDF if there is none, and the statuses it may fail with.

    `body` is the content of its request, by media type; `repeats` says that it honours `Idempotency-Key`, and what a
    repeat gets.
    """
    statuses = sorted({*errors, 401, 429, 500, 503, *((400, 409) if repeats else ()), *((400, 413, 415) if body else ())})
    found: dict[int | str, dict[str, Any]] = {
        status: _answer(answer, "The resource as it is now." if answer else "The PDF, as an attachment."),
        **{each: {"model": ErrorBody, "description": _MEANINGS[each]} for each in statuses},
    }
    extra: dict[str, Any] = {}
    if repeats:
        extra["parameters"] = [_IDEMPOTENCY_KEY]
        found.setdefault(200, _answer(answer, repeats))
    if body is not None:
        extra["requestBody"] = {"required": not optional, "content": body}
    return {
        "status_code": status,
        "response_class": Response,
        "response_model": None,
        "responses": dict(sorted(found.items())),
        "openapi_extra": extra,
    }


def json_body(model: type[BaseModel]) -> Mapping[str, Any]:
    """The content of a JSON request."""
    return {"application/json": {"schema": model.model_json_schema(ref_template="#/components/schemas/{model}")}}


def _answer(model: type[BaseModel] | None, description: str) -> dict[str, Any]:
    return {"description": description, **({"content": dict(PDF)} if model is None else {"model": model})}


class Documented(FastAPI):
    """An application whose document holds what its operations do: bodies in it, the framework's own errors not."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            for item in document["paths"].values():
                for operation in item.values():
                    _finish(operation, schemas)
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        return self.openapi_schema or document


def _finish(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    operation["responses"].pop("422", None)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        if "title" in schema:
            schemas.update(schema.pop("$defs", {}))
            schemas[schema["title"]] = schema
            content["schema"] = {"$ref": f"#/components/schemas/{schema['title']}"}
