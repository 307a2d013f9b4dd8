"""What the ledger records about itself: never backwards, never twice, never otherwise."""

from dataclasses import replace
from typing import get_args

import pytest

from domain import sealing
from domain.envelope import EnvelopeFact, EnvelopeStatus
from domain.errors import SealingContradicted, SealingKeyUnusable
from domain.note import SignatureType, VerifierKey
from domain.sealing import (
    ENDINGS,
    AddKey,
    HeadsRecorded,
    KeyAdded,
    KeyRetired,
    RecordHeads,
    RecordTimeStamp,
    RecordTimeStampFailure,
    RetireKey,
    Sealing,
    SealingCommand,
    SealingFact,
    StampFact,
    TimeStamped,
    TimeStampFailed,
    TimeStampFault,
    ledger_stream,
)
from domain.signing import SigningFact, SigningStatus
from infrastructure.codec import UPCASTS, current_type
from tests.given import Given, digest

ID = ledger_stream("countersign.test/ledger")
NEW: Given[SealingCommand, Sealing, SealingFact] = Given(sealing.decide, sealing.evolve)
HEADS = HeadsRecorded(10, 4, digest("ten"))
STAMP = TimeStamped(10, digest("root"), "https://tsa.example", digest("token"), "2026-11-20T22:30:00.000000Z")
FAILED = TimeStampFailed(10, "https://tsa.example", TimeStampFault.UNREACHABLE)
KEY, OTHER = (str(VerifierKey("countersign.test/ledger", SignatureType.ED25519, bytes([it]) * 32)) for it in (1, 2))


def test_each_ledger_has_a_stream_of_its_own() -> None:
    assert ledger_stream("countersign.test/ledger") == ID
    assert ledger_stream("countersign.test/other") != ID


def test_heads_are_recorded_once_and_only_of_a_longer_log() -> None:
    longer = HeadsRecorded(12, 4, digest("twelve"))
    assert NEW.when(RecordHeads(ID, HEADS)) == (HEADS,)
    given = NEW.given(HEADS)
    assert given.when(RecordHeads(ID, HEADS)) == ()
    assert given.when(RecordHeads(ID, longer)) == (longer,)
    for other in (replace(HEADS, root=digest("x")), replace(HEADS, streams=5), replace(HEADS, position=9)):
        assert given.refuses(RecordHeads(ID, other), SealingContradicted).recorded == 10
        given.cannot_be(other)
    given.cannot_be(HEADS)


@pytest.mark.parametrize(
    "heads",
    [
        replace(HEADS, root="no hash"),
        replace(HEADS, root=digest("ten").upper()),
        replace(HEADS, streams=0),
        replace(HEADS, streams=11),
        HeadsRecorded(0, 0, digest("")),
    ],
    ids=str,
)
def test_heads_that_no_log_can_have_are_refused(heads: HeadsRecorded) -> None:
    NEW.cannot_be(heads)


def test_streams_do_not_become_fewer() -> None:
    NEW.given(HEADS).cannot_be(HeadsRecorded(12, 3, digest("twelve")))


def asked(stamp: StampFact) -> SealingCommand:
    return RecordTimeStamp(ID, stamp) if isinstance(stamp, TimeStamped) else RecordTimeStampFailure(ID, stamp)


@pytest.mark.parametrize("stamp", [STAMP, FAILED], ids=["stamp", "failure"])
def test_a_time_stamp_or_its_failure_is_recorded_once(stamp: StampFact) -> None:
    assert NEW.when(asked(stamp)) == (stamp,)
    given = NEW.given(stamp)
    assert given.when(asked(stamp)) == ()
    given.cannot_be(stamp)
    later = replace(stamp, size=11)
    assert given.when(asked(later)) == (later,)
    assert given.given(later).when(asked(replace(stamp, size=12))) == (replace(stamp, size=12),)


@pytest.mark.parametrize("stamp", [STAMP, FAILED], ids=["stamp", "failure"])
def test_time_stamps_never_go_back_to_a_smaller_checkpoint(stamp: StampFact) -> None:
    for given in (NEW.given(STAMP), NEW.given(FAILED)):
        smaller = replace(stamp, size=9)
        assert given.refuses(asked(smaller), SealingContradicted).recorded == 10
        given.cannot_be(smaller)


