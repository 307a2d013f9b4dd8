"""Each check of docs/evidence-format.md comes out as the page says: for bundles made in memory, then tampered with."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from api.cli_verify import app
from domain.checkpoint import Checkpoint
from domain.entry import decode, encode, leaf_hash
from domain.faults import Verdict
from domain.findings import Check, Finding
from domain.merkle import root_of
from domain.receipt import ReceiptText, format_receipt
from infrastructure.bundle_format import Content, Document, Earlier
from infrastructure.bundle_lines import Disclosed, EntryLine, ErasedBy, Withheld
from infrastructure.evidence import Judgement, Trust, verify
from tests.evidence_stamps import Authority
from tests.evidence_world import (
    EvidenceWorld,
    Story,
    entry_of,
    packed,
    policy_file,
    sign_checkpoint,
    signing_key,
    tell,
)
from tests.histories import ORIGIN, forge, relink

VALID, INVALID, INDETERMINATE = Verdict.VALID, Verdict.INVALID, Verdict.INDETERMINATE

POLICY = policy_file()
ANCHORS = (Authority().root,)
TRUST = Trust(POLICY, ANCHORS)

Edit = Callable[[Content], Content]


def judge(content: Content, trust: Trust = TRUST) -> Judgement:
    return verify(io.BytesIO(packed(content)), trust)


def found(judgement: Judgement, check: Check) -> Finding:
    return next(finding for finding in judgement.findings if finding.check is check)


def verdicts(judgement: Judgement) -> dict[str, Verdict]:
    return {finding.check: finding.verdict for finding in judgement.findings}


def told(story: Story, process: UUID | None = None, **kinds: Any) -> Content:
    """A bundle, time-stamped five seconds after the end."""
    world = story.world
    kinds.setdefault("stamped", {len(world.rows): world.now + timedelta(seconds=5)})
    return world.bundle(story.envelope, process, **kinds)


STORY = tell(erased=True)
WORLD = STORY.world
SIZE = len(WORLD.rows)
CONTENT = told(STORY, earlier=(20,))


def test_a_bundle_as_it_was_given_out_is_valid() -> None:
    judgement = judge(CONTENT)
    assert verdicts(judgement) == dict.fromkeys(list(Check)[:-1], VALID)
    assert judgement.verdict is VALID
    as_of = judgement.as_of
    assert as_of is not None
    assert (as_of.position, as_of.size, as_of.complete, as_of.witnessed) == (SIZE - 2, SIZE, SIZE - 1, SIZE)
    assert as_of.cosigners == ("alice", "bob", "carol")
    assert as_of.existed_before == WORLD.now + timedelta(seconds=5)
    assert judgement.counts["erased"] == 2


@pytest.mark.parametrize("process", STORY.participants)
def test_a_bundle_of_one_process_is_valid_and_says_what_was_not_checked(process: UUID) -> None:
    judgement = judge(told(STORY, process))
    assert judgement.verdict is VALID
    assert any("other participants" in line for line in judgement.absent)


@pytest.mark.parametrize("story", ["declined", "cancelled", "drafted", "open"])
def test_envelopes_that_ended_otherwise_or_not_at_all_are_valid(story: str) -> None:
    world = EvidenceWorld(seed=3)
    envelope, others = world.drafted() if story == "drafted" else world.open_envelope()
    if story == "declined":
        world.sign(envelope, others[0])
        world.decline(envelope, others[1])
    elif story == "drafted":
        world.sign_in(envelope, others[0])
        world.sign(envelope, others[0])
    world.record_heads()
    assert judge(world.bundle(envelope), Trust(POLICY)).verdict is VALID


# Policy


def test_without_a_policy_nothing_is_believed_and_it_is_said_what_to_do() -> None:
    judgement = judge(CONTENT, Trust(None))
    assert [finding.verdict for finding in judgement.findings] == [VALID, INVALID, *[INDETERMINATE] * 9]
    assert [finding.reason for finding in judgement.findings[2:]] == ["not reached"] * 9
    assert "--policy" in found(judgement, Check.POLICY).reason
    assert judgement.verdict is INVALID


@pytest.mark.parametrize("policy", [b"", b"log x\n", policy_file(origin="another.test/ledger"), b"quorum none\n"])
def test_a_policy_that_does_not_accept_the_ledger_is_invalid(policy: bytes) -> None:
    assert verdicts(judge(CONTENT, Trust(policy)))[Check.POLICY] is INVALID


def test_what_is_no_bundle_is_invalid() -> None:
    judgement = verify(io.BytesIO(b"Dear auditor,"), TRUST)
    assert (judgement.verdict, judgement.ledger, judgement.as_of) == (INVALID, None, None)


# Checkpoint

STRANGER = signing_key(ORIGIN, generation=2)


def forged_checkpoint(size: int, *keys: Any, origin: str = ORIGIN) -> bytes:
    return sign_checkpoint(Checkpoint(origin, size, root_of(WORLD.leaves()[:size])), keys or (signing_key(ORIGIN),))


CHECKPOINTS: dict[str, tuple[Edit, str]] = {
    "by another key": (lambda it: replace(it, checkpoint=forged_checkpoint(SIZE, STRANGER)), "no signature"),
    "changed after it was signed": (
        lambda it: replace(it, checkpoint=it.checkpoint.replace(b"\n%d\n" % SIZE, b"\n99\n"), timestamps={}), "not valid"),
    "of another ledger": (
        lambda it: replace(it, checkpoint=forged_checkpoint(SIZE, signing_key("b.test"), origin="b.test")), "is of the ledger"),
    "earlier, by another key": (
        lambda it: replace(it, earlier={20: Earlier(forged_checkpoint(20, STRANGER), it.earlier[20].consistency)}), "no signature"),
    "earlier, of another size": (
        lambda it: replace(it, earlier={20: Earlier(forged_checkpoint(19), it.earlier[20].consistency)}), "of size 19"),
    "earlier, without proof": (lambda it: replace(it, earlier={20: Earlier(it.earlier[20].note, ())}), "does not continue"),
    "earlier, of another tree": (
        lambda it: replace(it, earlier={20: Earlier(tell(2).world.checkpoint(20), it.earlier[20].consistency)}),
        "does not continue"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_not_believed(name: str) -> None:
    edit, said = CHECKPOINTS[name]
    judgement = judge(edit(CONTENT), Trust(policy_file() + b"log " + str(signing_key("b.test").key).encode() + b"\n"))
    assert found(judgement, Check.CHECKPOINT).verdict is INVALID
    assert said in found(judgement, Check.CHECKPOINT).reason
    assert found(judgement, Check.FILES).reason == "not reached"


def test_while_keys_change_either_of_them_is_enough() -> None:
    content = replace(CONTENT, checkpoint=forged_checkpoint(SIZE, signing_key(ORIGIN), STRANGER), earlier={})
    for known in (signing_key(ORIGIN), STRANGER):
        assert found(judge(content, Trust(policy_file(keys=[known]))), Check.CHECKPOINT).verdict is VALID


def test_a_signature_of_an_unknown_key_says_nothing_and_is_named() -> None:
    content = replace(CONTENT, checkpoint=forged_checkpoint(SIZE, signing_key(ORIGIN), signing_key("b.test")), earlier={})
    finding = found(judge(content), Check.CHECKPOINT)
    assert (finding.verdict, [detail.name for detail in finding.details]) == (VALID, ["checkpoint"])
    assert "'b.test'" in finding.details[0].text


# Quorum


def test_a_checkpoint_that_the_quorum_has_not_seen_is_not_yet_witnessed() -> None:
    lone = told(replace(STORY, world=replace_cosigners(("alice",))), earlier=(20,))
    judgement = judge(replace(lone, earlier=CONTENT.earlier), Trust(POLICY))
    finding = found(judgement, Check.QUORUM)
    assert (finding.verdict, judgement.verdict) == (INDETERMINATE, INDETERMINATE)
    assert "up to position 20" in finding.reason
    assert judgement.as_of is not None
    assert (judgement.as_of.witnessed, judgement.as_of.size) == (20, SIZE)
    assert found(judge(lone, Trust(POLICY)), Check.QUORUM).reason.endswith("no entry is witnessed")
    assert judge(lone, Trust(policy_file(threshold=1))).verdict is VALID


def replace_cosigners(names: tuple[str, ...]) -> EvidenceWorld:
    world = tell(erased=True).world
    world.cosigners = names
    return world


def test_a_policy_that_asks_for_no_witness_gets_none_and_the_absence_is_named() -> None:
    judgement = judge(CONTENT, Trust(policy_file(threshold=0)))
    assert judgement.verdict is VALID
    assert any(line.startswith("a witness") for line in judgement.absent)


# Time


def stamped(seconds: float, *, size: int = SIZE, authority: Authority | None = None) -> Content:
    world = tell(erased=True).world
    world.authority = authority or Authority()
    return told(replace(STORY, world=world), earlier=(20,), stamped={size: world.now + timedelta(seconds=seconds)})


TIMES: dict[str, tuple[Content, Verdict]] = {
    "a little before the newest entry": (stamped(-200), VALID),
    "long before the newest entry": (stamped(-500), INVALID),
    "of another content": (replace(CONTENT, timestamps={20: CONTENT.timestamps[SIZE]}), INVALID),
    "no token": (replace(CONTENT, timestamps={SIZE: b"0"}), INVALID),
    "by an unknown authority": (stamped(5, authority=Authority("Another")), INVALID),
    "by a certificate for other things": (stamped(5, authority=Authority(purposes=())), INVALID),
    "one that holds and one that does not": (replace(CONTENT, timestamps={**CONTENT.timestamps, 20: b"0"}), INVALID),
    "of an earlier checkpoint alone": (stamped(5, size=20), INDETERMINATE),
    "none": (replace(CONTENT, timestamps={}), INDETERMINATE),
}


@pytest.mark.parametrize("name", TIMES)
def test_a_time_stamp(name: str) -> None:
    content, verdict = TIMES[name]
    judgement = judge(content)
    assert (found(judgement, Check.TIME).verdict, judgement.verdict) == (verdict, verdict)


def test_time_does_not_count_for_whoever_trusts_no_authority() -> None:
    judgement = judge(CONTENT, Trust(POLICY))
    assert (found(judgement, Check.TIME).verdict, judgement.verdict) == (INDETERMINATE, VALID)
    assert any("--tsa" in line for line in judgement.absent)


# Entries


def with_entry(index: int, **changes: Any) -> Edit:
    """One entry changed and hashed again, by somebody who cannot sign the log anew."""

    def edit(content: Content) -> Content:
        line = content.entries[index]
        raw = encode(replace(decode(line.raw), **changes))
        lines = list(content.entries)
        lines[index] = EntryLine(line.position, leaf_hash(raw), raw)
        return replace(content, entries=tuple(lines))

    return edit


def with_raw(index: int, raw: bytes) -> Edit:
    return lambda it: replace(it, entries=(*it.entries[:index], replace(it.entries[index], raw=raw), *it.entries[index + 1 :]))


def moved(content: Content) -> Content:
    """Two entries of one time in each other's place."""
    first, second = content.entries[:2]
    swapped = (replace(second, position=first.position), replace(first, position=second.position))
    return replace(content, entries=(*swapped, *content.entries[2:]))


