"""Hex strings of a PDF read at once, where pyHanko reads them digit by digit.

The room of a signature is one such string (ISO 32000-2 section 12.8.1), mostly zeros. Read digit by digit it takes longer
than all else that is verified: 20 ms for one with room for a time stamp.
"""

from typing import IO, Any, Final

from pyhanko.pdf_utils import generic

_CHUNK_BYTES: Final = 4096
_DIGITS: Final = b"0123456789abcdefABCDEF"

_theirs: Final = generic.read_hex_string_from_stream


def read_hex_string(stream: IO[bytes]) -> Any:
    """As pyHanko's function, which also reads what is more than digits between `<` and `>`; raises what that does."""
    begin = stream.tell()
    stream.read(1)
    digits = bytearray()
    while chunk := stream.read(_CHUNK_BYTES):
        rest = chunk.lstrip(_DIGITS)
        digits += chunk[: len(chunk) - len(rest)]
        if rest:
            if rest.startswith(b">") and len(digits) % 2 == 0:
                stream.seek(begin + len(digits) + 2)
                return generic.pdf_string(bytes.fromhex(digits.decode()))
            break
    stream.seek(begin)
    return _theirs(stream)


def read_them_at_once() -> None:
    """From now on, in this process, whatever pyHanko reads."""
    generic.read_hex_string_from_stream = read_hex_string
