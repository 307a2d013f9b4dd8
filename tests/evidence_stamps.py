"""A time-stamping authority in memory: RFC 3161 tokens for any time, the same bytes for the same arguments.

A token is a CMS SignedData (RFC 5652) over a TSTInfo (RFC 3161 section 2.4.2), spelled here element by element in DER.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SEQUENCE, _SET, _OCTETS, _INTEGER, _OID, _TIME, _ZERO = 0x30, 0x31, 0x04, 0x02, 0x06, 0x18, 0xA0
_SHA256, _ECDSA = "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2"
_SIGNED_DATA, _TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _DIGEST, _CERTIFICATE = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.16.2.47"


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    length = bytes((len(content),)) if len(content) < 0x80 else bytes((0x80 | len(size),)) + size
    return bytes((tag,)) + length + content


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _oid(dotted: str) -> bytes:
    first, second, *others = map(int, dotted.split("."))
    octets = b""
    for part in (40 * first + second, *others):
        groups = [part & 0x7F]
        while part := part >> 7:
            groups.insert(0, part & 0x7F | 0x80)
        octets += bytes(groups)
    return _der(_OID, octets)


def _algorithm(dotted: str) -> bytes:
    return _der(_SEQUENCE, _oid(dotted))


def _attribute(dotted: str, value: bytes) -> bytes:
    return _der(_SEQUENCE, _oid(dotted), _der(_SET, value))


@dataclass(frozen=True)
class Authority:
    """Has a root and a certificate of its own, valid from 2020 to 2040 unless said otherwise; `purposes` are what it is for."""

    name: str = "Time Stamping"
    starts: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    ends: datetime = datetime(2040, 1, 1, tzinfo=UTC)
    purposes: Sequence[ObjectIdentifier] = (ExtendedKeyUsageOID.TIME_STAMPING,)

    def _key(self, whose: str) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(sha256(f"{self.name} {whose}".encode()).digest(), "big") >> 1, ec.SECP256R1())

    @cached_property
    def root(self) -> Certificate:
        """The certificate that a verifier trusts."""
        builder = self._builder("root", "root", 1).add_extension(x509.BasicConstraints(True, None), critical=True)
        return builder.sign(self._key("root"), hashes.SHA256(), ecdsa_deterministic=True)

    @cached_property
    def certificate(self) -> Certificate:
        usage = x509.ExtendedKeyUsage(self.purposes)
        builder = self._builder("signer", "root", 2).add_extension(usage, critical=True)
        return builder.sign(self._key("root"), hashes.SHA256(), ecdsa_deterministic=True)

    @property
    def pem(self) -> bytes:
        """What `--tsa` takes."""
        return self.root.public_bytes(Encoding.PEM)

    def _builder(self, whose: str, by: str, serial: int) -> x509.CertificateBuilder:
        subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{self.name} {who}")]) for who in (whose, by))
        return (
            x509.CertificateBuilder(issuer, subject, self._key(whose).public_key(), serial)
            .not_valid_before(self.starts)
            .not_valid_after(self.ends)
        )

    def stamp(self, content: bytes, time: datetime) -> bytes:
        """A TimeStampToken (DER) that says that `content` existed at `time`."""
        imprint = _der(_SEQUENCE, _algorithm(_SHA256), _der(_OCTETS, sha256(content).digest()))
        said = time.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f").rstrip("0").rstrip(".") + "Z"
        info = _der(_SEQUENCE, _integer(1), _oid("1.2.3.4.1"), imprint, _integer(7), _der(_TIME, said.encode()))
        certificate = self.certificate.public_bytes(Encoding.DER)
        named = _der(_SEQUENCE, _der(_SEQUENCE, _der(_SEQUENCE, _der(_OCTETS, sha256(certificate).digest()))))
        attributes = sorted(
            (
                _attribute(_CONTENT_TYPE, _oid(_TST_INFO)),
                _attribute(_DIGEST, _der(_OCTETS, sha256(info).digest())),
                _attribute(_CERTIFICATE, named),
            )
        )
        signed = _der(_SET, *attributes)
        signature = self._key("signer").sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        signer = _der(
            _SEQUENCE,
            _integer(1),
            _der(_SEQUENCE, self.certificate.issuer.public_bytes(), _integer(self.certificate.serial_number)),
            _algorithm(_SHA256),
            _der(_ZERO, *attributes),
            _algorithm(_ECDSA),
            _der(_OCTETS, signature),
        )
        content_info = _der(_SEQUENCE, _oid(_TST_INFO), _der(_ZERO, _der(_OCTETS, info)))
        digests, certificates, signers = _der(_SET, _algorithm(_SHA256)), _der(_ZERO, certificate), _der(_SET, signer)
        data = _der(_SEQUENCE, _integer(3), digests, content_info, certificates, signers)
        return _der(_SEQUENCE, _oid(_SIGNED_DATA), _der(_ZERO, data))
