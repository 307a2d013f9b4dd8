"""Files made by others: what is said of each, held against another guarded intake's reading of the same files."""

import asyncio
from typing import Final

from infrastructure.pdf import SENTENCES, PdfLimits, UnusablePdf, inspect_pdf
from tests.shared_data import shared, some

#: Our words for the reasons of the corpus. It tells a parser that gives up ("unreadable") from one that warns ("damaged").
CODES: Final = {
    "ok": "ok",
    "not_a_pdf": "not-a-pdf",
    "pdf_already_signed": "already-signed",
    "pdf_bad_content": "bad-content",
    "pdf_bad_page": "bad-page",
    "pdf_damaged": "damaged",
    "pdf_embedded_file": "embedded-file",
    "pdf_empty": "empty",
    "pdf_encrypted": "encrypted",
    "pdf_javascript": "javascript",
    "pdf_submit_action": "submit-action",
    "pdf_too_complex": "too-complex",
    "pdf_unreadable": "damaged",
    "pdf_xfa": "xfa",
}

_TEXT_LOST: Final = "PDFium shows text in it that qpdf does not find: who signs would see another document than who keeps it"

#: Where another reason is given than in the corpus, and why.
DIFFERENT: Final = {
    "active/pdfjs/encrypted-attachment.pdf": (
        "damaged", "its cross-reference table is not where it says, and only a reader that guesses comes to see its encryption"
    ),
    "handmade/content-inline-image-unterminated.pdf": ("bad-content", "its content breaks off, and readers differ on what of it they show"),
    "malformed/pdfjs/bomb_giant.pdf": ("bad-content", "the page's content unpacks to more than the limit; the file itself can be read"),
    "malformed/qpdf/bad-xref-entry.pdf": ("damaged", _TEXT_LOST),
    "malformed/qpdf/bad23.pdf": ("damaged", _TEXT_LOST),
    "malformed/qpdf/bad39.pdf": ("damaged", _TEXT_LOST),
    "malformed/qpdf/bad34.pdf": ("no-pages", "it can be read, and its page tree is empty: the more telling reason"),
}  # fmt: skip


def rows() -> list[tuple[str, str]]:
    """Path and expected reason of each file."""
    table = (shared("pdf-corpus") / "EXPECTED.tsv").read_text().splitlines()[1:]
    return [(path, code) for path, _, _, _, code in (row.split("\t") for row in table)]


def test_each_reason_of_the_corpus_is_one_of_ours() -> None:
    assert {code for _, code in rows()} == set(CODES)
    assert {*CODES.values(), *(code for code, _ in DIFFERENT.values())} - {"ok"} <= set(SENTENCES)


def test_every_file_is_accepted_or_refused_as_expected_or_for_a_reason_told_here() -> None:
    """None crashes or hangs anything. Whatever differs and is not explained fails; so does an explanation that is not needed."""
    corpus = shared("pdf-corpus")
    files = some(rows(), 4)
    limits = PdfLimits()

    async def look(path: str) -> str:
        try:
            await inspect_pdf((corpus / path).read_bytes(), limits)
        except UnusablePdf as err:
            return err.code
        return "ok"

    async def look_at_all() -> list[str]:
        return await asyncio.gather(*(look(path) for path, _ in files))

    found = dict(zip((path for path, _ in files), asyncio.run(look_at_all()), strict=True))
    different = {path: found[path] for path, code in files if found[path] != CODES[code]}
    assert different == {path: code for path, (code, _) in DIFFERENT.items() if path in found}
    print(f"\n{len(files)} files: {len(files) - len(different)} as expected, {len(different)} for a reason told here")
