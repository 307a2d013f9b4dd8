"""The project's own vectors of evidence: bundles, good and bad, each named by what was done to it, and what a verifier says.

For authors of another verifier (docs/evidence-format.md, "Vectors"). Deterministic; `scripts/make_vectors.py` writes them.
"""

import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from domain.canonical import Json, canonical
from domain.entry import decode
from domain.faults import Verdict
from domain.findings import Check, whole
from domain.note import Note, format_note, parse_note, sign_text
from domain.personal import Subject, SubjectKind, conceal
from domain.receipt import format_receipt
from domain.signing import FieldsFilled
from infrastructure.bundle_format import Content
from infrastructure.bundle_lines import Disclosed
from tests.architecture.source import ROOT
from tests.evidence_attack import DECEIVED, INDETERMINATE, LAX, OWN_KEY, STRICT, TRUSTING, Found, Reader
from tests.evidence_attacks import ATTACKS, Attack
from tests.evidence_scene import (
    CONTENT,
    ENVELOPE,
    FIRST,
    GENUINE,
    MIDDLE,
    SCENE,
    SECOND,
    SIZE,
    WORLD,
    beginning,
    continued_otherwise,
    rewritten,
)
from tests.evidence_verdicts import judge
from tests.evidence_world import EvidenceWorld, packed, repacked, unpacked
from tests.histories import as_first_stored

VECTORS = ROOT / "tests" / "vectors" / "evidence"
PACKED = VECTORS / "bundles.tar.xz"

READERS = (STRICT, LAX, TRUSTING, DECEIVED)


@dataclass(frozen=True)
class Vector:
    """`findings` is what the checks say that do not say valid; `least` the same if only the least rules of histories are checked."""

    name: str
    does: str
    raw: bytes
    reader: Reader
    findings: Found
    least: Found


@cache
def vectors() -> tuple[Vector, ...]:
    """All of them; each name once."""
    return (*_others(), *map(_of_attack, ATTACKS))


def _of_attack(attack: Attack) -> Vector:
    return Vector(attack.name, attack.does, attack.make(), attack.reader, attack.found, attack.least)


def _others() -> Iterator[Vector]:
    for name, (make, found) in GOOD.items():
        yield Vector(name, "as the ledger gives it out", packed(make()), STRICT, found, found)
    for name, raw in malformed():
        found = {Check.PARSE: Verdict.INVALID}
        yield Vector(name, "spelled otherwise than a bundle is", raw, STRICT, found, found)


# Bundles as a ledger gives them out


def other_values() -> Content:
    """Personal values that are hard to spell."""
    value: Json = {"€": [1e21, 1e-7, 0.1, 5e-324, 123456789012345680000.0, -1.5], "\u2028\U0001f600": '\u0000"\\\u007f', "": {}}
    salt, subject = bytes(range(32)), Subject(WORLD.tenant, SubjectKind.PERSON, "email:ana@example.com")
    personal = conceal(value, salt, subject)
    at = SCENE.position("signing.consent-given", SECOND)
    path = "/provenance/ip"
    forged = rewritten(
        lambda placed: [
            (position, replace(entry, personal={**entry.personal, path: personal.commitment}) if position == at else entry)
            for position, entry in placed
        ]
    )
    content = forged.content()
    lines = (
        Disclosed(it.position, it.path, salt, value) if (it.position, it.path) == (at, path) else it for it in content.disclosures
    )
    return replace(content, disclosures=tuple(lines))


def two_keys() -> Content:
    """The ledger is replacing its key: both have signed."""
    note = parse_note(CONTENT.checkpoint)
    return replace(CONTENT, checkpoint=format_note(Note(note.text, (sign_text(note.text, OWN_KEY), *note.signatures))))


def drafted() -> Content:
    world = EvidenceWorld()
    envelope, participants = world.drafted()
    world.sign_in(envelope, participants[0])
    for who in participants:
        world.sign(envelope, who)
    world.record_heads()
    return world.bundle(envelope, stamped={len(world.rows): world.now})


def filled() -> Content:
    """Each participant has filled in a field, and the envelope has a time zone."""
    world = EvidenceWorld()
    envelope, participants = world.completed(zone="America/Lima", fields=True)
    assert any(row.type == FieldsFilled.TYPE for row in world.rows if row.stream == participants[0])
    world.record_heads()
    return world.bundle(envelope, stamped={len(world.rows): world.now})


def first_version() -> Content:
    """The entries as the first version of the software stored them."""
    rows = as_first_stored(WORLD.rows, ENVELOPE, FIRST, SECOND)
    return rewritten(lambda _: [(row.position, decode(row.raw)) for row in rows]).content()


