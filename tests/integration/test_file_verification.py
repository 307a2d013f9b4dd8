"""A file is held against a bundle of evidence: what was executed is known, and whatever differs from it is found."""

import asyncio
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from typer.testing import CliRunner, Result

from api.cli_verify import app
from domain.coordination import RecordExecuted
from domain.envelope import DocumentExecuted
from domain.faults import Verdict
from domain.findings import NOT_REACHED, Check, FileCheck
from domain.ids import ProcessId
from domain.seal import Obstacle, Profile, Seal
from infrastructure.evidence import Trust
from infrastructure.file_verification import Anchors, Evidence, FileJudgement, Kind, beginnings, of_bundle
from infrastructure.pdf_seal.credentials import development
from infrastructure.pdf_seal.sealing import seal
from tests.evidence_world import EvidenceWorld, packed, policy_file, tell
from tests.filed_world import Filed, filed, of, sha
from tests.seal_world import NOW

VALID, INVALID, INDETERMINATE = Verdict.VALID, Verdict.INVALID, Verdict.INDETERMINATE

#: Bits that are flipped one after another; a thousand take a minute.
_ALL = os.environ.get("COUNTERSIGN_TEST_CORPUS") == "whole" or os.environ.get("HYPOTHESIS_PROFILE") == "long"
FLIPS = 1_000 if _ALL else 60

#: Some readers of PDF never come to an end with it.
LOOPS = (
    b"%PDF-1.5\n1 0 obj\n<</Type/XRef/W[0 0 0]/Index[0 2000000000]/Size 2000000000/Root 1 0 R/Length 0>>\n"
    b"stream\n\nendstream\nendobj\nstartxref\n9\n%%EOF\n"
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filed]:
    with filed(tmp_path_factory.mktemp("filed")) as made:
        yield made


@pytest.fixture(scope="module")
def evidence(world: Filed) -> Evidence:
    return world.evidence()


def verdicts(found: FileJudgement) -> dict[str, Verdict]:
    """Of the checks of the file alone."""
    return {each.check.value: each.verdict for each in found.findings if isinstance(each.check, FileCheck)}


def reason(found: FileJudgement, check: FileCheck | Check) -> str:
    return next(each.reason for each in found.findings if each.check is check)


def held(found: FileJudgement, *besides: FileCheck) -> bool:
    """Whether the seal itself shows no fault."""
    known = (FileCheck.FILE, FileCheck.BODY, *besides)
    return not any(each.verdict is INVALID for each in found.findings if each.check not in known)


def flipped(pdf: bytes, chance: Random) -> bytes:
    altered = bytearray(pdf)
    altered[chance.randrange(len(pdf))] ^= 1 << chance.randrange(8)
    return bytes(altered)


def test_executed_documents_and_certificates_are_known_with_every_check(
    world: Filed, evidence: Evidence, loop: asyncio.Runner
) -> None:
    of_seal = ["seal-form", "seal-integrity", "seal-coverage", "seal-changes", "seal-signer"]
    expected = {
        world.archived: (Kind.EXECUTED, 1, [*of_seal, "seal-time", "seal-archive"], Profile.B_LTA),
        world.plain: (Kind.EXECUTED, 2, of_seal, Profile.B_B),
        world.renewed: (Kind.CERTIFICATE, None, [*of_seal, "seal-archive"], Profile.B_T),
    }
    for pdf, (kind, place, of_its_seal, profile) in expected.items():
        found = loop.run(world.verify(pdf, evidence))
        assert (found.verdict, found.envelope, found.ledger) == (VALID, world.envelope, world.ledger.origin)
        assert found.pin is not None
        assert found.seal is not None
        assert (found.pin.kind, found.place, found.pin.superseded_by) == (kind, place, None)
        assert found.seal.profile is profile
        assert verdicts(found) == dict.fromkeys(["file", "body", *of_its_seal, "certificate", "signatures"], VALID)
        assert [each.process for each in found.signatures] == [ProcessId(world.envelope, who) for who in world.participants]
        assert [each.check for each in found.findings if isinstance(each.check, Check)] == list(Check)[:-1]  # no receipts


def test_a_form_before_its_renewal_is_still_known_and_said_to_be_superseded(
    world: Filed, evidence: Evidence, loop: asyncio.Runner
) -> None:
    found = loop.run(world.verify(world.certificate, evidence))
    assert found.verdict is VALID
    assert found.pin is not None
    assert found.pin.superseded_by == sha(world.renewed)
    assert f"a later form, with a newer time stamp, has the SHA-256 {sha(world.renewed)}" in reason(found, FileCheck.FILE)


def test_what_was_signed_and_what_was_sealed_are_told_and_are_not_the_executed_document(
    world: Filed, evidence: Evidence, loop: asyncio.Runner
) -> None:
    found = loop.run(world.verify(world.original, evidence))
    assert (found.verdict, found.pin and found.pin.kind) == (INVALID, Kind.ORIGINAL)
    assert reason(found, FileCheck.FILE) == "it is a document as it was before anybody signed it, and not an executed one"
    found = loop.run(world.verify(world.body, evidence))
    assert (found.verdict, found.pin and found.pin.kind) == (INVALID, Kind.BODY)
    assert reason(found, FileCheck.FILE) == f"it is the executed document 2 of the envelope {world.envelope} without its seal"


