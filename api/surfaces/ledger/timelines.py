"""The log as it is: a process's or an envelope's timeline, and where the log ends."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.auth import UserCaller
from api.finding import DESCRIPTION, find_timeline
from api.http import json_answer, send_answer
from api.problems import Failed
from api.standing import may_see
from api.surfaces.ledger.access import ANYONE, anyone, deps_of
from api.surfaces.ledger.documentation import documented
from api.surfaces.ledger.models import Event, Head, Timeline
from domain.entry import format_time
from domain.ids import ProcessId, event_id
from projections import timeline
from projections.timeline import DamagedEntry, TimelineEntry

router = APIRouter(prefix="/v1/ledger", tags=["Log"])


@router.get("/timeline/{id}", summary="What happened, from the log itself", **documented(200, Timeline, ANYONE, 404))
async def show(request: Request, id: Annotated[str, Path(description=DESCRIPTION)]) -> Response:
    """The entries in the order of the log, each with the bytes that are hashed, so that anyone can recompute the chain.

    A person who signed in sees the envelopes that they are a signer of; a manager those of the locations where signings may be
    read, an admin all.
    """
    found = await visible(request, id)
    shown = Timeline(
        envelope_id=str(found.envelope),
        mode=found.mode,
        processes=sorted({name for entry in found.entries if (name := process_name(found.envelope, entry)) is not None}),
        events=[_event(found.envelope, entry) for entry in found.entries],
    )
    return send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))


@router.get("/head", summary="Where the log ends", **documented(200, Head, ANYONE))
async def head(request: Request) -> Response:
    """The whole ledger's head, of all tenants: every position up to it is taken, and none after it."""
    await anyone(request)
    async with deps_of(request).reads.connection() as connection:
        found = await timeline.head(connection)
    shown = Head(position=found.position, at=None if found.at is None else format_time(found.at))
    return send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))


async def visible(request: Request, id: str) -> timeline.Timeline:
    """What an id names, if whoever calls may see it; raises Failed 404 if not, 401, 500 for a damaged entry."""
    deps, caller = deps_of(request), await anyone(request)
    try:
        found = await find_timeline(deps, id)
    except DamagedEntry as err:
        raise Failed(500, "entry-damaged", f"The stored bytes at position {err.position} are not an entry any more.") from err
    if found is None or found.tenant != caller.tenant or found.mode is not caller.mode:
        raise _absent()
    if isinstance(caller, UserCaller) and not await may_see(deps, caller, found.envelope):
        raise _absent()
    return found


def _absent() -> Failed:
    return Failed(404, "not-found", "There is no such process or envelope.")


def process_name(envelope: UUID, entry: TimelineEntry) -> str | None:
    """The id of the process that an entry is of; None for one of the envelope itself."""
    return None if entry.stream == envelope else str(ProcessId(envelope, entry.stream))


def _event(envelope: UUID, entry: TimelineEntry) -> Event:
    return Event(
        event_id=event_id(entry.at, entry.leaf),
        type=entry.type,
        at=format_time(entry.at),
        stream=str(entry.stream),
        process_id=process_name(envelope, entry),
        version=entry.version,
        position=entry.position,
        hash=entry.leaf.hex(),
        previous_hash=entry.previous.hex(),
        entry=entry.raw,
    )
