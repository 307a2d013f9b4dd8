"""Tiles and bundles: paths, which of them a tree has, what is in them."""

import functools
from collections.abc import Callable

import pytest

from domain.entry import leaf_hash
from domain.merkle import (
    CompactRange,
    Node,
    assemble,
    consistency_plan,
    inclusion_plan,
    needed,
    root_of,
    root_plan,
    verify_consistency,
    verify_inclusion,
)
from domain.tiles import (
    Bundle,
    Place,
    Tile,
    TileError,
    bundles,
    decode_bundle,
    decode_tile,
    edge,
    encode_bundle,
    encode_tile,
    grow,
    parse_path,
    place_of,
    read_nodes,
    tiles,
    tiles_for,
)

SIZE = 70_000
LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(SIZE)]
RUNS = CompactRange().extend(LEAVES)


@functools.cache
def content(size: int) -> dict[Tile, bytes]:
    """Every tile of the tree of the first `size` leaves: at each level the roots of the full tiles below."""
    made: dict[Tile, bytes] = {}
    for tile in tiles(size):
        row = RUNS[8 * tile.level].hashes
        made[tile] = encode_tile(row[256 * tile.index : 256 * tile.index + tile.width])
    return made


# --- paths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(1, 1_234_067), "tile/1/x001/x234/067"),
        (Tile(0, 1_234_067, 5), "tile/0/x001/x234/067.p/5"),
        (Tile(3, 999, 255), "tile/3/999.p/255"),
        (Tile(2, 1000, 1), "tile/2/x001/000.p/1"),
        (Bundle(0), "tile/entries/000"),
        (Bundle(1_000_000, 17), "tile/entries/x001/x000/000.p/17"),
        (Tile(0, 2**55 - 1, 255), "tile/0/x036/x028/x797/x018/x963/967.p/255"),
    ],
)
def test_a_path_is_the_index_in_groups_of_three_digits(tile: Tile | Bundle, path: str) -> None:
    assert tile.path == path
    assert parse_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/067",
        "tile/0/001/067",
        "tile/0/x001",
        "tile/0/x001/x067",
        "tile/00/000",
        "tile/01/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/63/000",
        "tile/7/128.p/1",
        "tile/8/000.p/1",
        "tile/100/000",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/1000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000\n",
        "tile/0/..",
        "tile/0/../0/000",
        "tile/entry/000",
        "tile/entries/0/000",
        "tile/0/٠٠٠",
        "tile/0/x036/x028/x797/x018/x963/968.p/1",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/" + "x999/" * 5000 + "999",
    ],
)
def test_what_is_not_the_one_path_of_a_tile_is_refused(path: str) -> None:
    with pytest.raises(TileError):
        parse_path(path)


# --- which tiles --------------------------------------------------------------------------------------------------


