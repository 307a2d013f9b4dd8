"""What checking a bundle of evidence, or a file, finds: one finding for each check, and one verdict for the whole.

docs/evidence-format.md, "The checks"; docs/verifying-files.md.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from domain.faults import Verdict


class Check(StrEnum):
    """The checks of a bundle, in their order."""

    #: The archive, its members and their lines have their form.
    PARSE = "parse"
    #: There is a policy, and it accepts a log of this name.
    POLICY = "policy"
    #: The log signed each checkpoint, and each leads to the next.
    CHECKPOINT = "checkpoint"
    #: As many witnesses have seen the entries as the policy asks for.
    QUORUM = "quorum"
    #: A trusted authority says that the entries existed at its time.
    TIME = "time"
    #: The entries are those that the checkpoint commits to.
    INCLUSION = "inclusion"
    #: Each stream is linked, from its beginning on.
    CHAIN = "chain"
    #: The streams end where the bundle ends.
    COMPLETENESS = "completeness"
    #: What the entries say could have been decided.
    HISTORY = "history"
    #: The personal values are those that were committed to.
    DISCLOSURES = "disclosures"
    #: The documents are those that the entries name.
    FILES = "files"
    #: The entries hold what receipts say that were kept elsewhere. Only where some were given.
    RECEIPTS = "receipts"


class FileCheck(StrEnum):
    """The checks of a file that was made for an envelope, in their order. Those on the entries that name it are of `Check`."""

    #: It is the file whose hash an entry has, and it is of the last form.
    FILE = "file"
    #: It begins with what was sealed.
    BODY = "body"
    #: It has one seal, of the form that seals have, and else only time stamps.
    FORM = "seal-form"
    #: What the seal covers is what was sealed.
    INTEGRITY = "seal-integrity"
    #: The last signature covers the file to its end.
    COVERAGE = "seal-coverage"
    #: After the seal came nothing but time stamps and material to validate it.
    CHANGES = "seal-changes"
    #: The certificate of the seal leads to one that is trusted.
    SIGNER = "seal-signer"
    #: The trusted time of the seal.
    TIME = "seal-time"
    #: The trusted times over the whole file.
    ARCHIVE = "seal-archive"
    #: The certificate of the seal is the one that the entry names.
    CERTIFICATE = "certificate"
    #: Who signed it, by the entries of each signing.
    SIGNATURES = "signatures"


NOT_REACHED: Final = "not reached"


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that a finding rests on. `position` counts from 1 along the log; `name` is that of a member, a stream, a witness."""

    text: str
    position: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says, and why. One that does not count is shown and leaves the verdict of the whole as it is."""

    check: Check | FileCheck
    verdict: Verdict
    reason: str
    details: tuple[Detail, ...] = ()
    counts: bool = True


def weigh(check: Check | FileCheck, wrong: Sequence[Detail], doubtful: Sequence[Detail], otherwise: str) -> Finding:
    """Invalid if something is wrong, indeterminate if something is doubtful, else valid, which `otherwise` puts into words."""
    details = (*wrong, *doubtful)
    if not details:
        return Finding(check, Verdict.VALID, otherwise)
    more = f" (and {len(details) - 1:,} more)" if len(details) > 1 else ""
    reason = details[0].text + more
    return Finding(check, Verdict.INVALID if wrong else Verdict.INDETERMINATE, reason, details)


def counted(number: int, what: str, several: str = "") -> str:
    """A number of things in words: `1 entry`, `1,000 entries`."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def in_order(findings: Iterable[Finding], checks: Collection[Check]) -> tuple[Finding, ...]:
    """One finding for each of `checks`, in their order: a check without one was not reached."""
    found = {finding.check: finding for finding in findings}
    return tuple(found.get(check, Finding(check, Verdict.INDETERMINATE, NOT_REACHED)) for check in Check if check in checks)


def whole(findings: Iterable[Finding]) -> Verdict:
    """Of all of them: invalid if any is; else indeterminate if any that counts is; else valid."""
    found = list(findings)
    if any(finding.verdict is Verdict.INVALID for finding in found):
        return Verdict.INVALID
    doubtful = any(finding.counts and finding.verdict is Verdict.INDETERMINATE for finding in found)
    return Verdict.INDETERMINATE if doubtful else Verdict.VALID
