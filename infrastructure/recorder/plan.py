"""What one transaction will write: the commands of a batch, one after the other, on the state read under the lock.

Pure, so it can be tested without a database: planning many commands at once gives what planning
them one by one would. A command that cannot happen leaves no trace and the others go on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from domain.entry import NO_PREVIOUS, format_time, leaf_hash
from infrastructure.append import (
    Answer,
    AnswerErased,
    Appended,
    CreditsExhausted,
    Idempotency,
    KeyReused,
    Receipt,
    SealedDisclosure,
    StaleAppend,
)
from infrastructure.recorder.command import Command


class Head(NamedTuple):
    """The last entry of a stream."""

    version: int
    leaf: bytes


class KeptAnswer(NamedTuple):
    """A stored idempotency record; `answer` is None once it has been erased."""

    request_hash: bytes
    answer: Answer | None

    @classmethod
    def of(cls, request_hash: bytes, status: int, media_type: str, body: bytes | None, receipts: str) -> "KeptAnswer":
        """From the table's columns; `body` is null once it has been erased."""
        return cls(request_hash, None if body is None else Answer(status, media_type, body, receipts))


@dataclass(slots=True)
class State:
    """What was read under the lock, as far as the batch concerns it, moved along by each planned command.

    `position` and `at` are those of the log's last entry, `subjects` those that exist, `credits` the
    balances of tenants that have one, `disclosures` how many there are of each subject to be erased.
    """

    position: int
    at: datetime
    heads: dict[UUID, Head] = field(default_factory=dict)
    answers: dict[tuple[str, str], KeptAnswer] = field(default_factory=dict)
    subjects: set[UUID] = field(default_factory=set)
    disclosures: dict[UUID, int] = field(default_factory=dict)
    credits: dict[UUID, int] = field(default_factory=dict)


class Row(NamedTuple):
    """One row of the log."""

    position: int
    stream: UUID
    version: int
    type: str
    leaf: bytes
    raw: bytes


class AnswerRow(NamedTuple):
    """One row of the idempotency table."""

    idempotency: Idempotency
    answer: Answer
    streams: list[UUID]
    at: datetime


@dataclass(slots=True)
class Plan:
    """One outcome per command, in order, and everything the transaction writes.

    `erase` are subjects to be destroyed before the answers are stored.
    """

    position: int
    at: datetime
    outcomes: list[Appended | Exception] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    disclosures: list[SealedDisclosure] = field(default_factory=list)
    answers: list[AnswerRow] = field(default_factory=list)
    debits: dict[UUID, int] = field(default_factory=dict)
    erase: list[UUID] = field(default_factory=list)

    def writes_nothing(self) -> bool:
        return not (self.rows or self.disclosures or self.answers or self.debits or self.erase)


def plan(commands: Iterable[Command], state: State, now: datetime) -> Plan:
    """Decides each command in turn against `state`, which it changes. `now` is the time under the lock.

    A command that erases is the only one of its batch, so its order against the others is that of the transactions.
    """
    made = Plan(state.position, state.at)
    for command in commands:
        try:
            made.outcomes.append(_place(command, state, now, made))
        # The command's own: an AppendError, or whatever making its answer raised.
        except Exception as refusal:  # noqa: BLE001
            made.outcomes.append(refusal)
    made.position, made.at = state.position, state.at
    return made


def _place(command: Command, state: State, now: datetime, made: Plan) -> Appended:
    """Everything that may raise comes before the first change of `state` or `made`."""
    key = command.idempotency
    if key is not None:
        kept = state.answers.get((key.scope, key.key))
        if kept is not None:
            return Appended((), repeated(kept, key.request_hash), repeated=True)
    at = max(now, command.now, state.at)
    heads = _expected_heads(command, state, at)
    _check_balance(command, state)

    rows, receipts = _rows(command, state.position, at, heads)
    answer = key.answer(receipts) if key is not None else None
    if key is not None and answer is not None:
        made.answers.append(AnswerRow(key, answer, list(command.expected), at))
        state.answers[key.scope, key.key] = KeptAnswer(key.request_hash, answer)
    if rows:
        state.position, state.at = rows[-1].position, at
        state.heads.update(heads)
        made.rows += rows
    made.disclosures += command.disclosures
    if command.debit is not None and command.debit.tenant in state.credits:
        state.credits[command.debit.tenant] -= command.debit.credits
        made.debits[command.debit.tenant] = made.debits.get(command.debit.tenant, 0) + command.debit.credits
    made.erase += [erasure.subject for erasure in command.erase]
    return Appended(tuple(receipts), answer)


