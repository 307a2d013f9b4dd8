"""Erasures and holds on a real database, also at the same moment: what is held when an erasure would be recorded stays."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from domain.entry import decode
from domain.errors import ErasureHeld, IdempotencyKeyReused, SubjectNotFound
from domain.personal import Disclosure, Subject, SubjectKind, person
from domain.retention import Holds, LiftHold, PlaceHold, holds_stream
from infrastructure.append import Answer, SealedDisclosure
from infrastructure.database import DatabaseUrls
from infrastructure.ledger import NO_ANSWER, Key, Ledger, Outcome
from infrastructure.vault import Reference, Vault
from tests.running import KEYS, PARTNER, Person, Running, in_loop, running

ANA, BEN = Person("Ana Example", "ana@example.com"), Person("Ben Example", "ben@example.com")


class Interrupted(Vault):
    """A vault at whose last step before an append something happens, once."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def seal(self, disclosures: Sequence[tuple[Reference, Disclosure]]) -> tuple[SealedDisclosure, ...]:
        if (meanwhile := self.meanwhile) is not None:
            self.meanwhile = None
            await meanwhile()
        return await super().seal(disclosures)


def ana(parts: Running) -> Subject:
    return person(parts.tenant, email=ANA.email, otherwise=UUID(int=0))


async def hold(parts: Running, envelope: UUID | None = None, reason: str = "litigation", tenant: UUID | None = None) -> UUID:
    id = parts.deps.new_id()
    command = PlaceHold(tenant or parts.tenant, id, envelope, reason, None)
    await parts.deps.ledger.handle(command, PARTNER, lambda outcome: NO_ANSWER)
    return id


async def lift(parts: Running, hold: UUID) -> None:
    await parts.deps.ledger.handle(LiftHold(parts.tenant, hold, "settled"), PARTNER, lambda outcome: NO_ANSWER)


async def refused(parts: Running, subject: Subject, ledger: Ledger | None = None) -> UUID:
    """The hold for which the erasure is refused; nothing is destroyed, and nothing recorded."""
    before = await parts.head()
    with pytest.raises(ErasureHeld) as caught:
        await (ledger or parts.deps.ledger).erase(subject, "request", PARTNER)
    assert await parts.deps.vault.subject_id(subject) is not None
    assert before <= await parts.head() <= before + 1  # the hold itself, where it came meanwhile
    return caught.value.hold


def erasures(parts: Running, outcome: Outcome) -> list[int]:
    return [item.receipt.position for item in outcome.recorded]


