"""`countersign erase` for what no address names, and `countersign hold`, which forbids it."""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from typer.testing import CliRunner

from api.cli import app
from domain.actor import Actor, ActorKind, IdentityMethod, Mode, Provenance
from domain.consent import AcceptDisclosure, ConsentAccepted, DisclosureText, stakeholder_subject
from domain.ids import typed_id, ulid_id
from domain.library import CreateDocument, DocumentKind
from domain.personal import Subject, SubjectKind
from infrastructure.database import DatabaseUrls, connect
from infrastructure.ledger import NO_ANSWER
from tests.conftest import ORIGIN
from tests.integration.test_cli_directory import Run, failed, refused, rows, told
from tests.running import running

BY = Actor(ActorKind.OPERATOR, "test")
SPELLINGS: dict[str, Callable[[UUID], str]] = {
    "uuid": str,
    "hex": lambda id: typed_id("doc", id),
    "ulid": lambda id: ulid_id("doc", id),
}


@pytest.fixture
def run(database: DatabaseUrls, tmp_path: Path) -> Run:
    keys = {"COUNTERSIGN_SECRET_KEY": b"s" * 32, "COUNTERSIGN_MASTER_KEY": b"m" * 32}
    settings = {name: b64encode(key).decode() for name, key in keys.items()}
    settings |= {"DATABASE_URL": database.owner, "COUNTERSIGN_DATA": str(tmp_path), "COUNTERSIGN_ORIGIN": ORIGIN}
    return lambda *words: CliRunner().invoke(app, words, env=settings)


def values(database: DatabaseUrls) -> int:
    """How many values the vault still holds."""
    with connect(database.owner) as conn:
        row = conn.execute("SELECT count(*) FROM disclosures").fetchone()
    assert row is not None
    return int(row[0])


async def made(database: DatabaseUrls, folder: Path) -> tuple[UUID, UUID]:
    """A tenant with a document that has a title and a description, and with a stakeholder's consent: both ids."""
    async with running(database, folder) as run:
        deps, document, consent = run.deps, run.deps.new_id(), run.deps.new_id()
        about, who = Subject(run.tenant, SubjectKind.DOCUMENT, str(document)), stakeholder_subject(run.tenant, "stk_ana")
        title, description = deps.vault.conceal("Ana's car", about), deps.vault.conceal("Red.", about)
        create = CreateDocument(run.tenant, Mode.LIVE, document, DocumentKind.GENERATED, "nda", title, description)
        accepted = ConsentAccepted(
            run.tenant,
            Mode.LIVE,
            deps.vault.conceal("stk_ana", who),
            DisclosureText("1", "a" * 64, "en"),
            hardware_capability_affirmed=True,
            paper_copy_request_method=deps.vault.conceal("By mail.", who),
            captured_via=None,
            captured_at=None,
            provenance=Provenance(IdentityMethod.TOKEN),
        )
        for command in (create, AcceptDisclosure(consent, accepted)):
            await deps.ledger.handle(command, BY, lambda outcome: NO_ANSWER)
        return run.tenant, document


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_documents_texts_are_erased_by_its_id_in_any_spelling(
    run: Run, database: DatabaseUrls, tmp_path: Path, spelling: str
) -> None:
    tenant, document = asyncio.run(made(database, tmp_path))
    erase = ("erase", "--tenant", str(tenant), "--ground", "gdpr-17-1-b", "--document")
    assert values(database) == 4
    assert "1 entries" in run(*erase, SPELLINGS[spelling](document)).stderr
    assert values(database) == 2
    assert "Nothing was changed" in failed(run(*erase, str(document)))
    assert "a UUID, or doc_" in refused(run(*erase, "doc_1"))


def test_a_stakeholders_consent_is_erased_and_the_log_still_holds(run: Run, database: DatabaseUrls, tmp_path: Path) -> None:
    tenant, document = asyncio.run(made(database, tmp_path))
    erase = ("erase", "--tenant", str(tenant), "--ground", "gdpr-17-1-b")
    told(run(*erase, "--stakeholder", "stk_ana"))
    assert values(database) == 2
    assert "Nothing was changed" in failed(run(*erase, "--stakeholder", "stk_bo"))
    assert "say whose data" in refused(run(*erase, "--stakeholder", "stk_ana", "--document", str(document)))
    assert run("fsck").exit_code == 0


def test_a_hold_is_placed_listed_and_lifted_and_forbids_erasing_meanwhile(
    run: Run, database: DatabaseUrls, tmp_path: Path
) -> None:
    tenant, _ = asyncio.run(made(database, tmp_path))
    erase = ("erase", "--tenant", str(tenant), "--ground", "gdpr-17-1-b", "--stakeholder", "stk_ana")
    hold = told(run("hold", "place", "--reason", "litigation", "--until", "2099-12-31T23:59:59Z"))
    (row,) = rows(run("hold", "list"))
    assert row[:4] == [hold, "all", "litigation", "until 2099-12-31 23:59:59Z"]
    said = failed(run(*erase))
    assert f"Hold {hold} (litigation) forbids this erasure. It lasts until 2099-12-31 23:59:59Z. Nothing was changed." in said
    assert "does not exist" in failed(run("hold", "place", "--reason", "tax", "--envelope", str(tenant)))
    assert "a time such as" in refused(run("hold", "place", "--reason", "tax", "--until", "tomorrow"))
    assert "a code of at most 64" in refused(run("hold", "place", "--reason", "because Ana sues"))
    told(run("hold", "lift", hold, "--ground", "settled"))
    assert "lifted before" in failed(run("hold", "lift", hold, "--ground", "settled"))
    assert rows(run("hold", "list")) == []
    assert "the PDFs themselves" in run(*erase).stderr
    assert values(database) == 2
