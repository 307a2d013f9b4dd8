"""RFC 9162 section 2.1 as it is written there, recursively over all leaves: slow, and easy to compare with the text."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

#: Enough for trees of three full levels and an edge.
MOST = 130
LEAVES = tuple(sha256(b"\x00" + bytes((number,))).digest() for number in range(MOST + 1))


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    k = 1
    while 2 * k < size:
        k *= 2
    return k


@cache
def root(start: int, end: int) -> bytes:
    """MTH(D[start:end]) over `LEAVES`, section 2.1.1."""
    if start == end:
        return sha256().digest()
    if end - start == 1:
        return LEAVES[start]
    k = split(end - start)
    return node(root(start, start + k), root(start + k, end))


def inclusion(index: int, start: int, end: int) -> list[bytes]:
    """PATH(index, D[start:end]), section 2.1.3.1."""
    if end - start == 1:
        return []
    k = split(end - start)
    if index < k:
        return [*inclusion(index, start, start + k), root(start + k, end)]
    return [*inclusion(index - k, start + k, end), root(start, start + k)]


def consistency(old: int, start: int, end: int, *, whole: bool = True) -> list[bytes]:
    """SUBPROOF(old, D[start:end], whole), section 2.1.4.1."""
    if old == end - start:
        return [] if whole else [root(start, end)]
    k = split(end - start)
    if old <= k:
        return [*consistency(old, start, start + k, whole=whole), root(start + k, end)]
    return [*consistency(old - k, start + k, end, whole=False), root(start, start + k)]


def root_by(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to, undoing PATH from the top; None where it is too short or too long."""
    if size == 1:
        return None if proof else leaf
    if not proof:
        return None
    k = split(size)
    below = root_by(leaf, index, k, proof[:-1]) if index < k else root_by(leaf, index - k, size - k, proof[:-1])
    if below is None:
        return None
    return node(below, proof[-1]) if index < k else node(proof[-1], below)


def roots_by(old: int, new: int, proof: Sequence[bytes], known: bytes | None) -> tuple[bytes, bytes] | None:
    """Both roots that a consistency proof leads to, undoing SUBPROOF from the top; `known` is the old tree's root."""
    if old == new:
        if known is None:
            return (proof[0], proof[0]) if len(proof) == 1 else None
        return None if proof else (known, known)
    if not proof:
        return None
    k = split(new)
    below = roots_by(old, k, proof[:-1], known) if old <= k else roots_by(old - k, new - k, proof[:-1], None)
    if below is None:
        return None
    if old <= k:
        return below[0], node(below[1], proof[-1])
    return node(proof[-1], below[0]), node(proof[-1], below[1])
