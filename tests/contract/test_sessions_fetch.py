"""Fetching a session: by the organization's key or the session's own token, always as the log has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.surfaces.sessions import build
from domain.actor import Mode
from domain.coordination import CancelEnvelope, Participate
from domain.signing import ResendInvitation
from infrastructure.database import DatabaseUrls
from tests.running import Person, Running, client_of, in_loop, running

ANA = Person("Ana Pérez", "ana@example.com", number=1)
BO = Person("Bo Li", "bo@example.com", number=2)


@asynccontextmanager
async def opened(database: DatabaseUrls, folder: Path) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    async with running(database, folder) as run, client_of(build(run.deps)) as http:
        yield run, http


async def key_of(run: Running, mode: Mode = Mode.LIVE, tenant: str | None = None) -> dict[str, str]:
    owner = run.tenant if tenant is None else await run.deps.identity.create_tenant(tenant)
    _, secret = await run.deps.identity.create_organization_key(owner, mode)
    return {"Authorization": f"Bearer {secret}"}


async def shown(http: httpx.AsyncClient, session: str, headers: dict[str, str]) -> dict[str, Any]:
    response = await http.get(f"/v1/signing_sessions/{session}", headers=headers)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


@in_loop
async def test_key_and_token_show_the_same_session(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as (run, http):
        deadline = run.clock.now().replace(microsecond=0) + timedelta(days=3)
        sent = await run.send(ANA, mode=Mode.TEST, deadline=deadline)
        token = await run.token(sent.participants[0])
        by_key = await shown(http, sent.session, await key_of(run, Mode.TEST))
        assert by_key == await shown(http, sent.session, {"X-Signing-Session-Token": token})
        assert by_key == await shown(http, sent.session, {"Authorization": f"Bearer {token}"})
        assert by_key["status"] == "pending"
        assert by_key["livemode"] is False
        assert by_key["signature_token"] is None
        assert by_key["expires_at"] == int(deadline.timestamp())


@in_loop
async def test_a_session_without_an_invitation_is_pending_and_ends_with_the_deadline(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with opened(database, tmp_path) as (run, http):
        sent = await run.send(ANA, BO)
        second = await shown(http, f"sgs_{sent.participants[1].hex}", await key_of(run))
        assert (second["status"], second["expires_at"]) == ("pending", None)


@in_loop
async def test_what_is_shown_is_as_old_as_the_log_and_no_older(database: DatabaseUrls, tmp_path: Path) -> None:
    """Two processes on one database: what one appends, the other shows at once."""
    async with opened(database, tmp_path) as (run, http), running(database, tmp_path) as other:
        sent = await run.send(ANA)
        headers = await key_of(run)
        assert (await shown(http, sent.session, headers))["status"] == "pending"
        await other.handle(CancelEnvelope(sent.id))
        assert (await shown(http, sent.session, headers))["status"] == "cancelled"


@pytest.mark.parametrize(("over", "days"), [("deadline", 2), ("token", 31)])
@in_loop
async def test_what_has_run_out_is_expired_before_anybody_records_it(
    database: DatabaseUrls, tmp_path: Path, over: str, days: int
) -> None:
    async with opened(database, tmp_path) as (run, http):
        sent = await run.send(ANA, deadline=run.clock.now() + timedelta(days=1) if over == "deadline" else None)
        headers = await key_of(run)
        run.clock.offset = timedelta(days=days)
        assert (await shown(http, sent.session, headers))["status"] == "expired"
        if over == "token":
            fresh = run.deps.invitations.invitation(run.clock.now())
            await run.handle(Participate(sent.id, ResendInvitation(sent.participants[0], fresh)))
            assert (await shown(http, sent.session, headers))["status"] == "pending"


@in_loop
async def test_others_see_nothing(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as (run, http):
        sent = await run.send(ANA)
        other = await run.send(BO)
        cases: list[tuple[dict[str, str], int, str]] = [
            ({}, 401, "auth_missing_credentials"),
            ({"Authorization": "Bearer sk_live_nothing"}, 401, "auth_token_invalid"),
            (await key_of(run, tenant="Another Ltd"), 404, "not_found_resource"),
            (await key_of(run, Mode.TEST), 404, "not_found_in_mode"),
            ({"X-Signing-Session-Token": await run.token(other.participants[0])}, 403, "invalid_session_token"),
            ({"X-Signing-Session-Token": "sig_"}, 403, "invalid_session_token"),
        ]
        for headers, status, code in cases:
            response = await http.get(f"/v1/signing_sessions/{sent.session}", headers=headers)
            assert (response.status_code, response.json()["code"]) == (status, code)
        unknown = await http.get(f"/v1/signing_sessions/sgs_{sent.id.hex}", headers=await key_of(run))
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found_resource")
