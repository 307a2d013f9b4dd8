"""Checkpoints: one text for each, and nothing else is one."""

from collections.abc import Callable

import pytest

from domain.checkpoint import Checkpoint, CheckpointError, format_checkpoint, parse_checkpoint
from domain.merkle import EMPTY_ROOT

ROOT = bytes(range(32))
ROOT_TEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
EMPTY_TEXT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_a_checkpoint_is_three_lines() -> None:
    assert format_checkpoint(Checkpoint("ledger.example/1", 20852163, ROOT)) == f"ledger.example/1\n20852163\n{ROOT_TEXT}\n"


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("ledger.example/1", 1, ROOT),
        Checkpoint("o", 0, EMPTY_ROOT),
        Checkpoint("go.sum database tree", 2**63 - 1, ROOT),
        Checkpoint("è — origin", 7, ROOT, ("one", " two ", "— three")),
    ],
)
def test_a_checkpoint_reads_back_as_it_was(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "does not end in a newline"),
        ("\n", "fewer than three lines"),
        ("o\n", "fewer than three lines"),
        ("o\n1\n", "fewer than three lines"),
        (f"o\n1\n{ROOT_TEXT}", "does not end in a newline"),
        (f"\n1\n{ROOT_TEXT}\n", "the origin is empty"),
        (f"o\x00\n1\n{ROOT_TEXT}\n", "the origin holds a control character"),
        (f"o\r\n1\r\n{ROOT_TEXT}\r\n", "the size is not a decimal"),
        (f"o\ud800\n1\n{ROOT_TEXT}\n", "the origin holds a lone surrogate"),
        (f"o\n\n{ROOT_TEXT}\n", "the size is not a decimal"),
        (f"o\n01\n{ROOT_TEXT}\n", "the size is not a decimal"),
        (f"o\n00\n{EMPTY_TEXT}\n", "the size is not a decimal"),
        (f"o\n+1\n{ROOT_TEXT}\n", "the size is not a decimal"),
        (f"o\n-1\n{ROOT_TEXT}\n", "the size is not a decimal"),
        (f"o\n1 \n{ROOT_TEXT}\n", "the size is not a decimal"),
        (f"o\n٣\n{ROOT_TEXT}\n", "the size is not a decimal"),
        (f"o\n{2**63}\n{ROOT_TEXT}\n", "the size is not a decimal"),
        (f"o\n1{'0' * 5000}\n{ROOT_TEXT}\n", "the size is not a decimal"),
        ("o\n1\n\n", "the root has 0 bytes"),
        ("o\n1\nYmFuYW5hcw==\n", "the root has 7 bytes"),
        (f"o\n1\n{ROOT_TEXT[:-1]}\n", "the root is not base64"),
        (f"o\n1\n{ROOT_TEXT[:-2]}9=\n", "the root is not the one base64"),
        (f"o\n1\n{ROOT_TEXT} \n", "the root is not base64"),
        (f"o\n0\n{ROOT_TEXT}\n", "the size is 0, but"),
        (f"o\n1\n{ROOT_TEXT}\n\n", "an extension line is empty"),
        (f"o\n1\n{ROOT_TEXT}\nx\n\ny\n", "an extension line is empty"),
        (f"o\n1\n{ROOT_TEXT}\n\x1b[2J\n", "an extension line holds a control character"),
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str, says: str) -> None:
    with pytest.raises(CheckpointError, match=says):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Checkpoint("", 1, ROOT),
        lambda: Checkpoint("two\nlines", 1, ROOT),
        lambda: Checkpoint("o", -1, ROOT),
        lambda: Checkpoint("o", 2**63, ROOT),
        lambda: Checkpoint("o", 0, ROOT),
        lambda: Checkpoint("o", 1, ROOT[:-1]),
        lambda: Checkpoint("o", 1, ROOT, ("",)),
        lambda: Checkpoint("o", 1, ROOT, ("two\nlines",)),
        lambda: Checkpoint("o", 1, ROOT, ("lone \udc80",)),
    ],
)
def test_a_checkpoint_that_cannot_be_written_is_not_made(make: Callable[[], Checkpoint]) -> None:
    with pytest.raises(CheckpointError):
        make()
