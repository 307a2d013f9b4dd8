#!/usr/bin/env python3
"""Measures the Merkle tree: leaves per second into it, and what proofs cost as the log grows.

For each size the proofs are made from tiles alone, as a server has them. Prints the machine, the best of several
rounds for rates (other work on the machine only slows them), and medians over many leaves for proofs.
"""

import argparse
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from domain.merkle import (
    CompactRange,
    Plan,
    Run,
    assemble,
    consistency_plan,
    inclusion_plan,
    needed,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from domain.tiles import HEIGHT, WIDTH, Tile, encode_tile, read_nodes, tiles, tiles_for

ROUNDS = 3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--leaves", type=int, default=1_000_000, help="the largest tree (default 1,000,000)")
    options.add_argument("--proofs", type=int, default=500, help="proofs of each kind and size (default 500)")
    chosen = options.parse_args()
    print(f"{platform.platform()}, {platform.machine()}, Python {platform.python_version()}")
    leaves = [sha256(b"\x00" + number.to_bytes(8, "big")).digest() for number in range(chosen.leaves)]
    _rates(leaves)
    size = chosen.leaves
    while size >= 100:
        _proofs(leaves[:size], chosen.proofs)
        size //= 10


def _rates(leaves: list[bytes]) -> None:
    some = leaves[: len(leaves) // 4]

    def one_by_one() -> int:
        tree = CompactRange()
        for leaf in some:
            tree.append(leaf)
        return len(some)

    def in_batches(width: int) -> Callable[[], int]:
        def run() -> int:
            tree = CompactRange()
            for start in range(0, len(leaves), width):
                tree.extend(leaves[start : start + width])
            return len(leaves)

        return run

    print(f"one by one           {_best(one_by_one):>12,.0f} leaves/s")
    for width in (64, 1_024, len(leaves)):
        print(f"batches of {width:<10,}{_best(in_batches(width)):>12,.0f} leaves/s")


def _best(work: Callable[[], int]) -> float:
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = work()
        rates.append(done / (time.perf_counter() - start))
    return max(rates)


def _proofs(leaves: list[bytes], count: int) -> None:
    size, root = len(leaves), root_of(leaves)
    content = _tiles(CompactRange().extend(leaves), size)
    chosen = random.Random(1)
    made: dict[str, list[float]] = {"inclusion": [], "consistency": []}
    verified: dict[str, list[float]] = {"inclusion": [], "consistency": []}
    fetched: list[int] = []
    hashes: list[int] = []
    old_roots: dict[int, bytes] = {}
    for _ in range(count):
        index = chosen.randrange(size)
        proof, seconds, tile_count = _made(inclusion_plan, index, size, content)
        made["inclusion"].append(seconds)
        fetched.append(tile_count)
        hashes.append(len(proof))
        start = time.perf_counter()
        verify_inclusion(leaves[index], index, size, proof, root)
        verified["inclusion"].append(time.perf_counter() - start)
        old = 1 + chosen.randrange(size)
        proof, seconds, tile_count = _made(consistency_plan, old, size, content)
        made["consistency"].append(seconds)
        fetched.append(tile_count)
        if len(old_roots) < 20:
            old_roots[old] = root_of(leaves[:old])
            start = time.perf_counter()
            verify_consistency(old, size, proof, old_roots[old], root)
            verified["consistency"].append(time.perf_counter() - start)
    spelt = ", ".join(
        f"{kind} made in {_micros(made[kind])} and verified in {_micros(verified[kind])} microseconds" for kind in made
    )
    print(f"{size:>10,} leaves: {spelt}; at most {max(hashes)} hashes, {max(fetched)} tiles")


def _made(
    plan_for: Callable[[int, int], Plan], number: int, size: int, content: dict[Tile, bytes]
) -> tuple[tuple[bytes, ...], float, int]:
    start = time.perf_counter()
    plan = plan_for(number, size)
    nodes = needed(plan)
    wanted = {tile: content[tile] for tile in tiles_for(nodes, size)}
    proof = assemble(plan, read_nodes(nodes, size, wanted))
    return proof, time.perf_counter() - start, len(wanted)


def _tiles(runs: list[Run], size: int) -> dict[Tile, bytes]:
    return {
        tile: encode_tile(runs[HEIGHT * tile.level].hashes[WIDTH * tile.index : WIDTH * tile.index + tile.width])
        for tile in tiles(size)
    }


def _micros(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1e6:,.0f}"


if __name__ == "__main__":
    main()
