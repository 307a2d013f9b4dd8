"""Seals as others see them: each profile passes pyHanko, openssl and pdfsig, and what keeps one from the next is told."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12

from infrastructure.pdf_seal.credentials import SealSigner, development, from_pkcs12
from infrastructure.pdf_seal.examination import examine
from infrastructure.pdf_seal.findings import Check, Outcome
from infrastructure.pdf_seal.profile import CannotSeal, Obstacle, Profile, SealedPdf
from infrastructure.pdf_seal.sealing import renew, seal
from infrastructure.pdf_seal.signature import sign
from infrastructure.pdf_seal.signed_parts import check_spelling
from infrastructure.pdf_seal.verification import verify_seal
from infrastructure.secrets import SecretError
from tests.integration.timestamp_authority import faithful, issue, require_openssl
from tests.outside_verifiers import PASSED, Tool, check_with_other_tools
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


@cache
def an_rsa_key() -> rsa.RSAPrivateKey:
    """Always the same: making one takes half a second."""
    return rsa.generate_private_key(65537, 2048)


def shortfall(made: SealedPdf) -> Obstacle | None:
    return made.why_not_higher.obstacle if made.why_not_higher else None


def unwilling(_: bytes) -> tuple[int, Iterator[bytes]]:
    return 503, iter(())


@pytest.fixture(scope="module")
def verdicts(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> dict[Profile, dict[Tool, str]]:
    roots, times = (world.development.root,), (world.time_root.certificate,)
    return {profile: check_with_other_tools(made.content, roots, times) for profile, made in sealed.items()}


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


@pytest.mark.parametrize("tool", Tool)
def test_other_tools_find_nothing_wrong(tool: Tool, verdicts: dict[Profile, dict[Tool, str]]) -> None:
    if not tool.installed:
        pytest.skip(f"{tool} is not installed: another reader of seals")
    for profile, said in verdicts.items():
        if tool is Tool.OPENSSL_TS and profile is Profile.B_B:
            assert tool not in said, "there is no time stamp to verify"
        else:
            assert said[tool] == PASSED


def test_other_tools_notice_when_something_is_wrong(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> None:
    pdf, roots, times = sealed[Profile.B_LTA].content, (world.development.root,), (world.time_root.certificate,)
    changed = pdf.replace(b"595", b"594", 1)
    untrusted = check_with_other_tools(pdf, times, roots)
    for tool, said in check_with_other_tools(changed, roots, times).items():
        # qpdf sees only whether the file can be read.
        assert (said == PASSED) is (tool is Tool.QPDF), (tool, said)
        assert (untrusted[tool] == PASSED) is (tool in (Tool.QPDF, Tool.PDFSIG)), (tool, untrusted[tool])


@pytest.mark.parametrize("rsa_key", [False, True], ids=("ecdsa", "rsa"))
@pytest.mark.parametrize("serial", [1, 128, 2**158 + 255], ids=("short", "first-bit", "long"))
def test_a_signature_says_what_pades_wants_in_der_and_nothing_more(rsa_key: bool, serial: int) -> None:
    root = issue("Root", ca=True)
    key: Any = an_rsa_key() if rsa_key else None
    holder = issue("Seal", root, purposes=(), serial=serial, key=key)
    chosen: Any = holder.key
    signed_with = (padding.PKCS1v15(), hashes.SHA256()) if rsa_key else (ec.ECDSA(hashes.SHA256()),)
    signer = SealSigner(holder.certificate, (root.certificate,), lambda message: chosen.sign(message, *signed_with))
    der = sign(signer, sha256(b"covered").digest()).der()
    whole = cms.ContentInfo.load(der, strict=True)
    assert whole.copy().dump(force=True) == der
    assert [each.dump() for each in whole["content"]["certificates"]] == [holder.der], "a root is known or not believed"
    (by,) = whole["content"]["signer_infos"]
    assert by["sid"].native["serial_number"] == serial
    kinds = {each["type"].native: each["values"][0] for each in by["signed_attrs"]}
    assert list(kinds) == ["content_type", "message_digest", "signing_certificate_v2"]
    assert kinds["message_digest"].native == sha256(b"covered").digest()
    assert kinds["signing_certificate_v2"]["certs"][0]["cert_hash"].native == sha256(holder.der).digest()
    check_spelling(der)


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
    later = world.examine(asyncio.run(renew(made.content, world.time_source, (world.development.root,), Given(*world.material))))
    assert (later.profile, later.verdict) == (Profile.B_LTA, Outcome.PASSED)


def test_a_renewal_adds_a_time_over_all_that_was_there(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> None:
    before = sealed[Profile.B_LTA].content
    renewed = asyncio.run(renew(before, world.time_source, (world.development.root,), Given(*world.material)))
    assert renewed.startswith(before)
    findings = world.examine(renewed, OLD_AGE)
    assert (findings.verdict, findings.profile, len(findings.archived)) == (Outcome.PASSED, Profile.B_LTA, 2), findings
    assert findings.archived[0] < findings.archived[1]


def test_a_seal_without_a_time_gets_one_with_its_first_renewal(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> None:
    before = sealed[Profile.B_B].content
    renewed = asyncio.run(renew(before, world.time_source, (world.development.root,), Given(*world.material)))
    findings = world.examine(renewed, OLD_AGE)
    assert (findings.verdict, findings.profile, findings.stamped) == (Outcome.PASSED, Profile.B_T, None), findings


def test_a_seal_without_material_gets_it_with_its_first_renewal(world: SealWorld, sealed: dict[Profile, SealedPdf]) -> None:
    before = sealed[Profile.B_T].content
    renewed = asyncio.run(renew(before, world.time_source, (world.development.root,), Given(*world.material)))
    findings = world.examine(renewed, OLD_AGE)
    assert (findings.verdict, findings.profile) == (Outcome.PASSED, Profile.B_LTA), findings


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
    signer = from_pkcs12(file, None, (root.certificate,))
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
    key = an_rsa_key()
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
