"""The Merkle tree over the log's leaves: roots, and proofs that need the whole log neither to be made nor to be checked.

RFC 9162 section 2.1, SHA-256. A leaf is hashed by `domain.entry.leaf_hash`, so the tree and the chain hash the
same bytes. Of a tree only perfect subtrees are ever stored (`Node`); whatever else is needed, along the right edge,
is folded from those.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, Self

HASH_BYTES: Final = 32

#: RFC 9162 section 2.1.1: the root of a tree without leaves.
EMPTY_ROOT: Final = sha256(b"").digest()

#: Sizes fit a signed 64-bit integer, as the log's positions do.
MAX_SIZE: Final = 2**63 - 1

#: C2SP tlog-witness, "add-checkpoint": a proof has at most so many hashes. Enough for every tree to 2^62 leaves.
MAX_PROOF_HASHES: Final = 63


class ProofFault(StrEnum):
    """Why a proof proves nothing."""

    NOT_A_HASH = "a hash is not 32 bytes long"
    TOO_MANY_HASHES = "more than 63 hashes"
    SIZE = "not a tree size, or sizes that no such proof can have"
    INDEX = "the leaf's index is not below the tree's size"
    TOO_SHORT = "the proof ends below the root"
    TOO_LONG = "the proof goes on above the root"
    ROOT = "the hashes lead to another root"
    OLD_ROOT = "the hashes lead to another root of the smaller tree"


class ProofError(ValueError):
    """The proof does not hold, or cannot be made. `fault` says why; the message adds the numbers."""

    def __init__(self, fault: ProofFault, detail: str = "") -> None:
        super().__init__(f"{fault.value}: {detail}" if detail else fault.value)
        self.fault = fault


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162 section 2.1.1: SHA-256(0x01 || left || right), 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees that stand side by side, each smaller than the one to its left."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


@dataclass(frozen=True, slots=True)
class Node:
    """The root of a perfect subtree: of the leaves from `index << level` up to `(index + 1) << level`."""

    level: int
    index: int


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring nodes of one level: the first one's index, and their hashes."""

    level: int
    index: int
    hashes: list[bytes]


