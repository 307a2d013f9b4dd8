"""The heads manifest as docs/ledger-format.md describes it, recursively over all rows: slow, and easy to compare with the text."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from uuid import UUID

from domain.canonical import Json, canonical_exact
from domain.heads import Head


def row_of(head: Head) -> bytes:
    members: dict[str, Json] = {
        "closed": head.closed,
        "leaf": head.leaf.hex(),
        "stream": str(head.stream),
        "version": head.version,
    }
    return canonical_exact(members)


@cache
def bits(stream: UUID) -> str:
    return "".join(f"{byte:08b}" for byte in sha256(stream.bytes).digest())


def naive(heads: Sequence[Head], way: str = "") -> bytes:
    """The root of a map of these heads, or of the part of it below `way`."""
    below = [head for head in heads if bits(head.stream).startswith(way)]
    if not below:
        return bytes(32)
    if len(below) == 1:
        return sha256(b"\x00" + row_of(below[0])).digest()
    return sha256(b"\x01" + naive(below, way + "0") + naive(below, way + "1")).digest()


def naive_path(heads: Sequence[Head], stream: UUID) -> list[bytes]:
    path: list[bytes] = []
    way = ""
    while sum(bits(head.stream).startswith(way) for head in heads) > 1:
        step = bits(stream)[len(way)]
        path.insert(0, naive(heads, way + ("0" if step == "1" else "1")))
        way += step
    return path
