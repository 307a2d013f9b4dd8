"""A bundle of evidence has one spelling, and an error of ours for everything else."""

import io
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from domain.canonical import canonical
from infrastructure.bundle_archive import Archive, BundleError, chunks_of, write_archive
from infrastructure.bundle_format import Content, Document, Limits, read, write
from infrastructure.bundle_lines import Disclosed, ErasedBy, HeadRow, Heads, Withheld
from tests.evidence_world import packed, repacked, tell, unpacked

STORY = tell(erased=True)
WORLD = STORY.world
SIZE = len(WORLD.rows)
WITHHELD = (STORY.position("envelope.created"), "/subject")
CONTENT = WORLD.bundle(STORY.envelope, earlier=(20, 30), stamped={30: WORLD.now}, withheld=[WITHHELD])
RAW = packed(CONTENT)
MEMBERS = unpacked(CONTENT)
PDF = next(name for name in MEMBERS if name.startswith("documents/"))
PROOF = next(name for name in MEMBERS if name.startswith("proofs/"))


def reading(raw: bytes) -> Content:
    return read(io.BytesIO(raw))


def refusal(raw: bytes) -> str:
    with pytest.raises(BundleError) as refused:
        reading(raw)
    return str(refused.value)


def test_a_bundle_reads_back_as_it_was_written() -> None:
    content = reading(RAW)
    assert content == CONTENT
    assert packed(content) == RAW
    assert {type(line) for line in content.disclosures} == {Disclosed, ErasedBy, Withheld}
    assert {name: b"".join(each.chunks()) for name, each in content.documents.items()} == {
        name: WORLD.documents[name] for name in content.documents
    }


def test_a_bundle_of_one_process_without_a_manifest_of_heads_reads_back() -> None:
    content = replace(WORLD.bundle(STORY.envelope, STORY.process, size=SIZE - 2), heads=None)
    assert reading(packed(content)) == content


def test_the_archive_is_what_a_common_library_writes() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted(MEMBERS):
            info = zipfile.ZipInfo(name)
            info.external_attr, info.create_system = 0x81A40000, 3
            archive.writestr(info, MEMBERS[name])
    assert file.getvalue() == RAW


def test_every_byte_of_a_bundle_matters() -> None:
    small = packed(replace(WORLD.bundle(STORY.envelope, STORY.process), heads=None, ledger_entries=(), disclosures=(), **SMALLER))
    for index in range(len(small)):
        changed = bytearray(small)
        changed[index] ^= 1
        with pytest.raises(BundleError):
            reading(bytes(changed))


#: So that each byte of what is left can be tried within a second or two.
SMALLER: dict[str, Any] = {
    "entries": CONTENT.entries[-1:],
    "proofs": {line.position: CONTENT.proofs[line.position] for line in CONTENT.entries[-1:]},
    "documents": {},
}


