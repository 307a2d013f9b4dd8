"""Receipts to take away: where the streams of a process or of an envelope end now."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.finding import DESCRIPTION
from api.http import json_answer, send_answer
from api.surfaces.ledger.access import ANYONE, deps_of
from api.surfaces.ledger.documentation import documented
from api.surfaces.ledger.models import Heads, StreamHead
from api.surfaces.ledger.timelines import process_name, visible
from domain.entry import format_time
from domain.receipt import ReceiptText, format_receipt

router = APIRouter(prefix="/v1/ledger", tags=["Log"])


@router.get("/heads/{id}", summary="Where a process or an envelope ends", **documented(200, Heads, ANYONE, 404))
async def heads(request: Request, id: Annotated[str, Path(description=DESCRIPTION)]) -> Response:
    """Each with the receipt to keep. Who sees them: whoever sees the timeline."""
    found = await visible(request, id)
    ledger = deps_of(request).recorder.ledger
    last = {entry.stream: entry for entry in found.entries}
    shown = Heads(
        ledger=ledger,
        envelope_id=str(found.envelope),
        mode=found.mode,
        heads=[
            StreamHead(
                stream=str(entry.stream),
                process_id=process_name(found.envelope, entry),
                version=entry.version,
                position=entry.position,
                hash=entry.leaf.hex(),
                at=format_time(entry.at),
                receipt=format_receipt(ReceiptText(ledger, entry.stream, entry.version, entry.position, entry.leaf)),
            )
            for entry in sorted(last.values(), key=lambda entry: -entry.position)
        ],
    )
    return send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))
