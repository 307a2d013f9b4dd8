"""RFC 8785: published vectors, spellings that matter, and what is refused."""

import json
import struct
from typing import Any

import pytest

from domain.canonical import (
    MAX_DEPTH,
    MAX_INTEGER,
    CanonicalError,
    canonical,
    canonical_exact,
    parse_canonical,
    parse_exact,
    parse_json,
)
from tests.shared_data import shared

VECTORS = "vectors/cyberphone-json-canonicalization/testdata"


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "values", "weird"])
def test_the_published_vectors_are_met(name: str) -> None:
    folder = shared(VECTORS)
    value = parse_json((folder / "input" / f"{name}.json").read_bytes())
    expected = (folder / "output" / f"{name}.json").read_bytes()
    assert canonical(value) == expected
    assert canonical(value) == bytes.fromhex((folder / "outhex" / f"{name}.txt").read_text())
    assert parse_canonical(expected) == value


#: RFC 8785 appendix B: IEEE 754 bits and their spelling.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize("bits", NUMBERS)
def test_numbers_are_spelled_as_in_appendix_b(bits: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    spelled = canonical(value)
    assert spelled == NUMBERS[bits].encode()
    assert parse_canonical(spelled) == value


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])
def test_numbers_without_a_value_are_refused(bits: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    with pytest.raises(CanonicalError):
        canonical(value)


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    # U+1F600 is the surrogates D83D DE00, so it comes before U+FB33 though its code point is higher.
    assert canonical({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "1": 4, "\r": 5}) == (
        '{"\\r":5,"1":4,"\u20ac":3,"\U0001f600":2,"\ufb33":1}'.encode()
    )


def test_strings_escape_what_must_be_and_nothing_else() -> None:
    assert (
        canonical('\x00\x08\t\n\x0c\r\x1f"\\/\x7f\u2028é') == b'"\\u0000\\b\\t\\n\\f\\r\\u001f\\"\\\\/\x7f\xe2\x80\xa8\xc3\xa9"'
    )


UNSPEAKABLE: dict[str, Any] = {
    "an integer beyond 2^53-1": MAX_INTEGER + 1,
    "an integer below -2^53+1": -MAX_INTEGER - 1,
    "a lone surrogate": "\ud800",
    "a lone surrogate in a key": {"\udfff": 1},
    "a lone surrogate beside a float": ["\udfff", 0.5],
    "a key that is a number": {1: 1},
    "bytes": b"a",
    "a set": {1},
    "an object": object(),
    "a nested one": [{"a": [b"a"]}],
}


@pytest.mark.parametrize("case", UNSPEAKABLE)
def test_what_i_json_lacks_is_refused(case: str) -> None:
    for spell in (canonical, canonical_exact):
        with pytest.raises(CanonicalError):
            spell(UNSPEAKABLE[case])


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def test_depth_is_limited() -> None:
    assert canonical(nested(MAX_DEPTH)) == b"[" * MAX_DEPTH + b"0" + b"]" * MAX_DEPTH
    for deep in (nested(MAX_DEPTH + 1), {"a": nested(MAX_DEPTH)}):
        with pytest.raises(CanonicalError):
            canonical(deep)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(CanonicalError):
        canonical(loop)


@pytest.mark.parametrize("value", [0.0, [1.5], {"a": {"b": (1e300,)}}])
def test_entries_hold_no_floats(value: Any) -> None:
    assert canonical(value)
    with pytest.raises(CanonicalError):
        canonical_exact(value)


NOT_JSON = {
    "nothing": b"",
    "not UTF-8": b'"\xff"',
    "UTF-16": '"a"'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "an overlong encoding": b'"\xc0\xaf"',
    "an encoded surrogate": b'"\xed\xa0\x80"',
    "two values": b"1 2",
    "a trailing comma": b"[1,]",
    "a comment": b"{} // a",
    "single quotes": b"{'a':1}",
    "a bare word": b"nul",
    "an unfinished escape": b'"\\u12"',
    "a raw control character": b'"\n"',
    "a leading zero": b"01",
    "a plus sign": b"+1",
    "no digit after the point": b"1.",
    "not a number": b"NaN",
    "infinity": b"[Infinity]",
    "minus infinity": b"-Infinity",
    "beyond a double": b"1e999",
    "beyond a double, negative": b"-1e400",
    "a key twice": b'{"a":1,"a":1}',
    "a key twice by an escape": b'{"a":1,"\\u0061":2}',
    "a key twice, deep": b'[{"b":{"a":1,"a":2}}]',
    "a lone high surrogate": b'"\\ud800"',
    "a lone low surrogate": b'{"a":["\\uDC00"]}',
    "a lone surrogate in a key": b'{"\\uDBFFa":1}',
    "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "too deep for the parser": b"[" * 100_000 + b"]" * 100_000,
    "too many digits": b"9" * 5_000,
}


@pytest.mark.parametrize("case", NOT_JSON)
def test_text_that_is_not_i_json_is_refused_with_our_error(case: str) -> None:
    with pytest.raises(CanonicalError):
        parse_json(NOT_JSON[case])
    with pytest.raises(CanonicalError):
        canonical_exact(parse_exact(NOT_JSON[case]))


@pytest.mark.parametrize(
    ("case", "told"), [("too deep for the parser", "nested too deeply"), ("too many digits", "beyond the range of a double")]
)
def test_what_only_the_interpreter_limits_is_told_in_words_of_json(case: str, told: str) -> None:
    with pytest.raises(CanonicalError, match=f"{told}$"):
        parse_json(NOT_JSON[case])


NOT_CANONICAL = {
    "a space": b'{"a": 1}',
    "a newline at the end": b"1\n",
    "keys out of order": b'{"b":1,"a":2}',
    "keys in code point order": '{"\ufb33":1,"\U0001f600":2}'.encode(),
    "an escape that is not needed": b'"\\u0061"',
    "an escaped solidus": b'"\\/"',
    "an upper case escape": b'"\\u001F"',
    "a long escape": b'"\\u000a"',
    "an escaped pair of surrogates": b'"\\ud83d\\ude00"',
    "minus zero": b"-0",
    "a float that is an integer": b"1.0",
    "an exponent that is not needed": b"1e2",
    "an upper case exponent": b"1E+30",
    "a digit too many": b"0.10",
    "an integer that no double is spelled as": b"9007199254740993",
    "a large integer without an exponent": b"1000000000000000000000",
}


@pytest.mark.parametrize("case", NOT_CANONICAL)
def test_another_spelling_is_refused_though_it_is_json(case: str) -> None:
    json.loads(NOT_CANONICAL[case])
    with pytest.raises(CanonicalError):
        parse_canonical(NOT_CANONICAL[case])


def test_an_integer_beyond_2_53_is_a_double_only_in_the_very_spelling_of_that_double() -> None:
    assert type(parse_json(b"9007199254740992")) is float
    assert parse_json(b"9007199254740993") == 9007199254740993
    assert type(parse_json(b"9007199254740991")) is int
