"""The read model of erasures: which entries were emptied, and by which entry."""

from infrastructure.database import DatabaseUrls, connect
from projections import ERASURES
from projections.erasures import of_streams
from projections.rebuild import ensure_tables, rebuild
from tests.histories import RecordedLog
from tests.integration.read_side import append, catch_up, query


def test_an_emptied_entry_is_listed_with_the_first_of_its_erasures_also_after_a_rebuild(database: DatabaseUrls) -> None:
    ensure_tables(database.owner)
    log = RecordedLog()
    envelope, (ana, ben) = log.completed(documents=1)
    positions = []
    for who in (ana, ana, ben):
        log.erase(who)
        positions.append(len(log.rows))
    with connect(database.owner) as owner:
        append(owner, log.rows)
    catch_up(database, batch=len(log.rows) - 2)  # so that the second erasure comes in another batch than the first
    expected = {(ana, 1): positions[0], (ben, 1): positions[2]}
    assert query(database, lambda conn: of_streams(conn, [envelope, ana, ben])) == expected
    assert query(database, lambda conn: of_streams(conn, [ben])) == {(ben, 1): positions[2]}
    assert query(database, lambda conn: of_streams(conn, [])) == {}
    rebuild(database.owner, [ERASURES], lambda *_: None)
    assert query(database, lambda conn: of_streams(conn, [ana, ben])) == expected
