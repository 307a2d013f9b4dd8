"""What programs of others say about a sealed PDF: pyHanko, openssl, pdfsig (poppler, NSS) and qpdf."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext

from infrastructure.pdf_seal.signature import library_certificate, value_of
from infrastructure.pdf_seal.signed_parts import open_sealed, token_in

#: The verdict that is wished for; any other is the tool's complaint.
PASSED: Final = "passed"


class Tool(StrEnum):
    PYHANKO = "pyhanko"
    OPENSSL_CMS = "openssl cms"
    OPENSSL_TS = "openssl ts"
    PDFSIG = "pdfsig"
    QPDF = "qpdf"

    @property
    def installed(self) -> bool:
        """Whether the tool can be asked."""
        match self:
            case Tool.PYHANKO:
                return True
            case Tool.OPENSSL_CMS | Tool.OPENSSL_TS:
                return shutil.which("openssl") is not None
            case Tool.PDFSIG:
                return shutil.which("pdfsig") is not None and shutil.which("certutil") is not None
            case Tool.QPDF:
                return shutil.which("qpdf") is not None


@dataclass(frozen=True, slots=True)
class _Case:
    """A sealed PDF, `sealed.pdf` in the folder, and whom to trust, `roots.pem` and `times.pem`."""

    pdf: bytes
    anchors: Sequence[Certificate]
    time_anchors: Sequence[Certificate]
    folder: Path

    def run(self, command: str) -> tuple[int, str]:
        done = subprocess.run(command.split(), cwd=self.folder, capture_output=True, check=False, timeout=60)
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    def stamped(self) -> list[tuple[bytes, bytes]]:
        """The time-stamp tokens, and what each is of."""
        _, seal, stamps = open_sealed(self.pdf)
        token = token_in(seal)
        signature = [] if token is None else [(token, value_of(seal.der))]
        return signature + [(each.der, each.covered) for each in stamps]


def check_with_other_tools(pdf: bytes, anchors: Sequence[Certificate], time_anchors: Sequence[Certificate]) -> dict[Tool, str]:
    """What each tool that is installed says: PASSED, or its complaint. `openssl ts` speaks only where there are time stamps.

    Blocking, and not for a thread with an event loop.
    """
    with tempfile.TemporaryDirectory() as folder:
        case = _Case(pdf, anchors, time_anchors, Path(folder))
        (case.folder / "sealed.pdf").write_bytes(pdf)
        for name, trusted in (("roots.pem", anchors), ("times.pem", time_anchors)):
            (case.folder / name).write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in trusted))
        asked = [each for each in Tool if each.installed and (each is not Tool.OPENSSL_TS or case.stamped())]
        return {tool: _verdict(tool, case) for tool in asked}


def _verdict(tool: Tool, case: _Case) -> str:
    match tool:
        case Tool.PYHANKO:
            return _pyhanko(case)
        case Tool.OPENSSL_CMS:
            return _openssl_cms(case)
        case Tool.OPENSSL_TS:
            return _openssl_ts(case)
        case Tool.PDFSIG:
            return _pdfsig(case)
        case Tool.QPDF:
            code, said = case.run("qpdf --check sealed.pdf")
            return said if code else PASSED


def _pyhanko(case: _Case) -> str:
    seals, times = (
        ValidationContext(
            trust_roots=[library_certificate(each) for each in trusted if each.issuer == each.subject],
            other_certs=[library_certificate(each) for each in trusted],
        )
        for trusted in (case.anchors, case.time_anchors)
    )
    first, *stamps = PdfFileReader(BytesIO(case.pdf)).embedded_signatures
    # Its own wish, non-repudiation alone, is not that of the standards.
    uses = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"})
    status = validate_pdf_signature(first, seals, times, key_usage_settings=uses)
    if not status.bottom_line:
        return str(status.summary())
    for each in stamps:
        stamp = validate_pdf_timestamp(each, times)
        if not (stamp.intact and stamp.valid and stamp.trusted):
            return str(stamp.summary())
    return PASSED


def _openssl_cms(case: _Case) -> str:
    seal = open_sealed(case.pdf)[1]
    (case.folder / "signature").write_bytes(seal.der)
    (case.folder / "covered").write_bytes(seal.covered)
    code, said = case.run(
        "openssl cms -verify -cades -binary -inform DER -in signature -content covered -CAfile roots.pem -purpose any -out nothing"
    )
    return said if code else PASSED


def _openssl_ts(case: _Case) -> str:
    for token, content in case.stamped():
        (case.folder / "token").write_bytes(token)
        (case.folder / "stamped").write_bytes(content)
        code, said = case.run("openssl ts -verify -token_in -in token -data stamped -CAfile times.pem")
        if code:
            return said
    return PASSED


def _pdfsig(case: _Case) -> str:
    """Read from what it prints: its exit code is 0 for bad signatures too. Of time stamps it sees what they cover."""
    case.run("certutil -N -d sql:. --empty-password")
    for number, each in enumerate((*case.anchors, *case.time_anchors)):
        (case.folder / f"{number}.pem").write_bytes(each.public_bytes(Encoding.PEM))
        trust = "CT,C,C" if each.issuer == each.subject else ",,"
        code, said = case.run(f"certutil -A -d sql:. -n {number} -t {trust} -a -i {number}.pem")
        if code:
            return said
    _, said = case.run("pdfsig -nssdir sql:. sealed.pdf")
    seal, *stamps = said.split("Signature #")[1:] or ("",)
    valid = (
        "Signature is Valid." in seal and "Certificate is Trusted." in seal and "Total document signed" in (stamps or [seal])[-1]
    )
    return PASSED if valid else said
