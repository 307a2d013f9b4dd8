"""What somebody does to a sealed file is found: any byte, anything after the end, anything swapped under the seal."""

import asyncio
import random
from collections.abc import Iterator
from io import BytesIO

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from infrastructure.pdf_seal.findings import Check, Findings, Outcome
from infrastructure.pdf_seal.profile import Profile, SealedPdf
from infrastructure.pdf_seal.revisions import reserve_stamp, with_material
from infrastructure.pdf_seal.sealing import renew
from infrastructure.pdf_seal.signed_parts import SignedPart, open_sealed
from infrastructure.pdf_seal.verification import verify_seal
from tests.integration.timestamp_authority import require_openssl
from tests.seal_world import NOW, Given, SealWorld, plain_pdf, seal_world

#: In the run of the tests; 1,000 are tried by hand.
FLIPS = 10


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SealWorld]:
    require_openssl()
    with seal_world(tmp_path_factory.mktemp("seals")) as found:
        yield found


@pytest.fixture(scope="module")
def plain(world: SealWorld) -> bytes:
    return world.seal_plain().content


@pytest.fixture(scope="module")
def archived(world: SealWorld) -> SealedPdf:
    made = world.seal_archived()
    assert made.profile is Profile.B_LTA
    return made


def flipped(pdf: bytes, at: int, bit: int) -> bytes:
    return pdf[:at] + bytes((pdf[at] ^ (1 << bit),)) + pdf[at + 1 :]


def hole(part: SignedPart, pdf: bytes) -> tuple[int, int]:
    """Where the digits of a signature stand."""
    start = int(part.embedded.byte_range[1])
    return start, int(part.embedded.byte_range[2])


def failed(findings: Findings) -> set[Check]:
    return {each.check for each in findings.findings if each.outcome is Outcome.FAILED}


def overwritten(pdf: bytes, text: str) -> bytes:
    """A revision in which the first page says something else."""
    writer = IncrementalPdfFileWriter(BytesIO(pdf))
    page = writer.root["/Pages"]["/Kids"][0]
    content = generic.StreamObject(stream_data=f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode())
    page[pdf_name("/Contents")] = writer.add_object(content)
    writer.update_container(page)
    out = BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]
    return out.getvalue()


def test_any_flipped_bit_is_found_anywhere_in_the_file(world: SealWorld, archived: SealedPdf) -> None:
    pdf, chance = archived.content, random.Random(5)
    for _ in range(FLIPS):
        at, bit = chance.randrange(len(pdf)), chance.randrange(8)
        assert world.examine(flipped(pdf, at, bit)).verdict is Outcome.FAILED, (at, bit)


