"""The readers of notes, checkpoints, proofs, policies and tiles: any bytes give a value or our own error, and a value its bytes again."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.checkpoint import Checkpoint, CheckpointError, format_checkpoint, parse_checkpoint
from domain.merkle import EMPTY_ROOT
from domain.note import (
    KeyFormatError,
    Note,
    NoteError,
    Signature,
    SignatureType,
    VerifierKey,
    format_note,
    open_note,
    parse_note,
    parse_signature,
    parse_signer_key,
    parse_verifier_key,
)
from domain.policy import Group, Log, Policy, PolicyError, Witness, format_policy, open_checkpoint, parse_policy
from domain.proof_text import ProofText, ProofTextError, format_proof, parse_proof
from domain.spelling import SpellingError, from_base64, from_decimal, to_base64
from domain.tiles import Bundle, Tile, TileError, decode_bundle, encode_bundle, parse_path
from infrastructure.signing_keys import public_of, verify_ed25519

hashes = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, 2**63 - 1)
#: What a line may hold: all of Unicode but control characters and surrogates; with what the formats are made of, often.
letters = st.characters(exclude_categories=["Cs"], min_codepoint=0x20) | st.sampled_from("+— \x7f\x85\u2028/=#")
lines = st.text(letters, min_size=1, max_size=20)
names = st.text(letters.filter(lambda each: not each.isspace() and each != "+"), min_size=1, max_size=12)

notes = st.builds(
    Note,
    st.lists(st.just("") | lines, min_size=1, max_size=5).map(lambda each: "".join(f"{line}\n" for line in each)),
    st.lists(
        st.builds(Signature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80)), min_size=1, max_size=4
    ).map(tuple),
)
checkpoints = st.builds(Checkpoint, lines, st.integers(1, 2**63 - 1), hashes, st.lists(lines, max_size=3).map(tuple)) | st.builds(
    Checkpoint, lines, st.just(0), st.just(EMPTY_ROOT)
)
proofs = st.builds(
    ProofText,
    numbers,
    st.lists(hashes, max_size=63).map(tuple),
    st.binary(min_size=1, max_size=200),
    st.none() | st.binary(max_size=50),
)
keys = st.builds(VerifierKey, names, st.sampled_from(SignatureType), hashes)
tiles = st.builds(Tile, st.integers(0, 5), st.integers(0, 2**14), st.integers(1, 256)) | st.builds(
    Bundle, st.integers(0, 2**55 - 2), st.integers(1, 256)
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    octets = st.binary(min_size=1, max_size=8).filter(lambda raw: all(each > 0x20 and each != 0x7F for each in raw))
    words = octets.map(lambda raw: raw.decode("utf-8", "surrogateescape"))
    urls = st.none() | words
    public = (number.to_bytes(32, "big") for number in draw(st.permutations(range(8))))
    key_names = names.filter(lambda name: "\x7f" not in name)  # a note may hold this one, a policy not
    labels = iter(draw(st.lists(words.filter(lambda name: name != "none"), min_size=8, max_size=8, unique=True)))
    logs = tuple(
        Log(VerifierKey(draw(key_names), SignatureType.ED25519, next(public)), draw(urls)) for _ in range(draw(st.integers(0, 3)))
    )
    witnesses = tuple(
        Witness(next(labels), VerifierKey(draw(key_names), SignatureType.COSIGNATURE, next(public)), draw(urls))
        for _ in range(draw(st.integers(0, 4)))
    )
    free = [witness.name for witness in witnesses]
    groups: list[Group] = []
    while free and len(groups) < 4 and draw(st.booleans()):
        count = draw(st.integers(1, len(free)))
        members, free = free[:count], free[count:]
        groups.append(Group(next(labels), draw(st.integers(1, count)), tuple(members)))
        free.append(groups[-1].name)
    known = ["none", *(witness.name for witness in witnesses), *(group.name for group in groups)]
    return Policy(logs, witnesses, tuple(groups), draw(st.sampled_from(known)))


class Format(NamedTuple):
    """One format: how its values are made, written and read, and the only error its reader raises."""

    values: st.SearchStrategy[Any]
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    error: type[Exception]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


FORMATS = {
    "note": Format(notes, format_note, parse_note, NoteError),
    "signature": Format(
        notes.map(lambda note: note.signatures[0]),
        lambda each: _raw(str(each)),
        lambda raw: parse_signature(_text(raw)),
        NoteError,
    ),
    "verifier key": Format(keys, lambda key: _raw(str(key)), lambda raw: parse_verifier_key(_text(raw)), KeyFormatError),
    "checkpoint": Format(
        checkpoints, lambda each: _raw(format_checkpoint(each)), lambda raw: parse_checkpoint(_text(raw)), CheckpointError
    ),
    "proof": Format(proofs, format_proof, parse_proof, ProofTextError),
    "policy": Format(policies(), format_policy, parse_policy, PolicyError),
    "tile path": Format(tiles, lambda tile: _raw(tile.path), lambda raw: parse_path(_text(raw)), TileError),
    "base64": Format(st.binary(), lambda raw: _raw(to_base64(raw)), lambda raw: from_base64(_text(raw)), SpellingError),
    "decimal": Format(numbers, lambda number: _raw(str(number)), lambda raw: from_decimal(_text(raw)), SpellingError),
}
#: Several spellings of one policy are allowed: comments, white space, "any".
ONE_SPELLING = sorted(FORMATS.keys() - {"policy"})


@pytest.mark.parametrize("name", FORMATS)
@given(st.data())
def test_what_is_written_reads_back_as_it_was(name: str, data: st.DataObject) -> None:
    chosen = FORMATS[name]
    value = data.draw(chosen.values)
    assert chosen.read(chosen.write(value)) == value


@st.composite
def near_misses(draw: st.DrawFn, chosen: Format) -> bytes:
    """Something written rightly, with a few of its bytes changed, cut out or doubled."""
    raw = chosen.write(draw(chosen.values))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 12)))
        between = draw(
            st.binary(max_size=4) | st.sampled_from([raw[start:end] * 2, b"\n", b"\n\n", b" ", b"0", b"=", "— ".encode()])
        )
        raw = raw[:start] + between + raw[end:]
    return raw


@pytest.mark.parametrize("name", FORMATS)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_any_bytes_give_a_value_or_our_own_error(name: str, data: st.DataObject) -> None:
    chosen = FORMATS[name]
    raw = data.draw(st.binary(max_size=300) | near_misses(chosen))
    try:
        value = chosen.read(raw)
    except chosen.error:
        return
    assert chosen.read(chosen.write(value)) == value
    if name in ONE_SPELLING:
        assert chosen.write(value) == raw


@given(st.binary(max_size=300) | near_misses(FORMATS["note"]), st.lists(keys, max_size=3))
@example("\n\n— a AAAAAAA=\n".encode(), [])
def test_opening_any_bytes_raises_no_other_error(raw: bytes, known: list[VerifierKey]) -> None:
    with pytest.raises(NoteError):
        open_note(raw, known, verify_ed25519)
    policy = Policy(tuple(Log(key) for key in known), (), (), "none")
    with pytest.raises((NoteError, CheckpointError)):
        open_checkpoint(raw, policy, verify_ed25519)


@given(notes, st.sampled_from(SignatureType))
def test_a_line_in_the_name_of_a_known_key_with_any_bytes_refuses_the_note(note: Note, type: SignatureType) -> None:
    key = VerifierKey(note.signatures[0].name, type, bytes(31) + b"\x01")
    named = Note(note.text, (Signature(key.name, key.id, note.signatures[0].value),))
    with pytest.raises(NoteError):
        open_note(format_note(named), [key], verify_ed25519)


@given(st.binary(max_size=120).map(_text) | names)
def test_any_text_as_a_signer_key_raises_no_other_error(text: str) -> None:
    for attempt in (text, f"PRIVATE+KEY+{text}"):
        with pytest.raises(KeyFormatError):
            parse_signer_key(attempt, public_of)


@given(st.binary(max_size=200), st.integers(1, 256))
def test_any_bytes_as_a_bundle_give_its_entries_or_our_own_error(raw: bytes, width: int) -> None:
    try:
        entries = decode_bundle(raw, width)
    except TileError:
        return
    assert len(entries) == width
    assert encode_bundle(entries) == raw


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_a_bundle_reads_back_as_it_was(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries), len(entries)) == entries
