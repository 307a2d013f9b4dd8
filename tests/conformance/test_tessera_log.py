"""A log written by another implementation (tessera's testdata): signatures, bundles to leaves to tiles to roots, at every size."""

import pytest

from domain.checkpoint import Checkpoint, parse_checkpoint
from domain.entry import leaf_hash
from domain.merkle import (
    CompactRange,
    assemble,
    consistency_plan,
    inclusion_plan,
    needed,
    root_of,
    root_plan,
    verify_consistency,
    verify_inclusion,
)
from domain.note import Note, SignatureInvalid, format_note, open_note, parse_note, parse_verifier_key
from domain.policy import open_checkpoint, parse_policy
from domain.tiles import Tile, bundles, decode_bundle, decode_tile, encode_bundle, encode_tile, read_nodes, tiles, tiles_for
from infrastructure.signing_keys import verify_ed25519
from tests.shared_data import shared

LOG = "vectors/tessera-testlog/testdata/log"
#: From build_log.sh of the same folder, as its SOURCE.txt tells.
VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
ENTRIES = b"one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split(b" ")
SIZES = range(len(ENTRIES) + 1)


def file(path: str) -> bytes:
    return shared(f"{LOG}/{path}").read_bytes()


def checkpoint(size: int) -> Checkpoint:
    opened = open_note(file(f"checkpoint.{size}"), [parse_verifier_key(VKEY)], verify_ed25519)
    return parse_checkpoint(opened.text)


@pytest.mark.parametrize("size", SIZES)
def test_a_checkpoint_is_signed_by_the_log_and_by_no_other_bytes(size: int) -> None:
    raw = file(f"checkpoint.{size}")
    note = parse_note(raw)
    assert format_note(note) == raw
    assert (checkpoint(size).origin, checkpoint(size).size) == ("example.com/log/testdata", size)
    accepted = open_checkpoint(raw, parse_policy(f"log {VKEY}\nquorum none\n".encode()), verify_ed25519)
    assert accepted.checkpoint == checkpoint(size)
    changed = format_note(Note(note.text.replace("testdata", "testdatum"), note.signatures))
    with pytest.raises(SignatureInvalid):
        open_note(changed, [parse_verifier_key(VKEY)], verify_ed25519)


def test_the_latest_checkpoint_is_that_of_all_entries() -> None:
    assert file("checkpoint") == file(f"checkpoint.{len(ENTRIES)}")


@pytest.mark.parametrize("size", SIZES)
def test_bundles_lead_to_leaves_to_tiles_to_the_signed_root(size: int) -> None:
    read = [entry for bundle in bundles(size) for entry in decode_bundle(file(bundle.path), bundle.width)]
    assert read == ENTRIES[:size]
    leaves = [leaf_hash(entry) for entry in read]
    assert [each for tile in tiles(size) for each in decode_tile(file(tile.path), tile.width)] == leaves
    tree = CompactRange()
    tree.extend(leaves)
    assert tree.root() == root_of(leaves) == checkpoint(size).root
    plan = root_plan(size)
    content = {tile: file(tile.path) for tile in tiles_for(needed(plan), size)}
    assert assemble(plan, read_nodes(needed(plan), size, content)) == (checkpoint(size).root,)


@pytest.mark.parametrize("size", SIZES[1:])
def test_what_we_write_for_these_entries_are_the_same_files(size: int) -> None:
    (bundle,), (tile,) = bundles(size), tiles(size)
    assert tile == Tile(0, 0, size)
    assert file(bundle.path) == encode_bundle(ENTRIES[:size])
    assert file(tile.path) == encode_tile([leaf_hash(entry) for entry in ENTRIES[:size]])


@pytest.mark.parametrize("size", SIZES[1:])
def test_proofs_from_the_tiles_hold_under_the_signed_roots(size: int) -> None:
    content = {tile: file(tile.path) for tile in tiles(size)}
    for number in range(1, size + 1):
        plan = inclusion_plan(number - 1, size)
        proof = assemble(plan, read_nodes(needed(plan), size, content))
        verify_inclusion(leaf_hash(ENTRIES[number - 1]), number - 1, size, proof, checkpoint(size).root)
        plan = consistency_plan(number, size)
        proof = assemble(plan, read_nodes(needed(plan), size, content))
        verify_consistency(number, size, proof, checkpoint(number).root, checkpoint(size).root)