def test_any_flipped_bit_is_found_where_the_seal_does_not_cover_the_file(world: SealWorld, archived: SealedPdf) -> None:
    pdf, chance = archived.content, random.Random(6)
    _, seal, stamps = open_sealed(pdf)
    for part in (seal, *stamps):
        start, end = hole(part, pdf)
        signature = start + 1 + 2 * len(part.der)
        for first, last in ((start, start + 1), (start + 1, signature), (signature, end - 1), (end - 1, end)):
            for _ in range(1 if last - first == 1 else FLIPS // 5):
                at, bit = chance.randrange(first, last), chance.randrange(8)
                assert world.examine(flipped(pdf, at, bit)).verdict is Outcome.FAILED, (at, bit)


def test_a_letter_of_a_name_that_is_compared_without_case_is_found(world: SealWorld, plain: bytes) -> None:
    part = open_sealed(plain)[1]
    name = b"authority for DEVELOPMENT"
    at = part.der.index(name, part.der.index(name) + 1)  # after the certificate's: whom the signer says that it is, uncovered
    start = hole(part, plain)[0] + 1 + 2 * at
    findings = world.examine(plain[:start] + b"A".hex().encode() + plain[start + 2 :])
    assert failed(findings) == {Check.FORM}


def test_what_is_appended_is_found(world: SealWorld, plain: bytes, archived: SealedPdf) -> None:
    for pdf in (plain, archived.content):
        for garbage in (b"\n", b"%%EOF\n", b"garbage", plain_pdf("I owe you 10000")):
            assert world.examine(pdf + garbage).verdict is Outcome.FAILED, garbage[:10]


def test_something_hidden_after_the_signature_is_found(world: SealWorld, plain: bytes) -> None:
    part = open_sealed(plain)[1]
    end = hole(part, plain)[1]
    findings = world.examine(plain[: end - 3] + b"FF" + plain[end - 1 :])
    assert failed(findings) == {Check.FORM}
    assert "hidden" in findings.findings[0].detail


def test_a_page_swapped_in_an_update_is_found(world: SealWorld, plain: bytes, archived: SealedPdf) -> None:
    for pdf in (plain, archived.content):
        findings = world.examine(overwritten(pdf, "I owe you 10000"))
        assert findings.verdict is Outcome.FAILED
        assert Check.CHANGES in failed(findings)


def test_a_page_swapped_under_a_time_stamp_that_anybody_can_buy_is_found(world: SealWorld, plain: bytes) -> None:
    forged = asyncio.run(
        renew(overwritten(plain, "I owe you 10000"), world.time_source, (world.development.root,), Given(*world.material))
    )
    findings = world.examine(forged)
    assert findings.outcome(Check.COVERAGE) is Outcome.PASSED
    assert failed(findings) == {Check.CHANGES}


def test_what_the_shown_page_was_swapped_for_before_sealing_stays_hidden_from_nobody(world: SealWorld) -> None:
    """A shadow: the sealed page says one thing, an object beside it another, and an update of a few bytes turns to that."""
    sealed = world.seal_plain(overwritten(plain_pdf("I owe you 10000"), "I owe you 10")).content
    assert world.examine(sealed).verdict is Outcome.PASSED
    writer = IncrementalPdfFileWriter(BytesIO(sealed))
    page = writer.root["/Pages"]["/Kids"][0]
    hidden = next(number for number in range(1, 6) if b"10000" in _stream(writer, number))
    page[pdf_name("/Contents")] = generic.IndirectObject(hidden, 0, writer)  # type: ignore[no-untyped-call]
    writer.update_container(page)
    out = BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]
    assert Check.CHANGES in failed(world.examine(out.getvalue()))


def _stream(writer: IncrementalPdfFileWriter, number: int) -> bytes:
    found = writer.get_object(generic.Reference(number, 0, writer))
    return found.data if isinstance(found, generic.StreamObject) else b""


def test_material_that_nobody_signed_does_not_pass_for_part_of_the_file(world: SealWorld, plain: bytes) -> None:
    findings = world.examine(with_material(plain, (), world.material))
    assert (findings.verdict, findings.profile) == (Outcome.INDETERMINATE, Profile.B_B)


def test_a_token_over_something_else_is_no_time(world: SealWorld, plain: bytes) -> None:
    reserved = reserve_stamp(plain, (), (), 12_288)
    other = asyncio.run(world.time_source.authority.stamp(b"another file")).token
    assert failed(world.examine(reserved.filled(other))) == {Check.ARCHIVE}


def test_a_file_without_a_seal_or_that_makes_readers_loop_is_answered(world: SealWorld) -> None:
    loops = (
        b"%PDF-1.5\n1 0 obj\n<</Type/XRef/W[0 0 0]/Index[0 2000000000]/Size 2000000000/Root 1 0 R/Length 0>>\n"
        b"stream\n\nendstream\nendobj\nstartxref\n9\n%%EOF\n"
    )
    for pdf in (b"", plain_pdf()):
        assert failed(world.examine(pdf)) == {Check.FORM}
    findings = asyncio.run(verify_seal(loops, (world.development.root,), (), NOW))
    assert failed(findings) == {Check.FORM}
