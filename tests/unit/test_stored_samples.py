"""Facts as they were once stored can be read for ever: the samples are never changed, only added to.

A changed schema gets a new number and an upcaster; the sample of the old number stays here.
"""

from pathlib import Path

import pytest

from domain.canonical import canonical_exact, parse_canonical
from infrastructure.codec import FACTS, decode_fact, encode_fact

SAMPLES = Path(__file__).parent.parent / "samples" / "facts.jsonl"


def stored() -> list[dict[str, object]]:
    found = [parse_canonical(line) for line in SAMPLES.read_bytes().splitlines()]
    return [sample for sample in found if isinstance(sample, dict)]


@pytest.mark.parametrize("sample", stored(), ids=lambda sample: str(sample["type"]))
def test_a_stored_fact_is_read_and_spelled_as_before(sample: dict[str, object]) -> None:
    name, data, personal = sample["type"], sample["data"], sample["personal"]
    assert isinstance(name, str)
    assert isinstance(data, dict)
    assert isinstance(personal, dict)
    encoded = encode_fact(decode_fact(name, data, personal))
    assert canonical_exact(encoded.data) == canonical_exact(data)
    assert encoded.personal == personal


def test_every_fact_has_a_sample() -> None:
    assert {sample["type"] for sample in stored()} >= set(FACTS)
