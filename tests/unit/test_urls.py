"""Signed URLs: what is granted, and everything that is not."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import pytest

from domain.actor import Actor, ActorKind
from domain.canonical import Json, canonical
from infrastructure.clock import FixedClock
from infrastructure.urls import (
    MAX_TOKEN_CHARACTERS,
    DocumentUploadGrant,
    DownloadGrant,
    FileUrls,
    Refused,
    UploadGrant,
    UrlRefused,
)

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
KEY = bytes(range(32))
TEMPLATE = UUID("3f34581a-5b4a-4068-ab72-5f2b36611fa1")
ACTOR = Actor(ActorKind.PARTNER_KEY, "pk_01J8XQ8B0P8XSH6M3B2P0N5W9K")
BASE = "https://sign.example.com"


def urls(clock: FixedClock | None = None, key: bytes = KEY) -> FileUrls:
    return FileUrls(BASE, key, timedelta(minutes=15), clock or FixedClock(NOW))


def upload_token(made: FileUrls | None = None) -> str:
    return (made or urls()).upload(TEMPLATE, 2, 1000, ACTOR).removeprefix(f"{BASE}/files/upload/")


def signed(content: Json) -> str:
    """A token over any content, under the right key: what an older or newer version might have made."""
    text = urlsafe_b64encode(canonical(content)).rstrip(b"=")
    mac = hmac.new(KEY, b"countersign/file-url/v1\n" + text, sha256).digest()
    return f"{text.decode()}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def refusal(open_it: Callable[[], object]) -> Refused:
    with pytest.raises(UrlRefused) as caught:
        open_it()
    return caught.value.reason


def test_an_upload_url_grants_what_it_was_made_for() -> None:
    assert urls().open(upload_token(), "PUT") == UploadGrant(TEMPLATE, 2, 1000, ACTOR)


def test_a_download_url_grants_the_blob_by_get_and_by_head() -> None:
    digest = "ab" * 32
    token = urls().download(digest, "contrato añadido.pdf", ACTOR).removeprefix(f"{BASE}/files/download/")
    expected = DownloadGrant(digest, "contrato añadido.pdf", ACTOR)
    assert urls().open(token, "GET") == expected
    assert urls().open(token, "HEAD") == expected


def test_the_lifetime_is_told_in_seconds() -> None:
    assert urls().lifetime_seconds == 900


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "put"])
def test_an_upload_url_permits_no_other_method(method: str) -> None:
    assert refusal(lambda: urls().open(upload_token(), method)) is Refused.METHOD


def test_a_url_works_until_it_expires_and_not_a_millisecond_longer() -> None:
    clock = FixedClock(NOW)
    made = urls(clock)
    token = upload_token(made)
    clock.advance(timedelta(minutes=15) - timedelta(milliseconds=1))
    assert isinstance(made.open(token, "PUT"), UploadGrant)
    clock.advance(timedelta(milliseconds=1))
    assert refusal(lambda: made.open(token, "PUT")) is Refused.EXPIRED


def test_no_character_of_a_token_can_be_changed_or_left_out() -> None:
    token = upload_token()
    for place in range(len(token)):
        for other in (("A" if token[place] != "A" else "B"), ""):
            changed = token[:place] + other + token[place + 1 :]
            with pytest.raises(UrlRefused) as caught:
                urls().open(changed, "PUT")
            assert caught.value.reason in (Refused.SIGNATURE, Refused.MALFORMED)


def test_a_grant_cannot_be_widened_under_its_old_signature() -> None:
    text, _, mac = upload_token().partition(".")
    other = signed({"method": "PUT"}).partition(".")[0]
    assert text != other
    assert refusal(lambda: urls().open(f"{other}.{mac}", "PUT")) is Refused.SIGNATURE


def test_a_token_of_another_installation_is_refused() -> None:
    assert refusal(lambda: urls(key=bytes(32)).open(upload_token(), "PUT")) is Refused.SIGNATURE


def test_a_signature_over_the_text_alone_is_not_enough() -> None:
    """The key signs nothing else that could be passed off as a token."""
    text = upload_token().partition(".")[0]
    mac = urlsafe_b64encode(hmac.new(KEY, text.encode(), sha256).digest()).rstrip(b"=").decode()
    assert refusal(lambda: urls().open(f"{text}.{mac}", "PUT")) is Refused.SIGNATURE


@pytest.mark.parametrize(
    "token",
    ["", ".", "abc", "a.b.c", "é.é", "a." + "b" * MAX_TOKEN_CHARACTERS, "\x00.\x00", "🙂", ".." * 40],
    ids=["empty", "dot", "no-dot", "three-parts", "not-ascii", "long", "control", "emoji", "dots"],
)
def test_what_is_no_token_is_refused_as_such(token: str) -> None:
    assert refusal(lambda: urls().open(token, "GET")) in (Refused.MALFORMED, Refused.SIGNATURE)


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "tomorrow"},
        {"expires": True},
        {"method": "POST"},
        {"actor": "pk_1"},
        {"actor": {"kind": "partner-key"}},
        {"actor": {"kind": "nobody", "id": "x"}},
        {"template": "not-a-uuid"},
        {"template": None},
        {"version": "2"},
        {"limit": None},
    ],
    ids=str,
)
def test_signed_content_that_this_code_does_not_know_is_malformed(change: dict[str, Json]) -> None:
    content: dict[str, Json] = {
        "method": "PUT",
        "actor": {"kind": "partner-key", "id": "pk_1"},
        "expires": 4_000_000_000_000,
        "template": str(TEMPLATE),
        "version": 2,
        "limit": 1000,
    }
    assert isinstance(urls().open(signed(content), "PUT"), UploadGrant)
    assert refusal(lambda: urls().open(signed({**content, **change}), "PUT")) is Refused.MALFORMED


@pytest.mark.parametrize("content", [[], "text", 1, None], ids=str)
def test_signed_content_that_is_no_object_is_malformed(content: Json) -> None:
    assert refusal(lambda: urls().open(signed(content), "PUT")) is Refused.MALFORMED


def test_a_download_names_a_blob_by_its_whole_hash() -> None:
    """A shorter or longer name could reach another place of the store."""
    content: dict[str, Json] = {
        "method": "GET",
        "actor": {"kind": "user", "id": "x"},
        "expires": 4_000_000_000_000,
        "sha256": "../../secret.key",
        "filename": "a.pdf",
    }
    assert refusal(lambda: urls().open(signed(content), "GET")) is Refused.MALFORMED


def test_an_upload_url_of_a_document_grants_that_document_alone() -> None:
    token = urls().upload_document(TEMPLATE, 1000, ACTOR).removeprefix(f"{BASE}/files/upload/")
    assert urls().open(token, "PUT") == DocumentUploadGrant(TEMPLATE, 1000, ACTOR)
    assert refusal(lambda: urls().open(token, "GET")) is Refused.METHOD
