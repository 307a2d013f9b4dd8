"""Bundles that somebody made to keep a verifier busy, or to have two verifiers disagree."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from domain.checkpoint import Checkpoint
from domain.entry import decode
from domain.faults import Verdict
from domain.findings import Check
from domain.sealing import HeadsRecorded
from infrastructure.bundle_format import Content
from infrastructure.bundle_lines import EntryLine, ErasedBy
from tests.evidence_attack import Reader
from tests.evidence_stamps import Authority
from tests.evidence_verdicts import second_verdicts, verdicts
from tests.evidence_world import Story, entry_of, heads_of, map_of, packed, policy_file, sign_checkpoint, tell
from tests.histories import Row, forge, relink

INVALID, INDETERMINATE = Verdict.INVALID, Verdict.INDETERMINATE
READER = Reader("", policy_file())


def both(content: Content) -> Mapping[Check, Verdict]:
    """What the two verifiers say but for `valid`, which must be the same."""
    raw = packed(content)
    first = verdicts(raw, READER)
    assert first == second_verdicts(raw, READER)
    return {check: verdict for check, verdict in first.items() if verdict is not Verdict.VALID and check is not Check.TIME}


def sealed_again(story: Story, first: str, /, **changes: Any) -> Content:
    """The bundle of a ledger that has the story's first fact of a type otherwise, and its manifest and signatures to match."""
    rows = list(story.world.rows)
    (at, stream) = next((at, row.stream) for at, row in enumerate(rows) if row.position == story.position(first))
    rows[at] = forge(rows[at], **changes)
    rows = relink(rows, stream)
    root, _ = map_of(heads_of(rows[:-1]).values())
    rows[-1] = forge(rows[-1], data={**decode(rows[-1].raw).data, "root": root.hex()})
    assert rows[-1].type == HeadsRecorded.TYPE
    story.world.rows = rows
    return story.world.bundle(story.envelope)


def test_many_values_that_one_erasure_emptied_take_no_longer_than_as_many_others() -> None:
    story = tell(erased=True)
    content = story.world.bundle(story.envelope)
    last, erasure = content.entries[-1], next(each for each in content.ledger_entries if b"personal.erased" in each.raw)
    listed = [{"stream": str(story.envelope), "version": version} for version in range(1, 600)]
    many = {f"/{number:04}": "0" * 64 for number in range(700)}

    def line(at: EntryLine, position: int, **changes: Any) -> EntryLine:
        return entry_of(forge(Row(position, story.envelope, 1, "", at.leaf, at.raw), **changes))

    long = line(erasure, erasure.position, data={**decode(erasure.raw).data, "entries": listed})
    more = [line(last, 1_000 + number, personal=many) for number in range(3)]
    hostile = replace(
        content,
        entries=(*content.entries, *more),
        ledger_entries=tuple(long if each is erasure else each for each in content.ledger_entries),
        disclosures=(*content.disclosures, *(ErasedBy(at.position, path, erasure.position) for at in more for path in many)),
        proofs={**content.proofs, **{at.position: () for at in more}},
    )
    raw, before = packed(hostile), time.process_time()
    assert verdicts(raw, READER)[Check.INCLUSION] is INVALID
    assert time.process_time() - before < 1.5  # read anew for each of the 2,100 lines, the erasure takes 3 seconds


def test_a_token_of_the_last_minute_that_there_is_counts_as_any_other() -> None:
    story, end = tell(), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    story.world.authority = Authority(ends=end)
    content = story.world.bundle(story.envelope, stamped={len(story.world.rows): end - timedelta(minutes=1)})
    reader = replace(READER, tsa=story.world.authority.pem)
    for judged in (verdicts, second_verdicts):
        assert set(judged(packed(content), reader).values()) == {Verdict.VALID}


def without_documents(story: Story) -> Content:
    data = decode(next(row.raw for row in story.world.rows if row.stream == story.envelope)).data
    return sealed_again(story, "envelope.created", data={name: value for name, value in data.items() if name != "documents"})


DOUBTFUL: Mapping[str, tuple[Callable[[Story], Content], Mapping[Check, Verdict]]] = {
    "a fact of a template in the stream of an envelope": (
        lambda story: sealed_again(story, "envelope.sent", type="template.created/1"),
        {Check.HISTORY: INDETERMINATE},
    ),
    "an end that is newer than the verifier": (
        lambda story: sealed_again(story, "envelope.completed", type="envelope.completed/9"),
        {Check.HISTORY: INDETERMINATE},
    ),
    "a first fact that names no documents": (without_documents, {Check.HISTORY: INVALID, Check.FILES: INVALID}),
    "a log that is empty": (
        lambda story: replace(
            story.world.bundle(story.envelope),
            checkpoint=sign_checkpoint(Checkpoint(story.world.origin, 0, sha256(b"").digest()), story.world.keys),
        ),
        {Check.QUORUM: INDETERMINATE, Check.INCLUSION: INVALID},
    ),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_both_verifiers_say_the_same_of(name: str) -> None:
    make, found = DOUBTFUL[name]
    assert both(make(tell())) == found
