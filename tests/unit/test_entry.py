"""Entries: one spelling, strict reading, and limits."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest

from domain.canonical import MAX_DEPTH, MAX_INTEGER
from domain.entry import (
    MAX_ENTRY_BYTES,
    NO_PREVIOUS,
    Entry,
    EntryError,
    decode,
    draft,
    encode,
    format_time,
    leaf_hash,
    parse_time,
)
from tests.given import NOW, digest, uid

ENTRY = Entry(
    ledger="ledger.example/1",
    stream=uid(0xABCDEF),
    version=3,
    type="signing.document-signed/1",
    at=NOW.replace(microsecond=123456),
    previous=sha256(b"previous").digest(),
    by={"id": "key-1", "kind": "partner-key"},
    data={"document": "d", "list": [1, True, None, "é"], "z": {}},
    personal={"/attestation": digest("attestation")},
)
RAW = encode(ENTRY)


def test_an_entry_is_the_canonical_json_of_its_nine_members() -> None:
    members = {
        "ledger": "ledger.example/1",
        "stream": "00000000-0000-0000-0000-000000abcdef",
        "version": 3,
        "type": "signing.document-signed/1",
        "at": "2026-11-20T22:30:00.123456Z",
        "previous": sha256(b"previous").hexdigest(),
        "by": {"kind": "partner-key", "id": "key-1"},
        "data": {"z": {}, "list": [1, True, None, "é"], "document": "d"},
        "personal": {"/attestation": digest("attestation")},
    }
    assert json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == RAW


def test_an_entry_reads_back_as_it_was() -> None:
    assert decode(RAW) == ENTRY
    assert encode(decode(RAW)) == RAW
    assert decode(RAW).at.tzinfo is UTC


def test_a_leaf_is_the_hash_of_rfc_6962() -> None:
    # The empty leaf of RFC 6962 section 2.1, as in the published test vectors of certificate transparency.
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(RAW) == sha256(b"\x00" + RAW).digest()


def test_an_entry_can_be_spelled_before_its_place_is_known() -> None:
    unplaced = draft(ENTRY.ledger, ENTRY.stream, ENTRY.version, ENTRY.type, ENTRY.by, ENTRY.data, ENTRY.personal)
    assert unplaced.place(format_time(ENTRY.at), ENTRY.previous) == RAW


def test_every_change_of_a_byte_is_refused_or_makes_another_entry_with_another_leaf() -> None:
    """No two byte strings decode to one entry, so nothing about an entry can change unseen."""
    leaf, readable = leaf_hash(RAW), 0
    for index in range(len(RAW)):
        for value in range(256):
            changed = RAW[:index] + bytes((value,)) + RAW[index + 1 :]
            if changed == RAW:
                continue
            try:
                entry = decode(changed)
            except EntryError:
                continue
            readable += 1
            assert entry != ENTRY
            assert encode(entry) == changed
            assert leaf_hash(changed) != leaf
    assert readable > 1_000


def test_every_lost_added_or_swapped_byte_is_refused_or_makes_another_entry() -> None:
    for index in range(len(RAW)):
        swapped = RAW[:index] + RAW[index + 1 : index + 2] + RAW[index : index + 1] + RAW[index + 2 :]
        for changed in (RAW[:index], RAW[:index] + RAW[index + 1 :], RAW[:index] + b" " + RAW[index:], swapped):
            if changed == RAW:
                continue
            try:
                entry = decode(changed)
            except EntryError:
                continue
            assert entry != ENTRY
            assert encode(entry) == changed


def changed(**members: Any) -> bytes:
    value = {**json.loads(RAW), **members}
    kept = {key: member for key, member in value.items() if member is not ...}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "a list": b"[]",
    "not JSON": RAW[:-1],
    "not UTF-8": RAW.replace("é".encode(), b"\xff"),
    "another member": changed(extra=1),
    "a member missing": changed(personal=...),
    "a member twice": RAW.replace(b'"at":', b'"at":"x","at":'),
    "a space": RAW.replace(b",", b", ", 1),
    "members out of order": b'{"version":3,' + RAW[1:].replace(b',"version":3', b""),
    "an escape that is not needed": RAW.replace(b'"kind"', b'"\\u006bind"'),
    "a newline at the end": RAW + b"\n",
    "a float": changed(data={"a": 0.5}),
    "a float that is an integer": RAW.replace(b"[1,", b"[1.0,"),
    "an integer beyond 2^53-1": changed(data={"a": MAX_INTEGER + 1}),
    "a lone surrogate": RAW.replace(b'"d"', b'"\\ud800"'),
    "a version that is a string": changed(version="3"),
    "a version that is true": changed(version=True),
    "a negative version": changed(version=-1),
    "a version beyond 2^53-1": changed(version=MAX_INTEGER + 1),
    "a ledger that is null": changed(ledger=None),
    "a type that is a number": changed(type=1),
    "data that is a list": changed(data=[]),
    "an actor that is a string": changed(by="me"),
    "a stream that is no UUID": changed(stream="x"),
    "a stream in upper case": changed(stream="00000000-0000-0000-0000-000000ABCDEF"),
    "a stream in braces": changed(stream="{00000000-0000-0000-0000-000000abcdef}"),
    "a hash too short": changed(previous="0" * 63),
    "a hash in upper case": changed(previous="A" * 64),
    "a hash with a newline": changed(previous="a" * 63 + "\n"),
    "a commitment that is null": changed(personal={"/a": None}),
    "a commitment in upper case": changed(personal={"/a": "A" * 64}),
    "a time in another zone": changed(at="2026-11-20T22:30:00.123456+00:00"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_bytes_that_are_not_an_entry_are_refused_with_our_error(case: str) -> None:
    with pytest.raises(EntryError):
        decode(MALFORMED[case])


UNSPEAKABLE: dict[str, Entry] = {
    "a float": replace(ENTRY, data={"a": 0.5}),
    "a large integer": replace(ENTRY, data={"a": MAX_INTEGER + 1}),
    "a lone surrogate": replace(ENTRY, data={"a": "\ud800"}),
    "too deep a value": replace(ENTRY, data={"a": json.loads("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))}),
    "a negative version": replace(ENTRY, version=-1),
    "a version beyond 2^53-1": replace(ENTRY, version=MAX_INTEGER + 1),
    "a hash too short": replace(ENTRY, previous=b"short"),
    "a time without a zone": replace(ENTRY, at=datetime(2026, 11, 20)),  # noqa: DTZ001 (that is the point)
    "a commitment that is none": replace(ENTRY, personal={"/a": "Ana"}),
}


@pytest.mark.parametrize("case", UNSPEAKABLE)
def test_what_could_not_be_read_is_not_spelled(case: str) -> None:
    with pytest.raises(EntryError):
        encode(UNSPEAKABLE[case])


def sized(size: int) -> Entry:
    empty = encode(replace(ENTRY, data={"a": ""}))
    return replace(ENTRY, data={"a": "x" * (size - len(empty))})


def test_an_entry_of_65535_bytes_is_the_largest() -> None:
    raw = encode(sized(MAX_ENTRY_BYTES))
    assert len(raw) == MAX_ENTRY_BYTES == 65_535
    assert decode(raw) == sized(MAX_ENTRY_BYTES)
    with pytest.raises(EntryError, match="65536 bytes"):
        encode(sized(MAX_ENTRY_BYTES + 1))
    with pytest.raises(EntryError, match="65536 bytes"):
        decode(raw.replace(b"xxx", b"xxxx", 1))


TIMES = {
    "2026-11-20T22:30:00.000000Z": NOW,
    "0001-01-01T00:00:00.000000Z": datetime.min.replace(tzinfo=UTC),
    "9999-12-31T23:59:59.999999Z": datetime.max.replace(tzinfo=UTC),
    "0987-06-05T04:03:02.000001Z": datetime(987, 6, 5, 4, 3, 2, 1, tzinfo=UTC),
}


@pytest.mark.parametrize("text", TIMES)
def test_a_time_has_one_spelling(text: str) -> None:
    assert format_time(TIMES[text]) == text
    assert parse_time(text) == TIMES[text]
    assert parse_time(text).tzinfo is UTC


def test_a_time_in_another_zone_is_spelled_in_utc() -> None:
    bogota = timezone(timedelta(hours=-5))
    assert format_time(NOW.astimezone(bogota)) == "2026-11-20T22:30:00.000000Z"
    assert format_time(datetime(987, 1, 1, tzinfo=bogota)) == "0987-01-01T05:00:00.000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-20T22:30:00Z",
        "2026-11-20T22:30:00.123Z",
        "2026-11-20T22:30:00.1234567Z",
        "2026-11-20 22:30:00.123456Z",
        "2026-11-20T22:30:00.123456z",
        "2026-11-20T22:30:00.123456",
        "2026-11-20T22:30:00.123456+00:00",
        "2026-11-20T22:30:00.123456Z\n",
        "2026-02-30T22:30:00.123456Z",
        "2026-13-01T22:30:00.123456Z",
        "2026-11-20T24:00:00.000000Z",
        "2026-11-20T23:59:60.000000Z",
        "0000-01-01T00:00:00.000000Z",
        "٢٠٢٦-11-20T22:30:00.123456Z",
        "20261-1-20T22:30:00.123456Z",
    ],
)
def test_any_other_spelling_of_a_time_is_refused(text: str) -> None:
    parse: Callable[[str], datetime] = parse_time
    with pytest.raises(EntryError):
        parse(text)


def test_a_first_entry_follows_32_zero_bytes() -> None:
    assert bytes(32) == NO_PREVIOUS
    assert b'"previous":"' + b"0" * 64 + b'"' in encode(replace(ENTRY, previous=NO_PREVIOUS))
