"""Signed notes: one spelling, strict reading, and which signatures count."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from domain.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    KeyFormatError,
    Note,
    NoteError,
    NotSigned,
    Signature,
    SignatureInvalid,
    SignatureMisspelt,
    SignatureType,
    SignerKey,
    VerifierKey,
    check_signature,
    cosign_text,
    format_note,
    open_note,
    parse_note,
    parse_signature,
    parse_signer_key,
    parse_verifier_key,
    sign_text,
)
from domain.spelling import to_base64
from infrastructure.signing_keys import SigningKey, public_of, verify_ed25519

TEXT = "ledger.example/1\nsome text\n\nafter an empty line\n"


def key_of(name: str, type: SignatureType = SignatureType.ED25519, seed: int = 1) -> SigningKey:
    private = bytes((seed,)) * 32
    return SigningKey(SignerKey(VerifierKey(name, type, public_of(private)), private))


LOG = key_of("ledger.example/1")
OTHER = key_of("other.example", seed=2)
WITNESS = key_of("witness.example/w1", SignatureType.COSIGNATURE, seed=3)
SIGNED = sign_text(TEXT, LOG)
NOTE = Note(TEXT, (SIGNED, sign_text(TEXT, OTHER), cosign_text(TEXT, WITNESS, 1_679_315_147)))
RAW = format_note(NOTE)
KNOWN = (LOG.key, WITNESS.key)


# --- the format ---------------------------------------------------------------------------------------------------


def test_a_note_is_its_text_an_empty_line_and_its_signature_lines() -> None:
    lines = RAW.decode().split("\n")
    assert lines[:5] == ["ledger.example/1", "some text", "", "after an empty line", ""]
    assert [line.split(" ")[:2] for line in lines[5:8]] == [
        ["—", "ledger.example/1"],
        ["—", "other.example"],
        ["—", "witness.example/w1"],
    ]
    assert lines[8:] == [""]


def test_a_note_reads_back_as_it_was() -> None:
    assert parse_note(RAW) == NOTE
    assert parse_note(format_note(NOTE)) == NOTE


def line(raw: bytes) -> bytes:
    """A note with one signature line, which is `raw`."""
    return b"text\n\n" + raw + b"\n"


GOOD = str(SIGNED).encode()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no empty line"),
        (b"text\n", "no empty line"),
        (b"text\n\n", "no signature"),
        (b"\n" + GOOD + b"\n", "no empty line"),
        (b"text\n" + GOOD + b"\n", "no empty line"),
        (b"text\n\n" + GOOD, "does not end in a newline"),
        (line(GOOD + b"\n"), "no signature"),
        (line(GOOD + b"\nUnexpected line."), "begins with an em dash"),
        (line(b"Unexpected line.\n" + GOOD), "begins with an em dash"),
        (line(b"- name c2lnbmF0dXJl"), "begins with an em dash"),
        (line("—name c2lnbmF0dXJl".encode()), "begins with an em dash"),
        (line("— ".encode()), "a name, a space and a signature"),
        (line("— name".encode()), "a name, a space and a signature"),
        (line("—  c2lnbmF0dXJl".encode()), "name is not empty"),
        (line("— na+me c2lnbmF0dXJl".encode()), "name is not empty"),
        (line("— na\u2003me c2lnbmF0dXJl".encode()), "name is not empty"),
        (line("— na me c2lnbmF0dXJl".encode()), "not base64"),
        (line("— name c2lnbmF0dXJl ".encode()), "not base64"),
        (line("— name c2ln*bmF0dXJl".encode()), "not base64"),
        (line("— name c2lnbmF0dXJ".encode()), "not base64"),
        (line("— name c2lnbmF0dXJlYQ".encode()), "not base64"),
        (line("— name c2lnbmF0dXJlYR==".encode()), "not the one base64 spelling"),
        (line("— name c2lnbmF0_-Jl".encode()), "not base64"),
        (line("— name ".encode()), "nothing beyond a key id"),
        (line("— name AAAAAA==".encode()), "nothing beyond a key id"),
        (b"\x01" + RAW, "control character"),
        (RAW.replace(b"\n", b"\r\n"), "control character"),
        (b"tab\tbed\n\n" + GOOD + b"\n", "control character"),
        (line(GOOD + b"\x00"), "control character"),
        (b"\xff" + RAW, "not UTF-8"),
        (b"\xed\xa0\x80" + RAW, "not UTF-8"),
        (line(b"\n".join([GOOD] * (MAX_SIGNATURES + 1))), "101 signatures"),
        (b"x" * MAX_NOTE_BYTES + RAW, "at most 1000000"),
    ],
)
def test_what_is_not_a_note_is_refused(raw: bytes, says: str) -> None:
    with pytest.raises(NoteError, match=says):
        parse_note(raw)
    with pytest.raises(NoteError, match=says):
        open_note(raw, KNOWN, verify_ed25519)


@pytest.mark.parametrize(
    "note",
    [
        Note("no newline at the end", (SIGNED,)),
        Note("", (SIGNED,)),
        Note("control\x07\n", (SIGNED,)),
        Note("carriage return\r\n", (SIGNED,)),
        Note("lone surrogate \ud800\n", (SIGNED,)),
        Note("text\n", ()),
        Note("text\n", (replace(SIGNED, name="a b"),)),
        Note("text\n", (replace(SIGNED, name=""),)),
        Note("text\n", (replace(SIGNED, name="line\nbreak"),)),
        Note("text\n", (replace(SIGNED, id=b"\x01"),)),
        Note("text\n", (replace(SIGNED, id=SIGNED.id + SIGNED.value[:1], value=SIGNED.value[1:]),)),
        Note("text\n", (replace(SIGNED, value=b""),)),
        Note("text\n", (SIGNED,) * (MAX_SIGNATURES + 1)),
    ],
)
def test_what_could_not_be_read_back_is_not_written(note: Note) -> None:
    with pytest.raises(NoteError):
        format_note(note)


def test_a_second_spelling_of_a_valid_signature_is_told_apart_from_what_is_no_base64() -> None:
    """The last character before the padding has two bits to spare."""
    spelt = str(SIGNED)
    assert spelt.endswith("=")
    second = spelt.rstrip("=")[:-1] + chr(ord(spelt.rstrip("=")[-1]) + 1) + "=" * spelt.count("=")
    with pytest.raises(SignatureMisspelt):
        open_note(f"{TEXT}\n{second}\n".encode(), KNOWN, verify_ed25519)


def test_a_note_of_a_million_bytes_is_taken_and_one_more_is_not() -> None:
    end = b"\n\n" + GOOD + b"\n"
    text = b"x" * (MAX_NOTE_BYTES - len(end))
    assert len(parse_note(text + end).text) == len(text) + 1
    with pytest.raises(NoteError, match="1000001 bytes"):
        parse_note(b"x" + text + end)


def test_a_note_of_a_hundred_signatures_is_taken() -> None:
    """signed-note asks for at least 16."""
    assert len(parse_note(line(b"\n".join([GOOD] * MAX_SIGNATURES))).signatures) == MAX_SIGNATURES


def test_the_last_empty_line_divides_so_a_text_may_look_like_a_note() -> None:
    text = f"outer\n\n{SIGNED}\n"
    raw = format_note(Note(text, (sign_text(text, OTHER),)))
    assert open_note(raw, [OTHER.key], verify_ed25519).text == text
    with pytest.raises(NotSigned):
        open_note(raw, [LOG.key], verify_ed25519)


# --- keys ---------------------------------------------------------------------------------------------------------


def test_a_keys_id_is_that_of_the_specifications_example() -> None:
    key = parse_verifier_key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    assert (key.name, key.type, key.id.hex()) == ("example.com/foo", SignatureType.ED25519, "530d903a")


def test_keys_read_back_as_they_were() -> None:
    for signer in (LOG, WITNESS):
        assert parse_verifier_key(str(signer.key)) == signer.key
        read = parse_signer_key(signer.private_text(), public_of)
        assert (read.verifier, read.private_text()) == (signer.key, signer.private_text())


def test_one_key_under_two_names_or_types_has_two_ids() -> None:
    keys = [key_of(name, type).key for name in ("a", "b") for type in SignatureType]
    assert len({key.public for key in keys}) == 1
    assert len({key.id for key in keys}) == 4


VKEY = str(LOG.key)
NAME, ID, DATA = VKEY.split("+", 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        NAME,
        f"{NAME}+{ID}",
        f"{NAME}+{ID}+",
        f"+{ID}+{DATA}",
        f"na me+{ID}+{DATA}",
        f"\ud800+{ID}+{DATA}",
        f"{NAME}+{ID.upper()}+{DATA}",
        f"{NAME}+0{ID}+{DATA}",
        f"{NAME}+{ID[1:]}+{DATA}",
        f"{NAME}+{'0' * 8}+{DATA}",
        f"other+{ID}+{DATA}",
        f"{NAME}+{ID}+{DATA[:-4]}",
        f"{NAME}+{ID}+{DATA}AAAA",
        f"{NAME}+{ID}+{DATA} ",
        f"{NAME}+{ID}+{DATA}\n",
        f"{NAME}+{ID}+*{DATA[1:]}",
        f"{NAME}+{ID}+C{DATA[1:]}",
        f"{VKEY}+{DATA}",
    ],
)
def test_what_is_not_a_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(KeyFormatError):
        parse_verifier_key(text)


def test_a_key_of_another_type_is_named_as_not_supported() -> None:
    """0x02 is ECDSA, 0x06 an ML-DSA cosignature."""
    for type_ in (0x02, 0x05, 0x06, 0xFF):
        with pytest.raises(KeyFormatError, match=f"unsupported type 0x{type_:02x}"):
            parse_verifier_key(f"{NAME}+{ID}+{to_base64(bytes((type_,)) + LOG.key.public)}")


PRIVATE = LOG.private_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        VKEY,
        PRIVATE[:-4],
        f"{PRIVATE}AAAA",
        PRIVATE.lower(),
        PRIVATE.replace(ID, "00000000"),
        PRIVATE.replace("PRIVATE+KEY+", "PRIVATE+KEY+x"),
        WITNESS.private_text().replace("+BA", "+AQ"),
    ],
)
def test_what_is_not_a_signer_key_is_refused_without_telling_it(text: str) -> None:
    with pytest.raises(KeyFormatError) as refused:
        parse_signer_key(text, public_of)
    assert PRIVATE[-20:] not in str(refused.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VerifierKey("name", SignatureType.ED25519, bytes(31)),
        lambda: VerifierKey("", SignatureType.ED25519, bytes(32)),
        lambda: VerifierKey("a+b", SignatureType.ED25519, bytes(32)),
        lambda: VerifierKey("a\u00a0b", SignatureType.ED25519, bytes(32)),
        lambda: VerifierKey("a\x01b", SignatureType.ED25519, bytes(32)),
        lambda: SignerKey(LOG.key, bytes(31)),
    ],
)
def test_a_key_that_cannot_be_is_not_made(make: Callable[[], object]) -> None:
    with pytest.raises(KeyFormatError):
        make()


def test_a_private_key_is_not_shown() -> None:
    signer = SignerKey(LOG.key, b"\x01" * 32)
    assert repr(signer) == f"SignerKey({VKEY})"
    assert repr(LOG) == f"SigningKey({VKEY})"


# --- signatures ---------------------------------------------------------------------------------------------------


def test_known_keys_are_verified_and_others_are_no_fault() -> None:
    opened = open_note(RAW, KNOWN, verify_ed25519)
    assert opened.text == TEXT
    assert [(each.key, each.time) for each in opened.verified] == [(LOG.key, None), (WITNESS.key, 1_679_315_147)]
    assert [each.name for each in opened.unknown] == ["other.example"]


def test_a_note_without_a_known_key_is_refused() -> None:
    for known in ((), [key_of("ledger.example/1", seed=9).key], [key_of("ledger.example/2").key]):
        with pytest.raises(NotSigned):
            open_note(RAW, known, verify_ed25519)


def with_signature(at: int, signature: Signature) -> bytes:
    signatures = list(NOTE.signatures)
    signatures[at] = signature
    return format_note(Note(TEXT, tuple(signatures)))


def test_a_known_key_that_fails_refuses_the_note_though_others_hold() -> None:
    for at, key in ((0, LOG.key), (2, WITNESS.key)):
        good = NOTE.signatures[at]
        for bit in range(8 * len(good.value)):
            value = (int.from_bytes(good.value, "big") ^ 1 << bit).to_bytes(len(good.value), "big")
            with pytest.raises(SignatureInvalid) as refused:
                open_note(with_signature(at, replace(good, value=value)), KNOWN, verify_ed25519)
            assert refused.value.key == key


@pytest.mark.parametrize("length", [1, 7, 8, 63, 65, 71, 73])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    for at in (0, 2):
        value = (NOTE.signatures[at].value + bytes(2))[:length]
        if value != NOTE.signatures[at].value:
            with pytest.raises(SignatureInvalid):
                open_note(with_signature(at, replace(NOTE.signatures[at], value=value)), KNOWN, verify_ed25519)


def test_every_changed_byte_of_the_text_refuses_the_note() -> None:
    for at in range(len(TEXT)):
        changed = TEXT[:at] + ("#" if TEXT[at] != "#" else "+") + TEXT[at + 1 :]
        if changed.endswith("\n"):
            with pytest.raises(SignatureInvalid):
                open_note(format_note(Note(changed, (SIGNED,))), KNOWN, verify_ed25519)


def test_an_invalid_line_of_an_unknown_key_changes_nothing() -> None:
    raw = with_signature(1, replace(NOTE.signatures[1], value=b"not a signature"))
    assert len(open_note(raw, KNOWN, verify_ed25519).verified) == 2


def test_a_line_that_shares_only_the_name_or_only_the_id_is_unknown() -> None:
    same_name, same_id = replace(SIGNED, id=b"\x00" * 4), replace(SIGNED, name="somebody")
    opened = open_note(format_note(Note(TEXT, (same_name, same_id, SIGNED))), [LOG.key], verify_ed25519)
    assert opened.unknown == (same_name, same_id)


def test_a_key_that_signed_twice_counts_once_and_must_be_valid_twice() -> None:
    earlier, later = cosign_text(TEXT, WITNESS, 1), cosign_text(TEXT, WITNESS, 2)
    opened = open_note(format_note(Note(TEXT, (earlier, later))), KNOWN, verify_ed25519)
    assert [each.time for each in opened.verified] == [1]
    with pytest.raises(SignatureInvalid):
        open_note(
            format_note(Note(TEXT, (earlier, replace(later, value=earlier.value[:8] + later.value[8:])))), KNOWN, verify_ed25519
        )


def test_a_cosignature_is_over_its_time_and_the_text() -> None:
    signature = cosign_text("a\n", WITNESS, 1_679_315_147)
    assert signature.value[:8] == (1_679_315_147).to_bytes(8, "big")
    assert verify_ed25519(WITNESS.key.public, b"cosignature/v1\ntime 1679315147\na\n", signature.value[8:])
    assert check_signature("a\n", signature, WITNESS.key, verify_ed25519).time == 1_679_315_147


def test_a_cosignature_is_no_signature_and_a_signature_no_cosignature() -> None:
    both = key_of("both.example", SignatureType.ED25519), key_of("both.example", SignatureType.COSIGNATURE)
    plain, timed = sign_text(TEXT, both[0]), cosign_text(TEXT, both[1], 0)
    with pytest.raises(SignatureInvalid):
        check_signature(TEXT, replace(timed, id=plain.id), both[0].key, verify_ed25519)
    with pytest.raises(SignatureInvalid):
        check_signature(TEXT, replace(plain, id=timed.id), both[1].key, verify_ed25519)
    with pytest.raises(SignatureInvalid):
        check_signature(TEXT, timed, both[0].key, verify_ed25519)


def test_a_signature_is_checked_against_the_key_that_it_names() -> None:
    for renamed in (replace(SIGNED, name="somebody"), replace(SIGNED, id=b"\x00" * 4)):
        with pytest.raises(SignatureInvalid):
            check_signature(TEXT, renamed, LOG.key, verify_ed25519)


def test_whoever_verifies_is_asked_about_signatures_of_64_bytes_only() -> None:
    asked: list[int] = []

    def believe(public: bytes, message: bytes, signature: bytes) -> bool:
        asked.append(len(signature))
        return True

    for key, extra in ((LOG.key, 0), (WITNESS.key, 8)):
        for length in (1, 8, 63, 65, 200):
            with pytest.raises(SignatureInvalid):
                check_signature(TEXT, Signature(key.name, key.id, bytes(extra + length)), key, believe)
        check_signature(TEXT, Signature(key.name, key.id, bytes(extra + 64)), key, believe)
    assert asked == [64, 64]


def test_a_time_beyond_63_bits_is_refused() -> None:
    time = (2**63).to_bytes(8, "big")
    beyond = replace(NOTE.signatures[2], value=time + WITNESS.sign(b"cosignature/v1\ntime %d\n%b" % (2**63, TEXT.encode())))
    with pytest.raises(SignatureInvalid):
        open_note(with_signature(2, beyond), KNOWN, verify_ed25519)
    for time_ in (-1, 2**63):
        with pytest.raises(NoteError):
            cosign_text(TEXT, WITNESS, time_)
    assert check_signature(TEXT, cosign_text(TEXT, WITNESS, 2**63 - 1), WITNESS.key, verify_ed25519).time == 2**63 - 1


def test_each_type_of_key_signs_only_its_own_way() -> None:
    with pytest.raises(NoteError):
        sign_text(TEXT, WITNESS)
    with pytest.raises(NoteError):
        cosign_text(TEXT, LOG, 0)


@pytest.mark.parametrize("text", ["", "no newline", "bell\x07\n", "lone \udfff\n", "\r\n"])
def test_what_cannot_be_the_text_of_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign_text(text, LOG)
    with pytest.raises(NoteError):
        cosign_text(text, WITNESS, 0)


def test_a_signature_line_reads_back_as_it_was() -> None:
    for signature in NOTE.signatures:
        assert parse_signature(str(signature)) == signature
