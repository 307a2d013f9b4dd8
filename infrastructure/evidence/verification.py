"""Checks a bundle of evidence without the server: no database, no settings, no network (docs/evidence-format.md, "The checks")."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from cryptography.x509 import Certificate

from domain.faults import Verdict
from domain.findings import Check, Finding, counted, in_order, whole
from domain.policy import NONE, Accepted, Policy
from domain.receipt import ReceiptText
from infrastructure.bundle_archive import BundleError
from infrastructure.bundle_format import LIMITS, Content, Limits, Progress, read
from infrastructure.bundle_lines import Disclosed, ErasedBy, Withheld
from infrastructure.evidence.case import Case
from infrastructure.evidence.content_checks import check_disclosures, check_receipts
from infrastructure.evidence.file_checks import check_files
from infrastructure.evidence.log_checks import (
    check_checkpoints,
    check_inclusion,
    check_policy,
    check_quorum,
    check_time,
    cosigners,
    witnessed,
)
from infrastructure.evidence.stream_checks import check_chain, check_completeness, check_history, covered


@dataclass(frozen=True, slots=True)
class Trust:
    """What the verifier has from elsewhere than the bundle. `policy` are the bytes of a tlog-policy file, None if there is none;

    `anchors` the certificates of the time-stamping authorities that it trusts, None if it trusts none.
    """

    policy: bytes | None
    anchors: tuple[Certificate, ...] | None = None
    receipts: tuple[ReceiptText, ...] = ()


@dataclass(frozen=True, slots=True)
class AsOf:
    """What the evidence reaches to, if nothing in it is invalid. None where that was not established.

    `position` is that of the last entry, `size` that of the checkpoint, `complete` the position up to which no entry is
    missing, `witnessed` that up to which a quorum has seen the log; all entries `existed_before` a time.
    """

    position: int
    size: int
    cosigners: tuple[str, ...]
    witnessed: int | None
    complete: int | None
    existed_before: datetime | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found. `ledger`, `envelope` and `process` are None, and `counts` is empty, if there is no bundle at all.

    `as_of` is None if the whole is invalid.
    """

    findings: tuple[Finding, ...]
    ledger: str | None
    envelope: UUID | None
    process: UUID | None
    counts: Mapping[str, int]
    as_of: AsOf | None
    absent: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        return whole(self.findings)


def verify(file: BinaryIO, trust: Trust, progress: Progress = lambda done, total: None, limits: Limits = LIMITS) -> Judgement:
    """Checks the bundle in `file`, which must be seekable; raises OSError alone."""
    checks = [check for check in Check if check is not Check.RECEIPTS or trust.receipts]
    try:
        content = read(file, limits, progress)
    except BundleError as err:
        findings = in_order([Finding(Check.PARSE, Verdict.INVALID, str(err))], checks)
        return Judgement(findings, None, None, None, {}, None, ())
    run = _Run(content, trust)
    findings = in_order(run.findings(), checks)
    about = (content.ledger, content.envelope, content.process)
    as_of = None if whole(findings) is Verdict.INVALID else run.as_of()
    return Judgement(findings, *about, _counts(content), as_of, tuple(run.absent()))


class _Run:
    """One bundle, check by check; what is established on the way is kept for those after it, and for the summary."""

    def __init__(self, content: Content, trust: Trust) -> None:
        self._case = Case(content)
        self._trust = trust
        self._policy: Policy | None = None
        self._accepted: Mapping[int, Accepted] = {}
        self._existed_before: datetime | None = None
        self._complete: int | None = None

    def findings(self) -> Iterator[Finding]:
        """Ends with the first check that leaves nothing for those after it."""
        case, content, trust = self._case, self._case.content, self._trust
        yield Finding(Check.PARSE, Verdict.VALID, "the archive and all that is in it have their form")
        self._policy, finding = check_policy(trust.policy, content.ledger)
        yield finding
        if self._policy is None:
            return
        accepted, finding = check_checkpoints(content, self._policy)
        yield finding
        if finding.verdict is not Verdict.VALID:
            return
        self._accepted = accepted
        last = self._accepted[max(self._accepted)]
        yield check_quorum(self._policy, self._accepted, case.last_of_all)
        self._existed_before, finding = check_time(case, self._accepted, trust.anchors)
        yield finding
        yield check_inclusion(content, last)
        chain = check_chain(case)
        yield chain
        completeness = check_completeness(case)
        recorded = covered(case)
        if recorded is not None and completeness.verdict is not Verdict.INVALID:
            self._complete = recorded.position
        yield completeness
        yield check_history(case, chain)
        yield check_disclosures(case)
        yield check_files(case)
        if trust.receipts:
            yield check_receipts(case, trust.receipts, last.checkpoint.size)

    def as_of(self) -> AsOf | None:
        """To be asked after the findings; None if the checkpoints are not to be believed."""
        if self._policy is None or not self._accepted:
            return None
        seen, last = witnessed(self._policy, self._accepted), max(self._accepted)
        return AsOf(
            position=self._case.last,
            size=last,
            cosigners=tuple(cosigners(self._policy, self._accepted[last if seen is None else seen])),
            witnessed=seen,
            complete=self._complete,
            existed_before=self._existed_before,
        )

    def absent(self) -> Iterator[str]:
        """What the evidence would be stronger with; to be asked after the findings."""
        content, policy, trust = self._case.content, self._policy, self._trust
        if policy is None or not self._accepted:
            yield "a checkpoint that is to be believed: nothing shows whose entries these are"
            return
        if policy.quorum == NONE:
            yield "a witness: the policy asks for none, so whoever holds the ledger's key could have shown others another log"
        elif witnessed(policy, self._accepted) is None:
            yield f"the quorum {policy.quorum!r}: whoever holds the ledger's key could have shown others another log"
        if not content.timestamps:
            yield "trusted time: the times are those of the server's own clock"
        elif trust.anchors is None:
            yield "trusted time: the bundle's time stamps were not checked for want of certificates that you trust (--tsa)"
        if self._existed_before is not None:
            yield "revocation: whether an authority's certificate was revoked cannot be checked without a network"
        if content.heads is None:
            yield "a heads manifest: entries at the end of each stream may have been left out"
        elif self._complete is not None:
            yield f"what happened after position {self._complete:,}: the heads manifest says nothing of it"
        if content.process is not None:
            yield "the other participants: their part was not checked"
        if not self._case.made.isdisjoint(content.documents):
            yield "the seals in the PDFs, which `countersign verify FILE.pdf --bundle` looks at: here only hashes were compared"
        yield from self._left_out()
        if not trust.receipts:
            yield "a receipt that somebody kept (--receipt), to compare these entries with"

    def _left_out(self) -> Iterator[str]:
        counts = _counts(self._case.content)
        for name, what in (("erased", "personal value"), ("withheld", "personal value"), ("documentsWithheld", "document")):
            if counts[name]:
                yield f"{counted(counts[name], what)}, {'erased' if name == 'erased' else 'withheld'}"


def _counts(content: Content) -> dict[str, int]:
    lines = Counter(map(type, content.disclosures))
    return {
        "entries": len(content.entries),
        "ledgerEntries": len(content.ledger_entries),
        "checkpoints": 1 + len(content.earlier),
        "timestamps": len(content.timestamps),
        "disclosed": lines[Disclosed],
        "erased": lines[ErasedBy],
        "withheld": lines[Withheld],
        "documents": len(content.documents),
        "documentsWithheld": len(content.withheld),
    }
