"""Hex strings read at once are what pyHanko reads digit by digit, with the same errors and as far."""

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfError

from infrastructure.pdf_seal import hex_strings
from infrastructure.pdf_seal.hex_strings import read_hex_string


def outcome(reader: Any, raw: bytes) -> tuple[object, ...]:
    """What is read, of which type, and where it ends; or the error."""
    stream = BytesIO(b"xx" + raw)
    stream.seek(2)
    try:
        found = reader(stream)
    except PdfError as err:
        return type(err), str(err)
    return type(found), found, stream.tell()


def agree(raw: bytes) -> bool:
    return outcome(read_hex_string, raw) == outcome(hex_strings._theirs, raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"<>",
        b"<41>",
        b"<414>more",
        b"<FEFF00e9>",
        b"<4 1\n42\t>",
        b"<41%a comment >\n42>",
        b"<4x>",
        b"<41",
        b"<",
        b"<" + b"00" * 20_000 + b">more",
        b"<" + b"0" * 4095 + b">",
        b"<" + b"0" * 4096 + b">",
        b"<" + b"0" * 8191 + b"\n0>",
        b"<" + b"0" * 9000,
    ],
    ids=range(14),
)
def test_it_reads_what_pyhanko_reads(raw: bytes) -> None:
    assert agree(raw)


@given(st.text("0123456789abcdefABCDEF <>%\nx", max_size=40))
def test_it_reads_what_pyhanko_reads_of_any_bytes(text: str) -> None:
    assert agree(f"<{text}".encode())


def test_pyhanko_reads_with_it_where_that_is_wished(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counting(stream: BytesIO) -> Any:
        read.append(stream.tell())
        return read_hex_string(stream)

    monkeypatch.setattr(generic, "read_hex_string_from_stream", hex_strings._theirs)
    monkeypatch.setattr(hex_strings, "read_hex_string", counting)
    hex_strings.read_them_at_once()
    found: object = generic.read_object(BytesIO(b"<4142>"), generic.Reference(1, 0))
    assert found == "AB"
    assert read == [0]
