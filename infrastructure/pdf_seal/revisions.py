"""Revisions appended to a PDF: with a seal, with material to validate one, with a time stamp over everything before.

Each leaves what is there as it is, byte for byte (ISO 32000-2 section 7.5.6), so that a signature over it still holds.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, Final

from asn1crypto import crl, x509  # type: ignore[import-untyped]
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigMDPSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp, PdfSignedData, SignatureObject
from pyhanko.sign.validation.dss import DocumentSecurityStore

from infrastructure.pdf_seal.hex_strings import read_them_at_once
from infrastructure.pdf_seal.profile import CannotSeal

read_them_at_once()  # for all that writes or reads seals

SEAL_FIELD: Final = "CountersignSeal"
_STAMP_FIELD: Final = "CountersignTime"

#: How the library takes exception to a file: as it says, and as it happens.
FAULTS_OF_THE_FILE: Final = (
    PdfError,
    SigningError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Reserved:
    """A PDF with a hole, from `start` to `end`, for a signature of the rest: `<`, zeros, `>`."""

    content: bytes
    start: int
    end: int

    def covered(self) -> bytes:
        """What is to be signed."""
        return self.content[: self.start] + self.content[self.end :]

    @property
    def room(self) -> int:
        """How many bytes the hole takes; two digits each."""
        return (self.end - self.start - 2) // 2

    def filled(self, der: bytes) -> bytes:
        """The PDF with a signature in the hole."""
        if len(der) > self.room:
            raise CannotSeal(f"A signature of {len(der)} bytes, where there is room for {self.room}")
        digits = der.hex().upper().encode().ljust(2 * self.room, b"0")
        return self.content[: self.start + 1] + digits + self.content[self.end - 1 :]


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except FAULTS_OF_THE_FILE as err:
        raise CannotSeal(f"The PDF cannot be written on: {str(err) or type(err).__name__}") from err


def reserve_seal(pdf: bytes, at: datetime, room: int) -> Reserved:
    """A revision with a certifying signature that permits no change (DocMDP 1), invisible, of `room` bytes; raises CannotSeal.

    Of the entries that are free to choose it has the time (ETSI EN 319 142-1 section 6.3) and none else.
    """
    with _ours():
        writer = IncrementalPdfFileWriter(BytesIO(pdf))
        if writer.prev.encrypted:
            raise CannotSeal("The PDF is encrypted")
        if next(enumerate_sig_fields(writer.prev, filled_status=True), None) is not None:
            raise CannotSeal("The PDF is signed already, and a seal must be the first signature")
        placeholder = SignatureObject(timestamp=at, subfilter=SigSeedSubFilter.PADES, bytes_reserved=2 * room)
        mdp = SigMDPSetup(md_algorithm="sha256", certify=True, docmdp_perms=MDPPerm.NO_CHANGES)
        return _reserve(writer, SEAL_FIELD, placeholder, mdp)


def reserve_stamp(pdf: bytes, certificates: Sequence[bytes], revocations: Sequence[bytes], room: int) -> Reserved:
    """A revision with material (DER) and a document time stamp of `room` bytes (ISO 32000-2 section 12.8.5); raises CannotSeal."""
    with _ours():
        writer = IncrementalPdfFileWriter(BytesIO(pdf))
        _add_material(writer, certificates, revocations)
        taken = {name for name, _, _ in enumerate_sig_fields(writer.prev)}
        name = next(name for number in range(1, len(taken) + 2) if (name := f"{_STAMP_FIELD}{number}") not in taken)
        return _reserve(writer, name, DocumentTimestamp(bytes_reserved=2 * room), None)  # type: ignore[no-untyped-call]


def with_material(pdf: bytes, certificates: Sequence[bytes], revocations: Sequence[bytes]) -> bytes:
    """A revision with certificates and lists of revocations (DER) to validate seals with; raises CannotSeal."""
    with _ours():
        writer = IncrementalPdfFileWriter(BytesIO(pdf))
        _add_material(writer, certificates, revocations)
        out = BytesIO()
        writer.write(out)  # type: ignore[no-untyped-call]
        return out.getvalue()


def _add_material(writer: Any, certificates: Sequence[bytes], revocations: Sequence[bytes]) -> None:
    """ISO 32000-2 section 12.8.4.3, without the part by signature, which helps nobody."""
    DocumentSecurityStore.supply_dss_in_writer(
        writer,
        None,
        certs=[x509.Certificate.load(each) for each in certificates],
        crls=[crl.CertificateList.load(each) for each in revocations],
    )


def _reserve(writer: Any, field: str, placeholder: PdfSignedData, mdp: SigMDPSetup | None) -> Reserved:
    steps = PdfCMSEmbedder(SigFieldSpec(field, on_page=0)).write_cms(field, writer)
    next(steps)
    steps.send(SigObjSetup(placeholder, mdp))
    digest, out = steps.send(SigIOSetup("sha256"))
    steps.close()
    return Reserved(out.getvalue(), digest.reserved_region_start, digest.reserved_region_end)
