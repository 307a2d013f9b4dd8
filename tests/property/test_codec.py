"""Facts survive their way into an entry and back."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import MAX_INTEGER, canonical_exact, parse_canonical
from domain.personal import Personal
from infrastructure.codec import FACTS, CodecError, decode_fact, encode_fact

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COMMITMENTS = st.binary(min_size=32, max_size=32).map(bytes.hex)

st.register_type_strategy(str, TEXTS)
st.register_type_strategy(int, st.integers(-MAX_INTEGER, MAX_INTEGER))
st.register_type_strategy(datetime, st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
st.register_type_strategy(Personal, COMMITMENTS.map(Personal))
st.register_type_strategy(UUID, st.uuids())

ANY_FACT = st.sampled_from(sorted(FACTS)).flatmap(lambda name: st.from_type(FACTS[name]))


@given(ANY_FACT)
def test_every_fact_is_read_back_as_it_was(fact: Any) -> None:
    encoded = encode_fact(fact)
    data = parse_canonical(canonical_exact(encoded.data))
    assert isinstance(data, dict)
    assert decode_fact(encoded.type, data, encoded.personal) == fact


@given(ANY_FACT)
def test_no_commitment_stands_in_the_data(fact: Any) -> None:
    encoded = encode_fact(fact)
    spelled = canonical_exact(encoded.data).decode()
    assert not any(commitment in spelled for commitment in encoded.personal.values())


@given(ANY_FACT, st.data())
def test_a_field_too_many_or_too_few_is_refused(fact: Any, data: st.DataObject) -> None:
    encoded = encode_fact(fact)
    with pytest.raises(CodecError, match="has no field"):
        decode_fact(encoded.type, {**encoded.data, "surplus": 1}, encoded.personal)
    with pytest.raises(CodecError, match="has no personal field"):
        decode_fact(encoded.type, encoded.data, {**encoded.personal, "/surplus": "0" * 64})
    if encoded.data:
        lacking = data.draw(st.sampled_from(sorted(encoded.data)))
        rest = {name: value for name, value in encoded.data.items() if name != lacking}
        try:
            other = decode_fact(encoded.type, rest, encoded.personal)
        except CodecError:
            return
        assert other != fact, "an optional field that was left out"


@given(ANY_FACT, st.data())
def test_a_field_of_another_kind_is_our_error(fact: Any, data: st.DataObject) -> None:
    encoded = encode_fact(fact)
    if not encoded.data:
        return
    name = data.draw(st.sampled_from(sorted(encoded.data)))
    wrong: Any = data.draw(st.sampled_from([None, True, -1, "x", [], {}, [None], {"a": []}, 1.5]))
    try:
        decode_fact(encoded.type, {**encoded.data, name: wrong}, encoded.personal)
    except CodecError:
        return
    kept = encoded.data[name]
    assert type(kept) is type(wrong), f"{encoded.type} took {wrong!r} for {kept!r}"


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(CodecError, match="is not a fact of this ledger"):
        decode_fact("signing.signed/99", {}, {})
