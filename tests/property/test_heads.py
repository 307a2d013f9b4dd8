"""The heads manifest against the recursion that its format page describes, and its proofs against every change."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.heads import (
    EMPTY,
    LEAF_ROWS,
    MAX_PATH_HASHES,
    NO_PART,
    Head,
    HeadsError,
    Part,
    RowProof,
    key_of,
    map_of,
    missing,
    parse_row,
    prove,
    spell_row,
    update,
    verify_row,
)
from tests.naive_heads import naive, naive_path, row_of


class Map:
    """A map whose nodes are kept in memory, loaded as a database would be asked for them."""

    def __init__(self) -> None:
        self.nodes: dict[str, bytes] = {}
        self.root = NO_PART
        self.loads = 0

    def load(self, streams: Sequence[UUID]) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        while wanted := missing(found, streams):
            self.loads += 1
            found.update({prefix: self.nodes.get(prefix) for prefix in wanted})
        return found

    def take(self, heads: Sequence[Head]) -> Mapping[str, bytes]:
        changed = update(self.load([head.stream for head in heads]), self.root, heads)
        self.nodes.update(changed.nodes)
        self.root = changed.root
        return changed.nodes

    def prove(self, *streams: UUID) -> dict[UUID, RowProof]:
        return prove(self.load(streams), self.root, streams)


def head(number: int, version: int = 1, *, closed: bool = False) -> Head:
    return Head(UUID(int=number), version, sha256(f"{number} {version}".encode()).digest(), closed)


def many(count: int, seed: int = 1) -> list[Head]:
    random = Random(seed)
    return [head(random.getrandbits(128), random.randrange(1, 99), closed=random.random() < 0.5) for _ in range(count)]


HEADS = st.builds(
    Head,
    st.uuids(),
    st.integers(1, 2**53 - 1),
    st.binary(min_size=32, max_size=32),
    st.booleans(),
)


@given(st.lists(HEADS, max_size=12, unique_by=lambda head: head.stream), st.data())
def test_any_map_has_the_root_and_the_paths_of_the_recursion(heads: list[Head], data: st.DataObject) -> None:
    kept = Map()
    cut = data.draw(st.integers(0, len(heads)))
    for portion in (heads[:cut], heads[cut:]):
        kept.take(portion)
    assert kept.root == Part(naive(heads), len(heads)) == map_of(sorted(heads, key=lambda head: key_of(head.stream)))
    for stream, proof in kept.prove(*(head.stream for head in heads)).items():
        assert list(proof.path) == naive_path(heads, stream)
        assert verify_row(proof.row, proof.path, kept.root.hash) == next(it for it in heads if it.stream == stream)


@pytest.mark.parametrize("count", [0, 1, 2, 15, LEAF_ROWS, LEAF_ROWS + 1, 400])
def test_a_map_is_the_same_in_whatever_portions_it_was_filled(count: int) -> None:
    heads = many(count)
    at_once, in_turn = Map(), Map()
    at_once.take(heads)
    for start in range(0, count, 7):
        in_turn.take(heads[start : start + 7])
    assert at_once.root == in_turn.root == Part(naive(heads), count)
    assert at_once.nodes == in_turn.nodes


def test_a_stream_that_goes_on_gets_another_row_and_the_others_keep_theirs() -> None:
    heads = many(300)
    kept = Map()
    kept.take(heads)
    moved = replace(heads[7], version=heads[7].version + 1, leaf=bytes(range(32)))
    kept.take([moved])
    now = [*heads[:7], replace(moved, closed=moved.closed or heads[7].closed), *heads[8:]]
    assert kept.root == Part(naive(now), 300)
    for stream, proof in kept.prove(*(head.stream for head in now[:20])).items():
        assert verify_row(proof.row, proof.path, kept.root.hash).stream == stream


def test_a_closed_stream_stays_closed_and_none_goes_back() -> None:
    kept = Map()
    kept.take([head(1, 3, closed=True), head(2, 3)])
    kept.take([head(1, 4)])
    proof = kept.prove(UUID(int=1))[UUID(int=1)]
    assert parse_row(proof.row) == head(1, 4, closed=True)
    for version in (4, 3):
        with pytest.raises(HeadsError, match="back to"):
            kept.take([head(1, version)])


def test_a_change_touches_only_the_nodes_on_its_way() -> None:
    kept = Map()
    kept.take(many(5_000))
    kept.loads = 0
    touched = kept.take([head(5)])
    assert len(touched) <= 5
    assert sum(len(node) for node in touched.values()) < 4_000
    kept.prove(UUID(int=5))
    assert kept.loads == 2  # once for the change, once for the proof


def test_streams_without_a_row_have_no_proof() -> None:
    kept = Map()
    assert kept.prove(UUID(int=1)) == {}
    kept.take(many(100))
    assert kept.prove(*(UUID(int=number) for number in range(50))) == {}


def test_rows_whose_keys_begin_alike_stand_apart_deep_down() -> None:
    """Found by trying: the keys of these two share their first 34 bits."""
    alike = [head(60_270), head(343_425)]
    kept = Map()
    kept.take(alike)
    assert kept.root.hash == naive(alike)
    proof = kept.prove(alike[0].stream)[alike[0].stream]
    assert list(proof.path) == naive_path(alike, alike[0].stream)
    assert proof.path[1:] == (EMPTY,) * 34


# Proofs


def proven() -> tuple[RowProof, bytes]:
    kept, stream = Map(), UUID(int=5)
    kept.take([*many(100), head(5, 3, closed=True)])
    return kept.prove(stream)[stream], kept.root.hash


def test_no_byte_of_a_proof_can_be_changed() -> None:
    (row, path), root = proven()
    assert verify_row(row, path, root) == head(5, 3, closed=True)
    for place in range(len(row)):
        with pytest.raises(HeadsError):
            verify_row(row[:place] + bytes((row[place] ^ 1,)) + row[place + 1 :], path, root)
    for index, each in enumerate(path):
        with pytest.raises(HeadsError):
            verify_row(row, [*path[:index], bytes((each[0] ^ 1,)) + each[1:], *path[index + 1 :]], root)


def test_a_path_of_another_length_or_order_leads_nowhere() -> None:
    (row, path), root = proven()
    for other in (path[1:], path[:-1], (EMPTY, *path), (*path, EMPTY), tuple(reversed(path)), ()):
        with pytest.raises(HeadsError, match="another root"):
            verify_row(row, other, root)


def test_a_path_is_bounded_and_made_of_hashes() -> None:
    (row, path), root = proven()
    with pytest.raises(HeadsError, match="256 bits"):
        verify_row(row, [EMPTY] * (MAX_PATH_HASHES + 1), root)
    for beside, top in ((path[0] + b"\x00", root), (path[0][:31], root), (path[0], root[:31])):
        with pytest.raises(HeadsError, match="32 bytes"):
            verify_row(row, [beside, *path[1:]], top)


def test_a_row_has_one_spelling() -> None:
    assert spell_row(head(5, 3, closed=True)) == row_of(head(5, 3, closed=True))
    assert parse_row(row_of(head(6, 2**53 - 1))) == head(6, 2**53 - 1)


ROW = spell_row(head(5, 3))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"closed":false', b'"closed":0'),
        (b'"closed":false', b'"closed":null'),
        (b'"closed":false,', b""),
        (b'"closed"', b' "closed"'),
        (b'"version":3', b'"version":0'),
        (b'"version":3', b'"version":3.0'),
        (b'"version":3', b'"version":true'),
        (b'"version":3', b'"version":"3"'),
        (b'"version":3', b'"version":9007199254740992'),
        (b'"version":3', b'"version":3,"wine":1'),
        (b'"leaf":"', b'"leaf":"00'),
        (head(5, 3).leaf.hex().encode(), head(5, 3).leaf.hex().upper().encode()),
        (b'"' + head(5, 3).leaf.hex().encode() + b'"', b"5"),
        (b'"00000000-0000-0000-0000-000000000005"', b"5"),
        (b"00000000-0000-0000-0000-000000000005", b"00000000000000000000000000000005"),
        (b"}", b"}\n"),
        (b"{", b"[{"),
        (ROW, b""),
        (ROW, b"[]"),
        (ROW, b"\xff"),
    ],
)
def test_what_is_no_row_is_refused(old: bytes, new: bytes) -> None:
    assert old in ROW
    with pytest.raises(HeadsError):
        parse_row(ROW.replace(old, new, 1))


# Stored nodes


@pytest.mark.parametrize("place", ["", "5"])
def test_nothing_is_built_or_proven_on_a_damaged_node(place: str) -> None:
    kept = Map()
    heads = many(300)
    kept.take(heads)
    below = next(head for head in heads if key_of(head.stream).hex().startswith(place))
    node = kept.nodes[place]
    damaged: list[bytes] = [b"", node[:-1], node + b"\x00", b"?" + node[1:]]
    damaged += [node[:at] + bytes((node[at] ^ 1,)) + node[at + 1 :] for at in range(0, len(node), 5)]
    for bad in damaged:
        kept.nodes[place] = bad
        with pytest.raises(HeadsError):
            kept.prove(below.stream)
        with pytest.raises(HeadsError):
            kept.take([replace(below, version=below.version + 1)])
    del kept.nodes[place]
    with pytest.raises(HeadsError):
        kept.prove(below.stream)
