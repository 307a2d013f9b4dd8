"""A time-stamping authority of its own: `openssl ts` behind a small HTTP server, with certificates as a test wants them.

What no real authority would issue is signed with `openssl cms`, over a TSTInfo that `openssl ts` has made.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import Certificate, KeyUsage, ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
POLICY = "1.2.3.4.1"
TST_INFO = "1.2.840.113549.1.9.16.1.4"

_CONFIGURATION = f"""
[tsa]
default_tsa = authority
[authority]
serial = serial
crypto_device = builtin
signer_digest = sha256
default_policy = {POLICY}
digests = sha256, sha512
accuracy = secs:1, millisecs:500
clock_precision_digits = 6
ess_cert_id_alg = sha256
"""

#: What a responder does with a query: the status of its answer, and the answer in pieces.
Behaviour = Callable[[bytes], tuple[int, Iterator[bytes]]]


def require_openssl() -> None:
    """Skips a test where there is no openssl to play the authority, but never where all tests are meant to run."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is not installed (.ci/run installs it)")
        pytest.skip("openssl is not installed: it plays the time-stamping authority")


@dataclass(frozen=True, slots=True)
class Holder:
    """A certificate and its private key."""

    certificate: Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def issue(
    name: str,
    by: Holder | None = None,
    *,
    ca: bool = False,
    purposes: Sequence[ObjectIdentifier] = (TIME_STAMPING,),
    critical: bool = True,
    starts: datetime | None = None,
    ends: datetime | None = None,
    serial: int | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
    lists: Sequence[str] = (),
) -> Holder:
    """A certificate, valid for the year around now unless said otherwise; without `by` it is its own issuer.

    `lists` are the addresses that it gives for its issuer's lists of revocations.
    """
    now = datetime.now(UTC)
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(subject_name=subject, public_key=key.public_key())
        .issuer_name(subject if by is None else by.certificate.subject)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(starts or now - timedelta(days=180))
        .not_valid_after(ends or now + timedelta(days=180))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(_key_usage(ca), critical=True)
    )
    if purposes and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=critical)
    if lists:
        points = [x509.DistributionPoint([x509.UniformResourceIdentifier(each)], None, None, None) for each in lists]
        builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
    return Holder(builder.sign(key if by is None else by.key, hashes.SHA256()), key)


def _key_usage(ca: bool) -> KeyUsage:
    return KeyUsage(not ca, False, False, False, False, ca, ca, False, False)


class TimeStampAuthority:
    """Answers queries and signs tokens. `chain` are certificates that its tokens hold beside the signer's."""

    def __init__(self, folder: Path, signer: Holder, chain: Sequence[Holder] = ()) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.signer = signer
        self._numbers = count()
        (folder / "serial").write_text("01")
        (folder / "ts.cnf").write_text(_CONFIGURATION)
        self._chain = self._write(chain)

    def answer(self, query: bytes) -> bytes:
        """The response (DER) to a query; a rejection if openssl finds fault with it."""
        path, key = self._write((self.signer,)), self._key(self.signer)
        chain = ("-chain", self._chain) if self._chain.stat().st_size else ()
        return self._openssl(
            "ts", "-reply", "-config", "ts.cnf", "-queryfile", self._put(query), "-signer", path, "-inkey", key, *chain
        )

    def sign(
        self, info: bytes, *signers: Holder, names_certificate: bool = True, digest: str = "sha256", others: Sequence[Holder] = ()
    ) -> bytes:
        """A token (DER) over a TSTInfo, whatever the certificates of the signers are for."""
        who = [part for one in signers for part in ("-signer", self._write((one,)), "-inkey", self._key(one))]
        named = ("-cades",) if names_certificate else ()
        more = ("-certfile", self._write(others)) if others else ()
        form = ("-binary", "-nodetach", "-outform", "DER", "-econtent_type", TST_INFO, "-md", digest)
        return self._openssl("cms", "-sign", *form, "-in", self._put(info), *who, *named, *more)

    def _openssl(self, *arguments: str | Path) -> bytes:
        out = self.folder / f"{next(self._numbers)}.out"
        done = subprocess.run(["openssl", *arguments, "-out", out], cwd=self.folder, capture_output=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr.decode()
        return out.read_bytes()

    def _put(self, content: bytes) -> Path:
        path = self.folder / f"{next(self._numbers)}.in"
        path.write_bytes(content)
        return path

    def _write(self, holders: Sequence[Holder]) -> Path:
        return self._put(b"".join(one.certificate.public_bytes(Encoding.PEM) for one in holders))

    def _key(self, holder: Holder) -> Path:
        return self._put(holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


class Responder:
    """An HTTP server that behaves as it is told to; `queries` are those it got."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.queries: list[bytes] = []
        self.url = ""


def faithful(authority: TimeStampAuthority) -> Behaviour:
    return lambda query: (200, iter((authority.answer(query),)))


@contextmanager
def responding(behaviour: Behaviour) -> Iterator[Responder]:
    """Runs a responder on a free port of this machine."""
    responder = Responder(behaviour)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["content-type"] == "application/timestamp-query"
            responder.queries.append(query)
            status, pieces = responder.behaviour(query)
            self.send_response(status)
            self.send_header("content-type", "application/timestamp-reply")
            self.end_headers()
            try:
                for piece in pieces:
                    self.wfile.write(piece)
            except OSError:
                return  # whoever asked has had enough

        def log_message(self, format: str, *arguments: object) -> None:
            """Says nothing: a test's output is for the test."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    responder.url = f"http://127.0.0.1:{server.server_address[1]}/stamp"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield responder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
