"""Whether personal values are those that the entries commit to, and what receipts say of the entries."""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from domain.erasure import ErasedEntry
from domain.faults import Verdict
from domain.findings import Check, Detail, Finding, counted, weigh
from domain.personal import discloses
from domain.receipt import VERDICTS, ReceiptText, compare_with_entries
from infrastructure.bundle_lines import Disclosed, DisclosureLine, ErasedBy, Withheld
from infrastructure.evidence.case import Case, Placed


def check_disclosures(case: Case) -> Finding:
    """Whether every personal value is there and the one committed to, or erased by an entry, or said to be withheld."""
    commitments = {(position, path): it for position, entry, _ in case.entries for path, it in entry.personal.items()}
    placed = {each.position: each for each in case.entries}
    lines = case.content.disclosures
    wrong: list[Detail] = []
    for line in lines:
        commitment = commitments.pop((line.position, line.path), None)
        if commitment is None:
            fault: str | None = "nothing there is committed to"
        else:
            fault = _fault(case, line, placed[line.position], commitment)
        if fault is not None:
            wrong.append(
                Detail(
                    f"the personal value {line.path} of the entry at position {line.position}: {fault}", line.position, line.path
                )
            )
    missing = [
        Detail(f"nothing is said of the personal value {path} of the entry at position {p}", p, path) for p, path in commitments
    ]
    said = [f"{counted(sum(isinstance(line, Disclosed) for line in lines), 'value')} as committed to"]
    set_aside = [line for line in lines if not isinstance(line, Disclosed)]
    if erased := sum(isinstance(line, ErasedBy) for line in lines):
        said.append(f"{erased:,} erased")
    if withheld := sum(isinstance(line, Withheld) for line in lines):
        said.append(f"{withheld:,} withheld")
    finding = weigh(Check.DISCLOSURES, wrong, missing, ", ".join(said))
    named = tuple(Detail(_put(line), line.position, line.path) for line in set_aside)
    return replace(finding, details=finding.details + named)


def _put(line: ErasedBy | Withheld) -> str:
    where = f"{line.path} of the entry at position {line.position}"
    return f"{where} is withheld" if isinstance(line, Withheld) else f"{where} was erased by the entry at position {line.erased}"


def _fault(case: Case, line: DisclosureLine, placed: Placed, commitment: str) -> str | None:
    match line:
        case Disclosed():
            return None if discloses(line.value, line.salt, commitment) else "it is not the value that was committed to"
        case ErasedBy():
            erased = ErasedEntry(placed.entry.stream, placed.entry.version)
            if erased in case.erasures.get(line.erased, ()):
                return None
            return f"the entry at position {line.erased} does not say that it was erased"
        case Withheld():
            return None
        case _ as unreachable:
            assert_never(unreachable)


def check_receipts(case: Case, receipts: Sequence[ReceiptText], size: int) -> Finding:
    """Whether the entries hold what receipts say. A bundle has all entries of its streams up to the checkpoint's `size`."""
    entries = {(each.entry.stream, each.entry.version): (each.position, each.leaf) for each in case.entries}
    found = [compare_with_entries(receipt, entries, size, ledger=case.content.ledger) for receipt in receipts]
    details = {
        verdict: [
            Detail(each.reason, each.receipt.position, str(each.receipt.stream))
            for each in found
            if VERDICTS[each.standing] is verdict
        ]
        for verdict in Verdict
    }
    held = f"the entries hold what {counted(len(found), 'receipt')} said"
    return weigh(Check.RECEIPTS, details[Verdict.INVALID], details[Verdict.INDETERMINATE], held)
