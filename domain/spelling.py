"""Values that signed texts spell: one spelling each, so that no two texts say the same.

The C2SP formats (signed-note, tlog-checkpoint, tlog-proof) use standard base64 (RFC 4648 section 4) and decimal
numbers without leading zeros.
"""

import binascii
import re
from base64 import b64decode, b64encode
from typing import Final

#: Numbers fit a signed 64-bit integer (C2SP tlog-cosignature for times; the log's positions for sizes).
MAX_NUMBER: Final = 2**63 - 1

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class SpellingError(ValueError):
    """The text is not the one spelling of a value; the message says of what."""


class SecondSpelling(SpellingError):
    """Base64 of some bytes, but not the one spelling of them: the bits that the padding leaves over are not zero."""


def to_base64(raw: bytes) -> str:
    """Standard base64 with padding."""
    return b64encode(raw).decode("ascii")


def from_base64(text: str) -> bytes:
    """The inverse of `to_base64`; raises SpellingError for any other spelling: no padding, unused bits set, line breaks."""
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:  # a ValueError: characters beyond ASCII
        raise SpellingError("not base64") from err
    if to_base64(raw) != text:
        raise SecondSpelling("not the one base64 spelling of its bytes")
    return raw


def from_decimal(text: str) -> int:
    """A number from 0 to 2^63-1; raises SpellingError for a sign, leading zeros, other digits than ASCII's, or more."""
    if not _DECIMAL.fullmatch(text) or (number := int(text)) > MAX_NUMBER:
        raise SpellingError("not a decimal number from 0 to 2^63-1 without leading zeros")
    return number


def line_fault(line: str) -> str | None:
    """Why `line` cannot be a line of a signed text, in words; None if it can: no control characters, valid as UTF-8.

    C2SP signed-note, "Format": no ASCII control characters (below U+0020), of which newline ends the line.
    """
    if any(character < " " for character in line):
        return "holds a control character"
    try:
        line.encode()
    except UnicodeEncodeError:
        return "holds a lone surrogate, which UTF-8 cannot spell"
    return None
