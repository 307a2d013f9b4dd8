"""What a check found, for people and for programs."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.faults import Fault, Verdict
from domain.ids import ProcessId
from domain.receipt import VERDICTS, Finding, format_receipt
from infrastructure.verification import Report, StreamVerdict

#: Rows that a person may be expected to read; the JSON report has all.
SHOWN_PROCESSES: Final = 40
SHOWN_FAULTS: Final = 50

_COLOURS: Final = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.INDETERMINATE: "yellow"}


def print_report(report: Report) -> None:
    """The report on standard output, in words."""
    # Where there is no terminal, no line is broken: an id must be found whole.
    console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 240)
    _print_faults(console, report)
    _print_streams(console, report)
    print_findings(console, report.receipts)
    console.print("\nChecked:")
    for line in report.checked:
        console.print(f"  - {escape(line)}")
    console.print("Absent:")
    for line in report.absent:
        console.print(f"  - {escape(line)}")
    if report.noted:
        console.print("Noted:")
    for line in report.noted:
        console.print(f"  - {escape(line)}")
    colour = _COLOURS[report.verdict]
    console.print(
        f"\n[{colour}]{report.verdict.value}[/{colour}]: {report.entries:,} entries of {escape(report.ledger)}"
        f" up to position {report.last_position:,}, {len(report.faults):,} faults."
    )


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """What was found of each receipt."""
    for finding in findings:
        colour = _COLOURS[VERDICTS[finding.standing]]
        console.print(f"receipt: [{colour}]{finding.standing.value}[/{colour}]: {escape(finding.reason)}")


def finding_members(finding: Finding) -> dict[str, str]:
    """The members that stand for a finding in a JSON report."""
    return {"receipt": format_receipt(finding.receipt), "standing": finding.standing.value, "reason": finding.reason}


def _print_faults(console: Console, report: Report) -> None:
    shown = 0
    for fault in report.faults:
        if shown == SHOWN_FAULTS:
            break
        shown += 1
        console.print(f"[red]{fault.kind.value}[/red] {escape(_where(fault))}: {escape(fault.detail)}")
    if len(report.faults) > shown:
        console.print(
            f"... and {len(report.faults) - shown:,} more: "
            + ", ".join(f"{n:,} {k.value}" for k, n in report.faults.counts.items())
        )


def _where(fault: Fault) -> str:
    places = []
    if fault.position is not None:
        places.append(f"position {fault.position:,}")
    if fault.line is not None:
        places.append(f"line {fault.line:,}")
    if fault.stream is not None:
        places.append(f"stream {fault.stream}" + (f" version {fault.version}" if fault.version is not None else ""))
    return "at " + ", ".join(places) if places else "somewhere"


def _print_streams(console: Console, report: Report) -> None:
    """Doubtful streams of every kind first, then processes, as far as a screen goes."""
    total = report.processes.total()
    doubtful: list[StreamVerdict] = []
    rest: list[StreamVerdict] = []
    for stream in report.streams():
        if stream.verdict is not Verdict.VALID:
            if len(doubtful) < SHOWN_PROCESSES:
                doubtful.append(stream)
        elif stream.is_process and len(rest) < SHOWN_PROCESSES:
            rest.append(stream)
    rows = (doubtful + rest)[:SHOWN_PROCESSES]
    table = Table("process or stream", "state", "entries", "verdict", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    for stream in rows:
        colour = _COLOURS[stream.verdict]
        verdict = f"[{colour}]{stream.verdict.value}[/{colour}]" + (f" ({escape(stream.reason)})" if stream.reason else "")
        table.add_row(_name(stream), stream.state or "?", f"{stream.entries:,}", verdict)
    if rows:
        console.print(table)
    others = report.verdicts.total() - total
    counts = ", ".join(f"{count:,} {verdict.value}" for verdict, count in sorted(report.processes.items()))
    console.print(
        f"{total:,} processes{f' ({counts})' if counts else ''}; {others:,} other streams (envelopes, templates, erasures)."
    )


def _name(stream: StreamVerdict) -> str:
    if stream.is_process and stream.envelope is not None:
        return str(ProcessId(stream.envelope, stream.stream))
    return str(stream.stream)


def write_json(report: Report, file: TextIO) -> None:
    """The whole report as one JSON object, written piece by piece: a log may have millions of streams."""
    head: dict[str, Any] = {
        "verdict": report.verdict.value,
        "ledger": report.ledger,
        "entries": report.entries,
        "position": report.last_position,
        "scope": None if report.header is None else {"kind": report.header.scope.kind.value, "id": report.header.scope.id},
        "checked": report.checked,
        "absent": report.absent,
        "noted": report.noted,
        "faultCounts": {kind.value: count for kind, count in report.faults.counts.items()},
        "faults": [_fault(fault) for fault in report.faults],
        "receipts": [finding_members(finding) for finding in report.receipts],
        "processCounts": {verdict.value: count for verdict, count in report.processes.items()},
    }
    file.write(json.dumps(head, ensure_ascii=False, indent=2)[:-2] + ',\n  "streams": [')
    separator = "\n    "
    for stream in report.streams():
        file.write(separator + json.dumps(_stream(stream), ensure_ascii=False))
        separator = ",\n    "
    file.write("\n  ]\n}\n")


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "kind": fault.kind.value,
        "position": fault.position,
        "line": fault.line,
        "stream": None if fault.stream is None else str(fault.stream),
        "version": fault.version,
        "detail": fault.detail,
    }


def _stream(stream: StreamVerdict) -> dict[str, Any]:
    return {
        "stream": str(stream.stream),
        "envelope": None if stream.envelope is None else str(stream.envelope),
        "processId": _name(stream) if stream.is_process else None,
        "state": stream.state or None,
        "entries": stream.entries,
        "verdict": stream.verdict.value,
        "reason": stream.reason or None,
    }
