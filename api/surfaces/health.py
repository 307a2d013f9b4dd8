"""`/health` and `/ready`: is the process running, and can it reach its database.

As on Safeclose's overview page, whose probes they are; other surfaces document none. Of our own is what `/health` adds when
the ledger's checkpoints are not signed any more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Final, Generic, Literal, TypeVar

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Alarm, DatabaseUnavailable, Deps

log = logging.getLogger(__name__)

T = TypeVar("T")

#: A probe that waits longer than its caller says nothing; orchestrators wait one second by default.
READY_TIMEOUT_SECONDS: Final = 0.8

#: What is said of the ledger's checkpoints must not keep the process from saying that it runs.
ALARM_TIMEOUT_SECONDS: Final = 0.2

#: Clients compare it to find out whether a base URL is right.
SERVICE: Final = "safeclose-api"

_UNCACHED: Final = {"Cache-Control": "no-store"}


class Health(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {"ok": True, "service": SERVICE, "ts": "2026-04-27T00:00:00.000Z"}})

    ok: Literal[True]
    service: Literal["safeclose-api"]
    ts: str
    alarm: str | None = Field(None, description="There only when the ledger's checkpoints are not signed any more: why.")


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

    reached, alarmed = _Probe(reachable), _Probe(alarm)

    @app.head("/health", include_in_schema=False)
    @app.get("/health", summary="Whether the process runs", response_model=Health)
    async def health() -> JSONResponse:
        now = deps.clock.now().astimezone(UTC)
        ts = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        raised = await alarmed.ask(ALARM_TIMEOUT_SECONDS)
        said = {} if raised is None else {"alarm": f"Checkpoints are not signed: {raised.reason}."}
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
