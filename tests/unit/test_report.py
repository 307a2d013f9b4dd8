"""The report of a bundle of evidence: nothing in it is taken for markup, and what is not disclosed is said to be so."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

from api.evidence.asked import Withholding
from api.report import Case, Disclosed, Erased, FileState, Happened, Seal, Shown, Stamp, Withheld, report_html, report_text
from domain.actor import AddressSource, IdentityMethod, Mode, Provenance
from domain.canonical import Json
from domain.entry import Entry
from domain.envelope import (
    CertificateIssued,
    Document,
    DocumentExecuted,
    EnvelopeCompleted,
    EnvelopeCreated,
    OnParticipantFail,
    OrderMode,
    SealRenewed,
    Slot,
)
from domain.personal import Personal
from domain.seal import Obstacle, Profile
from domain.seal import Seal as PdfSeal
from domain.signing import DocumentReference, DocumentSigned, ProcessCreated, SignatureMethod
from infrastructure.codec import encode_fact

AT = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
ENVELOPE, ANA, BO, DOCUMENT, TENANT = (UUID(int=number) for number in range(1, 6))
PDF = "ab" * 32
SPITE = "<script>alert(1)</script>\"'&\n\nWhat is shown\n---\n\x1b[2J\u202e"


class Told:
    """A case as it grows: each fact gets the next position, each personal value its fate."""

    def __init__(self) -> None:
        self.happened: list[Happened] = []
        self.personal: dict[str, Shown] = {}

    def value(self, shown: Shown | None) -> Personal:
        commitment = f"{len(self.personal):064x}"
        if shown is not None:
            self.personal[commitment] = shown
        return Personal(commitment)

    def add(self, stream: UUID, fact: Any) -> None:
        encoded, position = encode_fact(fact), len(self.happened) + 1
        by: dict[str, Json] = {"kind": "signer", "id": "sgs_1"}
        at = AT + timedelta(seconds=position)
        entry = Entry("example/log", stream, position, encoded.type, at, bytes(32), by, encoded.data, encoded.personal)
        self.happened.append(Happened(position, bytes(32), entry, fact))

    def case(self, **changes: Any) -> Case:
        seal = Seal(9, AT, ("example/log+00000001",), ())
        case = Case("example/log", ENVELOPE, None, self.happened, self.personal, {PDF: FileState.INCLUDED}, seal, (), 8, None)
        return replace(case, **changes)


def told(*, ana: Shown, bo: Shown, title: Shown | None = None, ip: Shown | None = None, mode: Mode = Mode.LIVE) -> Told:
    """One envelope: Ana signs, Bo does not."""
    found = Told()
    document = Document(DOCUMENT, PDF, 3, None if title is None else found.value(title))
    slots = tuple(Slot(who, number, (DOCUMENT,)) for number, who in enumerate((ANA, BO), 1))
    policy = (OrderMode.SEQUENTIAL, OnParticipantFail.CANCEL_FLOW)
    found.add(ENVELOPE, EnvelopeCreated(TENANT, mode, (document,), slots, *policy, None, None, None, None, None))
    for who, name in ((ANA, ana), (BO, bo)):
        reference = (DocumentReference(DOCUMENT, PDF),)
        found.add(who, ProcessCreated(TENANT, mode, ENVELOPE, 1, reference, (), found.value(name), None, None, None))
    seen = (
        Provenance(IdentityMethod.OTP_EMAIL)
        if ip is None
        else Provenance(IdentityMethod.TOKEN, found.value(ip), AddressSource.CLAIMED)
    )
    found.add(ANA, DocumentSigned(DOCUMENT, PDF, SignatureMethod.TYPED, None, None, seen))
    return found


class Tags(HTMLParser):
    """What a browser takes for markup, and for text."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(raw.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_no_value_becomes_markup_opens_a_section_or_turns_the_direction_of_what_follows() -> None:
    spite = Disclosed(SPITE)
    plain = told(ana=Disclosed("Ana"), bo=Disclosed("Bo"), title=Disclosed("T"), ip=Disclosed("192.0.2.7")).case()
    spiteful = told(ana=spite, bo=spite, title=spite, ip=spite).case()
    expected, found = Tags(report_html(plain)), Tags(report_html(spiteful))
    assert (found.tags, found.attributes) == (expected.tags, expected.attributes)
    assert "<script>alert(1)</script>" in found.text
    assert not found.tags & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert not found.attributes & {"src", "href", "onload", "srcset"}
    text = report_text(spiteful).decode()
    assert not re.search("[\x1b\u202e]", text + found.text)
    assert re.findall(r"^What is shown.*$", text, re.MULTILINE) == ["What is shown, and what is absent"]
    assert len(re.findall(r"^-+$", text, re.MULTILINE)) == 6


