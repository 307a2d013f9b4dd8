"""The ledger: a command in, appended facts out.

`handle` loads the state concerned, lets the domain decide, and appends all facts of the decision at
once. When others were faster it decides again on fresh state, a few times, then refuses as a conflict.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, TypeVar, cast
from uuid import UUID
from weakref import WeakValueDictionary

from domain import coordination, erasure
from domain.actor import Actor
from domain.entry import decode
from domain.envelope import Envelope
from domain.erasure import ErasedEntry, EraseSubject
from domain.errors import (
    Conflict,
    CreditsInsufficient,
    ErasureHeld,
    IdempotencyKeyReused,
    IdempotentAnswerErased,
    Refusal,
    SubjectNotFound,
)
from domain.personal import Subject
from domain.retention import Holds, holds_stream
from domain.signing import Signing
from infrastructure.aggregates import BY_COMMAND, Command, State, belongs, evolve, stream_of, streams_named
from infrastructure.append import (
    Answer,
    AnswerErased,
    Append,
    CreditDebit,
    CreditsExhausted,
    Erasure,
    Idempotency,
    KeyReused,
    Receipt,
    StaleAppend,
)
from infrastructure.clock import Clock
from infrastructure.codec import Fact, decode_fact
from infrastructure.decision import Decided, Loaded, steps_of, stream_appends, tenant_of, unknown
from infrastructure.invitation_mint import InvitationMint
from infrastructure.receipts import note, spell
from infrastructure.recorder import Recorder, StoredEntry
from infrastructure.vault import Vault

#: How often a command is decided again when others changed its streams first.
ATTEMPTS: Final = 6

#: States kept in the process; the expected version guards every append, so a stale one does no harm.
CACHED_STATES: Final = 20_000

#: An envelope with more entries is read when it is needed, and only once.
LONGEST_READ_ALONG: Final = 100

S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fact with its place in the log."""

    fact: Fact
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command: the facts as recorded, and the states after them by stream."""

    recorded: tuple[Recorded, ...]
    states: Mapping[UUID, State]

    def state(self, kind: type[S], stream: UUID) -> S:
        """The state of a stream that the command loaded or made; LookupError if it did neither."""
        state = self.states[stream]
        if not isinstance(state, kind):
            raise LookupError(f"{stream} is not a {kind.__name__}")
        return state


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key as a surface received it; see `append.Idempotency` for its parts."""

    scope: str
    key: str
    request: bytes

    @property
    def request_hash(self) -> bytes:
        return sha256(self.request).digest()


#: Makes a surface's answer from the outcome. With an idempotency key it runs inside the transaction.
Render = Callable[[Outcome], Answer]


def _outcome(decided: Decided, receipts: Sequence[Receipt]) -> Outcome:
    """What came of a decision; without receipts, its facts did not need to be recorded."""
    states = {stream: item.state for stream, item in decided.loaded.items() if item.state is not None}
    recorded = []
    for step, receipt in zip(decided.steps, receipts, strict=True):
        states[step.stream] = evolve(states.get(step.stream), step.fact, receipt.at)
        recorded.append(Recorded(step.fact, receipt))
    return Outcome(tuple(recorded), states)