class CompactRange:
    """A growing tree, of which only the roots of its perfect subtrees are kept: at most 63 hashes.

    `size` is the number of leaves, `hashes` the roots from left to right, one for each bit of the size.
    Not safe for several threads at once.
    """

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """A tree as it was before; raises ProofError unless there are as many hashes of 32 bytes as the size has bits."""
        _check_size(size)
        if len(hashes) != size.bit_count():
            raise ProofError(ProofFault.SIZE, f"{len(hashes)} subtrees for {size} leaves")
        _check_hashes(hashes)
        self._size = size
        self._hashes = list(hashes)

    @property
    def size(self) -> int:
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        return tuple(self._hashes)

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        return fold(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Takes one more leaf hash."""
        _check_hashes((leaf,))
        _check_size(self._size + 1)
        carry, node = self._size, leaf
        while carry & 1:
            node = node_hash(self._hashes.pop(), node)
            carry >>= 1
        self._hashes.append(node)
        self._size += 1

    def extend(self, leaves: Sequence[bytes]) -> list[Run]:
        """Takes many leaf hashes; answers every node that this completed, one run for each level from the leaves up.

        Much faster than one by one. Nothing changes when a leaf is refused.
        """
        _check_hashes(leaves)
        _check_size(self._size + len(leaves))
        runs: list[Run] = []
        kept: list[bytes] = []  # the new right edge, from the leaves up
        level, before, fresh = 0, self._size, list(leaves)
        while fresh:
            runs.append(Run(level, before, fresh))
            row = [self._hashes.pop(), *fresh] if before & 1 else fresh
            if len(row) & 1:
                kept.append(row[-1])
            pairs = iter(row)
            fresh = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
            level += 1
            before >>= 1
        self._hashes += reversed(kept)
        self._size += len(leaves)
        return runs

    def to_bytes(self) -> bytes:
        """The size in eight bytes, big-endian, and the hashes one after the other."""
        return self._size.to_bytes(8, "big") + b"".join(self._hashes)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """The inverse of `to_bytes`; raises ProofError for anything else."""
        if len(raw) < 8 or (len(raw) - 8) % HASH_BYTES:
            raise ProofError(ProofFault.NOT_A_HASH, f"{len(raw)} bytes are not a size and whole hashes")
        hashes = [raw[at : at + HASH_BYTES] for at in range(8, len(raw), HASH_BYTES)]
        return cls(int.from_bytes(raw[:8], "big"), hashes)


#: What a proof is made of: each hash is folded (`fold`) from these stored nodes, left to right.
Plan = tuple[tuple[Node, ...], ...]


def cover(start: int, end: int) -> tuple[Node, ...]:
    """The perfect subtrees that the leaves from `start` up to `end` fall into, where `start` is 0 or that of a subtree."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return tuple(nodes)


def root_plan(size: int) -> Plan:
    """Which nodes the root of a tree of `size` leaves is folded from: the hashes of its `CompactRange`."""
    _check_size(size)
    return (cover(0, size),)


def inclusion_plan(index: int, size: int) -> Plan:
    """RFC 9162 section 2.1.3.1: which nodes prove that leaf `index` is in a tree of `size` leaves.

    Raises ProofError unless 0 <= index < size.
    """
    _check_index(index, size)
    path: list[tuple[Node, ...]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(cover(middle, end))
            end = middle
        else:
            path.append(cover(start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_plan(old: int, new: int) -> Plan:
    """RFC 9162 section 2.1.4.1: which nodes prove that a tree of `new` leaves begins with the one of `old` leaves.

    Raises ProofError unless 0 < old <= new.
    """
    _check_sizes(old, new)
    path: list[tuple[Node, ...]] = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(cover(middle, end))
            end = middle
        else:
            path.append(cover(start, middle))
            start = middle
    if start:  # otherwise the old tree is a subtree of its own, whose root the verifier knows
        path.append(cover(start, end))
    return tuple(reversed(path))


def needed(plan: Plan) -> frozenset[Node]:
    """The nodes to be looked up for a plan."""
    return frozenset(node for nodes in plan for node in nodes)


def assemble(plan: Plan, nodes: Mapping[Node, bytes]) -> tuple[bytes, ...]:
    """The proof's hashes, from the nodes that `needed` names; raises KeyError for one that is not among them."""
    return tuple(fold([nodes[node] for node in part]) for part in plan)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree with these leaf hashes."""
    tree = CompactRange()
    tree.extend(leaves)
    return tree.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The proof for leaf `index` of the tree with these leaf hashes, from the leaf's sibling up."""
    return _from_leaves(inclusion_plan(index, len(leaves)), leaves)


def consistency_proof(leaves: Sequence[bytes], old: int) -> tuple[bytes, ...]:
    """The proof that the tree with these leaf hashes begins with the tree of the first `old` of them."""
    return _from_leaves(consistency_plan(old, len(leaves)), leaves)


def _from_leaves(plan: Plan, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    runs = CompactRange().extend(leaves)
    return assemble(plan, {node: runs[node.level].hashes[node.index] for node in needed(plan)})


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 section 2.1.3.2: raises ProofError unless the tree of `size` leaves with `root` has `leaf` at `index`.

    `size` and `root` must come from one signed checkpoint: the root alone does not fix the size.
    """
    _check_hashes((root,))
    if root_from_inclusion(leaf, index, size, proof) != root:
        raise ProofError(ProofFault.ROOT, f"leaf {index} of {size}")


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to; raises ProofError if it cannot be one for `index` and `size`."""
    _check_index(index, size)
    _check_proof((leaf, *proof), proof)
    # The names fn, sn and r are those of the RFC.
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            raise ProofError(ProofFault.TOO_LONG, f"leaf {index} of {size}, {len(proof)} hashes")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            fn, sn = _climb(fn, sn)
        else:
            r = node_hash(r, p)
        fn >>= 1
        sn >>= 1
    if sn != 0:
        raise ProofError(ProofFault.TOO_SHORT, f"leaf {index} of {size}, {len(proof)} hashes")
    return r


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """RFC 9162 section 2.1.4.2: raises ProofError unless the tree of `new` leaves begins with the one of `old` leaves.

    Sizes are 0 < old <= new. Trees of one size need no hashes, only the same root; from the empty tree there is
    nothing to prove, and no proof.
    """
    _check_sizes(old, new)
    _check_proof((old_root, new_root, *proof), proof)
    if old == new:
        if proof:
            raise ProofError(ProofFault.TOO_LONG, f"{len(proof)} hashes between trees of one size")
        if old_root != new_root:
            raise ProofError(ProofFault.ROOT, f"two roots for {new} leaves")
        return
    if not proof:
        raise ProofError(ProofFault.TOO_SHORT, f"no hashes from {old} to {new}")
    # A tree of 2^k leaves is a subtree of the new one: its root is the proof's first hash, and left out.
    path = (old_root, *proof) if old & (old - 1) == 0 else tuple(proof)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            raise ProofError(ProofFault.TOO_LONG, f"from {old} to {new}, {len(proof)} hashes")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            fn, sn = _climb(fn, sn)
        else:
            sr = node_hash(sr, c)
        fn >>= 1
        sn >>= 1
    if sn != 0:
        raise ProofError(ProofFault.TOO_SHORT, f"from {old} to {new}, {len(proof)} hashes")
    if fr != old_root:
        raise ProofError(ProofFault.OLD_ROOT, f"from {old} to {new}")
    if sr != new_root:
        raise ProofError(ProofFault.ROOT, f"from {old} to {new}")


def _climb(fn: int, sn: int) -> tuple[int, int]:
    """On the right edge, up to where the node is a right child: what is between has no sibling."""
    while fn and not fn & 1:
        fn >>= 1
        sn >>= 1
    return fn, sn


def _split(size: int) -> int:
    """The largest power of two smaller than `size`, which is at least 2 (RFC 9162 section 2.1.1)."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_size(size: int) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise ProofError(ProofFault.SIZE, str(size))


def _check_sizes(old: int, new: int) -> None:
    if not 0 < old <= new <= MAX_SIZE:
        raise ProofError(ProofFault.SIZE, f"from {old} to {new}")


def _check_index(index: int, size: int) -> None:
    _check_size(size)
    if not 0 <= index < size:
        raise ProofError(ProofFault.INDEX, f"leaf {index} of {size}")


def _check_proof(hashes: Iterable[bytes], proof: Sequence[bytes]) -> None:
    if len(proof) > MAX_PROOF_HASHES:
        raise ProofError(ProofFault.TOO_MANY_HASHES, str(len(proof)))
    _check_hashes(hashes)


def _check_hashes(hashes: Iterable[bytes]) -> None:
    for each in hashes:
        if len(each) != HASH_BYTES:
            raise ProofError(ProofFault.NOT_A_HASH, f"{len(each)} bytes")
