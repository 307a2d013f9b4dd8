"""The tree and its entries as files that never change: tiles of 256 hashes, bundles of 256 entries.

C2SP tlog-tiles (https://c2sp.org/tlog-tiles). A tile of level L and index N holds the roots of 256 subtrees of
256^L leaves each; level 0 holds the leaf hashes. At the right edge of the tree tiles are partial: fewer hashes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from domain.entry import MAX_ENTRY_BYTES
from domain.merkle import HASH_BYTES, MAX_SIZE, Node, Run, node_hash

#: A full tile's hashes, and a full bundle's entries.
WIDTH: Final = 256
#: The tree's levels that one level of tiles spans: 256 = 2^8.
HEIGHT: Final = 8

_LENGTH_BYTES: Final = 2

_PATH: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?", re.ASCII
)
#: An index below 2^63 has 19 digits, so seven groups of three.
_LONGEST_PATH: Final = len("tile/entries/") + 7 * len("x000/") + len(".p/255")


class TileError(ValueError):
    """Not the path or the content of a tile or a bundle; the message says why."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile: its level, its index within the level, and how many hashes it holds, 1 to 256."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Below the log's prefix: `tile/1/x001/x234/067.p/12`."""
        return f"tile/{self.level}/{_index_path(self.index, self.width)}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The entries under the level 0 tile of the same index: how many it holds, 1 to 256."""

    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Below the log's prefix: `tile/entries/x001/x234/067.p/12`."""
        return f"tile/entries/{_index_path(self.index, self.width)}"

    @property
    def start(self) -> int:
        """The index of its first entry in the log, from 0."""
        return self.index * WIDTH


def _index_path(index: int, width: int) -> str:
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.append(f"x{index % 1000:03}")
    whole = "/".join(reversed(groups))
    return whole if width == WIDTH else f"{whole}.p/{width}"


def parse_path(path: str) -> Tile | Bundle:
    """The tile or bundle of its path, without a slash before it; raises TileError unless `.path` gives `path` again."""
    match = _PATH.fullmatch(path) if len(path) <= _LONGEST_PATH else None
    if match is None:
        raise TileError("not the path of a tile")
    index = int(match["index"].replace("/", "").replace("x", ""))
    width = int(match["width"] or WIDTH)
    tile = Bundle(index, width) if match["level"] == "entries" else Tile(int(match["level"]), index, width)
    if tile.path != path or width > WIDTH:
        raise TileError("not the one path of a tile")
    level = 0 if isinstance(tile, Bundle) else tile.level
    if (index * WIDTH + width) << (HEIGHT * level) > MAX_SIZE:
        raise TileError("a tile beyond every tree")
    return tile


def tiles(size: int, old: int = 0) -> Iterator[Tile]:
    """The tiles of a tree of `size` leaves that differ from those of the tree when it had `old` leaves, level by level.

    With `old` 0 these are all. Full tiles never change; of every level the last one may be partial.
    """
    level = 0
    while size:
        for bundle in bundles(size, old):
            yield Tile(level, bundle.index, bundle.width)
        size //= WIDTH
        old //= WIDTH
        level += 1


def edge(size: int) -> tuple[Tile, ...]:
    """The partial tiles of a tree of `size` leaves: what `grow` needs to go on from there."""
    partial: list[Tile] = []
    level = 0
    while size:
        size, width = divmod(size, WIDTH)
        if width:
            partial.append(Tile(level, size, width))
        level += 1
    return tuple(partial)


