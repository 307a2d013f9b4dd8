"""Proof texts: one spelling, and nothing else is one."""

from collections.abc import Callable

import pytest

from domain.proof_text import MAX_EXTRA_BYTES, ProofText, ProofTextError, format_proof, parse_proof

HASHES = (bytes(range(32)), bytes(32))
CHECKPOINT = "ledger.example/1\n7\nroot\n\n— ledger.example/1 c2ln\n".encode()
ONE, TWO = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", b"A" * 43 + b"="


def test_a_proof_is_its_header_index_hashes_an_empty_line_and_the_checkpoint_as_it_is() -> None:
    raw = format_proof(ProofText(5, HASHES, CHECKPOINT, b"extra"))
    assert raw == b"c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 5\n" + ONE + b"\n" + TWO + b"\n\n" + CHECKPOINT


@pytest.mark.parametrize(
    "proof",
    [
        ProofText(0, (), CHECKPOINT),
        ProofText(2**63 - 1, HASHES, CHECKPOINT),
        ProofText(1, (bytes(32),) * 63, CHECKPOINT, b"\x00\xff"),
        ProofText(1, (), CHECKPOINT, b""),
        ProofText(1, (), b"\n\n\xff not a checkpoint"),
    ],
)
def test_a_proof_reads_back_as_it_was(proof: ProofText) -> None:
    assert parse_proof(format_proof(proof)) == proof


HEADER = b"c2sp.org/tlog-proof@v1\n"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no empty line"),
        (HEADER + b"index 0\n", "no empty line"),
        (b"\n\n" + CHECKPOINT, "first line"),
        (b"c2sp.org/tlog-proof@v2\nindex 0\n\nx", "first line"),
        (b" " + HEADER + b"index 0\n\nx", "first line"),
        (b"c2sp.org/tlog-proof@v1\r\nindex 0\r\n\n\nx", "first line"),
        (HEADER + b"\n\nx", "no line with the index"),
        (HEADER + ONE + b"\n\nx", "no line with the index"),
        (HEADER + b"Index 0\n\nx", "no line with the index"),
        (HEADER + b"index\n\nx", "no line with the index"),
        (HEADER + b"index 0\nextra ZXh0cmE=\n\nx", "a hash is not base64"),
        (HEADER + b"extra ZXh0cmE=\nextra ZXh0cmE=\nindex 0\n\nx", "no line with the index"),
        (HEADER + b"extra ZXh0cmE=\n\nx", "no line with the index"),
        (HEADER + b"extra !!\nindex 0\n\nx", "the extra data is not base64"),
        (HEADER + b"extra ZXh0cmF=\nindex 0\n\nx", "the extra data is not the one base64"),
        (HEADER + b"extra\nindex 0\n\nx", "no line with the index"),
        (HEADER + b"index 00\n\nx", "the index is not a decimal"),
        (HEADER + b"index -1\n\nx", "the index is not a decimal"),
        (HEADER + b"index  1\n\nx", "the index is not a decimal"),
        (HEADER + b"index 1 \n\nx", "the index is not a decimal"),
        (HEADER + b"index 9223372036854775808\n\nx", "the index is not a decimal"),
        (HEADER + b"index 0\n!!\n\nx", "a hash is not base64"),
        (HEADER + b"index 0\n" + ONE[:-1] + b"\n\nx", "a hash is not base64"),
        (HEADER + b"index 0\n" + ONE[:-2] + b"9=\n\nx", "a hash is not the one base64"),
        (HEADER + b"index 0\nYmFuYW5hcw==\n\nx", "a hash is not 32 bytes"),
        (HEADER + b"index 0\n" + (ONE + b"\n") * 64 + b"\nx", "64 hashes"),
        (HEADER + b"index 0\n\xc3\xa9\n\nx", "not ASCII"),
        (HEADER + b"index 0\n\n", "a checkpoint has 1 to"),
        (HEADER + b"index 0\n\n" + b"x" * 1_000_001, "a checkpoint has 1 to"),
    ],
)
def test_what_is_not_a_proof_is_refused(raw: bytes, says: str) -> None:
    with pytest.raises(ProofTextError, match=says):
        parse_proof(raw)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ProofText(-1, (), CHECKPOINT),
        lambda: ProofText(2**63, (), CHECKPOINT),
        lambda: ProofText(0, (bytes(32),) * 64, CHECKPOINT),
        lambda: ProofText(0, (bytes(31),), CHECKPOINT),
        lambda: ProofText(0, (), b""),
        lambda: ProofText(0, (), CHECKPOINT, bytes(MAX_EXTRA_BYTES + 1)),
    ],
)
def test_a_proof_that_cannot_be_written_is_not_made(make: Callable[[], ProofText]) -> None:
    with pytest.raises(ProofTextError):
        make()
