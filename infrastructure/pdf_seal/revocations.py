"""Lists of revoked certificates (CRL, RFC 5280 section 5): from files that somebody refreshes, and from where certificates say."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

#: Of one list, and of a file with some.
MAX_BYTES: Final = 1_048_576

_PEM: Final = b"-----BEGIN X509 CRL-----"
_END: Final = b"-----END X509 CRL-----"


class RevocationsUnusable(ValueError):
    """What is to hold lists of revocations does not; the message says why."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists (DER), and for those that are not to be had why, for people."""

    ders: tuple[bytes, ...]
    failures: tuple[str, ...] = ()


class Revocations:
    """Where lists of revocations come from. `path` is a file or a folder of them, PEM or DER, read anew each time.

    `own` makes the list of an authority that is ours.
    """

    def __init__(self, path: Path | None = None, own: Callable[[], bytes] | None = None) -> None:
        self._path = path
        self._own = own

    async def lists(self, certificates: Sequence[Certificate]) -> Lists:
        """The lists that are there, and those of the issuers of `certificates`. What cannot be had is a failure in the answer."""
        ders = [] if self._own is None else [self._own()]
        try:
            ders += await asyncio.to_thread(read_lists, self._path) if self._path else ()
        except RevocationsUnusable as err:
            return Lists(tuple(ders), (str(err),))
        return Lists(tuple(ders))


def read_lists(path: Path) -> list[bytes]:
    """The lists (DER) of a file, or of each file of a folder; raises RevocationsUnusable."""
    try:
        files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
        return [der for file in files for der in _lists_of(file)]
    except OSError as err:
        raise RevocationsUnusable(f"{err.filename or path} cannot be read: {err.strerror}") from err


def _lists_of(file: Path) -> list[bytes]:
    with file.open("rb") as opened:
        raw = opened.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise RevocationsUnusable(f"{file} is larger than {MAX_BYTES} bytes")
    try:
        return parse_lists(raw)
    except ValueError as err:
        raise RevocationsUnusable(f"{file} holds no list of revocations, in PEM or DER: {err}") from err


def parse_lists(raw: bytes) -> list[bytes]:
    """The lists (DER) in a text of PEM, or one in DER; raises ValueError."""
    if _PEM not in raw:
        return [x509.load_der_x509_crl(raw).public_bytes(Encoding.DER)]
    pieces = [_PEM + piece.partition(_END)[0] + _END for piece in raw.split(_PEM)[1:]]
    return [x509.load_pem_x509_crl(piece).public_bytes(Encoding.DER) for piece in pieces]
