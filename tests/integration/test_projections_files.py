"""The read model of files: which envelopes name a file, what was made first, also after a rebuild and from older facts."""

from hashlib import sha256
from uuid import UUID

from domain.coordination import RecordExecuted
from domain.envelope import DocumentExecuted
from infrastructure.database import DatabaseUrls, connect
from projections import FILES
from projections.files import Named, count_with_made, envelopes_with_made, named
from projections.rebuild import ensure_tables, rebuild
from tests.evidence_world import EvidenceWorld
from tests.integration.read_side import append, catch_up, query


def test_a_file_leads_to_the_envelopes_that_name_it_those_that_it_was_made_for_first(database: DatabaseUrls) -> None:
    ensure_tables(database.owner)
    log = EvidenceWorld()
    envelopes = []
    for _ in range(2):
        envelope, participants = log.open_envelope(participants=1, documents=1)
        for who in participants:
            log.sign(envelope, who)
        envelopes.append(envelope)
    log.execute(envelopes[0])
    (document,) = log.states[envelopes[1]].documents
    (first,) = log.states[envelopes[0]].documents
    # What was made for the one is what was drawn on for the other.
    executed = log.states[envelopes[0]].executed[first.id]
    log.on_package(RecordExecuted(envelopes[1], DocumentExecuted(document.id, "ab" * 32, "cd" * 32, None, executed)))
    with connect(database.owner) as owner:
        append(owner, log.rows)
    catch_up(database, batch=len(log.rows) - 3)

    def check() -> None:
        last = len(log.rows)
        found = query(database, lambda conn: named(conn, [executed, document.sha256, "cd" * 32, "00" * 32], limit=9))
        renewed = next(row.position for row in log.rows if row.type == "envelope.seal-renewed/1")
        assert found[:2] == (Named(executed, envelopes[0], True, renewed), Named(executed, envelopes[1], False, last))
        assert [(each.envelope, each.made) for each in found[2:]] == [(envelopes[1], False), (envelopes[1], True)]
        assert query(database, lambda conn: named(conn, [executed])) == found[:1]
        assert query(database, lambda conn: named(conn, [sha256(b"normalised").hexdigest()])) != ()
        assert query(database, lambda conn: envelopes_with_made(conn, UUID(int=0), 9)) == tuple(sorted(envelopes))
        assert query(database, lambda conn: envelopes_with_made(conn, min(envelopes), 9)) == (max(envelopes),)
        assert query(database, count_with_made) == 2

    check()
    rebuild(database.owner, [FILES], lambda *_: None)
    check()
