"""`countersign fsck` on a real database that its owner tampers with: each fault is found, named and placed."""

import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from psycopg import sql
from typer.testing import CliRunner, Result

from api.cli_verify import app
from domain.entry import decode
from domain.faults import Fault, FaultKind, Verdict
from infrastructure.database import DatabaseUrls, connect
from infrastructure.fsck import fsck
from infrastructure.settings import Settings, variable
from infrastructure.snapshot import SnapshotError
from infrastructure.verification import NO_EXPECTATIONS, Expectations
from tests.histories import ORIGIN, RecordedLog, Row, forge, relink, store


@dataclass(frozen=True)
class Stored:
    """A log in a database, with the key to its door."""

    urls: DatabaseUrls
    log: RecordedLog

    def owner_does(self, *statements: str, **values: Any) -> None:
        """What only the owner can do, and only after switching the triggers off."""
        with connect(self.urls.owner) as conn, conn.transaction():
            conn.execute("ALTER TABLE log DISABLE TRIGGER ALL")
            for statement in statements:
                conn.execute(sql.SQL(statement), values)
            conn.execute("ALTER TABLE log ENABLE ALWAYS TRIGGER log_is_append_only")

    def put(self, *rows: Row) -> None:
        """Replaces entries at their positions, columns and all."""
        for row in rows:
            self.owner_does(
                "UPDATE log SET stream = %(stream)s, version = %(version)s, type = %(type)s, leaf = %(leaf)s, entry = %(raw)s"
                " WHERE position = %(position)s",
                **{name: getattr(row, name) for name in Row.__slots__},
            )

    def faults(self, expectations: Expectations = NO_EXPECTATIONS) -> list[Fault]:
        with closing(fsck(self.urls.service, expectations)) as report:
            assert report.verdict is (Verdict.INVALID if report.faults else Verdict.VALID)
            return list(report.faults)

    def kinds(self) -> list[tuple[FaultKind, int | None]]:
        return [(fault.kind, fault.position) for fault in self.faults()]

    def row(self, type: str, which: int = 0) -> Row:
        return [row for row in self.log.rows if row.type == type][which]


@pytest.fixture
def stored(database: DatabaseUrls) -> Stored:
    log = RecordedLog().of_every_kind()
    with connect(database.owner) as conn:
        store(conn, log.rows, at=decode(log.rows[-1].raw).at)
    return Stored(database, log)


def test_a_log_as_recorded_holds(stored: Stored) -> None:
    with closing(fsck(stored.urls.service)) as report:
        assert list(report.faults) == []
        assert report.verdict is Verdict.VALID
        assert (report.entries, report.last_position) == (len(stored.log.rows), len(stored.log.rows))
        assert report.processes == {Verdict.VALID: 16}
        assert {stream.state for stream in report.streams() if stream.is_process} == {
            "completed", "declined", "cancelled", "expired", "invited", "created",
        }  # fmt: skip


def test_an_empty_log_holds(database: DatabaseUrls) -> None:
    with closing(fsck(database.service)) as report:
        assert (report.verdict, report.entries) == (Verdict.VALID, 0)


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_changed_byte_is_modified(stored: Stored, where: str) -> None:
    position = {"first": 1, "middle": 40, "last": len(stored.log.rows)}[where]
    stored.owner_does("UPDATE log SET entry = set_byte(entry, 20, get_byte(entry, 20) # 1) WHERE position = %(p)s", p=position)
    assert stored.kinds() == [(FaultKind.MODIFIED, position)]
    (fault,) = stored.faults()
    row = stored.log.rows[position - 1]
    assert (fault.stream, fault.version) == (row.stream, row.version)


def test_a_changed_leaf_is_modified(stored: Stored) -> None:
    stored.owner_does("UPDATE log SET leaf = set_byte(leaf, 0, get_byte(leaf, 0) # 1) WHERE position = 12")
    assert stored.kinds() == [(FaultKind.MODIFIED, 12)]


def test_a_changed_type_column_is_modified(stored: Stored) -> None:
    stored.owner_does("UPDATE log SET type = 'signing.completed/1' WHERE position = 12")
    assert stored.kinds() == [(FaultKind.MODIFIED, 12)]


def test_bytes_that_are_no_entry_are_modified(stored: Stored) -> None:
    stored.owner_does(r"UPDATE log SET entry = '\xff00' WHERE position = 12")
    assert stored.kinds() == [(FaultKind.MODIFIED, 12)]