OPEN = beginning()
VALUE = (CONTENT.disclosures[0].position, CONTENT.disclosures[0].path)
PAPER = sorted(CONTENT.documents)[0]

GOOD: dict[str, tuple[Callable[[], Content], Found]] = {
    "whole-envelope": (lambda: CONTENT, {}),
    "first-process": (partial(SCENE.content, FIRST), {}),
    "second-process": (partial(SCENE.content, SECOND), {}),
    "only-one-checkpoint": (partial(SCENE.content, earlier=()), {}),
    "four-checkpoints": (partial(SCENE.content, earlier=(1, 16, MIDDLE)), {}),
    "value-withheld": (partial(SCENE.content, withheld=[VALUE]), {}),
    "document-withheld": (partial(SCENE.content, withheld_documents=[PAPER]), {}),
    "values-hard-to-spell": (other_values, {}),
    "two-keys-of-the-log": (two_keys, {}),
    "drafted-piece-by-piece": (drafted, {}),
    "fields-filled-in": (filled, {}),
    "all-forms-of-renewed-files": (partial(SCENE.content, all_forms=True), {}),
    "stored-by-the-first-version": (first_version, {}),
    "declined": (continued_otherwise().content, {}),
    "still-open": (partial(OPEN.content, earlier=()), {}),
    "without-time-stamp": (partial(SCENE.content, stamped={}), {Check.TIME: INDETERMINATE}),
    "newer-than-the-time-stamp": (partial(SCENE.content, stamped={MIDDLE: WORLD.now}), {Check.TIME: INDETERMINATE}),
    "newer-than-the-manifest": (
        partial(SCENE.content, size=SIZE - 1, stamped={SIZE - 1: WORLD.now}), {Check.COMPLETENESS: INDETERMINATE}),
    "without-manifest": (
        partial(SCENE.content, size=MIDDLE - 1, earlier=(), stamped={MIDDLE - 1: WORLD.now}), {Check.COMPLETENESS: INDETERMINATE}),
}  # fmt: skip

# Bundles that are none

MEMBERS = unpacked(CONTENT)
PROOF = f"proofs/{CONTENT.entries[0].position}.tlog-proof"
DOCUMENT = f"documents/{PAPER}.pdf"
OTHER_NOTE = CONTENT.earlier[MIDDLE].note


def malformed() -> Iterator[tuple[str, bytes]]:
    yield "empty-file", b""
    yield "cut-off", GENUINE[:-1]
    yield "byte-before", b"\n" + GENUINE
    yield "byte-after", GENUINE + b"\n"
    yield from archives()
    for name, changes in CHANGED.items():
        yield name, repacked({each: raw for each, raw in {**MEMBERS, **changes}.items() if raw is not None})
    for name, change in MANIFESTS.items():
        manifest = {**json.loads(MEMBERS["manifest.json"]), **change}
        yield name, repacked({**MEMBERS, "manifest.json": canonical(manifest) + b"\n"}, rehashed=False)
    spaced = json.dumps(json.loads(MEMBERS["manifest.json"]), sort_keys=True).encode() + b"\n"
    yield "manifest-not-canonical", repacked({**MEMBERS, "manifest.json": spaced}, rehashed=False)


def archives() -> Iterator[tuple[str, bytes]]:
    """The members in archives of other spellings."""
    ordered = dict(sorted(MEMBERS.items()))
    yield "archive-compressed", archive(ordered, zipfile.ZIP_DEFLATED)
    yield "archive-with-times", archive(ordered, date_time=(2026, 11, 20, 22, 30, 0))
    yield "archive-with-other-rights", archive(ordered, external_attr=0o100755 << 16)
    yield "archive-of-another-system", archive(ordered, create_system=0)
    yield "archive-with-a-comment-of-a-member", archive(ordered, comment=b"read me")
    yield "archive-with-an-extra-field", archive(ordered, extra=b"\x99\x99\x01\x00x")
    yield "archive-in-another-order", archive(dict(sorted(MEMBERS.items(), reverse=True)))
    yield "archive-with-a-folder", archive({**ordered, "documents/": b""})


