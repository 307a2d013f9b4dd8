"""Commands to facts on a real database: conflicts, stale caches, repeats, credits, erasure."""

import asyncio
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from domain.actor import Actor, ActorKind, IdentityMethod, Mode, Provenance
from domain.coordination import CancelEnvelope, ExpireEnvelope, Participate, SendEnvelope
from domain.entry import decode
from domain.envelope import Envelope, EnvelopeStatus, OrderMode
from domain.errors import (
    Conflict,
    CreditsInsufficient,
    EnvelopeClosed,
    IdempotencyKeyReused,
    IdempotentAnswerErased,
    Refusal,
    SigningClosed,
    SubjectNotFound,
)
from domain.personal import Subject, SubjectKind, person
from domain.signing import Channel, ReportDelivery, SignatureMethod, SignDocuments, Signing, SigningStatus
from domain.template import CreateTemplate, Template
from infrastructure.append import Answer
from infrastructure.database import DatabaseUrls
from infrastructure.ledger import Key, Ledger, Outcome
from infrastructure.vault import Reference, VaultError
from tests.running import PARTNER, Person, Running, Sent, in_loop, running

ANA, BEN = Person("Ana Example", "ana@example.com"), Person("Ben Example", "ben@example.com")
SIGNER = Actor(ActorKind.SIGNER, "sgs_test")


def sign(sent: Sent, index: int = 0) -> Participate:
    act = SignDocuments(sent.participants[index], None, SignatureMethod.TYPED, None, None, Provenance(IdentityMethod.TOKEN))
    return Participate(sent.id, act)


def numbered(outcome: Outcome) -> Answer:
    """An answer that tells which entries it is about."""
    return Answer(200, "text/plain", ",".join(str(item.receipt.position) for item in outcome.recorded).encode())


def other_ledger(parts: Running) -> Ledger:
    """Another process's ledger as far as its cache goes: it knows nothing of what the first one did."""
    return Ledger(parts.deps.recorder, parts.deps.vault, parts.deps.invitations, parts.clock)


