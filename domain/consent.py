"""Consent to electronic records: that a stakeholder accepted a disclosure text, and whether that still holds.

One stream per stakeholder. A consent is to one text (ESIGN section 101(c)(1)): another version of it needs another
consent, and whoever consented may withdraw at any time.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, assert_never
from uuid import UUID

from domain.actor import Mode, Provenance
from domain.errors import ConsentNotFound, ImpossibleHistory
from domain.ids import is_sha256
from domain.personal import Personal, Subject, SubjectKind


def stakeholder_subject(tenant: UUID, stakeholder: str) -> Subject:
    """Whose data a stakeholder's consent is; `stakeholder` is the id by which the organization knows the person."""
    return Subject(tenant, SubjectKind.PERSON, f"stakeholder:{stakeholder}")


@dataclass(frozen=True, slots=True)
class DisclosureText:
    """A text that can be consented to: `sha256` is of its UTF-8 bytes (64 hex digits), `locale` its BCP 47 tag."""

    version: str
    sha256: str
    locale: str


# Facts


@dataclass(frozen=True, slots=True)
class ConsentAccepted:
    """`hardware_capability_affirmed`: that records in this form can be read (ESIGN section 101(c)(1)(C)(ii)).

    `captured_via` and `captured_at` are the word of whoever recorded it.
    """

    TYPE: ClassVar[str] = "consent.accepted/1"
    tenant: UUID
    mode: Mode
    stakeholder: Personal
    text: DisclosureText
    hardware_capability_affirmed: bool
    paper_copy_request_method: Personal
    captured_via: str | None
    captured_at: datetime | None
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    TYPE: ClassVar[str] = "consent.withdrawn/1"
    reason: Personal | None
    provenance: Provenance


ConsentFact = ConsentAccepted | ConsentWithdrawn

# Commands


@dataclass(frozen=True, slots=True)
class AcceptDisclosure:
    """`consent` is the stakeholder's stream."""

    consent: UUID
    accepted: ConsentAccepted


@dataclass(frozen=True, slots=True)
class WithdrawConsent:
    consent: UUID
    reason: Personal | None
    provenance: Provenance


ConsentCommand = AcceptDisclosure | WithdrawConsent

# State


@dataclass(frozen=True, slots=True)
class Consent:
    """A stakeholder's consent as its facts have left it. `text` is the one accepted last."""

    tenant: UUID
    mode: Mode
    text: DisclosureText
    accepted_at: datetime
    withdrawn_at: datetime | None = None

    def covers(self, text: DisclosureText) -> bool:
        """Whether it holds, and for this text."""
        return self.withdrawn_at is None and self.text == text


def decide(command: ConsentCommand, state: Consent | None, now: datetime) -> tuple[ConsentFact, ...]:
    """The facts that follow from `command`; raises a Refusal. `state` is None before the first fact."""
    match command:
        case AcceptDisclosure():
            return () if state is not None and state.covers(command.accepted.text) else (command.accepted,)
        case WithdrawConsent():
            if state is None:
                raise ConsentNotFound(command.consent)
            return () if state.withdrawn_at is not None else (ConsentWithdrawn(command.reason, command.provenance),)
        case _ as unreachable:
            assert_never(unreachable)


def evolve(state: Consent | None, fact: ConsentFact, at: datetime) -> Consent:
    """The state after `fact`; raises ImpossibleHistory if it could not have been decided in `state`."""
    match fact:
        case ConsentAccepted():
            return _accepted(state, fact, at)
        case ConsentWithdrawn():
            if state is None or state.withdrawn_at is not None:
                raise ImpossibleHistory("a consent is withdrawn that was not given")
            return replace(state, withdrawn_at=at)
        case _ as unreachable:
            assert_never(unreachable)


def _accepted(state: Consent | None, fact: ConsentAccepted, at: datetime) -> Consent:
    if not is_sha256(fact.text.sha256) or not fact.text.version:
        raise ImpossibleHistory("consent to a text without a hash or a version")
    if state is not None:
        if state.covers(fact.text):
            raise ImpossibleHistory("the same consent is given twice")
        if (state.tenant, state.mode) != (fact.tenant, fact.mode):
            raise ImpossibleHistory("a stakeholder's consent moves to another tenant or mode")
    return Consent(fact.tenant, fact.mode, fact.text, at)
