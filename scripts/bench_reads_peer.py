#!/usr/bin/env python3
"""The peer of `bench_reads.py`: envelopes as one would show them by hand with FastAPI and psycopg, from the same rows.

It looks the credential up and answers what stands in the row: no people, nothing decrypted, no wait for the newest write.
"""

import argparse
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Query
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

SCHEMA = "CREATE TABLE peer_keys (hash text PRIMARY KEY, tenant uuid NOT NULL, mode text NOT NULL)"

_SELECT = """
    SELECT e.id, e.status, e.order_mode, e.created_at, e.updated_at, e.sent_at, e.deadline, e.participants, e.completed, e.documents,
        e.created_position
    FROM read.envelopes AS e
    WHERE e.tenant = (SELECT tenant FROM peer_keys WHERE hash = %(hash)s) AND e.mode = (SELECT mode FROM peer_keys WHERE hash = %(hash)s)"""


class Envelope(BaseModel):
    """A row of the read model."""

    id: UUID
    status: str
    order_mode: str
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    deadline: datetime | None
    participants: list[UUID]
    completed: int
    documents: list[dict[str, Any]]
    created_position: int


class Page(BaseModel):
    """Envelopes, newest first; `next` is for `after`."""

    data: list[Envelope]
    next: int | None


def build(url: str, pool_size: int) -> FastAPI:
    """The application; `url` is that of a database with SCHEMA and our read models."""
    pool = AsyncConnectionPool(url, min_size=pool_size, max_size=pool_size, open=False)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with pool:
            yield

    app = FastAPI(lifespan=lifespan)

    async def rows(condition: str, **values: object) -> list[Envelope]:
        async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(f"{_SELECT} {condition}".encode(), values)
            return [Envelope.model_validate(row) for row in await cursor.fetchall()]

    @app.get("/envelopes/{id}")
    async def get(id: UUID, authorization: Annotated[str, Header()]) -> Envelope:
        found = await rows("AND e.id = %(id)s", hash=_hash(authorization), id=id)
        if not found:
            raise HTTPException(404, "There is no such envelope.")
        return found[0]

    @app.get("/envelopes")
    async def index(
        authorization: Annotated[str, Header()], limit: Annotated[int, Query(ge=1, le=100)] = 20, after: int | None = None
    ) -> Page:
        place = "" if after is None else "AND e.created_position < %(after)s"
        order = f"{place} ORDER BY e.created_position DESC LIMIT %(limit)s"
        found = await rows(order, hash=_hash(authorization), after=after, limit=limit + 1)
        return Page(data=found[:limit], next=found[limit - 1].created_position if len(found) > limit else None)

    return app


def _hash(authorization: str) -> str:
    return sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", help="connection string")
    parser.add_argument("--pool", type=int, default=16, help="connections (default: 16)")
    options = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = uvicorn.Server(
        uvicorn.Config(build(options.database, options.pool), access_log=False, server_header=False, log_level="warning")
    )
    print(f"listening on http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()
