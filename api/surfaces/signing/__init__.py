"""The signing surface: a signer's queue, managers' packages and what belongs to them, as Safeclose publishes them."""

from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api import troubles
from api.deps import Deps
from api.http import RECEIPTS_DESCRIBED, send_answer
from api.limits import RateLimits
from api.surfaces.signing import comments, documents, flows, organizations, packages, queue, session, templates, workspace
from api.surfaces.signing.access import Repeated
from api.surfaces.signing.answers import NOT_FOUND, Failed, Failure
from api.surfaces.signing.documentation import Documented
from api.surfaces.signing.refusals import REFUSALS, answer_to
from api.surfaces.signing.uploads import BodyLimits
from api.troubles import Convention, Trouble
from domain.errors import Refusal

__all__ = ["REFUSALS", "build"]

_DESCRIPTION: Final = """
Signing packages: a signer's queue, and what managers and administrators do with packages, templates, flows and documents.

Every route takes `Authorization: Bearer <token>` of an OpenID Connect issuer. Ids are numeric and travel as strings. Errors
have one member, `{"error": "a sentence"}`; the status is the category. What is not visible to an account is answered like
what does not exist.
"""

_SENTENCES: Final = {404: NOT_FOUND, 405: "Method not allowed."}

_TROUBLE: Final = {
    Trouble.INCOMPLETE: Failure(400, "The body did not arrive as a whole."),
    Trouble.TOO_LARGE: Failure(400, "Invalid body. It is too large to be recorded."),
    Trouble.UNAVAILABLE: Failure(503, "The service cannot answer correctly at the moment; try again."),
    Trouble.DAMAGED: Failure(500, "The stored file is damaged; it is not shown."),
    Trouble.BROKEN: Failure(500, "Internal error."),
}


def build(deps: Deps) -> FastAPI:
    """The surface as an application of its own."""
    app = Documented(
        title="Signing",
        summary="Signer queue, packages, templates, flows and documents, like Safeclose's API",
        description=_DESCRIPTION.strip() + RECEIPTS_DESCRIBED,
        version="v1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.deps = deps
    for module in (session, queue, organizations, packages, templates, flows, documents, comments, workspace):
        app.include_router(module.router)
    app.add_middleware(RateLimits, deps=deps, surface="signing", refused=_too_many)
    app.add_middleware(BodyLimits, deps=deps)
    app.exception_handler(Failed)(_failed)
    app.exception_handler(Repeated)(_repeated)
    troubles.install(app, Convention(_refused, _http, lambda request, trouble: _TROUBLE[trouble].response()))
    return app


async def _failed(request: Request, err: Failed) -> Response:
    return err.failure.response()


async def _repeated(request: Request, err: Repeated) -> Response:
    return send_answer(err.answer)


def _refused(request: Request, refusal: Refusal) -> Response:
    return answer_to(refusal).response()


def _http(request: Request, err: HTTPException) -> Response:
    return Failure(err.status_code, _SENTENCES.get(err.status_code) or str(err.detail)).response()


def _too_many(request: Request, seconds: int) -> Response:
    return Failure(429, f"Too many requests; try again in {seconds} seconds.").response()
