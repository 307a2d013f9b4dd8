"""Signed notes, keys, checkpoints, proofs and a witness's transcript, transcribed from other implementations' tests."""

import json
from base64 import b64decode
from typing import Any

import pytest

from domain.checkpoint import Checkpoint, CheckpointError, parse_checkpoint
from domain.merkle import EMPTY_ROOT, ProofError, verify_consistency
from domain.note import (
    KeyFormatError,
    NoteError,
    NotSigned,
    SignatureInvalid,
    SignatureMisspelt,
    SignatureType,
    VerifierKey,
    format_note,
    open_note,
    parse_note,
    parse_verifier_key,
)
from domain.proof_text import ProofTextError, parse_proof
from domain.spelling import from_base64, to_base64
from infrastructure.signing_keys import verify_ed25519
from tests.shared_data import shared


def transcribed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shared(f"vectors/transcribed/{name}.json").read_text())
    return found


def opens(note: str, vkeys: list[str]) -> bool:
    try:
        open_note(note.encode(), [parse_verifier_key(vkey) for vkey in vkeys], verify_ed25519)
    except NoteError:
        return False
    return True


# --- notes and keys -----------------------------------------------------------------------------------------------


def test_notes_are_valid_or_not_as_published() -> None:
    notes = transcribed("signed_notes")["notes"]
    assert [case["desc"] for case in notes if opens(case["note"], case["vkeys"]) is not case["valid"]] == []
    assert (len(notes), sum(case["valid"] for case in notes)) == (13, 4)


@pytest.mark.parametrize(
    ("why", "error"), [("no verifiable signatures", NotSigned), ("invalid signature for a known key", SignatureInvalid)]
)
def test_a_note_that_is_not_valid_is_refused_for_the_published_reason(why: str, error: type[NoteError]) -> None:
    for case in transcribed("signed_notes")["notes"]:
        if case.get("why") == why:
            with pytest.raises(error):
                open_note(case["note"].encode(), [parse_verifier_key(vkey) for vkey in case["vkeys"]], verify_ed25519)
            return
    pytest.fail(f"no case {why!r}")


def test_valid_notes_are_written_as_they_were_read() -> None:
    for case in transcribed("signed_notes")["notes"]:
        if case["valid"]:
            assert format_note(parse_note(case["note"].encode())) == case["note"].encode()


def test_a_checkpoint_of_the_go_checksum_database_is_read() -> None:
    """Its origin is not its key's name, which signed-note allows; a tlog-policy could not name it."""
    (case,) = [each for each in transcribed("signed_notes")["notes"] if each["desc"].startswith("sum.golang.org")]
    opened = open_note(case["note"].encode(), [parse_verifier_key(case["vkeys"][0])], verify_ed25519)
    root = from_base64("vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=")
    assert parse_checkpoint(opened.text) == Checkpoint("go.sum database tree", 35225469, root)


def test_bad_keys_are_refused() -> None:
    bad = transcribed("signed_notes")["vkeys_bad"]
    for vkey in bad:
        with pytest.raises(KeyFormatError):
            parse_verifier_key(vkey)
    assert len(bad) == 5


def test_a_witness_key_is_read() -> None:
    key = parse_verifier_key(transcribed("signed_notes")["cosignature_ed25519_vkey_ok"])
    assert (key.name, key.type, key.id.hex()) == ("remora.n621.de", SignatureType.COSIGNATURE, "da77ade7")


def test_a_cosignatures_time_is_read() -> None:
    case = transcribed("signed_notes")["cosignature_timestamp"]
    material = b64decode(case["base64"], validate=True)
    asked: list[bytes] = []
    key = VerifierKey("w", SignatureType.COSIGNATURE, bytes(32))

    def record(public: bytes, message: bytes, signature: bytes) -> bool:
        asked.append(message)
        return True

    line = f"— w {to_base64(key.id + material[4:])}"
    opened = open_note(f"text\n\n{line}\n".encode(), [key], record)
    assert [each.time for each in opened.verified] == [case["unix"]]
    assert asked == [f"cosignature/v1\ntime {case['unix']}\ntext\n".encode()]


def test_the_checkpoint_of_c2sp_issue_99_opens_and_the_one_with_another_key_id_does_not() -> None:
    case = transcribed("c2sp_issue_99_checkpoint")
    origin = case["good"].split("\n")[0]
    key = VerifierKey(origin, SignatureType.ED25519, bytes.fromhex(case["public_key_hex"]))
    opened = open_note(case["good"].encode(), [key], verify_ed25519)
    assert (parse_checkpoint(opened.text).origin, parse_checkpoint(opened.text).size) == (origin, 10)
    with pytest.raises(NotSigned):
        open_note(case["bad_key_id"].encode(), [key], verify_ed25519)


# --- checkpoints and proofs ---------------------------------------------------------------------------------------


def with_a_root(text: str) -> str:
    """The published texts have stand-ins for roots; here a root has 32 bytes. What is no base64 is left."""
    lines = text.split("\n")
    if len(lines) > 2:
        try:
            b64decode(lines[2], validate=True)
        except ValueError:
            return text
        if lines[2]:
            lines[2] = to_base64(bytes(32))
    return "\n".join(lines)


def test_checkpoint_lines_are_valid_or_not_as_published() -> None:
    cases = transcribed("checkpoint_and_proof_syntax")["checkpoints"]
    for case in cases:
        if case["valid"]:
            parse_checkpoint(with_a_root(case["text"]))
        else:
            with pytest.raises(CheckpointError):
                parse_checkpoint(with_a_root(case["text"]))
        with pytest.raises(CheckpointError):
            parse_checkpoint(case["text"])
    assert (len(cases), sum(case["valid"] for case in cases)) == (9, 2)


def test_bad_proofs_are_refused() -> None:
    cases = transcribed("checkpoint_and_proof_syntax")["tlog_proofs_bad"]
    for case in cases:
        with pytest.raises(ProofTextError):
            parse_proof(case["text"].encode())
    assert len(cases) == 6


# --- a witness's transcript ---------------------------------------------------------------------------------------


def test_the_notes_and_proofs_of_a_witness_transcript_are_judged_as_the_witness_judged_them() -> None:
    """What add-checkpoint (C2SP tlog-witness) needs of notes, checkpoints and consistency proofs, in its order."""
    case = transcribed("witness_add_checkpoint")
    key = VerifierKey(case["log_origin"], SignatureType.ED25519, bytes.fromhex(case["log_public_key_hex"]))
    size, root = 0, EMPTY_ROOT
    for number, step in enumerate(case["steps"]):
        head, _, note = step["request"].partition("\n\n")
        old, *proof = head.removeprefix("old ").split("\n")
        try:
            checkpoint = parse_checkpoint(open_note(note.encode(), [key], verify_ed25519).text)
        except (NotSigned, SignatureInvalid, SignatureMisspelt):
            assert step["status"] == 403, number
            continue
        if int(old) != size:
            assert step["status"] == 409, number
            continue
        try:
            if size:
                verify_consistency(size, checkpoint.size, [from_base64(each) for each in proof], root, checkpoint.root)
        except ProofError:
            assert step["status"] == 422, number
            continue
        assert step["status"] == 200, number
        size, root = checkpoint.size, checkpoint.root
    assert size == 5
