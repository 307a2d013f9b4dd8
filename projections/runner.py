"""Drives projections along the log: batches, each with the move of the position in one transaction.

Projections at the same position share the batch. An entry that a projection cannot take in stops
that projection alone, with everything before the entry committed.
"""

import logging
from collections.abc import Sequence
from typing import Final

from infrastructure.following import (
    Connection,
    Overtaken,
    log_position,
    move,
    places,
    read_entries,
    stop,
    transient,
)
from projections import PROJECTIONS
from projections.projection import Item, Projection, left_out
from projections.store import Store

log = logging.getLogger(__name__)

BATCH: Final = 500

#: A stored reason is for people; a whole stack of SQL is not.
_ERROR_CHARACTERS: Final = 1000


class Runner:
    """The step of the follower that keeps the read models up to date."""

    def __init__(self, projections: Sequence[Projection] = PROJECTIONS, *, batch: int = BATCH) -> None:
        self._projections = projections
        self._batch = batch

    def step(self, conn: Connection) -> bool:
        """Brings those furthest behind on by a batch; false when all that run are at the log's head.

        Connection and other passing errors are raised, and nothing of the batch has happened then.
        """
        conn.execute("SELECT set_config('search_path', 'read', false)")
        head = log_position(conn)
        positions = self._positions(conn)
        position = min(positions.values(), default=head)
        if position >= head:
            return False
        group = [each for each in self._projections if positions.get(each.name) == position]
        ahead = [other for other in positions.values() if other > position]
        until = min(position + self._batch, head, *ahead)
        items = [Item(row) for row in read_entries(conn, position, until, left_out(group))]
        _advance(conn, group, items, position, until)
        return True

    def _positions(self, conn: Connection) -> dict[str, int]:
        """Where the projections stand that run and whose tables are of the form that this code fills."""
        known = places(conn, [each.name for each in self._projections])
        return {
            each.name: place.position
            for each in self._projections
            if (place := known.get(each.name)) is not None and place.running and place.revision == each.revision
        }


def _advance(conn: Connection, group: Sequence[Projection], items: Sequence[Item], position: int, until: int) -> bool:
    """Takes in the entries from `position` + 1 to `until`; false when that ended before `until`."""
    try:
        _take_in(conn, group, items, position, until)
        return True
    except Overtaken:
        log.info("projections at %s were moved by another process", position)
        return False
    except Exception as err:
        if transient(err):
            raise
        poison = err
    if len(group) > 1:
        arrived = [_advance(conn, [each], items, position, until) for each in group]  # each on its own, whatever the others do
        return all(arrived)
    if until - position > 1:
        middle = (position + until) // 2
        first = [item for item in items if item.position <= middle]
        second = [item for item in items if item.position > middle]
        return _advance(conn, group, first, position, middle) and _advance(conn, group, second, middle, until)
    _stop(conn, group[0], items, position, poison)
    return False


def _take_in(conn: Connection, group: Sequence[Projection], items: Sequence[Item], position: int, until: int) -> None:
    with conn.transaction():
        move(conn, {each.name: each.revision for each in group}, position, until)
        store = Store(conn)
        for each in group:
            if taken := each.take(items):
                each.fold(store, taken)
        # Crash point: up to here neither rows nor position have changed. With the commit both have.


def _stop(conn: Connection, projection: Projection, items: Sequence[Item], position: int, err: Exception) -> None:
    kind = f" ({items[0].type})" if items else ""
    reason = f"entry {position + 1}{kind}: {err}"[:_ERROR_CHARACTERS]
    log.error("projection %s stopped at %s", projection.name, reason, exc_info=err)
    stop(conn, projection.name, projection.revision, position, reason)
