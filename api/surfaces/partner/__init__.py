"""The partner surface: templates, documents and events, as Signly's partner API publishes them."""

import logging
from typing import Final

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api.deps import DatabaseUnavailable, Deps, ReadsUnavailable, RecorderUnavailable
from api.http import RequestLimits, request_id
from api.limits import RateLimits
from api.surfaces.partner import bootstrap, documents, events, templates
from api.surfaces.partner.answers import Failed, Failure, failure_response
from api.surfaces.partner.documentation import Documented
from api.surfaces.partner.refusals import REFUSALS, answer_to
from api.surfaces.partner.validation import at
from domain.entry import EntryError
from domain.errors import Refusal

__all__ = ["REFUSALS", "build"]

log = logging.getLogger(__name__)

#: How long a client is asked to wait when the database or the read side is away.
RETRY_AFTER_SECONDS: Final = 2

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


def build(deps: Deps) -> FastAPI:
    """The surface as an application of its own."""
    app = Documented(
        title="Partner API",
        summary="Templates, documents and events, like Signly's partner API",
        description=_DESCRIPTION.strip(),
        version="v1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.deps = deps
    for module in (bootstrap, templates, documents, events):
        app.include_router(module.router)
    app.add_middleware(RateLimits, deps=deps, surface="partner", refused=_too_many)
    app.add_middleware(RequestLimits, deps=deps)
    app.exception_handler(Failed)(_failed)
    app.exception_handler(Refusal)(_refused)
    app.exception_handler(EntryError)(_too_large)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(ClientDisconnect)(_gone)
    for unavailable in (ReadsUnavailable, RecorderUnavailable, DatabaseUnavailable):
        app.exception_handler(unavailable)(_unavailable)
    app.exception_handler(Exception)(_broken)
    return app


def _too_many(request: Request, retry_after_seconds: int) -> Response:
    """The published API has no limits, so there are none unless the settings say so."""
    message = f"Too many requests; wait {retry_after_seconds} s."
    return failure_response(request, Failure(429, "rate_limited", message, "rate_limit"))


async def _failed(request: Request, err: Failed) -> Response:
    return failure_response(request, err.failure)


async def _refused(request: Request, err: Refusal) -> Response:
    return failure_response(request, answer_to(err, request.path_params))


async def _too_large(request: Request, err: EntryError) -> Response:
    """What passed every single limit can still be too much together."""
    return failure_response(request, at(("_schema",), f"Too large to be recorded: {err}."))


async def _http(request: Request, err: HTTPException) -> Response:
    code, message, kind = _CODES.get(err.status_code, ("error", "The request cannot be answered.", "validation"))
    # The framework's own details are the bare names of the statuses; ours are sentences.
    sentence = err.detail if err.status_code in (400, 413, 415) and err.detail else message
    headers = {**(err.headers or {}), **(_allow(request) if err.status_code == 405 else {})}
    return failure_response(request, Failure(err.status_code, code, sentence, kind, headers=headers))


def _allow(request: Request) -> dict[str, str]:
    """All methods of the request's path (RFC 9110 section 10.2.1); the framework names those of one route."""
    path = getattr(request.scope.get("route"), "path_format", "")
    methods = request.app.openapi()["paths"].get(path, ())
    return {"Allow": ", ".join(sorted(method.upper() for method in methods))} if methods else {}


async def _gone(request: Request, err: ClientDisconnect) -> Response:
    """Nobody reads it; it is not a fault of ours that would belong into the log."""
    return failure_response(request, Failure(400, "bad_request", "The body did not arrive as a whole.", "validation"))


async def _unavailable(request: Request, err: Exception) -> Response:
    log.warning("%s: not available: %s", request_id(request), err)
    return failure_response(
        request,
        Failure(
            503,
            "service_unavailable",
            "The service cannot answer correctly at the moment; try again.",
            "unavailable",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        ),
    )


async def _broken(request: Request, err: Exception) -> Response:
    log.error("%s: %s %s failed", request_id(request), request.method, request.url.path, exc_info=err)
    headers = {"X-Request-Id": request_id(request)}  # this answer is made outside of what adds it elsewhere
    return failure_response(request, Failure(500, "internal_error", "Internal error.", "internal", headers=headers))
