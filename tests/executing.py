"""Completed envelopes with real PDFs, and the executions of a test's running parts."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import Any
from uuid import UUID

import pikepdf
from PIL import Image, ImageDraw

from domain.actor import IdentityMethod, Mode, Provenance
from domain.coordination import CreateEnvelope, Participate
from domain.envelope import Document, PlacedField
from domain.field import SIZES, FieldType
from domain.personal import person
from domain.signing import DocumentReference, FieldValue, SignatureMethod, SignDocuments
from infrastructure.execution import ExecutionRow, ExecutionStatus, Executor, Making, executions
from infrastructure.following import Follower
from infrastructure.log_keys import open_log_keys, record_keys
from infrastructure.pdf import PdfLimits
from infrastructure.retries import Retry
from infrastructure.sealer import NAME as SEALER
from infrastructure.sealer import Sealer
from projections import erasures
from projections.rebuild import ensure_tables
from tests.conftest import ORIGIN
from tests.running import BASE_URL, Person, Running

SIGNER = Provenance(IdentityMethod.TOKEN)


@cache
def paper(pages: int = 1, text: str = "Agreement", size: tuple[int, int] = (595, 842)) -> bytes:
    """A PDF of a few pages with a text on the first."""
    with pikepdf.new() as document:
        for _ in range(pages):
            document.add_blank_page(page_size=size)
        font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
        document.pages[0].Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=document.make_indirect(font)))
        document.pages[0].Contents = document.make_stream(f"BT /F1 12 Tf 72 {size[1] - 72} Td ({text}) Tj ET".encode("latin-1"))
        out = BytesIO()
        document.save(out, deterministic_id=True)
    return out.getvalue()


@cache
def drawing() -> str:
    """A drawn signature as a data URI."""
    image = Image.new("RGBA", (200, 60), (255, 255, 255, 0))
    ImageDraw.Draw(image).line([(5, 50), (80, 10), (120, 50), (195, 8)], fill=(10, 20, 120, 255), width=4)
    out = BytesIO()
    image.save(out, "PNG")
    return f"data:image/png;base64,{b64encode(out.getvalue()).decode()}"


@dataclass(frozen=True, slots=True)
class Place:
    """A field of the person and the document with these numbers, from 0; its upper left corner in points."""

    who: int
    document: int
    type: FieldType
    y: int
    name: str | None = None
    x: int = 72
    page: int = 1


@dataclass(frozen=True, slots=True)
class Packet:
    """An envelope that was sent, with its people and documents in their order."""

    id: UUID
    participants: tuple[UUID, ...]
    documents: tuple[UUID, ...]
    people: tuple[Person, ...]


async def sent(
    run: Running,
    *people: Person,
    papers: Sequence[bytes] = (),
    places: Sequence[Place] = (),
    zone: str | None = None,
    mode: Mode = Mode.LIVE,
    **more: Any,
) -> Packet:
    """Sends an envelope over PDFs that are in the store."""
    await asyncio.to_thread(ensure_tables, run.urls.owner, (erasures.ERASURES,))
    contents = papers or (paper(),)
    command = run.creation(*people, documents=len(contents), mode=mode, **more)
    documents = []
    for made, content in zip(command.created.documents, contents, strict=True):
        accepted = await run.deps.files.inspect(content, PdfLimits())
        await run.deps.files.keep(accepted)
        documents.append(Document(made.id, accepted.sha256, accepted.pages))
    who = tuple(command.processes)
    fields = tuple(
        PlacedField(
            who[it.who], documents[it.document].id, it.type, it.page, it.x * 1000, it.y * 1000, *SIZES[it.type], False, it.name
        )
        for it in places
    )
    references = tuple(DocumentReference(document.id, document.sha256) for document in documents)
    await run.handle(
        CreateEnvelope(
            command.envelope,
            replace(command.created, documents=tuple(documents), fields=fields, zone=zone),
            {id: replace(process, documents=references) for id, process in command.processes.items()},
        )
    )
    return Packet(command.envelope, who, tuple(document.id for document in documents), people)


async def sign(
    run: Running, packet: Packet, number: int, *, values: Mapping[int, str | bool] | None = None, image: str | None = None
) -> None:
    """The person with that number, from 0, signs everything."""
    who, whose = packet.participants[number], packet.people[number]
    subject = person(run.tenant, email=whose.email, phone=whose.phone, otherwise=who)
    conceal = run.deps.vault.conceal
    filled = tuple(FieldValue(field, conceal(value, subject)) for field, value in (values or {}).items())
    method = SignatureMethod.TYPED if image is None else SignatureMethod.DRAWN
    drawn = None if image is None else conceal(image, subject)
    command = SignDocuments(who, None, method, conceal("I agree", subject), drawn, SIGNER, values=filled)
    await run.handle(Participate(packet.id, command))


async def completed(run: Running, *people: Person, **more: Any) -> Packet:
    """An envelope that everybody has signed."""
    packet = await sent(run, *people, **more)
    for number in range(len(people)):
        await sign(run, packet, number)
    return packet


def making(run: Running, **changes: Any) -> Making:
    """What makes files, with some of its parts exchanged."""
    deps = run.deps
    parts: dict[str, Any] = {
        name: getattr(deps, name)
        for name in ("reads", "ledger", "vault", "files", "blobs", "seals", "sealed", "identity", "clock")
    }
    return Making(**{**parts, "erasures": erasures.of_streams, "base_url": BASE_URL, **changes})


def executor(run: Running, *, retry: Retry | None = None, **changes: Any) -> Executor:
    """What executes, with some of the parts of its making exchanged."""
    return Executor(run.deps.executions, making(run, **changes), run.deps.clock, retry)


@asynccontextmanager
async def executing(run: Running, *, lanes: int = 2, **options: Any) -> AsyncIterator[None]:
    """Executes while the block runs."""
    stop = asyncio.Event()
    working = executions(run.urls.service, run.listener, executor(run, **options), lanes=lanes)
    task = asyncio.create_task(working.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


@asynccontextmanager
async def sealing(run: Running) -> AsyncIterator[None]:
    """Signs checkpoints while the block runs."""
    keys = await asyncio.to_thread(open_log_keys, run.deps.settings, run.urls, ORIGIN)
    await record_keys(run.deps.ledger, keys)
    sealer = Sealer(keys, run.deps.settings.data, run.clock, checkpoint_seconds=0.1)
    follower = Follower(run.urls.service, SEALER, sealer.step, run.listener, poll_seconds=0.1)
    follower.start()
    try:
        yield
    finally:
        await asyncio.to_thread(follower.close)


async def reached(run: Running, envelope: UUID, enough: Callable[[ExecutionRow], bool], seconds: float = 60) -> ExecutionRow:
    """The row once it is so."""
    async with asyncio.timeout(seconds):
        while True:
            row = await run.deps.executions.state(envelope)
            if row is not None and enough(row):
                return row
            await asyncio.sleep(0.05)


async def done(run: Running, envelope: UUID) -> ExecutionRow:
    return await reached(run, envelope, lambda row: row.status is not ExecutionStatus.WAITING)
