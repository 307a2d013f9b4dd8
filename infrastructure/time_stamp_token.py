"""The parts of a TimeStampToken (RFC 3161 section 2.4.2) that the client library does not show.

A token is a CMS SignedData (RFC 5652 section 5.1) over a TSTInfo. Read here are the forms that RFC 3161 and its update
RFC 5816 allow, in DER; whether any of it is true, `infrastructure.trusted_time` finds out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1, sha256, sha384, sha512
from typing import Final

_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_OID: Final = 0x06
_TIME: Final = 0x18
_SEQUENCE: Final = 0x30
_SET: Final = 0x31
#: Context-specific and constructed, [0] and [1].
_ZERO: Final = 0xA0
_ONE: Final = 0xA1

#: Object identifiers as their content octets.
_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")
_TST_INFO: Final = bytes.fromhex("2a864886f70d0109100104")
_SIGNING_CERTIFICATE: Final = bytes.fromhex("2a864886f70d010910020c")
_SIGNING_CERTIFICATE_V2: Final = bytes.fromhex("2a864886f70d010910022f")
_SHA256, _SHA384, _SHA512 = (bytes.fromhex(f"6086480165030402{last}") for last in ("01", "02", "03"))
_HASHES: Final = {_SHA256: sha256, _SHA384: sha384, _SHA512: sha512}
#: How a signer may sign, with the digest that goes with it: RSA of PKCS #1, which also has a name that leaves the digest open
#: (RFC 8017 appendix C), and ECDSA (RFC 5758 section 3.2).
_SIGNATURES: Final = {
    bytes.fromhex("2a864886f70d010101"): frozenset(_HASHES),
    **{
        bytes.fromhex("2a864886f70d0101" + last): {digest} for last, digest in (("0b", _SHA256), ("0c", _SHA384), ("0d", _SHA512))
    },
    **{bytes.fromhex("2a8648ce3d0403" + last): {digest} for last, digest in (("02", _SHA256), ("03", _SHA384), ("04", _SHA512))},
}

#: RFC 3161 section 2.4.2, genTime: seconds, a fraction without a zero at its end, and Z.
_GEN_TIME: Final = re.compile(rb"(\d{14})(?:\.(\d*[1-9]))?Z")


class TokenFormError(ValueError):
    """The bytes are not a TimeStampToken of a form that is accepted; the message says why."""


@dataclass(frozen=True, slots=True)
class TokenForm:
    """A token's parts, none of which has been verified.

    `der` is the token with its certificates in the order that DER gives a set: authorities send them in any, and the
    signature does not cover them. `time` is genTime, cut to microseconds.
    """

    der: bytes
    certificates: tuple[bytes, ...]
    time: datetime
    _named: tuple[tuple[str, bytes], ...]

    def names(self, certificate: bytes) -> bool:
        """Whether the signed attributes name this certificate (DER) as the signer's (RFC 5816 section 2.2.1)."""
        return all(_digest(algorithm, certificate) == value for algorithm, value in self._named)


def _digest(algorithm: str, content: bytes) -> bytes:
    # The first form of the attribute knows no other hash. Nobody but the authority itself could make two certificates of
    # one SHA-1, and the chain is checked besides.
    digest = {"sha1": sha1, "sha256": sha256, "sha384": sha384, "sha512": sha512}[algorithm]
    return digest(content, usedforsecurity=algorithm != "sha1").digest()


@dataclass(frozen=True, slots=True)
class _Element:
    """One DER element: its identifier octet, all its octets, and its contents."""

    tag: int
    raw: bytes
    content: bytes

    def members(self) -> tuple["_Element", ...]:
        return tuple(_elements(self.content))


def _elements(raw: bytes) -> list[_Element]:
    found, at = [], 0
    while at < len(raw):
        start, tag = at, raw[at]
        first = raw[at + 1] if at + 1 < len(raw) else 0x80
        at += 2
        length = first
        if first >= 0x80:
            more = first & 0x7F
            octets = raw[at : at + more]
            length = int.from_bytes(octets, "big")
            if not 1 <= more <= 4 or len(octets) < more or length < 0x80 or not octets[0]:
                raise TokenFormError("a length that is not DER")
            at += more
        if tag & 0x1F == 0x1F or at + length > len(raw):
            raise TokenFormError("an element is cut off, or of an unknown kind")
        found.append(_Element(tag, raw[start : at + length], raw[at : at + length]))
        at += length
    return found


def _take(elements: Sequence[_Element], *tags: int, what: str, more: bool = False) -> tuple[_Element, ...]:
    """The first elements, if they have these tags and (unless `more`) are all there are."""
    if tuple(element.tag for element in elements[: len(tags)]) != tags or (len(elements) > len(tags) and not more):
        raise TokenFormError(f"{what} has another form")
    return tuple(elements[: len(tags)])


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, size) if size < 0x80 else (tag, 0x80 | len(octets), *octets)) + content


def granted(token: bytes) -> bytes:
    """The response (RFC 3161 section 2.4.2) that would carry this token: status `granted`."""
    return _element(_SEQUENCE, _element(_SEQUENCE, _element(_INTEGER, b"\0")) + token)


