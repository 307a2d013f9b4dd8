"""Key material: one secret, from the settings or a file only its owner can read, and keys derived from it.

Tokens that must be the same when a message is sent again (session tokens, API keys) are derived from
an id by HMAC, so the database holds only their hashes.
"""

import contextlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32


class SecretError(RuntimeError):
    """The secret file cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys derived from the two secrets by HKDF-SHA256 (RFC 5869), one for each purpose (32 bytes each)."""

    tokens: bytes = field(repr=False)
    urls: bytes = field(repr=False)
    wrap: bytes = field(repr=False)
    lookup: bytes = field(repr=False)

    @classmethod
    def derive(cls, secret: bytes, master: bytes) -> "Keys":
        """`secret` signs tokens and URLs, `master` guards personal data."""
        return cls(
            tokens=_derive(secret, "tokens"),
            urls=_derive(secret, "urls"),
            wrap=_derive(master, "vault-wrap"),
            lookup=_derive(master, "vault-lookup"),
        )


def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=f"countersign/{purpose}/v1".encode()).derive(secret)


def load_or_create(path: Path) -> bytes:
    """The 32 bytes of a secret file, made with mode 0600 where there is none.

    Raises SecretError when others could read it or when it does not hold 32 bytes: going on with
    another key would make what was encrypted under the old one unreadable.
    """
    if not path.exists():
        create(path, secrets.token_bytes(KEY_BYTES))
    key = read(path)
    if len(key) != KEY_BYTES:
        raise SecretError(f"{path} holds {len(key)} bytes instead of {KEY_BYTES}; restore it from a backup")
    return key


def read(path: Path) -> bytes:
    """What a secret file holds; raises SecretError when others could read it too."""
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise SecretError(f"{path} can be read by others; run: chmod 600 {path}")
    return path.read_bytes()


def create(path: Path, content: bytes) -> None:
    """Makes a secret file with mode 0600; one that is there already, whole, is never replaced."""
    # Filled under another name first: a second process that starts now never sees an empty key, and a
    # crash leaves none behind. Whoever links first wins; a key that is there is never replaced.
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as created:
            created.write(content)
            created.flush()
            os.fsync(created.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        unfinished.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def mint(key: bytes, purpose: str, name: str) -> str:
    """A token of 256 bits for `name`, always the same one: base64url without padding (RFC 4648)."""
    digest = hmac.new(key, f"{purpose}\n{name}".encode(), sha256).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def token_hash(token: str) -> str:
    """What is stored of a token: its SHA-256, 64 hex digits."""
    return sha256(token.encode()).hexdigest()
