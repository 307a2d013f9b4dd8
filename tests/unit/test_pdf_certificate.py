"""The certificate of completion: all that is told of a case can be read in it, on any paper, for any number of people."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from typing import Final
from zoneinfo import ZoneInfo

import pikepdf
import pypdfium2  # type: ignore[import-untyped]
import pytest
import segno
from PIL import Image, ImageDraw

from infrastructure.pdf_drawing.case import (
    Absent,
    Case,
    CaseCheckpoint,
    CaseDocument,
    CaseEvent,
    CaseHead,
    CaseSeal,
    Known,
    Paper,
    Signer,
    Timed,
)
from infrastructure.pdf_drawing.certificate import certificate
from infrastructure.pdf_drawing.paper import MARGIN

AT: Final = datetime(2026, 11, 21, 23, 25, 3, 123456, tzinfo=UTC)
ENVELOPE: Final = "0192b1c4-5d7e-7c3a-9f10-1234567890ab"
URL: Final = f"https://sign.example.org/verify/{ENVELOPE}"
NAMES: Final = ("Ana Müller-Łukasiewicz", "Екатерина Иванова", "Ωραία Παπαδοπούλου", "Nguyễn Thị Minh Khai", "<b>&amp; Sons")


def digest(words: object) -> str:
    return sha256(str(words).encode()).hexdigest()


def signature() -> bytes:
    picture = Image.new("RGBA", (300, 100))
    ImageDraw.Draw(picture).line([(0, 90), (150, 5), (299, 90)], fill="navy", width=8)
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def signer(number: int) -> Signer:
    return Signer(
        name=NAMES[number % len(NAMES)],
        email=Known(f"person{number}@example.org"),
        role="Buyer" if number % 2 else "",
        outcome="Declined" if number == 3 else "Signed",
        authentication=Known("one-time code by e-mail", "observed by this ledger"),
        signature=Known(digest(number)[:32]),
        adopted=Known("drawn by hand"),
        address=Known("203.0.113.7", "told by the platform") if number % 2 else Absent("the platform told no address"),
        user_agent=Known(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0", "told by the platform"
        ),
        sent=Timed(AT),
        viewed=Absent("no viewing was observed"),
        consented=Timed(AT + timedelta(minutes=2)),
        consent_text=Known(f"version 3, {digest('consent')}"),
        ended=Timed(AT + timedelta(minutes=number)),
        reason=Known("The price is not what we agreed on.") if number == 3 else None,
        drawn=signature(),
    )


def case(signers: int = 1) -> Case:
    return Case(
        envelope=ENVELOPE,
        subject="Lease of the flat in Gdańsk",
        status="completed",
        originator=Known("Estate Agents Ltd"),
        created=Timed(AT),
        completed=Timed(AT + timedelta(hours=1)),
        zone=ZoneInfo("Europe/Berlin"),
        documents=(
            CaseDocument("Lease.pdf", 12, digest("a"), Known(digest("b"))),
            CaseDocument("Annex.pdf", 1, digest("c"), Absent("it is being made")),
        ),
        signers=tuple(signer(number) for number in range(signers)),
        events=tuple(
            CaseEvent(
                number,
                AT + timedelta(seconds=number),
                "notification.bounced/1",
                "the ledger",
                "mailbox unavailable",
                digest(number),
                "told by a mail server",
            )
            for number in range(1, 4 * signers + 1)
        ),
        heads=(CaseHead("Envelope", ENVELOPE, 14, digest("head")),),
        checkpoint=CaseCheckpoint("ledger.example.org/log", 123456, digest("root"), AT, ("witness.one", "witness.two")),
        seal=CaseSeal(
            Known(digest("seal")),
            Known("PAdES B-T"),
            "no revocation information could be had",
            Known("https://tsa.example.org"),
            Timed(AT),
        ),
        url=URL,
        offline=("Fetch the evidence.", "Run the verifier."),
        made=AT + timedelta(hours=2),
    )


def pages(data: bytes) -> list[str]:
    """The text of each page, white space made one."""
    return [" ".join(page.get_textpage().get_text_range().split()) for page in pypdfium2.PdfDocument(data)]


def test_all_that_is_told_can_be_read() -> None:
    told = case(4)
    found = " ".join(pages(certificate(told)))
    words = [
        ENVELOPE,
        told.subject,
        "2 documents, 13 pages",
        "Estate Agents Ltd",
        "Europe/Berlin",
        digest("a"),
        digest("b"),
        "(it is being made)",
    ]
    words += [
        *NAMES[:4],
        "person3@example.org",
        "Buyer · Signed",
        "Declined",
        "The price is not what we agreed on.",
        "203.0.113.7 told by the platform",
    ]
    words += [
        "(the platform told no address)",
        "(no viewing was observed)",
        digest(7),
        "mailbox unavailable",
        digest("head"),
        "14 entries",
    ]
    words += [
        "123456 entries",
        digest("root"),
        "witness.one, witness.two",
        digest("seal"),
        "PAdES B-T",
        "no revocation information",
        "2. Run the verifier.",
    ]
    assert [missing for missing in words if missing not in found] == []


def test_each_time_is_that_of_its_own_fact_in_both_zones() -> None:
    found = " ".join(pages(certificate(case())))
    assert "Created 2026-11-21 23:25:03.123 UTC 2026-11-22 00:25:03+01:00" in found  # another day there
    assert "Completed 2026-11-22 00:25:03.123 UTC 01:25:03+01:00" in found
    assert "Viewed (no viewing was observed)" in found
    assert "+00:00" not in " ".join(pages(certificate(replace(case(), zone=ZoneInfo("UTC")))))


@pytest.mark.parametrize("paper", Paper, ids=lambda paper: paper.name)
@pytest.mark.parametrize("signers", [1, 20])
def test_nothing_leaves_the_page_or_lies_on_its_foot(signers: int, paper: Paper) -> None:
    opened = pypdfium2.PdfDocument(certificate(case(signers), paper))
    for number, page in enumerate(opened, 1):
        assert page.get_size() == pytest.approx(paper.value, abs=0.01)
        content = page.get_textpage()
        foot = f"envelope {ENVELOPE} · page {number} of {len(opened)}"
        assert foot in " ".join(content.get_text_range().split())
        for index in range(content.count_rects()):
            left, bottom, right, top = content.get_rect(index)
            assert MARGIN - 2 <= left < right <= paper.value[0] - MARGIN + 2
            assert bottom > MARGIN - 2 or top < 34
    assert (len(opened) > 4) == (signers == 20)


def test_a_signer_is_not_divided_by_the_end_of_a_page() -> None:
    for page in pages(certificate(case(20))):
        assert len(re.findall(r"person\d+@", page)) == page.count("Consent text")


@pytest.mark.parametrize("name", ["Wolfeschlegelsteinhausenbergerdorff" * 8, "ก ข", "a\u202eb\x00c", "⟨U+674E⟩"])
def test_any_name_can_be_told(name: str) -> None:
    told = replace(case(), signers=(replace(signer(0), name=name),), subject=name)
    found = "".join("".join(pages(certificate(told))).split())
    if name.isascii():
        assert name in found
    else:
        spelled = [f"U+{ord(letter):04X}" for letter in name if not letter.isascii() or not letter.isprintable()]
        assert all(letter in found for letter in spelled)
        assert found.count(spelled[0]) >= 2


def test_an_envelope_of_which_little_is_known_says_so() -> None:
    told = replace(
        case(),
        subject=" ",
        documents=(),
        signers=(),
        events=(),
        heads=(),
        offline=(),
        checkpoint=Absent("no checkpoint covers it yet"),
    )
    found = " ".join(pages(certificate(told)))
    assert "Subject (the envelope has no subject)" in found
    assert "Documents 0 documents, 0 pages" in found
    assert "Checkpoint (no checkpoint covers it yet)" in found


def test_the_qr_code_is_that_of_the_page_to_verify_at() -> None:
    picture = pypdfium2.PdfDocument(certificate(case()))[0].render(scale=4, grayscale=True).to_pil().convert("L")
    modules = segno.make(URL, micro=False, error="m", boost_error=False).matrix
    unit = 92 / (len(modules) + 8)
    left, top = Paper.A4.value[0] - MARGIN - 92 + 4 * unit, MARGIN + 4 * unit
    for y, line in enumerate(modules):
        for x, dark in enumerate(line):
            shade = picture.getpixel((round((left + (x + 0.5) * unit) * 4), round((top + (y + 0.5) * unit) * 4)))
            assert isinstance(shade, int)
            assert (shade < 128) == bool(dark)


def test_the_same_case_gives_the_same_bytes_with_its_own_date() -> None:
    one, other = certificate(case(2)), certificate(case(2))
    assert one == other
    with pikepdf.open(BytesIO(one)) as opened:
        assert str(opened.docinfo["/CreationDate"]).startswith("D:20261122012503")
        assert str(opened.docinfo["/Title"]) == f"Certificate of completion of envelope {ENVELOPE}"
        fonts = [
            each for each in opened.objects if isinstance(each, pikepdf.Dictionary) and each.get("/Type") == "/FontDescriptor"
        ]
        assert fonts
        assert all("/FontFile2" in font for font in fonts)


def test_a_certificate_of_the_test_mode_says_so_on_each_page() -> None:
    found = pages(certificate(replace(case(20), test=True)))
    assert all("Test, without effect" in page for page in found)
    assert found[0].count("Test, without effect") == 2
    assert not any("Test, without effect" in page for page in pages(certificate(case(20))))
