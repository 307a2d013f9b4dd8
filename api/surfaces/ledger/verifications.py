"""Verifying a file: whoever holds it learns whether it is the one that was executed, and by which processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from api.deps import Deps
from api.file_verifying import MAX_BYTES, DamagedEntry, FileJudgement, Kind, verify_in_ledger
from api.http import App, Receive, RequestLimits, Scope, Send, json_answer, send_answer
from api.problems import Failed
from api.surfaces.ledger.access import MONITOR, deps_of, monitor
from api.surfaces.ledger.documentation import documented
from api.surfaces.ledger.models import Model
from domain.actor import Mode
from domain.entry import format_time
from domain.faults import Verdict

router = APIRouter(prefix="/v1/verifications", tags=["Verification"])

MEDIA_TYPE: Final = "application/pdf"

#: Files in memory at once, of which one is looked at. The readers of PDFs are shared with uploads, which then always find one free.
MAX_ADMITTED: Final = 8
#: How long a file may take to arrive: until then it keeps another one out.
BODY_SECONDS: Final = 60.0
RETRY_AFTER_SECONDS: Final = 5


class FileDetail(Model):
    """One thing that a finding rests on."""

    text: str
    position: int | None = Field(description="Of an entry in the log, from 1.")
    name: str | None = Field(description="Of what it is about: a stream, a witness.")


class FileFinding(Model):
    """What one check says, and why."""

    check: str = Field(description="As `countersign verify` names it: `file`, `body`, `seal-form`, `inclusion`, ...")
    verdict: Verdict
    reason: str
    counts: bool = Field(description="False for what is shown and leaves the whole verdict as it is.")
    details: list[FileDetail]


class FileSignature(Model):
    """A signing that the file is the outcome of. What it says of the signer only those learn who may read it."""

    process_id: str
    at: str = Field(description="When it signed this document; for a certificate of completion, when it was completed.")
    version: int = Field(description="How many entries the signing has.")
    hash: str = Field(pattern="^[0-9a-f]{64}$", description="Of its last entry. Whoever kept a receipt of the signing knows it.")


class SealShown(Model):
    """The seal, as far as it was verified."""

    profile: str | None = Field(description="Of PAdES: `B-B`, `B-T`, `B-LT`, `B-LTA`; null if none is reached.")
    certificate_sha256: str | None
    stamped_at: str | None = Field(description="The trusted time of the seal, RFC 3339 in UTC; null if it has none.")
    archived_at: list[str] = Field(description="The trusted times over the whole file, in order.")


class FileVerification(Model):
    """What was found out about a file. Whatever is not known is null: of a file that the log does not name, all but the hash."""

    verdict: Verdict = Field(description="`valid`: it is the executed document, or the certificate of completion, byte for byte.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of the file as it arrived.")
    size_bytes: int
    ledger: str = Field(description="The log's origin.")
    kind: Kind | None = Field(
        description="`executed`: an executed document; `certificate`: a certificate of completion; `body`: one of them without its"
        " seal; `original`: a document as it was before anybody signed it, of which nothing else is told."
    )
    mode: Mode | None = Field(description="What is of mode `test` has no effect.")
    envelope_id: str | None
    document_id: str | None = Field(description="Null for a certificate of completion.")
    document: int | None = Field(description="The document's place in its envelope, from 1.")
    position: int | None = Field(description="Of the entry that names the file.")
    at: str | None = Field(description="When that was recorded, RFC 3339 in UTC.")
    superseded_by: str | None = Field(description="SHA-256 of the form with the newest time stamp, which begins with this one.")
    processes: list[FileSignature]
    seal: SealShown | None
    findings: list[FileFinding]
    absent: list[str] = Field(description="What was not checked, or is not there.")


_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary", "maxLength": MAX_BYTES}}},
}


class BodyLimits:
    """Middleware: `RequestLimits`, with the limit for files where one is sent."""

    def __init__(self, app: App, deps: Deps) -> None:
        self._json = RequestLimits(app, deps)
        self._file = RequestLimits(app, deps, max_body_bytes=MAX_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", router.prefix)
        await (self._file if file else self._json)(scope, receive, send)


class Turns:
    """Lets in MAX_ADMITTED requests, and one of them at a time to the readers of PDFs. One for each process."""

    def __init__(self) -> None:
        self._admitted = 0
        self.reading = asyncio.Semaphore(1)

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Raises Failed 503 at once if there are too many: then their files would fill the memory."""
        if self._admitted >= MAX_ADMITTED:
            detail = f"Other files are being verified; send it again in {RETRY_AFTER_SECONDS} s."
            raise Failed(503, "busy", detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1


def _described() -> dict[str, Any]:
    described = documented(200, FileVerification, MONITOR, 408, 413, 415)
    described["openapi_extra"]["requestBody"] = _BODY
    return described


@router.post("", summary="Verify a file", **_described())
async def verify(request: Request) -> Response:
    """Says whether a PDF is an executed document or a certificate of completion of this ledger, byte for byte, and what speaks for it.

    The file is looked at and not kept. Whoever has it learns the ids of its envelope and processes, and no name; whoever has only an
    id learns nothing. Nothing is changed, so the request may be repeated at will.
    """
    await monitor(request)
    deps, turns = deps_of(request), cast(Turns, request.app.state.turns)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise Failed(415, "unsupported-media-type", f"Send the file as Content-Type: {MEDIA_TYPE}.")
    async with turns.admitted():
        pdf = await _body(request)
        async with turns.reading:
            try:
                found = await verify_in_ledger(deps, pdf)
            except DamagedEntry as err:
                detail = f"The stored bytes at position {err.position} are not an entry any more."
                raise Failed(500, "entry-damaged", detail) from err
    shown = _shown(found, deps.recorder.ledger)
    return send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))


async def _body(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError as err:
        raise Failed(408, "too-slow", f"The file did not arrive within {BODY_SECONDS:g} s.") from err


def _shown(found: FileJudgement, ledger: str) -> FileVerification:
    """What is told to whoever has the file. One that was given to sign may be in many hands, and who uses it is not told."""
    pin = None if found.pin is None or found.pin.kind is Kind.ORIGINAL else found.pin
    return FileVerification(
        verdict=found.verdict,
        sha256=found.sha256,
        size_bytes=found.size_bytes,
        ledger=ledger,
        kind=None if found.pin is None else found.pin.kind,
        mode=None if pin is None else found.mode,
        envelope_id=None if pin is None else str(found.envelope),
        document_id=None if pin is None or pin.document is None else str(pin.document),
        document=None if pin is None else found.place,
        position=None if pin is None else pin.position,
        at=None if pin is None else format_time(pin.at),
        superseded_by=None if pin is None else pin.superseded_by,
        processes=[
            FileSignature(process_id=str(each.process), at=format_time(each.at), version=each.version, hash=each.leaf)
            for each in found.signatures
        ],
        seal=_seal(found),
        findings=[
            FileFinding(
                check=each.check.value,
                verdict=each.verdict,
                reason=each.reason,
                counts=each.counts,
                details=[FileDetail(text=one.text, position=one.position, name=one.name) for one in each.details],
            )
            for each in found.findings
        ],
        absent=list(found.absent),
    )


def _seal(found: FileJudgement) -> SealShown | None:
    seal = found.seal
    if seal is None or seal.certificate is None:
        return None
    return SealShown(
        profile=seal.profile,
        certificate_sha256=seal.certificate,
        stamped_at=None if seal.stamped is None else format_time(seal.stamped),
        archived_at=[format_time(each) for each in seal.archived],
    )