@in_loop
async def test_two_last_signers_at_once_both_complete_and_one_completes_the_envelope(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as parts:
        ledgers = (parts.deps.ledger, other_ledger(parts))
        for _ in range(10):
            sent = await parts.send(ANA, BEN, order=OrderMode.PARALLEL)
            await asyncio.gather(*(ledger.handle(sign(sent, index), SIGNER, numbered) for index, ledger in enumerate(ledgers)))
            types = await parts.types(sent.id)
            assert Counter(types) == {"created": 1, "sent": 1, "participant-completed": 2, "completed": 1}
            assert types[-1] == "completed"


@in_loop
async def test_a_refusal_on_a_state_that_others_changed_is_decided_again(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        sent = await parts.send(ANA, BEN)  # the first ledger now believes that it is Ana's turn
        other = other_ledger(parts)
        await other.handle(sign(sent, 0), SIGNER, numbered)
        await parts.deps.ledger.handle(sign(sent, 1), SIGNER, numbered)
        assert (await parts.envelope(sent.id)).status is EnvelopeStatus.COMPLETED


@pytest.mark.parametrize("keyed", [False, True])
@in_loop
async def test_what_was_already_so_until_others_changed_it_is_done(
    database: DatabaseUrls, tmp_path: Path, *, keyed: bool
) -> None:
    async with running(database, tmp_path) as parts:
        # The first ledger believes that nobody was invited yet, so that there is no delivery to report.
        sent = await parts.send(ANA, send=False)
        await other_ledger(parts).handle(SendEnvelope(sent.id), PARTNER, numbered)
        invitation = (await other_ledger(parts).state(Signing, sent.participants[0])).invitation  # type: ignore[union-attr]
        assert invitation is not None
        report = Participate(sent.id, ReportDelivery(sent.participants[0], invitation.id, Channel.EMAIL))
        key = Key("scope", "key-1", b"request") if keyed else None
        answer = await parts.deps.ledger.handle(report, SIGNER, numbered, key=key)
        assert (await parts.types(sent.participants[0]))[-1] == "invitation-delivered"
        assert answer.body == str(await parts.head()).encode()


@in_loop
async def test_a_decision_on_a_state_that_others_ended_is_refused_and_appends_nothing(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as parts:
        sent = await parts.send(ANA)
        await other_ledger(parts).handle(CancelEnvelope(sent.id), PARTNER, numbered)
        head = await parts.head()
        with pytest.raises(SigningClosed):
            await parts.deps.ledger.handle(sign(sent), SIGNER, numbered)
        with pytest.raises(EnvelopeClosed):
            await parts.deps.ledger.handle(CancelEnvelope(sent.id), PARTNER, numbered)
        assert await parts.head() == head


@in_loop
async def test_signing_against_cancelling_has_one_winner(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        other = other_ledger(parts)
        for _ in range(10):
            sent = await parts.send(ANA)
            results = await asyncio.gather(
                parts.deps.ledger.handle(sign(sent), SIGNER, numbered),
                other.handle(CancelEnvelope(sent.id), PARTNER, numbered),
                return_exceptions=True,
            )
            refused = [result for result in results if isinstance(result, Refusal)]
            assert len(refused) == 1
            assert not isinstance(refused[0], Conflict)
            envelope, signing = await parts.envelope(sent.id), await parts.signing(sent.participants[0])
            assert (envelope.status, signing.status) in {
                (EnvelopeStatus.COMPLETED, SigningStatus.COMPLETED),
                (EnvelopeStatus.CANCELLED, SigningStatus.CANCELLED),
            }


@in_loop
async def test_a_repeat_gets_the_first_answer_and_appends_nothing(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        sent = await parts.send(ANA)
        key = Key("scope", "key-1", b"request")
        first = await parts.deps.ledger.handle(sign(sent), SIGNER, numbered, key=key)
        head = await parts.head()
        again = await parts.deps.ledger.handle(sign(sent), SIGNER, numbered, key=key)
        elsewhere = await other_ledger(parts).handle(sign(sent), SIGNER, numbered, key=key)
        assert first == again == elsewhere
        assert first.body
        assert await parts.head() == head


@in_loop
async def test_the_same_key_at_once_acts_once(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        key = Key("scope", "create", b"request")
        before = await parts.head()
        answers = await asyncio.gather(
            *(parts.deps.ledger.handle(template(parts), PARTNER, numbered, key=key) for _ in range(20)),
        )
        assert len(set(answers)) == 1
        assert await parts.head() == before + 1


@in_loop
async def test_a_key_used_for_another_request_is_refused_whether_or_not_it_could_be_done(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as parts:
        sent = await parts.send(ANA)
        await parts.deps.ledger.handle(sign(sent), SIGNER, numbered, key=Key("scope", "key", b"one"))
        for command in (sign(sent), template(parts)):
            with pytest.raises(IdempotencyKeyReused):
                await parts.deps.ledger.handle(command, SIGNER, numbered, key=Key("scope", "key", b"two"))


@in_loop
async def test_credits_are_never_negative_and_a_refused_envelope_costs_nothing(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        await parts.deps.identity.set_credits(parts.tenant, 5)
        commands = [parts.creation(ANA) for _ in range(20)]
        results = await asyncio.gather(
            *(parts.deps.ledger.handle(command, PARTNER, numbered, credits=1) for command in commands), return_exceptions=True
        )
        assert sum(isinstance(result, Answer) for result in results) == 5
        assert sum(isinstance(result, CreditsInsufficient) for result in results) == 15
        assert await parts.deps.identity.credits(parts.tenant) == 0


@in_loop
async def test_a_stream_of_another_kind_is_no_such_aggregate(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        sent = await parts.send(ANA)
        assert await parts.deps.ledger.state(Template, sent.id) is None
        assert await parts.deps.ledger.state(Envelope, sent.participants[0]) is None
        assert await parts.deps.ledger.state(Signing, sent.id) is None
        with pytest.raises(Refusal, match="does not exist"):
            await parts.deps.ledger.handle(ExpireEnvelope(sent.participants[0]), PARTNER, numbered)


@in_loop
async def test_a_disclosure_opens_where_it_was_sealed_and_nowhere_else(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        sent = await parts.send(ANA, BEN)
        vault = parts.deps.vault
        name, email = (Reference(sent.participants[0], 1, path) for path in ("/name", "/email"))
        opened = await vault.open([name, email, Reference(sent.id, 1, "/metadata")])
        assert {place.path: found.value for place, found in opened.items()} == {"/name": ANA.name, "/email": ANA.email}
        async with parts.deps.reads.connection() as connection:
            await connection.execute(
                "INSERT INTO disclosures SELECT stream, version, '/phone', subject, ciphertext FROM disclosures"
                " WHERE stream = %s AND path = '/email'",
                [sent.participants[0]],
            )
        with pytest.raises(VaultError, match="was altered"):
            await vault.open([Reference(sent.participants[0], 1, "/phone")])


@in_loop
async def test_erasing_a_person_destroys_what_is_stored_and_records_where_it_was(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        sent, again = await parts.send(ANA, BEN), await parts.send(ANA)
        ledger, vault = parts.deps.ledger, parts.deps.vault
        ana = person(parts.tenant, email="ANA@example.com ", otherwise=sent.id)
        _, outcome = await ledger.erase(ana, "gdpr-17-1-a", PARTNER)
        (recorded,) = outcome.recorded
        stream = recorded.receipt.stream
        (entry,) = [decode(stored.raw) for stored in await parts.deps.recorder.read_stream(stream)]
        assert entry.data["ground"] == "gdpr-17-1-a"
        assert {UUID(str(item["stream"])) for item in entry.data["entries"]} == {  # type: ignore[index, union-attr, call-overload]
            sent.participants[0],
            again.participants[0],
        }
        gone = [Reference(participant, 1, "/name") for participant in (sent.participants[0], again.participants[0])]
        kept = Reference(sent.participants[1], 1, "/name")
        assert set(await vault.open([*gone, kept])) == {kept}
        with pytest.raises(SubjectNotFound):
            await ledger.erase(ana, "gdpr-17-1-a", PARTNER)
        later = await parts.send(ANA)  # the person may come back, under a new key
        assert (await vault.open([Reference(later.participants[0], 1, "/name")])).keys()


@in_loop
async def test_the_answer_kept_for_repeats_goes_with_the_person(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        key = Key("scope", "create", b"request")
        command = parts.creation(ANA)
        await parts.deps.ledger.handle(command, PARTNER, lambda _: Answer(201, "text/plain", b"Ana Example"), key=key)
        await parts.deps.ledger.erase(person(parts.tenant, email=ANA.email, otherwise=command.envelope), "request", PARTNER)
        async with parts.deps.reads.connection() as connection:
            found = await connection.execute("SELECT count(*) FROM idempotency WHERE body IS NOT NULL")
            assert await found.fetchone() == (0,)
        with pytest.raises(IdempotentAnswerErased):
            await parts.deps.ledger.handle(command, PARTNER, numbered, key=key)


@in_loop
async def test_an_answer_to_what_was_already_so_goes_with_the_person_too(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        sent, key = await parts.send(ANA), Key("scope", "again", b"request")
        answer = Answer(200, "text/plain", b"Ana Example")
        again = SendEnvelope(sent.id)
        first = await parts.deps.ledger.handle(again, PARTNER, lambda _: answer, key=key)
        assert first.body == answer.body
        await parts.deps.ledger.handle(sign(sent), SIGNER, numbered)
        assert await parts.deps.ledger.handle(again, PARTNER, numbered, key=key) == first
        await parts.deps.ledger.erase(person(parts.tenant, email=ANA.email, otherwise=sent.id), "request", PARTNER)
        with pytest.raises(IdempotentAnswerErased):
            await parts.deps.ledger.handle(again, PARTNER, numbered, key=key)


def template(parts: Running) -> CreateTemplate:
    identity = parts.deps.new_id()
    about = Subject(parts.tenant, SubjectKind.TEMPLATE, str(identity))
    return CreateTemplate(parts.tenant, Mode.LIVE, identity, parts.deps.vault.conceal("Agreement", about), None)
