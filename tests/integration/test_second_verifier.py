"""The second verifier, one file that shares no code with the first, comes to the same verdict in each check of a genuine bundle."""

import ast
import io
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import rfc8785
from cryptography.x509 import load_pem_x509_certificates

from domain.canonical import Json
from domain.entry import Entry
from domain.findings import Check
from infrastructure.bundle_format import Content
from infrastructure.bundle_lines import Disclosed
from infrastructure.evidence import Trust, verify
from scripts import verify_evidence
from scripts.verify_evidence import Verification
from tests.certificate_world import CertificateWorld, declined_but_continued
from tests.evidence_attack import STRICT
from tests.evidence_scene import EXECUTED, FORMS, edited, rewritten
from tests.evidence_stamps import Authority
from tests.evidence_verdicts import second_verdicts, verdicts
from tests.evidence_world import EvidenceWorld, packed, policy_file, repacked, signing_key, tell, unpacked
from tests.histories import ORIGIN

FILE = Path(verify_evidence.__file__)
POLICY = policy_file()
NESTED = b"group inner any carol\ngroup outer all alice bob inner\nquorum outer\n"
STORY, ERASED = tell(), tell(erased=True)
STAMPED = {len(STORY.world.rows): STORY.world.now + timedelta(seconds=5)}


def ended(end: Callable[[EvidenceWorld, Any, Any], None]) -> Content:
    """A bundle of an envelope that came to another end, without a heads manifest."""
    world = EvidenceWorld(seed=3)
    envelope, others = world.open_envelope()
    end(world, envelope, others)
    return world.bundle(envelope)


def continued() -> Content:
    """A bundle of an envelope that was completed by others when one had declined, and executed."""
    world = CertificateWorld()
    return world.bundle(declined_but_continued(world))


def rolled() -> Content:
    """A bundle whose checkpoints are signed by an old and a new key."""
    story = tell(2)
    story.world.keys = (signing_key(ORIGIN), signing_key(ORIGIN, generation=2))
    return story.world.bundle(story.envelope)


BUNDLES: dict[str, Content] = {
    "envelope": STORY.world.bundle(STORY.envelope),
    "process": STORY.world.bundle(STORY.envelope, STORY.process),
    "stamped": STORY.world.bundle(STORY.envelope, stamped=STAMPED),
    "stamped before the last entry": STORY.world.bundle(STORY.envelope, earlier=(20,), stamped={20: STORY.world.now}),
    "earlier checkpoints": STORY.world.bundle(STORY.envelope, earlier=(1, 8, 20, 32, 40)),
    "before the manifest": STORY.world.bundle(STORY.envelope, size=len(STORY.world.rows) - 1),
    "erased": ERASED.world.bundle(ERASED.envelope),
    "erased, one process": ERASED.world.bundle(ERASED.envelope, ERASED.process),
    "withheld": STORY.world.bundle(
        STORY.envelope,
        withheld=[(STORY.position("signing.process-created"), "/name")],
        withheld_documents=[min(BUNDLE.documents) for BUNDLE in [STORY.world.bundle(STORY.envelope)]],
    ),
    "a line left out": replace(
        STORY.world.bundle(STORY.envelope), disclosures=STORY.world.bundle(STORY.envelope).disclosures[1:]
    ),
    "a document left out": replace(STORY.world.bundle(STORY.envelope), documents={}),
    "still open": ended(lambda world, envelope, others: None),
    "declined": ended(lambda world, envelope, others: world.decline(envelope, others[0])),
    "completed without one who declined": continued(),
    "two keys": rolled(),
}

POLICIES: dict[str, bytes] = {
    "two of three": POLICY,
    "three of three": policy_file(threshold=3),
    "nobody": policy_file(threshold=0),
    "groups of groups": POLICY.partition(b"group")[0] + NESTED,
    "a witness that did not cosign": policy_file(witnesses=("alice", "dave"), threshold=2),
    "another log": policy_file(origin="elsewhere.test/ledger"),
    "the next key": policy_file(keys=[signing_key(ORIGIN, generation=2)]),
    "no policy's text": b"trust everybody\n",
}