@pytest.mark.parametrize("position", [1, 12, 40, 77])
def test_a_deleted_row_is_missing_at_its_position(stored: Stored, position: int) -> None:
    stored.owner_does("DELETE FROM log WHERE position = %(p)s", p=position)
    row = stored.log.rows[position - 1]
    (fault,) = stored.faults()
    assert (fault.kind, fault.position, fault.stream, fault.version) == (FaultKind.MISSING, position, row.stream, row.version)


def test_a_whole_stream_deleted_is_missing(stored: Stored) -> None:
    erased = stored.row("personal.erased/1")
    stored.owner_does("DELETE FROM log WHERE stream = %(s)s", s=erased.stream)
    (fault,) = stored.faults()
    assert (fault.kind, fault.position, fault.stream) == (FaultKind.MISSING, erased.position, erased.stream)


def test_a_stream_deleted_with_its_head_is_missing_all_the_same(stored: Stored) -> None:
    erased = stored.row("personal.erased/1")
    stored.owner_does("DELETE FROM log WHERE stream = %(s)s", "DELETE FROM heads WHERE stream = %(s)s", s=erased.stream)
    assert stored.kinds() == [(FaultKind.MISSING, erased.position)]


def swap(stored: Stored, one: int, other: int) -> None:
    stored.owner_does(
        "UPDATE log SET position = 1000000 WHERE position = %(one)s",
        "UPDATE log SET position = %(one)s WHERE position = %(other)s",
        "UPDATE log SET position = %(other)s WHERE position = 1000000",
        one=one,
        other=other,
    )


@pytest.mark.parametrize(("one", "other"), [(11, 12), (13, 14), (3, 16), (16, 57), (13, 15), (75, 76)])
def test_rows_that_swapped_positions_are_reordered(stored: Stored, one: int, other: int) -> None:
    swap(stored, one, other)
    found = stored.kinds()
    assert {kind for kind, _ in found} == {FaultKind.REORDERED}
    assert {position for _, position in found} <= set(range(one, other + 1))


def test_contents_of_two_rows_of_a_stream_swapped_are_reordered(stored: Stored) -> None:
    one, other = stored.row("signing.document-viewed/1"), stored.row("signing.otp-sent/1")
    stored.owner_does(
        "UPDATE log SET leaf = %(leaf)s, entry = %(raw)s WHERE position = %(p)s", leaf=other.leaf, raw=other.raw, p=one.position
    )
    stored.owner_does(
        "UPDATE log SET leaf = %(leaf)s, entry = %(raw)s WHERE position = %(p)s", leaf=one.leaf, raw=one.raw, p=other.position
    )
    assert stored.kinds() == [(FaultKind.REORDERED, one.position), (FaultKind.REORDERED, other.position)]


def test_an_entry_whose_previous_was_changed_and_hashed_again_is_relinked(stored: Stored) -> None:
    row = stored.row("signing.otp-sent/1")
    stored.put(forge(row, previous=bytes(31) + b"\x01"))
    # It does not continue from the one before, and the one after does not continue from it.
    assert stored.kinds() == [(FaultKind.RELINKED, row.position), (FaultKind.RELINKED, row.position + 1)]


def test_an_entry_replaced_and_hashed_again_breaks_the_chain_after_it(stored: Stored) -> None:
    row = stored.row("signing.consent-given/1")
    stored.put(forge(row, by={"id": "somebody else", "kind": "partner-key"}))
    (fault,) = stored.faults()
    assert (fault.kind, fault.position) == (FaultKind.RELINKED, row.position + 1)
    assert f"position {row.position}" in fault.detail


def test_the_last_entry_of_a_stream_replaced_and_hashed_again_differs_from_its_head(stored: Stored) -> None:
    row = stored.row("signing.completed/1")
    stored.put(forge(row, by={"id": "somebody else", "kind": "partner-key"}))
    assert stored.kinds() == [(FaultKind.HEAD_MISMATCH, row.position)]


@pytest.mark.parametrize("count", [1, 3, 5, 40])
def test_a_log_without_its_last_rows_is_truncated(stored: Stored, count: int) -> None:
    last = len(stored.log.rows) - count
    stored.owner_does("DELETE FROM log WHERE position > %(p)s", p=last)
    assert stored.kinds() == [(FaultKind.TRUNCATED, last + 1)]


def test_an_emptied_log_is_truncated(stored: Stored) -> None:
    stored.owner_does("DELETE FROM log")
    assert stored.kinds() == [(FaultKind.TRUNCATED, 1)]


def test_an_entry_of_another_ledger_is_foreign(stored: Stored) -> None:
    stored.put(forge(stored.log.rows[76], ledger="another/ledger"))
    assert stored.kinds() == [(FaultKind.FOREIGN, 77)]


