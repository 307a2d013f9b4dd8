"""The heads manifest: one hash that commits to the last entry of every stream of a log.

A map from streams to rows, hashed as a binary tree in which the SHA-256 of a stream's id is the way from the root to its
row. So a stream has one place, and cannot have two rows. docs/ledger-format.md, "The heads manifest", is the format.

The map is kept in nodes, by the hex digits on the way to them: a leaf holds the rows of a part of the tree, a branch the
hashes of its sixteen parts. What is changed or proven are the few nodes on the way to a row, however many rows there are.
Where nodes are kept is the caller's business: `missing` says which ones are needed.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from itertools import groupby
from struct import Struct
from typing import Final, NamedTuple
from uuid import UUID

from domain.canonical import MAX_INTEGER, CanonicalError, parse_exact
from domain.ids import IdError, is_sha256, parse_lower_uuid
from domain.merkle import HASH_BYTES, node_hash

#: The hash of a part of the tree without a row.
EMPTY: Final = bytes(HASH_BYTES)

#: A key has so many bits, so a path cannot be longer.
MAX_PATH_HASHES: Final = 8 * HASH_BYTES

#: A leaf with more rows becomes a branch. More make fewer nodes, and more to hash for each change.
LEAF_ROWS: Final = 32

#: So many levels of nodes are asked for at once: enough for 30 million rows.
LEVELS_AT_ONCE: Final = 6

_MAP_DEPTH: Final = 12
_DIGITS: Final = "0123456789abcdef"
_PART: Final = Struct(">32sQ")
_ROW: Final = Struct(">16sQ32s?")
_LEAF_MARK: Final = b"L"
_BRANCH_MARK: Final = b"B"
_MEMBERS: Final = ("closed", "leaf", "stream", "version")


class HeadsError(ValueError):
    """A row or a proof does not hold, or stored nodes do not fit together; the message says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a stream ends: version (from 1) and leaf hash of its last entry. `closed`: a terminal fact stands in it."""

    stream: UUID
    version: int
    leaf: bytes
    closed: bool


def key_of(stream: UUID) -> bytes:
    """The way to a stream's row: SHA-256 of the 16 bytes of its id, read from the most significant bit on."""
    return sha256(stream.bytes).digest()


def spell_row(head: Head) -> bytes:
    """The row of a stream, in canonical JSON (RFC 8785)."""
    closed = b"true" if head.closed else b"false"
    return b'{"closed":%b,"leaf":"%b","stream":"%b","version":%d}' % (
        closed,
        head.leaf.hex().encode(),
        str(head.stream).encode(),
        head.version,
    )


def parse_row(row: bytes) -> Head:
    """The head that a row spells; raises HeadsError unless `spell_row` gives the same bytes again."""
    try:
        value = parse_exact(row)
        if not isinstance(value, dict) or tuple(value) != _MEMBERS:
            raise HeadsError("a row has exactly the members " + ", ".join(_MEMBERS))
        closed, leaf, stream, version = value.values()
        if type(closed) is not bool or not isinstance(leaf, str) or not isinstance(stream, str):
            raise HeadsError("a member of a row is of another type")
        if type(version) is not int or not 1 <= version <= MAX_INTEGER:
            raise HeadsError("a row's version is not an integer from 1 to 2^53-1")
        if not is_sha256(leaf):
            raise HeadsError("a row's leaf is not 64 lower-case hex digits")
        return Head(parse_lower_uuid(stream), version, bytes.fromhex(leaf), closed)
    except (CanonicalError, IdError) as err:
        raise HeadsError(f"not a row: {err}") from err


def row_hash(row: bytes) -> bytes:
    """The hash of a part of the tree with this one row: SHA-256(0x00 || row)."""
    return sha256(b"\x00" + row).digest()


def verify_row(row: bytes, path: Sequence[bytes], root: bytes) -> Head:
    """The head that the manifest of `root` gives a stream; raises HeadsError if the path does not lead there.

    `path` has the hashes (32 bytes each) beside the way from the row up to the root, the deepest first.
    """
    head = parse_row(row)
    if len(path) > MAX_PATH_HASHES:
        raise HeadsError(f"a path of {len(path)} hashes; a key has {MAX_PATH_HASHES} bits")
    if any(len(each) != HASH_BYTES for each in (*path, root)):
        raise HeadsError("a hash is not 32 bytes long")
    key, reached = key_of(head.stream), row_hash(row)
    for depth, beside in zip(range(len(path) - 1, -1, -1), path, strict=True):
        reached = node_hash(beside, reached) if _bit(key, depth) else node_hash(reached, beside)
    if reached != root:
        raise HeadsError("the path leads to another root")
    return head


