"""Drafts and signing sessions on a real database: what the ledger appends, and which tokens it then accepts."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from domain.actor import IdentityMethod, Provenance
from domain.coordination import AddDocument, AddParticipant, Participate, SendEnvelope
from domain.envelope import Document, Envelope, Slot
from domain.errors import EnvelopeNotDraft, NoDocuments, SessionTokenInvalid
from domain.ids import uuid7
from domain.personal import Subject, SubjectKind, conceal
from domain.signing import (
    DocumentReference,
    OpenSession,
    ProcessCreated,
    SessionToken,
    SignatureMethod,
    SignDocuments,
    Signing,
    SigningStatus,
)
from infrastructure.database import DatabaseUrls
from infrastructure.invitation_mint import InvitationMint
from infrastructure.ledger import NO_ANSWER, Ledger
from infrastructure.secrets import token_hash
from tests.running import KEYS, PARTNER, Person, Running, Sent, in_loop, running

ANA, BEN = Person("Ana Example", "ana@example.com"), Person("Ben Example", "ben@example.com")


def new_document(parts: Running) -> Document:
    return Document(uuid7(parts.clock.now(), parts.deps.random(10)), sha256(parts.deps.random(8)).hexdigest(), 2)


def addition(parts: Running, draft: Sent, *documents: Document) -> AddParticipant:
    who = uuid7(parts.clock.now(), parts.deps.random(10))
    slot = Slot(who, 9, tuple(it.id for it in documents))
    template = parts.creation(BEN).processes
    (process,) = template.values()
    named = conceal("Ben", parts.deps.random(32), Subject(parts.tenant, SubjectKind.PERSON, "email:ben@example.com"))
    created: ProcessCreated = replace(
        process,
        envelope=draft.id,
        number=9,
        role=None,
        name=named,
        documents=tuple(DocumentReference(it.id, it.sha256) for it in documents),
    )
    return AddParticipant(draft.id, slot, created)


@in_loop
async def test_a_draft_is_filled_sent_and_signed_by_whoever_was_added(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        draft = await parts.send(ANA, send=False)
        paper = new_document(parts)
        added = addition(parts, draft)
        await parts.handle(added)
        with pytest.raises(NoDocuments):
            await parts.handle(SendEnvelope(draft.id))
        await parts.handle(AddDocument(draft.id, paper, (*draft.participants, added.slot.participant)))
        await parts.handle(SendEnvelope(draft.id))
        with pytest.raises(EnvelopeNotDraft):
            await parts.handle(AddDocument(draft.id, new_document(parts), ()))
        fresh = Ledger(parts.deps.recorder, parts.deps.vault, parts.deps.invitations, parts.clock)
        envelope = await fresh.state(Envelope, draft.id)
        signing = await fresh.state(Signing, added.slot.participant)
        assert envelope is not None
        assert signing is not None
        assert envelope == await parts.deps.ledger.state(Envelope, draft.id)
        assert dict(signing.documents) == {paper.id: paper.sha256}
        assert [len(slot.documents) for slot in envelope.slots.values()] == [2, 1]


@in_loop
async def test_additions_by_several_processes_at_once_all_get_in(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        draft = await parts.send(ANA, send=False)
        papers = [new_document(parts) for _ in range(4)]
        ledgers = [Ledger(parts.deps.recorder, parts.deps.vault, parts.deps.invitations, parts.clock) for _ in range(2)]
        await asyncio.gather(
            *(
                ledgers[index % 2].handle(AddDocument(draft.id, paper, draft.participants), PARTNER, lambda outcome: NO_ANSWER)
                for index, paper in enumerate(papers)
            )
        )
        signing = await parts.deps.ledger.state(Signing, draft.participants[0])
        assert signing is not None
        assert signing.documents.keys() >= {paper.id for paper in papers}


@in_loop
async def test_a_session_minted_for_somebody_who_signed_in_completes_a_signing(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        sent = await parts.send(ANA)
        who, mint = sent.participants[0], parts.deps.invitations
        session = mint.session(parts.clock.now(), timedelta(minutes=15))
        user = conceal("auth0|ana", parts.deps.random(32), Subject(parts.tenant, SubjectKind.PERSON, "email:ana@example.com"))
        await parts.handle(Participate(sent.id, OpenSession(who, session, user, parts.clock.now())))
        token = mint.session_token(session.id)
        assert token.startswith("sig_")
        assert token_hash(token) == session.token_sha256

        def sign(shown: str) -> Participate:
            provenance = Provenance(IdentityMethod.OIDC)
            shown_token = SessionToken(token_hash(shown))
            return Participate(
                sent.id, SignDocuments(who, None, SignatureMethod.TYPED, None, None, provenance, token=shown_token)
            )

        with pytest.raises(SessionTokenInvalid):
            await parts.handle(sign(mint.token(session.id)))
        await parts.handle(sign(token))
        signing = await parts.deps.ledger.state(Signing, who)
        assert signing is not None
        assert signing.status is SigningStatus.COMPLETED


def test_tokens_of_sessions_and_of_invitations_are_derived_apart() -> None:
    mint = InvitationMint(KEYS, timedelta(days=1), bytes)
    now = datetime(2026, 11, 21, tzinfo=UTC)
    session, invitation = mint.session(now, timedelta(minutes=15)), mint.invitation(now)
    assert session.id == invitation.id, "the same randomness, so that only the derivation differs"
    assert session.token_sha256 != invitation.token_sha256
    assert mint.session_token(session.id) == mint.session_token(session.id)
    assert session.expires_at == now + timedelta(minutes=15)