def test_an_entry_of_another_stream_in_a_row_is_foreign(stored: Stored) -> None:
    donor = stored.row("signing.otp-sent/1")
    stored.owner_does("UPDATE log SET leaf = %(leaf)s, entry = %(raw)s WHERE position = 40", leaf=donor.leaf, raw=donor.raw)
    assert stored.kinds() == [(FaultKind.FOREIGN, 40)]


def test_a_counter_that_lags_behind_is_named(stored: Stored) -> None:
    stored.owner_does("UPDATE log_head SET position = position - 2")
    assert stored.kinds() == [(FaultKind.HEAD_MISMATCH, len(stored.log.rows) - 1)]


def test_a_time_of_the_counter_that_is_not_the_last_entry_s_is_named(stored: Stored) -> None:
    stored.owner_does("UPDATE log_head SET at = at + interval '1 hour'")
    assert stored.kinds() == [(FaultKind.HEAD_MISMATCH, len(stored.log.rows))]


@pytest.mark.parametrize(
    "change", ["version = version - 1", "leaf = set_byte(leaf, 0, get_byte(leaf, 0) # 1)", "position = position - 1"]
)
def test_a_head_that_differs_from_its_entries_is_named(stored: Stored, change: str) -> None:
    head = stored.log.heads[stored.row("template.created/1").stream]
    stored.owner_does(f"UPDATE heads SET {change} WHERE stream = %(s)s", s=head.stream)
    (fault,) = stored.faults()
    assert fault.kind in (FaultKind.HEAD_MISMATCH, FaultKind.REORDERED)
    assert (fault.position, fault.stream) == (head.position, head.stream)


def test_a_stream_without_a_head_is_named(stored: Stored) -> None:
    head = stored.log.heads[stored.row("template.created/1").stream]
    stored.owner_does("DELETE FROM heads WHERE stream = %(s)s", s=head.stream)
    (fault,) = stored.faults()
    assert (fault.kind, fault.stream) == (FaultKind.HEAD_MISMATCH, head.stream)


def test_a_head_without_entries_is_missing_its_entries(stored: Stored) -> None:
    stored.owner_does("INSERT INTO heads VALUES (gen_random_uuid(), 1, decode(repeat('ab', 32), 'hex'), 5)")
    (fault,) = stored.faults()
    assert (fault.kind, fault.position) == (FaultKind.MISSING, 5)


def test_an_impossible_history_that_is_hashed_correctly_is_refused(stored: Stored) -> None:
    log = stored.log
    signed = stored.row("signing.completed/1")
    row = log.append(signed.stream, "signing.completed/1", {})
    stored.owner_does(
        "INSERT INTO log VALUES (%(position)s, %(stream)s, %(version)s, %(type)s, %(leaf)s, %(raw)s)",
        "UPDATE heads SET version = %(version)s, leaf = %(leaf)s, position = %(position)s WHERE stream = %(stream)s",
        "UPDATE log_head SET position = %(position)s, at = %(at)s",
        **{name: getattr(row, name) for name in Row.__slots__},
        at=decode(row.raw).at,
    )
    (fault,) = stored.faults()
    assert (fault.kind, fault.position, fault.stream) == (FaultKind.ILLEGAL_HISTORY, row.position, signed.stream)


def test_only_a_head_kept_outside_shows_a_log_rewritten_with_all_its_hashes(stored: Stored) -> None:
    row = stored.row("signing.consent-given/1")
    receipt = stored.log.heads[row.stream]
    forged = [forge(item, by={"id": "x", "kind": "partner-key"}) if item == row else item for item in stored.log.rows]
    rewritten = relink(forged, row.stream)
    stored.put(*(item for item in rewritten if item.stream == row.stream))
    stored.owner_does("UPDATE heads SET leaf = log.leaf FROM log WHERE heads.position = log.position")
    assert stored.kinds() == []
    (fault,) = stored.faults(Expectations({receipt.position: receipt.leaf}))
    assert (fault.kind, fault.position) == (FaultKind.HEAD_MISMATCH, receipt.position)


def test_a_log_cut_short_with_its_heads_shows_against_a_head_kept_outside(stored: Stored) -> None:
    receipt = stored.log.rows[76]
    stored.owner_does(
        "DELETE FROM log WHERE position > 76",
        "DELETE FROM heads WHERE position > 76",
        "UPDATE log_head SET position = 76, at = %(at)s",
        at=decode(stored.log.rows[75].raw).at,
    )
    assert stored.kinds() == []
    assert [fault.kind for fault in stored.faults(Expectations({receipt.position: receipt.leaf}))] == [FaultKind.TRUNCATED]


