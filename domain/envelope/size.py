"""How much of an entry the creation of an envelope takes.

Each of its lists has a bound of its own, but all of them full do not fit into one entry together.
"""

from dataclasses import fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from domain.canonical import canonical
from domain.entry import MAX_ENTRY_BYTES
from domain.envelope.facts import EnvelopeCreated
from domain.personal import Personal

#: What is left of an entry when its other members have taken their part: actor, ledger, stream, hash and time.
MAX_CREATION_BYTES: Final = MAX_ENTRY_BYTES - 2_535

_UUID_BYTES: Final = 38
_TIME_BYTES: Final = 29
_COMMITMENT_BYTES: Final = 66


def creation_bytes(created: EnvelopeCreated) -> int:
    """The bytes that the fact takes in its entry, its commitments included; never less than they are."""
    return _bytes_of(created, 0)


def _bytes_of(value: Any, path_bytes: int) -> int:
    """`path_bytes` is the length of the JSON pointer to the value, which a commitment is listed under."""
    if isinstance(value, Personal):
        return path_bytes + _COMMITMENT_BYTES + len('"":,')
    if isinstance(value, UUID):
        return _UUID_BYTES
    if isinstance(value, datetime):
        return _TIME_BYTES
    if isinstance(value, int):
        return len("false") if isinstance(value, bool) else len(str(value))
    if isinstance(value, str):
        return len(canonical(str(value)))
    if isinstance(value, tuple):
        longest = path_bytes + 1 + len(str(len(value)))
        return len("[]") + sum(_bytes_of(item, longest) + 1 for item in value)
    members = [(len(item.name), getattr(value, item.name)) for item in fields(value)]
    return len("{}") + sum(
        _bytes_of(member, path_bytes + 1 + length) + (0 if isinstance(member, Personal) else length + len('"":,'))
        for length, member in members
        if member is not None
    )
