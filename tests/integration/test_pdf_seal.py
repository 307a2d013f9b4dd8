"""Seals as others see them: each profile passes pyHanko, openssl and pdfsig, and what keeps one from the next is told."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pikepdf
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, pkcs12
from cryptography.x509 import Certificate
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp
from pyhanko_certvalidator import ValidationContext

from infrastructure.pdf_seal.credentials import development, from_pkcs12
from infrastructure.pdf_seal.examination import examine
from infrastructure.pdf_seal.findings import Check, Outcome
from infrastructure.pdf_seal.profile import Obstacle, Profile, SealedPdf
from infrastructure.pdf_seal.revisions import CannotSeal
from infrastructure.pdf_seal.sealing import renew, seal
from infrastructure.pdf_seal.signature import library_certificate, value_of
from infrastructure.pdf_seal.signed_parts import SignedPart, open_sealed
from infrastructure.pdf_seal.verification import verify_seal
from infrastructure.secrets import SecretError
from tests.integration.timestamp_authority import faithful, issue, require_openssl
from tests.seal_world import NOW, Given, SealWorld, plain_pdf, revocations, seal_world

OLD_AGE = NOW + timedelta(days=20 * 365)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SealWorld]:
    require_openssl()
    with seal_world(tmp_path_factory.mktemp("seals")) as found:
        yield found


@pytest.fixture(scope="module")
def sealed(world: SealWorld) -> dict[Profile, SealedPdf]:
    made = (world.seal_plain(), world.seal_stamped(), world.seal_archived())
    return {each.profile: each for each in made}


def shortfall(made: SealedPdf) -> Obstacle | None:
    return made.why_not_higher.obstacle if made.why_not_higher else None


def unwilling(_: bytes) -> tuple[int, Iterator[bytes]]:
    return 503, iter(())


def seal_of(pdf: bytes) -> SignedPart:
    return open_sealed(pdf)[1]


def test_each_profile_is_reached_with_what_it_needs_and_the_next_one_says_what_is_missing(
    sealed: dict[Profile, SealedPdf],
) -> None:
    assert {profile: shortfall(made) for profile, made in sealed.items()} == {
        Profile.B_B: Obstacle.NO_AUTHORITY,
        Profile.B_T: Obstacle.NO_MATERIAL,
        Profile.B_LTA: None,
    }
    assert all(made.content.startswith(plain_pdf()) for made in sealed.values())


def test_every_profile_is_verified_as_what_it_is(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> None:
    for profile, made in sealed.items():
        findings = world.examine(made.content)
        assert (findings.verdict, findings.profile) == (Outcome.PASSED, profile), findings
        assert findings.signer == world.development.signer.certificate.subject.rfc4514_string()


def test_pyhanko_finds_nothing_wrong(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> None:
    def trusting(root: Certificate) -> ValidationContext:
        return ValidationContext(trust_roots=[library_certificate(root)])

    seals, times = trusting(world.development.root), trusting(world.time_root.certificate)
    for made in sealed.values():
        first, *stamps = PdfFileReader(BytesIO(made.content)).embedded_signatures
        assert validate_pdf_signature(first, seals, times).bottom_line
        for each in stamps:
            stamp = validate_pdf_timestamp(each, times)
            assert (stamp.intact, stamp.valid, stamp.trusted) == (True, True, True)


def test_qpdf_finds_nothing_wrong(sealed: dict[Profile, SealedPdf]) -> None:
    for made in sealed.values():
        with pikepdf.open(BytesIO(made.content), attempt_recovery=False) as document:
            assert document.check_pdf_syntax() == []


def test_openssl_verifies_the_signature_as_cades_and_its_time_stamp(
    world: SealWorld, sealed: dict[Profile, SealedPdf], tmp_path: Path
) -> None:
    part = seal_of(sealed[Profile.B_T].content)
    token = part.embedded.signer_info["unsigned_attrs"][0]["values"][0].dump()
    files = {
        "signature": part.der,
        "covered": part.covered,
        "token": token,
        "value": value_of(part.der),
        "root": world.development.root.public_bytes(Encoding.PEM),
        "times": world.time_root.certificate.public_bytes(Encoding.PEM),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    cms = "cms -verify -cades -binary -inform DER -in signature -content covered -CAfile root -purpose any -out nothing"
    stamp = "ts -verify -token_in -in token -data value -CAfile times"
    for command in (cms, stamp):
        done = subprocess.run(["openssl", *command.split()], cwd=tmp_path, capture_output=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr.decode()
    (tmp_path / "covered").write_bytes(part.covered[:-1])
    assert subprocess.run(["openssl", *cms.split()], cwd=tmp_path, capture_output=True, check=False, timeout=30).returncode


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="pdfsig (poppler) is not installed: a second reader of signatures")
def test_pdfsig_takes_the_signature_for_valid_over_the_whole_file(sealed: dict[Profile, SealedPdf], tmp_path: Path) -> None:
    (tmp_path / "sealed.pdf").write_bytes(sealed[Profile.B_T].content)
    done = subprocess.run(["pdfsig", "-nocert", "sealed.pdf"], cwd=tmp_path, capture_output=True, check=False, timeout=30)
    assert b"Signature is Valid." in done.stdout
    assert b"Total document signed" in done.stdout


def test_a_time_stamp_that_is_refused_leaves_a_seal_without(world: SealWorld) -> None:
    world.responder.behaviour = unwilling
    try:
        made = world.seal_archived()
    finally:
        world.responder.behaviour = faithful(world.authority)
    assert (made.profile, shortfall(made)) == (Profile.B_B, Obstacle.NOT_STAMPED)
    assert world.examine(made.content).verdict is Outcome.PASSED


def test_without_the_second_time_stamp_the_end_of_the_file_is_covered_by_none_until_it_is_renewed(world: SealWorld) -> None:
    answers = iter((faithful(world.authority), unwilling))

    def once(query: bytes) -> tuple[int, Iterator[bytes]]:
        return next(answers)(query)

    world.responder.behaviour = once
    try:
        made = world.seal_archived()
    finally:
        world.responder.behaviour = faithful(world.authority)
    assert (made.profile, shortfall(made)) == (Profile.B_LT, Obstacle.NOT_ARCHIVED)
    findings = world.examine(made.content)
    assert (findings.profile, findings.outcome(Check.COVERAGE)) == (Profile.B_LT, Outcome.INDETERMINATE)
    later = world.examine(asyncio.run(renew(made.content, world.time_source, Given(*world.material))))
    assert (later.profile, later.verdict) == (Profile.B_LTA, Outcome.PASSED)


def test_a_renewal_adds_a_time_over_all_that_was_there(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> None:
    before = sealed[Profile.B_LTA].content
    renewed = asyncio.run(renew(before, world.time_source, Given(*world.material)))
    assert renewed.startswith(before)
    findings = world.examine(renewed, OLD_AGE)
    assert (findings.verdict, findings.profile, len(findings.archived)) == (Outcome.PASSED, Profile.B_LTA, 2), findings
    assert findings.archived[0] < findings.archived[1]


def test_a_time_stamp_outlasts_the_certificate(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> None:
    assert world.examine(sealed[Profile.B_T].content, OLD_AGE).verdict is Outcome.PASSED
    without = world.examine(sealed[Profile.B_B].content, OLD_AGE)
    assert (without.verdict, without.outcome(Check.SIGNER)) == (Outcome.INDETERMINATE, Outcome.INDETERMINATE)


def test_the_process_with_limits_says_the_same(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> None:
    pdf = sealed[Profile.B_LTA].content
    asked = verify_seal(pdf, (world.development.root,), (world.time_root.certificate,), NOW)
    assert asyncio.run(asked) == world.examine(pdf)


def test_who_trusts_another_root_trusts_neither_seal_nor_time(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> None:
    other = issue("Somebody else", ca=True).certificate
    findings = examine(sealed[Profile.B_T].content, (other,), (other,), NOW)
    wrong = {each.check for each in findings.findings if each.outcome is not Outcome.PASSED}
    assert (wrong, findings.profile) == ({Check.SIGNER, Check.TIME}, Profile.B_B)
    undecided = examine(sealed[Profile.B_T].content, (world.development.root,), (), NOW)
    assert (undecided.verdict, undecided.outcome(Check.TIME)) == (Outcome.INDETERMINATE, Outcome.INDETERMINATE)


def test_what_is_signed_already_is_not_sealed(sealed: dict[Profile, SealedPdf], world: SealWorld) -> None:
    with pytest.raises(CannotSeal, match="signed already"):
        world.seal_plain(sealed[Profile.B_B].content)
    with pytest.raises(CannotSeal, match="cannot be written on"):
        world.seal_plain(b"%PDF-1.7 and nothing else")


def test_a_certificate_that_is_revoked_or_not_valid_seals_nothing(world: SealWorld, tmp_path: Path) -> None:
    root = issue("Root", ca=True)
    holder = issue("Seal", root, purposes=())
    file = tmp_path / "seal.p12"
    file.write_bytes(pkcs12.serialize_key_and_certificates(b"", holder.key, holder.certificate, None, NoEncryption()))
    file.chmod(0o600)
    signer = from_pkcs12(file, None)
    lists = (revocations(root, holder.certificate), revocations(world.time_root))
    with pytest.raises(CannotSeal, match="revoked"):
        asyncio.run(seal(plain_pdf(), signer, NOW, world.time_source, (root.certificate,), Given(*lists)))
    with pytest.raises(CannotSeal, match="valid from"):
        asyncio.run(seal(plain_pdf(), signer, OLD_AGE))


def test_the_certificate_for_development_is_made_once_and_says_so(tmp_path: Path) -> None:
    first, second = development(tmp_path, NOW), development(tmp_path, NOW)
    assert first.root == second.root
    assert first.signer.certificate == second.signer.certificate
    assert "DEVELOPMENT" in first.root.subject.rfc4514_string()
    files = sorted(tmp_path.iterdir())
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    assert "PRIVATE" not in repr(first)
    (tmp_path / "seal-development-authority.pem").unlink()
    with pytest.raises(SecretError, match="is not by"):
        development(tmp_path, NOW)


def test_a_pkcs12_file_seals_with_the_certificates_on_the_way(world: SealWorld, tmp_path: Path) -> None:
    root, stray = issue("Root", ca=True), issue("Stray", ca=True)
    between = issue("Between", root, ca=True)
    key = rsa.generate_private_key(65537, 2048)
    holder = issue("Seal", between, purposes=(), key=key)  # type: ignore[arg-type]
    others = [stray.certificate, root.certificate, between.certificate]
    file = tmp_path / "seal.p12"
    file.write_bytes(
        pkcs12.serialize_key_and_certificates(b"", key, holder.certificate, others, BestAvailableEncryption(b"open"))
    )
    with pytest.raises(SecretError, match="chmod"):
        from_pkcs12(file, "open")
    file.chmod(0o600)
    with pytest.raises(SecretError, match="password"):
        from_pkcs12(file, "shut")
    signer = from_pkcs12(file, "open")
    assert signer.chain == (between.certificate, root.certificate)
    made = asyncio.run(seal(plain_pdf(), signer, NOW))
    findings = examine(made.content, (root.certificate,), (), NOW)
    assert findings.verdict is Outcome.PASSED, findings


def test_the_list_of_the_development_authority_is_its_own(world: SealWorld) -> None:
    read = x509.load_der_x509_crl(world.development.revocations(NOW))
    assert read.is_signature_valid(world.development.root.public_key())  # type: ignore[arg-type]
