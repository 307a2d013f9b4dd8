"""Where texts stand on the pages, as PDFium reads them."""

import math
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pypdfium2 import raw  # type: ignore[import-untyped]

from infrastructure.pdf_child.limits import MAX_PLACES, Unusable
from infrastructure.pdf_child.second_reader import opened_by_pdfium
from infrastructure.pdf_child.sheets import Edges, Sheet


def find_places(data: bytes, sheets: Sequence[Sheet], wanted: Sequence[str]) -> list[tuple[int, ...]]:
    """For each place the text's index, the page from 1, and x, y, width and height as displayed; raises Unusable."""
    texts = {index: " ".join(fold(text).split()) for index, text in enumerate(wanted)}
    places: list[tuple[int, ...]] = []
    if any(texts.values()):
        for place in _places(data, sheets, {index: text for index, text in texts.items() if text}):
            places.append(place)
            if len(places) > MAX_PLACES:
                raise Unusable("too-many-places", most=MAX_PLACES)
    return places


def fold(text: str) -> str:
    """Letters as they are compared: without ligatures and other forms that only look different (Unicode's NFKD)."""
    return text if text.isascii() else "".join(unicodedata.normalize("NFKD", character) for character in text)


def _places(data: bytes, sheets: Sequence[Sheet], texts: Mapping[int, str]) -> Iterator[tuple[int, ...]]:
    document = opened_by_pdfium(data, len(sheets))
    for number, sheet in enumerate(sheets, 1):
        page = document[number - 1]
        content = page.get_textpage()
        there = "".join(fold(content.get_text_range()).split())
        here = {index: text for index, text in texts.items() if text.replace(" ", "") in there}
        for line in _lines(content) if here else ():
            for index, text in here.items():
                for letters in line.find(text):
                    edges = _around(content, letters)
                    if edges is not None and (place := sheet.displayed(edges)):
                        yield index, number, *place
        page.close()


class Line:
    """A line of a page's text: its letters as they are compared, and the number on the page of each."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.numbers: list[int] = []

    def add(self, character: str, number: int) -> None:
        for letter in fold(character):
            space = letter.isspace()
            dropped = self.letters[-1:] in ([], [" "]) if space else unicodedata.category(letter) == "Cc"
            if dropped:
                continue
            self.letters.append(" " if space else letter)
            self.numbers.append(number)

    def find(self, text: str) -> Iterator[Sequence[int]]:
        """The numbers of the letters of each place of `text`, from left to right, none overlapping another."""
        line, start = "".join(self.letters), 0
        while (at := line.find(text, start)) >= 0:
            start = at + len(text)
            yield self.numbers[at:start]


def _lines(content: Any) -> Iterator[Line]:
    """The lines of a page's text."""
    line = Line()
    for number in range(content.count_chars()):
        character = chr(min(raw.FPDFText_GetUnicode(content, number), sys.maxunicode))
        if character in "\r\n":
            yield line
            line = Line()
        else:
            line.add(character, number)
    yield line


def _around(content: Any, numbers: Sequence[int]) -> Edges | None:
    """The box around letters. Spaces between words that stand apart are PDFium's guess, and have none."""
    drawn = (number for number in numbers if raw.FPDFText_IsGenerated(content, number) != 1)
    boxes = [box for number in drawn if all(map(math.isfinite, box := content.get_charbox(number, loose=True)))]
    if not boxes:
        return None
    left, bottom, right, top = zip(*boxes, strict=True)
    return min(left), min(bottom), max(right), max(top)
