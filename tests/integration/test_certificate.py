"""The certificate of an envelope of the ledger itself: what the log and the vault hold of it, drawn by the limited process."""

import asyncio
import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pypdfium2  # type: ignore[import-untyped]
import pytest

from domain.actor import Actor, ActorKind, AddressSource, IdentityMethod, Provenance
from domain.coordination import Participate, RecordExecuted, RemindEnvelope
from domain.envelope import DocumentExecuted, OnParticipantFail
from domain.personal import person
from domain.seal import Obstacle, Profile, Seal
from domain.signing import BounceReason, DeclineSigning, ReportBounce, SignatureMethod, SignDocuments, ViewDocument
from infrastructure.certificate_case import Circumstances, case_of, happened_of
from infrastructure.database import DatabaseUrls, connect
from infrastructure.pdf_drawing.case import Absent, CaseCheckpoint, Paper
from infrastructure.pdf_drawing.drawing import draw_certificate
from infrastructure.vault import VaultError
from tests.conftest import ORIGIN
from tests.integration.sealing import change, seal
from tests.running import BASE_URL, PARTNER, Person, Running, Sent, in_loop, running

ANA, BO = Person("Ana Paz", "ana@example.com"), Person("李小龍", "bo@example.com", number=2)


async def finished(parts: Running) -> Sent:
    """Ana's invitation bounces and is sent again; she looks and signs, Bo declines, and the document is executed."""
    sent = await parts.send(ANA, BO, on_fail=OnParticipantFail.CONTINUE, subject="Lease")
    ana, bo = sent.participants
    invitation = (await parts.signing(ana)).invitation
    assert invitation is not None
    mailer = Actor(ActorKind.FOLLOWER, "invitations")
    await parts.handle(Participate(sent.id, ReportBounce(ana, invitation.id, BounceReason.UNREACHABLE)), mailer)
    await parts.handle(RemindEnvelope(sent.id))
    for who, one in ((ana, ANA), (bo, BO)):
        subject = person(parts.tenant, email=one.email, otherwise=who)
        vault = parts.deps.vault
        seen = Provenance(
            IdentityMethod.TOKEN,
            vault.conceal("192.0.2.55", subject),
            AddressSource.SOCKET,
            vault.conceal("Firefox/145", subject),
        )
        session = Actor(ActorKind.SIGNER, f"sgs_{who.hex[:6]}")
        if who == ana:
            name = next(iter((await parts.signing(who)).documents.values()))
            await parts.handle(Participate(sent.id, ViewDocument(who, sent.documents[0], name, seen)), session)
            said = vault.conceal("I agree.", subject)
            await parts.handle(Participate(sent.id, SignDocuments(who, None, SignatureMethod.TYPED, said, None, seen)), session)
        else:
            await parts.handle(Participate(sent.id, DeclineSigning(who, vault.conceal("Too dear.", subject), seen)), session)
    body, file = sha256(b"body").hexdigest(), sha256(b"file").hexdigest()
    made = Seal(Profile.B_B, Obstacle.NO_AUTHORITY, sha256(b"certificate").hexdigest())
    executed = DocumentExecuted(sent.documents[0], body, file, 4, sha256(b"normalised").hexdigest(), made)
    await parts.handle(RecordExecuted(sent.id, executed), Actor(ActorKind.FOLLOWER, "executions"))
    return sent


def text_of(pdf: bytes) -> str:
    pages = (" ".join(page.get_textpage().get_text_range().split()) for page in pypdfium2.PdfDocument(pdf))
    return " ".join(re.sub(r" ?Certificate of completion · envelope \S+ · page \d+ of \d+", "", page) for page in pages)


@in_loop
async def test_the_paper_tells_what_the_log_and_the_vault_hold_and_after_an_erasure_what_is_left(
    database: DatabaseUrls, data_folder: Path
) -> None:
    async with running(database, data_folder) as parts:
        sent = await finished(parts)
        told = await happened_of(parts.deps.reads, sent.id)
        with connect(database.owner) as conn:
            stored = conn.execute("SELECT position, leaf FROM log ORDER BY position").fetchall()
            await asyncio.to_thread(seal, conn, data_folder / "sealing")
        assert [(each.position, each.leaf) for each in told] == stored
        checkpoint = await parts.deps.sealed.covering(told[-1].position)
        assert checkpoint is not None
        beside = Circumstances("Example Ltd", BASE_URL, datetime.now(UTC), checkpoint)
        case = await case_of(parts.deps.vault, told, beside)
        assert isinstance(case.checkpoint, CaseCheckpoint)
        assert (case.checkpoint.origin, case.checkpoint.size) == (ORIGIN, len(stored))

        text = text_of(await draw_certificate(case, Paper.LETTER))
        for number, each in enumerate(told, 1):
            at = each.entry.at.replace(tzinfo=None).isoformat(" ", "milliseconds")
            assert text.count(f" {number} {at} UTC {each.entry.type} ") == 1
            assert each.leaf.hex() in text
        for words in (
            "Example Ltd with a partner's credential (pk_test)",
            "Subject Lease",
            "not handed over: the mail system could not be reached",
            "192.0.2.55 the address of the connection",
            "Firefox/145 in its own words",
            'with the statement "I agree."',
            "李小龍 Declined",
            "Reason Too dear.",
            f"{BASE_URL}/verify/{sent.id}",
        ):
            assert "".join(words.split()) in "".join(text.split())

        await parts.deps.ledger.erase(person(parts.tenant, email=ANA.email, otherwise=sent.id), "request", PARTNER)
        left = await case_of(parts.deps.vault, told, beside)
        ana, bo = left.signers
        assert (ana.email, ana.address, ana.user_agent) == (Absent("erased"),) * 3
        assert (ana.ended, bo) == (case.signers[0].ended, case.signers[1])
        erasures = {(each.entry.stream, each.entry.version): len(stored) + 1 for each in told}
        known = await case_of(parts.deps.vault, told, Circumstances("Example Ltd", BASE_URL, beside.made, checkpoint, erasures))
        assert known.signers[0].email == Absent(f"erased by entry {len(stored) + 1} of the log")
        after = text_of(await draw_certificate(left, Paper.A4))
        assert not re.search("Ana Paz|ana@|I agree", after)
        assert "bo@example.com" in after


@in_loop
async def test_a_value_that_is_not_what_the_log_commits_to_is_not_told(database: DatabaseUrls, data_folder: Path) -> None:
    async with running(database, data_folder) as parts:
        sent = await parts.send(ANA)
        told = await happened_of(parts.deps.reads, sent.id)
        (commitment,) = {each.entry.personal["/name"] for each in told if "/name" in each.entry.personal}
        other = f"{int(commitment[0], 16) ^ 1:x}{commitment[1:]}"
        with connect(database.owner) as conn:
            change(
                conn,
                f"UPDATE log SET entry = convert_to(replace(convert_from(entry, 'UTF8'), '{commitment}', '{other}'), 'UTF8')",
            )
        altered = await happened_of(parts.deps.reads, sent.id)
        with pytest.raises(VaultError, match="/name"):
            await case_of(parts.deps.vault, altered, Circumstances("Ltd", BASE_URL, datetime.now(UTC), Absent("not sealed")))
