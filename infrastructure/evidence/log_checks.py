"""Whose log it is, who has seen it, since when it exists, and whether the entries stand in it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from cryptography.x509 import Certificate

from domain.checkpoint import CheckpointError
from domain.entry import format_time, leaf_hash
from domain.faults import Verdict
from domain.findings import Check, Detail, Finding, counted, weigh
from domain.merkle import ProofError, verify_consistency, verify_inclusion
from domain.note import NoteError
from domain.policy import NONE, Accepted, Policy, PolicyError, open_checkpoint, parse_policy
from infrastructure.bundle_format import Content
from infrastructure.evidence.case import Case
from infrastructure.signing_keys import verify_ed25519
from infrastructure.trusted_time import TimeStampRefused, verify_token

#: How far the clock of a ledger may be ahead of an authority's before its entries' times are not to be believed.
CLOCK_TOLERANCE: Final = timedelta(seconds=300)


def check_policy(raw: bytes | None, ledger: str) -> tuple[Policy | None, Finding]:
    """The policy, if it is one that accepts a log of this name."""

    def invalid(reason: str) -> tuple[None, Finding]:
        return None, Finding(Check.POLICY, Verdict.INVALID, reason)

    if raw is None:
        return invalid(
            "no policy was given (--policy). It says whose log is believed, so it must come from you and not from whoever gave you"
            f' the bundle: a text file with the line "log KEY", KEY being the public key that you know of the ledger {ledger!r},'
            " a line for each witness, and a quorum"
        )
    try:
        policy = parse_policy(raw)
    except PolicyError as err:
        return invalid(f"the policy cannot be read: {err}")
    names = [log.key.name for log in policy.logs]
    if ledger not in names:
        known = f"only {', '.join(map(repr, names))}" if names else "no log at all"
        return invalid(f"the bundle is of the ledger {ledger!r}, and the policy accepts {known}")
    return policy, Finding(Check.POLICY, Verdict.VALID, f"it accepts the ledger {ledger!r}")


def check_checkpoints(content: Content, policy: Policy) -> tuple[dict[int, Accepted], Finding]:
    """The checkpoints of a bundle by size, ascending, as far as they are to be believed."""
    wrong: list[Detail] = []
    accepted: dict[int, Accepted] = {}
    last = _open(content.checkpoint, "checkpoint", content.ledger, policy, wrong)
    for size, earlier in content.earlier.items():
        name = f"checkpoints/{size}"
        found = _open(earlier.note, name, content.ledger, policy, wrong)
        if found is None or last is None:
            continue
        old, new = found.checkpoint, last.checkpoint
        if old.size != size:
            wrong.append(Detail(f"{name} is of size {old.size}", name=name))
            continue
        try:
            verify_consistency(size, new.size, earlier.consistency, old.root, new.root)
        except ProofError as err:
            wrong.append(Detail(f"the checkpoint of size {new.size} does not continue that of size {size}: {err}", name=name))
        else:
            accepted[size] = found
    if last is not None:
        accepted[last.checkpoint.size] = last
    signed = f"the ledger's key signed {counted(len(accepted), 'checkpoint')}, the last of size {max(accepted, default=0):,}"
    finding = weigh(Check.CHECKPOINT, wrong, (), signed)
    strangers = [
        Detail(f"{name} has a signature by {stranger.name!r}, a key that the policy does not have: it says nothing", name=name)
        for size, each in accepted.items()
        for name in ("checkpoint" if each is last else f"checkpoints/{size}",)
        for stranger in each.note.unknown
    ]
    return accepted, replace(finding, details=(*finding.details, *strangers))


def _open(raw: bytes, name: str, ledger: str, policy: Policy, wrong: list[Detail]) -> Accepted | None:
    try:
        accepted = open_checkpoint(raw, policy, verify_ed25519)
    except (NoteError, CheckpointError) as err:
        wrong.append(Detail(f"{name}: {err}", name=name))
        return None
    if accepted.checkpoint.origin != ledger:
        wrong.append(Detail(f"{name} is of the ledger {accepted.checkpoint.origin!r}", name=name))
        return None
    return accepted


def cosigners(policy: Policy, accepted: Accepted) -> list[str]:
    """The policy's names of the witnesses that cosigned a checkpoint."""
    return [witness.name for witness in policy.witnesses if witness.key in accepted.cosigners]