LATER = decode(CONTENT.entries[4].raw).at + timedelta(days=1)

ENTRIES: dict[str, tuple[Edit, set[Check]]] = {
    "changed and hashed again": (with_entry(4, by={"id": "another", "kind": "partner-key"}), {Check.INCLUSION, Check.CHAIN}),
    "with another leaf beside it": (
        lambda it: replace(it, entries=(replace(it.entries[0], leaf=bytes(32)), *it.entries[1:])), {Check.INCLUSION}),
    "of another ledger": (with_entry(4, ledger="b.test"), {Check.INCLUSION, Check.CHAIN}),
    "of another stream": (with_entry(-1, stream=UUID(int=7)), {Check.INCLUSION, Check.CHAIN, Check.COMPLETENESS}),
    "of a later time": (with_entry(4, at=LATER), {Check.INCLUSION, Check.CHAIN}),
    "that is none": (with_raw(4, b"{}"), {Check.INCLUSION, Check.CHAIN, Check.DISCLOSURES}),
    "in another order": (moved, {Check.INCLUSION, Check.CHAIN}),
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry(name: str) -> None:
    edit, checks = ENTRIES[name]
    judgement = judge(edit(CONTENT))
    assert {finding.check for finding in judgement.findings if finding.verdict is INVALID} >= checks
    assert (found(judgement, Check.HISTORY).verdict is INDETERMINATE) == (Check.CHAIN in checks)


def test_a_stream_that_the_bundle_is_not_about_does_not_belong() -> None:
    stranger = WORLD.rows[0].stream
    for process, streams, said in (
        (None, {STORY.envelope, *STORY.participants, stranger}, f"is not about the stream {stranger}"),
        (STORY.process, {STORY.envelope, *STORY.participants}, f"is not about the stream {STORY.participants[1]}"),
        (STORY.process, {STORY.envelope}, f"no entry of the stream {STORY.process}"),
        (None, set(STORY.participants), f"no entry of the stream {STORY.envelope}"),
    ):
        finding = found(judge(told(STORY, process, streams=streams)), Check.CHAIN)
        assert (finding.verdict, said in finding.reason) == (INVALID, True)


# Completeness


def cut(content: Content, *, at: int) -> Content:
    """The bundle without the entries after a position: what somebody does who hides how it ended."""
    entries = tuple(line for line in content.entries if line.position <= at)
    gone = {line.position for line in content.entries} - {line.position for line in entries}
    return replace(
        content,
        entries=entries,
        disclosures=tuple(line for line in content.disclosures if line.position not in gone),
        proofs={position: proof for position, proof in content.proofs.items() if position not in gone},
    )


def without_streams(content: Content, *streams: UUID) -> Content:
    kept = [line for line in content.entries if decode(line.raw).stream not in streams]
    positions = {line.position for line in kept} | {line.position for line in content.ledger_entries}
    return replace(
        content,
        entries=tuple(kept),
        disclosures=tuple(line for line in content.disclosures if line.position in positions),
        proofs={position: proof for position, proof in content.proofs.items() if position in positions},
    )


FRESH = tell()


def test_the_end_of_a_process_cannot_be_withheld() -> None:
    content = told(FRESH)
    for kept in (1, 3, 10):
        judgement = judge(cut(content, at=content.entries[-1 - kept].position))
        assert found(judgement, Check.COMPLETENESS).verdict is INVALID


def test_a_participant_cannot_be_withheld() -> None:
    content = without_streams(told(FRESH), FRESH.participants[1])
    judgement = judge(content)
    assert str(FRESH.participants[1]) in found(judgement, Check.COMPLETENESS).reason
    assert judgement.verdict is INVALID
    rowless = replace(content, heads=None, ledger_entries=())
    rowless = replace(rowless, proofs={line.position: content.proofs[line.position] for line in content.entries})
    assert found(judge(rowless), Check.COMPLETENESS).verdict is INVALID


def test_a_row_of_the_manifest_that_is_left_out_is_missed() -> None:
    content = told(FRESH)
    assert content.heads is not None
    judgement = judge(replace(content, heads=replace(content.heads, rows=content.heads.rows[1:])))
    assert "has no row" in found(judgement, Check.COMPLETENESS).reason


def test_without_a_manifest_nothing_is_known_of_the_end() -> None:
    judgement = judge(told(FRESH, size=len(FRESH.world.rows) - 1, stamped={}), Trust(POLICY))
    assert (found(judgement, Check.COMPLETENESS).verdict, judgement.verdict) == (INDETERMINATE, INDETERMINATE)
    assert judgement.as_of is not None
    assert judgement.as_of.complete is None


def test_what_is_newer_than_the_manifest_is_complete_only_up_to_there() -> None:
    world = EvidenceWorld(seed=4)
    envelope, others = world.open_envelope()
    world.record_heads()
    until = len(world.rows) - 1
    for who in others:
        world.sign(envelope, who)
    judgement = judge(world.bundle(envelope), Trust(POLICY))
    finding = found(judgement, Check.COMPLETENESS)
    assert (finding.verdict, judgement.verdict) == (INDETERMINATE, INDETERMINATE)
    assert f"only up to position {until}" in finding.reason
    assert judgement.as_of is not None
    assert judgement.as_of.complete == until


def lying(**says: Any) -> Judgement:
    """A bundle whose manifest says something else than its entries."""
    row = FRESH.world.rows[-1]
    data = {**decode(row.raw).data, **says.pop("data", {})}
    return judge(replace(told(FRESH), ledger_entries=(entry_of(forge(row, data=data, **says)),)))


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"data": {"root": "ab" * 32}}, "proves nothing"),
        ({"data": {"root": "x"}}, "proves nothing"),
        ({"data": {"position": 10}}, "which is not so"),
        ({"data": {"position": 1000}}, "no heads manifest"),
        ({"data": {"extra": 1}}, "no heads manifest"),
        ({"stream": UUID(int=7)}, "no heads manifest"),
        ({"type": "ledger.key-added/1"}, "no heads manifest"),
    ],
)
def test_a_manifest_that_says_otherwise_than_the_entries_is_found(says: dict[str, Any], reason: str) -> None:
    finding = found(lying(**says), Check.COMPLETENESS)
    assert finding.verdict is INVALID
    assert reason in finding.reason