def test_any_flipped_bit_is_found_by_the_hash_and_by_the_seal(world: Filed, evidence: Evidence, loop: asyncio.Runner) -> None:
    chance = Random(7)
    # A seal with time stamps takes four times as long to look at.
    files = chance.choices((world.archived, world.plain, world.renewed), (1, 6, 1), k=FLIPS)
    altered = [flipped(pdf, chance) for pdf in files]

    async def judged() -> list[FileJudgement]:
        return await asyncio.gather(*(world.verify(each, evidence) for each in altered))

    for pdf, found in zip(altered, loop.run(judged()), strict=True):
        assert (found.verdict, found.pin, found.envelope) == (INVALID, None, None)
        assert verdicts(found)["file"] is INVALID
        assert not held(found), f"{sha(pdf)}: the seal alone does not show it"


def test_an_altered_file_is_told_by_what_it_begins_with(
    world: Filed, evidence: Evidence, loop: asyncio.Runner, tmp_path: Path
) -> None:
    known = f"are the executed document 2 of the envelope {world.envelope}"
    appended = loop.run(world.verify(world.plain + b"\n% and I owe you more\n%%EOF\n", evidence))
    assert f"its first {len(world.plain):,} bytes {known}, and what follows" in reason(appended, FileCheck.FILE)
    assert not held(appended)
    resealed = loop.run(seal(world.body, development(tmp_path, NOW).signer, NOW)).content
    found = loop.run(world.verify(resealed, evidence))
    assert f"its first {len(world.body):,} bytes {known} without its seal, and what follows" in reason(found, FileCheck.FILE)
    # The names in both certificates are the same; the roots are not.
    assert (found.verdict, verdicts(found)["seal-signer"], held(found, FileCheck.SIGNER)) == (INVALID, INVALID, True)


