"""Facts as they were once stored can be read for ever: the samples are never changed, only added to.

A changed schema gets a new number and an upcaster; the sample of the old number stays here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from domain.canonical import Json, canonical_exact, parse_canonical
from domain.envelope import EnvelopeCreated
from domain.signing import ProcessCreated
from infrastructure.codec import FACTS, KNOWN, UPCASTS, CodecError, current_data, current_type, decode_fact, encode_fact

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
    assert encoded.type == current_type(name)
    assert canonical_exact(encoded.data) == canonical_exact(current_data(name, data))
    assert encoded.personal == personal
    if name in FACTS:
        assert current_data(name, data) is data


def test_every_fact_has_a_sample_and_every_older_schema_too() -> None:
    assert {sample["type"] for sample in stored()} == KNOWN


@pytest.mark.parametrize("name", UPCASTS)
def test_an_older_schema_has_a_name_of_its_own_and_leads_to_a_fact_of_today(name: str) -> None:
    stem, _, number = name.rpartition("/")
    assert name not in FACTS
    assert current_type(name) in FACTS
    present, _, now = current_type(name).rpartition("/")
    assert present == stem
    assert int(number) < int(now)


#: What an entry of an older schema cannot have: it came later. Some of it every entry has today, the rest may be left out.
LATER: Final[Mapping[str, Mapping[str, Json]]] = {
    "document.file-stored/1": {"file": {"pages": 1, "sha256": "0" * 64, "size_bytes": 1, "normalised_sha256": "0" * 64}},
    "envelope.certificate-issued/1": {"body_sha256": "0" * 64},
    "envelope.created/1": {"fields": []},
    "envelope.created/2": {"zone": "UTC"},
    "envelope.document-executed/1": {"seal": {"profile": "B-B", "certificate_sha256": "0" * 64}},
    "signing.process-created/1": {"human_only": False},
    "template.fields-defined/1": {"fields": [{"name": "a", "type": "TEXT"}, {"name": "b", "type": "TEXT", "required": False}]},
    "template.file-stored/1": {"file": {"pages": 1, "sha256": "0" * 64, "size_bytes": 1, "normalised_sha256": "0" * 64}},
}


@pytest.mark.parametrize("name", UPCASTS)
def test_an_entry_of_an_older_schema_cannot_have_what_came_later(name: str) -> None:
    sample = next(it for it in stored() if it["type"] == name)
    data, personal = sample["data"], sample["personal"]
    assert isinstance(data, dict)
    assert isinstance(personal, dict)
    later = {**data, **LATER[name]}
    decode_fact(current_type(name), {**current_data(name, data), **LATER[name]}, personal)
    with pytest.raises(CodecError, match="older schema has no field"):
        decode_fact(name, later, personal)


def test_an_envelope_of_the_first_schema_has_no_fields_and_no_copies() -> None:
    sample = next(it for it in stored() if it["type"] == "envelope.created/1")
    fact = decode_fact("envelope.created/1", sample["data"], sample["personal"])  # type: ignore[arg-type]
    assert isinstance(fact, EnvelopeCreated)
    assert (fact.fields, fact.copies, fact.location, fact.flow) == ((), (), None, None)


def test_a_process_of_the_first_schema_may_be_signed_by_an_agent() -> None:
    sample = next(it for it in stored() if it["type"] == "signing.process-created/1")
    fact = decode_fact("signing.process-created/1", sample["data"], sample["personal"])  # type: ignore[arg-type]
    assert isinstance(fact, ProcessCreated)
    assert fact.human_only is False
    assert fact.details is None