def read_response(response: bytes) -> tuple[int, bytes | None]:
    """The status of an authority's answer (TimeStampResp), and its token if it has one; raises TokenFormError."""
    (whole,) = _take(_elements(response), _SEQUENCE, what="the response")
    parts = whole.members()
    info = _take(parts, _SEQUENCE, what="the response", more=True)[0]
    status = _take(info.members(), _INTEGER, what="the status", more=True)[0]
    token = _take(parts, _SEQUENCE, _SEQUENCE, what="the response")[1].raw if len(parts) > 1 else None
    return int.from_bytes(status.content, "big"), token


def read_token(token: bytes) -> TokenForm:
    """The parts of a token's bytes (a ContentInfo); raises TokenFormError."""
    (whole,) = _take(_elements(token), _SEQUENCE, what="the token")
    kind, wrapped = _take(whole.members(), _OID, _ZERO, what="the token")
    (signed,) = _take(wrapped.members(), _SEQUENCE, what="the signed data")
    if kind.content != _SIGNED_DATA:
        raise TokenFormError("the token is no signed data")
    parts = list(signed.members())
    version, _, content = _take(parts, _INTEGER, _SET, _SEQUENCE, what="the signed data", more=True)
    rest = parts[3:]
    listed = rest.pop(0) if rest and rest[0].tag == _ZERO else None
    if rest and rest[0].tag == _ONE:
        rest.pop(0)
    (signers,) = _take(rest, _SET, what="the signed data")
    if version.content != b"\3":
        raise TokenFormError("the signed data is of another version")  # RFC 5652 section 5.1: 3 for this content
    certificates = () if listed is None else tuple(sorted(element.raw for element in listed.members()))
    if listed is not None:
        parts[3] = _Element(_ZERO, _element(_ZERO, b"".join(certificates)), b"")
    inner = _element(_SEQUENCE, b"".join(part.raw for part in parts))
    der = _element(_SEQUENCE, kind.raw + _element(_ZERO, inner))
    return TokenForm(der, certificates, _time(content), _named_by_signer(signers))


def _time(content: _Element) -> datetime:
    kind, wrapped = _take(content.members(), _OID, _ZERO, what="the content")
    (octets,) = _take(wrapped.members(), _OCTETS, what="the content")
    if kind.content != _TST_INFO:
        raise TokenFormError("what is signed is no TSTInfo")
    (info,) = _take(_elements(octets.content), _SEQUENCE, what="the TSTInfo")
    fields = _take(info.members(), _INTEGER, _OID, _SEQUENCE, _INTEGER, _TIME, what="the TSTInfo", more=True)
    if fields[0].content != b"\1":
        raise TokenFormError("the TSTInfo is of another version")
    match = _GEN_TIME.fullmatch(fields[4].content)
    if match is None:
        raise TokenFormError("the time is not spelled as RFC 3161 says")
    try:
        second = datetime.strptime(match[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as err:
        raise TokenFormError("the time is none") from err
    return second.replace(microsecond=int((match[2] or b"0").ljust(6, b"0")[:6]))


def _named_by_signer(signers: _Element) -> tuple[tuple[str, bytes], ...]:
    """The hashes of the signer's certificate that the one SignerInfo's signed attributes hold."""
    (signer,) = _take(signers.members(), _SEQUENCE, what="the set of signers")
    version, _, digest, attributes, signature, _ = _take(
        signer.members(), _INTEGER, _SEQUENCE, _SEQUENCE, _ZERO, _SEQUENCE, _OCTETS, what="the signer", more=True
    )
    if version.content != b"\1" or _algorithm(digest) not in _SIGNATURES.get(_algorithm(signature), ()):
        raise TokenFormError("the signer signs in a way that is not accepted")
    named = []
    for attribute in attributes.members():
        kind, values = _take(attribute.members(), _OID, _SET, what="an attribute")
        if kind.content in (_SIGNING_CERTIFICATE, _SIGNING_CERTIFICATE_V2):
            named.append(_first_named(values, "sha1" if kind.content == _SIGNING_CERTIFICATE else "sha256"))
    if not named:
        raise TokenFormError("the signed attributes do not name the signer's certificate")
    return tuple(named)


def _first_named(values: _Element, algorithm: str) -> tuple[str, bytes]:
    """The first certificate of a SigningCertificate or SigningCertificateV2 (RFC 5035 sections 3 and 5): the signer's."""
    (value,) = _take(values.members(), _SEQUENCE, what="the signing certificate attribute")
    (listed,) = _take(value.members(), _SEQUENCE, what="the signing certificate attribute", more=True)
    (first,) = _take(listed.members(), _SEQUENCE, what="the signing certificate attribute", more=True)
    parts = first.members()
    if algorithm != "sha1" and parts and parts[0].tag == _SEQUENCE:
        digest = _HASHES.get(_algorithm(parts[0]))
        if digest is None:
            raise TokenFormError("the signer's certificate is named by an unknown hash")
        algorithm, parts = digest().name, parts[1:]
    (value_,) = _take(parts, _OCTETS, what="the signing certificate attribute", more=True)
    return algorithm, value_.content


def _algorithm(identifier: _Element) -> bytes:
    (kind,) = _take(identifier.members(), _OID, what="an algorithm", more=True)
    return kind.content
