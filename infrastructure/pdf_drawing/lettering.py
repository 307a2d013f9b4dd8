"""The letters that are drawn: which there are, how wide they are, and how a text fits a box.

The typefaces lie here with their licences, unmodified, and not with the system, because the bytes of a drawn
file follow from those of its typeface: the same document must come out the same on every machine. DejaVu 2.35
(free to use, embed and pass on) has Latin, Greek, Cyrillic, Armenian and Georgian letters, and those of Arabic and
Hebrew that `right_to_left.py` can join and order. Droid Sans Fallback
(Apache 2.0) has Chinese and Japanese ones, in the shapes that are usual in China, and Nanum Gothic Coding (SIL
Open Font License 1.1) the Korean syllables; both are upright and of one weight whatever is around them. They are
large, so they are read when the first such letter comes.

What has to be stacked or otherwise put together to be read (Thai, the scripts of India, marks for vowels) needs more than
a typeface: it is not drawn, rather than drawn wrong.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Final

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from infrastructure.pdf_drawing.right_to_left import NON_JOINER, as_seen, from_right, joined, known

#: Where the typefaces lie.
FOLDER: Final = Path(__file__).with_name("typefaces")

#: Lines of a text stand this many times their size apart.
LEADING: Final = 1.2

#: Of a text's size, what is kept above and below the line that the letters stand on.
ASCENT: Final = 0.93
DESCENT: Final = 0.27

#: Sizes are tried in steps of this many points.
_STEP: Final = 0.5

_ELLIPSIS: Final = "…"

#: Accents, which the typefaces place by themselves. The marks of other scripts need to be placed by their letter.
_ACCENTS: Final = range(0x0300, 0x0370)

#: Kinds of characters that are never drawn as they are: controls, invisible ones and those without a common meaning.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})

#: Written from left to right, or taking the direction of what is around (Unicode Standard Annex 9, table 4).
_DIRECTIONS: Final = frozenset({"L", "EN", "ES", "ET", "CS", "NSM", "WS", "ON", "BN"})

#: Letters without a shape: a name must not have what nobody sees.
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")

#: Ideographs and kana. A line may end between any two of them, also behind the marks that follow one and before an opening
#: bracket (Unicode Standard Annex 14, classes ID and CJ, the latter as if they were the former).
_FREE: Final = (
    "\u2e80-\u2fd5\u3005-\u3007\u3021-\u3029\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U000323af"
)
_WORD_END: Final = re.compile(f"( )|(?<=[{_FREE}、。，．〉》」』】〕）])(?=[{_FREE}〈《「『【〔（])")


class Face(StrEnum):
    """A typeface, by the name that it has in a PDF."""

    PLAIN = "DejaVuSans"
    BOLD = "DejaVuSans-Bold"
    HAND = "DejaVuSerif-Italic"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A text as it fits: size in points, and its lines from the top."""

    size: float
    lines: tuple[str, ...]


#: The typefaces of wide letters (Unicode Standard Annex 11), and the syllables that only the Korean one has.
_EASTERN: Final = "DroidSansFallbackFull"
_KOREAN: Final = "NanumGothicCoding"
_SYLLABLES: Final = range(0xAC00, 0xD7A4)


@cache
def _widths(typeface: str) -> Mapping[str, float]:
    """The letters that a typeface has, with their widths at a size of one point."""
    font = TTFont(typeface, str(FOLDER / f"{typeface}.ttf"))
    pdfmetrics.registerFont(font)
    letters = (chr(code) for code, glyph in font.face.charToGlyph.items() if glyph)
    return {letter: font.face.charWidths[ord(letter)] / 1000 for letter in letters}


@lru_cache(4096)
def typeface(letter: str, face: Face) -> str | None:
    """The typeface that draws a letter: the face's own, else one of those that have what it lacks; None if there is none."""
    for own in (face, Face.PLAIN):
        if letter in _widths(own):
            return str(own)
    if unicodedata.east_asian_width(letter) not in "FHW":
        return None
    other = _KOREAN if ord(letter) in _SYLLABLES else _EASTERN
    return other if letter in _widths(other) else None


def font(face: Face) -> str:
    """The name to give to a canvas; the typeface is loaded when it is first asked for."""
    _widths(face)
    return str(face)


def width(text: str, face: Face, size: float) -> float:
    """How wide a line of drawable letters is, in points."""
    own = _widths(face)
    return sum(own[letter] if letter in own else _widths(str(typeface(letter, face)))[letter] for letter in text) * size


def runs(line: str, face: Face) -> Iterator[tuple[str, str]]:
    """A line of drawable letters in parts, as they are seen from the left, each with the typeface that draws it."""
    if line.isascii():  # most lines
        yield str(face), line
        return
    for name, letters in groupby(as_seen(line), lambda letter: typeface(letter, face)):
        yield str(name), "".join(letters)


def draw(canvas: Canvas, line: str, face: Face, size: float, at: tuple[float, float]) -> None:
    """Draws a line of drawable letters from a point on, in points."""
    left, baseline = at
    for name, letters in runs(line, face):
        canvas.setFont(name, size)
        canvas.drawString(left, baseline, letters)
        left += width(letters, face, size)


def undrawable(text: str, face: Face = Face.PLAIN) -> tuple[str, ...]:
    """The characters of a text that cannot be drawn, each once, in their order; none of them is ever left out silently.

    A character counts as it is after composition (Unicode's NFC), which is what `composed` draws.
    """
    return tuple(
        dict.fromkeys(character for character in NON_JOINER.sub("", composed(text)) if not _is_drawable(character, face))
    )