# History


def without_manifest(story: Story, size: int | None = None) -> Judgement:
    """Of the log up to the manifest, or to an earlier size."""
    return judge(told(story, size=size or len(story.world.rows) - 1, stamped={}), Trust(POLICY))


def replaced(type: str, by: str) -> Story:
    """A story in which one fact is another, hashed, linked and signed again by somebody who holds every key."""
    story = tell()
    row = story.world.rows[story.position(type) - 1]
    story.world.rows[row.position - 1] = forge(row, type=by, data={}, personal={})
    story.world.rows = relink(story.world.rows, row.stream)
    return story


def test_a_history_that_could_not_have_been_decided_is_found_even_if_the_ledger_signed_it() -> None:
    judgement = without_manifest(replaced("signing.document-viewed", "signing.completed/1"))
    assert verdicts(judgement)[Check.CHAIN] is verdicts(judgement)[Check.INCLUSION] is VALID
    assert (found(judgement, Check.HISTORY).verdict, judgement.verdict) == (INVALID, INVALID)


def test_a_fact_that_does_not_say_what_it_must_is_found() -> None:
    finding = found(without_manifest(replaced("signing.document-viewed", "signing.otp-sent/1")), Check.HISTORY)
    assert finding.verdict is INVALID
    assert "/channel is missing" in finding.reason


