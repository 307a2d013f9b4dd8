"""What the image of a drawn signature may be, and why one is refused."""

from enum import StrEnum
from typing import Final

#: What the signing surfaces accept, and far more than a signature needs.
MAX_BYTES: Final = 512 * 1024
MAX_PIXELS: Final = 4_000_000


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
    """The bytes are no image that can stand as a signature. `sentence` says why and what to do."""

    def __init__(self, code: ImageFault) -> None:
        self.code = code
        self.sentence = SENTENCES[code]
        super().__init__(self.sentence)