#: Beyond it, reportlab 5.1 writes the number of another letter beside the drawn one: it would be copied and found as that.
_LAST_COPIED: Final = "\uffff"


@lru_cache(4096)
def _is_drawable(character: str, face: Face) -> bool:
    if character in " \n":
        return True
    kind = unicodedata.category(character)
    placed = not unicodedata.combining(character) and kind not in {"Mn", "Mc", "Me"}
    return (
        kind not in _UNSEEN
        and character not in _FILLERS
        and character <= _LAST_COPIED
        and (placed or ord(character) in _ACCENTS)
        and (unicodedata.bidirectional(character) in _DIRECTIONS or known(character))
        and typeface(character, face) is not None
    )


def composed(text: str) -> str:
    """The text as it is drawn: letters with their accents as one character, one kind of line end and of space."""
    lines = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return "\n".join("".join(" " if unicodedata.category(it) == "Zs" or it == "\t" else it for it in line) for line in lines)


def spelled_out(text: str, face: Face = Face.PLAIN) -> str:
    """One line in which what cannot be drawn is told by its number in Unicode: `⟨U+0E01 U+0E02⟩`.

    So people are named whatever their script. Arabic letters are in the forms that they take beside their neighbours: this is to
    be drawn, not to be spelled out again. The brackets themselves are spelled out too, so nobody can be
    called what another is written as.
    """
    return _spelled(" ".join(composed(text).split()), face)


def drawable(text: str, face: Face = Face.PLAIN) -> str:
    """The same in the lines that a text has, without what is empty around them."""
    return "\n".join(_spelled(line, face) for line in composed(text).strip().split("\n"))


def _spelled(line: str, face: Face) -> str:
    if line.isascii() and line.isprintable():  # most lines
        return line
    return " ".join(_spelled_word(word, face) for word in line.split(" "))


def _spelled_word(word: str, face: Face) -> str:
    # A half of a word from right to left would stand on the wrong side of the other.
    drawn_in_part = not (from_right(word) and undrawable(word, face))
    parts: list[str] = []
    for part in NON_JOINER.split(word) if drawn_in_part else [word]:
        for drawn, run in groupby(part, lambda letter: drawn_in_part and letter not in "⟨⟩" and _is_drawable(letter, face)):
            letters = "".join(run)
            parts.append(joined(letters) if drawn else f"⟨{' '.join(f'U+{ord(letter):04X}' for letter in letters)}⟩")
    return "".join(parts)


def lines(text: str, face: Face, size: float, across: float, *, breaking: bool) -> tuple[str, ...] | None:
    """A text in lines of at most `across` points.

    None where a word is wider than that; with `breaking`, such a word goes on in the next line, and
    None means that not even one letter fits.
    """
    found: list[str] = []
    space = width(" ", face, size)
    for paragraph in text.split("\n"):
        line, used = "", 0.0
        first, *others = _WORD_END.split(paragraph)
        for before, word in zip([None, *others[::2]], [first, *others[1::2]], strict=True):
            between = " " if before and line else ""
            more = width(word, face, size)
            if used + space * bool(between) + more <= across:
                used += space * bool(between) + more
                line += between + word
                continue
            if line:
                found.append(line)
            pieces = _pieces(word, face, size, across)
            if pieces is None or (len(pieces) > 1 and not breaking):
                return None
            found += pieces[:-1]
            line, used = pieces[-1], width(pieces[-1], face, size)
        found.append(line)
    return tuple(found)


def _pieces(word: str, face: Face, size: float, across: float) -> list[str] | None:
    """A word, as many letters in each piece as fit; None where one letter does not."""
    pieces = [""]
    used = 0.0
    for letter in word:
        more = width(letter, face, size)
        if more > across:
            return None
        if used + more > across:
            pieces.append("")
            used = 0.0
        pieces[-1] += letter
        used += more
    return pieces


def fit(text: str, face: Face, across: float, down: float, most: float, least: float) -> Fitted | None:
    """The largest size from `most` to `least` points at which the text fits a box, words whole if that can be; None if none does."""
    most_lines = room(down, least)
    if text.count("\n") >= most_lines or width("".join(text.split()), face, least) > across * most_lines:
        return None  # known at once, however long the text is
    for breaking in (False, True):
        size = most
        while size >= least:
            found = lines(text, face, size, across, breaking=breaking)
            if found is not None and height(len(found), size) <= down:
                return Fitted(size, found)
            size -= _STEP
    return None


def shorten(text: str, face: Face, across: float, down: float, most: float, least: float) -> Fitted:
    """As `fit`; where nothing fits, as much as does at the least size, ended by an ellipsis, in smaller letters if need be."""
    if found := fit(text, face, across, down, most, least):
        return found
    size = min(least, across / width(_ELLIPSIS, face, 1), down / height(1, 1))
    kept = (lines(text, face, size, across, breaking=True) or ("",))[: room(down, size)]
    last = kept[-1]
    while last and width(last + _ELLIPSIS, face, size) > across:
        last = last[:-1]
    return Fitted(size, (*kept[:-1], last.rstrip() + _ELLIPSIS))


def room(down: float, size: float) -> int:
    """How many lines fit, at least one; a hair more than fits counts, as the lines are measured again."""
    return int((down / size - ASCENT - DESCENT) / LEADING + 1e-9) + 1


def height(count: int, size: float) -> float:
    """How high some lines are, in points."""
    return ((count - 1) * LEADING + ASCENT + DESCENT) * size
