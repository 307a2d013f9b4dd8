"""The signature that a seal is: CMS as PAdES has it (ETSI EN 319 142-1), with a time stamp or without.

Written here piece by piece (DER, X.690): a library that can write every kind of CMS takes ten times as long for this one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from asn1crypto import cms, x509  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from infrastructure.pdf_seal.credentials import SealSigner

TIME_STAMP: Final = "signature_time_stamp_token"


def _der(tag: int, *parts: bytes) -> bytes:
    """A value in DER: its tag, the shortest form of its length, and what it is made of."""
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _integer(number: int) -> bytes:
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def _sequence(*parts: bytes) -> bytes:
    return _der(0x30, *parts)


def _set(parts: Iterable[bytes]) -> bytes:
    return _der(0x31, *sorted(parts))


def _oid(name: str) -> bytes:
    return bytes(cms.ObjectIdentifier(name).dump())


_NULL: Final = b"\5\0"
_VERSION_1: Final = _integer(1)
_DATA: Final = _oid("1.2.840.113549.1.7.1")
_SIGNED_DATA: Final = _oid("1.2.840.113549.1.7.2")
_SHA256: Final = _sequence(_oid("2.16.840.1.101.3.4.2.1"))
_RSA: Final = _sequence(_oid("1.2.840.113549.1.1.11"), _NULL)
_ECDSA: Final = _sequence(_oid("1.2.840.10045.4.3.2"))
_CONTENT_TYPE: Final = _sequence(_oid("1.2.840.113549.1.9.3"), _set((_DATA,)))
_MESSAGE_DIGEST: Final = _oid("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE: Final = _oid("1.2.840.113549.1.9.16.2.47")
_STAMPED: Final = _oid("1.2.840.113549.1.9.16.2.14")


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature in the making: its `value`, which a time stamp stamps, and what stands before and after that."""

    value: bytes
    _certificates: bytes
    _signer: bytes

    def der(self, token: bytes | None = None) -> bytes:
        """The whole as CMS (RFC 5652 section 5.1), with a time-stamp token (DER) as its one unsigned attribute."""
        stamp = b"" if token is None else _der(0xA1, _sequence(_STAMPED, _set((token,))))
        info = _sequence(self._signer, _der(0x04, self.value), stamp)
        data = _sequence(_VERSION_1, _set((_SHA256,)), _sequence(_DATA), self._certificates, _set((info,)))
        return _sequence(_SIGNED_DATA, _der(0xA0, data))


def sign(signer: SealSigner, digest: bytes) -> Signature:
    """The signature of content with this SHA-256, with the certificates on the way to the root, and without that.

    Signed are the type and the digest of the content, and the hash of the certificate (RFC 5035); no time, which stands in
    the PDF (ETSI EN 319 142-1 section 6.3).
    """
    raw = signer.certificate.public_bytes(Encoding.DER)
    algorithm = _RSA if signer.is_rsa else _ECDSA
    named_by_hash = _sequence(_sequence(_sequence(_der(0x04, sha256(raw).digest()))))  # SHA-256 is the default (section 3)
    signed = _set(
        (
            _CONTENT_TYPE,
            _sequence(_MESSAGE_DIGEST, _set((_der(0x04, digest),))),
            _sequence(_SIGNING_CERTIFICATE, _set((named_by_hash,))),
        )
    )
    named = _sequence(signer.certificate.issuer.public_bytes(), _integer(signer.certificate.serial_number))
    # As a field of the signer the set has another tag than when it is signed (RFC 5652 section 5.4).
    before = b"".join((_VERSION_1, named, _SHA256, b"\xa0" + signed[1:], algorithm))
    chain = (each.public_bytes(Encoding.DER) for each in signer.chain if each.issuer != each.subject)
    return Signature(signer.sign(signed), _der(0xA0, *sorted((raw, *chain))), before)


def library_certificate(certificate: Certificate) -> Any:
    """A certificate as pyHanko has it."""
    return x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def value_of(signature: bytes) -> bytes:
    """What a time stamp of a signature stamps (ETSI EN 319 122-1 section 5.3): its value."""
    return bytes(cms.ContentInfo.load(signature)["content"]["signer_infos"][0]["signature"].native)


def certificates_in(signatures: Sequence[bytes]) -> list[bytes]:
    """The certificates (DER) in signatures and tokens, each once."""
    found = [each.chosen.dump() for one in signatures for each in cms.ContentInfo.load(one)["content"]["certificates"]]
    return list(dict.fromkeys(found))
