"""Letters of other scripts: they are drawn as they are, within their boxes, and can be read out of the file."""

import subprocess
from pathlib import Path
from shutil import which
from typing import Final

import pypdfium2  # type: ignore[import-untyped]
import pytest

from domain.placement import Box
from infrastructure.pdf_drawing.blocks import Block, Content, Initialled, Signed, Written
from infrastructure.pdf_drawing.executing import execute
from infrastructure.pdf_drawing.lettering import Face, drawable, lines, undrawable
from infrastructure.pdf_drawing.right_to_left import as_seen
from tests.unit.test_pdf_drawing import FOOT, document, ink, shown, texts

NAMES: Final = {
    "Chinese": "李小龍",
    "Japanese": "山田太郎",
    "Korean": "김철수",
    "mixed": "李小龍 (Bruce Lee)",
    "kana": "アンナ・ヴィンター さくら",
    "wide": "Ａｎａ　９号",
    "Arabic": "عبد اللطيف الأمين",
    "Persian": "محمد علی پژگچ",
    "Hebrew": "דוד בן־גוריון",
    "Hebrew address": "רח' הרצל 12 (קומה 3)",
}
LEFT, TOP, ACROSS, DOWN = 50, 40, 160, 30


def drawn(content: Content, across: int = ACROSS, down: int = DOWN) -> bytes:
    return execute(document(), [Block(1, Box(LEFT * 1000, TOP * 1000, across * 1000, down * 1000), content)], FOOT)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kind", [Signed, Initialled, Written])
def test_a_name_is_drawn_as_it_is_within_its_box(kind: type[Signed | Initialled | Written], name: str) -> None:
    pdf = drawn(kind(name))
    assert "".join(name.split()) in "".join(texts(pdf).split())
    left, top, right, bottom = ink(shown(pdf).crop((0, 0, 800, 400)))
    assert LEFT - 0.5 <= left < right <= LEFT + ACROSS + 0.5
    assert TOP - 0.5 <= top < bottom <= TOP + DOWN + 0.5


@pytest.mark.parametrize(
    "name",
    ["李小龍" * 12, "山田太郎、アンナ・ヴィンター" * 4, "김철수 " * 14, "李小龍 (Bruce Lee) " * 5, "محمد علی " * 10, "דוד־" * 20],
)
def test_a_long_name_goes_on_in_the_next_line(name: str) -> None:
    page = pypdfium2.PdfDocument(drawn(Written(name), 100, 60))[0].get_textpage()
    assert "".join(name.split()) in "".join(page.get_text_range().split())
    boxes = [page.get_charbox(index) for index in range(len(name.strip()))]
    assert all(left >= LEFT and right <= LEFT + 100 for left, _, right, _ in boxes)
    assert len({round(bottom / 6) for _, bottom, _, _ in boxes}) >= 2


def test_a_line_ends_between_ideographs_and_not_before_what_belongs_to_one() -> None:
    def found(text: str, across: float) -> tuple[str, ...] | None:
        return lines(text, Face.PLAIN, 10, across, breaking=False)

    assert found("李小龍李小龍", 35) == ("李小龍", "李小龍")
    assert found("李小、龍「山田」", 35) == ("李小、", "龍「山", "田」")
    assert found("李小龍、", 35) == ("李小", "龍、")
    assert found("김철수 김", 35) == ("김철수", "김")
    assert found("김철수김", 35) is None


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a אב", "a בא"),
        ("אב (a) גד", "בא (a) דג"),
        ("a (אב) גד", "a (בא) דג"),
        ("אב (גד) 12", "12 (דג) בא"),
        ("אב 12-13, 5%!", "5% ,12-13 בא!"),
        ("سم 12-13", "13-12 مس"),
        ("سم ٣٫٥ a", "٣٫٥ مس a"),
        ("a 12 אב", "a 12 בא"),
        ("אב́ג", "גב́א"),
        ("「אב」 「a」", "「בא」 「a」"),
    ],
    ids=lambda text: ascii(text).replace("\\u", " "),
)
def test_the_letters_of_a_line_are_seen_in_the_order_of_unicode_annex_9(text: str, seen: str) -> None:
    assert as_seen(text) == seen


def test_arabic_letters_are_joined_and_may_be_kept_apart() -> None:
    assert drawable("سلم") == "ﺳﻠﻢ"
    assert drawable("اسد") == "اﺳﺪ"
    assert drawable("سلا لا") == "ﺳﻼ ﻻ"
    assert drawable("علی‌رضا") == "ﻋﻠﯽرﺿا".replace("ا", "ﺎ")
    assert undrawable("علی‌رضا") == ()


def test_a_word_from_right_to_left_is_told_whole_or_by_its_numbers() -> None:
    assert drawable("אב גְד") == "אב ⟨U+05D2 U+05B0 U+05D3⟩"
    # A non-joiner that nobody would see, letters in a form that nobody writes, a script that has to be joined as well.
    assert undrawable("رضا‌علی ﺍ ߊ ܐ ں") == ("‌", "ﺍ", "ߊ", "ܐ", "ں")


def test_what_is_not_seen_and_what_no_typeface_has_is_told_by_its_number() -> None:
    assert undrawable("李\u3164김\u115f") == ("\u3164", "\u115f")
    assert undrawable("😀 𝔸") == ("😀", "𝔸"), "there are letters for both, and others would be copied"
    assert undrawable("ก देव 🧿 葛\U000e0100") == ("ก", "द", "े", "व", "🧿", "\U000e0100")


def test_the_same_names_give_the_same_bytes_of_a_sound_file(tmp_path: Path) -> None:
    pdf = drawn(Signed("".join(NAMES.values())))
    assert pdf == drawn(Signed("".join(NAMES.values())))
    if not which("qpdf"):
        pytest.skip("qpdf is not installed")
    (tmp_path / "file.pdf").write_bytes(pdf)
    assert "No syntax or stream encoding errors" in subprocess.run(
        ["qpdf", "--check", tmp_path / "file.pdf"], capture_output=True, check=True, text=True
    ).stdout  # fmt: skip
