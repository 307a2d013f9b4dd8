"""How routes are described in the surface's OpenAPI document."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel

from api.http import idempotency_parameter
from api.surfaces.sessions.access import DEFAULT_VERSION, TOKEN_HEADER, VERSION_HEADER, VERSIONS
from api.surfaces.sessions.kinds import KINDS
from api.surfaces.sessions.problems import MEDIA_TYPE, ProblemDocument

Parameter = dict[str, Any]

ORGANIZATION: Final = "OrganizationKey"
PERSON: Final = "SignedInPerson"
SESSION_BEARER: Final = "SessionToken"

_SCHEMES: Final = {
    ORGANIZATION: {
        "type": "http",
        "scheme": "bearer",
        "description": "`sk_live_...` or `sk_test_...`: a key of the organization. Live and test are separate worlds.",
    },
    PERSON: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the organization's OpenID Connect issuer, with `auth_time` at most five minutes ago.",
    },
    SESSION_BEARER: {
        "type": "apiKey",
        "in": "header",
        "name": TOKEN_HEADER,
        "description": "The single-use token of a signing session.",
    },
}

#: What the id in a path names, by how the path begins.
_IDS: Final = {
    "/v1/signing_sessions/": "The session's id (`sgs_...`).",
    "/v1/signing_envelopes/": "The envelope's id (`env_...`).",
    "/v1/documents/": "The document's id (`doc_...`).",
    "/v1/consents/": "The consent's id (`con_...`).",
    "/v1/events/": "The event's id (`evt_...`).",
}

#: What can go wrong with any request.
_ALWAYS: Final = (400, 429, 500, 503)
_WITH_BODY: Final = (413, 415, 422)


def parameter(name: str, description: str, place: str = "query", *, required: bool = False, **schema: Any) -> Parameter:
    """A query parameter or header."""
    return {"name": name, "in": place, "required": required, "description": description, "schema": {"type": "string", **schema}}


def list_parameters(what: str, prefix: str, **filters: Parameter) -> tuple[Parameter, ...]:
    """The query parameters of a list of what has ids of this prefix."""
    id = f"^{prefix}_[0-9a-f]{{32}}$"
    return (
        parameter("limit", "How many of them, from 1 to 100.", type="integer", minimum=1, maximum=100, default=10),
        parameter("starting_after", f"The id of a {what}: those that follow it, newest first.", pattern=id),
        parameter("ending_before", f"The id of a {what}: those that come right before it; not with the other.", pattern=id),
        *filters.values(),
    )


def expand_parameter(*names: str) -> Parameter:
    """The query parameter that asks for parts in full."""
    items = {"type": "string", "enum": list(names)}
    return parameter("expand[]", "Parts to give in full instead of by their ids.", type="array", items=items)


_VERSION: Final = parameter(
    VERSION_HEADER,
    f"The version of the API that the client was written for; without it, {DEFAULT_VERSION}.",
    "header",
    enum=list(VERSIONS),
)
_KEY: Final = idempotency_parameter(
    "A repeat under the same key within 24 hours gives the first answer; the same key with another request is refused."
)
TOKEN: Final = parameter(TOKEN_HEADER, "The single-use session token. It is never logged.", "header", required=True)
DRY_RUN: Final = parameter(
    "dry_run", "Simulates: the answer is as it would be, and nothing is done.", type="boolean", default=False
)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of the errors with these statuses."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted(statuses):
        kinds = [kind for kind in KINDS if kind.status == status]
        found[status] = {
            "description": " ".join(f"`{kind.code}`: {kind.meaning}" for kind in kinds),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found


def documented(
    status: int,
    model: type[BaseModel],
    *errors: int,
    body: type[BaseModel] | None = None,
    body_required: bool = True,
    changes: bool = False,
    simulated: bool = False,
    security: Sequence[Sequence[str]] = ((ORGANIZATION,),),
    parameters: Sequence[Parameter] = (),
) -> dict[str, Any]:
    """What a route's decorator is told; each of `security` is a set of credentials that suffices."""
    statuses = {*_ALWAYS, *errors, *((401,) if security else ()), *(_WITH_BODY if body is not None else ())}
    given = [*parameters, *((DRY_RUN,) if simulated else ()), _VERSION, *((_KEY,) if changes else ())]
    extra: dict[str, Any] = {"parameters": given, "security": [{name: [] for name in names} for names in security]}
    if body is not None:
        BODIES.add(body)
        schema = {"$ref": f"#/components/schemas/{body.__name__}"}
        extra["requestBody"] = {"required": body_required, "content": {"application/json": {"schema": schema}}}
    return {
        "status_code": status,
        "response_model": model,
        "response_description": (model.__doc__ or "Done.").strip(),
        "responses": problems(*statuses),
        "openapi_extra": extra,
    }


#: Models of bodies that routes refer to.
BODIES: Final[set[type[BaseModel]]] = set()


def _schemas(*models: type[BaseModel]) -> dict[str, Any]:
    """The JSON schemas of models by name."""
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[str(schema.get("title", model.__name__))] = schema
    return found


class Documented(FastAPI):
    """An application whose OpenAPI document holds the schemas that its routes only refer to."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            components = document.setdefault("components", {})
            components["securitySchemes"] = _SCHEMES
            known = components.setdefault("schemas", {})
            known.update(_schemas(*sorted(BODIES, key=lambda body: body.__name__), ProblemDocument))
            for unused in ("HTTPValidationError", "ValidationError"):
                known.pop(unused, None)
            for path, operation in ((path, each) for path, item in document["paths"].items() for each in item.values()):
                for given in operation.get("parameters", ()):
                    if given["in"] == "path":
                        given["description"] = _IDS[path.partition("{")[0]]
                # The framework's own 422 for path parameters: an id that is none is not found here.
                if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                    del operation["responses"]["422"]
        return self.openapi_schema or document