def test_disclosures_belong_to_commitments(stored: Stored) -> None:
    created = stored.row("signing.process-created/2")
    paths = list(decode(created.raw).personal)
    with connect(stored.urls.owner) as conn:
        conn.execute("INSERT INTO subjects VALUES (gen_random_uuid(), gen_random_uuid(), 'person', 'x', 'x')")
        add = "INSERT INTO disclosures SELECT %s, %s, %s, id, 'x' FROM subjects"
        for path in paths:
            conn.execute(add, [created.stream, 1, path])
        assert stored.kinds() == []
        conn.execute(add, [created.stream, 1, "/nickname"])
        conn.execute(add, [created.stream, 999, "/name"])
    faults = stored.faults()
    assert {fault.kind for fault in faults} == {FaultKind.STRAY_DISCLOSURE}
    assert sorted((fault.version, fault.position) for fault in faults) == [(1, created.position), (999, None)]


def test_entries_of_unknown_types_are_counted_and_not_called_valid(database: DatabaseUrls) -> None:
    log = RecordedLog()
    log.completed()
    row = log.append(log.uuid(), "another.thing-happened/1", {"what": "this"})
    with connect(database.owner) as conn:
        store(conn, log.rows, at=decode(row.raw).at)
    with closing(fsck(database.service)) as report:
        assert (report.verdict, list(report.faults)) == (Verdict.INDETERMINATE, [])
        assert report.unknown == {"another.thing-happened/1": 1}
        assert any("another.thing-happened/1" in line for line in report.absent)


def test_what_is_appended_meanwhile_does_not_disturb_the_check(stored: Stored) -> None:
    """The check reads one snapshot: here another entry arrives after the log was read and before the heads are."""
    added: list[str] = []

    def append_once(what: str, done: int, total: int) -> None:
        if not added:
            added.append(what)
            row = stored.log.append(stored.log.uuid(), "another.thing-happened/1", {})
            with connect(stored.urls.service) as conn, conn.transaction():
                conn.execute(
                    "INSERT INTO log VALUES (%s, %s, %s, %s, %s, %s)", [row.position, row.stream, 1, row.type, row.leaf, row.raw]
                )
                conn.execute("INSERT INTO heads VALUES (%s, %s, %s, %s)", [row.stream, 1, row.leaf, row.position])
                conn.execute("UPDATE log_head SET position = %s, at = %s", [row.position, decode(row.raw).at])

    before = len(stored.log.rows)
    with closing(fsck(stored.urls.service, progress=append_once)) as report:
        assert added == ["entries"]
        assert (report.verdict, report.entries) == (Verdict.VALID, before)
    with closing(fsck(stored.urls.service)) as report:
        assert report.entries == before + 1


def test_a_database_without_a_ledger_cannot_be_checked(empty_database: DatabaseUrls) -> None:
    with pytest.raises(SnapshotError, match="cannot be read"):
        fsck(empty_database.owner)


# The command


def command(urls: DatabaseUrls, *arguments: str) -> Result:
    environment: dict[str, str | None] = {variable(field): None for field in Settings.model_fields}
    return CliRunner().invoke(app, ["fsck", "--no-files", *arguments], env={**environment, variable("database_url"): urls.owner})


def test_the_command_s_exit_code_is_0_only_when_all_holds(stored: Stored) -> None:
    clean = command(stored.urls, "--expect-ledger", ORIGIN)
    assert clean.exit_code == 0, clean.output
    assert (
        f"valid: {len(stored.log.rows)} entries of countersign.test/ledger up to position {len(stored.log.rows)}, 0 faults."
        in clean.stdout
    )
    assert "checkpoint: nothing signed is compared with the log" in clean.stdout
    assert command(stored.urls, "--expect-ledger", "another").exit_code == 1
    stored.owner_does("DELETE FROM log WHERE position = 12")
    broken = command(stored.urls, "--json")
    assert broken.exit_code == 1
    report = json.loads(broken.stdout)
    assert report["verdict"] == "invalid"
    assert [(fault["kind"], fault["position"]) for fault in report["faults"]] == [("missing", 12)]
    assert sum(report["processCounts"].values()) == 16


def test_the_command_s_exit_code_is_2_when_the_database_is_out_of_reach(stored: Stored) -> None:
    nowhere = command(DatabaseUrls.of("postgresql://nobody@127.0.0.1:9/none"))
    assert nowhere.exit_code == 2
    assert "cannot be read" in nowhere.stderr