def test_what_is_not_disclosed_is_called_by_its_place_and_said_to_be_withheld_erased_or_missing() -> None:
    found = told(ana=Erased(7), bo=Withheld(), ip=Withheld())
    found.add(
        ANA, DocumentSigned(DOCUMENT, PDF, SignatureMethod.CLICKED, found.value(None), None, Provenance(IdentityMethod.TOKEN))
    )
    text = report_text(found.case()).decode()
    assert "Name: [erased by entry 7]" in text
    assert "Name: [withheld]" in text
    assert "Participant 1 signed Document 1" in text
    assert "The accepted statement: [missing]" in " ".join(text.split())
    assert "From [withheld], as claimed by the client." in " ".join(text.split())
    assert "0 disclosed, 2 withheld, 1 erased, 1 missing." in text


def test_a_name_that_reads_like_a_withheld_one_is_quoted() -> None:
    assert b"Name: \xe2\x80\x9c[withheld]\xe2\x80\x9d" in report_text(
        told(ana=Disclosed("[withheld]"), bo=Disclosed("Bo")).case()
    )


def test_two_of_one_name_are_told_apart() -> None:
    text = report_text(told(ana=Disclosed("Ana Paz"), bo=Disclosed("Ana Paz")).case()).decode()
    assert "Ana Paz (participant 1) signed Document 1" in text


def test_what_nobody_observed_is_absent() -> None:
    text = report_text(told(ana=Disclosed("Ana"), bo=Disclosed("Bo")).case()).decode()
    assert "Recognised by a one-time code sent by e-mail. No address was observed." in " ".join(text.split())
    assert "browser" not in text


def test_what_is_absent_is_said_and_what_came_too_late_for_it() -> None:
    found = told(ana=Disclosed("Ana"), bo=Disclosed("Bo"))
    found.add(ENVELOPE, EnvelopeCompleted())

    def shown(**changes: Any) -> str:
        return " ".join(report_text(found.case(**changes)).decode().split())

    bare = shown(heads=None)
    for absence in ("no witness has cosigned", "no time-stamping authority", "no heads manifest"):
        assert f"Absent: {absence}" in bare.replace("there is ", "")
    early = Seal(4, AT, (), (("w.example+00000002", AT),))
    partly = shown(heads=4, earlier=(early,), stamp=Stamp(3, AT, "https://tsa.example"), files={PDF: FileState.WITHHELD})
    assert "Not yet witnessed: what stands from position 5 on (1)." in partly
    assert "Not covered: what stands from position 4 on (2)." in partly
    assert "Up to position 4: the newest heads manifest is older than the last entry here" in partly
    assert "0 in this bundle, 1 withheld, 0 not stored any more" in partly


def test_a_test_is_called_one() -> None:
    assert b"This was a test." in report_text(told(ana=Disclosed("A"), bo=Disclosed("B"), mode=Mode.TEST).case())


def test_a_withholding_means_its_path_and_what_is_below() -> None:
    meant = Withholding.parse("/copies/1")
    assert [path for path in ("/copies/1", "/copies/1/name", "/copies/10/name", "/copies") if meant.covers(ANA, path)] == [
        "/copies/1",
        "/copies/1/name",
    ]
    alone = Withholding.parse(f"{ANA}:/name")
    assert (alone.covers(ANA, "/name"), alone.covers(BO, "/name")) == (True, False)


def test_files_are_told_with_their_seals_and_with_what_became_of_the_forms_before() -> None:
    found = told(ana=Disclosed("Ana"), bo=Disclosed("Bo"))
    executed, renewed, certificate = ("cd" * 32, "ef" * 32, "ad" * 32)
    plain = PdfSeal(Profile.B_B, Obstacle.NO_AUTHORITY, "11" * 32)
    stamped = PdfSeal(Profile.B_T, Obstacle.NO_MATERIAL, "11" * 32, AT, "https://tsa.example")
    found.add(ENVELOPE, DocumentExecuted(DOCUMENT, "22" * 32, executed, 9, None, stamped))
    found.add(ENVELOPE, CertificateIssued(certificate, "33" * 32, 9, plain))
    found.add(ENVELOPE, SealRenewed(DOCUMENT, executed, renewed, AT + timedelta(days=900)))
    states = {executed: FileState.SUPERSEDED, renewed: FileState.INCLUDED, certificate: FileState.INCLUDED}
    text = " ".join(report_text(found.case(files=states)).decode().split())
    once = "Executed form of Document 1 sealed as PAdES B-T, stamped 2026-11-20 22:30:00.000000 UTC by https://tsa.example"
    assert text.count(once) == 2
    assert (
        f"revocations are missing; renewed by a time stamp of 2029-05-08 22:30:00.000000 UTC Pages: not recorded SHA-256: {renewed}"
        in text
    )
    assert f"SHA-256: {executed} Where it is: not here: the form after it begins with it" in text
    assert "Certificate of completion sealed as PAdES B-B; not higher, since no time-stamping authority is configured" in text
    found.add(ENVELOPE, DocumentExecuted(ANA, "22" * 32, "be" * 32))
    assert "no seal is recorded" in report_text(found.case()).decode()
