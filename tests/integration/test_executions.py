"""Completed envelopes become files: made once, recorded once, and tried again until they are."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pypdfium2  # type: ignore[import-untyped]
import pytest

from domain.actor import Actor, ActorKind, Mode
from domain.coordination import Participate
from domain.entry import decode
from domain.envelope import CertificateIssued, DocumentExecuted, OnParticipantFail, OrderMode
from domain.faults import Verdict
from domain.field import FieldType
from domain.personal import person
from domain.signing import DeclineSigning
from infrastructure.append import RecorderUnavailable
from infrastructure.codec import decode_fact
from infrastructure.database import DatabaseUrls
from infrastructure.execution import ExecutionStatus, NotCompleted
from infrastructure.execution.making import CHECKPOINT_WAIT
from infrastructure.fsck import fsck
from infrastructure.pdf import PdfLimits, inspect_pdf
from infrastructure.pdf_drawing.blocks import DrawingRefused, Fault
from infrastructure.pdf_seal.findings import Outcome
from tests.executing import (
    SIGNER,
    Packet,
    Place,
    completed,
    done,
    drawing,
    executing,
    executor,
    paper,
    reached,
    sealing,
    sent,
    sign,
)
from tests.running import Person, Running, in_loop, running

ANA = Person("Ana Pérez", "ana@example.com", number=1)
BO = Person("Bo Li", "bo@example.com", number=2)
ROOT = Path(__file__).parents[2]


async def facts(run: Running, envelope: UUID) -> list[Any]:
    entries = [decode(stored.raw) for stored in await run.deps.recorder.read_stream(envelope)]
    return [decode_fact(entry.type, entry.data, entry.personal) for entry in entries]


async def executed(run: Running, envelope: UUID) -> list[DocumentExecuted]:
    return [fact for fact in await facts(run, envelope) if isinstance(fact, DocumentExecuted)]


async def blob(run: Running, name: str) -> bytes:
    found = await run.deps.blobs.get(name)
    assert found is not None
    return found


def shows(pdf: bytes, *texts: str) -> list[bool]:
    """Whether each text stands on a page of the PDF, however its lines are broken."""
    pages = pypdfium2.PdfDocument(pdf)
    shown = " ".join(" ".join(page.get_textpage().get_text_range() for page in pages).split())
    return [text in shown for text in texts]


async def sound(run: Running) -> bool:
    """Whether `fsck` finds nothing to complain of, in the log or of the files."""
    with_files = await asyncio.to_thread(lambda: fsck(run.urls.service, blobs=run.deps.blobs))
    try:
        assert not with_files.faults, list(with_files.faults)
        return with_files.verdict is Verdict.VALID
    finally:
        with_files.close()


async def nothing(done: int, all: int) -> None:
    """Between two files."""


@in_loop
async def test_every_document_is_executed_with_what_was_signed_and_then_the_certificate_is_issued(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    places = [
        Place(0, 0, FieldType.SIGNATURE, 150),
        Place(0, 0, FieldType.DATE, 200),
        Place(1, 0, FieldType.TEXT, 300, "CITY"),
        Place(1, 1, FieldType.SIGNATURE, 400),
    ]
    async with running(database, tmp_path) as run:
        packet = await sent(
            run,
            ANA,
            BO,
            papers=(paper(), paper(2, "Annex", (612, 792))),
            places=places,
            zone="Pacific/Kiritimati",
            mode=Mode.TEST,
        )
        await sign(run, packet, 0, image=drawing())
        await sign(run, packet, 1, values={3: "Valparaíso"})
        async with sealing(run), executing(run):
            row = await done(run, packet.id)
        assert (row.status, row.reason, row.sentence) == (ExecutionStatus.DONE, None, None)

        *_, lease, annex, certificate = await facts(run, packet.id)
        state = await run.envelope(packet.id)
        assert [lease.document, annex.document] == list(packet.documents) == list(state.executed)
        for fact in (lease, annex, certificate):
            content = await blob(run, fact.sha256)
            assert sha256(content[: fact.body_bytes]).hexdigest() == fact.body_sha256
            findings = await run.deps.seals.verify(content, run.clock.now())
            assert findings.verdict is not Outcome.FAILED
            assert fact.seal.certificate_sha256 == run.deps.seals.certificate_sha256
        for document, fact, content in zip(
            state.documents, (lease, annex), (paper(), paper(2, "Annex", (612, 792))), strict=True
        ):
            normalised = await run.deps.files.of(document.sha256)
            assert normalised is not None
            assert (
                fact.normalised_sha256
                == normalised.sha256
                == sha256((await inspect_pdf(content, PdfLimits())).normalised).hexdigest()
            )

        signed_at = (await run.signing(packet.participants[0])).signed[packet.documents[0]]
        kiritimati = f"{signed_at + timedelta(hours=14):%Y-%m-%d}"
        head = next(
            entry for entry in await run.deps.recorder.read_stream(packet.id) if entry.type == "envelope.completed/1"
        ).leaf.hex()
        assert (
            shows(
                await blob(run, lease.sha256),
                kiritimati,
                "Valparaíso",
                "Signatures",
                "/s/ Bo Li",
                str(packet.id),
                head,
                "Test, without effect",
            )
            == [True] * 7
        )
        assert shows(await blob(run, annex.sha256), "/s/ Bo Li", "Signatures", "Valparaíso") == [True, True, False]
        told = await blob(run, certificate.sha256)
        assert shows(told, str(packet.id), "Ana Pérez", "bo@example.com", "no signed checkpoint") == [
            True,
            True,
            True,
            False,
        ]
        assert await sound(run)


@in_loop
async def test_who_declined_is_on_no_document_and_who_was_erased_is_without_a_name(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as run:
        cleo = Person("Cleo Roy", "cleo@example.com", number=3)
        packet = await sent(
            run,
            ANA,
            BO,
            cleo,
            order=OrderMode.PARALLEL,
            on_fail=OnParticipantFail.CONTINUE,
            places=[Place(0, 0, FieldType.SIGNATURE, 150), Place(0, 0, FieldType.NAME, 200), Place(1, 0, FieldType.NAME, 300)],
        )
        await sign(run, packet, 0)
        await run.handle(Participate(packet.id, DeclineSigning(packet.participants[1], None, SIGNER)))
        await sign(run, packet, 2)
        by = Actor(ActorKind.OPERATOR, "test")
        await run.deps.ledger.erase(person(run.tenant, email=ANA.email, otherwise=run.tenant), "request", by)
        async with executing(run, lanes=0):
            await reached(run, packet.id, lambda row: True)
        for status in (ExecutionStatus.WAITING, ExecutionStatus.DONE):
            assert await executor(run).execute_next(asyncio.Event())
            row = await reached(run, packet.id, lambda row: True)
            assert (row.status, row.troubled) == (status, False)
            run.clock.offset += CHECKPOINT_WAIT
        (fact,) = await executed(run, packet.id)
        texts = ("[name erased]", "/s/ Cleo Roy", "Ana Pérez", "Bo Li")
        assert shows(await blob(run, fact.sha256), *texts) == [True, True, False, False]
        certificate = (await run.envelope(packet.id)).certificate
        assert certificate is not None
        assert shows(await blob(run, certificate), "no signed checkpoint", "erased", "Ana Pérez") == [True, True, False]


@in_loop
async def test_an_image_that_cannot_be_used_costs_nobody_the_signature_and_the_certificate_tells_it(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as run:
        packet = await sent(run, ANA, BO, places=[Place(0, 0, FieldType.SIGNATURE, 150)])
        await sign(run, packet, 0, image="data:image/png;base64,iVBORw0KGgo=")
        await sign(run, packet, 1, image=drawing())
        async with sealing(run), executing(run):
            assert (await done(run, packet.id)).status is ExecutionStatus.DONE
        state = await run.envelope(packet.id)
        (name,) = state.executed.values()
        assert shows(await blob(run, name), "/s/ Ana Pérez", "/s/ Bo Li") == [True, False]
        assert state.certificate is not None
        assert shows(await blob(run, state.certificate), "the image cannot be used") == [True]


# What stands in the way


@in_loop
async def test_a_file_that_is_lost_is_told_and_when_it_is_put_back_it_is_executed_by_hand(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as run:
        packet = await completed(run, ANA)
        before = await run.head()
        document = (await run.envelope(packet.id)).documents[0]
        for name in (document.sha256, sha256((await inspect_pdf(paper(), PdfLimits())).normalised).hexdigest()):
            (tmp_path / "blobs" / "sha256" / name[:2] / name[2:]).unlink()
        async with executing(run, lanes=0):
            noted = await reached(run, packet.id, lambda row: True)
        assert (noted.status, noted.attempts) == (ExecutionStatus.WAITING, 0)
        stop, workers = asyncio.Event(), executor(run)
        for attempt in (1, 2, 3):
            assert await workers.execute_next(stop)
            assert not await workers.execute_next(stop)
            row = await done(run, packet.id) if attempt == 3 else await reached(run, packet.id, lambda row: True)
            assert (row.attempts, row.reason, document.sha256 in (row.sentence or "")) == (attempt, "missing-file", True)
            assert row.status is (ExecutionStatus.FAILED if attempt == 3 else ExecutionStatus.WAITING)
            run.clock.offset += timedelta(minutes=2)
        assert not await workers.execute_next(stop)
        assert await run.head() == before

        assert (await workers.execute_by_hand(packet.id, nothing)).status is ExecutionStatus.FAILED
        await run.deps.blobs.put(paper())
        async with sealing(run):
            row = await workers.execute_by_hand(packet.id, nothing)
        assert (row.status, row.reason, row.sentence) == (ExecutionStatus.DONE, None, None)
        assert (await run.deps.executions.counts()).failed == 0


class Failing:
    """Something whose method fails, before or after it has done its work, as often as is said."""

    def __init__(self, whole: Any, method: str, err: Exception, *, times: int, after: bool) -> None:
        self._whole = whole
        self._method = method
        self._err = err
        self.times = times
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        if name != self._method or not self.times:
            return found

        async def failing(*args: Any) -> None:
            self.times -= 1
            if self._after:
                await found(*args)
            raise self._err

        return failing


LOST = RecorderUnavailable("the connection is lost")


@in_loop
async def test_what_may_pass_is_tried_again_and_each_document_is_executed_once(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, sealing(run):
        for part, method, err, after, reason in (
            ("ledger", "handle", LOST, False, "database"),
            ("ledger", "handle", LOST, True, "database"),
            ("blobs", "put", OSError("no space left"), False, "store"),
            ("seals", "seal", DrawingRefused(Fault.BROKE_DOWN), False, "drawing-broke-down"),
            ("vault", "open_entries", ValueError("Ana Pérez"), False, "internal"),
        ):
            packet = await completed(run, ANA)
            failing = Failing(getattr(run.deps, part), method, err, times=1, after=after)
            exchanged: dict[str, Any] = {part: failing}
            async with executing(run, **exchanged):
                row = await reached(run, packet.id, lambda row: row.troubled)
                assert (row.status, row.attempts, row.reason) == (ExecutionStatus.WAITING, 1, reason)
                assert "Ana" not in (row.sentence or "")
                run.clock.offset += timedelta(seconds=11)
                row = await done(run, packet.id)
            assert (row.status, failing.times) == (ExecutionStatus.DONE, 0)
            assert len(await executed(run, packet.id)) == 1
        assert await sound(run)


@in_loop
async def test_two_processes_that_execute_the_same_envelope_record_one_file_of_each_document(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as run, sealing(run):
        packet = await completed(run, ANA, papers=(paper(), paper(1, "Annex")))
        rows = await asyncio.gather(*(executor(run).execute_by_hand(packet.id, nothing) for _ in range(2)))
        assert {row.status for row in rows} == {ExecutionStatus.DONE}
        assert [fact.document for fact in await executed(run, packet.id)] == list(packet.documents)
        assert sum(isinstance(fact, CertificateIssued) for fact in await facts(run, packet.id)) == 1
        assert await sound(run)


@in_loop
async def test_workers_share_what_is_due_and_a_process_that_stops_leaves_the_rest_to_be_done_at_once(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as run, sealing(run):
        packet = await completed(run, ANA, papers=(paper(), paper(1, "Annex")))
        stop = asyncio.Event()
        stopping = Stopping(run.deps.ledger, stop)
        async with executing(run, lanes=0):
            await reached(run, packet.id, lambda row: True)
        assert await executor(run, ledger=stopping).execute_next(stop)
        assert len(await executed(run, packet.id)) == 1
        row = await reached(run, packet.id, lambda row: True)
        assert (row.status, row.attempts, row.reason) == (ExecutionStatus.WAITING, 0, None)
        async with executing(run):
            assert (await done(run, packet.id)).attempts == 1


class Stopping:
    """A ledger while whose first command the process is told to stop."""

    def __init__(self, whole: Any, stop: asyncio.Event) -> None:
        self._whole = whole
        self._stop = stop

    async def handle(self, *args: Any) -> Any:
        self._stop.set()
        return await self._whole.handle(*args)


# Crashes


def start(database: DatabaseUrls, folder: Path, packet: Packet, point: str) -> "subprocess.Popen[bytes]":
    arguments = [database.owner, database.service, str(folder), str(packet.id), point]
    command = [sys.executable, "-m", "tests.integration.executing_process", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


@in_loop
async def test_a_process_killed_between_a_file_and_its_fact_or_before_the_certificate_leaves_the_rest_to_the_next(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as run, sealing(run):
        stored, recorded = await completed(run, ANA), await completed(run, BO)
        children = [start(database, tmp_path, stored, "put"), start(database, tmp_path, recorded, "record")]
        for child in children:
            assert await asyncio.to_thread(child.wait, 60) == -signal.SIGKILL
        assert [len(await executed(run, packet.id)) for packet in (stored, recorded)] == [0, 1]
        # The lease of the attempts that were cut off has to end first.
        run.clock.offset += timedelta(minutes=6)
        async with executing(run):
            rows = [await done(run, packet.id) for packet in (stored, recorded)]
        assert [(row.status, row.attempts) for row in rows] == [(ExecutionStatus.DONE, 2)] * 2
        assert [len(await executed(run, packet.id)) for packet in (stored, recorded)] == [1, 1]
        assert await sound(run)


@in_loop
async def test_an_envelope_that_is_not_completed_is_not_executed(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run:
        packet = await sent(run, ANA)
        for envelope in (packet.id, run.tenant):
            with pytest.raises(NotCompleted):
                await executor(run).execute_by_hand(envelope, nothing)
            assert await run.deps.executions.state(envelope) is None
