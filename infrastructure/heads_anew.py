"""The heads manifest computed anew from all entries, without the kept map: to check the last one, and to mend the map."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import psycopg

from domain.entry import EntryError, decode
from domain.heads import NO_PART, Head, map_of
from domain.sealing import ENDINGS, HeadsRecorded, ledger_stream
from infrastructure.codec import CodecError, decode_fact
from infrastructure.following import begin, log_position
from infrastructure.heads import ADD, FOLLOWER, PORTION, take_in
from infrastructure.snapshot import BATCH

_FACT: Final = "SELECT position, entry FROM public.log WHERE stream = %s AND type = %s ORDER BY version DESC LIMIT 1"
_KEPT: Final = "SELECT position, streams, root FROM public.manifests WHERE entry = %s"
#: The database has the function that `domain.heads.key_of` is, so it can sort.
_HEADS: Final = """
    SELECT stream, version, leaf, closed FROM (
        SELECT stream, max(version) AS version, bool_or(type = ANY(%s)) AS closed
        FROM public.log WHERE position <= %s GROUP BY stream
    ) AS ends JOIN public.log USING (stream, version) ORDER BY sha256(uuid_send(stream))"""


@dataclass(frozen=True, slots=True)
class ManifestCheck:
    """The manifest that the entry at position `entry` records; `faults` say what is wrong with it, in words."""

    entry: int
    faults: tuple[str, ...]


def check_manifest(conn: psycopg.Connection[Any], ledger: str) -> ManifestCheck | None:
    """Compares the last manifest with the entries that it covers, and with the map that proofs come from.

    None if there is no manifest. `conn` is in a transaction.
    """
    found = conn.execute(_FACT, [ledger_stream(ledger), HeadsRecorded.TYPE], binary=True).fetchone()
    if found is None:
        return None
    position, raw = found
    try:
        entry = decode(raw)
        fact = decode_fact(entry.type, entry.data, entry.personal)
    except (EntryError, CodecError) as err:
        return ManifestCheck(position, (f"the heads manifest cannot be read: {err}",))
    if not isinstance(fact, HeadsRecorded):
        return ManifestCheck(position, (f"the row says {HeadsRecorded.TYPE}, the entry {fact.TYPE}",))
    faults = []
    computed = map_of(_heads(conn, fact.position))
    if (computed.hash.hex(), computed.rows) != (fact.root, fact.streams):
        faults.append(f"the heads manifest of {fact.position} entries is not that of the entries in the log")
    kept = conn.execute(_KEPT, [position], binary=True).fetchone()
    if kept is not None and (kept[0], kept[1], kept[2].hex()) != (fact.position, fact.streams, fact.root):
        faults.append("the heads manifest that proofs come from is another than the recorded one")
    return ManifestCheck(position, tuple(faults))


def _heads(conn: psycopg.Connection[Any], position: int) -> Iterator[Head]:
    with conn.cursor(name="check_heads") as cursor:
        cursor.itersize = BATCH
        for row in cursor.execute(_HEADS, [list(ENDINGS), position], binary=True):
            yield Head(*row)


def mend(conn: psycopg.Connection[Any]) -> int:
    """Makes the kept map anew from the log and lets the follower go on from it; answers the position.

    For after a damage: the map is derived from the log, and nothing of it is evidence. `conn` is the owner's, in autocommit.
    """
    with conn.transaction():
        begin(conn, FOLLOWER)
        conn.execute("SELECT FROM read.positions WHERE projection = %s FOR UPDATE", [FOLLOWER])
        conn.execute("DELETE FROM public.manifest_nodes")
        conn.execute("DELETE FROM public.manifests")
        position, root = log_position(conn), NO_PART
        heads = _heads(conn, position)
        while some := list(islice(heads, PORTION)):
            root = take_in(conn, root, some)
        if root.rows:
            conn.execute(ADD, [position, root.rows, root.hash])  # the follower records it
        conn.execute(
            "UPDATE read.positions SET position = %s, status = 'running', error = NULL WHERE projection = %s",
            [position, FOLLOWER],
        )
    return position
