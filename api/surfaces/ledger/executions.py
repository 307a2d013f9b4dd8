"""The files that a completed envelope became, or how far their making has come."""

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from api.auth import Caller
from api.deps import Deps, ExecutionRow, ExecutionStatus
from api.executed import missing
from api.finding import DESCRIPTION
from api.http import json_answer, send_answer
from api.surfaces.ledger.access import ANYONE, anyone, deps_of
from api.surfaces.ledger.documentation import documented
from api.surfaces.ledger.evidence import sees
from api.surfaces.ledger.models import Model
from api.surfaces.ledger.timelines import visible
from domain.actor import Mode
from domain.entry import format_time
from domain.envelope import Envelope, EnvelopeStatus
from domain.errors import EnvelopeNotFound
from projections.timeline import Timeline

router = APIRouter(prefix="/v1/executions", tags=["Files"])

_DIGEST: Final = "^[0-9a-f]{64}$"


class ExecutedFile(Model):
    """A sealed PDF. `documentId` is null for the certificate of completion."""

    document_id: str | None
    sha256: str = Field(pattern=_DIGEST, description="Of the file, which the log names.")
    download_url: str | None = Field(
        description="Works for a while, and without credentials: whoever has it has the file. Null where the caller may not have it."
    )


class Execution(Model):
    """How the files of an envelope stand. Those that are there are listed, also while others wait."""

    envelope_id: str
    mode: Mode
    status: Literal["not-completed", "waiting", "done", "failed"] = Field(
        description="`failed`: not tried again by itself. The signatures stand whatever this says."
    )
    reason: str | None = Field(description="Why it failed or waits, as a code; null where nothing stands in the way.")
    detail: str | None = Field(description="The same in words.")
    next_attempt_at: str | None = Field(description="While it waits: when it is tried next, RFC 3339 in UTC with microseconds.")
    documents: list[ExecutedFile]
    certificate: ExecutedFile | None


@router.get("/{id}", summary="The executed documents and the certificate", **documented(200, Execution, ANYONE, 404))
async def show(request: Request, id: Annotated[str, Path(description=DESCRIPTION)]) -> Response:
    """Where to download the sealed files of a completed envelope. Who sees them: whoever sees the timeline."""
    found, deps = await visible(request, id), deps_of(request)
    envelope = await deps.ledger.state(Envelope, found.envelope)
    if envelope is None:
        raise EnvelopeNotFound(found.envelope)
    row = await deps.executions.state(found.envelope)
    shown = await _shown(deps, await anyone(request), found, envelope, row)
    response = send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))
    if shown.status == "waiting" and (seconds := missing(row, deps.clock.now()).retry_after) is not None:
        response.headers["retry-after"] = str(seconds)
    return response


async def _shown(deps: Deps, caller: Caller, found: Timeline, envelope: Envelope, row: ExecutionRow | None) -> Execution:
    own = await sees(deps, caller, found)
    status = _status(envelope, row)

    def file(document: UUID | None, digest: str, name: str, *, seen: bool) -> ExecutedFile:
        url = deps.urls.download(digest, f"{found.envelope}-{name}.pdf", caller.actor) if seen else None
        return ExecutedFile(document_id=None if document is None else str(document), sha256=digest, download_url=url)

    return Execution(
        envelope_id=str(found.envelope),
        mode=envelope.mode,
        status=status,
        reason=None if row is None else row.reason,
        detail=None if row is None else row.sentence,
        next_attempt_at=format_time(row.next_attempt_at) if row is not None and status == "waiting" else None,
        documents=[
            file(each.id, digest, f"{number}-signed", seen=own is None or each.id in own.documents)
            for number, each in enumerate(envelope.documents, 1)
            if (digest := envelope.executed.get(each.id)) is not None
        ],
        # It tells of everybody who signs, as nobody who only signs is told.
        certificate=None if envelope.certificate is None else file(None, envelope.certificate, "certificate", seen=own is None),
    )


def _status(envelope: Envelope, row: ExecutionRow | None) -> Literal["not-completed", "waiting", "done", "failed"]:
    if envelope.status is not EnvelopeStatus.COMPLETED:
        return "not-completed"
    if envelope.certificate is not None and len(envelope.executed) == len(envelope.documents):
        return "done"  # the log says so, whatever is noted
    return "failed" if row is not None and row.status is ExecutionStatus.FAILED else "waiting"
