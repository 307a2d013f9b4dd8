"""A template's fields become those of an envelope, whoever takes part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.fields import NoSuchParticipant, placed_fields
from domain.envelope import labels_of
from domain.field import ASKED, FieldType
from domain.template import Field
from tests.given import uid

DOCUMENT = uid(9)

places = st.none() | st.integers(0, 500_000)
fields = st.lists(
    st.builds(
        Field,
        st.text("abcdefgh", min_size=1, max_size=4),
        st.sampled_from(FieldType),
        st.none() | st.integers(1, 3),
        places,
        places,
        participant=st.none() | st.integers(1, 4),
        required=st.none() | st.booleans(),
    ),
    max_size=12,
    unique_by=lambda field: field.name,
)


@given(fields, st.integers(1, 4))
def test_every_field_that_stands_somewhere_is_somebodys_and_no_other_is_placed(given_fields: list[Field], count: int) -> None:
    people = [uid(number) for number in range(count)]
    standing = [field for field in given_fields if field.box is not None]
    if any((field.participant or 0) > count for field in standing):
        with pytest.raises(NoSuchParticipant):
            placed_fields(given_fields, DOCUMENT, people)
        return
    placed = placed_fields(given_fields, DOCUMENT, people)
    assert labels_of(placed) == tuple(field.name for field in standing)
    seen: dict[FieldType, int] = {}
    for field, found in zip(standing, placed, strict=True):
        if field.participant is not None:
            assert found.participant == people[field.participant - 1]
        elif field.type in ASKED:
            assert found.participant == people[0]
        else:
            seen[field.type] = seen.get(field.type, 0) + 1
            assert found.participant == people[min(seen[field.type], count) - 1]
        signed = field.type in (FieldType.SIGNATURE, FieldType.INITIALS)
        assert found.required is (signed if field.required is None else field.required)
        assert (found.document, found.page) == (DOCUMENT, field.page)