def grow(runs: Iterable[Run], content: Mapping[Tile, bytes]) -> dict[Tile, bytes]:
    """The tiles that a batch of leaves adds, full and partial: just those that `tiles` lists for the sizes after and before.

    `runs` is what `CompactRange.extend` answered for the batch; `content` holds the bytes of the tiles that `edge` names
    for the size before. Raises TileError if one of those is missing or cut short.
    """
    made: dict[Tile, bytes] = {}
    for run in runs:
        level, within = divmod(run.level, HEIGHT)
        if within:
            continue
        index, width = divmod(run.index, WIDTH)
        row = [*_content(Tile(level, index, width), content), *run.hashes] if width else run.hashes
        for start in range(0, len(row), WIDTH):
            hashes = row[start : start + WIDTH]
            made[Tile(level, index + start // WIDTH, len(hashes))] = encode_tile(hashes)
    return made


def bundles(size: int, old: int = 0) -> Iterator[Bundle]:
    """The bundles of a log of `size` entries that differ from those of the log when it had `old` entries."""
    full, rest = divmod(size, WIDTH)
    for index in range(old // WIDTH, full):
        yield Bundle(index)
    if rest and size > old:
        yield Bundle(full, rest)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node's hash comes from: it is the root over `count` hashes of `tile`, beginning with number `start`."""

    tile: Tile
    start: int
    count: int


def place_of(node: Node, size: int) -> Place:
    """Which tile of a tree of `size` leaves holds a node; raises TileError if that tree does not have the node."""
    if (node.index + 1) << node.level > size or node.index < 0:
        raise TileError(f"a tree of {size} leaves has no node {node.index} at level {node.level}")
    level, above = divmod(node.level, HEIGHT)
    index, start = divmod(node.index << above, WIDTH)
    width = min(WIDTH, (size >> (HEIGHT * level)) - index * WIDTH)
    return Place(Tile(level, index, width), start, 1 << above)


def tiles_for(nodes: Iterable[Node], size: int) -> frozenset[Tile]:
    """The tiles to be fetched for these nodes of a tree of `size` leaves."""
    return frozenset(place_of(node, size).tile for node in nodes)


def read_nodes(nodes: Iterable[Node], size: int, content: Mapping[Tile, bytes]) -> dict[Node, bytes]:
    """The hashes of these nodes, from the bytes of the tiles that `tiles_for` names.

    A tile's bytes may be longer than asked for: when it is full by now, the full tile serves. Raises TileError
    for one that is missing or cut short.
    """
    hashes: dict[Tile, list[bytes]] = {}
    found: dict[Node, bytes] = {}
    for node in nodes:
        place = place_of(node, size)
        if place.tile not in hashes:
            hashes[place.tile] = _content(place.tile, content)
        # The nodes of a proof do not overlap, so nothing is hashed twice.
        found[node] = _root_over(hashes[place.tile][place.start : place.start + place.count])
    return found


def _content(tile: Tile, content: Mapping[Tile, bytes]) -> list[bytes]:
    if tile not in content:
        raise TileError(f"{tile.path} is missing")
    return decode_tile(content[tile], tile.width)


def _root_over(row: list[bytes]) -> bytes:
    """The root of a perfect subtree, from 1, 2, 4 ... hashes."""
    while len(row) > 1:
        pairs = iter(row)
        row = [node_hash(left, right) for left, right in zip(pairs, pairs, strict=True)]
    return row[0]


def encode_tile(hashes: Sequence[bytes]) -> bytes:
    """A tile's bytes: its hashes one after the other, 1 to 256 of 32 bytes; raises TileError for others."""
    if not 1 <= len(hashes) <= WIDTH or any(len(each) != HASH_BYTES for each in hashes):
        raise TileError("a tile holds 1 to 256 hashes of 32 bytes")
    return b"".join(hashes)


def decode_tile(raw: bytes, width: int) -> list[bytes]:
    """The first `width` hashes of a tile; raises TileError unless it is made of whole hashes, at least `width` of them."""
    if len(raw) % HASH_BYTES or not width * HASH_BYTES <= len(raw) <= WIDTH * HASH_BYTES:
        raise TileError(f"a tile of {len(raw)} bytes, where {width} hashes were asked for")
    return [raw[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """A bundle's bytes: each entry after its length in two bytes, big-endian; raises TileError for what does not fit."""
    if not 1 <= len(entries) <= WIDTH:
        raise TileError(f"a bundle holds 1 to {WIDTH} entries, not {len(entries)}")
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise TileError(f"an entry is longer than {MAX_ENTRY_BYTES} bytes")
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(_LENGTH_BYTES, "big"), entry))


def decode_bundle(raw: bytes, width: int) -> list[bytes]:
    """The entries of a bundle; raises TileError unless there are exactly `width` and nothing after them."""
    entries: list[bytes] = []
    at = 0
    while at < len(raw) and len(entries) < width:
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(raw[at:start], "big")
        if at > len(raw):
            raise TileError(f"the bundle ends within entry {len(entries)}")
        entries.append(raw[start:at])
    if at < len(raw):
        raise TileError(f"the bundle goes on after {width} entries")
    if len(entries) != width:
        raise TileError(f"the bundle holds {len(entries)} entries instead of {width}")
    return entries
