"""The signatures surface: stored PDFs sent out for signature, as Craftkit publishes it."""

from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.deps import Deps
from api.http import RECEIPTS_DESCRIBED, RequestLimits
from api.limits import RateLimits
from api.surfaces.signatures import creation, renders, requests
from api.surfaces.signatures.answers import Failed, Failure, Issues, failure_response, invalid
from api.surfaces.signatures.documentation import Documented
from api.surfaces.signatures.refusals import REFUSALS, answer_to
from api.troubles import Convention, Trouble, install
from domain.errors import Refusal

__all__ = ["REFUSALS", "build"]

_DESCRIPTION: Final = """
Stored PDFs sent out for signature, wire-compatible with Craftkit's signature requests.

Every operation takes a project key as `Authorization: Bearer ck_live_...` or `ck_test_...`. Live and test are separate worlds: what
belongs to the other mode, or to another project, is answered like what does not exist. Errors are
`{"error": {"code", "message", "issues"?}}`; branch on `code`.
"""

#: What the framework itself refuses.
_CODES: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not_found", "There is nothing at this path."),
    405: ("method_not_allowed", "This path does not take this method; Allow names those it takes."),
    413: ("payload_too_large", "The body is too large."),
    415: ("unsupported_media_type", "The body is not of a type that is read here."),
}

_TROUBLES: Final[Mapping[Trouble, Failure]] = {
    Trouble.INCOMPLETE: invalid(Issues(("The body did not arrive as a whole.",))),
    Trouble.TOO_LARGE: invalid(Issues(("What was sent is too large together to be recorded.",))),
    Trouble.UNAVAILABLE: Failure(503, "service_unavailable", "The service cannot answer correctly at the moment; try again."),
    Trouble.DAMAGED: Failure(500, "internal", "The stored file is not the one that was stored; it is not shown."),
    Trouble.BROKEN: Failure(500, "internal", "Internal error."),
}


def build(deps: Deps) -> FastAPI:
    """The surface as an application of its own."""
    app = Documented(
        title="Signatures API",
        summary="PDFs sent out for signature, like Craftkit's signature requests",
        description=_DESCRIPTION.strip() + RECEIPTS_DESCRIBED,
        version="v1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.deps = deps
    for module in (creation, requests, renders):
        app.include_router(module.router)
    app.add_middleware(RateLimits, deps=deps, surface="signatures", refused=_limited)
    # Uploads are the largest; readers of JSON have a limit of their own.
    app.add_middleware(RequestLimits, deps=deps, max_body_bytes=renders.MAX_PDF_BYTES)
    install(app, Convention(_refused, _http, _trouble))
    app.exception_handler(Failed)(_failed)
    return app


async def _failed(request: Request, err: Failed) -> Response:
    return failure_response(err.failure)


def _refused(request: Request, refusal: Refusal) -> Response:
    return failure_response(answer_to(refusal))


def _http(request: Request, err: HTTPException) -> Response:
    code, message = _CODES.get(err.status_code, ("invalid_request", "The request cannot be answered."))
    # The framework's own details are the bare names of the statuses; ours are sentences.
    sentence = err.detail if err.status_code in (413, 415) and err.detail else message
    return failure_response(Failure(err.status_code, code, sentence))


def _trouble(request: Request, trouble: Trouble) -> Response:
    return failure_response(_TROUBLES[trouble])


def _limited(request: Request, retry_after_seconds: int) -> Response:
    return failure_response(Failure(429, "rate_limited", f"Too many requests; try again in {retry_after_seconds} s."))
