"""What was found out about a sealed PDF: which checks there are, and how each ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from infrastructure.pdf_seal.profile import Profile


class Check(StrEnum):
    """What is checked. Those that a file gives no occasion for are left out."""

    #: The file opens, and has one seal, of the form that seals have, and else only time stamps.
    FORM = "form"
    #: What the seal covers is what was sealed, and its signature is by the key of its certificate.
    INTEGRITY = "integrity"
    #: The last signature covers the file to its end.
    COVERAGE = "coverage"
    #: After the seal came nothing but time stamps and material to validate it.
    CHANGES = "changes"
    #: The certificate leads to a trusted root, and was valid and not revoked.
    SIGNER = "signer"
    #: The trusted time of the seal.
    TIME = "time"
    #: The trusted times over the file, in order.
    ARCHIVE = "archive"


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    #: Neither: what would decide it is not at hand.
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one check ended, and in `detail` what was seen, for people."""

    check: Check
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Findings:
    """All findings, and what the file says of itself; after a failed FORM that is not there.

    `signer` (RFC 4514), `certificate` (SHA-256 in hex) and `claimed` are as true as the checks say; `stamped` and `archived`
    are times that were verified, and `profile` is what was reached by what was verified.
    """

    findings: tuple[Finding, ...]
    profile: Profile | None = None
    signer: str | None = None
    certificate: str | None = None
    claimed: datetime | None = None
    stamped: datetime | None = None
    archived: tuple[datetime, ...] = ()

    @property
    def verdict(self) -> Outcome:
        """The worst outcome."""
        outcomes = {each.outcome for each in self.findings}
        return next(outcome for outcome in (Outcome.FAILED, Outcome.INDETERMINATE, Outcome.PASSED) if outcome in outcomes)

    def outcome(self, check: Check) -> Outcome | None:
        """How a check ended, None if there was no occasion for it."""
        return next((each.outcome for each in self.findings if each.check is check), None)

    def as_json(self) -> dict[str, Any]:
        """As JSON has it; `from_json` is the way back."""
        return {
            "findings": [[each.check, each.outcome, each.detail] for each in self.findings],
            "profile": self.profile,
            "signer": self.signer,
            "certificate": self.certificate,
            "claimed": self.claimed and self.claimed.isoformat(),
            "stamped": self.stamped and self.stamped.isoformat(),
            "archived": [each.isoformat() for each in self.archived],
        }


def from_json(answer: Mapping[str, Any]) -> Findings:
    """Findings, from what may be anything; raises ValueError, TypeError or LookupError if it is none."""
    found = tuple(Finding(Check(check), Outcome(outcome), _text(detail)) for check, outcome, detail in answer["findings"])
    if not found or found[0].check is not Check.FORM:
        raise ValueError("findings without the first check")
    return Findings(
        found,
        profile=None if answer["profile"] is None else Profile(answer["profile"]),
        signer=None if answer["signer"] is None else _text(answer["signer"]),
        certificate=None if answer["certificate"] is None else _text(answer["certificate"]),
        claimed=_time(answer["claimed"]),
        stamped=_time(answer["stamped"]),
        archived=tuple(time for each in answer["archived"] if (time := _time(each))),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time
