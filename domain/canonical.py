"""Canonical JSON (RFC 8785, JSON Canonicalization Scheme).

One value has one spelling, so a hash over the spelling is a hash over the value. Entries use the
subset without floating point numbers (DESIGN section 5); disclosures may hold any I-JSON value
(RFC 7493), because a client's free metadata may.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

#: A JSON value as Python holds it.
Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

#: The largest integer every JSON reader keeps exactly (RFC 7493 section 2.2).
MAX_INTEGER: Final = 2**53 - 1

#: Deeper values are refused, so no input can exhaust the interpreter's stack.
MAX_DEPTH: Final = 64


class CanonicalError(ValueError):
    """The value or the text has no canonical form; the message names where and why."""


def canonical(value: Json) -> bytes:
    """The RFC 8785 form of any I-JSON value, as UTF-8 bytes.

    Raises CanonicalError for values outside I-JSON: not-a-number, infinities, integers beyond
    2^53-1, lone surrogates, keys that are not strings, other Python types, too deep a nesting.
    """
    return _spell(value, plain=_check(value, 0))


def canonical_exact(value: Json) -> bytes:
    """Like `canonical`, for what goes into entries: refuses floating point numbers as well."""
    plain = _check(value, 0)
    if not plain:
        _refuse_floats(value)
    return _spell(value, plain=plain)


def _spell(value: Json, *, plain: bool) -> bytes:
    try:
        return (_ENCODER.encode(value) if plain else _write(value)).encode()
    except UnicodeEncodeError as err:
        raise CanonicalError("a string holds a lone surrogate") from err


def parse_canonical(raw: bytes) -> Json:
    """The value of canonical bytes; raises CanonicalError unless `raw` is exactly its canonical form."""
    value = parse_json(raw)
    if canonical(value) != raw:
        raise CanonicalError("the bytes are valid JSON but not in canonical form")
    return value


def parse_json(raw: bytes) -> Json:
    """The value of JSON text in UTF-8.

    Duplicate keys, numbers beyond a double's range and lone surrogates are refused (RFC 7493 section 2).
    An integer beyond 2^53-1 comes back as the double that has just this canonical spelling, else as it
    stands, so that `canonical` refuses it rather than rounds it.
    """
    value = _parse(raw, _DECODER)
    if _SURROGATE.search(raw):  # UTF-8 itself cannot hold one, only an escape can
        _spell(value, plain=True)
    return value


def parse_exact(raw: bytes) -> Json:
    """The value of canonical bytes without floating point numbers, as entries are; raises CanonicalError for all others.

    Spelling the value again shows a repeated key, a blank, another order or another escape.
    """
    value = _parse(raw, _EXACT_DECODER)
    # The decoder has refused floating point numbers and large integers. Without characters beyond ASCII there are no
    # lone surrogates and no keys to be sorted otherwise, so then the standard encoder's spelling is the canonical one.
    plain = raw.isascii() and raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH
    if (_ENCODER.encode(value).encode("ascii", "replace") if plain else canonical_exact(value)) != raw:
        raise CanonicalError("the bytes are not in canonical form (RFC 8785)")
    return value


def _parse(raw: bytes, decoder: json.JSONDecoder) -> Json:
    try:
        value: Json = decoder.decode(raw.decode("utf-8"))
    except CanonicalError:
        raise
    except RecursionError as err:
        raise CanonicalError("not JSON that can be read: nested too deeply") from err
    except ValueError as err:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise CanonicalError(f"not JSON: {err}") from err
    return value


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False)


def _unique_pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise CanonicalError("an object repeats a key")
    return members


#: The largest double has 309 digits; a sign may stand before them.
_MAX_INTEGER_CHARACTERS: Final = 310


def _whole(text: str) -> int:
    if len(text) > _MAX_INTEGER_CHARACTERS:
        raise CanonicalError("a number is beyond the range of a double")
    return int(text)


def _integer(text: str) -> int | float:
    number = _whole(text)
    # 22 characters: a sign and the 21 digits that ECMAScript writes before it turns to an exponent.
    if -MAX_INTEGER <= number <= MAX_INTEGER or len(text) > 22:
        return number
    double = float(number)
    return double if _number(double) == text else number


def _exact_integer(text: str) -> int:
    number = _whole(text)
    if not -MAX_INTEGER <= number <= MAX_INTEGER:
        raise CanonicalError("an integer is beyond 2^53-1")
    return number


def _refuse_float(text: str) -> NoReturn:
    raise CanonicalError("entries hold no floating point numbers")


def _double(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise CanonicalError("a number is beyond the range of a double")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise CanonicalError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_pairs, parse_int=_integer, parse_float=_double, parse_constant=_refuse_constant
)
_EXACT_DECODER = json.JSONDecoder(parse_int=_exact_integer, parse_float=_refuse_float, parse_constant=_refuse_constant)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _check(value: Json, depth: int) -> bool:
    """Refuses what I-JSON lacks; true if the standard encoder's output is already canonical.

    It is, unless there are floats (their spelling differs) or keys outside ASCII (Python sorts by
    code point, RFC 8785 section 3.2.3 by UTF-16 code unit).
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:  # type: ignore[operator]
            raise CanonicalError("an integer is beyond 2^53-1; send it as a string")
        return True
    if kind is float:
        if not math.isfinite(value):  # type: ignore[arg-type]
            raise CanonicalError("not-a-number and infinities have no JSON form")
        return False
    if depth >= MAX_DEPTH:
        raise CanonicalError(f"nested deeper than {MAX_DEPTH} levels")
    plain = True
    if kind is dict:
        for key, member in value.items():  # type: ignore[union-attr]
            if type(key) is not str:
                raise CanonicalError(f"an object's key is of type {type(key).__name__}, not a string")
            plain &= key.isascii()
            plain &= _check(member, depth + 1)
        return plain
    if kind is list or kind is tuple:
        for item in value:  # type: ignore[union-attr]
            plain &= _check(item, depth + 1)
        return plain
    raise CanonicalError(f"a value of type {kind.__name__} has no JSON form")


def _refuse_floats(value: Json) -> None:
    kind = type(value)
    if kind is float:
        raise CanonicalError("entries hold no floating point numbers")
    if kind is dict:
        for member in value.values():  # type: ignore[union-attr]
            _refuse_floats(member)
    elif kind is list or kind is tuple:
        for item in value:  # type: ignore[union-attr]
            _refuse_floats(item)


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


def _write(value: Json) -> str:
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=lambda member: _utf16(member[0]))
        return "{" + ",".join(f"{_ENCODER.encode(key)}:{_write(member)}" for key, member in members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_write(item) for item in value) + "]"
    return _ENCODER.encode(value)


def _number(value: float) -> str:
    """ECMAScript's Number::toString for a finite double (ECMA-262 section 6.1.6.1.20)."""
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0") if fraction != "0" else ""
    digits = (whole + fraction).lstrip("0")
    # `point` is where the decimal point stands, counted from the first significant digit.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0") or "0"
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"
