"""Whether a file is the one that was executed: its hash against the entries, its seal by itself, and the one against the other.

docs/verifying-files.md. The file is read by a process with limits alone; here it is only hashed.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Final, assert_never
from uuid import UUID

from cryptography.x509 import Certificate

from domain.actor import Mode
from domain.entry import format_time
from domain.faults import Verdict
from domain.findings import NOT_REACHED, Detail, FileCheck, Finding, counted, whole
from infrastructure.file_verification.evidence import Evidence
from infrastructure.file_verification.pins import FINAL, Kind, Papers, Pin, Signature, papers_of, signatures_of
from infrastructure.pdf_seal.findings import Check as SealCheck
from infrastructure.pdf_seal.findings import Findings, Outcome
from infrastructure.pdf_seal.verification import verify_seal

_SEAL: Final = {
    SealCheck.FORM: FileCheck.FORM,
    SealCheck.INTEGRITY: FileCheck.INTEGRITY,
    SealCheck.COVERAGE: FileCheck.COVERAGE,
    SealCheck.CHANGES: FileCheck.CHANGES,
    SealCheck.SIGNER: FileCheck.SIGNER,
    SealCheck.TIME: FileCheck.TIME,
    SealCheck.ARCHIVE: FileCheck.ARCHIVE,
}
_VERDICTS: Final = {
    Outcome.PASSED: Verdict.VALID,
    Outcome.FAILED: Verdict.INVALID,
    Outcome.INDETERMINATE: Verdict.INDETERMINATE,
}
#: What is judged by the certificates of time-stamping authorities.
_BY_TIMES: Final = (FileCheck.TIME, FileCheck.ARCHIVE)

#: Where a revision ends (ISO 32000-2 section 7.5.5), and how many are looked at: a seal and the renewals of some centuries.
_END: Final = re.compile(rb"%%EOF(?:\r\n|\r|\n)?")
MAX_BEGINNINGS: Final = 128


@dataclass(frozen=True, slots=True)
class Anchors:
    """Whom the verifier trusts: roots of seals, and of time-stamping authorities; () for nobody."""

    roots: tuple[Certificate, ...] = ()
    times: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class FileJudgement:
    """What was found out about a file of this SHA-256 (64 hex digits). `seal` is what was found out about the file by itself.

    `pin` is what the log says of it, None if that is nothing: then so are `ledger`, `envelope` and `mode`. `place` is the place of its
    document in the envelope, from 1, None for a certificate.
    """

    sha256: str
    size_bytes: int
    findings: tuple[Finding, ...]
    absent: tuple[str, ...]
    seal: Findings | None = None
    pin: Pin | None = None
    ledger: str | None = None
    envelope: UUID | None = None
    mode: Mode | None = None
    place: int | None = None
    signatures: tuple[Signature, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return whole(self.findings)


def beginnings(pdf: bytes) -> dict[str, int]:
    """The SHA-256 of each beginning of a file that ends where a revision may, and its length; the whole is none of them."""
    found: dict[str, int] = {}
    digest, done = sha256(), 0
    for end in _END.finditer(pdf):
        # The file that was sealed may have ended before the line did.
        for length in range(end.start() + len(b"%%EOF"), end.end() + 1):
            if length == len(pdf) or len(found) == MAX_BEGINNINGS:
                return found
            digest.update(pdf[done:length])
            done = length
            found[digest.copy().hexdigest()] = length
    return found


async def verify_file(pdf: bytes, evidence: Evidence | None, anchors: Anchors, at: datetime, searched: str) -> FileJudgement:
    """What is to be said about any bytes, held against `evidence`; never raises for any bytes.

    Without evidence nothing names the file in what was `searched` (in words: `the ledger example`). The seal's certificate is judged
    by its trusted time; without one by that of the entry which names the file, and for a file that none names by `at` (aware).
    """
    name, papers = await asyncio.to_thread(_read, pdf, evidence)
    pin = None if papers is None else papers.pins.get(name)
    if evidence is None or papers is None or pin is None:
        seal = await verify_seal(pdf, anchors.roots, anchors.times, at)
        unknown = await asyncio.to_thread(_unknown, pdf, name, papers, searched)
        findings = (unknown, *_seal(seal, anchors))
        return FileJudgement(name, len(pdf), findings, tuple(_absent(seal, anchors)), seal)
    told = FileJudgement(
        sha256=name,
        size_bytes=len(pdf),
        findings=(_file(pin, papers),),
        absent=(),
        pin=pin,
        ledger=evidence.ledger,
        envelope=evidence.envelope,
        mode=papers.mode,
        place=papers.place(pin.document),
    )
    if pin.kind not in FINAL:
        return told
    seal = await verify_seal(pdf, anchors.roots, anchors.times, pin.at)
    body = await asyncio.to_thread(_body, pdf, pin)
    signed = await asyncio.to_thread(signatures_of, evidence.envelope, evidence.entries, pin.document)
    of_seal = tuple(map(_pinned, _seal(seal, anchors))) if pin.seal is not None else (_UNSEALED,)
    findings = (*told.findings, body, *of_seal, _certificate(seal, pin), _signatures(signed), *evidence.findings)
    absent = (*_absent(seal, anchors), *evidence.absent)
    return replace(told, findings=findings, absent=absent, seal=seal, signatures=signed)


def _read(pdf: bytes, evidence: Evidence | None) -> tuple[str, Papers | None]:
    return sha256(pdf).hexdigest(), None if evidence is None else papers_of(evidence.envelope, evidence.entries)


def _unknown(pdf: bytes, name: str, papers: Papers | None, searched: str) -> Finding:
    reason = f"{searched} names no file with the SHA-256 {name}"
    found = [(papers.pins[each], length) for each, length in beginnings(pdf).items() if papers and each in papers.pins]
    if papers is None or not found:
        return Finding(FileCheck.FILE, Verdict.INVALID, reason)
    pin, length = found[-1]
    return Finding(
        FileCheck.FILE,
        Verdict.INVALID,
        f"{reason}; its first {length:,} bytes are {_what(pin, papers)}, and what follows them is not of the log",
    )


def _file(pin: Pin, papers: Papers) -> Finding:
    if pin.kind not in FINAL:
        return Finding(FileCheck.FILE, Verdict.INVALID, f"it is {_what(pin, papers)}")
    reason = f"it is {_what(pin, papers)}, by the entry at position {pin.position:,}"
    if papers.mode is Mode.TEST:
        reason += "; a test, without effect"
    if pin.superseded_by is not None:
        reason += f"; a later form, with a newer time stamp, has the SHA-256 {pin.superseded_by}"
    return Finding(FileCheck.FILE, Verdict.VALID, reason)


def _what(pin: Pin, papers: Papers) -> str:
    document = f"document {papers.place(pin.document)} of the envelope {papers.envelope}"
    match pin.kind:
        case Kind.ORIGINAL:
            return "a document as it was before anybody signed it, and not an executed one"
        case Kind.BODY if pin.document is None:
            return f"the certificate of completion of the envelope {papers.envelope} without its seal"
        case Kind.BODY:
            return f"the executed {document} without its seal"
        case Kind.EXECUTED:
            return f"the executed {document}"
        case Kind.CERTIFICATE:
            return f"the certificate of completion of the envelope {papers.envelope}"
        case _ as unreachable:
            assert_never(unreachable)


def _body(pdf: bytes, pin: Pin) -> Finding:
    if pin.body_sha256 is None or pin.body_bytes is None:
        reason = "the log does not say what was sealed: the file was made before it did"
        return Finding(FileCheck.BODY, Verdict.INDETERMINATE, reason, counts=False)
    if sha256(pdf[: pin.body_bytes]).hexdigest() != pin.body_sha256:
        reason = f"its first {pin.body_bytes:,} bytes do not hash to {pin.body_sha256}, as the entry says"
        return Finding(FileCheck.BODY, Verdict.INVALID, reason)
    return Finding(FileCheck.BODY, Verdict.VALID, f"its first {pin.body_bytes:,} bytes are what was sealed")


#: Of files that were made before there were seals.
_UNSEALED: Final = Finding(FileCheck.FORM, Verdict.INDETERMINATE, "the log tells of no seal on this file", counts=False)


def _seal(seal: Findings, anchors: Anchors) -> tuple[Finding, ...]:
    """The findings on the seal. One that nothing was given for is shown and does not count: what it would say is not known."""
    found = []
    for each in seal.findings:
        check, verdict, detail, counts = _SEAL[each.check], _VERDICTS[each.outcome], each.detail, True
        if check is FileCheck.SIGNER:
            if not anchors.roots:
                verdict, detail, counts = Verdict.INDETERMINATE, "no certificates that seals lead to were given", False
            detail = f"it says {seal.signer}; {detail}"
        elif check in _BY_TIMES:
            counts = bool(anchors.times)
        found.append(Finding(check, verdict, detail, counts=counts))
    return tuple(found)


def _pinned(finding: Finding) -> Finding:
    """Of a file whose every byte the log knows, what no signature covers (B-LT) is covered all the same."""
    if finding.check is FileCheck.COVERAGE and finding.verdict is Verdict.INDETERMINATE:
        return replace(finding, reason=f"{finding.reason}, and all are by the hash in the log", counts=False)
    return finding


def _absent(seal: Findings, anchors: Anchors) -> Iterator[str]:
    if not anchors.roots:
        yield "who sealed it: no certificates that seals lead to were given; the entry names the certificate of the seal all the same"
    timed = any(_SEAL[each.check] in _BY_TIMES for each in seal.findings)
    if timed and not anchors.times:
        yield "the trusted times in it: no certificates of time-stamping authorities were given"
    elif not timed and seal.outcome(SealCheck.FORM) is Outcome.PASSED:
        yield "a trusted time: the seal has none"


def _certificate(seal: Findings, pin: Pin) -> Finding:
    if pin.seal is None:
        return Finding(FileCheck.CERTIFICATE, Verdict.INDETERMINATE, "the log names none", counts=False)
    if seal.certificate is None:
        return Finding(FileCheck.CERTIFICATE, Verdict.INDETERMINATE, NOT_REACHED)
    if seal.certificate != pin.seal.certificate_sha256:
        reason = f"the seal's certificate has the SHA-256 {seal.certificate}, the entry names {pin.seal.certificate_sha256}"
        return Finding(FileCheck.CERTIFICATE, Verdict.INVALID, reason)
    return Finding(FileCheck.CERTIFICATE, Verdict.VALID, f"the entry names the seal's certificate, SHA-256 {seal.certificate}")


def _signatures(signed: Sequence[Signature]) -> Finding:
    details = tuple(
        Detail(f"{each.process} at {format_time(each.at)}; the signing ends here with version {each.version}, hash {each.leaf}")
        for each in signed
    )
    if not signed:
        reason = "the entries at hand tell of no signing that was completed"
        return Finding(FileCheck.SIGNATURES, Verdict.INDETERMINATE, reason, counts=False)
    return Finding(FileCheck.SIGNATURES, Verdict.VALID, f"{counted(len(signed), 'signing')} completed", details)
