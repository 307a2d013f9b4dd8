"""Lists of revoked certificates (CRL, RFC 5280 section 5): from files that somebody refreshes, and from where certificates say.

OCSP is not asked: a certificate whose issuer keeps no lists is one without material.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, CertificateRevocationList

from infrastructure.clock import Clock, SystemClock
from infrastructure.issuers import is_loopback

#: Of one list, and of a file with some.
MAX_BYTES: Final = 1_048_576
#: For the whole of one list.
TIMEOUT_SECONDS: Final = 5.0
#: Where a list could not be had, it is not asked for again so soon: each seal would wait for it.
PAUSE: Final = timedelta(minutes=1)
#: Addresses in one certificate that are tried.
_MOST_ADDRESSES: Final = 4

_ADDRESS: Final = re.compile("https?://", re.IGNORECASE)
_HEADERS: Final = {"accept-encoding": "identity", "user-agent": "countersign"}

_PEM: Final = b"-----BEGIN X509 CRL-----"
_END: Final = b"-----END X509 CRL-----"


class RevocationsUnusable(ValueError):
    """What is to hold lists of revocations does not; the message says why."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists (DER), and for those that are not to be had why, for people."""

    ders: tuple[bytes, ...]
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What came from an address, or why nothing did; to be asked for again from `until` on."""

    found: CertificateRevocationList | str
    until: datetime


class Revocations:
    """Where lists of revocations come from. `path` is a file or a folder of them, PEM or DER, read anew each time.

    `own` makes the list (DER) of an authority that is ours. Belongs to one event loop.
    """

    def __init__(
        self, path: Path | None = None, clock: Clock | None = None, own: Callable[[datetime], bytes] | None = None
    ) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._own = own
        self._fetched: dict[str, _Fetched] = {}

    async def lists(self, certificates: Sequence[Certificate]) -> Lists:
        """The lists of the issuers of `certificates`, which hold the issuers too. What cannot be had is told in the answer."""
        now = self._clock.now()
        failures: list[str] = []
        given = [] if self._own is None else [x509.load_der_x509_crl(self._own(now))]
        try:
            given += await asyncio.to_thread(read_lists, self._path) if self._path else ()
        except RevocationsUnusable as err:
            failures.append(str(err))
        found = [each for each in given if any(_is_by(each, issuer) for issuer in certificates)]
        for certificate in certificates:
            if certificate.issuer == certificate.subject or any(_tells(each, certificate, now) for each in found):
                continue
            issuers = [each for each in certificates if each.subject == certificate.issuer]
            for address in addresses(certificate):
                fetched = await self._from(address, issuers, now)
                if isinstance(fetched, str):
                    failures.append(fetched)
                else:
                    found.append(fetched)
                    break
        ders = dict.fromkeys(each.public_bytes(Encoding.DER) for each in found)
        return Lists(tuple(ders), tuple(dict.fromkeys(failures)))

    async def _from(self, address: str, issuers: Sequence[Certificate], now: datetime) -> CertificateRevocationList | str:
        known = self._fetched.get(address)
        if known is None or known.until <= now:
            known = self._fetched[address] = await _fetch(address, issuers, now)
        return known.found


async def _fetch(address: str, issuers: Sequence[Certificate], now: datetime) -> _Fetched:
    """The list at an address, if it is by one of `issuers`."""
    import httpx  # where it is needed, for it takes a quarter of a second

    body = bytearray()
    try:
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=not is_loopback(address)) as client,
            client.stream("GET", address, headers=_HEADERS, follow_redirects=False) as response,
        ):
            if response.status_code != 200:
                return _Fetched(f"{address} answered {response.status_code}", now + PAUSE)
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    return _Fetched(f"{address} answered more than {MAX_BYTES} bytes", now + PAUSE)
        (found,) = parse_lists(bytes(body))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as err:  # an OSError: also that time is up
        return _Fetched(f"{address}: {str(err) or type(err).__name__}", now + PAUSE)
    if not any(_is_by(found, each) for each in issuers):
        return _Fetched(f"{address} gave a list that is not by the issuer", now + PAUSE)
    return _Fetched(found, max(found.next_update_utc or now, now + PAUSE))


def revoked(certificates: Sequence[Certificate], lists: Sequence[bytes]) -> Certificate | None:
    """The first of `certificates` that its issuer's list (DER) names."""
    read = [x509.load_der_x509_crl(each) for each in lists]
    for each in certificates:
        if any(one.issuer == each.issuer and one.get_revoked_certificate_by_serial_number(each.serial_number) for one in read):
            return each
    return None


def addresses(certificate: Certificate) -> list[str]:
    """Where the issuer's lists are to be had by http or https, as the certificate says (RFC 5280 section 4.2.1.13)."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    names = [name.value for point in points for name in point.full_name or () if isinstance(name, x509.UniformResourceIdentifier)]
    return [name for name in names if _ADDRESS.match(name)][:_MOST_ADDRESSES]


def _is_by(found: CertificateRevocationList, issuer: Certificate) -> bool:
    try:
        return found.issuer == issuer.subject and found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False


def _tells(found: CertificateRevocationList, certificate: Certificate, now: datetime) -> bool:
    return found.issuer == certificate.issuer and found.next_update_utc is not None and found.next_update_utc > now


def read_lists(path: Path) -> list[CertificateRevocationList]:
    """The lists of a file, or of each file of a folder; raises RevocationsUnusable."""
    try:
        files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
        return [one for file in files for one in _lists_of(file)]
    except OSError as err:
        raise RevocationsUnusable(f"{err.filename or path} cannot be read: {err.strerror}") from err


def _lists_of(file: Path) -> list[CertificateRevocationList]:
    with file.open("rb") as opened:
        raw = opened.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise RevocationsUnusable(f"{file} is larger than {MAX_BYTES} bytes")
    try:
        return parse_lists(raw)
    except ValueError as err:
        raise RevocationsUnusable(f"{file} holds no list of revocations, in PEM or DER: {err}") from err


def parse_lists(raw: bytes) -> list[CertificateRevocationList]:
    """The lists in a text of PEM, or one in DER; raises ValueError."""
    if _PEM not in raw:
        return [x509.load_der_x509_crl(raw)]
    return [x509.load_pem_x509_crl(_PEM + piece.partition(_END)[0] + _END) for piece in raw.split(_PEM)[1:]]
