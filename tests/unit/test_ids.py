"""Identifiers: published examples, layouts, and strict reading."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import RFC_4122, UUID

import pytest

from domain.ids import (
    IdError,
    ProcessId,
    event_id,
    is_sha256,
    milliseconds,
    parse_typed_id,
    parse_ulid_id,
    parse_uuid,
    typed_id,
    ulid,
    ulid_id,
    uuid7,
)
from tests.given import NOW, uid

A, B = UUID("0190163d-8694-739b-aea5-966c26f8ad91"), UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")


def test_milliseconds_are_whole_and_rounded_down() -> None:
    assert milliseconds(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert milliseconds(datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC)) == 1_000
    assert milliseconds(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_a_uuid7_is_that_of_rfc_9562_appendix_a_6() -> None:
    at = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    random = (0xCC3 << 64 | 0b01 << 60 | 0x8C4DC0C0C07398F).to_bytes(10, "big")
    assert uuid7(at, random) == UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")


@pytest.mark.parametrize("random", [bytes(10), b"\xff" * 10, bytes(range(10))])
def test_a_uuid7_has_the_layout_of_rfc_9562_section_5_7(random: bytes) -> None:
    value = uuid7(NOW, random)
    assert (value.version, value.variant) == (7, RFC_4122)
    assert value.int >> 80 == milliseconds(NOW)
    kept = int.from_bytes(random, "big")
    assert value.int >> 64 & 0xFFF == kept >> 64 & 0xFFF
    assert value.int & (1 << 62) - 1 == kept & (1 << 62) - 1


def test_a_later_uuid7_sorts_later() -> None:
    later = NOW + timedelta(milliseconds=1)
    assert uuid7(NOW, b"\xff" * 10) < uuid7(later, bytes(10))
    assert str(uuid7(NOW, b"\xff" * 10)) < str(uuid7(later, bytes(10)))


@pytest.mark.parametrize("random", [b"", bytes(9), bytes(11)])
def test_ids_take_ten_random_bytes(random: bytes) -> None:
    for make in (uuid7, ulid):
        with pytest.raises(ValueError, match="ten"):
            make(NOW, random)


ULIDS = {
    # The specification's examples of a time (1469922850259) and of the largest value.
    "01ARZ3NDEKTSV4RRFFQ69G5FAV": (1469922850259, "D6764C61EFB99302BD5B"),
    "7ZZZZZZZZZZZZZZZZZZZZZZZZZ": (2**48 - 1, "FF" * 10),
    "00000000000000000000000000": (0, "00" * 10),
    "0000000001000000000000000Z": (1, "0000000000000000001F"),
}


@pytest.mark.parametrize("text", ULIDS)
def test_a_ulid_is_spelled_as_specified(text: str) -> None:
    time, random = ULIDS[text]
    # A datetime ends in the year 9999, so the number is put together from its two parts instead.
    if time < milliseconds(datetime.max.replace(tzinfo=UTC)):
        assert ulid(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time), bytes.fromhex(random)) == text
    number = 0
    for character in text:
        number = number << 5 | "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    assert number == time << 80 | int(random, 16)


def test_an_event_id_is_the_ulid_of_the_time_and_the_first_80_bits_of_the_leaf() -> None:
    leaf = sha256(b"leaf").digest()
    assert event_id(NOW, leaf) == ulid(NOW, leaf[:10])
    assert event_id(NOW, leaf) != event_id(NOW, sha256(b"another").digest())


@pytest.mark.parametrize("text", [str(A), str(B), str(A).upper(), "00000000-0000-0000-0000-000000000000"])
def test_a_uuid_is_read_in_its_36_characters(text: str) -> None:
    assert str(parse_uuid(text)) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        A.hex,
        f"{{{A}}}",
        f"urn:uuid:{A}",
        f" {A}",
        f"{A}\n",
        str(A)[:-1],
        f"{A}0",
        str(A).replace("-", "_"),
        str(A)[:-1] + "g",
        str(A)[:-1] + "١",
        "0190163d8-694-739b-aea5-966c26f8ad91",
        "0x90163d-8694-739b-aea5-966c26f8ad91",
        "+190163d-8694-739b-aea5-966c26f8ad91",
        "0_90163d-8694-739b-aea5-966c26f8ad91",
    ],
)
def test_no_other_spelling_of_a_uuid_is_read(text: str) -> None:
    with pytest.raises(IdError):
        parse_uuid(text)
    with pytest.raises(IdError):
        ProcessId.parse(f"{text}-{B}")
    with pytest.raises(IdError):
        ProcessId.parse(f"{B}-{text}")


def test_a_process_id_is_two_uuids_joined_by_a_hyphen() -> None:
    process = ProcessId(A, B)
    assert str(process) == f"{A}-{B}"
    assert ProcessId.parse(str(process)) == process


@pytest.mark.parametrize("text", [str(A), f"{A}_{B}", f"{A}{B}", f"{A}--{B}", f"{A}-{B}-", f"{A}-{B.hex}"])
def test_no_other_spelling_of_a_process_id_is_read(text: str) -> None:
    with pytest.raises(IdError):
        ProcessId.parse(text)


def test_a_typed_id_is_a_prefix_and_32_hex_digits() -> None:
    assert typed_id("sgs", uid(255)) == "sgs_" + "0" * 30 + "ff"
    for prefix in ("sgs", "with_underscore"):
        assert parse_typed_id(prefix, typed_id(prefix, A)) == A


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sgs",
        "sgs_",
        A.hex,
        f"sge_{A.hex}",
        f"sgs{A.hex}",
        f"sgs__{A.hex}",
        f"sgs_sgs_{A.hex}",
        f"sgs_{A.hex.upper()}",
        f"sgs_{A}",
        f"sgs_{A.hex[:-1]}",
        f"sgs_{A.hex}0",
        f"sgs_{A.hex}\n",
        f"sgs_{A.hex[:-1]}١",
        f"sgs_0x{A.hex[2:]}",
    ],
)
def test_no_other_spelling_of_a_typed_id_is_read(text: str) -> None:
    with pytest.raises(IdError):
        parse_typed_id("sgs", text)


def test_a_hash_is_64_lower_case_hex_digits() -> None:
    good = sha256(b"").hexdigest()
    assert is_sha256(good)
    for bad in ("", good[:-1], good + "0", good.upper(), good[:-1] + "\n", good + "\n", good[:-1] + "g", "0x" + good[2:]):
        assert not is_sha256(bad)


def test_a_uuid_is_spelled_as_the_ulid_of_its_bits() -> None:
    """The example of TypeID 0.3.0, which spells the same digits in lower case."""
    value = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    assert ulid_id("doc", value) == "doc_01H455VB4PEX5VSKNK084SN02Q"
    for each in (value, A, B, UUID(int=0), UUID(int=2**128 - 1)):
        assert parse_ulid_id("doc", ulid_id("doc", each)) == each


def test_a_uuid7_spelled_as_a_ulid_begins_with_the_ulid_s_time() -> None:
    assert ulid_id("doc", uuid7(NOW, bytes(10)))[4:14] == ulid(NOW, bytes(10))[:10]


ULID = "01H455VB4PEX5VSKNK084SN02Q"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "doc",
        "doc_",
        ULID,
        f"env_{ULID}",
        f"doc{ULID}",
        f"doc_doc_{ULID}",
        f"doc_{ULID.lower()}",
        f"doc_{ULID[:-1]}",
        f"doc_{ULID}0",
        f"doc_{ULID}\n",
        f"doc_8{ULID[1:]}",
        f"doc_{ULID[:-1]}U",
        f"doc_{ULID[:-1]}I",
        f"doc_{ULID[:-1]}\u0661",
        f"doc_{A.hex}",
    ],
)
def test_no_other_spelling_of_a_ulid_is_read(text: str) -> None:
    with pytest.raises(IdError):
        parse_ulid_id("doc", text)
