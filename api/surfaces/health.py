"""`/health` and `/ready`: is the process running, and can it reach its database.

As on Safeclose's overview page, whose probes they are; other surfaces document none.
"""

import asyncio
import logging
from datetime import UTC
from typing import Final, Literal

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from api.deps import DatabaseUnavailable, Deps

log = logging.getLogger(__name__)

#: A probe that waits longer than its caller says nothing; orchestrators wait one second by default.
READY_TIMEOUT_SECONDS: Final = 0.8

#: Clients compare it to find out whether a base URL is right.
SERVICE: Final = "safeclose-api"

_UNCACHED: Final = {"Cache-Control": "no-store"}


class Health(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {"ok": True, "service": SERVICE, "ts": "2026-04-27T00:00:00.000Z"}})

    ok: Literal[True]
    service: Literal["safeclose-api"]
    ts: str


class Ready(BaseModel):
    ready: bool


class _Probe:
    """Asks the database, one question at a time however many ask: a database that hangs costs one connection."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._asking: asyncio.Task[bool] | None = None

    async def reachable(self, timeout_seconds: float) -> bool:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="countersign-ready")
        # The question is not cancelled, which would itself wait for the database: it is left to its own end.
        await asyncio.wait({self._asking}, timeout=timeout_seconds)
        return self._asking.done() and not self._asking.cancelled() and self._asking.result()

    async def _ask(self) -> bool:
        try:
            async with self._deps.reads.connection(timeout=READY_TIMEOUT_SECONDS) as connection:
                found = await connection.execute("SELECT position FROM log_head")
                return await found.fetchone() is not None
        except Exception as err:
            # Whatever the reason, the answer is that it is not ready.
            log.warning("not ready: %s", err, exc_info=not isinstance(err, DatabaseUnavailable))
            return False


def build(deps: Deps) -> FastAPI:
    """The probes as an application of their own, without authentication."""
    app = FastAPI(
        title="Countersign probes", summary="Whether the service runs, and whether it is ready.", docs_url=None, redoc_url=None
    )
    probe = _Probe(deps)

    @app.head("/health", include_in_schema=False)
    @app.get("/health", summary="Whether the process runs", response_model=Health)
    async def health() -> JSONResponse:
        now = deps.clock.now().astimezone(UTC)
        ts = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return JSONResponse({"ok": True, "service": SERVICE, "ts": ts}, headers=_UNCACHED)

    @app.head("/ready", include_in_schema=False)
    @app.get(
        "/ready",
        summary="Whether the database is reachable",
        response_model=Ready,
        responses={503: {"model": Ready, "description": "The database cannot be reached."}},
    )
    async def ready() -> JSONResponse:
        reachable = await probe.reachable(READY_TIMEOUT_SECONDS)
        return JSONResponse({"ready": reachable}, 200 if reachable else 503, headers=_UNCACHED)

    return app
