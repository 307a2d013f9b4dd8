"""A sealing certificate, a time-stamping authority with its list of revocations, and PDFs that are sealed with them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pikepdf
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from infrastructure.pdf_seal.credentials import Development, TimeSource, development
from infrastructure.pdf_seal.examination import examine
from infrastructure.pdf_seal.findings import Findings
from infrastructure.pdf_seal.profile import SealedPdf
from infrastructure.pdf_seal.revocations import Lists, Revocations
from infrastructure.pdf_seal.sealing import seal
from infrastructure.trusted_time import Authority
from tests.integration.timestamp_authority import Holder, Responder, TimeStampAuthority, faithful, issue, responding

NOW = datetime.now(UTC)


def plain_pdf(text: str = "I owe you 10") -> bytes:
    """The same bytes each time, as executed documents have them."""
    made = pikepdf.new()
    page = made.add_blank_page(page_size=(595, 842))
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    page.obj["/Resources"] = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
    page.obj["/Contents"] = made.make_stream(f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode())
    out = BytesIO()
    made.save(out, deterministic_id=True)
    return out.getvalue()


def revocations(by: Holder, *revoked: Certificate) -> bytes:
    """The list (DER) of what an authority has revoked."""
    builder = x509.CertificateRevocationListBuilder(by.certificate.subject, NOW - timedelta(hours=1), NOW + timedelta(days=7))
    for each in revoked:
        entry = x509.RevokedCertificateBuilder(each.serial_number, NOW - timedelta(hours=1)).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)


class Given(Revocations):
    """Lists of revocations that are at hand."""

    def __init__(self, *ders: bytes) -> None:
        super().__init__()
        self._ders = ders

    async def lists(self, certificates: Sequence[Certificate]) -> Lists:
        return Lists(self._ders)


@dataclass(frozen=True, slots=True)
class SealWorld:
    """Whoever seals, and whoever stamps."""

    development: Development
    time_root: Holder
    authority: TimeStampAuthority
    responder: Responder

    @property
    def time_source(self) -> TimeSource:
        anchors = (self.time_root.certificate,)
        return TimeSource(Authority(self.responder.url, anchors, 5), anchors)

    @property
    def material(self) -> tuple[bytes, bytes]:
        """The lists of revocations of both authorities."""
        return self.development.revocations(NOW), revocations(self.time_root)

    def seal_plain(self, pdf: bytes | None = None) -> SealedPdf:
        """Without a time stamp."""
        return asyncio.run(seal(pdf or plain_pdf(), self.development.signer, NOW))

    def seal_stamped(self) -> SealedPdf:
        """With a time stamp, without lists of revocations."""
        return asyncio.run(seal(plain_pdf(), self.development.signer, NOW, self.time_source))

    def seal_archived(self) -> SealedPdf:
        """With all that there is."""
        return asyncio.run(
            seal(plain_pdf(), self.development.signer, NOW, self.time_source, (self.development.root,), Given(*self.material))
        )

    def examine(self, pdf: bytes, at: datetime = NOW) -> Findings:
        """The judgement, made in this process."""
        return examine(pdf, (self.development.root,), (self.time_root.certificate,), at)


@contextmanager
def seal_world(folder: Path) -> Iterator[SealWorld]:
    """Runs the authority until the end."""
    root = issue("Root of times", ca=True)
    authority = TimeStampAuthority(folder / "authority", issue("Authority", root))
    with responding(faithful(authority)) as responder:
        yield SealWorld(development(folder, NOW), root, authority, responder)