@in_loop
async def test_what_stands_in_a_held_envelope_or_its_signings_is_not_erased(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        first, other = await parts.send(ANA, BEN, subject="Lease"), await parts.send(BEN)
        await parts.send(ANA)
        kept = await hold(parts, first.id)
        assert await refused(parts, ana(parts)) == kept
        assert await refused(parts, person(parts.tenant, email=BEN.email, otherwise=other.id)) == kept
        assert await refused(parts, Subject(parts.tenant, SubjectKind.ENVELOPE, str(first.id))) == kept
        elsewhere = await hold(parts, other.id)
        await lift(parts, kept)
        await parts.deps.ledger.erase(ana(parts), "request", PARTNER)
        assert await refused(parts, person(parts.tenant, email=BEN.email, otherwise=other.id)) == elsewhere


@in_loop
async def test_a_held_tenant_keeps_everything_and_no_other_tenant_does(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        sent, stranger = await parts.send(ANA, subject="Lease"), await parts.deps.identity.create_tenant("Other Ltd")
        await parts.send(ANA, tenant=stranger)
        await hold(parts, sent.id, tenant=stranger)  # another tenant's envelope: its hold is nothing to this one
        kept = await hold(parts)
        assert await refused(parts, ana(parts)) == kept
        assert await refused(parts, Subject(parts.tenant, SubjectKind.ENVELOPE, str(sent.id))) == kept
        await parts.deps.ledger.erase(person(stranger, email=ANA.email, otherwise=sent.id), "request", PARTNER)
        await lift(parts, kept)
        await parts.deps.ledger.erase(ana(parts), "request", PARTNER)


@in_loop
async def test_a_hold_placed_while_an_erasure_is_being_recorded_refuses_it(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        vault = Interrupted(parts.deps.reads, KEYS)
        ledger = Ledger(parts.deps.recorder, vault, parts.deps.invitations, parts.clock)
        first, second = await parts.send(ANA), await parts.send(BEN)
        placed: list[UUID] = []

        async def place() -> None:
            placed.append(await hold(parts, first.id))

        vault.meanwhile = place  # before there was any hold
        assert [await refused(parts, ana(parts), ledger)] == placed
        await lift(parts, placed[0])
        vault.meanwhile = place  # and after there were some
        assert [await refused(parts, ana(parts), ledger)] == placed[1:]
        await lift(parts, placed[1])
        vault.meanwhile = lambda: hold(parts, second.id)  # of something else: decided again, and done once
        _, outcome = await ledger.erase(ana(parts), "request", PARTNER)
        assert erasures(parts, outcome) == [await parts.head()]


@in_loop
async def test_of_erasures_and_holds_at_once_none_is_recorded_under_a_hold(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        other = Ledger(parts.deps.recorder, parts.deps.vault, parts.deps.invitations, parts.clock)
        outcomes = set()
        for turn in range(12):
            await parts.send(ANA)

            async def place(turn: int = turn) -> UUID:
                await asyncio.sleep(turn % 4 * 0.002)
                return await hold(parts)

            erased, placed = await asyncio.gather(other.erase(ana(parts), "request", PARTNER), place(), return_exceptions=True)
            assert isinstance(erased, tuple | ErasureHeld), erased
            assert isinstance(placed, UUID), placed
            outcomes.add(type(erased))
            await lift(parts, placed)
        held = False
        for stored in await parts.deps.recorder.read_log(0, 1_000):
            held = stored.type == "retention.hold-placed/1" or (held and stored.type != "retention.hold-lifted/1")
            assert not (held and stored.type == "personal.erased/1"), stored.position
        assert outcomes == {tuple, ErasureHeld}


@in_loop
async def test_a_repeated_erasure_gives_the_first_answer_and_destroys_nothing_again(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as parts:
        ledger, key = parts.deps.ledger, Key("scope", "erase", b"Ana")

        def render(outcome: Outcome) -> Answer:
            return Answer(201, "text/plain", str(erasures(parts, outcome)).encode())

        await parts.send(ANA)
        twice = [ledger.erase(ana(parts), "request", PARTNER, render, key=key) for _ in range(2)]
        (one, first), (two, second) = await asyncio.gather(*twice)
        assert one == two
        assert (one.status, one.body) == (201, str([await parts.head()]).encode())
        assert len(first.recorded) + len(second.recorded) == 1
        await parts.send(ANA)  # the person comes back, and is not what the first request was about
        await hold(parts)
        answer, again = await ledger.erase(ana(parts), "request", PARTNER, render, key=key)
        assert (answer, again.recorded) == (one, ())
        assert await parts.deps.vault.subject_id(ana(parts)) is not None
        with pytest.raises(IdempotencyKeyReused):
            await ledger.erase(ana(parts), "request", PARTNER, render, key=Key("scope", "erase", b"Ben"))
        with pytest.raises(SubjectNotFound):
            await ledger.erase(person(parts.tenant, email="b@x.org", otherwise=UUID(int=0)), "request", PARTNER, render)


@in_loop
async def test_holds_are_read_from_the_log_by_whoever_asks(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        placed = [await hold(parts, reason=reason) for reason in ("tax", "litigation")]
        await lift(parts, placed[0])
        other = Ledger(parts.deps.recorder, parts.deps.vault, parts.deps.invitations, parts.clock)
        state = await other.state(Holds, holds_stream(parts.tenant))
        assert state is not None
        assert list(state.placed) == placed[1:]
        entries = [decode(stored.raw) for stored in await parts.deps.recorder.read_stream(holds_stream(parts.tenant))]
        assert [entry.type for entry in entries] == ["retention.hold-placed/1"] * 2 + ["retention.hold-lifted/1"]
        assert entries[1].data["reason"] == "litigation"