def archive(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED, **info: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as written:
        for name, raw in members.items():
            member = zipfile.ZipInfo(name)
            member.compress_type = compression
            for key, value in {"external_attr": 0o100644 << 16, "create_system": 3, **info}.items():
                setattr(member, key, value)
            written.writestr(member, raw)
    return file.getvalue()


def lines(name: str, change: Callable[[list[bytes]], list[bytes]]) -> dict[str, bytes | None]:
    return {name: b"".join(change(MEMBERS[name].splitlines(keepends=True)))}


def spelled(name: str, old: bytes, new: bytes) -> dict[str, bytes | None]:
    """The first place of some bytes in a member, with others in it."""
    assert old in MEMBERS[name], (name, old)
    return {name: MEMBERS[name].replace(old, new, 1)}


def of_line(name: str, change: Callable[[dict[str, Any]], Json]) -> dict[str, bytes | None]:
    """The first line of a member with its value changed, in canonical form."""
    return lines(name, lambda all: [canonical(change(json.loads(all[0]))) + b"\n", *all[1:]])


def row(change: Callable[[dict[str, Any]], Json]) -> dict[str, bytes | None]:
    """The first row of the heads manifest changed."""
    return of_line("heads.json", lambda heads: {**heads, "rows": [change(heads["rows"][0]), *heads["rows"][1:]]})


HASHES = MEMBERS[PROOF].split(b"\n")[2:-6]

#: What is changed in which members; None takes one away.
CHANGED: dict[str, dict[str, bytes | None]] = {
    "member-missing": {"report.txt": None},
    "member-unknown": {"notes.txt": b""},
    "member-named-with-a-leading-zero": {"checkpoints/021": OTHER_NOTE, "consistency/021": MEMBERS["consistency/21"]},
    "line-without-newline": {"entries.jsonl": MEMBERS["entries.jsonl"][:-1]},
    "line-with-carriage-return": spelled("entries.jsonl", b"\n", b"\r\n"),
    "line-empty": {"disclosures.jsonl": MEMBERS["disclosures.jsonl"] + b"\n"},
    "line-not-canonical": spelled("entries.jsonl", b'{"entry":', b'{ "entry":'),
    "line-not-utf-8": spelled("disclosures.jsonl", b'"value":"', b'"value":"\xff'),
    "line-with-another-member": of_line("entries.jsonl", lambda line: {**line, "note": ""}),
    "line-without-a-member": of_line("entries.jsonl", lambda line: {"entry": line["entry"], "position": line["position"]}),
    "line-with-a-member-twice": spelled("entries.jsonl", b'{"entry":', b'{"entry":"","entry":'),
    "entries-empty": {"entries.jsonl": b""},
    "entries-out-of-order": lines("entries.jsonl", lambda all: all[::-1]),
    "entry-twice": lines("entries.jsonl", lambda all: [all[0], *all]),
    "position-zero": of_line("entries.jsonl", lambda line: {**line, "position": 0}),
    "position-as-text": of_line("entries.jsonl", lambda line: {**line, "position": str(line["position"])}),
    "position-with-a-fraction": spelled("entries.jsonl", b'"position":5', b'"position":5.0'),
    "position-beyond-2-53": spelled("entries.jsonl", b'"position":32}', b'"position":9007199254740992}'),
    "leaf-in-upper-case": of_line("entries.jsonl", lambda line: {**line, "leaf": line["leaf"].upper()}),
    "leaf-too-short": of_line("entries.jsonl", lambda line: {**line, "leaf": line["leaf"][:-2]}),
    "disclosures-out-of-order": lines("disclosures.jsonl", lambda all: all[::-1]),
    "disclosure-twice": lines("disclosures.jsonl", lambda all: [all[0], *all]),
    "disclosure-withheld-false": of_line(
        "disclosures.jsonl", lambda line: {"path": line["path"], "position": line["position"], "withheld": False}
    ),
    "disclosure-both-withheld-and-there": of_line("disclosures.jsonl", lambda line: {**line, "withheld": True}),
    "disclosure-with-a-short-salt": of_line("disclosures.jsonl", lambda line: {**line, "salt": "00"}),
    "disclosure-with-another-path": of_line("disclosures.jsonl", lambda line: {**line, "path": "documents/0/name"}),
    "disclosure-with-a-path-that-is-no-pointer": spelled("disclosures.jsonl", b'"path":"/', b'"path":"/~2'),
    "disclosure-with-a-number-spelled-otherwise": spelled("disclosures.jsonl", b'"value":"', b'"value":1.0,"x":"'),
    "proof-missing": {PROOF: None},
    "proof-of-no-entry": {"proofs/1.tlog-proof": MEMBERS[PROOF].replace(b"index 4", b"index 0")},
    "proof-with-another-index": spelled(PROOF, b"index 4", b"index 5"),
    "proof-with-a-leading-zero": spelled(PROOF, b"index 4", b"index 04"),
    "proof-with-extra-data": spelled(PROOF, b"index 4", b"extra AA==\nindex 4"),
    "proof-with-64-hashes": spelled(PROOF, HASHES[0], b"\n".join([HASHES[0]] * 64)),
    "proof-with-a-short-hash": spelled(PROOF, HASHES[0], b"AA=="),
    "proof-with-loose-base64": spelled(PROOF, HASHES[0], HASHES[0][:-2] + bytes([HASHES[0][-2] + 1]) + b"="),
    "proof-with-another-checkpoint": {PROOF: MEMBERS[PROOF].replace(CONTENT.checkpoint, OTHER_NOTE)},
    "checkpoint-cut-off": {"checkpoints/21": OTHER_NOTE[:-1]},
    "checkpoint-of-a-size-with-a-leading-zero": spelled("checkpoints/21", b"\n21\n", b"\n021\n"),
    "checkpoint-with-a-tab": spelled("checkpoints/21", b"\n21\n", b"\n21\t\n"),
    "checkpoint-without-signatures": {"checkpoints/21": OTHER_NOTE.partition(b"\n\n")[0] + b"\n\n"},
    "checkpoint-without-consistency": {"consistency/21": None},
    "consistency-of-another-size": spelled("consistency/21", b"old 21", b"old 20"),
    "consistency-with-another-checkpoint": {"consistency/21": MEMBERS["consistency/21"].replace(CONTENT.checkpoint, OTHER_NOTE)},
    "timestamp-of-no-checkpoint": {"timestamps/20.tst": b""},
    "heads-out-of-order": of_line("heads.json", lambda heads: {**heads, "rows": heads["rows"][::-1]}),
    "heads-with-a-row-twice": of_line("heads.json", lambda heads: {**heads, "rows": [heads["rows"][0], *heads["rows"]]}),
    "heads-of-another-entry": of_line("heads.json", lambda heads: {**heads, "position": MIDDLE}),
    "heads-row-not-canonical": row(lambda it: {**it, "row": it["row"].replace(":", ": ", 1)}),
    "heads-row-of-version-zero": row(lambda it: {**it, "row": it["row"].replace('"version":', '"version":0', 1)}),
    "heads-with-257-hashes": row(lambda it: {**it, "path": it["path"][:1] * 257}),
    "ledger-entry-missing": lines("ledger.jsonl", lambda all: all[:1]),
    "ledger-entry-not-needed": {"heads.json": None},
}  # fmt: skip

MANIFESTS: dict[str, dict[str, Json]] = {
    "manifest-of-another-format": {"format": "countersign-evidence/2"},
    "manifest-with-another-member": {"note": ""},
    "manifest-without-the-hash-of-a-member": {"files": {}},
    "manifest-with-the-hash-of-no-member": {
        "files": {**json.loads(MEMBERS["manifest.json"])["files"], "documents/" + "0" * 64 + ".pdf": "0" * 64}
    },
    "manifest-with-an-id-in-upper-case": {"envelope": str(CONTENT.envelope).upper()},
    "manifest-of-a-process-that-is-its-envelope": {"process": str(CONTENT.envelope)},
    "manifest-with-a-document-withheld-that-is-there": {"withheld": [PAPER]},
    "manifest-with-withheld-documents-out-of-order": {"withheld": ["f" * 64, "e" * 64]},
    "manifest-with-a-document-withheld-twice": {"withheld": ["e" * 64, "e" * 64]},
}

# The files


def files() -> dict[str, bytes]:
    """What lies in `tests/vectors/evidence`, by name; `bundles.tar.xz` holds what `bundles` says."""
    policies = {f"policy-{reader.name}.txt": reader.policy for reader in READERS}
    assert STRICT.tsa is not None
    receipts = "".join(f"{format_receipt(receipt)}\n" for receipt in SCENE.receipts()).encode()
    said = [line_of(vector) for vector in vectors()]
    text = "[\n" + ",\n".join(json.dumps(line, ensure_ascii=False) for line in said) + "\n]\n"
    return {**policies, "authority.pem": STRICT.tsa, "receipts.txt": receipts, "expected.json": text.encode()}


def line_of(vector: Vector) -> dict[str, Any]:
    """A vector as `expected.json` has it: what `countersign verify` says."""
    *findings, receipts = judge(vector.raw, vector.reader, SCENE.receipts()).findings
    line: dict[str, Any] = {
        "name": vector.name,
        "does": vector.does,
        "policy": f"policy-{vector.reader.name}.txt",
        "tsa": None if vector.reader.tsa is None else "authority.pem",
        "verdict": whole(findings),
        "findings": {finding.check: finding.verdict for finding in findings},
        "receipts": receipts.verdict,
    }
    if vector.least != vector.findings:
        line["least"] = {**line["findings"], Check.HISTORY: vector.least.get(Check.HISTORY, Verdict.VALID)}
    return line


def bundles() -> dict[str, bytes]:
    return {f"{vector.name}.zip": vector.raw for vector in vectors()}


def pack(bundles: Mapping[str, bytes]) -> bytes:
    """They are so alike that together they take little room. Another version of the library may write other bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, raw in sorted(bundles.items()):
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return lzma.compress(file.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def unpack(raw: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:xz") as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            found[member.name] = content.read()
    return found
