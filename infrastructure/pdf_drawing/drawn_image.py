"""A signature that somebody drew: an image that is looked at before it goes into a document."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from typing import Final, cast

from PIL import Image, ImageOps

#: What the signing surfaces accept, and far more than a signature needs.
MAX_BYTES: Final = 512 * 1024
MAX_PIXELS: Final = 4_000_000

#: On white paper, the difference of the darkest and the lightest point (of 255) that a person still sees.
_SEEN: Final = 24


class ImageFault(StrEnum):
    """Why an image is refused."""

    TOO_LARGE = "image-too-large"
    NOT_AN_IMAGE = "not-an-image"
    BLANK = "image-blank"


SENTENCES: Final = {
    ImageFault.TOO_LARGE: f"The image of a signature may have {MAX_BYTES:,} bytes and {MAX_PIXELS:,} points; draw it smaller.",
    ImageFault.NOT_AN_IMAGE: "The image of a signature must be a whole PNG or JPEG.",
    ImageFault.BLANK: "The image of a signature shows nothing: all of it has one colour.",
}


class ImageRefused(ValueError):
    """The bytes are no image that can stand as a signature."""

    def __init__(self, code: ImageFault) -> None:
        self.code = code
        super().__init__(SENTENCES[code])


@dataclass(frozen=True, slots=True)
class DrawnImage:
    """An image as `read_drawn_image` found it: red, green, blue and opacity of each point, in rows from the top."""

    width: int
    height: int
    rgba: bytes


def read_drawn_image(data: bytes) -> DrawnImage:
    """The image in a PNG or JPEG; raises ImageRefused. Nothing else of the file (texts, profiles, later frames) is kept."""
    if len(data) > MAX_BYTES:
        raise ImageRefused(ImageFault.TOO_LARGE)
    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as image:
            # Said by the header: nothing is unpacked before.
            if image.width * image.height > MAX_PIXELS:
                raise ImageRefused(ImageFault.TOO_LARGE)
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (
        OSError,
        SyntaxError,
        ValueError,
        LookupError,
        ArithmeticError,
        TypeError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as err:
        if isinstance(err, ImageRefused):
            raise
        raise ImageRefused(ImageFault.NOT_AN_IMAGE) from err
    paper = Image.new("RGBA", upright.size, "white")
    paper.alpha_composite(upright)
    shades = cast(Sequence[tuple[int, int]], paper.convert("RGB").getextrema())
    if all(most - least < _SEEN for least, most in shades):
        raise ImageRefused(ImageFault.BLANK)
    return DrawnImage(upright.width, upright.height, upright.tobytes())
