"""The lines of an export: one spelling each, and an error of ours for everything else."""

import json
from uuid import UUID

import pytest

from domain.canonical import MAX_INTEGER, canonical
from domain.entry import MAX_ENTRY_BYTES, decode, encode
from domain.ids import IdError
from infrastructure.export_format import (
    MAX_LINE_BYTES,
    Header,
    LineError,
    Scope,
    ScopeKind,
    Trailer,
    entry_line,
    header_line,
    parse_entry_line,
    parse_header,
    parse_trailer,
    trailer_line,
)
from infrastructure.history import Head
from tests.histories import RecordedLog, forge

STREAM = UUID("58bff266-cdad-46db-b373-1b06476146cd")
PROCESS = f"{UUID(int=7)}-{STREAM}"
WHOLE = Header("countersign.test/ledger", Scope(ScopeKind.LOG), 12, None)
PART = Header("countersign.test/ledger", Scope(ScopeKind.PROCESS, PROCESS), 12, {STREAM: Head(3, b"\xab" * 32, 9)})
TRAILER = Trailer(3, 12, "ab" * 32)
LEAF = b"\x01" * 32


@pytest.mark.parametrize("header", [WHOLE, PART, Header("é\u2028\U0001f58b", Scope(ScopeKind.LOG), 0, None)])
def test_a_header_reads_back_and_is_canonical(header: Header) -> None:
    line = header_line(header)
    assert parse_header(line) == header
    assert line == canonical(json.loads(line)) + b"\n"


def test_a_trailer_reads_back_and_is_canonical() -> None:
    line = trailer_line(TRAILER)
    assert parse_trailer(line) == TRAILER
    assert line == canonical(json.loads(line)) + b"\n"


@pytest.mark.parametrize(
    "raw", [b'{"a":"b"}', b"", b'"', "é\U0001f58b".encode(), rb'{"a":"\\ \" \n"}', b'","leaf":"', b"\\", b'\\"']
)
def test_an_entry_line_reads_back_and_is_canonical(raw: bytes) -> None:
    line = entry_line(MAX_INTEGER, LEAF, raw)
    assert parse_entry_line(line) == (MAX_INTEGER, LEAF, raw)
    assert line == canonical(json.loads(line)) + b"\n"


