"""Good PDFs, damaged at random: each is accepted or refused with a reason, and what is accepted stays so when it is written anew."""

import asyncio
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from infrastructure.pdf import SENTENCES, PdfLimits, UnusablePdf, inspect_pdf
from tests.hostile_pdfs import annotated, file, page, stream, text

_FORM = b"/Type /XObject /Subtype /Form /BBox [0 0 150 30] /Resources << /Font << /F 5 0 R >> >>"
GOOD = (
    file({}),
    file({3: page(b"/Rotate 90 /CropBox [10 10 390 590]"), 4: stream(b"q 1 0 0 1 5 5 cm " + text(b"left open"))}),
    file({3: page(resources=b"<< /Font << /F 5 0 R >> /XObject << /X 6 0 R >> >>"), 4: stream(b"/X Do"), 6: stream(text(b"x"), _FORM)}),
    annotated(
        b"<< /Subtype /Widget /FT /Tx /V (x) /Rect [50 50 200 80] /F 4 /AP << /N 7 0 R >> >>",
        {7: stream(text(b"x"), _FORM)},
        b"/AcroForm << /Fields [6 0 R] >>",
    ),
)  # fmt: skip

Change = Callable[[bytes, int, bytes], bytes]
CHANGES: dict[str, Change] = {
    "over": lambda data, at, piece: data[:at] + piece + data[at + len(piece) :],
    "into": lambda data, at, piece: data[:at] + piece + data[at:],
    "out": lambda data, at, piece: data[:at] + data[at + len(piece) :],
    "again": lambda data, at, piece: data[: at + len(piece)] + data[at:],
    "off": lambda data, at, piece: data[: max(at, 8)],
}
#: What makes a difference to a parser, beside single bytes.
PIECES = [b"%d 0 R" % number for number in range(8)] + [
    b"/Length 9999999", b"/Kids", b"/Parent", b"<<", b">>", b"[", b"]", b"(", b"endstream", b"endobj", b"null", b"-1", b"4294967296",
    b"q ", b"Q ", b"BT ", b"/X Do ", b"/FlateDecode", b"%%EOF", b"xref\n0 9\n", b"trailer", b"startxref",
]  # fmt: skip


@given(
    st.sampled_from(GOOD),
    st.lists(
        st.tuples(
            st.sampled_from(sorted(CHANGES)),
            st.integers(0, 1 << 16),
            st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from(PIECES)),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_a_damaged_pdf_is_refused_with_a_reason_or_shows_the_same_when_written_anew(
    data: bytes, changes: list[tuple[str, int, bytes]]
) -> None:
    for kind, at, piece in changes:
        data = CHANGES[kind](data, at % (len(data) or 1), piece)
    limits = PdfLimits()

    async def look() -> str | None:
        try:
            found = await inspect_pdf(data, limits)
        except UnusablePdf as err:
            return err.code
        again = await inspect_pdf(found.normalised, limits)
        assert again.sizes == found.sizes
        return None

    refused = asyncio.run(look())
    assert refused is None or refused in SENTENCES
    assert refused != "unreadable", "the program that reads it broke down"
