"""A bundle with one byte changed is refused or reported by both verifiers, wherever the byte stands.

By default some positions are tried; with HYPOTHESIS_PROFILE=long every byte of every member, and of what is between them.
"""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import settings

from domain.faults import Verdict
from domain.findings import Check
from infrastructure.bundle_format import Earlier
from tests.evidence_attack import Reader
from tests.evidence_verdicts import second_verdicts, verdicts
from tests.evidence_world import EvidenceWorld, policy_file, repacked, unpacked

WHOLE = settings().max_examples >= 1000
#: Each is put over the byte: its lowest bit, upper and lower case, no ASCII any more.
MASKS = (0x01, 0x20, 0x80)
#: What no verifier looks at.
TEXTS = {"VERIFY.md", "report.html", "report.txt", "verify_evidence.py"}


def small() -> dict[str, bytes]:
    """An envelope that was sent to one person: with each kind of member that there is."""
    world = EvidenceWorld(cosigners=("alice",))
    envelope, (who,) = world.open_envelope(participants=1, documents=1)
    world.record_heads()
    size = len(world.rows)
    content = world.bundle(envelope, who, earlier=(2,), stamped={size: world.now})
    return unpacked(replace(content, earlier={2: Earlier(world.checkpoint(2, ()), content.earlier[2].consistency)}))


MEMBERS = small()
RAW = repacked(MEMBERS)
READER = Reader("", policy_file(threshold=1), EvidenceWorld().authority.pem)


def positions(size: int, tried: int) -> Iterator[int]:
    """Every one in the long profile, else about `tried` of them, spread evenly."""
    return iter(range(0, size, 1 if WHOLE else max(1, size // tried)))


def changes(raw: bytes, tried: int) -> Iterator[tuple[str, bytes]]:
    """The bytes with one of them changed, and which."""
    for number, position in enumerate(positions(len(raw), tried)):
        for mask in MASKS if WHOLE else MASKS[number % 3 :][:1]:
            changed = bytearray(raw)
            changed[position] ^= mask
            yield f"byte {position} ^ {mask:#x}", bytes(changed)


def changed_members(tried: int) -> Iterator[tuple[str, str, bytes]]:
    for name in sorted(MEMBERS):
        for which, changed in changes(MEMBERS[name], tried):
            yield name, which, changed


def is_noticed(raw: bytes) -> bool:
    """Whether both say of it something else than valid; they agree check by check, but for histories of which the second checks less."""
    first, second = verdicts(raw, READER), second_verdicts(raw, READER)
    less = {Check.HISTORY: Verdict.VALID} if second[Check.HISTORY] is Verdict.VALID else {}
    assert {**first, **less} == second
    noticed = [set(said.values()) != {Verdict.VALID} for said in (first, second)]
    assert noticed[0] == noticed[1]
    return noticed[0]


def test_the_bundle_that_is_changed_is_valid_and_has_a_member_of_each_kind() -> None:
    assert not is_noticed(RAW)
    assert {name.partition("/")[0] for name in MEMBERS} >= {
        "checkpoints",
        "consistency",
        "documents",
        "proofs",
        "timestamps",
        "heads.json",
    }


def test_a_changed_byte_of_the_file_is_noticed() -> None:
    tried = 0
    for which, raw in changes(RAW, 500):
        assert is_noticed(raw), which
        tried += 1
    print(f"{tried:,} changes of the file")


def test_a_changed_byte_of_a_member_is_noticed_though_the_archive_is_written_anew() -> None:
    tried = 0
    for name, which, changed in changed_members(15):
        assert is_noticed(repacked({**MEMBERS, name: changed}, rehashed=False)), (name, which)
        tried += 1
    print(f"{tried:,} changes of members")


def test_a_changed_byte_of_a_member_is_noticed_though_its_hash_fits_but_in_what_no_verifier_looks_at() -> None:
    tried, unnoticed = 0, set()
    for name, _, changed in changed_members(15):
        if name != "manifest.json":
            tried += 1
            if not is_noticed(repacked({**MEMBERS, name: changed})):
                unnoticed.add(name)
    print(f"{tried:,} changes of members with hashes that fit")
    assert unnoticed == TEXTS
