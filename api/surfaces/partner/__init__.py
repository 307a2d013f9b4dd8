"""The partner surface: templates, documents and events, as Signly's partner API publishes them."""

from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.deps import Deps
from api.http import RECEIPTS_DESCRIBED, RequestLimits
from api.limits import RateLimits
from api.surfaces.partner import bootstrap, documents, events, preview, templates
from api.surfaces.partner.answers import Failed, Failure, failure_response
from api.surfaces.partner.documentation import Documented
from api.surfaces.partner.refusals import REFUSALS, answer_to
from api.surfaces.partner.validation import at
from api.troubles import Convention, Trouble, install
from domain.errors import Refusal

__all__ = ["REFUSALS", "build"]

_DESCRIPTION: Final = """
Templates, documents and the events of signing processes, wire-compatible with Signly's partner API.

An administrator of the tenant makes the credential at `/api`. With it, `/v1` is called with the headers `X-Tenant-Signly` and
`X-Auth-Signly`. Every answer has the same eight members. What belongs to another tenant is answered like what does not exist.
"""

#: What the framework itself refuses.
_CODES: Final[dict[int, tuple[str, str, str]]] = {
    400: ("bad_request", "Bad request.", "validation"),
    404: ("not_found", "Route not found.", "not_found"),
    405: ("method_not_allowed", "Method not allowed.", "validation"),
    413: ("payload_too_large", "The body is too large.", "validation"),
    415: ("unsupported_media_type", "Unsupported media type.", "validation"),
}


_TROUBLE: Final[Mapping[Trouble, Failure]] = {
    Trouble.INCOMPLETE: Failure(400, "bad_request", "The body did not arrive as a whole.", "validation"),
    Trouble.TOO_LARGE: at(("_schema",), "Too large to be recorded."),
    Trouble.UNAVAILABLE: Failure(
        503, "service_unavailable", "The service cannot answer correctly at the moment; try again.", "unavailable"
    ),
    Trouble.DAMAGED: Failure(500, "internal_error", "A stored file is damaged; it is not shown.", "internal"),
    Trouble.BROKEN: Failure(500, "internal_error", "Internal error.", "internal"),
}


def build(deps: Deps) -> FastAPI:
    """The surface as an application of its own."""
    app = Documented(
        title="Partner API",
        summary="Templates, documents and events, like Signly's partner API",
        description=_DESCRIPTION.strip() + RECEIPTS_DESCRIBED,
        version="v1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.deps = deps
    for module in (bootstrap, templates, preview, documents, events):
        app.include_router(module.router)
    app.add_middleware(RateLimits, deps=deps, surface="partner", refused=_too_many)
    app.add_middleware(RequestLimits, deps=deps)
    app.exception_handler(Failed)(_failed)
    install(app, Convention(_refused, _http, lambda request, trouble: failure_response(request, _TROUBLE[trouble])))
    return app


def _too_many(request: Request, retry_after_seconds: int) -> Response:
    """The published API has no limits, so there are none unless the settings say so."""
    message = f"Too many requests; wait {retry_after_seconds} s."
    return failure_response(request, Failure(429, "rate_limited", message, "rate_limit"))


async def _failed(request: Request, err: Failed) -> Response:
    return failure_response(request, err.failure)


def _refused(request: Request, err: Refusal) -> Response:
    return failure_response(request, answer_to(err, request.path_params))


def _http(request: Request, err: HTTPException) -> Response:
    code, message, kind = _CODES.get(err.status_code, ("error", "The request cannot be answered.", "validation"))
    # The framework's own details are the bare names of the statuses; ours are sentences.
    sentence = err.detail if err.status_code in (400, 413, 415) and err.detail else message
    return failure_response(request, Failure(err.status_code, code, sentence, kind))
