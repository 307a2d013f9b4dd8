"""The seal of an installation: what the settings name is used or refused at the start, and what is answered was verified."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from asn1crypto import cms, tsp, x509  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

from domain.seal import Obstacle, Profile
from infrastructure.clock import Clock, FixedClock
from infrastructure.installation import InstallationError
from infrastructure.pdf_seal.findings import Outcome
from infrastructure.pdf_seal.profile import CannotSeal
from infrastructure.pdf_seal.revocations import MAX_BYTES, Revocations, RevocationsUnusable, read_lists
from infrastructure.pdf_seal.sealing import seal
from infrastructure.seal_service import SealService, seal_service
from infrastructure.settings import Settings
from tests.integration.timestamp_authority import (
    Behaviour,
    Holder,
    Responder,
    TimeStampAuthority,
    faithful,
    issue,
    require_openssl,
    responding,
)
from tests.seal_world import NOW, plain_pdf, revocations

PASSWORD = "not to be printed"


@contextmanager
def serving(pages: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """A web server of these pages, 404 for all others; its address, and what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path in pages else 404)
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, format: str, *arguments: object) -> None:
            """Says nothing: a test's output is for the test."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def unwilling(_: bytes) -> tuple[int, Iterator[bytes]]:
    return 503, iter(())


@contextmanager
def answering(responder: Responder, *behaviours: Behaviour) -> Iterator[None]:
    """Has a responder answer so, query by query."""
    before, each = responder.behaviour, iter(behaviours)
    responder.behaviour = lambda query: next(each)(query)  # noqa: PLW0108 (the next one for each query)
    try:
        yield
    finally:
        responder.behaviour = before


@dataclass(frozen=True, slots=True)
class World:
    """A seal in a PKCS#12 file whose list of revocations is on the web, and an authority whose list is not."""

    folder: Path
    holder: Holder
    root: Holder
    time_root: Holder
    authority: Holder
    responder: Responder
    address: str
    pages: dict[str, bytes]

    def settings(self, **given: object) -> Settings:
        return Settings.model_validate({"data": self.folder, **given})

    def named(self) -> dict[str, object]:
        """What the settings name here."""
        return {
            "seal_pkcs12": self.folder / "seal.p12",
            "seal_pkcs12_password": PASSWORD,
            "seal_certificates": self.folder / "roots.pem",
            "tsa_url": self.responder.url,
            "tsa_certificates": self.folder / "times.pem",
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require_openssl()
    folder = tmp_path_factory.mktemp("service")
    root, time_root = issue("Root", ca=True), issue("Root of times", ca=True)
    pages = {"/root.crl": revocations(root), "/large.crl": bytes(MAX_BYTES + 1), "/other.crl": revocations(time_root)}
    by = issue("Authority", time_root)
    authority = TimeStampAuthority(folder / "authority", by)
    with serving(pages) as (address, _), responding(faithful(authority)) as responder:
        holder = issue("Seal", root, purposes=(), lists=(f"{address}/root.crl",))
        protection = BestAvailableEncryption(PASSWORD.encode())
        file = folder / "seal.p12"
        file.write_bytes(pkcs12.serialize_key_and_certificates(b"", holder.key, holder.certificate, None, protection))
        file.chmod(0o600)
        for name, each in (("roots.pem", root), ("times.pem", time_root)):
            (folder / name).write_bytes(each.certificate.public_bytes(Encoding.PEM))
        yield World(folder, holder, root, time_root, by, responder, address, pages)


def test_a_first_run_makes_a_seal_for_development_and_later_runs_use_it(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data": tmp_path})
    service = seal_service(settings, FixedClock(NOW))
    made = asyncio.run(service.seal(plain_pdf(), NOW))
    assert made.content.startswith(plain_pdf())
    assert (made.seal.profile, made.seal.obstacle) == (Profile.B_B, Obstacle.NO_AUTHORITY)
    assert (made.seal.stamped_at, made.seal.authority) == (None, None)
    assert made.seal.certificate_sha256 == service.certificate_sha256
    assert made.why_not_higher == "no time-stamping authority is configured"
    assert "development" in service.describe()
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "seal-development-authority.pem": 0o600,
        "seal-development.pem": 0o600,
    }
    assert seal_service(settings, FixedClock(NOW)).certificate_sha256 == service.certificate_sha256
    with pytest.raises(CannotSeal, match="COUNTERSIGN_TSA_URL"):
        asyncio.run(service.renew(made.content, NOW))


def test_a_list_that_comes_later_raises_the_seal_with_its_renewal(world: World, tmp_path: Path) -> None:
    """The seal's list is fetched from where its certificate says; that of the authority is put into the folder."""
    lists = tmp_path / "lists"
    lists.mkdir()
    service = seal_service(world.settings(**world.named(), seal_revocations=lists), FixedClock(NOW))
    made = asyncio.run(service.seal(plain_pdf(), NOW))
    assert (made.seal.profile, made.seal.obstacle) == (Profile.B_T, Obstacle.NO_MATERIAL)
    assert made.seal.authority == world.responder.url
    assert made.seal.stamped_at is not None
    assert "Authority" in (made.why_not_higher or "")
    (lists / "times.crl").write_bytes(revocations(world.time_root))
    renewed = asyncio.run(service.renew(made.content, NOW))
    assert renewed.content.startswith(made.content)
    assert (renewed.authority, renewed.stamped_at > made.seal.stamped_at) == (world.responder.url, True)
    findings = asyncio.run(service.verify(renewed.content, NOW))
    assert (findings.verdict, findings.profile) == (Outcome.PASSED, Profile.B_LTA)


def test_a_second_time_stamp_that_is_not_to_be_had_comes_with_the_renewal(world: World, tmp_path: Path) -> None:
    lists = tmp_path / "times.crl"
    lists.write_bytes(revocations(world.time_root))
    service = seal_service(world.settings(**world.named(), seal_revocations=lists), FixedClock(NOW))
    with answering(world.responder, world.responder.behaviour, unwilling):
        made = asyncio.run(service.seal(plain_pdf(), NOW))
    assert (made.seal.profile, made.seal.obstacle) == (Profile.B_LT, Obstacle.NOT_ARCHIVED)
    assert "503" in (made.why_not_higher or "")
    renewed = asyncio.run(service.renew(made.content, NOW))
    assert asyncio.run(service.verify(renewed.content, NOW)).profile is Profile.B_LTA


def test_an_authority_that_is_away_leaves_a_seal_without_and_says_so(world: World) -> None:
    service = seal_service(world.settings(**world.named()), FixedClock(NOW))
    with answering(world.responder, unwilling, unwilling):
        made = asyncio.run(service.seal(plain_pdf(), NOW))
        with pytest.raises(CannotSeal, match="gave no time stamp"):
            asyncio.run(service.renew(made.content, NOW))
    assert (made.seal.profile, made.seal.obstacle) == (Profile.B_B, Obstacle.NOT_STAMPED)
    assert (made.seal.stamped_at, made.seal.authority) == (None, None)


def test_a_revoked_certificate_seals_nothing_with_a_time_or_without(world: World, tmp_path: Path) -> None:
    (tmp_path / "seal").write_bytes(revocations(world.root, world.holder.certificate))
    for authority in ({}, {"tsa_url": None}):
        settings = world.settings(**{**world.named(), **authority, "seal_revocations": tmp_path})
        with pytest.raises(CannotSeal, match="CN=Seal is revoked"):
            asyncio.run(seal_service(settings, FixedClock(NOW)).seal(plain_pdf(), NOW))


def test_a_time_by_a_revoked_authority_is_none(world: World, tmp_path: Path) -> None:
    (tmp_path / "times").write_bytes(revocations(world.time_root, world.authority.certificate))
    service = seal_service(world.settings(**world.named(), seal_revocations=tmp_path), FixedClock(NOW))
    made = asyncio.run(service.seal(plain_pdf(), NOW))
    assert (made.seal.profile, made.seal.obstacle, made.seal.stamped_at) == (Profile.B_B, Obstacle.NOT_STAMPED, None)
    assert "revoked" in (made.why_not_higher or "")


def test_what_does_not_pass_is_not_renewed(world: World) -> None:
    service = seal_service(world.settings(**world.named()), FixedClock(NOW))
    other = seal_service(Settings.model_validate({"data": world.folder}), FixedClock(NOW))
    sealed = asyncio.run(seal(plain_pdf(), other._signer, NOW)).content
    asked = len(world.responder.queries)
    with pytest.raises(CannotSeal, match=r"not renewed: signer"):
        asyncio.run(service.renew(sealed, NOW))
    with pytest.raises(CannotSeal, match=r"not renewed: form"):
        asyncio.run(service.renew(plain_pdf(), NOW))
    assert len(world.responder.queries) == asked


def test_a_stranger_in_a_token_has_nobody_asked_for_lists(world: World) -> None:
    """Nothing covers the certificates beside the authority's own, and many authorities are asked without TLS."""
    before = world.responder.behaviour
    with serving({}) as (address, asked):
        root = issue("Stranger", ca=True)
        strangers = (root, issue("Another", root, lists=(f"{address}/secret",)))

        def joined(query: bytes) -> tuple[int, Iterator[bytes]]:
            answer = tsp.TimeStampResp.load(b"".join(before(query)[1]))
            for each in strangers:
                added = cms.CertificateChoices("certificate", x509.Certificate.load(each.certificate.public_bytes(Encoding.DER)))
                answer["time_stamp_token"]["content"]["certificates"].append(added)
            return 200, iter((answer.dump(force=True),))

        service = seal_service(world.settings(**world.named()), FixedClock(NOW))
        with answering(world.responder, joined):
            made = asyncio.run(service.seal(plain_pdf(), NOW))
    assert made.seal.profile is Profile.B_T
    assert asked == []


def lists_of(source: Revocations, world: World, *certificates: Holder) -> tuple[int, str]:
    found = asyncio.run(source.lists([each.certificate for each in (*certificates, world.root, world.time_root)]))
    return len(found.ders), " ".join(found.failures)


def test_a_list_that_cannot_be_fetched_or_believed_is_told_and_no_more(world: World) -> None:
    odd = issue("Seal", world.root, lists=("http://[odd/root.crl",))
    assert lists_of(Revocations(clock=FixedClock(NOW)), world, odd)[0] == 0
    for path, why in (("none", "answered 404"), ("large", "more than 1048576 bytes"), ("other", "not by the issuer")):
        holder = issue("Seal", world.root, lists=(f"{world.address}/{path}.crl",))
        count, failures = lists_of(Revocations(clock=FixedClock(NOW)), world, holder)
        assert (count, why in failures) == (0, True), failures
    second = issue(
        "Seal", world.root, lists=("ldap://nobody/root.crl", "http://127.0.0.1:9/root.crl", f"{world.address}/root.crl")
    )
    count, failures = lists_of(Revocations(clock=FixedClock(NOW)), world, second)
    assert (count, "127.0.0.1:9" in failures, "ldap" in failures) == (1, True, False)


def test_a_list_is_fetched_again_when_the_next_is_due_and_a_failure_after_a_pause(world: World) -> None:
    clock = FixedClock(NOW)
    with serving({"/a.crl": revocations(world.root)}) as (address, asked):
        good = issue("Seal", world.root, lists=(f"{address}/a.crl",))
        bad = issue("Seal", world.root, lists=(f"{address}/b.crl",))
        source = Revocations(clock=clock)
        for later, seen in ((timedelta(), 1), (timedelta(days=6), 1), (timedelta(days=2), 2)):
            clock.advance(later)
            lists_of(source, world, good)
            assert asked.count("/a.crl") == seen
        for later, seen in ((timedelta(), 1), (timedelta(seconds=59), 1), (timedelta(seconds=1), 2)):
            clock.advance(later)
            lists_of(source, world, bad)
            assert asked.count("/b.crl") == seen


def test_lists_are_read_from_a_file_or_a_folder_in_pem_or_der_and_only_those_that_matter_are_used(
    world: World, tmp_path: Path
) -> None:
    from cryptography import x509

    der = revocations(world.root)
    pem = x509.load_der_x509_crl(revocations(world.time_root)).public_bytes(Encoding.PEM)
    (tmp_path / "a.crl").write_bytes(der)
    (tmp_path / "b.pem").write_bytes(b"of the authority of times:\n" + pem + pem)
    (tmp_path / "c.crl").write_bytes(revocations(issue("Nobody", ca=True)))
    assert [len(read_lists(tmp_path / name)) for name in ("a.crl", "b.pem", ".")] == [1, 2, 4]
    assert lists_of(Revocations(tmp_path, FixedClock(NOW)), world, world.holder) == (2, "")
    (tmp_path / "d.crl").write_bytes(b"-----BEGIN X509 CRL-----\nnothing")
    with pytest.raises(RevocationsUnusable, match=r"d\.crl holds no list"):
        read_lists(tmp_path)
    count, failures = lists_of(Revocations(tmp_path, FixedClock(NOW)), world, world.holder)
    assert (count, "d.crl" in failures) == (1, True), "what is fetched is there nevertheless"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"seal_pkcs12": None}, "COUNTERSIGN_SEAL_PKCS12_PASSWORD is set, but not COUNTERSIGN_SEAL_PKCS12"),
        ({"seal_pkcs12": "none.p12"}, r"none\.p12 cannot be read"),
        ({"seal_pkcs12_password": "wrong"}, "another password"),
        ({"seal_certificates": None}, "certificate of CN=Root is missing"),
        ({"seal_certificates": "seal.p12"}, "COUNTERSIGN_SEAL_CERTIFICATES: .* no certificates"),
        ({"seal_revocations": "none"}, "none cannot be read"),
        ({"seal_revocations": "seal.p12"}, "no list of revocations"),
        ({"seal_pkcs11_token": "seal"}, "Either COUNTERSIGN_SEAL_PKCS12 or COUNTERSIGN_SEAL_PKCS11_TOKEN"),
        (
            {"seal_pkcs12": None, "seal_pkcs12_password": None, "seal_pkcs11_pin": PASSWORD},
            "SEAL_PKCS11_PIN needs COUNTERSIGN_SEAL_PKCS11_MODULE, COUNTERSIGN_SEAL_PKCS11_TOKEN, COUNTERSIGN_SEAL_PKCS11_LABEL too",
        ),
        ({"tsa_certificates": "none.pem"}, "COUNTERSIGN_TSA_CERTIFICATES"),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, dict) else "",
)
def test_a_setting_that_cannot_be_used_is_told_at_the_start(world: World, changed: dict[str, str | None], why: str) -> None:
    paths = {"seal_pkcs12", "seal_certificates", "seal_revocations", "tsa_certificates"}
    given = {name: world.folder / value if value and name in paths else value for name, value in changed.items()}
    with pytest.raises(InstallationError, match=why) as refused:
        seal_service(world.settings(**{**world.named(), **given}), FixedClock(NOW))
    assert PASSWORD not in str(refused.value)


def test_the_end_of_the_certificate_is_told_a_month_before_and_then_nothing_is_sealed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    ends = world.holder.certificate.not_valid_after_utc
    settings = world.settings(**world.named())
    assert PASSWORD not in repr(settings)

    def warned(clock: Clock) -> tuple[SealService, bool]:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            service = seal_service(settings, clock)
        return service, any("certificate of the seal" in each.message for each in caplog.records)

    assert not warned(FixedClock(ends - timedelta(days=31)))[1]
    service, told = warned(FixedClock(ends - timedelta(days=29)))
    assert told
    with pytest.raises(CannotSeal, match="valid from"):
        asyncio.run(service.seal(plain_pdf(), ends + timedelta(seconds=1)))
