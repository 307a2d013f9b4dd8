"""`countersign verify BUNDLE`: a bundle of evidence against the verifier's own policy, for people and for programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from api.cli_progress import progress
from api.cli_receipt import EXIT_CODES, read_receipts
from domain.entry import format_time
from domain.faults import Verdict
from domain.findings import NOT_REACHED, Detail, Finding
from domain.policy import MAX_POLICY_BYTES
from infrastructure.evidence import AsOf, Judgement, Trust, verify
from infrastructure.trusted_time import read_certificates

#: Details that a person may be expected to read of one finding; the JSON has all.
SHOWN_DETAILS: Final = 20

_COLOURS: Final = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.INDETERMINATE: "yellow"}


def verify_bundle(path: Path, policy: Path | None, certificates: Path | None, receipts: Sequence[str], *, as_json: bool) -> int:
    """Checks the bundle and prints what was found; answers the exit code: 0, 1 or 2 for valid, invalid, indeterminate.

    Raises OSError, CertificatesUnusable, ReceiptsUnreadable.
    """
    trust = Trust(
        None if policy is None else read_policy(policy),
        None if certificates is None else read_certificates(certificates),
        read_receipts(receipts),
    )
    with path.open("rb") as file, progress(in_bytes=True) as tell:
        judgement = verify(file, trust, lambda done, total: tell("verify", done, total))
    if as_json:
        sys.stdout.write(json.dumps(_members(path, judgement), indent=2) + "\n")
    else:
        print_judgement(judgement.findings, judgement.absent, judgement.verdict, _sentence(judgement))
    return EXIT_CODES[judgement.verdict]


def read_policy(path: Path) -> bytes:
    """The bytes of a policy's file; raises OSError."""
    with path.open("rb") as file:
        return file.read(MAX_POLICY_BYTES + 1)  # one byte more than a policy can have: then it is refused as one


def print_judgement(findings: Sequence[Finding], absent: Sequence[str], verdict: Verdict, sentence: str) -> None:
    """What was found, what is absent, and the whole in a sentence, on standard output."""
    # Where there is no terminal, no line is broken: an id must be found whole.
    console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 400)
    table = Table("check", "verdict", "", box=None, pad_edge=False)
    for finding in findings:
        coloured = "-" if finding.reason == NOT_REACHED else _coloured(finding.verdict)
        table.add_row(finding.check.value, coloured, _plain(finding.reason))
    console.print(table)
    for line in _lines(findings, absent):
        console.print(line)
    console.print(f"\n{_coloured(verdict)}: {_plain(sentence)}")


def _lines(findings: Sequence[Finding], absent: Sequence[str]) -> Iterator[str]:
    """What follows the table."""
    for finding in findings:
        details = [detail for detail in finding.details if detail.text not in finding.reason]
        if details:
            yield f"\n{finding.check.value}:"
        yield from (f"  - {_plain(detail.text)}" for detail in details[:SHOWN_DETAILS])
        if len(details) > SHOWN_DETAILS:
            yield f"  ... and {len(details) - SHOWN_DETAILS:,} more (--json has all)"
    if absent:
        yield "\nAbsent:"
        yield from (f"  - {_plain(line)}" for line in absent)


def _sentence(judgement: Judgement) -> str:
    if judgement.ledger is None:
        return "this is no bundle of evidence."
    about = f"the envelope {judgement.envelope}"
    if judgement.process is not None:
        about = f"the process {judgement.envelope}-{judgement.process}"
    reached = "" if judgement.as_of is None else ", ".join(_reached(judgement.as_of))
    match judgement.verdict:
        case Verdict.VALID:
            return f"{about} of the ledger {judgement.ledger!r}, {reached}."
        case Verdict.INVALID:
            return (
                f"what this says about {about} is not to be believed: not valid is {named(judgement.findings, Verdict.INVALID)}."
            )
        case Verdict.INDETERMINATE:
            missing = named(judgement.findings, Verdict.INDETERMINATE)
            return f"nothing speaks against this about {about}, but {missing} could not be established; {reached}."


def named(findings: Iterable[Finding], verdict: Verdict) -> str:
    """The checks that ended so, as far as they count."""
    return ", ".join(it.check.value for it in findings if it.verdict is verdict and (it.counts or verdict is Verdict.INVALID))


def _reached(as_of: AsOf) -> Iterator[str]:
    yield f"as of position {as_of.position if as_of.complete is None else as_of.complete:,}"
    yield f"checkpoint of size {as_of.size:,}"
    yield f"cosigned by {', '.join(as_of.cosigners)}" if as_of.cosigners else "cosigned by no witness"
    if as_of.existed_before is not None:
        yield f"existed before {format_time(as_of.existed_before)}"


def _coloured(verdict: Verdict) -> str:
    return f"[{_COLOURS[verdict]}]{verdict.value}[/{_COLOURS[verdict]}]"


def _plain(text: str) -> str:
    """Text that may come out of a bundle, so that it cannot command the terminal or turn the writing around."""
    return escape("".join(it if it.isprintable() else f"\\u{ord(it):04x}" for it in text))


def _members(path: Path, judgement: Judgement) -> dict[str, Any]:
    """docs/evidence-format.md, "The answer of a verifier"."""
    as_of = judgement.as_of
    return {
        "bundle": str(path),
        "verdict": judgement.verdict.value,
        "ledger": judgement.ledger,
        "envelope": None if judgement.envelope is None else str(judgement.envelope),
        "process": None if judgement.process is None else str(judgement.process),
        "counts": judgement.counts,
        "findings": [finding_members(finding) for finding in judgement.findings],
        "as_of": None
        if as_of is None
        else {
            "position": as_of.position,
            "size": as_of.size,
            "cosigners": as_of.cosigners,
            "witnessed": as_of.witnessed,
            "complete": as_of.complete,
            "existed_before": None if as_of.existed_before is None else format_time(as_of.existed_before),
        },
        "absent": judgement.absent,
    }


def finding_members(finding: Finding) -> dict[str, Any]:
    """A finding in a JSON report."""
    return {
        "check": finding.check.value,
        "verdict": finding.verdict.value,
        "reason": finding.reason,
        "counts": finding.counts,
        "details": [_detail(detail) for detail in finding.details],
    }


def _detail(detail: Detail) -> dict[str, Any]:
    return {"text": detail.text, "position": detail.position, "name": detail.name}