def test_the_specifications_example_has_the_tiles_it_says() -> None:
    """70,000 leaves: 273 full and one of 112 at level 0, one full and one of 17 at level 1, one of 1 at level 2."""
    got = list(tiles(SIZE))
    assert len(got) == 273 + 1 + 1 + 1 + 1
    assert [tile for tile in got if tile.width < 256 or tile.level] == [
        Tile(0, 273, 112),
        Tile(1, 0),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]
    assert list(tiles(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles(0)) == []
    assert list(bundles(0)) == []
    assert list(bundles(513)) == [Bundle(0), Bundle(1), Bundle(2, 1)]


SOME_SIZES = (0, 1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_791, 65_792, SIZE - 1, SIZE)


def test_what_a_growing_tree_adds_is_what_it_has_now_and_had_not_before() -> None:
    for old in SOME_SIZES:
        for new in SOME_SIZES:
            if old <= new:
                added = list(tiles(new, old))
                assert len(added) == len(set(added))
                assert set(added) == set(tiles(new)) - set(tiles(old))
                assert set(bundles(new, old)) == set(bundles(new)) - set(bundles(old))


def test_a_tree_has_just_the_tiles_that_are_listed() -> None:
    """The full ones, and of each level the partial one of just this size."""

    def has_tile(size: int, tile: Tile | Bundle) -> bool:
        size >>= 8 * tile.level if isinstance(tile, Tile) else 0
        end = tile.index * 256 + tile.width
        return end <= size if tile.width == 256 else end == size

    for size in (0, 1, 255, 256, 257, 600):
        every = {Tile(level, index, width) for level in range(3) for index in range(4) for width in range(1, 257)}
        assert {tile for tile in every if has_tile(size, tile)} == set(tiles(size))
        of_entries = {Bundle(index, width) for index in range(4) for width in range(1, 257)}
        assert {bundle for bundle in of_entries if has_tile(size, bundle)} == set(bundles(size))


# --- what is in them ----------------------------------------------------------------------------------------------


def test_a_node_is_the_root_over_some_hashes_of_one_tile() -> None:
    assert place_of(Node(0, 69_999), SIZE) == Place(Tile(0, 273, 112), 111, 1)
    assert place_of(Node(3, 32), SIZE) == Place(Tile(0, 1), 0, 8)
    assert place_of(Node(7, 1), SIZE) == Place(Tile(0, 0), 128, 128)
    assert place_of(Node(8, 0), SIZE) == Place(Tile(1, 0), 0, 1)
    assert place_of(Node(12, 16), SIZE) == Place(Tile(1, 1, 17), 0, 16)
    assert place_of(Node(16, 0), SIZE) == Place(Tile(2, 0, 1), 0, 1)


@pytest.mark.parametrize("node", [Node(0, SIZE), Node(16, 1), Node(17, 0), Node(4, SIZE >> 4), Node(0, -1)], ids=str)
def test_a_node_that_the_tree_does_not_have_is_refused(node: Node) -> None:
    with pytest.raises(TileError):
        place_of(node, SIZE)


def test_every_node_is_read_from_its_tile() -> None:
    for size in (1, 2, 255, 256, 257, 1000, SIZE):
        nodes = {
            Node(level, index): RUNS[level].hashes[index]
            for level in range(17)
            for index in {0, 1, (size >> level) // 2, (size >> level) - 1}
            if 0 <= index < size >> level
        }
        available = content(size)
        fetched = {tile: available[tile] for tile in tiles_for(nodes, size)}
        assert read_nodes(nodes, size, fetched) == nodes


def test_proofs_come_from_a_few_tiles() -> None:
    """Three levels of tiles, and at each at most the leaf's own tile and the right edge."""
    available, root = content(SIZE), root_of(LEAVES)
    for index in (0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, SIZE - 1):
        plan = inclusion_plan(index, SIZE)
        wanted = tiles_for(needed(plan), SIZE)
        assert len(wanted) <= 6
        proof = assemble(plan, read_nodes(needed(plan), SIZE, {tile: available[tile] for tile in wanted}))
        verify_inclusion(LEAVES[index], index, SIZE, proof, root)

        plan = consistency_plan(index + 1, SIZE)
        wanted = tiles_for(needed(plan), SIZE)
        assert len(wanted) <= 6
        proof = assemble(plan, read_nodes(needed(plan), SIZE, {tile: available[tile] for tile in wanted}))
        verify_consistency(index + 1, SIZE, proof, root_of(LEAVES[: index + 1]), root)
    plan = root_plan(SIZE)
    assert assemble(plan, read_nodes(needed(plan), SIZE, available)) == (root,)


def test_a_tile_that_has_become_full_serves_for_the_partial_one() -> None:
    tile, full = Tile(0, 0, 100), encode_tile(LEAVES[:256])
    assert read_nodes([Node(2, 24)], 100, {tile: full}) == {Node(2, 24): RUNS[2].hashes[24]}


def test_the_tiles_of_a_growing_tree_are_made_from_its_partial_tiles_and_the_new_leaves() -> None:
    for old in SOME_SIZES:
        before, small = content(old), CompactRange()
        small.extend(LEAVES[:old])
        kept = {tile: before[tile] for tile in edge(old)}
        assert kept.keys() == {tile for tile in before if tile.width < 256}
        for new in SOME_SIZES:
            if old <= new:
                tree = CompactRange(old, small.hashes)
                added, after = grow(tree.extend(LEAVES[old:new]), kept), content(new)
                assert added == {tile: after[tile] for tile in tiles(new, old)}


def test_a_tree_does_not_grow_from_partial_tiles_that_are_missing_or_cut_short() -> None:
    tree = CompactRange()
    tree.extend(LEAVES[:100])
    runs = tree.extend(LEAVES[100:200])
    for kept in ({}, {Tile(0, 0, 100): encode_tile(LEAVES[:99])}):
        with pytest.raises(TileError):
            grow(runs, kept)


def test_a_tile_that_is_missing_or_cut_short_is_refused() -> None:
    tile = Tile(0, 0, 100)
    with pytest.raises(TileError, match=r"tile/0/000\.p/100 is missing"):
        read_nodes([Node(0, 1)], 100, {})
    with pytest.raises(TileError):
        read_nodes([Node(0, 1)], 100, {tile: encode_tile(LEAVES[:99])})


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: encode_tile([]),
        lambda: encode_tile([bytes(32)] * 257),
        lambda: encode_tile([bytes(31)]),
        lambda: decode_tile(b"", 1),
        lambda: decode_tile(bytes(33), 1),
        lambda: decode_tile(bytes(32), 2),
        lambda: decode_tile(bytes(32 * 257), 256),
        lambda: encode_bundle([]),
        lambda: encode_bundle([b""] * 257),
        lambda: encode_bundle([bytes(65_536)]),
        lambda: decode_bundle(b"", 1),
        lambda: decode_bundle(b"\x00", 1),
        lambda: decode_bundle(b"\x00\x01", 1),
        lambda: decode_bundle(b"\x00\x02a", 1),
        lambda: decode_bundle(b"\x00\x01a", 2),
        lambda: decode_bundle(b"\x00\x01a\x00\x01b", 1),
        lambda: decode_bundle(b"\x00\x01a\x00", 2),
        lambda: decode_bundle(b"\x00\x01a\x00", 1),
    ],
)
def test_what_is_not_the_content_of_a_tile_or_bundle_is_refused(attempt: Callable[[], object]) -> None:
    with pytest.raises(TileError):
        attempt()


def test_tiles_and_bundles_read_back_as_they_were() -> None:
    assert encode_bundle([b"one", b"", b"three"]) == b"\x00\x03one\x00\x00\x00\x05three"
    for entries in ([b""], [b"x" * 65_535, b"y"], [bytes((number,)) for number in range(256)]):
        assert decode_bundle(encode_bundle(entries), len(entries)) == entries
    for width in (1, 255, 256):
        assert decode_tile(encode_tile(LEAVES[:width]), width) == LEAVES[:width]


def test_a_bundles_entries_hash_to_its_tile() -> None:
    entries = [number.to_bytes(4, "big") for number in range(256, 512)]
    bundle = Bundle(1)
    read = decode_bundle(encode_bundle(entries), bundle.width)
    assert [leaf_hash(entry) for entry in read] == LEAVES[bundle.start : bundle.start + bundle.width]
