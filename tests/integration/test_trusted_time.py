"""Tokens of a real authority (`openssl ts`) are verified, and every other one is refused for its own reason."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import repeat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import decode_timestamp_response

from infrastructure.time_stamp_token import granted, read_response
from infrastructure.trusted_time import (
    Authority,
    CertificatesUnusable,
    Reason,
    StampedTime,
    TimeStampRefused,
    parse_certificates,
    read_certificates,
    request_for,
    verify_response,
    verify_token,
)
from tests.integration.timestamp_authority import (
    POLICY,
    TIME_STAMPING,
    Behaviour,
    Holder,
    TimeStampAuthority,
    faithful,
    issue,
    require_openssl,
    responding,
)

CONTENT = b"countersign.test/ledger\n12\nq7GVYvPLRyhWF6JvS1GMWzqvyIl4uDNIK4RWvmuFUTs=\n"
IMPRINT = sha256(CONTENT).digest()


@dataclass(frozen=True, slots=True)
class World:
    root: Holder
    authority: TimeStampAuthority
    folder: Path

    def info(self, content: bytes = CONTENT) -> bytes:
        """A TSTInfo as the authority makes it."""
        response = self.authority.answer(request_for(content).der)
        # The library's own types leave the method out.
        return bytes(decode_timestamp_response(granted(_token(response))).tst_info.as_bytes())  # type: ignore[attr-defined]

    def verify(self, token: bytes, imprint: bytes = IMPRINT) -> StampedTime:
        return verify_token(token, imprint, (self.root.certificate,))


def _token(response: bytes) -> bytes:
    token = read_response(response)[1]
    assert token is not None
    return token


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    require_openssl()
    folder = tmp_path_factory.mktemp("authority")
    root = issue("Root", ca=True)
    return World(root, TimeStampAuthority(folder / "first", issue("Authority", root)), folder)


def refused(reason: Reason, verify: Callable[[], object]) -> TimeStampRefused:
    with pytest.raises(TimeStampRefused) as refusal:
        verify()
    assert refusal.value.reason is reason, refusal.value
    return refusal.value


def test_a_token_says_when_the_content_existed(world: World) -> None:
    before = datetime.now(UTC)
    request = request_for(CONTENT)
    stamped = verify_response(world.authority.answer(request.der), request, (world.root.certificate,), POLICY)
    assert before - timedelta(seconds=1) < stamped.time < datetime.now(UTC) + timedelta(seconds=1)
    assert stamped.time.microsecond, "the fraction of the second was cut off"
    assert stamped.accuracy == timedelta(seconds=1.5)
    assert (stamped.policy, stamped.signer) == (POLICY, "CN=Authority")
    assert stamped.certificate_ends == world.authority.signer.certificate.not_valid_after_utc
    assert world.verify(stamped.token) == stamped


def test_requests_have_nonces_of_their_own() -> None:
    assert len({request_for(CONTENT).nonce for _ in range(20)}) == 20


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # of certificates that the changes make
def test_no_single_byte_of_a_token_can_be_changed(world: World) -> None:
    token = _token(world.authority.answer(request_for(CONTENT).der))
    world.verify(token)
    for place in range(len(token)):
        for change in (0x01, 0x80):
            changed = bytearray(token)
            changed[place] ^= change
            with pytest.raises(TimeStampRefused):
                world.verify(bytes(changed))


def test_a_token_that_is_cut_off_or_goes_on_is_refused(world: World) -> None:
    token = _token(world.authority.answer(request_for(CONTENT).der))
    for wrong in (b"", token[:1], token[:200], token[:-1], token + b"\0", b"\x30\x80" + token[4:], b"\x30\x84\xff\xff\xff\xff"):
        refused(Reason.MALFORMED, lambda wrong=wrong: world.verify(wrong))  # type: ignore[misc]


@pytest.mark.parametrize("reason", [Reason.IMPRINT, Reason.NONCE, Reason.POLICY, Reason.REFUSED])
def test_an_answer_to_something_else_is_refused(world: World, reason: Reason) -> None:
    request, policy = request_for(CONTENT), POLICY
    query = request.der
    match reason:
        case Reason.IMPRINT:
            query = query.replace(request.imprint, sha256(b"other").digest())
        case Reason.NONCE:
            query = request_for(CONTENT).der
        case Reason.POLICY:
            policy = "1.2.3.4.2"
        case _:
            query = query.replace(bytes.fromhex("608648016503040201"), bytes.fromhex("608648016503040209"))
    assert query != request.der or policy != POLICY
    answer = world.authority.answer(query)
    refused(reason, lambda: verify_response(answer, request, (world.root.certificate,), policy))


def test_a_token_that_was_not_simply_granted_is_refused(world: World) -> None:
    request = request_for(CONTENT)
    response = world.authority.answer(request.der)
    status = response.index(b"\x30\x03\x02\x01\x00") + 4
    for other in (1, 2, 5, 9):
        changed = response[:status] + bytes((other,)) + response[status + 1 :]
        refused(Reason.REFUSED, lambda changed=changed: verify_response(changed, request, (world.root.certificate,)))  # type: ignore[misc]


def test_an_imprint_by_another_hash_is_refused(world: World) -> None:
    request = request_for(CONTENT)
    sha3_256 = bytes.fromhex("608648016503040208")
    info = world.info().replace(bytes.fromhex("608648016503040201"), sha3_256)
    refused(Reason.IMPRINT, lambda: world.verify(world.authority.sign(info, world.authority.signer)))
    assert request.imprint in info


def test_a_token_of_another_authority_is_refused_even_under_the_same_names(world: World) -> None:
    root = issue("Root", ca=True, serial=world.root.certificate.serial_number)
    other = TimeStampAuthority(world.folder / "other", issue("Authority", root))
    token = _token(other.answer(request_for(CONTENT).der))
    refused(Reason.CHAIN, lambda: world.verify(token))
    assert verify_token(token, IMPRINT, (root.certificate,)).signer == "CN=Authority"


@pytest.mark.parametrize(
    "signer",
    [
        {"purposes": ()},
        {"critical": False},
        {"purposes": (TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH)},
        {"purposes": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)},
    ],
    ids=["no use", "not critical", "another use besides", "any use"],
)
def test_a_certificate_that_is_not_for_time_stamping_alone_is_refused(world: World, signer: dict[str, object]) -> None:
    holder = issue("Authority", world.root, **signer)  # type: ignore[arg-type]
    refused(Reason.USAGE, lambda: world.verify(world.authority.sign(world.info(), holder)))


def test_a_certificate_is_valid_at_the_tokens_time_or_never(world: World) -> None:
    old = issue("Authority", world.root, starts=datetime(2020, 1, 1, tzinfo=UTC), ends=datetime(2021, 1, 1, tzinfo=UTC))
    refused(Reason.VALIDITY, lambda: world.verify(world.authority.sign(world.info(), old)))


def test_a_token_outlives_its_certificates(world: World) -> None:
    begin, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
    root = issue("Old root", ca=True, starts=begin, ends=end)
    info = world.info()
    start = info.index(b"\x18") + 2
    length = info[start - 1]
    spelled = b"20200701120000.5Z"
    # The lengths before it become shorter by as much as the time does.
    info = (
        bytes((info[0], info[1] - (length - len(spelled))))
        + info[2 : start - 1]
        + bytes((len(spelled),))
        + spelled
        + info[start + length :]
    )
    token = world.authority.sign(info, issue("Authority", root, starts=begin, ends=end))
    assert verify_token(token, IMPRINT, (root.certificate,)).time == datetime(2020, 7, 1, 12, 0, 0, 500_000, tzinfo=UTC)


def test_a_second_certificate_of_the_same_name_and_number_is_refused(world: World) -> None:
    signer = world.authority.signer
    twin = issue("Authority", world.root, serial=signer.certificate.serial_number)
    info = world.info()
    refused(Reason.SIGNER, lambda: world.verify(world.authority.sign(info, signer, others=(twin,))))
    token = world.authority.sign(info, signer)
    refused(Reason.SIGNER, lambda: verify_token(token, IMPRINT, (world.root.certificate, twin.certificate)))


def test_the_certificate_is_the_one_that_the_signer_named(world: World) -> None:
    """The same key, name and number, certified twice: what the first may say, the second does not."""
    signer = world.authority.signer
    again = issue("Authority", world.root, serial=signer.certificate.serial_number, key=signer.key)
    while len(again.der) != len(signer.der):  # the signatures' lengths vary
        again = issue("Authority", world.root, serial=signer.certificate.serial_number, key=signer.key)
    token = world.authority.sign(world.info(), signer)
    world.verify(token)
    refused(Reason.SIGNER, lambda: world.verify(token.replace(signer.der, again.der)))


def test_a_token_without_its_signers_certificate_is_refused(world: World) -> None:
    request = request_for(CONTENT)
    without = request.der.replace(b"\x01\x01\xff", b"")
    query = bytes((without[0], without[1] - 3)) + without[2:]
    refused(Reason.SIGNER, lambda: verify_response(world.authority.answer(query), request, (world.root.certificate,)))


def test_forms_of_signatures_that_prove_too_little_are_refused(world: World) -> None:
    info, signer = world.info(), world.authority.signer
    refused(Reason.MALFORMED, lambda: world.verify(world.authority.sign(info, signer, names_certificate=False)))
    refused(Reason.MALFORMED, lambda: world.verify(world.authority.sign(info, signer, digest="sha1")))
    refused(Reason.MALFORMED, lambda: world.verify(world.authority.sign(info, signer, issue("Second", world.root))))
    refused(Reason.MALFORMED, lambda: world.verify(world.authority.sign(b"no TSTInfo", signer)))


def test_a_chain_may_be_embedded_in_any_order_and_leads_to_the_root(world: World) -> None:
    """DER wants a set sorted; authorities send certificates in the order of the chain."""
    orders = set()
    for number in range(8):
        middle = issue(f"Middle {number}", world.root, ca=True)
        authority = TimeStampAuthority(world.folder / f"chain {number}", issue("Authority", middle), (middle, world.root))
        received = _token(authority.answer(request_for(CONTENT).der))
        stamped = world.verify(received)
        assert world.verify(stamped.token) == stamped
        orders.add(received == stamped.token)
        if orders == {True, False}:
            break
    assert False in orders, "every chain came in the order of DER, so nothing was shown"


def test_a_certificate_that_may_not_issue_others_is_no_link_of_a_chain(world: World) -> None:
    middle = issue("Middle", world.root, purposes=())
    token = world.authority.sign(world.info(), issue("Authority", middle), others=(middle,))
    refused(Reason.CHAIN, lambda: world.verify(token))


def test_trust_ends_at_a_root(world: World, tmp_path: Path) -> None:
    middle = issue("Middle", world.root, ca=True)
    root, issued = (each.certificate.public_bytes(Encoding.PEM) for each in (world.root, middle))
    path = tmp_path / "trusted.pem"
    path.write_bytes(root + b"a note between them\n" + issued + root)
    anchors = read_certificates(path)
    assert anchors == (world.root.certificate, middle.certificate)
    assert verify_token(world.authority.sign(world.info(), issue("Authority", middle)), IMPRINT, anchors).signer == "CN=Authority"
    for wrong, why in ((b"", "no certificates"), (root[:200], "no certificates"), (issued, "no root")):
        with pytest.raises(CertificatesUnusable, match=why):
            parse_certificates(wrong, "it")
    with pytest.raises(CertificatesUnusable, match="cannot be read: No such file"):
        read_certificates(tmp_path / "none.pem")


def ask(world: World, behaviour: Behaviour) -> StampedTime:
    with responding(behaviour) as responder:
        return asyncio.run(Authority(responder.url, (world.root.certificate,), 0.4, POLICY).stamp(CONTENT))


def test_an_authority_is_asked_over_http(world: World) -> None:
    stamped = ask(world, faithful(world.authority))
    assert world.verify(stamped.token) == stamped


def _drop_by_drop(query: bytes) -> tuple[int, Iterator[bytes]]:
    def drops() -> Iterator[bytes]:
        for drop in repeat(b"0", 20):
            time.sleep(0.1)
            yield drop

    return 200, drops()


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (lambda query: (500, iter((b"out of order",))), Reason.UNREACHABLE),
        (lambda query: (200, iter((b"<html>Sign in first</html>",))), Reason.MALFORMED),
        (lambda query: (200, iter(())), Reason.MALFORMED),
        (lambda query: (200, iter((query,))), Reason.MALFORMED),
        (lambda query: (200, repeat(b"\x30" * 65_536)), Reason.MALFORMED),
        (_drop_by_drop, Reason.UNREACHABLE),
    ],
    ids=["error", "garbage", "nothing", "echo", "endless", "slow"],
)
def test_what_is_no_answer_is_no_time(world: World, behaviour: Behaviour, reason: Reason) -> None:
    started = time.monotonic()
    refused(reason, lambda: ask(world, behaviour))
    assert time.monotonic() - started < 5


def test_an_authority_that_is_not_there_is_unreachable(world: World) -> None:
    with responding(faithful(world.authority)) as responder:
        url = responder.url
    refused(Reason.UNREACHABLE, lambda: asyncio.run(Authority(url, (world.root.certificate,), 2).stamp(CONTENT)))
