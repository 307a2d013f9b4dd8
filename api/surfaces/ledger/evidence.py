"""Bundles of evidence: one file to take away, verified without us (docs/evidence-format.md)."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, BinaryIO, Final, cast

from fastapi import APIRouter, Path, Request
from starlette.responses import Response, StreamingResponse

from api.auth import Caller, UserCaller
from api.deps import Deps
from api.evidence import (
    MAX_WITHHOLDINGS,
    PATTERN,
    Asked,
    Bundle,
    NotSealed,
    OwnPart,
    TooLarge,
    Withholding,
    WithholdingError,
    make_bundle,
)
from api.finding import DESCRIPTION
from api.problems import Failed, Fault
from api.standing import oversees, own_signings
from api.surfaces.ledger.access import ANYONE, anyone, deps_of
from api.surfaces.ledger.documentation import documented_file
from api.surfaces.ledger.timelines import visible
from domain.signing import SigningStatus
from projections.timeline import Timeline

router = APIRouter(prefix="/v1/evidence", tags=["Evidence"])

MEDIA_TYPE: Final = "application/zip"

#: A larger bundle is kept in a file of its own until it is sent.
_IN_MEMORY_BYTES: Final = 4 * 2**20
_CHUNK_BYTES: Final = 256 * 2**10

_PARAMETERS: Final[list[dict[str, Any]]] = [
    {
        "name": "withhold",
        "in": "query",
        "required": False,
        "description": "A personal value to leave out, with all below it, by its path in the entries: `/email`; of one participant alone:"
        " `<participantId>:/email`. May be repeated. A path at which nothing stands is refused.",
        "schema": {"type": "array", "maxItems": MAX_WITHHOLDINGS, "items": {"type": "string", "pattern": PATTERN}},
        "style": "form",
        "explode": True,
    },
    {
        "name": "documents",
        "in": "query",
        "required": False,
        "description": "`false` leaves the PDFs out; the bundle names them all the same.",
        "schema": {"type": "boolean", "default": True},
    },
]

_ANSWER: Final = "The bundle, `countersign-evidence/1`: a zip file. What is absent in it, its report says."


@router.get(
    "/{id}",
    summary="Take the evidence away",
    **documented_file(MEDIA_TYPE, _ANSWER, ANYONE, 404, 422, parameters=_PARAMETERS),
)
async def show(request: Request, id: Annotated[str, Path(description=DESCRIPTION)]) -> Response:
    """One file with everything that is needed to verify the process, or the envelope, offline and years later.

    Waits a few seconds until all of it is sealed. The same content has the same bytes and the same `ETag`. A person who signed in
    gets, of an envelope that they only sign, the personal values of their own process and the envelope's texts, and the PDFs that
    they have signed, once they have completed; the rest is withheld.
    """
    deps, found = deps_of(request), await visible(request, id)
    withhold, documents = _read(request)
    part = await sees(deps, await anyone(request), found)
    asked = replace(Asked.about(found), sees=part, withhold=withhold, documents=documents)
    try:
        bundle = await make_bundle(deps, asked)
    except NotSealed as err:
        raise await _not_sealed(deps, err) from err
    except WithholdingError as err:
        raise _fault("withhold", str(err)) from err
    except TooLarge as err:
        raise Failed(422, "bundle-too-large", f"{err}. Ask for it with documents=false, and for the PDFs one by one.") from err
    headers = {"etag": f'"{bundle.digest}"', "cache-control": "private, no-cache"}
    if _has(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    file = await asyncio.to_thread(_written, bundle)
    headers |= {
        "content-length": str(file.seek(0, 2)),
        "content-disposition": f'attachment; filename="{bundle.name}"',
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(_pieces(file), 200, headers, MEDIA_TYPE)


def _read(request: Request) -> tuple[tuple[Withholding, ...], bool]:
    """What the query asks to leave out; raises Failed 422."""
    named = request.query_params.getlist("withhold")
    if len(named) > MAX_WITHHOLDINGS:
        raise _fault("withhold", f"is there more than {MAX_WITHHOLDINGS} times")
    try:
        withhold = tuple(map(Withholding.parse, named))
    except WithholdingError as err:
        raise _fault("withhold", str(err)) from err
    documents = request.query_params.getlist("documents") or ["true"]
    if documents not in (["true"], ["false"]):
        raise _fault("documents", "is not true or false")
    return withhold, documents == ["true"]


def _fault(field: str, message: str) -> Failed:
    return Failed(
        422, "validation-failed", "The query has faults; `errors` names them.", faults=[Fault(field=field, message=message)]
    )


async def sees(deps: Deps, caller: Caller, found: Timeline) -> OwnPart | None:
    """What the caller sees of an envelope that they only sign; None for who sees all."""
    if not isinstance(caller, UserCaller) or await oversees(deps, caller, found.envelope):
        return None
    own = {who: await deps.ledger.signing(who) for who in await own_signings(deps, caller, found.envelope)}
    # A document that is still to be signed is seen where it is recorded that it was.
    signed = [each.documents for each in own.values() if each is not None and each.status is SigningStatus.COMPLETED]
    return OwnPart(frozenset(own), frozenset().union(*signed))


async def _not_sealed(deps: Deps, err: NotSealed) -> Failed:
    alarm = await deps.sealed.alarm()
    why = (
        "A server or a worker with followers seals new entries within seconds; ask again, or start one."
        if alarm is None
        else f"The sealer has stopped, and a person has to look: {alarm.reason}."
    )
    detail = f"This reaches position {err.position} of the log, and the newest checkpoint covers those up to {err.size}. {why}"
    return Failed(503, "not-sealed", detail, {"Retry-After": "2"})


def _has(request: Request, etag: str) -> bool:
    """Whether the client has these bytes already (RFC 9110 section 13.1.2)."""
    sent = [tag.strip().removeprefix("W/") for line in request.headers.getlist("if-none-match") for tag in line.split(",")]
    return etag in sent or "*" in sent


def _written(bundle: Bundle) -> BinaryIO:
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))  # noqa: SIM115
    try:
        bundle.write(file)
    except BaseException:
        file.close()
        raise
    return file


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        file.seek(0)
        while piece := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield piece