def second(raw: bytes, policy: bytes | None, tsa: bytes | None, folder: Path) -> Verification:
    """What the second verifier finds, from files as it takes them."""
    paths = [folder / name for name in ("bundle.zip", "policy.txt", "tsa.pem")]
    for path, content in zip(paths, (raw, policy, tsa), strict=True):
        path.write_bytes(content or b"")
    return Verification(paths[0], paths[1] if policy is not None else None, paths[2] if tsa is not None else None)


def agreed(raw: bytes, folder: Path, policy: bytes | None = POLICY, tsa: bytes | None = Authority().pem) -> dict[str, str]:
    """The verdicts of the checks, which both verifiers find."""
    first = verify(io.BytesIO(raw), Trust(policy, None if tsa is None else tuple(load_pem_x509_certificates(tsa))))
    other = second(raw, policy, tsa, folder)
    verdict = other.run()
    found = {finding["check"]: finding["verdict"] for finding in other.findings}
    assert found == {finding.check.value: finding.verdict.value for finding in first.findings}
    assert verdict == first.verdict.value
    assert [finding["counts"] for finding in other.findings] == [finding.counts for finding in first.findings]
    return found


@pytest.mark.parametrize("name", BUNDLES)
def test_both_verifiers_come_to_the_same_verdict_in_each_check(name: str, tmp_path: Path) -> None:
    found = agreed(packed(BUNDLES[name]), tmp_path)
    assert list(found) == [check.value for check in Check if check is not Check.RECEIPTS]
    assert "invalid" not in found.values()


@pytest.mark.parametrize("name", POLICIES)
def test_both_read_a_policy_alike(name: str, tmp_path: Path) -> None:
    agreed(packed(BUNDLES["two keys"]), tmp_path, POLICIES[name])


def test_without_a_policy_or_with_other_certificates_both_say_so(tmp_path: Path) -> None:
    stamped = packed(BUNDLES["stamped"])
    assert agreed(stamped, tmp_path, policy=None)["policy"] == "invalid"
    assert agreed(stamped, tmp_path, tsa=None)["time"] == "indeterminate"
    assert agreed(stamped, tmp_path)["time"] == "valid"
    assert agreed(stamped, tmp_path, tsa=Authority("Another").pem)["time"] == "invalid"


def test_disclosed_numbers_are_spelled_as_in_rfc_8785() -> None:
    random = Random(1)
    floats = [struct.unpack("<d", random.randbytes(8))[0] for _ in range(3000)]
    floats += [
        0.0,
        -0.0,
        1.0,
        1e-6,
        9.99e-7,
        1e-7,
        1e20,
        1e21,
        -1.5,
        5e-324,
        2.0**53,
        1.7976931348623157e308,
        123456789012345680000.0,
    ]
    for value in (value for value in floats if value - value == 0):
        assert verify_evidence.spell(value).encode() == rfc8785.dumps(value)
        assert verify_evidence.spell(verify_evidence.read_json(rfc8785.dumps([value]), float)) == rfc8785.dumps([value]).decode()


def test_members_of_objects_are_ordered_by_their_utf_16() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert verify_evidence.spell(value).encode() == rfc8785.dumps(value)


def test_another_value_than_the_one_committed_to_is_invalid(tmp_path: Path) -> None:
    content = BUNDLES["envelope"]
    line = content.disclosures[0]
    assert isinstance(line, Disclosed)
    changed = replace(content, disclosures=(replace(line, value={"a": [True, None, "\u20ac\n", -7]}), *content.disclosures[1:]))
    assert agreed(packed(changed), tmp_path)["disclosures"] == "invalid"