def repeated(kept: KeptAnswer, request_hash: bytes) -> Answer:
    """The first answer, for a repeat; raises KeyReused for another request, AnswerErased if it is not kept any more."""
    if kept.request_hash != request_hash:
        raise KeyReused("this idempotency key was used before with another request")
    if kept.answer is None:
        raise AnswerErased("the first answer under this idempotency key has been erased")
    return kept.answer


def _expected_heads(command: Command, state: State, at: datetime) -> dict[UUID, Head]:
    """The heads of the command's streams, those of new ones missing; raises StaleAppend if anything is not as decided upon."""
    heads: dict[UUID, Head] = {}
    if command.not_after is not None and at > command.not_after:
        raise StaleAppend(f"it was allowed until {format_time(command.not_after)}, and it is {format_time(at)}")
    for stream, expected in command.expected.items():
        head = state.heads.get(stream)
        if head is None:
            if expected.version != 0 and not expected.or_new:
                raise StaleAppend(f"stream {stream} does not exist, expected version {expected.version}", stream)
        elif head.version != expected.version:
            raise StaleAppend(f"stream {stream} is at version {head.version}, expected {expected.version}", stream)
        else:
            heads[stream] = head
    for disclosure in command.disclosures:
        if disclosure.subject not in state.subjects:
            raise StaleAppend(f"subject {disclosure.subject} does not exist any more", disclosure.stream)
    for erasure in command.erase:
        if erasure.subject not in state.subjects or state.disclosures.get(erasure.subject, 0) != erasure.disclosures:
            raise StaleAppend(f"subject {erasure.subject} does not have {erasure.disclosures} disclosures any more")
    return heads


def _check_balance(command: Command, state: State) -> None:
    debit = command.debit
    if debit is not None and debit.credits > state.credits.get(debit.tenant, debit.credits):
        raise CreditsExhausted(f"the balance is {state.credits[debit.tenant]}, {debit.credits} are needed")


def _rows(command: Command, position: int, at: datetime, heads: dict[UUID, Head]) -> tuple[list[Row], list[Receipt]]:
    """The command's entries behind `position`; moves `heads` along."""
    spelled_at = _spell_time(at)
    rows: list[Row] = []
    receipts: list[Receipt] = []
    for stream, version, type_, draft in command.entries:
        before = heads.get(stream)
        raw = draft.place(spelled_at, before.leaf if before else NO_PREVIOUS)
        leaf = leaf_hash(raw)
        position += 1
        heads[stream] = Head(version, leaf)
        rows.append(Row(position, stream, version, type_, leaf, raw))
        receipts.append(Receipt(stream, version, position, leaf, at))
    return rows, receipts


#: Most commands of a batch have the same time.
_spell_time = lru_cache(maxsize=16)(format_time)


class Concerned(NamedTuple):
    """Streams, idempotency scopes and keys, subjects, subjects to be erased, and tenants, in the order that they are locked in."""

    streams: list[UUID]
    keys: list[tuple[str, str]]
    subjects: list[UUID]
    erase: list[UUID]
    tenants: list[UUID]


def concerned(commands: Sequence[Command]) -> Concerned:
    """What `State` must hold for a batch."""
    streams: dict[UUID, None] = {}
    keys: dict[tuple[str, str], None] = {}
    subjects: dict[UUID, None] = {}
    erase: dict[UUID, None] = {}
    tenants: dict[UUID, None] = {}
    for command in commands:
        streams.update(dict.fromkeys(command.expected))
        if command.idempotency is not None:
            keys[command.idempotency.scope, command.idempotency.key] = None
        subjects.update((disclosure.subject, None) for disclosure in command.disclosures)
        erase.update((erasure.subject, None) for erasure in command.erase)
        if command.debit is not None:
            tenants[command.debit.tenant] = None
    return Concerned(list(streams), list(keys), list(subjects | erase), list(erase), sorted(tenants))