def test_a_type_that_is_not_known_leaves_the_history_open() -> None:
    judgement = without_manifest(replaced("signing.document-viewed", "signing.document-read-aloud/1"))
    assert (found(judgement, Check.HISTORY).verdict, judgement.verdict) == (INDETERMINATE, INDETERMINATE)


def test_entries_that_break_off_within_a_decision_leave_the_history_open() -> None:
    finding = found(without_manifest(FRESH, FRESH.position("signing.completed")), Check.HISTORY)
    assert finding.verdict is INDETERMINATE
    assert "within a decision" in finding.reason


def test_nothing_stands_between_the_facts_of_one_decision() -> None:
    story = tell()
    world, place = story.world, story.position("signing.completed")
    stranger = forge(world.rows[0], version=9, at=decode(world.rows[place - 1].raw).at)
    world.rows.insert(place, stranger)
    world.rows = [replace(row, position=number) for number, row in enumerate(world.rows, 1)]
    world.disclosures = {(at + (at > place), path): it for (at, path), it in world.disclosures.items()}
    judgement = without_manifest(story)
    assert verdicts(judgement)[Check.CHAIN] is VALID
    assert "another entry stands within" in found(judgement, Check.HISTORY).reason


# Disclosures

DISCLOSED = next(line for line in CONTENT.disclosures if isinstance(line, Disclosed))