def witnessed(policy: Policy, accepted: Mapping[int, Accepted]) -> int | None:
    """The size of the largest checkpoint with a quorum of cosignatures; None if there is none, or the policy asks for none."""
    if policy.quorum == NONE:
        return None
    return max((size for size, each in accepted.items() if policy.has_quorum(each.cosigners)), default=None)


def check_quorum(policy: Policy, accepted: Mapping[int, Accepted], last: int) -> Finding:
    """`last` is the last position of all the bundle's entries."""
    if policy.quorum == NONE:
        return Finding(Check.QUORUM, Verdict.VALID, "the policy asks for no witness")
    size = witnessed(policy, accepted)
    names = cosigners(policy, accepted[max(accepted) if size is None else size])
    details = tuple(Detail(name, name=name) for name in names)
    if size is not None and size >= last:
        return Finding(Check.QUORUM, Verdict.VALID, f"cosigned at size {size:,}, which is enough, by {', '.join(names)}", details)
    if size is None:
        reason = f"no checkpoint has the cosignatures of the quorum {policy.quorum!r}: no entry is witnessed"
    else:
        reason = f"the quorum {policy.quorum!r} has seen the log up to position {size:,}: what follows is not yet witnessed"
    return Finding(Check.QUORUM, Verdict.INDETERMINATE, reason, details)


def check_time(
    case: Case, accepted: Mapping[int, Accepted], anchors: Sequence[Certificate] | None
) -> tuple[datetime | None, Finding]:
    """The time before which all of the bundle's entries existed, if a trusted authority says one."""
    if anchors is None:
        reason = "no certificates of time-stamping authorities were given (--tsa)"
        return None, Finding(Check.TIME, Verdict.INDETERMINATE, reason, counts=False)
    wrong: list[Detail] = []
    times: dict[int, datetime] = {}
    for size, token in case.content.timestamps.items():
        name = f"timestamps/{size}.tst"
        try:
            stamped = verify_token(token, sha256(accepted[size].note.text.encode()).digest(), anchors)
        except TimeStampRefused as err:
            wrong.append(Detail(f"{name}: {err}", name=name))
            continue
        times[size] = stamped.time
        newest = max((each for each in case.entries if each.position <= size), default=None)
        if newest is not None and newest.entry.at - stamped.time > CLOCK_TOLERANCE:
            said = f"{name} says {format_time(stamped.time)}, and covers an entry of {format_time(newest.entry.at)}"
            wrong.append(Detail(said, newest.position, name))
    return _weigh_times(case.last, times, wrong)


def _weigh_times(last: int, times: Mapping[int, datetime], wrong: Sequence[Detail]) -> tuple[datetime | None, Finding]:
    doubtful = []
    existed = min((time for size, time in times.items() if size >= last), default=None)
    if not times:
        doubtful.append(Detail("the bundle holds no time stamp"))
    elif existed is None:
        covered = max(times)
        said = f"entries up to position {covered:,} existed before {format_time(times[covered])}; those after it are newer than any time stamp"
        doubtful.append(Detail(said, covered))
    finding = weigh(Check.TIME, wrong, doubtful, "" if existed is None else f"all entries existed before {format_time(existed)}")
    return (None if wrong else existed), finding


def check_inclusion(content: Content, last: Accepted) -> Finding:
    """Whether every entry, hashed anew, stands at its position in the tree of the last checkpoint."""
    checkpoint, wrong = last.checkpoint, []
    lines: Collection[tuple[str, int, bytes, bytes]] = [
        (name, line.position, line.leaf, line.raw)
        for name, lines in (("entries.jsonl", content.entries), ("ledger.jsonl", content.ledger_entries))
        for line in lines
    ]
    for name, position, stated, raw in lines:
        leaf = leaf_hash(raw)
        if leaf != stated:
            said = (
                f"the entry at position {position} hashes to {leaf.hex()}, not to the leaf {stated.hex()} that stands beside it"
            )
            wrong.append(Detail(said, position, name))
        try:
            verify_inclusion(leaf, position - 1, checkpoint.size, content.proofs[position], checkpoint.root)
        except ProofError as err:
            wrong.append(Detail(f"the entry at position {position} is not in the checkpoint's tree: {err}", position, name))
    return weigh(
        Check.INCLUSION, wrong, (), f"{counted(len(lines), 'entry', 'entries')} stand in the tree of size {checkpoint.size:,}"
    )
