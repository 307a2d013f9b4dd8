"""The judgement on a sealed PDF. Runs in a process with limits (`child`): what reads the file is not to be trusted with it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

import pikepdf
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import Certificate
from pyhanko.sign.ades.report import AdESIndeterminate
from pyhanko.sign.diff_analysis import ModificationLevel, SuspiciousModification
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import NoDSSFoundError, SignatureValidationError
from pyhanko.sign.validation.pdf_embedded import async_validate_pdf_signature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.errors import ValidationError

from infrastructure.pdf_seal.findings import Check, Finding, Findings, Outcome
from infrastructure.pdf_seal.material import Lacking, check_material
from infrastructure.pdf_seal.profile import Profile
from infrastructure.pdf_seal.revisions import FAULTS_OF_THE_FILE
from infrastructure.pdf_seal.signature import library_certificate, value_of
from infrastructure.pdf_seal.signed_parts import NotSealed, SignedPart, check_issued, open_sealed, token_in
from infrastructure.trusted_time import StampedTime, TimeStampRefused, verify_token

#: How a file takes exception to being read, and a signature to being validated.
_FAULTS: Final = (
    pikepdf.PdfError,
    SignatureValidationError,
    ValidationError,
    RuntimeError,
    *FAULTS_OF_THE_FILE,
)

#: Against a certificate speaks only that nobody can say when it was used.
_UNDECIDED: Final = (AdESIndeterminate.OUT_OF_BOUNDS_NO_POE, AdESIndeterminate.REVOCATION_OUT_OF_BOUNDS_NO_POE)

_USES: Final = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"})


def examine(pdf: bytes, anchors: Sequence[Certificate], time_anchors: Sequence[Certificate], at: datetime) -> Findings:
    """Every finding on a sealed PDF. `anchors` are for its seal, `time_anchors` for its time stamps, in each a root at least.

    A certificate is judged by the seal's trusted time, or by `at` where there is none.
    """
    try:
        reader, seal, stamps = open_sealed(pdf)
        certificates, revocations = _material(reader)
        held = x509.load_der_x509_certificate(seal.embedded.signer_cert.dump())
        name = held.subject.rfc4514_string()
    except (NotSealed, *_FAULTS) as err:
        return Findings((_finding(Check.FORM, Outcome.FAILED, str(err) or type(err).__name__),))
    time, stamped = _time(seal, time_anchors)
    archive, archived = _archive(stamps, time_anchors, stamped)
    # The seal is not younger than the first time over it, whether that is over its signature or over the file.
    moment = stamped.time if stamped else min((at, *archived[:1]))
    try:
        context, times = (
            ValidationContext(
                trust_roots=[library_certificate(each) for each in trusted if each.issuer == each.subject],
                other_certs=[library_certificate(each) for each in trusted] + certificates,
                moment=moment,
                crls=revocations,
                retroactive_revinfo=True,
            )
            for trusted in (anchors, time_anchors)
        )
        status = asyncio.run(async_validate_pdf_signature(seal.embedded, context, times, key_usage_settings=_USES))
        found = [_integrity(status), _coverage(pdf, reader, (seal, *stamps)), _changes(status), _signer(status, seal, anchors)]
    except _FAULTS as err:
        found = [_finding(Check.INTEGRITY, Outcome.FAILED, str(err) or type(err).__name__)]
    form = _finding(Check.FORM, Outcome.PASSED, f"one seal and {len(stamps)} time stamps over the file")
    findings = Findings(
        (form, *found, *time, *archive),
        signer=name,
        certificate=held.fingerprint(SHA256()).hex(),
        claimed=_claimed(seal),
        stamped=stamped.time if stamped else None,
        archived=archived,
    )
    return _with_profile(findings, seal, stamped, (anchors, time_anchors), (certificates, revocations))


def _finding(check: Check, outcome: Outcome, detail: str) -> Finding:
    return Finding(check, outcome, detail[:500])


def _material(reader: Any) -> tuple[list[Any], list[Any]]:
    """Certificates and lists of revocations that the file holds, as pyHanko has them."""
    with suppress(NoDSSFoundError):
        store = DocumentSecurityStore.read_dss(reader)
        context = store.as_validation_context({"trust_roots": []})
        return list(store.load_certs()), list(context.crls)
    return [], []


def _integrity(status: PdfSignatureStatus) -> Finding:
    if not status.intact:
        return _finding(Check.INTEGRITY, Outcome.FAILED, "the content is not what was sealed")
    if not status.valid:
        return _finding(Check.INTEGRITY, Outcome.FAILED, "the signature is not by the key of its certificate")
    return _finding(Check.INTEGRITY, Outcome.PASSED, f"{status.md_algorithm}, {status.pkcs7_signature_mechanism}")


def _coverage(pdf: bytes, reader: Any, parts: Sequence[SignedPart]) -> Finding:
    last = parts[-1]
    if any(part.embedded.evaluate_signature_coverage() < SignatureCoverageLevel.ENTIRE_REVISION for part in parts):
        return _finding(Check.COVERAGE, Outcome.FAILED, "a signature does not cover the revision it stands in")
    if last.end == len(pdf):
        return _finding(Check.COVERAGE, Outcome.PASSED, f"all {len(pdf)} bytes")
    after = f"{len(pdf) - last.end} bytes after the last signature are covered by none"
    whole = reader.total_revisions > last.embedded.signed_revision + 1 and pdf.rstrip(b"\r\n").endswith(b"%%EOF")
    return _finding(Check.COVERAGE, Outcome.INDETERMINATE if whole else Outcome.FAILED, after)


def _changes(status: PdfSignatureStatus) -> Finding:
    if isinstance(status.diff_result, SuspiciousModification):
        return _finding(Check.CHANGES, Outcome.FAILED, f"changed after it was sealed: {status.diff_result}")
    level = status.modification_level
    if not status.docmdp_ok or level not in (ModificationLevel.NONE, ModificationLevel.LTA_UPDATES):
        return _finding(Check.CHANGES, Outcome.FAILED, "changed after it was sealed")
    seen = "nothing" if level is ModificationLevel.NONE else "time stamps and material to validate"
    return _finding(Check.CHANGES, Outcome.PASSED, f"{seen} came after the seal")


def _signer(status: PdfSignatureStatus, seal: SignedPart, anchors: Sequence[Certificate]) -> Finding:
    try:
        check_issued(seal.der, anchors)
    except NotSealed as err:
        return _finding(Check.SIGNER, Outcome.FAILED, str(err))
    if status.trusted:
        return _finding(Check.SIGNER, Outcome.PASSED, "the certificate leads to a trusted root")
    problem = status.trust_problem_indic
    outcome = Outcome.INDETERMINATE if problem in _UNDECIDED else Outcome.FAILED
    return _finding(Check.SIGNER, outcome, str(problem) if problem else "not trusted")


def _time(seal: SignedPart, anchors: Sequence[Certificate]) -> tuple[list[Finding], StampedTime | None]:
    token = token_in(seal)
    if token is None:
        return [], None
    if not anchors:
        return [_finding(Check.TIME, Outcome.INDETERMINATE, "no authority is trusted for times")], None
    try:
        stamped = _stamped(token, value_of(seal.der), anchors)
    except (NotSealed, TimeStampRefused) as err:
        return [_finding(Check.TIME, Outcome.FAILED, str(err))], None
    return [_finding(Check.TIME, Outcome.PASSED, f"{stamped.time.isoformat()} by {stamped.signer}")], stamped


def _archive(
    stamps: Sequence[SignedPart], anchors: Sequence[Certificate], stamped: StampedTime | None
) -> tuple[list[Finding], tuple[datetime, ...]]:
    if not stamps:
        return [], ()
    if not anchors:
        return [_finding(Check.ARCHIVE, Outcome.INDETERMINATE, "no authority is trusted for times")], ()
    try:
        times = tuple(_stamped(part.der, part.covered, anchors).time for part in stamps)
    except (NotSealed, TimeStampRefused) as err:
        return [_finding(Check.ARCHIVE, Outcome.FAILED, str(err))], ()
    known = (stamped.time, *times) if stamped else times
    if any(earlier > later for earlier, later in pairwise(known)):
        return [_finding(Check.ARCHIVE, Outcome.FAILED, "the times are not in the order of the file")], ()
    return [_finding(Check.ARCHIVE, Outcome.PASSED, ", ".join(each.isoformat() for each in times))], times


def _stamped(token: bytes, content: bytes, anchors: Sequence[Certificate]) -> StampedTime:
    check_issued(token, anchors)
    return verify_token(token, sha256(content).digest(), anchors)


def _claimed(seal: SignedPart) -> datetime | None:
    try:
        claimed = seal.embedded.self_reported_timestamp
    except _FAULTS:
        return None
    return claimed if claimed and claimed.tzinfo else None


def _with_profile(
    findings: Findings,
    seal: SignedPart,
    stamped: StampedTime | None,
    anchors: tuple[Sequence[Certificate], Sequence[Certificate]],
    material: tuple[list[Any], list[Any]],
) -> Findings:
    """The highest profile whose every part was verified."""
    profile = None
    if findings.outcome(Check.INTEGRITY) is Outcome.PASSED:
        profile = Profile.B_B
    if profile and findings.archived:
        profile = Profile.B_T
    if profile and stamped:
        profile = Profile.B_T
        certificates, revocations = ([each.dump() for each in kind] for kind in material)
        checks = ((seal.der, anchors[0]), (stamped.token, anchors[1]))
        with suppress(Lacking):
            for signature, roots in checks:
                asyncio.run(check_material(signature, roots, certificates, revocations, stamped.time))
            profile = Profile.B_LTA if findings.archived else Profile.B_LT
    return replace(findings, profile=profile)
