"""A signature that somebody drew: an image that is looked at before it goes into a document.

To be run where the image can harm nobody: only the limited process decodes one.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Final, cast

from PIL import Image, ImageOps
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from infrastructure.pdf_drawing.image_refusal import MAX_BYTES, MAX_PIXELS, ImageFault, ImageRefused

#: On white paper, the difference of the darkest and the lightest point (of 255) that a person still sees.
_SEEN: Final = 24

#: 600 to an inch.
_DOTS_PER_POINT: Final = 600 / 72


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
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):
                # 65,536 shades of grey, of which Pillow would take all but the darkest 256 for white.
                upright = upright.convert("I").point(lambda shade: shade / 257).convert("L")
            upright = upright.convert("RGBA")
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


def points_of(data: bytes) -> int:
    """How many points an image has by its header; none where it has no header that can be read."""
    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as image:
            return image.width * image.height
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return 0


def put_image(canvas: Canvas, drawn: bytes, corner: tuple[float, float], room: tuple[float, float]) -> None:
    """An image as large as fits `room` points above and right of `corner`, its proportions kept, at the left and bottom.

    Raises ImageRefused.
    """
    picture, size = _picture(drawn, room)
    scale = min(room[0] / size[0], room[1] / size[1])
    canvas.drawImage(picture, *corner, width=size[0] * scale, height=size[1] * scale, mask="auto")


@lru_cache(32)
def _picture(drawn: bytes, room: tuple[float, float]) -> tuple[ImageReader, tuple[int, int]]:
    """The picture with no more dots than print shows, and the size that it had: one is often put on many pages."""
    image = read_drawn_image(drawn)
    picture = Image.frombytes("RGBA", (image.width, image.height), image.rgba)
    scale = min(room[0] / image.width, room[1] / image.height) * _DOTS_PER_POINT
    if scale < 1:
        dots = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
        picture = picture.resize(dots, Image.Resampling.LANCZOS)
    return ImageReader(picture), (image.width, image.height)
