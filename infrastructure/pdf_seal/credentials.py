"""What a seal is made with: a private key, its certificate and the way to a root, and who tells the time.

From a PKCS#12 file, or made here on the first run: an authority whose names say that it is for development.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import Certificate, KeyUsage, ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infrastructure import secrets
from infrastructure.secrets import SecretError
from infrastructure.trusted_time import Authority

SealKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
SealPublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

#: RFC 9336. Firefox and pdfsig (NSS) do not know it and want e-mail protection.
DOCUMENT_SIGNING: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.36")

_AUTHORITY_FILE: Final = "seal-development-authority.pem"
_SEAL_FILE: Final = "seal-development.pem"
_AUTHORITY_NAME: Final = "Countersign authority for DEVELOPMENT, not to be trusted"
_SEAL_NAME: Final = "Countersign seal for DEVELOPMENT, not to be trusted"
_DEVELOPMENT_LIFETIME: Final = timedelta(days=3650)
#: The clocks of those who verify may be behind.
_BEFORE: Final = timedelta(hours=1)
_CRL_LIFETIME: Final = timedelta(days=30)

_TRIAL: Final = b"countersign/seal-key-trial/v1"
_MIN_RSA_BITS: Final = 2048
_MAX_FILE_BYTES: Final = 1_048_576


class KeyUnusable(Exception):
    """The key does not sign, now or any more; the message says why."""


@dataclass(frozen=True, slots=True)
class SealSigner:
    """A key in use; `chain` are the certificates from the issuer of `certificate` up to a root.

    `sign` makes the signature of a message with SHA-256: ECDSA, or RSA of PKCS #1 v1.5. It may raise KeyUnusable, and may be
    called from any thread.
    """

    certificate: Certificate
    chain: tuple[Certificate, ...]
    sign: Callable[[bytes], bytes] = field(repr=False)

    @property
    def is_rsa(self) -> bool:
        """RSA, or else ECDSA."""
        return isinstance(self.certificate.public_key(), rsa.RSAPublicKey)

    @property
    def max_signature_bytes(self) -> int:
        """No signature is longer: of RSA that of the modulus, of ECDSA two numbers in DER."""
        key = sealing_key_of(self.certificate)
        octets = (key.key_size + 7) // 8
        return octets if isinstance(key, rsa.RSAPublicKey) else 2 * octets + 16

    def valid_at(self, moment: datetime) -> bool:
        """Whether the certificate is valid at an aware time."""
        return self.certificate.not_valid_before_utc <= moment <= self.certificate.not_valid_after_utc


@dataclass(frozen=True, slots=True)
class TimeSource:
    """A time-stamping authority and the certificates that it is trusted by."""

    authority: Authority
    anchors: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class Development:
    """The sealing certificate for development, and `root`, the authority that issued it."""

    signer: SealSigner
    root: Certificate
    _root_key: SealKey = field(repr=False)

    def revocations(self, now: datetime) -> bytes:
        """The authority's list of revoked certificates (DER), which is empty: nothing of it is ever revoked."""
        builder = x509.CertificateRevocationListBuilder(self.root.subject, now - timedelta(minutes=5), now + _CRL_LIFETIME)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._root_key.public_key()), False)
        builder = builder.add_extension(x509.CRLNumber(int(now.timestamp())), False)
        return builder.sign(self._root_key, hashes.SHA256()).public_bytes(Encoding.DER)


def development(folder: Path, now: datetime) -> Development:
    """The authority and the certificate for development of this folder, made where there are none, in files of mode 0600.

    Processes that start at once agree on those of the first. Raises SecretError when a file is not what was made.
    """
    root, root_key = _load_or_make(folder / _AUTHORITY_FILE, now, None)
    seal, key = _load_or_make(folder / _SEAL_FILE, now, (root, root_key))
    try:
        seal.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature) as err:
        raise SecretError(f"{folder / _SEAL_FILE} is not by {folder / _AUTHORITY_FILE}; remove it, and another is made") from err
    return Development(checked(SealSigner(seal, (root,), _signing(key)), str(folder / _SEAL_FILE)), root, root_key)


