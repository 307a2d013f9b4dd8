"""What `bench_documents.py` measures beside ours: the same work by pyHanko alone, as its documentation shows it, and tuned.

Three texts are stamped on a PDF (`TextStampStyle`) and it is sealed (`sign_pdf`): certifying, PAdES B-B, no changes permitted. No limits,
no process of its own, no look at the file before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Final

from asn1crypto import x509 as asn1_x509  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, pkcs12
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.layout import BoxConstraints
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import PdfSignatureMetadata, signers
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.stamp import TextStamp, TextStampStyle
from pyhanko_certvalidator import ValidationContext

#: Room for the signature in hex digits, so that none has to be made before to know its length.
_RESERVED_BYTES: Final = 4096

SealKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Text:
    """What is stamped on a page, from 0, with its lower left corner in points, in a box of that size."""

    page: int
    x: int
    y: int
    width: int
    height: int
    lines: str


@dataclass(frozen=True, slots=True)
class Stock:
    """A signer of pyHanko's; with `tuned`, whatever its interface offers for speed is used."""

    signer: signers.SimpleSigner = field(repr=False)
    root: asn1_x509.Certificate = field(repr=False)
    tuned: bool

    def stamp(self, pdf: bytes, texts: Sequence[Text]) -> IncrementalPdfFileWriter:
        """The PDF with the texts on it, not written yet."""
        writer = IncrementalPdfFileWriter(BytesIO(pdf))
        for text in texts:
            style = TextStampStyle(stamp_text=text.lines, border_width=0, background=None)
            TextStamp(writer, style, box=BoxConstraints(text.width, text.height)).apply(text.page, text.x, text.y)
        return writer

    def seal(self, writer: IncrementalPdfFileWriter) -> bytes:
        """What was stamped, with its seal."""
        wanted = PdfSignatureMetadata(
            field_name="Seal",
            certify=True,
            docmdp_permissions=MDPPerm.NO_CHANGES,
            subfilter=SigSeedSubFilter.PADES,
            md_algorithm="sha256",
        )
        reserved = _RESERVED_BYTES if self.tuned else None
        sealed: BytesIO = signers.sign_pdf(writer, wanted, self.signer, bytes_reserved=reserved)
        return sealed.getvalue()

    def verify(self, pdf: bytes) -> None:
        """Raises ValueError for a file that pyHanko does not believe."""
        context = ValidationContext(trust_roots=[self.root])
        status = validate_pdf_signature(PdfFileReader(BytesIO(pdf)).embedded_signatures[0], context)
        if not status.bottom_line:
            raise ValueError(status.summary())


class _Loaded(signers.SimpleSigner):
    """Signs with a key that stays loaded; `SimpleSigner` loads its own anew for each signature."""

    loaded: SealKey

    def sign_raw(self, data: bytes, digest_algorithm: str) -> bytes:
        match self.loaded:
            case rsa.RSAPrivateKey() as key:
                return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
            case key:
                return key.sign(data, ec.ECDSA(hashes.SHA256()))


def stock(key: SealKey, *, tuned: bool) -> Stock:
    """A signer with a new certificate, from PKCS#12 as people have it."""
    certificate = _certificate(key)
    held = signers.SimpleSigner.load_pkcs12_data(
        pkcs12.serialize_key_and_certificates(b"seal", key, certificate, None, NoEncryption()), ()
    )
    if tuned:
        held = _Loaded(signing_cert=held.signing_cert, signing_key=held.signing_key, cert_registry=held.cert_registry)
        held.loaded = key
    return Stock(held, asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)), tuned)


def _certificate(key: SealKey) -> x509.Certificate:
    """Its own issuer: it is as good for measuring as any other."""
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench")]), datetime.now(UTC)
    usage = x509.KeyUsage(True, True, False, False, False, True, True, False, False)
    return (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
