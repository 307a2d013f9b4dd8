"""Errors that only this surface has, as problem documents."""

from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import Response

from api import problems
from api.deps import Refused, UnusablePdf, UrlRefused
from api.problems import problem

#: Every one is a 403, as with the object stores' own signed URLs: it is the URL that lacks the right.
URL_REFUSALS: Final[Mapping[Refused, str]] = {
    Refused.MALFORMED: "The URL is incomplete or is not one of a file; use it exactly as it was given.",
    Refused.SIGNATURE: "The URL's signature does not hold; use it exactly as it was given.",
    Refused.EXPIRED: "The URL has expired; ask for a new one.",
    Refused.METHOD: "The URL permits another method; ask for one for uploads or downloads.",
}


class CredentialRevoked(Exception):
    """The credential that asked for the URL has been revoked since."""


def answer_problems(app: FastAPI) -> None:
    """Gives `app` an answer to everything that is raised in it."""
    problems.answer_problems(app)

    @app.exception_handler(UrlRefused)
    async def url_refused(request: Request, err: UrlRefused) -> Response:
        return problem(request, 403, f"url-{err.reason}", URL_REFUSALS[err.reason])

    @app.exception_handler(UnusablePdf)
    async def unusable(request: Request, err: UnusablePdf) -> Response:
        return problem(request, 422, err.code, err.sentence)

    @app.exception_handler(CredentialRevoked)
    async def revoked(request: Request, err: CredentialRevoked) -> Response:
        return problem(request, 403, "credential-revoked", "The credential that asked for this URL has been revoked.")
