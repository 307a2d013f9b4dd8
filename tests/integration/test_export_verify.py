"""From the database to a file to a verdict: `countersign export` and `countersign verify`."""

import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain.entry import decode
from domain.faults import FaultKind, Verdict
from infrastructure.database import DatabaseUrls, connect
from infrastructure.export import NothingToExport, export
from infrastructure.export_format import Scope, ScopeKind
from infrastructure.snapshot import SnapshotError
from infrastructure.verification import Expectations, verify
from tests.histories import ORIGIN, RecordedLog, export_file, store

WHOLE = Scope(ScopeKind.LOG)


@pytest.fixture
def log() -> RecordedLog:
    return RecordedLog().of_every_kind()


@pytest.fixture
def urls(database: DatabaseUrls, log: RecordedLog) -> DatabaseUrls:
    with connect(database.owner) as conn:
        store(conn, log.rows, at=decode(log.rows[-1].raw).at)
    return database


def first(log: RecordedLog, type: str) -> Any:
    return next(row for row in log.rows if row.type == type)


def test_the_whole_log_goes_into_the_file_that_its_entries_define(urls: DatabaseUrls, log: RecordedLog, tmp_path: Path) -> None:
    target = tmp_path / "log.jsonl"
    told: list[tuple[int, int]] = []
    exported = export(urls.service, WHOLE, target, lambda done, total: told.append((done, total)))
    assert target.read_bytes() == export_file(log.rows)
    assert (exported.entries, exported.position) == (len(log.rows), len(log.rows))
    assert told[-1] == (len(log.rows), len(log.rows))
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
    with closing(verify(target, Expectations({len(log.rows): log.rows[-1].leaf}, ORIGIN))) as report:
        assert (report.verdict, report.entries, report.processes) == (Verdict.VALID, len(log.rows), {Verdict.VALID: 16})
        assert f"position {len(log.rows)} is what the given head says" in report.checked


def test_an_empty_log_is_exported_and_valid(database: DatabaseUrls, tmp_path: Path) -> None:
    export(database.service, WHOLE, tmp_path / "log")
    with closing(verify(tmp_path / "log")) as report:
        assert (report.verdict, report.entries) == (Verdict.VALID, 0)


def test_nothing_personal_is_in_an_export(urls: DatabaseUrls, tmp_path: Path) -> None:
    export(urls.service, WHOLE, tmp_path / "log")
    raw = (tmp_path / "log").read_bytes()
    for value in (b"Ana", b"example.com", b"203.0.113.9", b"Mozilla", b"Contrato", b"Firma", b"I agree", b"123456\\"):
        assert value not in raw


def test_the_parts_of_a_log_are_exported_alone(urls: DatabaseUrls, log: RecordedLog, tmp_path: Path) -> None:
    envelope = first(log, "envelope.created/3").stream
    process = first(log, "signing.process-created/2").stream
    template = first(log, "template.created/1").stream
    for scope, streams in (
        (Scope(ScopeKind.ENVELOPE, str(envelope)), {envelope, *log.states[envelope].slots}),
        (Scope(ScopeKind.PROCESS, f"{envelope}-{process}"), {process}),
        (Scope(ScopeKind.TEMPLATE, str(template)), {template}),
    ):
        target = tmp_path / scope.kind.value
        exported = export(urls.service, scope, target)
        assert exported.entries == sum(log.heads[stream].version for stream in streams)
        with closing(verify(target)) as report:
            assert (report.verdict, list(report.faults)) == (Verdict.VALID, [])
            assert {stream.stream for stream in report.streams()} == streams


def test_the_export_of_an_envelope_holds_those_who_were_added_to_the_draft(
    urls: DatabaseUrls, log: RecordedLog, tmp_path: Path
) -> None:
    added = {row.stream: decode(row.raw).data for row in log.rows if row.type == "envelope.participant-added/1"}
    assert added
    for envelope in added:
        export(urls.service, Scope(ScopeKind.ENVELOPE, str(envelope)), tmp_path / "part")
        with closing(verify(tmp_path / "part")) as report:
            assert (report.verdict, list(report.faults)) == (Verdict.VALID, [])
            assert {stream.stream for stream in report.streams()} == {envelope, *log.states[envelope].slots}


def test_what_is_not_there_is_refused_and_leaves_no_file(urls: DatabaseUrls, log: RecordedLog, tmp_path: Path) -> None:
    envelope = first(log, "envelope.created/3").stream
    process = first(log, "signing.process-created/2").stream
    for scope in (
        Scope(ScopeKind.ENVELOPE, str(log.uuid())),
        Scope(ScopeKind.ENVELOPE, str(process)),
        Scope(ScopeKind.TEMPLATE, str(envelope)),
        Scope(ScopeKind.PROCESS, f"{log.uuid()}-{process}"),
        Scope(ScopeKind.PROCESS, f"{envelope}-{envelope}"),
    ):
        with pytest.raises(NothingToExport, match=str(scope.id)):
            export(urls.service, scope, tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_leaves_the_file_of_before(urls: DatabaseUrls, tmp_path: Path) -> None:
    target = tmp_path / "log"
    target.write_text("of before")

    def fail(done: int, total: int) -> None:
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        export(urls.service, WHOLE, target, fail)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("log", "of before")]