#: What the fact of an executed document says otherwise than the ledger does, and what `files` is then.
SAID_OF_A_FILE: dict[str, tuple[dict[str, Json], str]] = {
    "no body": ({"body_sha256": None, "body_bytes": None}, "valid"),
    "no size of the body": ({"body_bytes": None}, "valid"),
    "a size that is text": ({"body_bytes": "9"}, "valid"),
    "a size of zero": ({"body_bytes": 0}, "valid"),
    "a size that is true": ({"body_bytes": True}, "valid"),
    "a hash in upper case": ({"body_sha256": "AB" * 32}, "valid"),
    "a smaller body": ({"body_bytes": 1}, "invalid"),
    "a body of many bytes": ({"body_bytes": 2**53 - 1}, "invalid"),
    "no document": ({"document": None}, "valid"),
    "another body of no document": ({"document": None, "body_sha256": "ab" * 32}, "invalid"),
    "a document that is a list": ({"document": []}, "valid"),
    "another body of such a document": ({"document": [], "body_sha256": "ab" * 32}, "invalid"),
    "files in a list": ({"sha256": [FORMS[0], "cd" * 32]}, "invalid"),
    "a form before": ({"previous_sha256": FORMS[1]}, "invalid"),
    "a form before that is a list": ({"previous_sha256": [FORMS[1]]}, "valid"),
    "itself before": ({"previous_sha256": "itself"}, "valid"),
}


@pytest.mark.parametrize("name", SAID_OF_A_FILE)
def test_both_read_what_facts_say_of_files_alike(name: str, tmp_path: Path) -> None:
    said, files = SAID_OF_A_FILE[name]

    def change(entry: Entry) -> Entry:
        data = {**entry.data, **{key: entry.data["sha256"] if value == "itself" else value for key, value in said.items()}}
        return replace(entry, data={key: value for key, value in data.items() if value is not None})

    raw = packed(rewritten(edited(EXECUTED, change)).content(all_forms=True))
    found = [verdict[Check.FILES] for verdict in (verdicts(raw, STRICT), second_verdicts(raw, STRICT))]
    assert found == [files, files]


def test_a_line_that_says_withheld_must_mean_it(tmp_path: Path) -> None:
    members = unpacked(BUNDLES["withheld"])
    members["disclosures.jsonl"] = members["disclosures.jsonl"].replace(b'"withheld":true', b'"withheld":false')
    assert agreed(repacked(members), tmp_path)["parse"] == "invalid"


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_are_invalid_and_never_an_exception(seed: int, tmp_path: Path) -> None:
    random, raw = Random(seed), bytearray(packed(BUNDLES["stamped"]))
    match seed % 4:
        case 0:
            raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        case 1:
            del raw[random.randrange(len(raw)) :]
        case 2:
            raw += random.randbytes(22)
        case _:
            raw = bytearray(random.randbytes(random.randrange(100)))
    verification = second(bytes(raw), POLICY, Authority().pem, tmp_path)
    assert verification.run() == "invalid"
    assert [finding["verdict"] for finding in verification.findings] == ["invalid"] + ["indeterminate"] * 10


def test_the_file_alone_is_a_program_with_a_table_json_and_exit_codes(tmp_path: Path) -> None:
    second(packed(BUNDLES["envelope"]), POLICY, None, tmp_path)
    program, policy = tmp_path / FILE.name, ["--policy", "policy.txt"]
    program.write_bytes(FILE.read_bytes())

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-I", program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    code, table = run("bundle.zip", *policy)
    assert code == 0
    assert [line.split()[:2] for line in table.splitlines()[:3]] == [[it, "valid"] for it in ("parse", "policy", "checkpoint")]
    code, answer = run("bundle.zip", *policy, "--json", "--tsa", "absent.pem")
    assert (code, json.loads(answer)["verdict"]) == (1, "invalid")
    assert run("absent.zip", *policy)[0] == 1


def test_it_imports_the_standard_library_and_cryptography_alone() -> None:
    tree = ast.walk(ast.parse(FILE.read_text()))
    names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(ast.parse(FILE.read_text())) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"cryptography"}
