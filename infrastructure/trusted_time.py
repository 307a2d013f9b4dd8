"""Trusted time: tokens of a time-stamping authority (RFC 3161), asked for and verified.

The client library makes the request, checks the signature, and the chain at the token's time for the purpose of time
stamping. Beyond that are checked here: one signer, whose certificate is in the token once and is the one that its signed
attributes name (RFC 5816); SHA-256 of what was asked; the certificate's only use; that it was valid at that time.
Revocation is not checked.
"""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, ExtendedKeyUsage
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import (
    Accuracy,
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from domain.sealing import TimeStampFault
from infrastructure.issuers import is_loopback
from infrastructure.time_stamp_token import TokenForm, TokenFormError, granted, read_response, read_token

#: Of an authority's answer. Tokens have 1 to 8 KB, most of it certificates.
MAX_RESPONSE_BYTES: Final = 65_536
#: Of a file with certificates.
MAX_CERTIFICATES_BYTES: Final = 1_048_576

_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_GRANTED: Final = 0


class Reason(StrEnum):
    """Why there is no time stamp, or why one is not believed."""

    #: No answer in time, or not one of a time-stamping authority.
    UNREACHABLE = "unreachable"
    #: The authority answered that it gives none.
    REFUSED = "refused"
    #: Not a token, or not of a form that is accepted.
    MALFORMED = "malformed"
    #: Of other content than what was asked for.
    IMPRINT = "imprint"
    #: Not the answer to this request.
    NONCE = "nonce"
    #: Under another policy than the one that is configured.
    POLICY = "policy"
    #: The certificate that the signature names is not in the token, or there are several that could be meant.
    SIGNER = "signer"
    #: The certificate is not for time stamping alone.
    USAGE = "usage"
    #: The certificate was not valid at the token's time.
    VALIDITY = "validity"
    #: The signature does not hold, or its certificate does not lead to one that is trusted.
    CHAIN = "chain"

    @property
    def fault(self) -> TimeStampFault:
        """What stands in the log for it."""
        match self:
            case Reason.UNREACHABLE:
                return TimeStampFault.UNREACHABLE
            case Reason.REFUSED:
                return TimeStampFault.REFUSED
            case Reason.MALFORMED:
                return TimeStampFault.MALFORMED
            case Reason.IMPRINT | Reason.NONCE | Reason.POLICY:
                return TimeStampFault.MISMATCHED
            case Reason.SIGNER | Reason.USAGE | Reason.VALIDITY | Reason.CHAIN:
                return TimeStampFault.UNTRUSTED


class TimeStampRefused(Exception):
    """There is no time stamp that can be believed; the message says more than `reason`."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class CertificatesUnusable(ValueError):
    """There are no certificates to trust; the message says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A time-stamp request: its bytes (DER), what it asks for (SHA-256), and the nonce that the answer repeats."""

    der: bytes
    imprint: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class StampedTime:
    """A verified token: the content existed at `time`, says the authority, give or take `accuracy` where it states one.

    `token` is the TimeStampToken (DER), `policy` a dotted object identifier; `signer` names the certificate (RFC 4514), which
    is valid until `certificate_ends`.
    """

    time: datetime
    accuracy: timedelta | None
    serial: int
    policy: str
    signer: str
    certificate_ends: datetime
    token: bytes

    @property
    def token_sha256(self) -> str:
        """What the log holds of the token, in hex."""
        return sha256(self.token).hexdigest()


def read_certificates(path: Path) -> tuple[Certificate, ...]:
    """The certificates of a PEM file; raises CertificatesUnusable."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CERTIFICATES_BYTES + 1)
    except OSError as err:
        raise CertificatesUnusable(f"{path} cannot be read: {err.strerror}") from err
    if len(raw) > MAX_CERTIFICATES_BYTES:
        raise CertificatesUnusable(f"{path} is larger than {MAX_CERTIFICATES_BYTES} bytes")
    return parse_certificates(raw, str(path))


def parse_certificates(raw: bytes, where: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM text, named `where` in the CertificatesUnusable. One at least must be a root: trust ends there."""
    try:
        found = tuple(dict.fromkeys(x509.load_pem_x509_certificates(raw)))
        roots = [each for each in found if each.issuer == each.subject]
    except ValueError as err:
        raise CertificatesUnusable(f"{where} holds no certificates in PEM: {err}") from err
    if not roots:
        raise CertificatesUnusable(f"{where} holds no root certificate, which is issued by itself")
    return found


def request_for(content: bytes) -> Request:
    """A request to stamp SHA-256 of `content` (not empty), with a fresh nonce, that asks for the certificates too."""
    request = TimestampRequestBuilder(content, HashAlgorithm.SHA256).build()
    nonce = request.nonce
    if nonce is None:
        raise TimeStampRefused(Reason.MALFORMED, "a request without a nonce is not sent")
    return Request(request.as_bytes(), sha256(content).digest(), nonce)


def verify_response(response: bytes, request: Request, anchors: Sequence[Certificate], policy: str | None = None) -> StampedTime:
    """What an authority's answer to `request` says; raises TimeStampRefused.

    `policy` (a dotted object identifier) is what the token must be issued under; for `anchors` see `verify_token`.
    """
    try:
        status, token = read_response(response)
    except TokenFormError as err:
        raise TimeStampRefused(Reason.MALFORMED, f"no time-stamp response: {err}") from err
    if status != _GRANTED or token is None:
        # Also "granted with modifications": nothing was asked for that could be modified.
        raise TimeStampRefused(Reason.REFUSED, f"the authority answered with status {status}")
    return _verify(token, request.imprint, anchors, request.nonce, policy)


def verify_token(token: bytes, imprint: bytes, anchors: Sequence[Certificate]) -> StampedTime:
    """What a token (DER) says of the content with this SHA-256 (32 bytes); raises TimeStampRefused. Needs no network.

    Its certificate must lead to one of `anchors` that is a root; others of them are used on the way there, as are those in the
    token. All of them must have been valid at the token's time, not now (RFC 3161 appendix B).
    """
    return _verify(token, imprint, anchors, None, None)


def _verify(token: bytes, imprint: bytes, anchors: Sequence[Certificate], nonce: int | None, policy: str | None) -> StampedTime:
    with _malformed():
        form = read_token(token)
        response = decode_timestamp_response(granted(form.der))
        info = response.tst_info
        accuracy = _duration(info.accuracy)
    if info.message_imprint.hash_algorithm.dotted_string != _SHA256 or info.message_imprint.message != imprint:
        raise TimeStampRefused(Reason.IMPRINT, "the token is not of this content's SHA-256")
    if nonce is not None and info.nonce != nonce:
        raise TimeStampRefused(Reason.NONCE, "the token does not answer this request")
    if policy is not None and info.policy.dotted_string != policy:
        raise TimeStampRefused(Reason.POLICY, f"the token is issued under {info.policy.dotted_string}, not {policy}")
    with _malformed():
        signer = _signer(form, response, anchors)
        _check_usage(signer)
        name = signer.subject.rfc4514_string()
    if not signer.not_valid_before_utc <= form.time <= signer.not_valid_after_utc:
        raise TimeStampRefused(Reason.VALIDITY, f"the certificate of {name} was not valid at the token's time")
    try:
        with _malformed():
            VerifierBuilder(roots=list(anchors)).build().verify(response, imprint)
    except VerificationError as err:
        raise TimeStampRefused(Reason.CHAIN, f"the signature by {name} is not to be trusted: {err}") from err
    return StampedTime(
        time=form.time,
        accuracy=accuracy,
        serial=info.serial_number,
        policy=info.policy.dotted_string,
        signer=name,
        certificate_ends=signer.not_valid_after_utc,
        token=form.der,
    )


@contextmanager
def _malformed() -> Iterator[None]:
    """What the libraries raise for bytes that they cannot read, in our words."""
    try:
        yield
    except (
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as err:
        raise TimeStampRefused(Reason.MALFORMED, f"no token of an accepted form: {err}") from err


def _duration(accuracy: Accuracy | None) -> timedelta | None:
    if accuracy is None:
        return None
    return timedelta(seconds=accuracy.seconds or 0, milliseconds=accuracy.millis or 0, microseconds=accuracy.micros or 0)


def _signer(form: TokenForm, response: TimeStampResponse, anchors: Sequence[Certificate]) -> Certificate:
    """The certificate that the signature is checked with; which one is meant must be beyond doubt."""
    (signer,) = response.signed_data.signer_infos
    embedded = [x509.load_der_x509_certificate(der) for der in form.certificates]
    meant = {each for each in (*embedded, *anchors) if (each.issuer, each.serial_number) == (signer.issuer, signer.serial_number)}
    if len(meant) != 1 or not meant & set(embedded):
        raise TimeStampRefused(
            Reason.SIGNER, f"{len(meant)} certificates could be the signer's, of those in the token and those known"
        )
    (certificate,) = meant
    if not form.names(certificate.public_bytes(Encoding.DER)):
        raise TimeStampRefused(Reason.SIGNER, "the signed attributes name another certificate")
    return certificate


def _check_usage(certificate: Certificate) -> None:
    """RFC 3161 section 2.3: one key purpose, time stamping, and critical."""
    try:
        usage = certificate.extensions.get_extension_for_class(ExtendedKeyUsage)
    except x509.ExtensionNotFound as err:
        raise TimeStampRefused(Reason.USAGE, "the certificate states no use") from err
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise TimeStampRefused(Reason.USAGE, "the certificate is not for time stamping alone")


class Authority:
    """A time-stamping authority, reached over HTTP (RFC 3161 section 3.4). Belongs to one event loop.

    `policy` is a dotted object identifier that its tokens must be issued under, None for any.
    """

    def __init__(self, url: str, anchors: Sequence[Certificate], timeout_seconds: float, policy: str | None = None) -> None:
        self.url = url
        self._anchors = tuple(anchors)
        self._timeout_seconds = timeout_seconds
        self._policy = policy
        self._tls: ssl.SSLContext | None = None

    async def stamp(self, content: bytes) -> StampedTime:
        """A verified time stamp of `content`; raises TimeStampRefused."""
        request = request_for(content)
        response = await self._ask(request.der)
        return await asyncio.to_thread(verify_response, response, request, self._anchors, self._policy)

    async def _ask(self, query: bytes) -> bytes:
        # Imported when there is such an authority, and off the event loop: it takes a quarter of a second.
        if self._tls is None:
            self._tls = await asyncio.to_thread(_tls)
        import httpx

        headers = {"content-type": "application/timestamp-query", "accept": "application/timestamp-reply"}
        headers |= {"accept-encoding": "identity", "user-agent": "countersign"}
        body = bytearray()
        try:
            async with (
                # For the whole answer: one that comes byte by byte would outlast any timeout between two of them.
                asyncio.timeout(self._timeout_seconds),
                # A proxy of the environment is for other machines.
                httpx.AsyncClient(verify=self._tls, trust_env=not is_loopback(self.url), timeout=self._timeout_seconds) as client,
                client.stream("POST", self.url, content=query, headers=headers, follow_redirects=False) as response,
            ):
                if response.status_code != 200:
                    raise TimeStampRefused(Reason.UNREACHABLE, f"{self.url} answered {response.status_code}")
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_RESPONSE_BYTES:
                        raise TimeStampRefused(Reason.MALFORMED, f"{self.url} answered more than {MAX_RESPONSE_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as err:  # an OSError: also that time is up
            raise TimeStampRefused(Reason.UNREACHABLE, f"{self.url}: {str(err) or type(err).__name__}") from err
        return bytes(body)


def _tls() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()
