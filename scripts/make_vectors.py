#!/usr/bin/env python3
"""Writes what tests know of attacks on evidence: the vectors in tests/vectors/evidence, and the page docs/attacks.md.

    python scripts/make_vectors.py [FOLDER]

FOLDER    where to put the vectors instead, with every bundle as a file of its own; the page is left as it is

The bundles are made in memory, from seeds: the same program writes the same bytes. Tests make them anew and compare
(tests/conformance/test_evidence_vectors.py), so run this after a change of the format, of a check or of an attack, and look at
what has changed before it is committed.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.architecture.source import ROOT
from tests.evidence_attacks import page
from tests.evidence_vectors import PACKED, VECTORS, bundles, files, pack, unpack


def write(path: Path, raw: bytes) -> None:
    if not path.exists() or path.read_bytes() != raw:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    folder: Path | None = parser.parse_args().folder
    for name, raw in files().items():
        write((folder or VECTORS) / name, raw)
    if folder is not None:
        for name, raw in bundles().items():
            write(folder / name, raw)
        return
    write(ROOT / "docs" / "attacks.md", page().encode())
    # The same bundles may be packed into other bytes by another version of the library: those stay as they are.
    if not PACKED.exists() or unpack(PACKED.read_bytes()) != bundles():
        write(PACKED, pack(bundles()))


if __name__ == "__main__":
    main()
