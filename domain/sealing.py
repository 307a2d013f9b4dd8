"""What a ledger records about itself: heads of all streams, time stamps of its checkpoints, its signing keys.

One stream per ledger, under an id that follows from the ledger's name. Roots and token hashes are SHA-256, in lower-case
hex; positions count the log's entries from 1, a size is the number of entries that a checkpoint covers.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final, assert_never
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.entry import EntryError, parse_time
from domain.envelope import EnvelopeCancelled, EnvelopeCompleted, EnvelopeDeclined, EnvelopeExpired, EnvelopeFailed
from domain.errors import ImpossibleHistory, SealingContradicted, SealingKeyUnusable
from domain.ids import is_sha256
from domain.note import KeyFormatError, parse_verifier_key
from domain.signing import SigningCancelled, SigningCompleted, SigningDeclined, SigningExpired, SigningFailed

#: The types, as stored, of the facts that end an envelope or a signing.
ENDINGS: Final = frozenset(
    fact.TYPE
    for fact in (
        EnvelopeCompleted,
        EnvelopeDeclined,
        EnvelopeCancelled,
        EnvelopeExpired,
        EnvelopeFailed,
        SigningCompleted,
        SigningDeclined,
        SigningFailed,
        SigningCancelled,
        SigningExpired,
    )
)


def ledger_stream(origin: str) -> UUID:
    """The stream of what the ledger named `origin` records about itself."""
    return uuid5(NAMESPACE_URL, f"countersign:{origin}")


class TimeStampFault(StrEnum):
    """Why a time-stamping authority gave no time stamp that can be used."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    MALFORMED = "malformed"
    MISMATCHED = "mismatched"
    UNTRUSTED = "untrusted"


# Facts


@dataclass(frozen=True, slots=True)
class HeadsRecorded:
    """The heads manifest (`domain.heads`) of the first `position` entries: its root, and how many streams it has."""

    TYPE: ClassVar[str] = "ledger.heads-recorded/1"
    position: int
    streams: int
    root: str


@dataclass(frozen=True, slots=True)
class TimeStamped:
    """A time stamp (RFC 3161) of the checkpoint of `size`, by the authority at that URL.

    `token` is the SHA-256 of the DER TimeStampToken, `time` the token's own, spelled like the time of an entry.
    """

    TYPE: ClassVar[str] = "ledger.time-stamped/1"
    size: int
    root: str
    authority: str
    token: str
    time: str


@dataclass(frozen=True, slots=True)
class TimeStampFailed:
    TYPE: ClassVar[str] = "ledger.time-stamp-failed/1"
    size: int
    authority: str
    reason: TimeStampFault


@dataclass(frozen=True, slots=True)
class KeyAdded:
    """Checkpoints are signed with `key` (a verifier key's one-line form) from now on, beside those before it."""

    TYPE: ClassVar[str] = "ledger.key-added/1"
    key: str


@dataclass(frozen=True, slots=True)
class KeyRetired:
    """Checkpoints are no longer signed with `key`. It never comes back."""

    TYPE: ClassVar[str] = "ledger.key-retired/1"
    key: str


StampFact = TimeStamped | TimeStampFailed
SealingFact = HeadsRecorded | TimeStamped | TimeStampFailed | KeyAdded | KeyRetired

# Commands; `ledger` is the ledger's own stream


@dataclass(frozen=True, slots=True)
class RecordHeads:
    ledger: UUID
    heads: HeadsRecorded


@dataclass(frozen=True, slots=True)
class RecordTimeStamp:
    ledger: UUID
    stamp: TimeStamped


@dataclass(frozen=True, slots=True)
class RecordTimeStampFailure:
    ledger: UUID
    failure: TimeStampFailed


@dataclass(frozen=True, slots=True)
class AddKey:
    ledger: UUID
    key: str


@dataclass(frozen=True, slots=True)
class RetireKey:
    ledger: UUID
    key: str


SealingCommand = RecordHeads | RecordTimeStamp | RecordTimeStampFailure | AddKey | RetireKey

# State


