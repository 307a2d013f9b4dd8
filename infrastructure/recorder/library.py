"""Between the `eventsourcing` library's stored events and our entries.

An event's topic is the entry's type, its state the entry's `data`: as it is if the bytes are a
canonical JSON object, else as `{"base64": ...}`. An object whose only member is `base64` travels as
base64 itself, so what comes back is always what went in, byte for byte.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from eventsourcing.persistence import Notification, ProgrammingError, StoredEvent

from domain.canonical import CanonicalError, Json, canonical, parse_exact, parse_json
from domain.entry import draft_data
from infrastructure.recorder.command import Command, DraftedEntry, Expectation, storable_type
from infrastructure.recorder.reading import StoredEntry

_BASE64: Final = "base64"

#: The library's events carry no time of decision; the recorder stamps them.
_ANY_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


def from_stored_events(ledger: str, events: Sequence[StoredEvent]) -> Command:
    """One append of all the events, in their order.

    The versions of a stream must follow each other and the stream's last one; the first event of a new
    stream may have any version. Raises EntryError, and ProgrammingError for ids that are not UUIDs.
    """
    entries: list[DraftedEntry] = []
    expected: dict[UUID, Expectation] = {}
    last: dict[UUID, int] = {}
    for event in events:
        stream, version = event.originator_id, event.originator_version
        if not isinstance(stream, UUID):
            raise ProgrammingError("an originator id is a UUID here")
        before = last.get(stream)
        if before is None:
            expected[stream] = Expectation(version - 1, or_new=True)
        elif version != before + 1:
            raise OutOfOrder(f"version {version} of {stream} does not follow {before}")
        last[stream] = version
        unplaced = draft_data(ledger, stream, version, storable_type(event.topic), data_of(event.state))
        entries.append(DraftedEntry(stream, version, event.topic, unplaced))
    return Command(entries, expected, _ANY_TIME)


class OutOfOrder(ValueError):
    """The versions of one stream do not follow each other."""


def data_of(state: bytes) -> bytes:
    """An entry's `data`, in canonical form, for an event's state."""
    if state.startswith(b"{"):
        try:
            value = parse_exact(state)
            if isinstance(value, dict) and value.keys() != {_BASE64}:
                return state
        except CanonicalError:
            pass
    return b'{"%b":"%b"}' % (_BASE64.encode(), b64encode(state))


def state_of(data: Mapping[str, Json]) -> bytes:
    """The inverse of `data_of`."""
    encoded = data.get(_BASE64)
    if len(data) == 1 and isinstance(encoded, str):
        return b64decode(encoded)
    return canonical(data)


def to_stored_event(entry: StoredEntry) -> StoredEvent:
    """The event that the entry was made from."""
    return StoredEvent(entry.stream, entry.version, entry.type, state_of(_data(entry.raw)))


def to_notification(entry: StoredEntry) -> Notification:
    """The event with its position in the log as its id."""
    return Notification(entry.stream, entry.version, entry.type, state_of(_data(entry.raw)), id=entry.position)


def _data(raw: bytes) -> Mapping[str, Json]:
    """Trusts the row: verifying is fsck's and the verifier's work, done with `domain.entry.decode`."""
    value = parse_json(raw)
    if not isinstance(value, dict) or not isinstance(data := value["data"], dict):
        raise ValueError("a row of the log does not hold an entry")
    return data
