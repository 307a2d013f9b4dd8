"""The signatures of a PDF as they lie in its bytes, each of the one form that is accepted.

A signature does not cover its own place in the file, nor all of itself: zeros after it, certificates beside the signer's,
the case of a digit. Whatever could be changed there without breaking it is held to one spelling here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import pikepdf
from asn1crypto import cms, parser  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import Certificate
from pikepdf import settings
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm, enumerate_sig_fields
from pyhanko.sign.general import CMSExtractionError, extract_certificate_info
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

from infrastructure.pdf_child import FLATE_BYTES, MAX_OBJECTS, NESTING
from infrastructure.pdf_seal.revisions import SEAL_FIELD
from infrastructure.pdf_seal.signature import TIME_STAMP, certificates_in

#: A seal and the renewals of some centuries.
_MAX_SIGNATURES: Final = 64
_DIGITS: Final = re.compile(rb"[0-9A-F]*")
_NULL: Final = b"\5\0"


class NotSealed(Exception):
    """The file has no seal of the form that seals have; the message says in what it differs."""


@dataclass(frozen=True, slots=True)
class SignedPart:
    """A signature (CMS, DER), what it covers, and where that ends in the file. `embedded` is as pyHanko has it."""

    embedded: EmbeddedPdfSignature
    der: bytes
    covered: bytes
    end: int


def open_sealed(pdf: bytes) -> tuple[Any, SignedPart, tuple[SignedPart, ...]]:
    """pyHanko's reader, the seal, and the document time stamps in order; raises NotSealed, or what the libraries raise."""
    _open_without_guessing(pdf)
    reader = PdfFileReader(BytesIO(pdf))
    filled = len(list(enumerate_sig_fields(reader, filled_status=True)))
    if not 1 <= filled <= _MAX_SIGNATURES:
        raise NotSealed(f"the file has {filled} signatures")
    parts = [_part(pdf, each) for each in reader.embedded_signatures]
    if len(parts) != filled:
        raise NotSealed("a signature of an unknown kind")
    parts.sort(key=lambda part: part.end)
    first, *stamps = parts
    sealing = first.embedded
    kind = (sealing.sig_object_type, sealing.sig_object.get("/SubFilter"), sealing.fq_name)
    if kind != ("/Sig", "/ETSI.CAdES.detached", SEAL_FIELD):
        raise NotSealed("the first signature is not a seal")
    if any(part.embedded.sig_object_type != "/DocTimeStamp" for part in stamps):
        raise NotSealed("a signature after the seal is not a time stamp")
    if sealing.docmdp_level is not MDPPerm.NO_CHANGES or _certified(reader) != sealing.sig_field.raw_get("/V").reference:
        raise NotSealed("the seal does not certify the file as unchangeable")
    return reader, first, tuple(stamps)


def token_in(seal: SignedPart) -> bytes | None:
    """The time-stamp token (CMS, DER) on the signature of a seal."""
    for attribute in seal.embedded.signer_info["unsigned_attrs"] or ():
        if attribute["type"].native == TIME_STAMP:
            return bytes(attribute["values"][0].dump())
    return None


def signatures_in(pdf: bytes) -> list[bytes]:
    """The seal, the token on it and the document time stamps (CMS, DER) of a file that was verified."""
    _, seal, stamps = open_sealed(pdf)
    return [der for der in (seal.der, token_in(seal), *(each.der for each in stamps)) if der is not None]


def _certified(reader: Any) -> Any:
    return reader.root["/Perms"].raw_get("/DocMDP").reference


def _open_without_guessing(pdf: bytes) -> None:
    """As at intake: pyHanko does not end on some files that qpdf refuses."""
    settings.set_qpdf_limits(flate_max_memory=FLATE_BYTES, parser_max_nesting=NESTING)
    with pikepdf.open(BytesIO(pdf), attempt_recovery=False, suppress_warnings=True) as document:
        if document.is_encrypted or len(document.objects) > MAX_OBJECTS:
            raise NotSealed("the file is encrypted or too complex")


