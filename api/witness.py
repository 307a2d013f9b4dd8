"""The witness over HTTP: C2SP tlog-witness v1.0.0, `POST /add-checkpoint`. Needs no database server.

Statuses: 200 with the cosignature, 400 for what is no such request, 403 not signed by the log, 404 unknown log,
409 another size (told as text/x.tlog.size) or another root at the same size, 422 not consistent (docs/adr/0019).
"""

import asyncio
import logging
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from domain.witnessing import (
    MAX_SUBMISSION_BYTES,
    SIZE_MEDIA_TYPE,
    Malformed,
    NotConsistent,
    NotSignedByLog,
    Stale,
    TwoRoots,
    UnknownLog,
    WitnessRefusal,
    format_size,
)
from infrastructure.witness import Witness
from infrastructure.witness_store import WitnessStoreError

log = logging.getLogger(__name__)

#: A request has arrived by then, or is given up.
BODY_SECONDS: Final = 10.0

STATUSES: Final[dict[type[WitnessRefusal], int]] = {
    Malformed: 400,
    NotSignedByLog: 403,
    UnknownLog: 404,
    Stale: 409,
    TwoRoots: 409,
    NotConsistent: 422,
}


def build(witness: Witness) -> Starlette:
    """The application of one witness; its submission prefix is where it is mounted."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            return _text(408, f"the request took more than {BODY_SECONDS:g} seconds")
        except ClientDisconnect:
            return _text(400, "the request broke off")
        if body is None:
            return _text(413, f"a request has at most {MAX_SUBMISSION_BYTES} bytes")
        try:
            return Response(await run_in_threadpool(witness.add, body), 200, media_type="text/plain")
        except Stale as err:
            # Starlette would add a charset, which the media type has not.
            return Response(format_size(err.size), 409, {"content-type": SIZE_MEDIA_TYPE})
        except WitnessRefusal as err:
            return _text(STATUSES[type(err)], str(err))
        except WitnessStoreError as err:
            log.error("%s", err)
            return _text(503, "the witness cannot remember now, so it does not cosign")

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])


async def _body(request: Request) -> bytes | None:
    """The whole body, None if it is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_SUBMISSION_BYTES:
            return None
    return bytes(body)


def _text(status: int, reason: str) -> Response:
    return Response(f"{reason}\n", status, media_type="text/plain")
