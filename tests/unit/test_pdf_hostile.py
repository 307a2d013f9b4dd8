"""PDFs that mean harm: each is refused for its own reason, soon, and what is only odd is accepted and written anew."""

import asyncio
import time
from collections.abc import Callable

import pytest

from infrastructure.pdf import PdfLimits, UnusablePdf, inspect_pdf
from tests.hostile_pdfs import HOSTILE

#: Far more than any of them takes, and far less than it may, on a machine that has other things to do.
SOON_SECONDS = 8.0


@pytest.mark.parametrize(("make", "code"), HOSTILE.values(), ids=HOSTILE)
def test_what_means_harm_is_refused_for_its_own_reason(make: Callable[[], bytes], code: str) -> None:
    data = make()
    began = time.monotonic()
    said = "ok"
    try:
        asyncio.run(inspect_pdf(data, PdfLimits()))
    except UnusablePdf as err:
        said = err.code
    assert said == code
    assert time.monotonic() - began < SOON_SECONDS