def test_damage_in_the_database_is_exported_as_it_is_and_found_by_verify(urls: DatabaseUrls, tmp_path: Path) -> None:
    with connect(urls.owner) as conn:
        conn.execute("ALTER TABLE log DISABLE TRIGGER ALL")
        conn.execute(r"UPDATE log SET entry = '\xff00' WHERE position = 12")
        conn.execute("DELETE FROM log WHERE position = 40")
    export(urls.service, WHOLE, tmp_path / "log")
    with closing(verify(tmp_path / "log")) as report:
        assert [(fault.kind, fault.position, fault.line) for fault in report.faults] == [
            (FaultKind.MODIFIED, 12, 13),
            (FaultKind.MISSING, 40, None),
        ]


def test_a_database_out_of_reach_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot be read"):
        export("postgresql://nobody@127.0.0.1:9/none", WHOLE, tmp_path / "log")


# The commands

#: Runs a command in a process that ends at the first attempt to reach a network or a database.
OFFLINE = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        print("offline no more:", event, arguments, file=sys.stderr)
        import os; os._exit(99)
sys.addaudithook(refuse)
from api.cli_verify import app
app()
"""


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("COUNTERSIGN", "DATABASE"))}
    program = ["-c", OFFLINE] if arguments[0] == "verify" else ["-m", "api.cli_verify"]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        env={**bare, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_commands_go_together(urls: DatabaseUrls, log: RecordedLog, tmp_path: Path) -> None:
    target = tmp_path / "log.jsonl"
    written = command("export", str(target), DATABASE_URL=urls.owner)
    assert (written.returncode, written.stdout) == (0, "")
    assert f"{len(log.rows)} entries up to position {len(log.rows)}" in written.stderr
    printed = command("export", "-", DATABASE_URL=urls.owner)
    assert printed.stdout.encode() == target.read_bytes()

    head = f"{len(log.rows)}:{log.rows[-1].leaf.hex()}"
    verified = command("verify", str(target), "--head", head, "--expect-ledger", ORIGIN)
    assert verified.returncode == 0, verified.stderr
    assert f"valid: {len(log.rows)} entries" in verified.stdout
    assert "witness: nobody else vouches" in verified.stdout
    envelope = first(log, "envelope.created/3").stream
    process = first(log, "signing.process-created/2").stream
    assert re.search(rf"{envelope}-{process} +completed +11 +valid", verified.stdout)
    assert "tamper-proof" not in verified.stdout.lower()

    assert command("verify", str(target), "--head", f"{len(log.rows)}:{'ab' * 32}").returncode == 1
    assert command("verify", str(target), "--expect-ledger", "another").returncode == 1
    assert command("verify", str(target), "--head", "82").returncode == 2
    assert command("verify", str(tmp_path / "nothing")).returncode == 2


def test_a_process_export_tells_what_it_leaves_out(urls: DatabaseUrls, log: RecordedLog, tmp_path: Path) -> None:
    envelope = first(log, "envelope.created/3").stream
    process = first(log, "signing.process-created/2").stream
    target = str(tmp_path / "process.jsonl")
    assert command("export", target, "--process", f"{envelope}-{process}", DATABASE_URL=urls.owner).returncode == 0
    verified = command("verify", target, "--json")
    assert verified.returncode == 0
    report = json.loads(verified.stdout)
    assert report["scope"] == {"kind": "process", "id": f"{envelope}-{process}"}
    assert any("agree with this process was not checked" in line for line in report["absent"])
    assert [stream["processId"] for stream in report["streams"]] == [f"{envelope}-{process}"]


def test_a_tampered_file_is_invalid_and_a_strange_one_unreadable(log: RecordedLog, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = export_file(log.rows).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:12], *lines[13:]]))
    tampered = command("verify", str(path))
    assert tampered.returncode == 1
    assert "missing at position 12, stream" in tampered.stdout
    path.write_text("Dear auditor,\n")
    strange = command("verify", str(path))
    assert strange.returncode == 2
    assert "line 1: not the header of an export" in strange.stderr


def test_unknown_entries_make_a_verdict_indeterminate(tmp_path: Path) -> None:
    log = RecordedLog()
    log.completed()
    log.append(log.uuid(), "another.thing-happened/1", {})
    path = tmp_path / "log.jsonl"
    path.write_bytes(export_file(log.rows))
    verified = command("verify", str(path))
    assert verified.returncode == 2
    assert "replay of 1 entries of the unknown type 'another.thing-happened/1'" in verified.stdout


@pytest.mark.parametrize("arguments", [("--process", "x"), ("--envelope", "x"), ("--envelope", "x", "--template", "x")])
def test_an_id_that_is_none_is_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    refused = command("export", str(tmp_path / "log"), *arguments)
    assert refused.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_database_none_is_made(tmp_path: Path) -> None:
    refused = command("fsck", COUNTERSIGN_DATA=str(tmp_path / "data"))
    assert refused.returncode == 2
    assert "There is no database" in refused.stderr
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_file_that_cannot_be_written_is_told_by_the_name_that_was_given(urls: DatabaseUrls, tmp_path: Path) -> None:
    target = tmp_path / "absent" / "log.jsonl"
    refused = command("export", str(target), DATABASE_URL=urls.service)
    assert refused.returncode == 2
    assert refused.stderr.strip() == f"{target} cannot be written: No such file or directory"
