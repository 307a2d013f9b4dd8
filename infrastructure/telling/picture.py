"""The image that a signer drew, as a signature's fact has it."""

import binascii
from base64 import b64decode
from typing import Final

from domain.canonical import Json

_MARK: Final = ";base64,"


def picture(value: Json) -> bytes | None:
    """The bytes in a data URI in base64 (RFC 2397); None where it is not one."""
    if not isinstance(value, str) or not value.startswith("data:image/"):
        return None
    _, _, data = value.partition(_MARK)
    try:
        return b64decode(data, validate=True) or None
    except (binascii.Error, ValueError):
        return None