def with_line(line: Any, old: Any = DISCLOSED) -> Edit:
    return lambda it: replace(it, disclosures=tuple(line if each is old else each for each in it.disclosures))


def without_line(content: Content) -> Content:
    return replace(content, disclosures=tuple(line for line in content.disclosures if line is not DISCLOSED))


def erased_by_the_manifest(content: Content) -> Content:
    """One of two erasures is said to be by an entry that is none."""
    assert content.heads is not None
    line = next(line for line in content.disclosures if isinstance(line, ErasedBy))
    return with_line(replace(line, erased=content.heads.position), line)(content)


DISCLOSURES: dict[str, tuple[Edit, Verdict]] = {
    "another value": (with_line(replace(DISCLOSED, value="another")), INVALID),
    "another salt": (with_line(replace(DISCLOSED, salt=bytes(32))), INVALID),
    "of no commitment": (with_line(Withheld(DISCLOSED.position, f"{DISCLOSED.path}0")), INVALID),
    "erased by an entry that does not say so": (erased_by_the_manifest, INVALID),
    "withheld": (with_line(Withheld(DISCLOSED.position, DISCLOSED.path)), VALID),
    "not mentioned": (without_line, INDETERMINATE),
}


@pytest.mark.parametrize("name", DISCLOSURES)
def test_a_disclosure(name: str) -> None:
    edit, verdict = DISCLOSURES[name]
    judgement = judge(edit(CONTENT))
    assert (found(judgement, Check.DISCLOSURES).verdict, judgement.verdict) == (verdict, verdict)


