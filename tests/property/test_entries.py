"""Entries and identifiers over all their values."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import MAX_INTEGER
from domain.entry import Entry, EntryError, decode, draft, encode, format_time, leaf_hash, parse_time
from domain.ids import ProcessId, event_id, milliseconds, parse_typed_id, parse_uuid, typed_id, ulid, uuid7
from tests.property.test_canonical_against_oracle import exact, texts

times = st.datetimes(timezones=st.just(UTC))
#: Identifiers hold 48 bits of milliseconds since 1970.
id_times = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis adds the zone)
commitments = st.binary(min_size=32, max_size=32).map(bytes.hex)
objects = st.dictionaries(texts, exact, max_size=4)
entries = st.builds(
    Entry,
    ledger=texts,
    stream=st.uuids(),
    version=st.integers(0, MAX_INTEGER),
    type=texts,
    at=times,
    previous=st.binary(min_size=32, max_size=32),
    by=objects,
    data=objects,
    personal=st.dictionaries(texts, commitments, max_size=4),
)


@given(entries)
def test_every_entry_reads_back_as_it_was(entry: Entry) -> None:
    raw = encode(entry)
    assert decode(raw) == entry
    assert encode(decode(raw)) == raw
    unplaced = draft(entry.ledger, entry.stream, entry.version, entry.type, entry.by, entry.data, entry.personal)
    assert unplaced.place(format_time(entry.at), entry.previous) == raw


@given(entries, st.data())
def test_no_other_bytes_are_the_same_entry(entry: Entry, data: st.DataObject) -> None:
    raw = encode(entry)
    index = data.draw(st.integers(0, len(raw) - 1))
    start, end = raw[:index], raw[index + data.draw(st.integers(0, 2)) :]
    changed = start + data.draw(st.binary(max_size=3)) + end
    if changed == raw:
        return
    assert leaf_hash(changed) != leaf_hash(raw)
    try:
        other = decode(changed)
    except EntryError:
        return
    assert other != entry
    assert encode(other) == changed


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_no_bytes_make_the_reader_raise_anything_but_its_own_error(raw: bytes) -> None:
    try:
        entry = decode(raw)
    except EntryError:
        return
    assert encode(entry) == raw


@given(times, times)
def test_times_are_spelled_so_that_they_sort(one: datetime, other: datetime) -> None:
    assert parse_time(format_time(one)) == one
    assert (format_time(one) < format_time(other)) == (one < other)


@given(id_times, id_times, st.binary(min_size=32, max_size=32))
def test_ids_of_later_milliseconds_sort_later(one: datetime, other: datetime, leaf: bytes) -> None:
    if milliseconds(one) < milliseconds(other):
        assert event_id(one, leaf) < event_id(other, bytes(32))
        assert uuid7(one, leaf[:10]) < uuid7(other, bytes(10))
    assert len(ulid(one, leaf[:10])) == 26


@given(st.uuids(), st.uuids())
def test_identifiers_read_back(one: UUID, other: UUID) -> None:
    assert parse_uuid(str(one)) == one
    assert ProcessId.parse(f"{one}-{other}") == ProcessId(one, other)
    assert parse_typed_id("sgs", typed_id("sgs", one)) == one
