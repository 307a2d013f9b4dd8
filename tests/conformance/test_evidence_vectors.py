"""The project's own vectors of evidence are those that it makes, and both verifiers say of each what is written there."""

import json
from functools import cache
from typing import Any

import pytest

from tests.evidence_attack import Reader
from tests.evidence_attacks import ATTACKS
from tests.evidence_vectors import PACKED, VECTORS, bundles, files, unpack, vectors
from tests.evidence_verdicts import expected, second_verdicts

LINES: dict[str, dict[str, Any]] = {line["name"]: line for line in json.loads((VECTORS / "expected.json").read_bytes())}


@cache
def stored() -> dict[str, bytes]:
    return unpack(PACKED.read_bytes())


def reader_of(line: dict[str, Any]) -> Reader:
    tsa = line["tsa"]
    return Reader("", (VECTORS / line["policy"]).read_bytes(), None if tsa is None else (VECTORS / tsa).read_bytes())


def test_the_vectors_are_those_that_are_made_byte_for_byte() -> None:
    assert stored() == bundles()
    made = files()
    assert {path.name for path in VECTORS.iterdir()} == {PACKED.name, *made}
    for name, raw in made.items():
        assert (VECTORS / name).read_bytes() == raw, f"{name}: run scripts/make_vectors.py, and look at what has changed"


def test_every_vector_has_a_name_of_its_own_and_fits_into_memory() -> None:
    names = [vector.name for vector in vectors()]
    assert len(set(names)) == len(names) == len(LINES)
    assert sum(path.stat().st_size for path in VECTORS.iterdir()) < 400_000


def test_what_is_written_is_what_was_meant_when_the_vector_was_made() -> None:
    for vector in vectors():
        line = LINES[vector.name]
        assert line["findings"] == expected(vector.findings, vector.reader), vector.name
        assert line.get("least", line["findings"]) == expected(vector.least, vector.reader), vector.name


@pytest.mark.parametrize("name", sorted(LINES.keys() - {attack.name for attack in ATTACKS}))
def test_the_second_verifier_says_what_is_written(name: str) -> None:
    """Of those that are no attacks: of these the test of attacks asks it."""
    line = LINES[name]
    assert second_verdicts(stored()[f"{name}.zip"], reader_of(line)) == line["findings"]
