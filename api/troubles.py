"""What can go wrong in any surface, caught in one place; each surface only says how it answers.

A surface's answer to trouble never holds more than the kind of trouble: the cause goes to the log,
under the request's id.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.deps import BlobCorrupted, DatabaseUnavailable, ReadsUnavailable, RecorderUnavailable
from api.http import request_id
from domain.entry import EntryError
from domain.errors import Refusal

log = logging.getLogger(__name__)

#: What a client that was told "not now" should wait before it asks again.
RETRY_AFTER_SECONDS: Final = 2


class Trouble(Enum):
    """What kept a request from its answer, other than the request itself."""

    #: The connection ended before the body had arrived; nobody reads the answer.
    INCOMPLETE = auto()
    #: What passed every single limit is too much together for one entry.
    TOO_LARGE = auto()
    #: The database, or the read side, cannot answer correctly now; a repeat may.
    UNAVAILABLE = auto()
    #: A stored file is not the one that was stored.
    DAMAGED = auto()
    #: A fault of ours.
    BROKEN = auto()


@dataclass(frozen=True, slots=True)
class Convention:
    """How a surface answers refusals, what the framework refuses (404, 405, 413, 415, ...), and trouble."""

    refused: Callable[[Request, Refusal], Response]
    http: Callable[[Request, HTTPException], Response]
    trouble: Callable[[Request, Trouble], Response]


def install(app: FastAPI, convention: Convention) -> None:
    """Gives `app` an answer to everything that can be raised in it, but for what only that surface raises."""

    async def refused(request: Request, err: Refusal) -> Response:
        return convention.refused(request, err)

    async def http(request: Request, err: HTTPException) -> Response:
        response = convention.http(request, err)
        response.headers.update(_allow(request) if err.status_code == 405 else err.headers or {})
        return response

    async def incomplete(request: Request, err: ClientDisconnect) -> Response:
        return convention.trouble(request, Trouble.INCOMPLETE)

    async def too_large(request: Request, err: EntryError) -> Response:
        return convention.trouble(request, Trouble.TOO_LARGE)

    async def unavailable(request: Request, err: Exception) -> Response:
        log.warning("%s: not available: %s", request_id(request), err)
        response = convention.trouble(request, Trouble.UNAVAILABLE)
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    async def damaged(request: Request, err: BlobCorrupted) -> Response:
        log.critical("%s: %s", request_id(request), err)
        return convention.trouble(request, Trouble.DAMAGED)

    async def broken(request: Request, err: Exception) -> Response:
        log.error("%s: %s %s failed", request_id(request), request.method, request.url.path, exc_info=err)
        response = convention.trouble(request, Trouble.BROKEN)
        response.headers["X-Request-Id"] = request_id(request)  # this answer is made outside of what adds it elsewhere
        return response

    app.exception_handler(Refusal)(refused)
    app.exception_handler(HTTPException)(http)
    app.exception_handler(ClientDisconnect)(incomplete)
    app.exception_handler(EntryError)(too_large)
    for kind in (ReadsUnavailable, RecorderUnavailable, DatabaseUnavailable):
        app.exception_handler(kind)(unavailable)
    app.exception_handler(BlobCorrupted)(damaged)
    app.exception_handler(Exception)(broken)


def _allow(request: Request) -> dict[str, str]:
    """All methods of the request's path (RFC 9110 section 10.2.1); the framework names those of one route."""
    path = getattr(request.scope.get("route"), "path_format", "")
    methods = request.app.openapi()["paths"].get(path, ())
    return {"Allow": ", ".join(sorted(method.upper() for method in methods))} if methods else {}
