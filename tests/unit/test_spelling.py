"""Base64 and decimals have one spelling each."""

import pytest

from domain.spelling import MAX_NUMBER, SpellingError, from_base64, from_decimal, line_fault, to_base64


@pytest.mark.parametrize("raw", [b"", b"f", b"fo", b"foo", bytes(range(256)), b"\xff\xef\xbe"])
def test_base64_reads_back(raw: bytes) -> None:
    assert from_base64(to_base64(raw)) == raw


@pytest.mark.parametrize(
    "text",
    [
        "Zg",
        "Zg=",
        "Zh==",
        "Zm9=",
        "Zg==\n",
        " Zg==",
        "Zg ==",
        "Z-8=",
        "Z_8=",
        "Zg===",
        "=",
        "====",
        "Zg==Zg==",
        "é===",
        "Zg==\x00",
        "Zm9vZ",
    ],
)
def test_any_other_spelling_of_base64_is_refused(text: str) -> None:
    with pytest.raises(SpellingError):
        from_base64(text)


def test_decimals_read_to_63_bits() -> None:
    for number in (0, 1, 9, 10, 20852163, MAX_NUMBER):
        assert from_decimal(str(number)) == number
    assert MAX_NUMBER == 2**63 - 1


@pytest.mark.parametrize(
    "text",
    ["", "00", "01", "-1", "+1", "1 ", " 1", "1\n", "1.0", "1e3", "0x10", "1_000", "٣", "²", str(2**63), "9" * 20, "9" * 5000],
)
def test_any_other_spelling_of_a_decimal_is_refused(text: str) -> None:
    with pytest.raises(SpellingError):
        from_decimal(text)


def test_lines_hold_no_control_characters_and_are_text() -> None:
    assert line_fault("an — ordinary \x7f line") is None
    assert all(line_fault(f"a{chr(number)}b") for number in range(32))
    assert line_fault("\udc80")
