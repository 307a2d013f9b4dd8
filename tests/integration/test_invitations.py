"""Invitations from the log to the mailbox, with a fact for what came of each, whatever breaks in between."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api.surfaces.sessions import build
from domain.actor import Actor
from domain.coordination import CancelEnvelope, Participate
from domain.entry import decode
from domain.errors import Conflict
from domain.personal import person
from domain.receipt import Standing, compare_with_entries, parse_receipt
from domain.signing import ResendInvitation
from infrastructure.aggregates import Command
from infrastructure.append import Answer, RecorderUnavailable
from infrastructure.database import DatabaseUrls, connect
from infrastructure.invitations import Invitations, Sender
from infrastructure.ledger import Key, Ledger, Render
from infrastructure.mail import Mailer, MailUnavailable, OutboxMailer, SmtpMailer, SmtpServer
from infrastructure.retries import Retry
from infrastructure.secrets import token_hash
from tests.conftest import ORIGIN
from tests.mail_server import MailServer, line, mail_server
from tests.running import BASE_URL, PARTNER, Person, Running, client_of, in_loop, running

ANA = Person("Ana Pérez", "ana@example.com", number=1)
BO = Person("Bo Li", "bo@example.com", number=2)
ROOT = Path(__file__).parents[2]


def invitations(run: Running, mailer: Mailer, *, ledger: Ledger | None = None, retry: Retry | None = None) -> Invitations:
    deps = run.deps
    return Invitations(
        run.urls.service,
        run.listener,
        deps.reads,
        deps.recorder,
        ledger or deps.ledger,
        deps.vault,
        deps.invitations,
        mailer,
        deps.clock,
        Sender(BASE_URL, "noreply@sign.example", ORIGIN),
        retry=retry,
    )


@asynccontextmanager
async def sending(run: Running, mailer: Mailer, **more: Any) -> AsyncIterator[None]:
    """Sends while the block runs."""
    stop = asyncio.Event()
    task = asyncio.create_task(invitations(run, mailer, **more).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


def smtp(server: MailServer) -> SmtpMailer:
    return SmtpMailer(SmtpServer("127.0.0.1", server.port, "none", timeout_seconds=5))


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Waits for a condition, which may be a coroutine's."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Row:
    status: str
    attempts: int
    error: str | None


def rows(database: DatabaseUrls) -> list[Row]:
    """The deliveries, in the order of the log."""
    with connect(database.owner) as conn:
        found = conn.execute("SELECT status, attempts, error FROM deliveries ORDER BY position").fetchall()
    return [Row(*row) for row in found]


async def settled(database: DatabaseUrls, count: int = 1) -> list[Row]:
    await until(lambda: len([row for row in rows(database) if row.status != "waiting"]) >= count)
    return rows(database)


async def bounce_reason(run: Running, signing: UUID) -> str:
    entries = [decode(entry.raw) for entry in await run.deps.recorder.read_stream(signing)]
    (bounced,) = [entry for entry in entries if entry.type == "signing.invitation-bounced/1"]
    assert bounced.by == {"kind": "follower", "id": "invitations"}
    return str(bounced.data["reason"])


# What is sent


@in_loop
async def test_an_invitation_arrives_with_the_token_whose_hash_is_in_the_log(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path, tenant="Example Ltd") as run, mail_server() as server:
        sent = await run.send(ANA, documents=2, subject="Lease", message="Please read\nfirst")
        async with sending(run, smtp(server)):
            await settled(database)
        (message,) = server.messages
        signing = await run.signing(sent.participants[0])
        assert signing.invitation is not None
        assert token_hash(line(message, "Token")) == signing.invitation.token_sha256
        assert line(message, "Session") == sent.session
        assert message["Subject"] == "Example Ltd asks you to sign 2 documents: Lease"
        assert message["To"].addresses[0].addr_spec == "ana@example.com"
        entries = await run.deps.recorder.read_stream(sent.participants[0])
        receipt = parse_receipt(line(message, "Receipt"))
        kept = {(entry.stream, entry.version): (entry.position, entry.leaf) for entry in entries}
        assert compare_with_entries(receipt, kept, entries[-1].position, ledger=ORIGIN).standing is Standing.PREFIX
        assert entries[receipt.version - 1].type == "signing.invited/1"
        delivered = decode(entries[-1].raw)
        assert delivered.type == "signing.invitation-delivered/1"
        assert delivered.data == {"invitation": str(signing.invitation.id), "channel": "email"}
        assert rows(database) == [Row("delivered", 1, None)]


@in_loop
async def test_the_second_of_two_is_invited_when_the_first_has_signed(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, mail_server() as server, client_of(build(run.deps)) as http:
        async with sending(run, smtp(server)):
            await run.send(ANA, BO)
            await settled(database)
            assert server.recipients == [["ana@example.com"]]
            for number in (1, 2):
                await settled(database, number)
                message = server.messages[-1]
                response = await http.post(
                    f"/v1/signing_sessions/{line(message, 'Session')}/complete",
                    json={"electronic_signature_text": "I sign"},
                    headers={"X-Signing-Session-Token": line(message, "Token")},
                )
                assert response.status_code == 200, response.text
                if number == 1:
                    await until(lambda: len(server.messages) == 2)
        assert response.json()["envelope_status"] == "completed"
        assert server.recipients == [["ana@example.com"], ["bo@example.com"]]


@in_loop
async def test_what_is_sent_again_has_a_new_token_and_the_old_one_is_not_sent_any_more(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as run, mail_server() as server:
        sent = await run.send(ANA)
        fresh = run.deps.invitations.invitation(run.clock.now())
        await run.handle(Participate(sent.id, ResendInvitation(sent.participants[0], fresh)))
        async with sending(run, smtp(server)):
            await settled(database, 2)
        (message,) = server.messages
        assert line(message, "Token") == run.deps.invitations.token(fresh.id)
        assert rows(database) == [Row("void", 1, "superseded"), Row("delivered", 1, None)]


@pytest.mark.parametrize("end", ["cancelled", "late"])
@in_loop
async def test_what_has_ended_is_not_invited_to(database: DatabaseUrls, tmp_path: Path, end: str) -> None:
    async with running(database, tmp_path) as run, mail_server() as server:
        sent = await run.send(ANA, deadline=run.clock.now() + timedelta(hours=1))
        if end == "cancelled":
            await run.handle(CancelEnvelope(sent.id))
        else:
            run.clock.offset = timedelta(hours=2)
        async with sending(run, smtp(server)):
            assert await settled(database) == [Row("void", 1, "ended")]
        assert not server.messages


@in_loop
async def test_the_outbox_takes_the_place_of_a_server(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run:
        sent = await run.send(ANA)
        async with sending(run, OutboxMailer(tmp_path / "outbox")):
            await settled(database)
        (file,) = (tmp_path / "outbox").iterdir()
        message = message_from_bytes(file.read_bytes(), policy=policy.default)
        assert line(message, "Token") == await run.token(sent.participants[0])
        assert str(sent.participants[0]) in file.name


@in_loop
async def test_many_are_invited_once_each_by_several_processes(database: DatabaseUrls, tmp_path: Path) -> None:
    people = [Person(f"P{n}", f"p{n}@example.com") for n in range(40)]
    async with running(database, tmp_path) as run, running(database, tmp_path) as other, mail_server() as server:
        sent = await run.send(*people)
        async with sending(run, smtp(server)), sending(other, smtp(server)):
            await settled(database, 40)
        assert sorted(to for (to,) in server.recipients) == sorted(str(one.email) for one in people)
        for participant in sent.participants:
            assert (await run.types(participant)).count("invitation-delivered") == 1


# What cannot be sent


@pytest.mark.parametrize(
    ("who", "reply", "reason", "error"),
    [
        (Person("No address", None, "+4915112345678"), None, "no-address", "no-address"),
        (Person("Nonsense", "not an address"), None, "no-address", "no-address"),
        (ANA, "550 5.1.1 ana@example.com unknown", "refused", "refused 550"),
    ],
)
@in_loop
async def test_what_cannot_be_delivered_bounces_with_its_reason(
    database: DatabaseUrls, tmp_path: Path, who: Person, reply: str | None, reason: str, error: str
) -> None:
    async with running(database, tmp_path) as run, mail_server() as server:
        if reply is not None:
            server.refuse["ana@example.com"] = reply
        sent = await run.send(who)
        async with sending(run, smtp(server)):
            assert await settled(database) == [Row("bounced", 1, error)]
        assert await bounce_reason(run, sent.participants[0]) == reason
        assert not server.messages


@in_loop
async def test_who_was_erased_is_not_written_to(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, mail_server() as server:
        sent = await run.send(ANA)
        await run.deps.ledger.erase(person(run.tenant, email=ANA.email, otherwise=sent.id), "request", PARTNER)
        async with sending(run, smtp(server)):
            await settled(database)
        assert await bounce_reason(run, sent.participants[0]) == "erased"
        assert not server.messages


@in_loop
async def test_a_bounce_is_no_end_and_a_resend_reaches_a_mended_mailbox(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, mail_server() as server:
        server.refuse["ana@example.com"] = "550 unknown"
        sent = await run.send(ANA)
        async with sending(run, smtp(server)):
            await settled(database)
            server.refuse.clear()
            fresh = run.deps.invitations.invitation(run.clock.now())
            await run.handle(Participate(sent.id, ResendInvitation(sent.participants[0], fresh)))
            await settled(database, 2)
        assert [row.status for row in rows(database)] == ["bounced", "delivered"]


@in_loop
async def test_a_server_that_is_busy_is_asked_again_later_and_later(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, mail_server() as server:
        server.refuse["ana@example.com"] = "450 4.2.1 ana@example.com is busy"
        await run.send(ANA)

        def postponed(attempts: int, pause_seconds: int) -> bool:
            latest = run.clock.now() + timedelta(seconds=pause_seconds)
            with connect(database.owner) as conn:
                found = conn.execute("SELECT attempts, error, next_attempt_at <= %s FROM deliveries", [latest]).fetchall()
            return found == [(attempts, "reply 450", True)]

        async with sending(run, smtp(server)):
            for attempt, pause in ((1, 10), (2, 30), (3, 90)):
                await until(lambda attempt=attempt, pause=pause: postponed(attempt, pause))  # type: ignore[misc]
                run.clock.offset += timedelta(seconds=pause - 5)
                await asyncio.sleep(0.3)
                assert rows(database)[0].attempts == attempt
                if attempt == 3:
                    server.refuse.clear()
                run.clock.offset += timedelta(seconds=6)
            assert await settled(database) == [Row("delivered", 4, None)]
        assert len(server.messages) == 1


@in_loop
async def test_after_the_last_attempt_the_participant_is_unreachable(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, mail_server() as server:
        server.refuse["ana@example.com"] = "450 busy"
        sent = await run.send(ANA)
        async with sending(run, smtp(server), retry=Retry(first=timedelta(milliseconds=1), factor=1, attempts=3)):
            assert await settled(database) == [Row("bounced", 3, "unreachable")]
        assert await bounce_reason(run, sent.participants[0]) == "unreachable"


@in_loop
async def test_no_address_and_no_token_stand_in_the_table_or_the_log_file(
    database: DatabaseUrls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "infrastructure")
    async with running(database, tmp_path) as run, mail_server() as server:
        server.refuse = {"ana@example.com": "550 5.1.1 <ana@example.com> unknown", "bo@example.com": "450 <bo@example.com> busy"}
        sent = await run.send(Person("A", "ana@example.com"), Person("B", "bo@example.com"))
        async with sending(run, smtp(server)):
            await until(lambda: [bool(row.error) for row in rows(database)] == [True, True])
        with connect(database.owner) as conn:
            table = str(conn.execute("SELECT d::text FROM deliveries d").fetchall())
        tokens = [await run.token(participant) for participant in sent.participants]
    assert caplog.text.count("invitation") >= 2
    for secret in ("ana@", "bo@", *tokens):
        assert secret not in table
        assert secret not in caplog.text


# What breaks


class FaultyLedger(Ledger):
    """Fails the first reports: before they are appended, or after, when nobody hears of it."""

    def __init__(self, run: Running, failures: list[tuple[str, Exception]]) -> None:
        super().__init__(run.deps.recorder, run.deps.vault, run.deps.invitations, run.deps.clock)
        self._failures = failures

    async def handle(self, command: Command, by: Actor, render: Render, *, key: Key | None = None, credits: int = 0) -> Answer:
        when, failure = self._failures.pop(0) if self._failures else ("never", Exception())
        if when == "before":
            raise failure
        answer = await super().handle(command, by, render, key=key, credits=credits)
        if when == "after":
            raise failure
        return answer


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("failure", [RecorderUnavailable("lost"), Conflict()])
@in_loop
async def test_a_report_that_fails_or_seems_to_is_made_once_and_the_message_sent_once(
    database: DatabaseUrls, tmp_path: Path, when: str, failure: Exception
) -> None:
    async with running(database, tmp_path) as run, mail_server() as server:
        sent = await run.send(ANA)
        async with sending(run, smtp(server), ledger=FaultyLedger(run, [(when, failure)] * 2)):
            assert await settled(database) == [Row("delivered", 1, None)]
        assert len(server.messages) == 1
        assert (await run.types(sent.participants[0])).count("invitation-delivered") == 1


@pytest.mark.parametrize("when", ["before", "after"])
@in_loop
async def test_a_report_that_cannot_be_made_for_long_is_made_later(database: DatabaseUrls, tmp_path: Path, when: str) -> None:
    """If it was recorded after all, no second message is sent; if it was not, the same one is."""
    async with running(database, tmp_path) as run, mail_server() as server:
        sent = await run.send(ANA)
        faults: list[tuple[str, Exception]] = [(when, RecorderUnavailable("lost"))] * 4
        async with sending(run, smtp(server), ledger=FaultyLedger(run, faults)):
            await until(lambda: rows(database) == [Row("waiting", 1, "internal")])
            run.clock.offset += timedelta(seconds=11)
            await settled(database)
        assert len(server.messages) == (2 if when == "before" else 1)
        assert len({(message["Message-ID"], line(message, "Token")) for message in server.messages}) == 1
        assert (await run.types(sent.participants[0])).count("invitation-delivered") == 1


class LateMailer:
    """Fails the first messages after they were handed over: the connection breaks before the reply."""

    def __init__(self, mailer: Mailer, failures: int) -> None:
        self._mailer = mailer
        self._failures = failures

    async def send(self, message: EmailMessage, name: str) -> None:
        await self._mailer.send(message, name)
        if self._failures:
            self._failures -= 1
            raise MailUnavailable("SMTPServerDisconnected")


@in_loop
async def test_a_message_that_only_seems_to_fail_is_sent_again_as_the_same(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, mail_server() as server:
        sent = await run.send(ANA)
        async with sending(run, LateMailer(smtp(server), 1), retry=Retry(first=timedelta(milliseconds=1))):
            await settled(database)
        first, second = server.messages
        assert first["Message-ID"] == second["Message-ID"]
        assert line(first, "Token") == line(second, "Token") == await run.token(sent.participants[0])
        assert (await run.types(sent.participants[0])).count("invitation-delivered") == 1


def start(database: DatabaseUrls, port: int, ahead_seconds: float = 0) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", "tests.integration.inviting_process", database.service, str(port), str(ahead_seconds)]
    return subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("accepted", [True, False])
@in_loop
async def test_a_process_killed_between_message_and_fact_leaves_both_to_the_next(
    database: DatabaseUrls, tmp_path: Path, accepted: bool
) -> None:
    """Killed once the message is at the server: accepted, or dropped because nobody waits for the reply."""
    async with running(database, tmp_path) as run, mail_server() as server:
        sent = await run.send(ANA)
        child = start(database, server.port)
        seen: list[EmailMessage] = []

        def kill(message: EmailMessage) -> str | None:
            seen.append(message)
            os.kill(child.pid, signal.SIGKILL)
            return None if accepted else "451 the client has gone"

        server.on_message = kill
        assert await asyncio.to_thread(child.wait, 30) == -signal.SIGKILL
        await until(lambda: len(seen) == 1)
        server.on_message = seen.append
        assert (await run.types(sent.participants[0]))[-1] == "invited"
        assert rows(database) == [Row("waiting", 1, None)]

        # The lease of the attempt that was cut off has to end first.
        child = start(database, server.port, 400)
        try:
            await settled(database)
        finally:
            child.kill()
            await asyncio.to_thread(child.wait)
        assert rows(database) == [Row("delivered", 2, None)]
        assert len(seen) == 2
        assert seen[0]["Message-ID"] == seen[1]["Message-ID"]
        assert line(seen[0], "Token") == line(seen[1], "Token")
        assert (await run.types(sent.participants[0])).count("invitation-delivered") == 1


@in_loop
async def test_a_process_killed_at_any_moment_loses_no_invitation(database: DatabaseUrls, tmp_path: Path) -> None:
    people = [Person(f"P{n}", f"p{n}@example.com") for n in range(30)]
    async with running(database, tmp_path) as run, mail_server() as server:
        sent = await run.send(*people)
        for round_number, mark in enumerate((3, 10, 17)):
            child = start(database, server.port, round_number * 400)

            def kill_at(message: EmailMessage, mark: int = mark, child: subprocess.Popen[bytes] = child) -> None:
                if len(server.messages) >= mark:
                    child.kill()

            server.on_message = kill_at
            assert await asyncio.to_thread(child.wait, 30) == -signal.SIGKILL
        server.on_message = lambda message: None
        assert any(row.status == "waiting" for row in rows(database))
        run.clock.offset = timedelta(seconds=1600)
        async with sending(run, smtp(server)):
            await settled(database, 30)
        assert {to for (to,) in server.recipients} == {one.email for one in people}
        for participant in sent.participants:
            assert (await run.types(participant)).count("invitation-delivered") == 1
        ids = {message["To"].addresses[0].addr_spec: message["Message-ID"] for message in server.messages}
        assert all(message["Message-ID"] == ids[message["To"].addresses[0].addr_spec] for message in server.messages)


@in_loop
async def test_what_was_written_in_the_table_is_what_the_log_asks_for(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, mail_server() as server:
        sent = await run.send(*(Person(f"P{n}", f"p{n}@example.com") for n in range(5)))
        async with sending(run, smtp(server)):
            await settled(database, 5)
        with connect(database.owner) as conn:
            noted = {
                (str(signing), str(invitation), position)
                for invitation, signing, position in conn.execute(
                    "SELECT invitation, signing, position FROM deliveries"
                ).fetchall()
            }
        asked = {
            (str(entry.stream), json.loads(entry.raw)["data"]["invitation"]["id"], entry.position)
            for participant in sent.participants
            for entry in await run.deps.recorder.read_stream(participant)
            if entry.type == "signing.invited/1"
        }
        assert noted == asked
