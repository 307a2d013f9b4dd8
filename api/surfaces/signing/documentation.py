"""What the OpenAPI document says of each operation: its errors and its headers."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from starlette.responses import Response

from api.http import FIRST_ANSWER_AGAIN
from api.surfaces.signing.answers import ErrorAnswer

_MEANINGS: Final[Mapping[int, str]] = {
    400: "The body, a parameter or an id cannot be read.",
    401: "The token is missing, malformed, expired or not one of an issuer known here.",
    403: "The token is valid, but the role does not permit this.",
    404: "It does not exist, or it is not visible to this account.",
    409: "The present state does not allow it; nothing was changed.",
    413: "The body is too large.",
    415: "Send the body as `application/json`.",
    429: "Too many requests; wait as long as `Retry-After` says. Off unless the settings name a limit.",
    500: "A fault of the service; the request id leads to its cause.",
    503: "The service cannot answer correctly now; try again.",
}

#: What the ids in paths and filters name. Numbers are spelled as strings, as in the answers.
_IDS: Final[Mapping[str, str]] = {
    "signingId": "Numeric ID of the signing package (as a string, e.g. `3001`).",
    "documentId": "Numeric ID of the document.",
    "signerId": "Numeric ID of the signer row.",
    "organizationId": "Numeric ID of the organization.",
    "companyId": "Numeric ID of the company.",
    "locationId": "Numeric ID of the location.",
    "templateId": "Numeric ID of the template.",
    "flowId": "Numeric ID of the flow.",
    "id": "ID of the chattel document (`doc_...`).",
}

_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def documented(
    success: int, model: Any, *errors: int, body: Any = None, body_required: bool = True, changes: bool = False
) -> dict[str, Any]:
    """The arguments of a route that answers `model` (None: an empty body) with status `success`.

    `errors` are the statuses it may fail with beside those that any route may; `changes` says that the
    operation changes something and so honours `Idempotency-Key`; `body` is the model of its body.
    """
    statuses = sorted({*errors, 401, 429, 500, 503, *((400, 409) if changes else ()), *((400, 413, 415) if body else ())})
    responses: dict[int | str, dict[str, Any]] = {
        status: {
            "model": ErrorAnswer,
            "description": _MEANINGS[status],
            **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in statuses
    }
    responses[success] = (
        {"description": "Done; the body is empty."} if model is None else {"model": model, "description": "Done."}
    )
    extra: dict[str, Any] = {}
    if changes:
        extra["parameters"] = [FIRST_ANSWER_AGAIN]
    if body is not None:
        schema = body.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
        extra["requestBody"] = {"required": body_required, "content": {"application/json": {"schema": schema}}}
    return {
        "status_code": success,
        "response_class": Response,
        "response_model": None,
        "responses": responses,
        "openapi_extra": extra,
    }


def _describe(parameter: dict[str, Any]) -> None:
    """Says of an id what it names and, if it is a number, so; the route itself refuses others in this surface's words."""
    name, schema = parameter["name"], parameter["schema"]
    if name in _IDS:
        parameter.setdefault("description", _IDS[name])
    if name.endswith("Id"):
        for each in (schema, *schema.get("anyOf", ())):
            if each.get("type") == "string":
                each["pattern"] = "^[0-9]{1,40}$"


class Documented(FastAPI):
    """An application whose document holds what its operations do: bodies in it, the framework's own errors not."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            for item in document["paths"].values():
                for operation in item.values():
                    for parameter in operation.get("parameters", ()):
                        _describe(parameter)
                    operation["responses"].pop("422", None)
                    for content in operation.get("requestBody", {}).get("content", {}).values():
                        schemas.update(content["schema"].pop("$defs", {}))
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        return self.openapi_schema or document
