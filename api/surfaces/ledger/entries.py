"""The log as a feed: every entry, in order and without a gap, for whoever keeps up with it."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from api.deps import DatabaseUnavailable, Deps
from api.http import json_answer, send_answer
from api.surfaces.ledger.access import MONITOR, deps_of, monitor
from api.surfaces.ledger.documentation import documented
from api.surfaces.ledger.models import Model
from api.surfaces.ledger.numbers import After, Limit, Wait, number
from projections import feed
from projections.feed import FeedEntry

router = APIRouter(prefix="/v1/ledger", tags=["Log"])

EVENTS: Final = "text/event-stream"

#: A line now and then keeps proxies from ending a stream in which nothing happens.
_HEARTBEAT_SECONDS: Final = 15.0
#: Entries read at a time for a stream.
_PORTION: Final = 200


class LogEntry(Model):
    """One entry. `hash` is SHA-256(0x00 || entry), its leaf in the tree at index `position` - 1."""

    position: int
    hash: str = Field(pattern="^[0-9a-f]{64}$")
    entry: str = Field(description="The bytes that are hashed, as text: canonical JSON (RFC 8785).")


class Entries(Model):
    """Entries one after the other. Ask again with `after` set to `next`."""

    entries: list[LogEntry]
    next: int = Field(description="The position of the last entry here; where there are none, what was asked for.")


_DOCUMENTED: Final = documented(200, Entries, MONITOR, 422)
_DOCUMENTED["responses"][200]["content"] = {EVENTS: {"schema": {"type": "string"}}}


@router.get("/entries", summary="Follow the log", **_DOCUMENTED)
async def entries(
    request: Request,
    after: After = None,
    limit: Limit = None,
    wait: Wait = None,
    last_event_id: Annotated[
        str | None, Header(description="With a stream: the position to go on after, which comes before `after`.")
    ] = None,
) -> Response:
    """All entries of the log, of all tenants; they hold no personal data. With `wait` the answer comes as soon as there is an entry.

    With `Accept: text/event-stream` they come as server-sent events: `id` is the position, `event` is `entry`, `data` is an entry as in
    the list. A client that connects again says by `Last-Event-ID` where it was, and misses nothing.
    """
    await monitor(request)
    deps = deps_of(request)
    start = number("after", after, default=0)
    if EVENTS in request.headers.get("accept", ""):
        if last_event_id:
            start = number("Last-Event-ID", last_event_id)
        return StreamingResponse(
            _events(deps, start), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, media_type=EVENTS
        )
    most, seconds = number("limit", limit, least=1, most=1000, default=100), number("wait", wait, most=30, default=0)
    found = await _after(deps, start, most)
    if not found and seconds and await deps.tail.wait(start, seconds):
        found = await _after(deps, start, most)
    shown = Entries(entries=[_shown(each) for each in found], next=found[-1].position if found else start)
    return send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))


async def _after(deps: Deps, position: int, limit: int) -> Sequence[FeedEntry]:
    async with deps.reads.connection() as connection:
        return await feed.after(connection, position, limit)


def _shown(entry: FeedEntry) -> LogEntry:
    return LogEntry(position=entry.position, hash=entry.leaf.hex(), entry=entry.raw.decode(errors="replace"))


async def _events(deps: Deps, position: int) -> AsyncIterator[str]:
    """Until the client goes, the process ends, or the database is out of reach: then the client comes back by itself."""
    yield ": the log, entry by entry\n\n"
    while not deps.tail.ended:
        try:
            found = await _after(deps, position, _PORTION)
        except DatabaseUnavailable:
            return
        for entry in found:
            data = json.dumps(_shown(entry).model_dump(mode="json", by_alias=True), ensure_ascii=False, separators=(",", ":"))
            yield f"id: {entry.position}\nevent: entry\ndata: {data}\n\n"
            position = entry.position
        if not found and not await deps.tail.wait(position, _HEARTBEAT_SECONDS):
            yield ": nothing yet\n\n"