@pytest.mark.parametrize("cut", [0, 10, 21, len(RAW) // 2, len(RAW) - 1])
def test_a_bundle_that_is_cut_off_is_none(cut: int) -> None:
    refusal(RAW[:cut])


@pytest.mark.parametrize("raw", [RAW + b"\0", b"\0" + RAW, RAW[:-2] + b"\x05\0" + b"aside", b"", b"PK\x05\x06" + bytes(18)])
def test_nothing_stands_around_the_members(raw: bytes) -> None:
    refusal(raw)


def archive_of(members: dict[str, bytes], **options: Any) -> bytes:
    """The members in an archive of another spelling."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **{key: options.pop(key) for key in ("compression",) if key in options}) as archive:
        for name, raw in members.items():
            info = zipfile.ZipInfo(name, options.get("time", (1980, 1, 1, 0, 0, 0)))
            info.external_attr, info.create_system = options.get("attributes", 0x81A40000), options.get("system", 3)
            info.comment, info.extra = options.get("comment", b""), options.get("extra", b"")
            info.compress_type = archive.compression
            archive.writestr(info, raw)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {"compression": zipfile.ZIP_DEFLATED},
        {"time": (2026, 11, 20, 22, 30, 0)},
        {"attributes": 0o100755 << 16},
        {"system": 0},
        {"comment": b"read me"},
        {"extra": b"\x99\x99\x01\x00x"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_another_spelling_of_the_same_members_is_refused(options: dict[str, Any]) -> None:
    ordered = dict(sorted(MEMBERS.items()))
    assert archive_of(ordered) == RAW
    refusal(archive_of(ordered, **options))


def test_members_in_another_order_are_refused() -> None:
    assert "ascending order" in refusal(archive_of(dict(sorted(MEMBERS.items(), reverse=True))))


def test_a_member_that_is_there_twice_is_refused() -> None:
    ordered = dict(sorted(MEMBERS.items()))
    file = io.BytesIO(archive_of(ordered))
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(zipfile.ZipInfo("verify_evidence.py"), b"another")
    assert "ascending order" in refusal(file.getvalue())


@pytest.mark.parametrize(
    "name",
    ["policy.txt", "Checkpoint", "documents/x.pdf", "documents/../report.txt", "proofs/0.tlog-proof", "proofs/01.tlog-proof",
     "checkpoints/-1", "checkpoints/10000000000000000", "timestamps/30.tsr", "entries.jsonl\n", "consistency/٣"],
)  # fmt: skip
def test_a_member_of_another_name_is_refused(name: str) -> None:
    if name.isascii():
        assert "does not belong" in refusal(repacked({**MEMBERS, name: b""}))
    else:
        with pytest.raises(BundleError, match="cannot be named"):
            repacked({**MEMBERS, name: b""})


@pytest.mark.parametrize("name", sorted({*MEMBERS} - {"heads.json"}))
def test_a_member_that_is_missing_is_missed(name: str) -> None:
    rest = {other: raw for other, raw in MEMBERS.items() if other != name}
    raw = repacked(rest) if "manifest.json" in rest else archive_of(dict(sorted(rest.items())))
    if name.startswith(("documents/", "timestamps/")):
        assert reading(raw) != CONTENT  # may be left out: then other checks have something to say
    else:
        refusal(raw)


def edited(name: str, edit: Callable[[bytes], bytes]) -> bytes:
    """The bundle with one member changed, and the manifest's hashes fitting again."""
    changed = edit(MEMBERS[name])
    assert changed != MEMBERS[name]
    return repacked({**MEMBERS, name: changed})


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: raw.replace(old, new, 1)


def line(number: int, edit: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """Changes one line as JSON."""

    def change(raw: bytes) -> bytes:
        lines = raw.splitlines(keepends=True)
        lines[number] = canonical(edit(json.loads(lines[number]))) + b"\n"
        return b"".join(lines)

    return change


def without(key: str) -> Callable[[Any], Any]:
    return lambda value: {name: member for name, member in value.items() if name != key}


def having(**members: Any) -> Callable[[Any], Any]:
    return lambda value: {**value, **members}


def swapped(raw: bytes) -> bytes:
    first, second, *rest = raw.splitlines(keepends=True)
    return b"".join((second, first, *rest))


def disclosure(kind: str) -> int:
    return next(n for n, it in enumerate(MEMBERS["disclosures.jsonl"].splitlines()) if kind in json.loads(it))


MISSHAPEN: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "entries without their last newline": ("entries.jsonl", lambda raw: raw[:-1], "newline"),
    "entries with a carriage return": ("entries.jsonl", swap(b"}\n", b"}\r\n"), "line 1"),
    "an empty line among the entries": ("entries.jsonl", swap(b"}\n", b"}\n\n"), "line 2"),
    "no entry at all": ("entries.jsonl", lambda raw: b"", "empty"),
    "entries in another order": ("entries.jsonl", swapped, "ascending"),
    "an entry twice": ("entries.jsonl", lambda raw: raw.splitlines(keepends=True)[0] + raw, "ascending"),
    "an entry with another member": ("entries.jsonl", line(0, having(extra=1)), "line 1"),
    "an entry that is no text": ("entries.jsonl", swap(b'{"entry":"', b'{"entry":"\xff'), "not UTF-8"),
    "a bare tab in an entry": ("entries.jsonl", swap(b'{"entry":"', b'{"entry":"\t'), "not spelled"),
    "an escape that is not needed": ("entries.jsonl", swap(b'{"entry":"{', b'{"entry":"\\u007b'), "line 1"),
    "an entry at position 0": ("entries.jsonl", line(0, having(position=0)), "line 1"),
    "an entry beyond 2^53-1": ("entries.jsonl", line(-1, having(position=2**53 - 1)), "proof"),
    "an entry of the ledger among the others": ("ledger.jsonl", lambda raw: MEMBERS["entries.jsonl"], "other entries"),
    "a disclosure without a value": ("disclosures.jsonl", line(0, without("value")), "line 1"),
    "a disclosure with a short salt": ("disclosures.jsonl", line(0, having(salt="ab" * 31)), "line 1"),
    "a disclosure with another member": ("disclosures.jsonl", line(0, having(note="x")), "line 1"),
    "a path that is no text": ("disclosures.jsonl", line(0, having(path=1)), "path"),
    "withheld, but not quite": ("disclosures.jsonl", line(disclosure("withheld"), having(withheld=False)), "not true"),
    "erased by nothing": ("disclosures.jsonl", line(disclosure("erased"), having(erased=0)), "position"),
    "erased by an entry that is not there": ("disclosures.jsonl", line(disclosure("erased"), having(erased=3)), "other entries"),
    "disclosures in another order": ("disclosures.jsonl", swapped, "ascending"),
    "a disclosure in another spelling": ("disclosures.jsonl", swap(b'{"path"', b'{ "path"'), "canonical"),
    "a manifest that is no object": ("manifest.json", lambda raw: b"[]\n", "object"),
    "heads that are no rows": ("heads.json", line(0, having(rows=1)), "list"),
    "a row that is none": ("heads.json", line(0, lambda it: {**it, "rows": [{"path": [], "row": "{}"}]}), "row has exactly"),
    "a row that is no text": ("heads.json", line(0, lambda it: {**it, "rows": [{"path": [], "row": 1}]}), "not a string"),
    "rows in another order": ("heads.json", line(0, lambda it: {**it, "rows": it["rows"][::-1]}), "ascending"),
    "a row's path longer than a key": (
        "heads.json", line(0, lambda it: {**it, "rows": [{**it["rows"][0], "path": ["00" * 32] * 257}]}), "at most 256"),
    "a hash of a path in capitals": (
        "heads.json", line(0, lambda it: {**it, "rows": [{**it["rows"][0], "path": ["AB" * 32]}]}), "hex"),
    "heads of an entry that is not there": ("heads.json", line(0, having(position=1)), "other entries"),
    "a checkpoint that is no note": ("checkpoint", lambda raw: b"Dear auditor,\n", "no empty line"),
    "a checkpoint that is no checkpoint": ("checkpoint", swap(b"\n%d\n" % SIZE, b"\nmany\n"), "decimal"),
    "an earlier checkpoint that is no note": ("checkpoints/20", lambda raw: b"", "checkpoints/20"),
    "a consistency proof that is none": ("consistency/20", lambda raw: b"old 20\n", "consistency/20"),
    "a consistency proof of another size": ("consistency/20", swap(b"old 20", b"old 21"), "not spelled"),
    "a consistency proof to another checkpoint": ("consistency/20", lambda raw: raw + b"x", "not spelled"),
    "a proof that is none": (PROOF, lambda raw: b"", "no empty line"),
    "a proof of another entry": (PROOF, swap(b"\nindex ", b"\nindex 1"), "not spelled"),
    "a proof with extra data": (PROOF, swap(b"\nindex", b"\nextra QQ==\nindex"), "not spelled"),
    "a proof to another checkpoint": (PROOF, lambda raw: raw + b"x", "not spelled"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSHAPEN)
def test_a_member_of_another_form_is_refused(name: str) -> None:
    member, edit, said = MISSHAPEN[name]
    if member == "manifest.json":
        assert said in refusal(archive_of(dict(sorted({**MEMBERS, member: edit(b"")}.items()))))
    else:
        assert said in refusal(edited(member, edit))


def manifest(edit: Callable[[Any], Any]) -> bytes:
    return repacked({**MEMBERS, "manifest.json": canonical(edit(json.loads(MEMBERS["manifest.json"]))) + b"\n"}, rehashed=False)


MANIFESTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "of another format": (having(format="countersign-evidence/2"), "format"),
    "of a ledger without a name": (having(ledger=None), "ledger"),
    "with an envelope in capitals": (having(envelope=str(STORY.envelope).upper()), "lower case"),
    "with an envelope that is none": (having(envelope=1), "UUID"),
    "with a process that is its envelope": (having(process=str(STORY.envelope)), "its own envelope"),
    "with another member": (having(policy="x"), "exactly"),
    "without what was withheld": (without("withheld"), "exactly"),
    "with files that are no object": (having(files=[]), "files"),
    "with a hash in capitals": (lambda it: having(files={**it["files"], PDF: "AB" * 32})(it), "hex"),
    "with another hash": (lambda it: having(files={**it["files"], PDF: "ab" * 32})(it), "disagree"),
    "with a file too many": (lambda it: having(files={**it["files"], "policy.txt": "ab" * 32})(it), "disagree"),
    "with itself among the files": (lambda it: having(files={**it["files"], "manifest.json": "ab" * 32})(it), "disagree"),
    "with a file too few": (lambda it: having(files=without(PDF)(it["files"]))(it), "disagree"),
    "with a document withheld twice": (having(withheld=["ab" * 32] * 2), "ascending"),
    "with a document withheld that is there": (having(withheld=[PDF[10:74]]), "withheld and there"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_refused(name: str) -> None:
    edit, said = MANIFESTS[name]
    assert said in refusal(manifest(edit))


def test_members_are_held_to_the_checksum_of_the_archive() -> None:
    file = io.BytesIO()
    write_archive({"checkpoint": chunks_of(b"abc")}, file)
    good = file.getvalue()
    bad = good.replace(zlib.crc32(b"abc").to_bytes(4, "little"), bytes(4))
    assert Archive(io.BytesIO(good)).read("checkpoint") == b"abc"
    for read_member in (Archive.read, Archive.digest):
        with pytest.raises(BundleError, match="checksum"):
            read_member(Archive(io.BytesIO(bad)), "checkpoint")


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    class Counting(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.most = max(self.most, size or 0)
            return super().read(size)

    file = Counting(RAW)
    with pytest.raises(BundleError, match="at most 1,000"):
        read(file, Limits(text_bytes=1_000))
    assert file.most < 10_000


def test_an_archive_that_says_more_than_there_is_reserves_nothing_for_it() -> None:
    directory = RAW[RAW.index(b"PK\x01\x02") :]
    size_at = directory.index(b"PK\x01\x02") + 24
    huge = directory[: size_at - 4] + b"\xfe\xff\xff\xff\xfe\xff\xff\xff" + directory[size_at + 4 :]
    assert "more bytes than there are" in refusal(RAW[: -len(directory)] + huge)


def test_documents_are_read_in_pieces() -> None:
    raw = bytes(3_000_000)
    document = Document.of(raw)
    content = replace(CONTENT, documents={document.sha256: document})
    told: list[tuple[int, int]] = []
    found = read(io.BytesIO(packed(content)), progress=lambda done, total: told.append((done, total)))
    assert [len(chunk) for chunk in found.documents[document.sha256].chunks()] == [1 << 20, 1 << 20, 3_000_000 - (2 << 20)]
    assert len(told) == 4
    assert told[-1][0] <= told[-1][1]


WRITTEN: dict[str, tuple[Callable[[Content], Content], str]] = {
    "a document that is not of its hash": (
        lambda it: replace(it, documents={"ab" * 32: Document("ab" * 32, chunks_of(b"x"))}), "other bytes"),
    "entries that are no text": (
        lambda it: replace(it, entries=(replace(it.entries[0], raw=b"\xff"), *it.entries[1:])), "not UTF-8"),
    "entries without proofs": (lambda it: replace(it, proofs={}), "proof"),
    "a proof that is too long": (
        lambda it: replace(it, proofs={**it.proofs, it.entries[0].position: (bytes(32),) * 64}), "at most 63"),
    "a value that has no spelling": (
        lambda it: replace(it, disclosures=(Disclosed(1, "/x", bytes(32), float("nan")),)), "cannot be spelled"),
    "a row that is no text": (
        lambda it: replace(it, heads=Heads(1, (HeadRow(b"\xff", ()),))), "UTF-8"),
    "a time stamp of no checkpoint": (lambda it: replace(it, timestamps={21: b"x"}), "time stamp"),
    "an earlier checkpoint that is the last": (
        lambda it: replace(it, earlier={SIZE: it.earlier[20]}), "not smaller"),
    "a document named by no hash": (lambda it: replace(it, documents={"x": Document.of(b"x")}), "named by a hash"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_what_could_not_be_read_is_not_written(name: str) -> None:
    edit, said = WRITTEN[name]
    with pytest.raises(BundleError, match=said):
        write(edit(CONTENT), io.BytesIO())


def test_an_archive_has_members_but_not_too_many() -> None:
    too_many = dict.fromkeys(map(str, range(65_536)), chunks_of(b""))
    for members in ({}, too_many):
        with pytest.raises(BundleError, match="members"):
            write_archive(members, io.BytesIO())


def test_a_bundle_needs_no_seeking_to_be_written() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.digest = sha256()

        def writable(self) -> bool:
            return True

        def write(self, raw: Any, /) -> int:
            self.digest.update(raw)
            return len(raw)

    pipe = Pipe()
    write(CONTENT, pipe)  # type: ignore[arg-type]
    assert pipe.digest.digest() == sha256(RAW).digest()
