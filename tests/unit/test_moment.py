"""Places in lists ordered by time: spelled as times, exact, and never a built-in exception."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.moment import Moment

AT = datetime(2026, 11, 20, 22, 30, 0, 123456, tzinfo=UTC)
LAST = 2**63 - 1


@given(at=st.datetimes(timezones=st.just(UTC)), position=st.integers(0, LAST))
def test_what_was_spelled_is_read_back(at: datetime, position: int) -> None:
    assert Moment.parse(Moment(at, position).spell()) == Moment(at, position)


def test_a_moment_reads_as_a_time() -> None:
    spelled = Moment(AT, 42).spell()
    assert spelled == "2026-11-20T22:30:00.1234560000000000000000042Z"
    assert datetime.fromisoformat(spelled) == AT


@pytest.mark.parametrize(
    ("text", "at", "position"),
    [
        ("2026-11-20T22:30:00.123456Z", AT, 0),
        ("2026-11-20T22:30:00.123Z", AT.replace(microsecond=123000), 0),
        ("2026-11-20T17:30:00.123456-05:00", AT, 0),
        ("2026-11-20T22:30:00.123456", AT, 0),
        ("2026-11-20T22:30:00.123456000Z", AT, 0),
        ("2026-11-20T22:30:00.123456789Z", AT, LAST),
        ("2026-11-20T22:30:00Z", AT.replace(microsecond=0), 0),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC), 0),
    ],
)
def test_any_other_time_is_a_moment_that_no_row_shares(text: str, at: datetime, position: int) -> None:
    assert Moment.parse(text) == Moment(at, position)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1763677800",
        "2026-11-20T25:00:00Z",
        "2026-11-20T22:30:00.Z",
        "2026-11-20T22:30:00 00:00",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-11-20T22:30:00.١٢٣Z",
        "2026-11-20T22:30:00." + "1" * 100 + "Z",
        "2026-11-20T22:30:00.1.2Z",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert Moment.parse(text) is None


def test_moments_are_ordered_by_time_and_then_by_position() -> None:
    assert Moment(AT, 9) < Moment(AT, 10) < Moment(AT + timedelta(microseconds=1))