@pytest.mark.parametrize(
    "alter",
    [
        lambda world: b"",
        lambda world: world.plain[:-1],
        lambda world: world.plain[: len(world.plain) // 2],
        lambda world: LOOPS,
        lambda world: world.plain + world.bundle(),
        lambda world: world.bundle() + world.plain,
        lambda world: world.plain + bytes(40_000_000),
        lambda world: b"%PDF-1.7\n" + b"%%EOF\n" * 100_000,
    ],
    ids=["empty", "shorter", "half", "looping", "with a zip after it", "with a zip before it", "40 MB", "endless ends"],
)
def test_what_is_no_file_of_the_envelope_is_answered(
    alter: Callable[[Filed], bytes], world: Filed, evidence: Evidence, loop: asyncio.Runner
) -> None:
    found = loop.run(world.verify(alter(world), evidence))
    assert (found.verdict, found.pin) == (INVALID, None)
    assert not held(found)


def test_the_beginnings_of_a_file_are_those_that_may_have_been_files() -> None:
    pdf = b"%PDF-1.7\n%%EOF\r\n% more\n%%EOF"
    assert beginnings(pdf) == {sha(pdf[:length]): length for length in (14, 15, 16)}
    assert len(beginnings(b"%%EOF\n" * 1_000)) == 128


def test_the_bundle_of_another_envelope_does_not_know_the_file(world: Filed, loop: asyncio.Runner) -> None:
    story = tell()
    other = of_bundle(io.BytesIO(packed(story.world.bundle(story.envelope))), Trust(policy_file()))
    found = loop.run(world.verify(world.plain, other))
    assert (found.verdict, found.envelope, found.signatures) == (INVALID, None, ())
    assert reason(found, FileCheck.FILE) == f"the bundle names no file with the SHA-256 {sha(world.plain)}"
    assert held(found)


def test_a_bundle_that_is_not_to_be_believed_makes_the_file_as_doubtful(world: Filed, loop: asyncio.Runner) -> None:
    unknown = of_bundle(io.BytesIO(world.bundle()), Trust(None))
    found = loop.run(world.verify(world.plain, unknown))
    assert (found.verdict, verdicts(found)["file"]) == (INVALID, VALID)
    assert reason(found, Check.INCLUSION) == NOT_REACHED
    own = EvidenceWorld(origin="elsewhere.example/log", now=NOW)
    assert own.origin != world.ledger.origin
    elsewhere = of_bundle(io.BytesIO(world.bundle()), Trust(policy_file(origin=own.origin)))
    assert loop.run(world.verify(world.plain, elsewhere)).verdict is INVALID


def test_the_bundle_of_one_process_tells_of_no_other_signer(world: Filed, loop: asyncio.Runner) -> None:
    found = loop.run(world.verify(world.plain, world.evidence(world.participants[1])))
    assert found.verdict is VALID
    assert [each.process.participant for each in found.signatures] == [world.participants[1]]
    assert "in the bundle: the other participants: their part was not checked" in found.absent


def test_what_nobody_is_trusted_for_is_named_and_not_judged(world: Filed, evidence: Evidence, loop: asyncio.Runner) -> None:
    found = loop.run(world.verify(world.archived, evidence, Anchors()))
    unknown = dict.fromkeys(("seal-signer", "seal-time", "seal-archive"), INDETERMINATE)
    assert (found.verdict, verdicts(found)) == (VALID, verdicts(found) | unknown)
    assert {each.check.value for each in found.findings if not each.counts} >= unknown.keys()
    assert [line.partition(":")[0] for line in found.absent[:2]] == ["who sealed it", "the trusted times in it"]
    wrong = Anchors(world.anchors.times, world.anchors.roots)
    assert verdicts(loop.run(world.verify(world.archived, evidence, wrong)))["seal-signer"] is INVALID


def test_a_seal_and_a_body_other_than_the_entry_says_are_found(world: Filed, loop: asyncio.Runner) -> None:
    for change, check in (
        ({"body_sha256": "ab" * 32}, "body"),
        ({"body_bytes": len(world.body) - 1}, "body"),
        ({"seal": Seal(Profile.B_B, Obstacle.NO_AUTHORITY, "cd" * 32)}, "certificate"),
    ):
        found = loop.run(world.verify(world.plain, recorded(world, change)))
        assert {name for name, verdict in verdicts(found).items() if verdict is not VALID} == {check}
        assert found.verdict is INVALID


def test_of_a_file_from_before_there_were_seals_the_hash_is_what_counts(world: Filed, loop: asyncio.Runner) -> None:
    found = loop.run(world.verify(world.body, recorded(world, {"sha256": sha(world.body), "body_bytes": None, "seal": None})))
    assert (found.verdict, found.pin and found.pin.kind) == (VALID, Kind.EXECUTED)
    doubtful = {"body": INDETERMINATE, "seal-form": INDETERMINATE, "certificate": INDETERMINATE}
    assert verdicts(found) == {"file": VALID, "signatures": VALID} | doubtful


def recorded(world: Filed, change: dict[str, Any]) -> Evidence:
    """An envelope of which `plain` was recorded, but for a change of what the entry says."""
    ledger = EvidenceWorld(now=NOW)
    envelope, (who,) = ledger.open_envelope(participants=1, documents=1)
    ledger.sign(envelope, who)
    (document,) = ledger.states[envelope].documents
    made_of = of(world.seals)
    fact = DocumentExecuted(document.id, sha(world.body), sha(world.plain), len(world.body), sha(world.original), made_of)
    fact = replace(fact, **change)
    ledger.documents[fact.sha256] = world.body if fact.sha256 == sha(world.body) else world.plain
    ledger.on_package(RecordExecuted(envelope, fact))
    ledger.record_heads()
    return of_bundle(io.BytesIO(packed(ledger.bundle(envelope))), Trust(policy_file()))


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


def test_the_command_tells_each_check_and_its_exit_code_is_the_verdict(world: Filed, tmp_path: Path) -> None:
    pdf, bundle, policy, roots, times = (tmp_path / name for name in ("a.pdf", "b.zip", "policy", "roots.pem", "times.pem"))
    pdf.write_bytes(world.archived)
    bundle.write_bytes(world.bundle())
    policy.write_bytes(policy_file())
    roots.write_bytes(pem(*world.anchors.roots))
    times.write_bytes(pem(*world.anchors.times))
    trust = ("--bundle", bundle, "--policy", policy, "--seal-certificates", roots)
    shown = command(pdf, *trust)
    assert (shown.exit_code, shown.stdout.splitlines()[-1].partition(":")[0]) == (0, "valid")
    assert f"is the executed document 1 of the envelope {world.envelope} in the ledger" in shown.stdout
    members = json.loads(command(pdf, *trust, "--json").stdout)
    assert (members["kind"], members["profile"], members["envelope"]) == ("executed", "B-B", str(world.envelope))
    assert {each["check"] for each in members["findings"]} == {*FileCheck, *Check} - {Check.RECEIPTS}
    shown = command(pdf, *trust, "--tsa", times)
    assert (shown.exit_code, shown.stdout.splitlines()[-1].partition(":")[0]) == (2, "indeterminate")
    assert (
        "nothing speaks against it, but time could not be established" in shown.stdout
    )  # of the bundle, which has no time stamp
    altered = tmp_path / "altered.pdf"
    altered.write_bytes(b"%pDF" + world.archived[4:])
    shown = command(altered, *trust)
    assert (shown.exit_code, "is no file that is known here." in shown.stdout) == (1, True)
    assert command(pdf, "--bundle", pdf, "--policy", policy).exit_code == 2
    assert command(pdf, "--policy", policy).exit_code == 2
    nowhere = CliRunner().invoke(
        app, ["verify", str(pdf)], env={"COUNTERSIGN_DATA": str(tmp_path / "none"), "DATABASE_URL": None}
    )
    assert (nowhere.exit_code, "There is no ledger in" in nowhere.stderr, (tmp_path / "none").exists()) == (2, True, False)
    assert command(pdf, *trust, "--expect-ledger", "x").exit_code == 2


def pem(*certificates: Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