class Ledger:
    """Commands to facts. One per process; safe to use from many tasks of one event loop."""

    def __init__(self, recorder: Recorder, vault: Vault, invitations: InvitationMint, clock: Clock) -> None:
        self._recorder = recorder
        self._vault = vault
        self._invitations = invitations
        self._clock = clock
        self._cache: OrderedDict[UUID, tuple[Receipt, State]] = OrderedDict()
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def handle(self, command: Command, by: Actor, render: Render, *, key: Key | None = None, credits: int = 0) -> Answer:
        """Decides and appends, then renders the answer; with a key seen before, gives the first answer.

        The answer gets the receipts of the heads that the command left, and so does the answer to the present request.
        `credits` are taken from the tenant's balance in the same transaction. Raises a Refusal, and
        RecorderUnavailable when the database cannot be reached.
        """
        try:
            answer = await self._decide_and_append(command, by, render, key, credits)
        except Refusal:
            # A repeat that would be refused now, because the first request did what it asked for. One
            # that would not be refused is recognised by the recorder, in the transaction.
            if key is not None and (first := await self.answered(key)) is not None:
                return first
            raise
        note(answer.receipts)
        return answer

    async def erase(
        self, subject: Subject, ground: str, by: Actor, render: Render | None = None, *, key: Key | None = None
    ) -> tuple[Answer, Outcome]:
        """Destroys what is stored about `subject`, records that, and renders the answer.

        A key seen before gives the first answer, and an outcome without facts. Raises SubjectNotFound, ErasureHeld, other
        Refusals as `handle`, and RecorderUnavailable.
        """
        try:
            return await self._erase(subject, ground, by, render, key)
        except Refusal:
            if key is not None and (first := await self.answered(key)) is not None:
                return first, Outcome((), {})
            raise

    async def _erase(
        self, subject: Subject, ground: str, by: Actor, render: Render | None, key: Key | None
    ) -> tuple[Answer, Outcome]:
        for _ in range(ATTEMPTS):
            identity = await self._vault.subject_id(subject)
            if identity is None:
                raise SubjectNotFound
            references = await self._vault.references_of(identity)
            places = dict.fromkeys(ErasedEntry(place.stream, place.version) for place in references)
            command = EraseSubject(subject.tenant, identity, ground, tuple(places))
            now = self._clock.now()
            held = await self._holds(subject.tenant, {place.stream for place in places}, now)
            loaded = {identity: unknown(), **held}
            facts = erasure.decide(command, None, now)
            # The count makes the erasure stale if anything about the subject was stored since, `held` if a hold was placed.
            erase = (Erasure(identity, len(references)),)
            decided = Decided(steps_of({identity: facts}, loaded), loaded, (identity,), now, None, erase, tuple(held))
            try:
                with _refusals():
                    answer, outcome = await self._append(decided, by, render, key)
            except StaleAppend:
                continue
            note(answer.receipts)
            self._vault.forget([subject])
            return answer, outcome
        raise Conflict

    async def _holds(self, tenant: UUID, streams: Collection[UUID], now: datetime) -> dict[UUID, Loaded]:
        """The tenant's holds, by their stream; raises ErasureHeld if one forbids to erase what stands in `streams`."""
        loaded = await self._load([holds_stream(tenant)], Holds, fresh=True)
        (holds,) = (cast(Holds | None, item.state) for item in loaded.values())
        in_force = () if holds is None else holds.in_force(now)
        # Read after `streams` was: whichever signing has something in there, its envelope knows of it by now.
        held = await self._load([hold.envelope for hold in in_force if hold.envelope is not None], Envelope, fresh=True)
        for hold in in_force:
            envelope = None if hold.envelope is None else cast(Envelope | None, held[hold.envelope].state)
            slots = () if envelope is None else envelope.slots
            if hold.envelope is None or hold.envelope in streams or any(who in streams for who in slots):
                raise ErasureHeld(hold.id, hold.reason, hold.until)
        return loaded

    async def state(self, kind: type[S], stream: UUID) -> S | None:
        """The present state of a stream, read from the log itself; None if there is no such aggregate."""
        found = (await self._load([stream], kind, fresh=True))[stream].state
        return found if isinstance(found, kind) else None

    async def signing(self, participant: UUID) -> Signing | None:
        """The present state of a signing. Its envelope's is read with it, for the command that is likely to follow."""
        if participant in self._cache:
            return await self.state(Signing, participant)
        entries = await self._recorder.read_signing(participant, LONGEST_READ_ALONG)
        known = {stored.stream: unknown() for stored in entries}
        self._fold(entries, known, {stream: Signing if stream == participant else Envelope for stream in known})
        found = known[participant].state if participant in known else None
        return found if isinstance(found, Signing) else None

    async def answered(self, key: Key) -> Answer | None:
        """The first answer under a key, None if it is new; raises IdempotencyKeyReused, IdempotentAnswerErased.

        For what has to be looked up before a command can be made, and may have changed since the first time.
        """
        with _refusals():
            first = await self._recorder.answered(key.scope, key.key, key.request_hash)
        if first is not None:
            note(first.receipts)
        return first

    async def _decide_and_append(self, command: Command, by: Actor, render: Render, key: Key | None, credits: int) -> Answer:
        answer = await self._attempt(command, by, render, key, credits, fresh=False)
        if answer is None:
            # Those who come second take turns. All at once they would collide again, one winning each time.
            async with self._turn(command):
                for _ in range(ATTEMPTS - 1):
                    answer = await self._attempt(command, by, render, key, credits, fresh=True)
                    if answer is not None:
                        break
        if answer is None:
            raise Conflict
        return answer

    def _turn(self, command: Command) -> asyncio.Lock:
        """Held by the one task of this process that decides again for an aggregate."""
        return self._turns.setdefault(stream_of(command), asyncio.Lock())

    async def _attempt(
        self, command: Command, by: Actor, render: Render, key: Key | None, credits: int, *, fresh: bool
    ) -> Answer | None:
        """One decision and its append; None if it has to be decided again on fresh state."""
        loaded: dict[UUID, Loaded] = {}
        try:
            decided = await self._decide(command, loaded, fresh=fresh)
        except Refusal:
            if any(item.cached for item in loaded.values()):
                return None
            raise
        if not decided.steps and any(item.cached for item in loaded.values()):
            # Nothing to do on a state that may be old: with no entry to append, no expected version tells.
            return None
        try:
            with _refusals():
                answer, _ = await self._append(decided, by, render, key, credits)
        except StaleAppend:
            for stream in loaded:
                self._cache.pop(stream, None)
            self._vault.forget(disclosure.subject for _, disclosure in decided.disclosures)
            return None
        return answer

    async def _decide(self, command: Command, loaded: dict[UUID, Loaded], *, fresh: bool) -> Decided:
        """Fills `loaded` with what the decision rests on, also when it raises a Refusal."""
        now = self._clock.now()
        if isinstance(command, coordination.CreateEnvelope) and not fresh:
            # Its ids are new, so there is nothing to read; if they were not, the append would be stale.
            loaded.update((stream, unknown()) for stream in (command.envelope, *command.processes))
        about = streams_named(command)
        if not isinstance(command, coordination.PackageCommand):
            aggregate, (stream,) = BY_COMMAND[type(command)], about
            loaded.update(await self._load([stream], aggregate.state, fresh=fresh))
            return Decided(steps_of({stream: aggregate.decide(command, loaded[stream].state, now)}, loaded), loaded, about, now)
        if command.envelope not in loaded:
            loaded.update(await self._load([command.envelope], Envelope, fresh=fresh))
        envelope = cast(Envelope | None, loaded[command.envelope].state)
        needs = coordination.needs(command, envelope)
        missing = [stream for stream in needs.signings if stream not in loaded]
        loaded.update(await self._load(missing, Signing, fresh=fresh))
        package = coordination.Package(envelope, {who: cast(Signing | None, loaded[who].state) for who in needs.signings})
        invitations = tuple(self._invitations.invitation(now) for _ in range(needs.invitations))
        decision = coordination.decide(command, package, now, invitations)
        return Decided(steps_of(decision.facts, loaded), loaded, about, now, decision.not_after)

    async def _load(self, streams: Sequence[UUID], kind: type[Any], *, fresh: bool) -> dict[UUID, Loaded]:
        loaded: dict[UUID, Loaded] = {}
        known: dict[UUID, Loaded] = {}
        for stream in streams:
            head, state = self._cache.get(stream, (None, None))
            if not isinstance(state, kind):
                known[stream] = unknown()
            elif fresh:  # entries never change, so what came since is all there is to read
                known[stream] = Loaded(head, state, cached=False)
            else:
                loaded[stream] = Loaded(head, state, cached=True)
        if known:
            newer = await self._recorder.read_newer({stream: item.version for stream, item in known.items()})
            self._fold(newer, known, dict.fromkeys(known, kind))
            loaded.update(known)
        return loaded

    def _fold(self, entries: Iterable[StoredEntry], known: dict[UUID, Loaded], kinds: Mapping[UUID, type[Any]]) -> None:
        """Takes `known` on through entries that follow it. Another kind of aggregate counts as no entries: the command names none."""
        for stored in entries:
            entry = decode(stored.raw)
            fact = decode_fact(entry.type, entry.data, entry.personal)
            if belongs(fact, kinds[stored.stream]):
                item = known[stored.stream]
                item.state = evolve(item.state, fact, entry.at)
                item.head = Receipt(stored.stream, stored.version, stored.position, stored.leaf, entry.at)
        for item in known.values():
            if item.head is not None and item.state is not None:
                self._remember(item.head, item.state)

    def _remember(self, head: Receipt, state: State) -> None:
        self._cache[head.stream] = (head, state)
        self._cache.move_to_end(head.stream)
        if len(self._cache) > CACHED_STATES:
            self._cache.popitem(last=False)

    async def _append(
        self, decided: Decided, by: Actor, render: Render | None = None, key: Key | None = None, credits: int = 0
    ) -> tuple[Answer, Outcome]:
        made: list[Outcome] = []

        def answer(receipts: Sequence[Receipt]) -> Answer:
            made.append(_outcome(decided, receipts))
            rendered = NO_ANSWER if render is None else render(made[-1])
            return replace(rendered, receipts=spell(self._recorder.ledger, decided.heads(receipts), decided.about))

        if not decided.steps and key is None:
            return answer(()), made[-1]
        appended = await self._recorder.append(
            Append(
                streams=stream_appends(decided, by),
                now=decided.now,
                not_after=decided.not_after,
                disclosures=await self._vault.seal(decided.disclosures),
                idempotency=None if key is None else Idempotency(key.scope, key.key, key.request_hash, answer),
                debit=CreditDebit(tenant_of(decided), credits) if credits and decided.steps else None,
                erase=decided.erase,
            )
        )
        if appended.repeated and appended.answer is not None:
            return appended.answer, Outcome((), {})
        rendered = appended.answer or answer(appended.receipts)
        outcome = made[-1]
        for receipt in appended.receipts:
            self._remember(receipt, outcome.states[receipt.stream])
        return rendered, outcome


@contextmanager
def _refusals() -> Iterator[None]:
    """What the recorder refuses, in the words of the domain; a stale append is none of it, since it is decided again."""
    try:
        yield
    except KeyReused as err:
        raise IdempotencyKeyReused from err
    except AnswerErased as err:
        raise IdempotentAnswerErased from err
    except CreditsExhausted as err:
        raise CreditsInsufficient from err


#: For commands of the ledger itself, which no client waits for.
NO_ANSWER: Final = Answer(204, "text/plain", b"")
