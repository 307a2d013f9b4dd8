"""What a file is held against: the entries of one envelope, of a ledger at hand or from a bundle, and how far they are to be believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final
from uuid import UUID

from domain.faults import Verdict
from domain.findings import NOT_REACHED, Check, Finding
from domain.note import VerifierKey
from domain.policy import NONE, Log, Policy
from infrastructure.bundle_format import Content, Texts, read
from infrastructure.bundle_lines import EntryLine
from infrastructure.evidence import Trust, verify
from infrastructure.evidence.case import Case, Placed
from infrastructure.evidence.log_checks import check_checkpoints, check_inclusion
from infrastructure.evidence.stream_checks import check_chain, check_history

_NO_TEXTS: Final = Texts(b"", b"", b"", b"")


@dataclass(frozen=True, slots=True)
class Evidence:
    """The entries of an envelope and its signings, in the order of the log; what was found out about them, and what is absent."""

    ledger: str
    envelope: UUID
    entries: Sequence[Placed]
    findings: tuple[Finding, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sealing:
    """A published checkpoint, and by position the proofs that entries are in its tree."""

    note: bytes
    proofs: Mapping[int, tuple[bytes, ...]]


def of_bundle(file: BinaryIO, trust: Trust) -> Evidence:
    """The evidence of a bundle, which is verified wholly; raises BundleError for what is none, OSError."""
    content = read(file)
    judgement = verify(file, trust)
    absent = tuple(f"in the bundle: {each}" for each in judgement.absent)
    return Evidence(content.ledger, content.envelope, Case(content).entries, judgement.findings, absent)


def of_ledger(
    ledger: str, envelope: UUID, lines: Sequence[EntryLine], sealing: Sealing | None, keys: Sequence[VerifierKey]
) -> Evidence:
    """The evidence of a ledger at hand: `lines` are the entries of the envelope and of all its signings.

    They go through the same checks as a bundle's, under the ledger's own keys, without what a bundle needs beside.
    """
    content = Content(
        ledger=ledger,
        envelope=envelope,
        process=None,
        entries=tuple(lines),
        ledger_entries=(),
        disclosures=(),
        heads=None,
        checkpoint=b"" if sealing is None else sealing.note,
        earlier={},
        proofs={} if sealing is None else sealing.proofs,
        timestamps={},
        documents={},
        withheld=(),
        texts=_NO_TEXTS,
    )
    case = Case(content)
    chain = check_chain(case)
    findings = (*_under_checkpoint(content, sealing, keys), chain, check_history(case, chain))
    absent = (
        "a view from outside: entries, keys and proofs are those that this ledger itself has; a bundle and your own policy say more",
    )
    return Evidence(ledger, envelope, case.entries, findings, absent)


def _under_checkpoint(content: Content, sealing: Sealing | None, keys: Sequence[VerifierKey]) -> tuple[Finding, Finding]:
    if sealing is None:
        reason = "no published checkpoint covers the entries yet; a running server or worker signs one within seconds"
        return Finding(Check.CHECKPOINT, Verdict.INDETERMINATE, reason), _not_reached(Check.INCLUSION)
    policy = Policy(tuple(Log(key) for key in keys), (), (), NONE)
    accepted, checkpoint = check_checkpoints(content, policy)
    if checkpoint.verdict is not Verdict.VALID:
        return checkpoint, _not_reached(Check.INCLUSION)
    return checkpoint, check_inclusion(content, accepted[max(accepted)])


def _not_reached(check: Check) -> Finding:
    return Finding(check, Verdict.INDETERMINATE, NOT_REACHED)
