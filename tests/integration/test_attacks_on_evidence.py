"""Attacks on evidence: each is found by the checks that docs/attacks.md names, in both verifiers, or is shown not to be found.

What would find it instead is tried as well. `tests/evidence_attacks.py` has the attacks.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.checkpoint import parse_checkpoint
from domain.faults import Verdict
from domain.findings import Check
from domain.merkle import root_of
from domain.note import parse_note
from domain.witnessing import Head, Submission, TwoRoots, format_submission, open_submission, require_growth
from infrastructure.bundle_archive import Archive
from infrastructure.signing_keys import verify_ed25519
from tests.architecture.source import ROOT
from tests.evidence_attack import STRICT
from tests.evidence_attacks import ATTACKS, Attack, Means, page
from tests.evidence_scene import GENUINE, SCENE, WORLD
from tests.evidence_verdicts import expected, judge, second_verdicts, verdicts
from tests.evidence_world import repacked, signing_key
from tests.histories import ORIGIN

VALID, INVALID, INDETERMINATE = Verdict.VALID, Verdict.INVALID, Verdict.INDETERMINATE

each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


def members_of(raw: bytes) -> dict[str, bytes]:
    archive = Archive(io.BytesIO(raw))
    return {name: archive.read(name) for name in archive.names}


MANIFEST = members_of(GENUINE)["manifest.json"]


def test_without_an_attack_everything_is_valid() -> None:
    assert verdicts(GENUINE, STRICT) == second_verdicts(GENUINE, STRICT) == expected({}, STRICT)


@each_attack
def test_an_attack_is_found_by_the_checks_that_the_table_names(attack: Attack) -> None:
    assert verdicts(attack.make(), attack.reader) == expected(attack.found, attack.reader)


@each_attack
def test_the_second_verifier_agrees_but_for_histories_of_which_it_checks_less(attack: Attack) -> None:
    assert second_verdicts(attack.make(), attack.reader) == expected(attack.least, attack.reader)
    assert {check for check in Check if attack.least.get(check) != attack.found.get(check)} <= {Check.HISTORY}


@each_attack
def test_whoever_leaves_the_manifest_as_it_was_is_found_at_once(attack: Attack) -> None:
    careless = repacked({**members_of(attack.make()), "manifest.json": MANIFEST}, rehashed=False)
    refused = expected({Check.PARSE: INVALID}, attack.reader)
    assert verdicts(careless, attack.reader) == second_verdicts(careless, attack.reader) == refused


# What the last column of the table says


def receipts_say(attack: Attack) -> Verdict:
    findings = judge(attack.make(), attack.reader, SCENE.receipts()).findings
    return next(finding.verdict for finding in findings if finding.check is Check.RECEIPTS)


def a_kept_checkpoint_contradicts(attack: Attack) -> bool:
    """Whether a witness that has seen the true log at that size refuses to cosign this one."""
    note = members_of(attack.make())["checkpoint"]
    size = parse_checkpoint(parse_note(note).text).size
    opened = open_submission(format_submission(Submission(size, (), note)), {ORIGIN: [signing_key(ORIGIN).key]}, verify_ed25519)
    with pytest.raises(TwoRoots):
        require_growth(opened, Head(size, root_of(WORLD.leaves()[:size])))
    return True


def a_stricter_reader_finds(attack: Attack, check: Check) -> bool:
    reader = replace(STRICT, tsa=None)
    return VALID not in (verdicts(attack.make(), reader)[check], second_verdicts(attack.make(), reader)[check])


def the_time_is_that_of_the_rewriting(attack: Attack) -> bool:
    return existed_before(attack.make()) - existed_before(GENUINE) > timedelta(days=20)


def existed_before(raw: bytes) -> datetime:
    as_of = judge(raw, STRICT).as_of
    assert as_of is not None
    assert as_of.existed_before is not None
    return as_of.existed_before


def nothing_finds(attack: Attack) -> bool:
    return receipts_say(attack) is judge(attack.make(), attack.reader).verdict is VALID


FINDS: Mapping[Means, Callable[[Attack], bool]] = {
    Means.RECEIPT: lambda attack: receipts_say(attack) is INVALID,
    Means.LATER_RECEIPT: lambda attack: receipts_say(attack) is INDETERMINATE,
    Means.CHECKPOINT: a_kept_checkpoint_contradicts,
    Means.WITNESSES: lambda attack: a_stricter_reader_finds(attack, Check.QUORUM),
    Means.POLICY: lambda attack: a_stricter_reader_finds(attack, Check.CHECKPOINT),
    Means.TIME: the_time_is_that_of_the_rewriting,
    Means.ELSEWHERE: nothing_finds,
}


@pytest.mark.parametrize(
    ("attack", "means"), [pytest.param(each, it, id=f"{each.name}-{it.name}") for each in ATTACKS for it in each.means]
)
def test_what_else_finds_an_attack_does(attack: Attack, means: Means) -> None:
    assert FINDS[means](attack)


@pytest.mark.parametrize("attack", [each for each in ATTACKS if each.said], ids=lambda attack: attack.name)
def test_what_the_answer_says_of_an_attack_it_does_not_say_of_the_true_bundle(attack: Attack) -> None:
    here, true = (" ".join(judge(raw, attack.reader).absent) for raw in (attack.make(), GENUINE))
    assert attack.said in here
    assert attack.said not in true


def test_every_attack_that_no_check_finds_is_answered_otherwise() -> None:
    unanswered = [each.name for each in ATTACKS if not each.found and not each.means and not each.said]
    assert unanswered == []


def test_the_page_is_that_of_these_attacks() -> None:
    assert (ROOT / "docs/attacks.md").read_text() == page()
