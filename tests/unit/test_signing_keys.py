"""Signing keys: RFC 8032's vectors, and files that only their owner reads."""

import os
import stat
from pathlib import Path

import pytest

from domain.note import KeyFormatError, SignatureType, parse_verifier_key
from infrastructure.secrets import SecretError
from infrastructure.signing_keys import from_text, generate, load, load_or_create, public_of, verify_ed25519

NAME = "ledger.example/1"

#: RFC 8032 section 7.1, tests 1 to 3: private key, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_signatures_are_those_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    assert public_of(bytes.fromhex(seed)).hex() == public
    assert verify_ed25519(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))
    assert not verify_ed25519(bytes.fromhex(public), bytes.fromhex(message) + b"x", bytes.fromhex(signature))


def test_whatever_is_no_key_or_no_signature_verifies_nothing() -> None:
    signer = generate(NAME, SignatureType.ED25519)
    signature = signer.sign(b"message")
    assert verify_ed25519(signer.key.public, b"message", signature)
    for public in (b"", bytes(31), bytes(33), b"\xff" * 32):
        assert not verify_ed25519(public, b"message", signature)
    for wrong in (b"", signature[:-1], signature + b"\x00", bytes(64), b"\xff" * 64):
        assert not verify_ed25519(signer.key.public, b"message", wrong)


def test_a_key_file_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    made = load_or_create(path, NAME, SignatureType.ED25519)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["log.key"]
    again = load_or_create(path, NAME, SignatureType.ED25519)
    assert again.key == made.key == load(path).key
    assert again.sign(b"m") == made.sign(b"m")
    assert path.read_text() == f"{made.private_text()}\n"
    assert from_text(made.private_text(), "the setting").key == made.key
    assert parse_verifier_key(str(made.key)) == made.key


def test_every_new_key_is_another() -> None:
    assert generate(NAME, SignatureType.ED25519).key != generate(NAME, SignatureType.ED25519).key


def test_a_key_cannot_have_a_name_that_notes_could_not_hold() -> None:
    with pytest.raises(KeyFormatError):
        generate("two words", SignatureType.ED25519)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_key_file_that_others_could_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "log.key"
    load_or_create(path, NAME, SignatureType.ED25519)
    path.chmod(mode)
    with pytest.raises(SecretError, match="chmod 600"):
        load(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\xff", b"not a key\n", b"x" * 5000, b"PRIVATE+KEY+ledger.example/1+00000000+AQ==\n"],
    ids=["empty", "newline", "not UTF-8", "other", "long", "no key"],
)
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SecretError, match=r"log\.key"):
        load_or_create(path, NAME, SignatureType.ED25519)
    assert path.read_bytes() == content


def test_a_damaged_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    text = load_or_create(path, NAME, SignatureType.ED25519).private_text()
    damaged = text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:]
    path.write_text(damaged)
    with pytest.raises(SecretError) as refused:
        load(path)
    assert damaged[-20:] not in str(refused.value)


def test_a_file_that_is_not_there_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="cannot be read"):
        load(tmp_path / "log.key")


def test_the_key_of_another_name_or_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    load_or_create(path, NAME, SignatureType.ED25519)
    for name, type_ in (("ledger.example/2", SignatureType.ED25519), (NAME, SignatureType.COSIGNATURE)):
        with pytest.raises(SecretError, match=f"key of {NAME}, not that of"):
            load_or_create(path, name, type_)
