"""What the OpenAPI document says of each operation: its answer, its errors, its body."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.responses import Response

from api.http import FIRST_ANSWER_AGAIN
from api.surfaces.partner.answers import Success
from api.surfaces.partner.models import FailureAnswer, SuccessAnswer

_MEANINGS: Final[Mapping[int, str]] = {
    400: "The request has faults: `validation_error` with the faults by field, or `bad_request`.",
    401: "`unauthorized`: the credential is missing, wrong or revoked.",
    402: "`insufficient_credits`: nothing was created and nothing was taken.",
    403: "`forbidden`: the token is valid but not an administrator's.",
    404: "`not_found`: it does not exist, or it is another tenant's.",
    409: "The present state does not allow it; `code` says why. Nothing was changed.",
    413: "`payload_too_large`.",
    415: "`unsupported_media_type`: send `application/json`.",
    429: "`rate_limited`: too many requests; try again after `Retry-After` seconds. Only where limits have been set.",
    500: "`internal_error`. The request id leads to the cause in the server's log.",
    503: "`service_unavailable`: try again after `Retry-After` seconds, with the same idempotency key.",
}


def documented(
    success: Success, data: Any, *errors: int, body: TypeAdapter[Any] | None = None, changes: bool = False
) -> dict[str, Any]:
    """The arguments of a route: `data` is the type of the answer's data, `errors` the statuses it may fail with.

    `changes` says that the operation changes something and so honours `Idempotency-Key`.
    """
    statuses = sorted({*errors, 401, 429, 500, 503, *((400, 409) if changes else ()), *((400, 413, 415) if body else ())})
    failures = {status: {"model": FailureAnswer, "description": _MEANINGS[status]} for status in statuses}
    extra: dict[str, Any] = {}
    if changes:
        extra["parameters"] = [FIRST_ANSWER_AGAIN]
    if body is not None:
        schema = body.json_schema(ref_template="#/components/schemas/{model}")
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {
        "status_code": success.status,
        "response_class": Response,
        "response_model": None,
        "responses": {
            success.status: {"model": SuccessAnswer[data], "description": f"`{success.code}`: {success.message}"},
            **failures,
        },
        "openapi_extra": extra,
    }


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
    # The framework lists them as alternatives; it takes them all.
    operation["security"] = [{name: scopes for each in operation["security"] for name, scopes in each.items()}]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        schemas.update(schema.pop("$defs", {}))
        if schema.get("type") == "object":
            schemas[schema["title"]] = schema
            content["schema"] = {"$ref": f"#/components/schemas/{schema['title']}"}
