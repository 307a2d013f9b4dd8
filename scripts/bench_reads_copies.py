"""Many from few: a log's streams written again and again under new ids, so that 100,000 envelopes take a minute to make.

What the domain decided once is copied with fresh ids and times, hashed and chained anew, and its personal values are sealed anew
for the place where they then stand. The log that comes of it is as legal as the one it was made from.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

from domain.entry import NO_PREVIOUS, decode, format_time, leaf_hash
from domain.personal import Disclosure, Subject
from infrastructure.append import SealedDisclosure
from infrastructure.database import connect
from infrastructure.vault import Reference, Vault

_UUID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

#: An entry begins with its time (domain.entry), and so does its canonical spelling.
_TIME: Final = slice(len(b'{"at":"'), len(b'{"at":"2026-11-20T22:30:00.123456Z'))
_PREVIOUS: Final = re.compile(rb'"previous":"[0-9a-f]{64}"')

#: Between a decision and the next.
_APART: Final = timedelta(microseconds=300)

Row = tuple[int, UUID, int, str, bytes, bytes]


class RememberingVault(Vault):
    """A vault that keeps in memory what it seals, for the copies."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.sealed: dict[Reference, Disclosure] = {}

    async def seal(self, disclosures: Sequence[tuple[Reference, Disclosure]]) -> tuple[SealedDisclosure, ...]:
        self.sealed.update(disclosures)
        return await super().seal(disclosures)

    async def forgetting(self, disclosures: Sequence[tuple[Reference, Disclosure]]) -> tuple[SealedDisclosure, ...]:
        """As `seal`, for what is not to be copied again."""
        return await super().seal(disclosures)


@dataclass
class _Fresh:
    """New ids for old ones, but for those that are kept."""

    kept: frozenset[bytes]
    known: dict[bytes, bytes] = field(default_factory=dict)

    def of(self, old: bytes) -> bytes:
        if old in self.kept:
            return old
        if old not in self.known:
            self.known[old] = str(uuid4()).encode()
        return self.known[old]

    def id(self, old: UUID) -> UUID:
        return UUID(self.of(str(old).encode()).decode())

    def text(self, old: bytes) -> bytes:
        return _UUID.sub(lambda found: self.of(found[0]), old)


async def multiply(
    owner_url: str,
    vault: RememberingVault,
    groups: Sequence[Sequence[UUID]],
    kept: Sequence[UUID],
    times: float,
    advance: Callable[[int], None],
) -> None:
    """Makes `times` as many of the groups of streams as there are; of a last part the first groups. `kept` ids stay as they are."""
    known = frozenset(str(id).encode() for id in kept)
    with connect(owner_url) as conn:
        originals, groups = _rows(conn), Random(7).sample(groups, len(groups))
        disclosures = tuple(vault.sealed.items())
        left = round(len(groups) * (times - 1))
        while left > 0:
            chosen = {stream for group in groups[:left] for stream in group}
            fresh = _Fresh(known)
            rows = [row for row in originals if row[1] in chosen]
            await _copy(conn, fresh, rows, vault, [one for one in disclosures if one[0].stream in chosen])
            advance(min(left, len(groups)))
            left -= len(groups)
        conn.execute("TRUNCATE heads")
        conn.execute(
            "INSERT INTO heads SELECT DISTINCT ON (stream) stream, version, leaf, position FROM log ORDER BY stream, version DESC"
        )


def _rows(conn: psycopg.Connection[Any]) -> list[Row]:
    return conn.execute("SELECT position, stream, version, type, leaf, entry FROM log ORDER BY position").fetchall()


async def _copy(
    conn: psycopg.Connection[Any],
    fresh: _Fresh,
    originals: Sequence[Row],
    vault: RememberingVault,
    disclosures: Sequence[tuple[Reference, Disclosure]],
) -> None:
    head = conn.execute("SELECT position, at FROM log_head").fetchone()
    assert head is not None
    rows = list(_renewed(originals, fresh, *head))
    sealed = await vault.forgetting([_moved(fresh, *one) for one in disclosures])
    with conn.transaction(), conn.cursor() as cursor:
        with cursor.copy("COPY log (position, stream, version, type, leaf, entry) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "uuid", "int8", "text", "bytea", "bytea"])
            for row in rows:
                copy.write_row(row)
        with cursor.copy("COPY disclosures (stream, version, path, subject, ciphertext) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["uuid", "int8", "text", "uuid", "bytea"])
            for one in sealed:
                copy.write_row((one.stream, one.version, one.path, one.subject, one.ciphertext))
        cursor.execute("UPDATE log_head SET position = %s, at = %s", [rows[-1][0], decode(rows[-1][5]).at])


def _renewed(originals: Sequence[Row], fresh: _Fresh, position: int, at: datetime) -> Iterator[Row]:
    previous: dict[UUID, bytes] = {}
    together = b""
    for _, original, version, type, _, entry in originals:
        if entry[_TIME] != together:  # what was decided together has one time
            together, at = entry[_TIME], at + _APART
        position, stream = position + 1, fresh.id(original)
        before = previous.get(stream, NO_PREVIOUS).hex().encode()
        renewed = _PREVIOUS.sub(b'"previous":"%s"' % before, fresh.text(entry), count=1)
        renewed = renewed[: _TIME.start] + format_time(at).encode() + renewed[_TIME.stop :]
        previous[stream] = leaf_hash(renewed)
        yield position, stream, version, type, previous[stream], renewed


def _moved(fresh: _Fresh, place: Reference, disclosure: Disclosure) -> tuple[Reference, Disclosure]:
    """A disclosure where its copy stands. What is about an envelope, say, is then about the copy; persons stay who they are."""
    about = disclosure.subject
    subject = Subject(about.tenant, about.kind, fresh.text(about.key.encode()).decode())
    return Reference(fresh.id(place.stream), place.version, place.path), Disclosure(disclosure.value, disclosure.salt, subject)