def _part(pdf: bytes, embedded: EmbeddedPdfSignature) -> SignedPart:
    ranges = [int(number) for number in embedded.byte_range]
    if len(ranges) != 4:
        raise NotSealed("a signature of other than two ranges")
    zero, start, resumed, rest = ranges
    end = resumed + rest
    if zero or not 0 < start < resumed < end <= len(pdf):
        raise NotSealed("a signature's ranges do not lie in the file")
    hole = pdf[start:resumed]
    if hole[:1] != b"<" or hole[-1:] != b">" or not _DIGITS.fullmatch(hole[1:-1]) or len(hole) % 2:
        raise NotSealed("a signature leaves out more of the file than itself")
    content = bytes.fromhex(hole[1:-1].decode())
    der = content[: parser.peek(content)]
    if any(content[len(der) :]):
        raise NotSealed("something is hidden after a signature")
    if embedded.pkcs7_content != content:
        raise NotSealed("a signature leaves out another place than its own")
    check_spelling(der)
    return SignedPart(embedded, der, pdf[:start] + pdf[resumed:end], end)


def check_spelling(der: bytes) -> None:
    """Raises NotSealed unless what this CMS says beside its signature could not be otherwise; for its certificates see `check_issued`."""
    whole = cms.ContentInfo.load(der, strict=True)
    data = whole["content"]
    (signer,) = data["signer_infos"]
    stamped = data["encap_content_info"]["content_type"].native == "tst_info"
    if data["version"].native != ("v3" if stamped else "v1") or signer["version"].native != "v1" or list(data["crls"]):
        raise NotSealed("a signature of another version, or with revocations in it")
    if [each.dump() for each in data["digest_algorithms"]] != [signer["digest_algorithm"].dump()]:
        raise NotSealed("a signature names another digest than its signer")
    for algorithm in (signer["digest_algorithm"], signer["signature_algorithm"]):
        rest = algorithm.contents[len(algorithm["algorithm"].dump()) :]
        if rest not in (b"", _NULL):
            raise NotSealed("a signature's algorithm has parameters")
    named = signer["sid"]
    if named.name != "issuer_and_serial_number" or named.chosen["issuer"].dump() != _holder(data).issuer.dump():
        raise NotSealed("a signature does not name its signer as the certificate does")  # names are compared without case
    attributes = list(signer["unsigned_attrs"])  # not `native`: it takes half a second for a token
    if [each["type"].native for each in attributes] not in ([], [] if stamped else [TIME_STAMP]):
        raise NotSealed("a signature has more attributes than a time stamp")
    for each in attributes:
        (token,) = each["values"]
        check_spelling(token.dump())


def check_issued(der: bytes, anchors: Sequence[Certificate]) -> None:
    """Raises NotSealed unless each certificate in this CMS is signed by another that is known: a changed one is not.

    That of the signer is left out, which the signed attributes name.
    """
    data = cms.ContentInfo.load(der)["content"]
    signer = _holder(data).dump()
    try:
        read = [x509.load_der_x509_certificate(each) for each in certificates_in((der,)) if each != signer]
    except ValueError as err:
        raise NotSealed(f"the certificates in a signature cannot be read: {err}") from err
    for certificate in read:
        if not any(_issued(certificate, each) for each in {*read, *anchors}):
            raise NotSealed(f"a certificate in a signature is by nobody that is known: {certificate.issuer.rfc4514_string()}")


def leading_to(known: Sequence[Certificate], certificates: Sequence[bytes]) -> list[bytes]:
    """Those of `certificates` (DER) that are `known`, or are issued by one of them that is: a signature may hold any others beside."""
    found = set(known)
    waiting = {x509.load_der_x509_certificate(each) for each in certificates} - found
    while issued := {each for each in waiting if any(_issued(each, one) for one in found)}:
        found |= issued
        waiting -= issued
    return [each for each in certificates if x509.load_der_x509_certificate(each) in found]


def _holder(data: Any) -> Any:
    try:
        return extract_certificate_info(data).signer_cert
    except CMSExtractionError as err:
        raise NotSealed("a signature is without the certificate of its signer") from err


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
