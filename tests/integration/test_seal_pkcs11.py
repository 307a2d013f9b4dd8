"""A key that never leaves its token seals as one in a file does; SoftHSM plays the token."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import Certificate

from infrastructure.clock import FixedClock
from infrastructure.installation import InstallationError
from infrastructure.pdf_seal.credentials import KeyUnusable, SealKey, checked, signs_for
from infrastructure.seal_service import seal_service
from infrastructure.settings import Settings
from tests.integration.timestamp_authority import Holder, issue
from tests.outside_verifiers import PASSED, check_with_other_tools
from tests.seal_world import NOW, plain_pdf

pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")

from infrastructure.pdf_seal.pkcs11_key import KeyPlace, Pkcs11Key, from_pkcs11  # noqa: E402 (not without the library)

_LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so")
PIN = "714236"


@dataclass(frozen=True, slots=True)
class Token:
    """A token `seal` with the keys `ec` and `rsa`, and a PEM file with their certificates and the root."""

    module: Path
    certificates: Path
    root: Holder
    held: tuple[Certificate, ...]

    def place(self, label: str, *, token: str = "seal", pin: str = PIN) -> KeyPlace:
        return KeyPlace(self.module, token, label, pin)

    def settings(self, data: Path, **changed: object) -> Settings:
        named = {"seal_pkcs11_token": "seal", "seal_pkcs11_label": "ec", "seal_pkcs11_pin": PIN}
        places = {"seal_pkcs11_module": self.module, "seal_certificates": self.certificates}
        return Settings.model_validate({"data": data, **named, **places, **changed})


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    found = [each for each in _LIBRARIES if Path(each).exists()]
    if not found or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed: it plays the token with the key")
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")  # read by the library when it is loaded
    _softhsm("--init-token", "--free", "--label", "seal", "--pin", PIN, "--so-pin", "000000")
    root, rsa_key = issue("Root", ca=True), rsa.generate_private_key(65537, 2048)
    of_curve = issue("Seal of a curve", root, purposes=())
    of_rsa = issue("Seal of RSA", root, purposes=(), key=rsa_key)  # type: ignore[arg-type]
    keys: tuple[SealKey, ...] = (of_curve.key, rsa_key)
    for number, (label, key) in enumerate(zip(("ec", "rsa"), keys, strict=True)):
        file = folder / f"{label}.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _softhsm("--import", str(file), "--token", "seal", "--label", label, "--id", f"0{number}", "--pin", PIN)
    held = (root.certificate, of_rsa.certificate, of_curve.certificate)
    (folder / "certificates.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in held))
    yield Token(Path(found[0]), folder / "certificates.pem", root, held)
    pkcs11.unload(found[0])
    del os.environ["SOFTHSM2_CONF"]


def _softhsm(*arguments: str) -> None:
    done = subprocess.run(["softhsm2-util", *arguments], capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr.decode()


def test_a_key_in_a_token_seals_what_everybody_verifies(token: Token, tmp_path: Path) -> None:
    settings = token.settings(tmp_path)
    service = seal_service(settings, FixedClock(NOW))
    assert service.describe().startswith("Seal of a curve, until ")
    made = asyncio.run(service.seal(plain_pdf(), NOW))
    assert set(check_with_other_tools(made.content, (token.root.certificate,), ()).values()) == {PASSED}
    assert list(tmp_path.iterdir()) == [], "nothing is made for development"
    assert PIN not in repr(settings) + repr(token.place("ec")) + service.describe()


def test_of_several_certificates_that_of_the_key_is_taken(token: Token) -> None:
    signer = from_pkcs11(token.place("rsa"), token.held)
    assert (signer.certificate, signer.chain) == (token.held[1], (token.root.certificate,))
    assert signer.is_rsa
    assert checked(signer, "the key") is signer


def test_a_token_that_was_away_is_logged_in_to_again(token: Token) -> None:
    key = Pkcs11Key(token.place("ec"))
    assert signs_for(key.sign, token.held[2])
    pkcs11.lib(str(token.module)).reinitialize()
    assert signs_for(key.sign, token.held[2])


def test_two_keys_of_a_token_are_used_at_once(token: Token) -> None:
    first, second = (Pkcs11Key(token.place(label)) for label in ("ec", "rsa"))
    assert signs_for(first.sign, token.held[2])
    assert signs_for(second.sign, token.held[1])
    assert signs_for(first.sign, token.held[2])


def test_a_wrong_pin_is_tried_once_for_a_token_would_lock_itself(token: Token) -> None:
    pkcs11.lib(str(token.module)).reinitialize()  # whoever is logged in needs no PIN
    wrong = Pkcs11Key(token.place("ec", pin="999999"))
    for _ in range(12):
        with pytest.raises(KeyUnusable, match="PinIncorrect") as refused:
            wrong.sign(b"")
        assert "999999" not in str(refused.value)
    assert signs_for(Pkcs11Key(token.place("ec")).sign, token.held[2])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"seal_pkcs11_module": "/none.so"}, r"cannot be used: .*none\.so"),
        ({"seal_pkcs11_token": "other"}, "NoSuchToken"),
        ({"seal_pkcs11_label": "other"}, "NoSuchKey"),
        ({"seal_certificates": None}, "needs COUNTERSIGN_SEAL_CERTIFICATES too"),
        ({"seal_pkcs11_pin": None}, "needs COUNTERSIGN_SEAL_PKCS11_PIN too"),
    ],
    ids=("module", "token", "label", "certificates", "pin"),
)
def test_what_names_no_key_is_told_at_the_start(token: Token, tmp_path: Path, changed: dict[str, object], why: str) -> None:
    with pytest.raises(InstallationError, match=why):
        seal_service(token.settings(tmp_path, **changed), FixedClock(NOW))


def test_a_key_without_its_certificate_is_told_at_the_start(token: Token, tmp_path: Path) -> None:
    only_root = tmp_path / "root.pem"
    only_root.write_bytes(token.root.certificate.public_bytes(Encoding.PEM))
    with pytest.raises(InstallationError, match="not that of any certificate"):
        seal_service(token.settings(tmp_path, seal_certificates=only_root), FixedClock(NOW))
