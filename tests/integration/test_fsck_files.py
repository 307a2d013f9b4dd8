"""`countersign fsck` and the files: each that the log names is stored, each that is stored has its bytes, the rest is told."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from obstore.store import MemoryStore
from typer.testing import CliRunner, Result

from api.cli_verify import app
from domain import template
from domain.actor import Mode
from domain.entry import decode
from domain.faults import FaultKind, Verdict
from domain.personal import SubjectKind
from infrastructure.blobs import BlobStore
from infrastructure.codec import FACTS
from infrastructure.database import DatabaseUrls, connect
from infrastructure.fsck import fsck
from infrastructure.settings import Settings, variable
from infrastructure.verification import Report
from tests.evidence_world import EvidenceWorld
from tests.histories import store

#: The form of a PDF that is drawn on, as `EvidenceWorld` names it.
NORMALISED = b"normalised"


@dataclass(frozen=True)
class Kept:
    """A log with an executed envelope and a template, in a database, with all its files in a folder."""

    urls: DatabaseUrls
    data: Path
    world: EvidenceWorld

    @property
    def blobs(self) -> BlobStore:
        return BlobStore.at((self.data / "blobs").as_uri())

    def place(self, name: str) -> Path:
        return self.data / "blobs" / "sha256" / name[:2] / name[2:]

    def put(self, content: bytes, age: timedelta = timedelta()) -> str:
        """Stores a file that came some time ago."""
        name = asyncio.run(self.blobs.put(content))
        then = (datetime.now(UTC) - age).timestamp()
        os.utime(self.place(name), (then, then))
        return name

    def check(self) -> Report:
        with closing(fsck(self.urls.service, blobs=self.blobs)) as report:
            return report

    def faults(self) -> set[tuple[FaultKind, int | None]]:
        report = self.check()
        assert report.verdict is (Verdict.INVALID if report.faults else Verdict.VALID)
        return {(fault.kind, fault.position) for fault in report.faults}

    def naming(self, name: str) -> int:
        """The position of the first entry that names a file."""
        return next(row.position for row in self.world.rows if name.encode() in row.raw)

    def command(self, *arguments: str) -> Result:
        environment: dict[str, str | None] = {variable(field): None for field in Settings.model_fields}
        environment |= {variable("data"): str(self.data), variable("database_url"): self.urls.owner}
        return CliRunner().invoke(app, ["fsck", *arguments], env=environment)


@pytest.fixture
def kept(database: DatabaseUrls, tmp_path: Path) -> Kept:
    world = EvidenceWorld()
    envelope, participants = world.open_envelope()
    for who in participants:
        world.sign(envelope, who)
    world.execute(envelope)
    stream = world.uuid()
    name = world.personal("Contrato", SubjectKind.TEMPLATE, str(stream))
    world.on_template(template.CreateTemplate(world.tenant, Mode.LIVE, stream, name, None), stream)
    world.on_template(template.StoreFile(stream, 1, template.StoredFile(world.paper(), 60, 3, world.paper())), stream)
    with connect(database.owner) as conn:
        store(conn, world.rows, at=decode(world.rows[-1].raw).at)
    found = Kept(database, tmp_path, world)
    for content in (*world.documents.values(), NORMALISED):
        found.put(content)
    return found


def test_files_that_are_all_there_hold_and_are_counted(kept: Kept) -> None:
    report = kept.check()
    assert (report.verdict, list(report.faults), report.noted) == (Verdict.VALID, [], [])
    count, size = len(kept.world.documents) + 1, sum(map(len, kept.world.documents.values())) + len(NORMALISED)
    said = f"each of {count} files that the log names is stored, and each of {count} stored files ({size:,} bytes) has the bytes of its hash"
    assert said in report.checked


def test_every_file_that_a_fact_names_is_missed_where_it_is_named_first(kept: Kept) -> None:
    names = [*kept.world.documents, sha256(NORMALISED).hexdigest()]
    for name in names:
        kept.place(name).unlink()
    assert kept.faults() == {(FaultKind.LOST_FILE, kept.naming(name)) for name in names}
    assert kept.check().faults.counts[FaultKind.LOST_FILE] == len(names)
    fault = next(iter(kept.check().faults))
    row = kept.world.rows[kept.naming(names[0]) - 1]
    assert (fault.position, fault.stream, fault.version) == (row.position, row.stream, row.version)


def test_a_normalised_form_that_only_its_table_names_is_missed_too(kept: Kept) -> None:
    with connect(kept.urls.owner) as conn:
        row = [next(iter(kept.world.documents)), "ab" * 32]
        conn.execute("INSERT INTO normalised_files VALUES (%s, %s, '[[595276, 841890]]')", row)
    assert kept.faults() == {(FaultKind.LOST_FILE, None)}


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:9] + bytes([raw[9] ^ 1]) + raw[10:], lambda raw: raw + b"\n", lambda raw: b""],
    ids=["changed", "longer", "emptied"],
)
def test_an_altered_file_is_named_with_the_entry_that_names_it(kept: Kept, damage: Any) -> None:
    certificate = next(
        name for name in kept.world.documents if kept.naming(name) == _position(kept, "envelope.certificate-issued/2")
    )
    place = kept.place(certificate)
    place.write_bytes(damage(place.read_bytes()))
    assert kept.faults() == {(FaultKind.ALTERED_FILE, kept.naming(certificate))}
    (fault,) = kept.check().faults
    assert certificate in fault.detail


def _position(kept: Kept, type: str) -> int:
    return next(row.position for row in kept.world.rows if row.type == type)


def test_what_nothing_refers_to_is_told_and_left_alone_and_uploads_in_progress_are_told_apart(kept: Kept) -> None:
    old = [kept.put(f"left over {number}".encode(), timedelta(hours=2)) for number in range(7)]
    young = kept.put(b"coming in", timedelta(minutes=50))
    report = kept.check()
    assert (report.verdict, list(report.faults)) == (Verdict.VALID, [])
    left, coming = report.noted
    assert left.startswith("nothing refers to 7 stored files (77 bytes): ")
    assert sum(name in left for name in old) == 5
    assert f"nothing refers yet to 1 stored files (9 bytes): {young}." in coming
    assert all(kept.place(name).exists() for name in (*old, young))
    kept.place(old[0]).write_bytes(b"altered")
    assert kept.faults() == {(FaultKind.ALTERED_FILE, None)}


def test_files_in_an_object_store_are_looked_at_alike(kept: Kept) -> None:
    blobs = BlobStore(MemoryStore())
    first, *others = kept.world.documents.values()
    for content in (*others, NORMALISED, b"left over"):
        asyncio.run(blobs.put(content))
    with closing(fsck(kept.urls.service, blobs=blobs)) as report:
        assert [(fault.kind, fault.position) for fault in report.faults] == [
            (FaultKind.LOST_FILE, kept.naming(sha256(first).hexdigest()))
        ]
        assert len(report.noted) == 1


def test_the_command_reads_the_files_unless_it_is_told_not_to(kept: Kept) -> None:
    found = kept.command("--json")
    assert (found.exit_code, json.loads(found.stdout)["noted"]) == (0, []), found.output
    lost = next(iter(kept.world.documents))
    kept.place(lost).unlink()
    kept.put(b"left over", timedelta(hours=2))
    found = kept.command()
    assert found.exit_code == 1
    assert f"lost-file at position {kept.naming(lost)}, stream" in found.stdout
    assert "Noted:\n  - nothing refers to 1 stored files (9 bytes)" in found.stdout
    without = kept.command("--no-files")
    assert without.exit_code == 0
    assert "files: whether those that the log names are stored, and unaltered, was not looked at" in without.stdout
    (kept.data / "blobs").rename(kept.data / "elsewhere")
    nowhere = kept.command()
    assert (nowhere.exit_code, nowhere.stdout) == (2, "")
    assert "there is no file store at" in nowhere.stderr
    assert not (kept.data / "blobs").exists()


#: Where facts name files that were stored before.
FILES = {
    "envelope.created/3 documents sha256", "envelope.document-added/1 document sha256",
    "envelope.document-executed/2 sha256", "envelope.document-executed/2 normalised_sha256",
    "envelope.certificate-issued/2 sha256", "envelope.seal-renewed/1 previous_sha256", "envelope.seal-renewed/1 sha256",
    "template.file-stored/2 file sha256", "template.file-stored/2 file normalised_sha256",
    "document.file-stored/2 file sha256", "document.file-stored/2 file normalised_sha256",
}  # fmt: skip
#: Hashes of other things, or of a document that the envelope of the signing has named before.
NO_FILES = {
    "signing.process-created/2 documents sha256", "signing.document-assigned/1 document sha256",
    "consent.accepted/1 text sha256", "signing.document-viewed/1 sha256", "signing.document-signed/1 sha256",
    "signing.consent-given/1 text_sha256", "signing.invited/1 invitation token_sha256",
    "signing.invitation-resent/1 invitation token_sha256", "signing.session-opened/1 session token_sha256",
    "envelope.document-executed/2 body_sha256", "envelope.document-executed/2 seal certificate_sha256",
    "envelope.certificate-issued/2 body_sha256", "envelope.certificate-issued/2 seal certificate_sha256",
}  # fmt: skip


def test_every_hash_that_a_fact_can_hold_is_of_a_file_that_is_looked_for_or_known_to_be_of_none() -> None:
    assert {f"{name} {path}" for name, fact in FACTS.items() for path in hashes_in(fact)} == FILES | NO_FILES


def hashes_in(kind: Any) -> Iterator[str]:
    """The paths of the members of a fact that are called a SHA-256."""
    for member in fields(kind):
        hint = get_type_hints(kind)[member.name]
        if member.name.endswith("sha256"):
            yield member.name
        for inner in (hint, *get_args(hint)):
            if is_dataclass(inner):
                yield from (f"{member.name} {path}" for path in hashes_in(inner))
