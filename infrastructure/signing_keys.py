"""Ed25519 keys that sign checkpoints and cosign them, and the files they are kept in.

A key file holds one line, the signer key of C2SP signed-note (`PRIVATE+KEY+name+id+base64`), with mode 0600.
"""

import secrets as random_bytes
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.note import SEED_BYTES, KeyFormatError, SignatureType, SignerKey, VerifierKey, parse_signer_key
from infrastructure import secrets
from infrastructure.secrets import SecretError

#: A key's name is at most an origin; the file holds nothing else.
_MAX_FILE_BYTES: Final = 4096


class SigningKey:
    """A private key in use: a `domain.note.Signer`. It shows nothing but its public half."""

    __slots__ = ("_private", "_signer")

    def __init__(self, signer: SignerKey) -> None:
        self._signer = signer
        self._private = Ed25519PrivateKey.from_private_bytes(signer.seed)

    @property
    def key(self) -> VerifierKey:
        """What its signatures are verified with."""
        return self._signer.verifier

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature of a message (RFC 8032), 64 bytes."""
        return self._private.sign(message)

    def private_text(self) -> str:
        """The one-line form with the secret in it."""
        return self._signer.private_text()

    def __repr__(self) -> str:
        return f"SigningKey({self.key})"


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this is the signature of the message (RFC 8032): a `domain.note.Verify`. Never raises for any bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):  # a ValueError: not a public key
        return False
    return True


def public_of(seed: bytes) -> bytes:
    """The public key of a private key's 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def generate(name: str, type: SignatureType) -> SigningKey:
    """A new key; raises KeyFormatError if keys cannot be named so."""
    seed = random_bytes.token_bytes(SEED_BYTES)
    return SigningKey(SignerKey(VerifierKey(name, type, public_of(seed)), seed))


def from_text(text: str, where: str) -> SigningKey:
    """The key of its one-line form, as a setting or a file holds it; `where` is named in the SecretError if it is none."""
    try:
        return SigningKey(parse_signer_key(text.removesuffix("\n"), public_of))
    except KeyFormatError as err:
        raise SecretError(f"{where} holds no signing key: {err}") from err


def load(path: Path) -> SigningKey:
    """The key of a file; raises SecretError when there is none, it is not a key, or others could read it."""
    try:
        raw = secrets.read(path)
    except OSError as err:
        raise SecretError(f"{path} cannot be read: {err.strerror}") from err
    if len(raw) > _MAX_FILE_BYTES:
        raise SecretError(f"{path} holds {len(raw)} bytes: that is no key file")
    try:
        text = raw.decode()
    except UnicodeDecodeError as err:
        raise SecretError(f"{path} holds no signing key: not UTF-8") from err
    return from_text(text, str(path))


def load_or_create(path: Path, name: str, type: SignatureType) -> SigningKey:
    """The key of a file, made new where there is none.

    Raises SecretError as `load` does, and when the key there has another name or type: a log that changed its name
    would sign as another log.
    """
    if not path.exists():
        secrets.create(path, f"{generate(name, type).private_text()}\n".encode())
    found = load(path)
    if (found.key.name, found.key.type) != (name, type):
        raise SecretError(f"{path} holds the {found.key.type.name.lower()} key of {found.key.name}, not that of {name}")
    return found