def _bit(key: bytes, depth: int) -> int:
    return key[depth >> 3] >> (7 - (depth & 7)) & 1


class Part(NamedTuple):
    """A part of the tree: its hash, and how many rows it has."""

    hash: bytes
    rows: int


NO_PART: Final = Part(EMPTY, 0)


def _join(left: Part, right: Part) -> Part:
    """Of two parts side by side. One row alone has the same hash however high it stands."""
    if not left.rows or not right.rows:
        only = left if left.rows else right
        if only.rows < 2:
            return only
    return Part(node_hash(left.hash, right.hash), left.rows + right.rows)


def _join_all(parts: Sequence[Part]) -> Part:
    """Of a power of two of parts side by side."""
    while len(parts) > 1:
        parts = [_join(parts[index], parts[index + 1]) for index in range(0, len(parts), 2)]
    return parts[0]


class _Placed(NamedTuple):
    """A row by its key, with its hash."""

    key: bytes
    head: Head
    hash: bytes


def _place(head: Head) -> _Placed:
    return _Placed(key_of(head.stream), head, row_hash(spell_row(head)))


def _in_order(rows: Iterable[_Placed]) -> list[_Placed]:
    return sorted(rows, key=lambda row: row.key)


def _split(rows: Sequence[_Placed], depth: int) -> tuple[Sequence[_Placed], Sequence[_Placed]]:
    middle = bisect_left(rows, 1, key=lambda row: _bit(row.key, depth))
    return rows[:middle], rows[middle:]


def _sum(rows: Sequence[_Placed], depth: int) -> Part:
    """Of all the rows below one place, sorted by key. `depth` is that of the place, in bits."""
    if not rows:
        return NO_PART
    if len(rows) == 1:
        return Part(rows[0].hash, 1)
    left, right = _split(rows, depth)
    return _join(_sum(left, depth + 1), _sum(right, depth + 1))


def map_of(heads: Iterable[Head]) -> Part:
    """The whole map of these heads, given in the order of their keys. Holds one in 4,096 of them at a time."""
    parts = [NO_PART] * 2**_MAP_DEPTH
    placed = (_place(head) for head in heads)
    for index, below in groupby(placed, key=lambda row: int.from_bytes(row.key[:2], "big") >> (16 - _MAP_DEPTH)):
        parts[index] = _sum(list(below), _MAP_DEPTH)
    return _join_all(parts)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node with the rows below it, sorted by key."""

    rows: Sequence[_Placed]


@dataclass(frozen=True, slots=True)
class Branch:
    """A node with its sixteen parts."""

    parts: Sequence[Part]


Node = Leaf | Branch
_NOTHING: Final = Leaf(())

#: Nodes as they are stored, by the hex digits on the way to them; None where none is stored.
Nodes = Mapping[str, bytes | None]


def _write(node: Node) -> bytes:
    if isinstance(node, Leaf):
        heads = [row.head for row in node.rows]
        return _LEAF_MARK + b"".join(_ROW.pack(it.stream.bytes, it.version, it.leaf, it.closed) for it in heads)
    return _BRANCH_MARK + b"".join(_PART.pack(*part) for part in node.parts)


def _read(nodes: Nodes, prefix: str) -> Node:
    raw = nodes[prefix]
    if raw is None:
        return _NOTHING
    mark, content = raw[:1], memoryview(raw)[1:]
    if mark == _LEAF_MARK and len(content) % _ROW.size == 0:
        heads = (Head(UUID(bytes=stream), version, leaf, closed) for stream, version, leaf, closed in _ROW.iter_unpack(content))
        return Leaf([_place(head) for head in heads])
    if mark == _BRANCH_MARK and len(content) == len(_DIGITS) * _PART.size:
        return Branch([Part._make(part) for part in _PART.iter_unpack(content)])
    raise HeadsError(f"the stored node {prefix!r} is damaged")


def missing(nodes: Nodes, streams: Iterable[UUID]) -> set[str]:
    """Which nodes have to be loaded before anything can be said of the streams; none once `nodes` has them all."""
    wanted: set[str] = set()
    for digits in {key_of(stream).hex() for stream in streams}:
        length = 0
        while (raw := nodes.get(digits[:length])) is not None and raw[:1] == _BRANCH_MARK:
            length += 1
        if digits[:length] not in nodes:
            wanted.update(digits[:reach] for reach in range(length, min(length + LEVELS_AT_ONCE, len(digits))))
    return wanted


@dataclass(frozen=True, slots=True)
class Update:
    """A changed map: its root, the number of its rows, and the nodes that are to be stored."""

    root: Part
    nodes: Mapping[str, bytes]


def update(nodes: Nodes, root: Part, changes: Collection[Head]) -> Update:
    """The map of `root` with the heads of some streams moved on; `nodes` are all that `missing` names for these.

    A stream that is closed stays so. Raises HeadsError, also when stored nodes do not hash to `root`.
    """
    if not changes:
        return Update(root, {})
    placed = _in_order(_place(head) for head in changes)
    changed: dict[str, bytes] = {}
    return Update(_change(nodes, changed, "", root, placed), changed)


def _change(nodes: Nodes, changed: dict[str, bytes], prefix: str, expected: Part, changes: Sequence[_Placed]) -> Part:
    node = _expect(nodes, prefix, expected)
    if isinstance(node, Leaf):
        rows = {row.key: row for row in node.rows}
        for row in changes:
            rows[row.key] = _moved(rows.get(row.key), row)
        return _keep(changed, prefix, _in_order(rows.values()))
    parts = list(node.parts)
    for digit, below in groupby(changes, key=lambda row: _digit(row.key, len(prefix))):
        parts[digit] = _change(nodes, changed, prefix + _DIGITS[digit], parts[digit], list(below))
    changed[prefix] = _write(Branch(parts))
    return _join_all(parts)


def _moved(old: _Placed | None, new: _Placed) -> _Placed:
    if old is None:
        return new
    if new.head.version <= old.head.version:
        raise HeadsError(f"stream {new.head.stream} goes from version {old.head.version} back to {new.head.version}")
    return _place(replace(new.head, closed=True)) if old.head.closed else new


def _keep(changed: dict[str, bytes], prefix: str, rows: Sequence[_Placed]) -> Part:
    """Stores the rows below a place in one leaf, or in as many as it takes."""
    if len(rows) <= LEAF_ROWS:
        changed[prefix] = _write(Leaf(rows))
        return _sum(rows, 4 * len(prefix))
    parts = [NO_PART] * len(_DIGITS)
    for digit, below in groupby(rows, key=lambda row: _digit(row.key, len(prefix))):
        parts[digit] = _keep(changed, prefix + _DIGITS[digit], list(below))
    changed[prefix] = _write(Branch(parts))
    return _join_all(parts)


def _digit(key: bytes, place: int) -> int:
    return key[place >> 1] & 15 if place & 1 else key[place >> 1] >> 4


def _expect(nodes: Nodes, prefix: str, expected: Part) -> Node:
    """The node, which must hash to what stands above it: nothing is built on a damaged one."""
    node = _read(nodes, prefix)
    found = _sum(node.rows, 4 * len(prefix)) if isinstance(node, Leaf) else _join_all(node.parts)
    if found != expected:
        raise HeadsError(f"the stored node {prefix!r} does not hash to what stands above it")
    return node


class RowProof(NamedTuple):
    """A stream's row, and the hashes beside the way from it to the root, the deepest first (see `verify_row`)."""

    row: bytes
    path: tuple[bytes, ...]


