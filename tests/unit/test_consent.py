"""Consents: a text is accepted, holds until it is withdrawn or another text takes its place."""

from datetime import timedelta

from domain import consent
from domain.actor import IdentityMethod, Mode, Provenance
from domain.consent import (
    AcceptDisclosure,
    Consent,
    ConsentAccepted,
    ConsentCommand,
    ConsentFact,
    ConsentWithdrawn,
    DisclosureText,
    WithdrawConsent,
)
from domain.errors import ConsentNotFound
from domain.personal import SubjectKind
from tests.given import NOW, TENANT, Given, digest, personal, uid

ID = uid(900)
FIRST, SECOND = DisclosureText("2026-01-01", digest("one"), "en"), DisclosureText("2026-06-01", digest("two"), "en")
SEEN = Provenance(IdentityMethod.AGENT)


def accepted(text: DisclosureText = FIRST, mode: Mode = Mode.LIVE) -> ConsentAccepted:
    who, how = personal("stk_1", SubjectKind.PERSON, "stk_1"), personal("by mail", SubjectKind.PERSON, "stk_1")
    return ConsentAccepted(TENANT, mode, who, text, True, how, "web_checkbox", None, SEEN)


NEW: Given[ConsentCommand, Consent, ConsentFact] = Given(consent.decide, consent.evolve)
GIVEN = NEW.given(accepted())
WITHDRAWN = GIVEN.given(ConsentWithdrawn(None, SEEN))


def test_a_text_is_accepted_once() -> None:
    assert NEW.when(AcceptDisclosure(ID, accepted())) == (accepted(),)
    assert GIVEN.when(AcceptDisclosure(ID, accepted())) == ()
    assert GIVEN.state is not None
    assert GIVEN.state.covers(FIRST)
    assert GIVEN.state.accepted_at == NOW


def test_another_version_of_the_text_is_not_covered_and_needs_another_consent() -> None:
    assert GIVEN.state is not None
    assert not GIVEN.state.covers(SECOND)
    assert GIVEN.when(AcceptDisclosure(ID, accepted(SECOND))) == (accepted(SECOND),)
    renewed = GIVEN.given(accepted(SECOND)).state
    assert renewed is not None
    assert renewed.covers(SECOND)
    assert not renewed.covers(FIRST)


def test_a_withdrawn_consent_covers_nothing_until_it_is_given_again() -> None:
    assert GIVEN.when(WithdrawConsent(ID, None, SEEN)) == (ConsentWithdrawn(None, SEEN),)
    assert WITHDRAWN.when(WithdrawConsent(ID, None, SEEN)) == ()
    assert WITHDRAWN.state is not None
    assert not WITHDRAWN.state.covers(FIRST)
    assert WITHDRAWN.when(AcceptDisclosure(ID, accepted())) == (accepted(),)
    again = WITHDRAWN.given(accepted(), at=NOW + timedelta(days=1)).state
    assert again is not None
    assert again.covers(FIRST)
    assert again.accepted_at == NOW + timedelta(days=1)


def test_what_was_never_given_cannot_be_withdrawn() -> None:
    assert NEW.refuses(WithdrawConsent(ID, None, SEEN), ConsentNotFound).consent == ID


def test_impossible_histories_are_refused() -> None:
    NEW.cannot_be(ConsentWithdrawn(None, SEEN))
    WITHDRAWN.cannot_be(ConsentWithdrawn(None, SEEN))
    GIVEN.cannot_be(accepted())
    GIVEN.cannot_be(accepted(SECOND, Mode.TEST))
    NEW.cannot_be(accepted(DisclosureText("2026-01-01", "no hash", "en")))
    NEW.cannot_be(accepted(DisclosureText("", digest("x"), "en")))
