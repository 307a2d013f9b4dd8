"""Signed URLs for uploads and downloads: what one may do stands in the URL, under an HMAC.

A token is `base64url(canonical JSON of the grant) "." base64url(HMAC-SHA256 of that text)`. It is a
bearer right: whoever has the URL may do this one thing until it expires. So it names no person.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final, Literal
from uuid import UUID

from domain.actor import Actor, ActorKind
from domain.canonical import CanonicalError, Json, canonical, parse_canonical
from domain.ids import IdError, is_sha256, milliseconds, parse_uuid
from infrastructure.clock import Clock

#: Longer tokens are not looked at; ours have about 450 characters.
MAX_TOKEN_CHARACTERS: Final = 2048

#: In the MAC, so that nothing else signed with this key reads as a token.
_PURPOSE: Final = b"countersign/file-url/v1\n"


class Refused(StrEnum):
    """Why a token was not accepted."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    EXPIRED = "expired"
    METHOD = "method"


class UrlRefused(Exception):
    """The URL does not permit the request."""

    def __init__(self, reason: Refused) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """The right to PUT the PDF of one template version, of at most `limit_bytes`, in the name of `actor`."""

    template: UUID
    version: int
    limit_bytes: int
    actor: Actor
    method: Literal["PUT"] = "PUT"


@dataclass(frozen=True, slots=True)
class DocumentUploadGrant:
    """The right to PUT the PDF of one document of the library, of at most `limit_bytes`, in the name of `actor`."""

    document: UUID
    limit_bytes: int
    actor: Actor
    method: Literal["PUT"] = "PUT"


@dataclass(frozen=True, slots=True)
class DownloadGrant:
    """The right to GET one blob under `filename`, in the name of `actor`."""

    sha256: str
    filename: str
    actor: Actor
    method: Literal["GET"] = "GET"


FileGrant = UploadGrant | DocumentUploadGrant | DownloadGrant


class FileUrls:
    """Makes and reads signed URLs.

    `base_url` is where clients reach the server, without a slash at its end; `key` has 32 bytes.
    """

    def __init__(self, base_url: str, key: bytes, lifetime: timedelta, clock: Clock) -> None:
        self._base_url = base_url
        self._key = key
        self._lifetime = lifetime
        self._clock = clock

    @property
    def lifetime_seconds(self) -> int:
        """How long a URL works from when it is made."""
        return int(self._lifetime.total_seconds())

    def upload(self, template: UUID, version: int, limit_bytes: int, actor: Actor) -> str:
        """The URL to PUT the PDF of a template version to."""
        return f"{self._base_url}/files/upload/{self.sign(UploadGrant(template, version, limit_bytes, actor))}"

    def upload_document(self, document: UUID, limit_bytes: int, actor: Actor) -> str:
        """The URL to PUT the PDF of a document of the library to."""
        return f"{self._base_url}/files/upload/{self.sign(DocumentUploadGrant(document, limit_bytes, actor))}"

    def download(self, sha256: str, filename: str, actor: Actor) -> str:
        """The URL to GET a blob from. URLs end up in logs: `filename` must name no person."""
        return f"{self._base_url}/files/download/{self.sign(DownloadGrant(sha256, filename, actor))}"

    def sign(self, grant: FileGrant) -> str:
        """The token of a grant that begins now."""
        content: dict[str, Json] = {
            "method": grant.method,
            "actor": {"kind": grant.actor.kind.value, "id": grant.actor.id},
            "expires": milliseconds(self._clock.now() + self._lifetime),
        }
        match grant:
            case UploadGrant():
                content |= {"template": str(grant.template), "version": grant.version, "limit": grant.limit_bytes}
            case DocumentUploadGrant():
                content |= {"document": str(grant.document), "limit": grant.limit_bytes}
            case DownloadGrant():
                content |= {"sha256": grant.sha256, "filename": grant.filename}
        text = _encode(canonical(content))
        return f"{text}.{self._mac(text)}"

    def open(self, token: str, method: str) -> FileGrant:
        """What `token` permits; raises UrlRefused for a request with another method. GET permits HEAD."""
        text, dot, mac = token.partition(".")
        if not dot or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise UrlRefused(Refused.MALFORMED)
        # The MAC's text is compared rather than its bytes: base64 has several spellings of the same bytes.
        if not hmac.compare_digest(self._mac(text), mac):
            raise UrlRefused(Refused.SIGNATURE)
        content = _content(text)
        if milliseconds(self._clock.now()) >= _number(content, "expires"):
            raise UrlRefused(Refused.EXPIRED)
        grant = _grant(content)
        if ("GET" if method == "HEAD" else method) != grant.method:
            raise UrlRefused(Refused.METHOD)
        return grant

    def _mac(self, text: str) -> str:
        return _encode(hmac.new(self._key, _PURPOSE + text.encode(), sha256).digest())


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


# What follows reads only what carries our MAC; it still trusts no more than it has checked, because
# an older or newer version of this code may have signed it.


def _content(text: str) -> Mapping[str, Json]:
    try:
        content = parse_canonical(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, CanonicalError) as err:
        raise UrlRefused(Refused.MALFORMED) from err
    if not isinstance(content, dict):
        raise UrlRefused(Refused.MALFORMED)
    return content


def _grant(content: Mapping[str, Json]) -> FileGrant:
    try:
        who = content["actor"]
        if not isinstance(who, dict):
            raise UrlRefused(Refused.MALFORMED)
        actor = Actor(ActorKind(_text(who, "kind")), _text(who, "id"))
        if content.get("method") == "PUT" and "document" in content:
            return DocumentUploadGrant(parse_uuid(_text(content, "document")), _number(content, "limit"), actor)
        if content.get("method") == "PUT":
            return UploadGrant(
                parse_uuid(_text(content, "template")), _number(content, "version"), _number(content, "limit"), actor
            )
        if content.get("method") == "GET" and is_sha256(_text(content, "sha256")):
            return DownloadGrant(_text(content, "sha256"), _text(content, "filename"), actor)
    except (KeyError, IdError, ValueError) as err:
        raise UrlRefused(Refused.MALFORMED) from err
    raise UrlRefused(Refused.MALFORMED)


def _number(content: Mapping[str, Json], name: str) -> int:
    value = content.get(name)
    if type(value) is not int:
        raise UrlRefused(Refused.MALFORMED)
    return value


def _text(content: Mapping[str, Json], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        raise UrlRefused(Refused.MALFORMED)
    return value
