#!/usr/bin/env python3
"""The peer of `bench_http.py`: completing a session as one would write it by hand with FastAPI and psycopg.

It checks the token, updates one row and inserts one audit row, in one transaction: what a signing service without a ledger does.
"""

import argparse
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

SCHEMA = """
    CREATE TABLE sessions (
        id uuid PRIMARY KEY,
        envelope uuid NOT NULL,
        token_hash text NOT NULL,
        status text NOT NULL DEFAULT 'pending',
        completed_at timestamptz
    );
    CREATE TABLE audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        session uuid NOT NULL,
        event text NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        ip text,
        user_agent text,
        data jsonb NOT NULL
    );
    CREATE INDEX audit_by_session ON audit (session)"""


class Completion(BaseModel):
    """The body of a completion."""

    electronic_signature_text: Annotated[str, Field(min_length=1, max_length=2000)]


class Completed(BaseModel):
    """The answer to a completion."""

    id: UUID
    envelope: UUID
    status: str
    signed_at: float
    audit_id: int


def build(url: str, pool_size: int) -> FastAPI:
    """The application; `url` is that of a database with SCHEMA."""
    pool = AsyncConnectionPool(url, min_size=pool_size, max_size=pool_size, open=False)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/sessions/{id}/complete")
    async def complete(id: UUID, body: Completion, request: Request, x_session_token: Annotated[str, Header()]) -> Completed:
        token_hash = sha256(x_session_token.encode()).hexdigest()
        ip = request.client.host if request.client else None
        async with pool.connection() as connection:  # one transaction, committed at the end of the block
            found = await connection.execute(
                "UPDATE sessions SET status = 'completed', completed_at = now() WHERE id = %s AND token_hash = %s AND status = 'pending'"
                " RETURNING envelope, completed_at",
                (id, token_hash),
            )
            row: Any = await found.fetchone()
            if row is None:
                raise HTTPException(409, "There is no pending session with this token.")
            written = await connection.execute(
                "INSERT INTO audit (session, event, ip, user_agent, data) VALUES (%s, 'completed', %s, %s, %s) RETURNING id",
                (id, ip, request.headers.get("user-agent"), json.dumps({"attestation": body.electronic_signature_text})),
            )
            audit: Any = await written.fetchone()
        return Completed(id=id, envelope=row[0], status="completed", signed_at=row[1].timestamp(), audit_id=audit[0])

    return app


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
