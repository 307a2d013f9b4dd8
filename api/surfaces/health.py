"""`/health` and `/ready`: is the process running, and can it reach its database.

As on Safeclose's overview page, whose probes they are; other surfaces document none. Of our own is what `/health` adds when
the ledger's checkpoints are not signed any more, and while completed envelopes are without their files.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Final, Generic, Literal, TypeVar

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Alarm, Counts, DatabaseUnavailable, Deps

log = logging.getLogger(__name__)

T = TypeVar("T")

#: A probe that waits longer than its caller says nothing; orchestrators wait one second by default.
READY_TIMEOUT_SECONDS: Final = 0.8

#: What is said beside must not keep the process from saying that it runs.
ADDED_TIMEOUT_SECONDS: Final = 0.2

#: Clients compare it to find out whether a base URL is right.
SERVICE: Final = "safeclose-api"

_UNCACHED: Final = {"Cache-Control": "no-store"}


class Unexecuted(BaseModel):
    """Completed envelopes whose files are not all there."""

    waiting: int
    failed: int = Field(description="Not tried again by themselves; `countersign execute` lists the reasons.")


class Health(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {"ok": True, "service": SERVICE, "ts": "2026-04-27T00:00:00.000Z"}})

    ok: Literal[True]
    service: Literal["safeclose-api"]
    ts: str
    alarm: str | None = Field(None, description="There only when the ledger's checkpoints are not signed any more: why.")
    executions: Unexecuted | None = Field(None, description="There only while completed envelopes are without their files.")


class Ready(BaseModel):
    ready: bool


class _Probe(Generic[T]):
    """Asks the database, one question at a time however many ask: a database that hangs costs one connection."""

    def __init__(self, question: Callable[[], Awaitable[T]]) -> None:
        self._question = question
        self._asking: asyncio.Task[T | None] | None = None

    async def ask(self, timeout_seconds: float) -> T | None:
        """The answer, None if there is none in time."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="countersign-probe")
        # The question is not cancelled, which would itself wait for the database: it is left to its own end.
        await asyncio.wait({self._asking}, timeout=timeout_seconds)
        return self._asking.result() if self._asking.done() and not self._asking.cancelled() else None

    async def _ask(self) -> T | None:
        try:
            return await self._question()
        except Exception as err:
            # Whatever the reason, the answer is that there is none.
            log.warning("the database does not answer: %s", err, exc_info=not isinstance(err, DatabaseUnavailable))
            return None


def build(deps: Deps) -> FastAPI:
    """The probes as an application of their own, without authentication."""
    app = FastAPI(
        title="Countersign probes", summary="Whether the service runs, and whether it is ready.", docs_url=None, redoc_url=None
    )

    async def reachable() -> bool:
        async with deps.reads.connection(timeout=READY_TIMEOUT_SECONDS) as connection:
            found = await connection.execute("SELECT position FROM log_head")
            return await found.fetchone() is not None

    async def alarm() -> Alarm | None:
        return await deps.sealed.alarm()

    async def unexecuted() -> Counts:
        return await deps.executions.counts()

    reached, alarmed, executed = _Probe(reachable), _Probe(alarm), _Probe(unexecuted)

    @app.head("/health", include_in_schema=False)
    @app.get("/health", summary="Whether the process runs", response_model=Health)
    async def health() -> JSONResponse:
        now = deps.clock.now().astimezone(UTC)
        ts = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        raised, counted = await asyncio.gather(alarmed.ask(ADDED_TIMEOUT_SECONDS), executed.ask(ADDED_TIMEOUT_SECONDS))
        said: dict[str, object] = {} if raised is None else {"alarm": f"Checkpoints are not signed: {raised.reason}."}
        if counted is not None and (counted.waiting or counted.failed):
            said["executions"] = {"waiting": counted.waiting, "failed": counted.failed}
        return JSONResponse({"ok": True, "service": SERVICE, "ts": ts, **said}, headers=_UNCACHED)

    @app.head("/ready", include_in_schema=False)
    @app.get(
        "/ready",
        summary="Whether the database is reachable",
        response_model=Ready,
        responses={503: {"model": Ready, "description": "The database cannot be reached."}},
    )
    async def ready() -> JSONResponse:
        answered = await reached.ask(READY_TIMEOUT_SECONDS) is True
        return JSONResponse({"ready": answered}, 200 if answered else 503, headers=_UNCACHED)

    return app