def test_the_largest_entry_fits_into_a_line() -> None:
    row = RecordedLog().append(STREAM, "x/1", {"text": ""})
    filled = forge(row, data={"text": '"' * ((MAX_ENTRY_BYTES - len(row.raw)) // 2)})
    assert len(filled.raw) >= MAX_ENTRY_BYTES - 1
    assert len(entry_line(MAX_INTEGER, LEAF, filled.raw)) <= MAX_LINE_BYTES
    assert encode(decode(filled.raw)) == filled.raw


ENTRY_LINE = entry_line(7, LEAF, rb'{"a":"b\\c"}')


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        ENTRY_LINE[:-1],
        ENTRY_LINE + b"\n",
        b" " + ENTRY_LINE,
        ENTRY_LINE.replace(b'"position":7', b'"position":07'),
        ENTRY_LINE.replace(b'"position":7', b'"position":0'),
        ENTRY_LINE.replace(b'"position":7', b'"position":-7'),
        ENTRY_LINE.replace(b'"position":7', b'"position":7.0'),
        ENTRY_LINE.replace(b'"position":7', b'"position":70000000000000000'),
        ENTRY_LINE.replace(b'"position":7', b'"position": 7'),
        ENTRY_LINE.replace(b'"leaf":"01', b'"leaf":"0A'),
        ENTRY_LINE.replace(b'"leaf":"01', b'"leaf":"'),
        ENTRY_LINE.replace(b'\\"a\\"', b'"a"'),
        ENTRY_LINE.replace(b"\\\\\\\\", b"\\\\\\"),
        ENTRY_LINE.replace(b'"position":7', b'"position":9007199254740992'),
        ENTRY_LINE.replace(b"\\\\", b"\\u005c"),
        ENTRY_LINE.replace(b"b\\\\", b"\\u0062\\\\"),
        entry_line(7, LEAF, b'{"a":"b"}').replace(b"b", b"\\u0062"),
        ENTRY_LINE.replace(b"c", b"\xff"),
        ENTRY_LINE.replace(b"c", b"\\ud800"),
        ENTRY_LINE[:-2] + b',"more":1}\n',
    ],
)
def test_what_is_not_exactly_an_entry_line_is_refused(line: bytes) -> None:
    with pytest.raises(LineError):
        parse_entry_line(line)


def with_member(header: Header, **members: object) -> bytes:
    value = json.loads(header_line(header)) | members
    return canonical({key: member for key, member in value.items() if member is not ...}) + b"\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "newline"),
        (b"\x00\x01\x02", "newline"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b'{"format":\xff}\n', "not JSON"),
        (header_line(WHOLE)[:-1], "newline"),
        (b" " + header_line(WHOLE), "canonical form"),
        (with_member(WHOLE, format="countersign-export/2"), "format"),
        (with_member(WHOLE, ledger=7), "ledger"),
        (with_member(WHOLE, position=-1), "position"),
        (with_member(WHOLE, position="12"), "position"),
        (with_member(WHOLE, position=True), "position"),
        (with_member(WHOLE, scope="log"), "members"),
        (with_member(WHOLE, scope={"kind": "world"}), "known kind"),
        (with_member(WHOLE, scope={"kind": "log", "id": None}), "no id"),
        (with_member(WHOLE, scope={"kind": "envelope"}), "has no id"),
        (with_member(WHOLE, extra=1), "members"),
        (with_member(WHOLE, position=...), "members"),
        (with_member(WHOLE, heads={}), "only for one"),
        (with_member(PART, heads=...), "only for one"),
        (with_member(PART, heads={}), "has no head"),
        (with_member(PART, heads=[]), "heads is not"),
        (with_member(PART, heads={"x": {}}), "not a UUID"),
        (with_member(PART, heads={str(STREAM).upper(): {}}), "canonical spelling"),
        (with_member(PART, heads={str(STREAM): {"leaf": "ab", "position": 1, "version": 1}}), "64 hex digits"),
        (with_member(PART, heads={str(STREAM): {"leaf": "ab" * 32, "position": 1}}), "members"),
        (with_member(PART, scope={"kind": "process", "id": "x"}), "process id"),
        (with_member(PART, scope={"kind": "process", "id": PROCESS.upper()}), "canonical spelling"),
    ],
)
def test_what_is_not_exactly_a_header_is_refused(line: bytes, why: str) -> None:
    with pytest.raises(LineError, match=why):
        parse_header(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        trailer_line(TRAILER)[:-1],
        trailer_line(TRAILER) + b" ",
        trailer_line(TRAILER).replace(b"3", b"-3"),
        trailer_line(TRAILER).replace(b"3", b"03"),
        trailer_line(TRAILER).replace(b"ab", b"AB"),
        trailer_line(TRAILER).replace(b'"position":12,', b""),
        b'{"count":9007199254740992,"position":1,"sha256":"%b"}\n' % (b"ab" * 32),
    ],
)
def test_what_is_not_exactly_a_trailer_is_refused(line: bytes) -> None:
    with pytest.raises(LineError):
        parse_trailer(line)


def test_a_scope_is_asked_for_in_either_case_of_letters() -> None:
    assert Scope.of(ScopeKind.ENVELOPE, str(STREAM).upper()) == Scope(ScopeKind.ENVELOPE, str(STREAM))
    assert Scope.of(ScopeKind.PROCESS, PROCESS.upper()).stream == STREAM
    with pytest.raises(IdError):
        Scope.of(ScopeKind.PROCESS, str(STREAM))