@dataclass(frozen=True, slots=True)
class Sealing:
    """What a ledger has recorded about itself.

    `stamps` are the time stamps and failures of the checkpoint of `size`, the last that an authority was asked about;
    `keys` are in use, `retired` ones were.
    """

    heads: HeadsRecorded | None = None
    size: int = 0
    stamps: frozenset[StampFact] = frozenset()
    keys: frozenset[str] = frozenset()
    retired: frozenset[str] = frozenset()


NOTHING: Final = Sealing()


def decide(command: SealingCommand, state: Sealing | None, now: datetime) -> tuple[SealingFact, ...]:
    """The facts that follow from `command`; raises a Refusal. `state` is None before the first fact."""
    state = state or NOTHING
    match command:
        case RecordHeads():
            if command.heads == state.heads:
                return ()
            if state.heads is not None and command.heads.position <= state.heads.position:
                raise SealingContradicted("heads", state.heads.position)
            return (command.heads,)
        case RecordTimeStamp():
            return _decide_stamp(command.stamp, state)
        case RecordTimeStampFailure():
            return _decide_stamp(command.failure, state)
        case AddKey():
            if command.key in state.retired:
                raise SealingKeyUnusable(command.key)
            return () if command.key in state.keys else (KeyAdded(command.key),)
        case RetireKey():
            if command.key not in state.keys | state.retired:
                raise SealingKeyUnusable(command.key)
            return () if command.key in state.retired else (KeyRetired(command.key),)
        case _ as unreachable:
            assert_never(unreachable)


def _decide_stamp(stamp: StampFact, state: Sealing) -> tuple[StampFact, ...]:
    if stamp.size == state.size and stamp in state.stamps:
        return ()
    if _contradicts(stamp, state):
        raise SealingContradicted("time stamps", state.size)
    return (stamp,)


def evolve(state: Sealing | None, fact: SealingFact, at: datetime) -> Sealing:
    """The state after `fact`; raises ImpossibleHistory if it could not have been decided in `state`."""
    state = state or NOTHING
    match fact:
        case HeadsRecorded():
            before = state.heads or HeadsRecorded(0, 0, "")
            _require(is_sha256(fact.root), "heads without a root")
            _require(fact.position > before.position, "heads of a log that has not grown")
            _require(before.streams <= fact.streams <= fact.position and fact.streams > 0, "the heads cannot be so many")
            return replace(state, heads=fact)
        case TimeStamped():
            _require(
                is_sha256(fact.root) and is_sha256(fact.token) and _is_time(fact.time), "a time stamp without a hash or a time"
            )
            return _evolve_stamp(state, fact)
        case TimeStampFailed():
            return _evolve_stamp(state, fact)
        case KeyAdded():
            _require(_is_key(fact.key), "what is added is not a key")
            _require(fact.key not in state.keys | state.retired, "a key is added twice")
            return replace(state, keys=state.keys | {fact.key})
        case KeyRetired():
            _require(fact.key in state.keys, "a key is retired that is not in use")
            return replace(state, keys=state.keys - {fact.key}, retired=state.retired | {fact.key})
        case _ as unreachable:
            assert_never(unreachable)


def _evolve_stamp(state: Sealing, fact: StampFact) -> Sealing:
    _require(fact.size > 0 and fact.authority != "", "a time stamp of nothing, or by nobody")
    _require(not _contradicts(fact, state), "a time stamp contradicts the one before it")
    _require(fact not in state.stamps, "the same time stamp twice")
    return replace(state, size=fact.size, stamps=(state.stamps if fact.size == state.size else frozenset()) | {fact})


def _contradicts(stamp: StampFact, state: Sealing) -> bool:
    """Whether it is of an older checkpoint than the last, or of another one of the same size."""
    if stamp.size != state.size:
        return stamp.size < state.size
    roots = {each.root for each in (*state.stamps, stamp) if isinstance(each, TimeStamped)}
    return len(roots) > 1


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except EntryError:
        return False
    return True


def _is_key(text: str) -> bool:
    try:
        parse_verifier_key(text)
    except KeyFormatError:
        return False
    return True


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise ImpossibleHistory(sentence)