def prove(nodes: Nodes, root: Part, streams: Iterable[UUID]) -> dict[UUID, RowProof]:
    """The rows of those of the streams that have one; `nodes` are all that `missing` names for these.

    Raises HeadsError when stored nodes do not hash to `root`.
    """
    proofs = {}
    read = cache(partial(_expect, nodes))
    for stream in streams:
        proof = _prove(read, "", root, key_of(stream))
        if proof is not None:
            proofs[stream] = proof
    return proofs


def _prove(read: Callable[[str, Part], Node], prefix: str, expected: Part, key: bytes) -> RowProof | None:
    node = read(prefix, expected)
    if isinstance(node, Leaf):
        row = next((row for row in node.rows if row.key == key), None)
        return None if row is None else RowProof(spell_row(row.head), _path_in_leaf(node.rows, key, 4 * len(prefix)))
    digit = _digit(key, len(prefix))
    below = _prove(read, prefix + _DIGITS[digit], node.parts[digit], key) if node.parts[digit].rows else None
    return None if below is None else RowProof(below.row, below.path + _path_in_branch(node.parts, digit))


def _path_in_leaf(rows: Sequence[_Placed], key: bytes, depth: int) -> tuple[bytes, ...]:
    path = []
    while len(rows) > 1:
        left, right = _split(rows, depth)
        rows, beside = (right, left) if _bit(key, depth) else (left, right)
        depth += 1
        path.append(_sum(beside, depth).hash)
    return tuple(reversed(path))


def _path_in_branch(parts: Sequence[Part], index: int) -> tuple[bytes, ...]:
    path = []
    while len(parts) > 1:
        beside = parts[index ^ 1]
        if parts[index].rows + beside.rows > 1:  # else the row stands higher
            path.append(beside.hash)
        parts = [_join(parts[at], parts[at + 1]) for at in range(0, len(parts), 2)]
        index >>= 1
    return tuple(path)
