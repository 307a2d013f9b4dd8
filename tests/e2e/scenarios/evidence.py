"""The chain of a process, recomputed from the bytes of an answer alone, by other means than the product's own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import rfc8785

Json = Any

#: What leads to a draft differs between products, what happens to it does not; a delivery comes when it comes.
_WAYS_THERE = frozenset({"document-added", "document-assigned", "participant-added", "session-opened", "invitation-delivered"})


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the log; `fact` is its type without aggregate and schema, `leaf` its hash in hex."""

    stream: UUID
    version: int
    position: int
    fact: str
    at: datetime
    leaf: str
    entry: str
    data: Json


def recomputed(events: Sequence[Json]) -> tuple[Event, ...]:
    """The events of an answer; AssertionError unless every entry is canonical, hashes to its leaf and names the one before it.

    Leaves are SHA-256(0x00 || entry) (RFC 6962 section 2.1), entries are canonical JSON (RFC 8785).
    """
    found: list[Event] = []
    last: dict[str, Json] = {}
    for event in events:
        raw = event["entry"].encode()
        entry = json.loads(raw)
        assert rfc8785.dumps(entry) == raw, "the entry is in its one canonical spelling"
        assert event["hash"] == sha256(b"\x00" + raw).hexdigest()
        before = last.get(entry["stream"])
        assert event["previousHash"] == entry["previous"] == ("0" * 64 if before is None else before["hash"])
        assert event["version"] == entry["version"] == (1 if before is None else before["version"] + 1)
        assert not found or event["position"] > found[-1].position
        at = datetime.fromisoformat(entry["at"])
        assert not found or at >= found[-1].at
        last[entry["stream"]] = event
        fact = entry["type"].partition(".")[2].partition("/")[0]
        found.append(
            Event(
                UUID(entry["stream"]), event["version"], event["position"], fact, at, event["hash"], event["entry"], entry["data"]
            )
        )
    return tuple(found)


def processes(events: Sequence[Event]) -> tuple[UUID, ...]:
    """The participants, in the order in which their processes were made."""
    return tuple(event.stream for event in events if event.fact == "process-created")


def facts(events: Sequence[Event], stream: UUID) -> list[str]:
    """What happened in a stream, in order, but for what differs between products."""
    return [event.fact for event in events if event.stream == stream and event.fact not in _WAYS_THERE]


def undelivered(events: Sequence[Event]) -> int:
    """How many invitations have not been handed over yet."""
    made = sum(event.fact in ("invited", "invitation-resent") for event in events)
    return made - sum(event.fact == "invitation-delivered" for event in events)
