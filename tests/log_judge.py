"""Judges a log from its tables alone: recomputes every leaf, chain, head and position.

Shares nothing with the recorder but the entry's format, so that a mistake there shows here.
"""

from uuid import UUID

from domain.entry import NO_PREVIOUS, Entry, decode, leaf_hash
from infrastructure.database import connect


def judge(url: str) -> list[Entry]:
    """The entries in the order of the log; AssertionError names what is wrong with it."""
    with connect(url) as conn, conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        rows = conn.execute("SELECT position, stream, version, type, leaf, entry FROM log ORDER BY position").fetchall()
        heads = {row[0]: row[1:] for row in conn.execute("SELECT stream, version, leaf, position FROM heads")}
        head = conn.execute("SELECT ledger, position, at FROM log_head").fetchone()
    assert head is not None
    ledger, last_position, last_at = head
    assert [row[0] for row in rows] == list(range(1, last_position + 1)), "positions are 1 to the head's, without gaps"

    entries: list[Entry] = []
    found: dict[UUID, tuple[int, bytes, int]] = {}
    for position, stream, version, type_, leaf, raw in rows:
        entry = decode(raw)
        assert (entry.ledger, entry.stream, entry.version, entry.type) == (ledger, stream, version, type_), (
            f"columns of {position}"
        )
        assert leaf == leaf_hash(raw), f"leaf of {position}"
        before = found.get(stream)
        assert entry.previous == (before[1] if before else NO_PREVIOUS), f"chain at {position}"
        assert before is None or version == before[0] + 1, f"version at {position}"
        assert not entries or entry.at >= entries[-1].at, f"time at {position}"
        found[stream] = (version, leaf, position)
        entries.append(entry)
    assert heads == found, "heads are the last entries of their streams"
    assert not entries or last_at == entries[-1].at, "the head's time is the last entry's"
    return entries
