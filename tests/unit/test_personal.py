"""Commitments to personal data: their formula, and what they do and do not give away."""

from hashlib import sha256
from typing import Any

import pytest

from domain.canonical import CanonicalError, Json
from domain.personal import DOMAIN, Personal, Subject, SubjectKind, commitment, conceal, discloses
from tests.given import TENANT

SALT = bytes(range(32))
ANA = Subject(TENANT, SubjectKind.PERSON, "email:ana@example.com")


def test_a_commitment_is_the_hash_of_the_domain_the_salt_and_the_canonical_value() -> None:
    value: dict[str, Json] = {"b": "é", "a": 1.0}
    expected = sha256(b"countersign/personal/v1\n" + SALT + '{"a":1,"b":"é"}'.encode()).hexdigest()
    assert commitment(value, SALT) == expected
    assert DOMAIN == b"countersign/personal/v1\n"


def test_the_same_value_under_another_salt_cannot_be_recognised() -> None:
    assert commitment("Ana", SALT) != commitment("Ana", bytes(32))


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33)])
def test_a_commitment_is_always_salted_with_32_bytes(salt: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commitment("Ana", salt)


@pytest.mark.parametrize("value", [float("nan"), 2**60, "\ud800", {1: 2}])
def test_a_value_without_a_canonical_form_is_not_committed_to(value: Any) -> None:
    with pytest.raises(CanonicalError):
        commitment(value, SALT)


def test_a_disclosure_opens_its_commitment_and_no_other() -> None:
    concealed = conceal("Ana", SALT, ANA)
    assert concealed.disclosure is not None
    assert concealed.disclosure.subject == ANA
    assert discloses("Ana", SALT, concealed.commitment)
    assert not discloses("Eva", SALT, concealed.commitment)
    assert not discloses("Ana", bytes(32), concealed.commitment)
    assert not discloses(["Ana"], SALT, concealed.commitment)


def test_a_value_cannot_pass_as_part_of_the_salt() -> None:
    """The salt has a fixed length, so no other split of the same bytes opens a commitment."""
    assert commitment(10, SALT) != commitment(0, SALT[:-1] + b"1")


def test_what_is_read_back_from_the_log_equals_what_was_decided() -> None:
    concealed = conceal("Ana", SALT, ANA)
    assert concealed == Personal(concealed.commitment)
    assert hash(concealed) == hash(Personal(concealed.commitment))


def test_a_concealed_value_does_not_show_when_printed() -> None:
    assert "Ana" not in repr(conceal("Ana", SALT, ANA))
    assert "ana@example.com" not in repr(conceal("Ana", SALT, ANA))