def for_trial(now: datetime) -> Development:
    """As `development`, and kept nowhere."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _issue(root_key, now, None)
    return Development(SealSigner(_issue(key, now, (root, root_key)), (root,), _signing(key)), root, root_key)


def from_pkcs12(path: Path, password: str | None, known: Sequence[Certificate] = ()) -> SealSigner:
    """The key and the certificates of a PKCS#12 file that only its owner can read; raises SecretError.

    They lead to a root, by themselves or with those `known`.
    """
    try:
        raw = secrets.read(path)
    except OSError as err:
        raise SecretError(f"{path} cannot be read: {err.strerror}") from err
    if len(raw) > _MAX_FILE_BYTES:
        raise SecretError(f"{path} holds {len(raw)} bytes: that is no PKCS#12 file with one key")
    try:
        held = pkcs12.load_pkcs12(raw, None if password is None else password.encode())
    except (ValueError, UnsupportedAlgorithm) as err:
        raise SecretError(f"{path} is not PKCS#12, or has another password") from err
    if held.cert is None or not isinstance(held.key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise SecretError(f"{path} must hold a certificate and its private key, RSA or of an elliptic curve")
    certificate = held.cert.certificate
    others = [one.certificate for one in held.additional_certs]
    return checked(SealSigner(certificate, path_to_root(certificate, (*others, *known)), _signing(held.key)), str(path))


def path_to_root(certificate: Certificate, known: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """Those of the `known` certificates from the issuer of this one up to a root; raises SecretError."""
    path: list[Certificate] = []
    last = certificate
    while last.issuer != last.subject:
        issuer = next((each for each in known if each not in path and _issued(last, each)), None)
        if issuer is None:
            raise SecretError(f"the certificate of {last.issuer.rfc4514_string()} is missing, which issued that of the seal")
        path.append(issuer)
        last = issuer
    return tuple(path)


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _signing(key: SealKey) -> Callable[[bytes], bytes]:
    if isinstance(key, rsa.RSAPrivateKey):
        return lambda message: key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return lambda message: key.sign(message, ec.ECDSA(hashes.SHA256()))


def sealing_key_of(certificate: Certificate) -> SealPublicKey:
    """Its public key; raises SecretError if that is of a kind that does not seal."""
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise SecretError(f"the key of {certificate.subject.rfc4514_string()} is neither RSA nor of an elliptic curve")
    return key


def checked(signer: SealSigner, where: str) -> SealSigner:
    """The signer; raises SecretError for what every verifier would refuse later."""
    key = sealing_key_of(signer.certificate)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        raise SecretError(f"{where}: an RSA key of {key.key_size} bits is too short, {_MIN_RSA_BITS} are needed")
    if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1):
        raise SecretError(f"{where}: the curve {key.curve.name} is not known to readers of PDF")
    if not signs_for(signer.sign, signer.certificate):
        raise SecretError(f"{where}: the key is not that of the certificate")
    try:
        usage = signer.certificate.extensions.get_extension_for_class(KeyUsage).value
    except x509.ExtensionNotFound:
        return signer
    if not usage.digital_signature and not usage.content_commitment:
        raise SecretError(f"{where}: the certificate is not for signing documents")
    return signer


def signs_for(sign: Callable[[bytes], bytes], certificate: Certificate) -> bool:
    """Whether a signature that is made for trial is by the key of the certificate; raises KeyUnusable."""
    made, key = sign(_TRIAL), certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(made, _TRIAL, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(made, _TRIAL, ec.ECDSA(hashes.SHA256()))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _load_or_make(path: Path, now: datetime, issuer: tuple[Certificate, SealKey] | None) -> tuple[Certificate, SealKey]:
    """The certificate and key of a file, made new where there is none; without `issuer` an authority."""
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _issue(key, now, issuer)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        secrets.create(path, private + certificate.public_bytes(Encoding.PEM))
    raw = secrets.read(path)
    try:
        certificate, found = x509.load_pem_x509_certificate(raw), load_pem_private_key(raw, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:
        raise SecretError(f"{path} does not hold a key and its certificate; restore it from a backup") from err
    if not isinstance(found, ec.EllipticCurvePrivateKey) or found.public_key() != certificate.public_key():
        raise SecretError(f"{path} does not hold the key of its certificate; restore it from a backup")
    return certificate, found


def _issue(key: ec.EllipticCurvePrivateKey, now: datetime, issuer: tuple[Certificate, SealKey] | None) -> Certificate:
    ca = issuer is None
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _AUTHORITY_NAME if ca else _SEAL_NAME)])
    by, by_key = (subject, key) if issuer is None else (issuer[0].subject, issuer[1])
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=by, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _DEVELOPMENT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca, 0 if ca else None), critical=True)
        .add_extension(KeyUsage(not ca, not ca, False, False, False, ca, ca, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by_key.public_key()), critical=False)
    )
    if not ca:
        purposes = x509.ExtendedKeyUsage([DOCUMENT_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(by_key, hashes.SHA256())
