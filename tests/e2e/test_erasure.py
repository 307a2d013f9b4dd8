"""Erasing a person, on a running system: what is gone, what stays provable, and what the surfaces answer afterwards."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from domain.ids import typed_id
from infrastructure.database import connect
from scripts.server_process import ServerProcess
from tests.e2e.servers import Partner, Published, Site, body, eventually, outbox, site, someone

NAME = "Serafina Quillfeather"
EMAIL = "Serafina.Quillfeather@Example.com"
PHONE = "+49 30 5550199"
NUMBER = "X7730019Q"
AGENT = "QuillBrowser/9.1"
ATTESTATION = "I, Serafina Quillfeather, sign this of my own free will."
CLIENT = {"screen": "quill-1337x2101"}
ADDRESS = "203.0.113.77"

#: Everything that says something of her, as it was typed or observed, and as a case-folded search finds it.
SECRETS = (NAME, EMAIL, PHONE, NUMBER, AGENT, ATTESTATION, "quill-1337x2101", ADDRESS, "quillfeather")

HER = {
    "displayName": NAME,
    "signatureMode": ["SIGNATURE_EMAIL"],
    "identity": {"email": EMAIL, "phone": PHONE, "documentNumber": NUMBER},
}


@dataclass
class Story:
    """Two documents that she took part in, with somebody else, and a third that she did not."""

    site: Site
    server: ServerProcess
    partner: Partner
    template: str
    first: Published
    second: Published
    unrelated: Published


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with site(tmp_path_factory.mktemp("erasure") / "data", {"COUNTERSIGN_TRUSTED_PROXIES": "127.0.0.1/32"}) as where:
        server = where.start("serve")
        partner = where.partner(server)
        template = partner.template()
        first = partner.publish(template, HER, someone("colleague"), key="publish-first", metadata={"case": "A-1"})
        second = partner.publish(template, HER, key="publish-second", metadata={"case": "A-2"})
        unrelated = partner.publish(template, someone("bystander"), key="publish-unrelated")
        headers = {"User-Agent": AGENT, "X-Forwarded-For": ADDRESS}
        more: dict[str, Any] = {"electronic_signature_text": ATTESTATION, "client_metadata": CLIENT}
        signed = partner.complete(
            first.participants[0], partner.token(first.id, first.participants[0]), key="sign-first", headers=headers, **more
        )
        assert signed.status_code == 200, signed.text
        eventually(lambda: len(outbox(where.data)) == 4)
        yield Story(where, server, partner, template, first, second, unrelated)


def everything(site: Site) -> str:
    """Every column of every row of every table, as text; bytes also as the text that they may be. Case-folded."""
    parts = []
    with connect(site.urls.owner) as conn:
        tables = conn.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(tables) > 10
        for schema, table in tables:
            for row in conn.execute(f'SELECT * FROM "{schema}"."{table}"'.encode()):
                parts += [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in row]
            parts += [text for (text,) in conn.execute(f'SELECT t::text FROM "{schema}"."{table}" AS t'.encode())]
    return "\n".join(parts).casefold()


def export(site: Site, file: Path) -> None:
    done = site.command("export", str(file))
    assert done.exit_code == 0, done.stderr


def test_erasing_a_person_leaves_the_proof_and_takes_the_person(story: Story, tmp_path: Path) -> None:
    site, partner = story.site, story.partner
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    export(site, before)
    log_before = before.read_text().splitlines()
    answer_before = partner.call("GET", f"/v1/documents/{story.first.id}")
    assert answer_before["participants"][0]["displayName"] == NAME
    # Values are encrypted at rest; what stands in the clear before an erasure is in the answers kept for repeats.
    assert NAME.casefold() in everything(site)

    erased = site.command("erase", "--tenant", str(site.tenant), "--email", EMAIL.lower(), "--ground", "gdpr-17-1-b")

    assert erased.exit_code == 0, erased.stderr
    assert "2 invitations were removed from the outbox" in erased.stderr
    _gone_from_the_database_and_the_folder(site)
    _still_provable(site, before, after, log_before)
    _recorded(site, after, story)
    _surfaces(story)


def _gone_from_the_database_and_the_folder(site: Site) -> None:
    left = everything(site)
    for secret in SECRETS:
        assert secret.casefold() not in left, secret
    mails = "\n".join(mail.read_text() for mail in outbox(site.data)).casefold()
    assert "bystander@example.com" in mails
    assert "quillfeather" not in mails
    # The rows of others are still there.
    with connect(site.urls.owner) as conn:
        rows = conn.execute("SELECT count(*), count(DISTINCT subject) FROM disclosures").fetchone()
        kept = dict(conn.execute("SELECT key, erased FROM idempotency").fetchall())
    assert rows is not None
    assert rows[0] > 0
    assert kept == {"publish-first": True, "publish-second": True, "publish-unrelated": False, "sign-first": True}


def _still_provable(site: Site, before: Path, after: Path, log_before: list[str]) -> None:
    site.fsck()
    export(site, after)
    for file in (before, after):
        verified = site.command("verify", str(file))
        assert verified.exit_code == 0, verified.output
    entries = [line for line in log_before if "entry" in json.loads(line)]
    assert len(entries) > 10
    assert set(entries) <= set(after.read_text().splitlines()), "no entry changed"
    for secret in SECRETS:
        assert secret.casefold() not in before.read_text().casefold()


def _recorded(site: Site, after: Path, story: Story) -> None:
    """The log says that it was done, on what ground, and where; not to whom."""
    with connect(site.urls.service) as conn:
        rows = conn.execute("SELECT entry FROM log WHERE type = 'personal.erased/1'").fetchall()
    assert len(rows) == 1
    entry = json.loads(rows[0][0])
    assert entry["data"]["ground"] == "gdpr-17-1-b"
    assert entry["data"]["tenant"] == str(story.site.tenant)
    streams = {place["stream"] for place in entry["data"]["entries"]}
    assert streams == {str(story.first.participants[0]), str(story.second.participants[0])}
    assert entry["by"] == {"kind": "operator", "id": "countersign erase"}


def _surfaces(story: Story) -> None:
    partner = story.partner
    for document in (story.first, story.second):
        shown = partner.call("GET", f"/v1/documents/{document.id}")
        assert shown["participants"][0]["displayName"] is None
        assert shown["metadata"] is not None, "the document's own data is not hers"
        assert NAME not in json.dumps(partner.events(document.id))
    others = partner.call("GET", f"/v1/documents/{story.first.id}")["participants"][1]
    assert others["displayName"] == "colleague"
    _repeats(story)
    session = typed_id("sgs", story.first.participants[0])
    found = partner.signer.get(
        f"/v1/signing_sessions/{session}",
        headers={"X-Signing-Session-Token": partner.token(story.first.id, story.first.participants[0])},
    )
    assert found.status_code == 200, found.text
    assert found.json()["status"] == "completed"


def _repeats(story: Story) -> None:
    """A repeat is told that the first answer is gone; it neither acts again nor is it taken for another request."""
    partner = story.partner
    with connect(story.site.urls.service) as conn:
        head = conn.execute("SELECT position FROM log_head").fetchone()
    repeated = partner.ask(
        "POST", "/v1/documents", body(story.template, HER, someone("colleague"), metadata={"case": "A-1"}), key="publish-first"
    )
    assert repeated.status_code == 409, repeated.text
    assert repeated.json()["code"] == "idempotent_answer_erased", repeated.text
    again = partner.complete(
        story.first.participants[0],
        partner.token(story.first.id, story.first.participants[0]),
        key="sign-first",
        electronic_signature_text=ATTESTATION,
        client_metadata=CLIENT,
    )
    assert again.status_code in (409, 410), again.text
    assert again.headers["content-type"] == "application/problem+json"
    unrelated = partner.ask("POST", "/v1/documents", body(story.template, someone("bystander")), key="publish-unrelated")
    assert unrelated.json()["data"]["documentId"] == str(story.unrelated.id), "others' repeats go on"
    with connect(story.site.urls.service) as conn:
        assert conn.execute("SELECT position FROM log_head").fetchone() == head


def test_her_open_document_can_still_be_signed_and_erased_again(story: Story) -> None:
    """What is observed after an erasure belongs to the participant, of whom no address is known any more."""
    partner, who = story.partner, story.second.participants[0]
    signed = partner.complete(
        who, partner.token(story.second.id, who), headers={"User-Agent": AGENT}, electronic_signature_text=ATTESTATION
    )
    assert signed.status_code == 200, signed.text

    by_email = story.site.command("erase", "--tenant", str(story.site.tenant), "--email", EMAIL, "--ground", "gdpr-17-1-b")
    assert by_email.exit_code == 1
    assert "Nothing is stored about this person or thing. Nothing was changed." in by_email.stderr
    by_id = story.site.command("erase", "--tenant", str(story.site.tenant), "--participant", str(who), "--ground", "gdpr-17-1-b")
    assert by_id.exit_code == 0, by_id.stderr

    assert "quillfeather" not in everything(story.site)
    story.site.fsck()


def test_the_texts_of_an_envelope_and_a_template_are_erased_by_their_ids(story: Story) -> None:
    partner, site = story.partner, story.site
    template = partner.template("Zanzibar lease")
    document = partner.publish(template, someone(), metadata={"case": "Z-zanzibar"})
    for option, id in (("--envelope", str(document.id)), ("--template", template)):
        done = site.command("erase", "--tenant", str(site.tenant), option, id, "--ground", "contract-ended")
        assert done.exit_code == 0, done.stderr

    shown = partner.call("GET", f"/v1/documents/{document.id}")
    assert shown["metadata"] is None
    assert partner.call("GET", f"/v1/templates/{template}")["templateName"] is None
    assert "zanzibar" not in everything(site)
    site.fsck()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--email", "nobody@example.com", "--ground", "x"), "Nothing is stored about this person or thing."),
        (("--email", "a@example.com", "--phone", "+4930", "--ground", "x"), "one of --email"),
        (("--ground", "x"), "one of --email"),
        (("--email", "a@example.com", "--ground", "because Serafina asked"), "a code of at most 64"),
    ],
)
def test_an_erasure_that_names_nobody_or_too_many_changes_nothing(story: Story, arguments: tuple[str, ...], said: str) -> None:
    done = story.site.command("erase", "--tenant", str(story.site.tenant), *arguments)
    assert done.exit_code != 0
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_an_unknown_tenant_is_named(story: Story) -> None:
    tenant = str(uuid4())
    done = story.site.command("erase", "--tenant", tenant, "--email", EMAIL, "--ground", "x")
    assert done.exit_code == 1
    assert f"There is no tenant {tenant}." in done.stderr