def test_what_was_erased_or_withheld_is_named_and_counted() -> None:
    judgement = judge(told(STORY, withheld=[(DISCLOSED.position, DISCLOSED.path)]))
    named = {(detail.position, detail.name) for detail in found(judgement, Check.DISCLOSURES).details}
    assert (DISCLOSED.position, DISCLOSED.path) in named
    assert (judgement.counts["withheld"], judgement.counts["erased"], len(named)) == (1, 2, 3)


# Files

NAME = next(iter(CONTENT.documents))
STRAY = "ab" * 32

FILES: dict[str, tuple[Edit, Verdict]] = {
    "replaced": (lambda it: replace(it, documents={**it.documents, NAME: Document.of(b"another")}), INVALID),
    "that no entry names": (
        lambda it: replace(it, documents={**it.documents, (more := Document.of(b"more")).sha256: more}), INVALID),
    "withheld that no entry names": (lambda it: replace(it, withheld=(STRAY,)), INVALID),
    "withheld": (lambda it: told(STORY, withheld_documents=[NAME]), VALID),
    "that is missing": (
        lambda it: replace(it, documents={name: each for name, each in it.documents.items() if name != NAME}), INDETERMINATE),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_document(name: str) -> None:
    edit, verdict = FILES[name]
    judgement = judge(edit(CONTENT))
    assert (found(judgement, Check.FILES).verdict, judgement.verdict) == (verdict, verdict)


# Receipts

LAST = WORLD.heads[STORY.envelope]
RECEIPT = ReceiptText(ORIGIN, STORY.envelope, LAST.version, LAST.position, LAST.leaf)

RECEIPTS: dict[str, tuple[ReceiptText, Verdict]] = {
    "of an entry": (RECEIPT, VALID),
    "of another entry in its place": (replace(RECEIPT, leaf=bytes(32)), INVALID),
    "of an entry that is not there": (replace(RECEIPT, version=LAST.version + 1, position=LAST.position + 1), INVALID),
    "of a later entry": (replace(RECEIPT, version=LAST.version + 1, position=SIZE + 1), INDETERMINATE),
    "of another ledger": (replace(RECEIPT, ledger="b.test"), INDETERMINATE),
    "of another stream": (replace(RECEIPT, stream=UUID(int=7), version=1, position=1), INDETERMINATE),
}


@pytest.mark.parametrize("name", RECEIPTS)
def test_a_receipt(name: str) -> None:
    receipt, verdict = RECEIPTS[name]
    judgement = judge(CONTENT, replace(TRUST, receipts=(receipt,)))
    assert (found(judgement, Check.RECEIPTS).verdict, judgement.verdict) == (verdict, verdict)


def test_receipts_that_were_not_reached_leave_the_whole_open() -> None:
    judgement = judge(CONTENT, Trust(None, receipts=(RECEIPT,)))
    assert found(judgement, Check.RECEIPTS).reason == "not reached"


# The command


def command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", *arguments])
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.zip").write_bytes(packed(CONTENT))
    (tmp_path / "policy.txt").write_bytes(POLICY)
    (tmp_path / "tsa.pem").write_bytes(Authority().pem)
    return tmp_path


def test_the_command_answers_a_person_with_a_table_and_a_sentence(folder: Path) -> None:
    code, out = command(f"{folder}/a.zip", "--policy", f"{folder}/policy.txt", "--tsa", f"{folder}/tsa.pem")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert [line[:2] for line in lines[1:12]] == [[check.value, "valid"] for check in list(Check)[:-1]]
    sentence = f"as of position {SIZE - 1}, checkpoint of size {SIZE}, cosigned by alice, bob, carol, existed before 2026-11-"
    assert sentence in out.splitlines()[-1]
    assert "was erased by the entry at position" in out
    for value in ("Ana", "example.com", "203.0.113.9", "Firma"):
        assert value not in out


def test_the_command_answers_a_program_with_json(folder: Path) -> None:
    code, out = command(f"{folder}/a.zip", "--policy", f"{folder}/policy.txt", "--json", "--receipt", format_receipt(RECEIPT))
    answer = json.loads(out)
    assert (code, answer["verdict"]) == (0, "valid")
    assert [(each["check"], each["verdict"]) for each in answer["findings"]] == [
        (check.value, "indeterminate" if check is Check.TIME else "valid") for check in Check
    ]
    assert answer["bundle"] == f"{folder}/a.zip"
    assert answer["as_of"]["witnessed"] == SIZE


def test_the_command_needs_a_policy_and_says_so(folder: Path) -> None:
    code, out = command(f"{folder}/a.zip")
    assert code == 1
    assert "no policy was given (--policy)" in out


def test_what_is_no_bundle_is_invalid_and_cannot_command_the_terminal(folder: Path) -> None:
    assert command(f"{folder}/policy.txt", "--policy", f"{folder}/policy.txt")[0] == 1
    (folder / "b.zip").write_bytes(packed(with_entry(4, ledger="\x1b[2J\u202e")(CONTENT)))
    code, out = command(f"{folder}/b.zip", "--policy", f"{folder}/policy.txt")
    assert code == 1
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "invalid: what this says" in out


@pytest.mark.parametrize(
    "arguments", [("--tsa", "policy.txt"), ("--receipt", "policy.txt"), ("--head", f"1:{'ab' * 32}"), ("--expect-ledger", "x")]
)
def test_what_the_command_cannot_use_is_no_verdict(folder: Path, arguments: tuple[str, str]) -> None:
    option, value = arguments
    code, _ = command(f"{folder}/a.zip", option, f"{folder}/{value}" if value.endswith("txt") else value)
    assert code == 2


def test_a_bundle_is_checked_without_a_network_and_without_settings(folder: Path) -> None:
    """In a process that ends at the first attempt to reach anything."""
    program = """
import os, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        os._exit(99)
sys.addaudithook(refuse)
from api.cli_verify import app
app()
"""
    arguments = ("verify", f"{folder}/a.zip", "--policy", f"{folder}/policy.txt", "--tsa", f"{folder}/tsa.pem")
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("COUNTERSIGN", "DATABASE"))}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=bare, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