def test_several_authorities_stamp_one_checkpoint_and_a_failure_may_come_between() -> None:
    second = replace(STAMP, authority="https://other.example", token=digest("second"))
    given = NEW.given(STAMP, FAILED)
    assert given.when(RecordTimeStamp(ID, second)) == (second,)
    assert given.given(second).when(RecordTimeStamp(ID, STAMP)) == ()


def test_one_size_has_one_root() -> None:
    fork = replace(STAMP, root=digest("fork"))
    for given in (NEW.given(STAMP), NEW.given(STAMP, FAILED)):
        given.refuses(RecordTimeStamp(ID, fork), SealingContradicted)
        given.cannot_be(fork)
    assert NEW.given(FAILED).when(RecordTimeStamp(ID, STAMP)) == (STAMP,)


@pytest.mark.parametrize(
    "stamp",
    [
        replace(STAMP, root="x"),
        replace(STAMP, token="x"),
        replace(STAMP, time="2026-11-20T22:30:00Z"),
        replace(STAMP, size=0),
        replace(STAMP, authority=""),
        replace(FAILED, size=0),
        replace(FAILED, authority=""),
    ],
    ids=str,
)
def test_a_time_stamp_without_its_parts_is_no_history(stamp: StampFact) -> None:
    NEW.cannot_be(stamp)


def test_a_key_is_added_once_and_retired_once() -> None:
    assert NEW.when(AddKey(ID, KEY)) == (KeyAdded(KEY),)
    given = NEW.given(KeyAdded(KEY))
    assert given.when(AddKey(ID, KEY)) == ()
    assert given.when(AddKey(ID, OTHER)) == (KeyAdded(OTHER),)
    assert given.when(RetireKey(ID, KEY)) == (KeyRetired(KEY),)
    retired = given.given(KeyRetired(KEY))
    assert retired.when(RetireKey(ID, KEY)) == ()
    given.cannot_be(KeyAdded(KEY))
    retired.cannot_be(KeyRetired(KEY))


def test_a_key_never_comes_back_and_only_known_ones_are_retired() -> None:
    retired = NEW.given(KeyAdded(KEY), KeyRetired(KEY))
    assert retired.refuses(AddKey(ID, KEY), SealingKeyUnusable).key == KEY
    retired.cannot_be(KeyAdded(KEY))
    assert NEW.refuses(RetireKey(ID, KEY), SealingKeyUnusable).key == KEY
    NEW.cannot_be(KeyRetired(KEY))
    NEW.cannot_be(KeyAdded("countersign.test/ledger+00000000+AAAA"))


def test_heads_time_stamps_and_keys_do_not_touch_each_other() -> None:
    state = NEW.given(HEADS, STAMP, KeyAdded(KEY), KeyAdded(OTHER), KeyRetired(KEY)).state
    assert state == Sealing(HEADS, 10, frozenset((STAMP,)), frozenset((OTHER,)), frozenset((KEY,)))


def endings(facts: object, statuses: type[EnvelopeStatus] | type[SigningStatus], kind: str) -> set[str]:
    """Types of the facts that bear the name of a final status."""
    final = {f"{kind}.{status.value}/" for status in statuses if status.final}
    return {fact.TYPE for fact in get_args(facts) if fact.TYPE.startswith(tuple(final))}


def test_the_endings_are_the_facts_that_lead_to_a_final_status() -> None:
    signing, envelope = endings(SigningFact, SigningStatus, "signing"), endings(EnvelopeFact, EnvelopeStatus, "envelope")
    assert signing | envelope == ENDINGS
    assert len(signing) == sum(status.final for status in SigningStatus)
    assert len(envelope) == sum(status.final for status in EnvelopeStatus)


def test_no_ending_has_an_older_schema() -> None:
    """Whoever looks for an ending may compare the stored type itself."""
    assert ENDINGS.isdisjoint(current_type(name) for name in UPCASTS)
