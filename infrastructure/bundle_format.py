"""A bundle of evidence, written and read (docs/evidence-format.md).

Reading is strict: what was read is spelled again and must be the bytes that were there. Documents are hashed and
never held; all else fits in memory by limits that are checked before it is read.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import BinaryIO, Final, TypeVar
from uuid import UUID

from domain.canonical import MAX_INTEGER
from domain.checkpoint import Checkpoint, CheckpointError, parse_checkpoint
from domain.heads import parse_row
from domain.ids import is_sha256
from domain.note import NoteError, parse_note
from domain.proof_text import ProofText, ProofTextError, format_proof, parse_proof
from domain.witnessing import Malformed, Submission, format_submission, parse_submission
from infrastructure.bundle_archive import Archive, BundleError, Chunks, chunks_of, write_archive
from infrastructure.bundle_lines import (
    DisclosureLine,
    EntryLine,
    ErasedBy,
    Heads,
    Manifest,
    read_disclosures,
    read_entries,
    read_heads,
    read_manifest,
    spell_disclosures,
    spell_entries,
    spell_heads,
    spell_manifest,
)

T = TypeVar("T")

#: Of all members but the documents together: they are held in memory.
MAX_TEXT_BYTES: Final = 256 * 2**20

MANIFEST: Final = "manifest.json"
CHECKPOINT: Final = "checkpoint"
DISCLOSURES: Final = "disclosures.jsonl"
ENTRIES: Final = "entries.jsonl"
HEADS: Final = "heads.json"
LEDGER: Final = "ledger.jsonl"
README: Final = "VERIFY.md"
REPORT_HTML: Final = "report.html"
REPORT_TEXT: Final = "report.txt"
VERIFIER: Final = "verify_evidence.py"

_REQUIRED: Final = frozenset((CHECKPOINT, DISCLOSURES, ENTRIES, LEDGER, MANIFEST, README, REPORT_HTML, REPORT_TEXT, VERIFIER))
_DOCUMENT: Final = re.compile(r"documents/([0-9a-f]{64})\.pdf")
_NUMBER: Final = "([1-9][0-9]{0,15})"
_EARLIER: Final = re.compile(f"checkpoints/{_NUMBER}")
_CONSISTENCY: Final = re.compile(f"consistency/{_NUMBER}")
_PROOF: Final = re.compile(rf"proofs/{_NUMBER}\.tlog-proof")
_TIMESTAMP: Final = re.compile(rf"timestamps/{_NUMBER}\.tst")
_VARIABLE: Final = (_DOCUMENT, _EARLIER, _CONSISTENCY, _PROOF, _TIMESTAMP)

#: Called with the number of bytes read so far, and how many there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader takes at most, in bytes; a reader of its own memory may want less."""

    text_bytes: int = MAX_TEXT_BYTES


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Earlier:
    """A checkpoint before the bundle's own (a signed note), and the hashes that prove that the latter continues it."""

    note: bytes
    consistency: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF: `sha256` is that of its bytes in hex, `chunks` gives them as often as it is called."""

    sha256: str
    chunks: Chunks = field(repr=False, compare=False)

    @classmethod
    def of(cls, raw: bytes) -> "Document":
        """A document at hand."""
        return cls(sha256(raw).hexdigest(), chunks_of(raw))


@dataclass(frozen=True, slots=True)
class Texts:
    """What is in a bundle for people and is no evidence: VERIFY.md, report.html, report.txt, verify_evidence.py."""

    readme: bytes
    report_html: bytes
    report_text: bytes
    verifier: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """All that a bundle holds. Nothing in it has been believed yet, but what belongs together is there.

    `process` is the participant if the bundle is about one process, None if it is about a whole envelope. `ledger_entries`
    are those of other streams. `checkpoint` is a signed note; `earlier` maps sizes to checkpoints before it, `proofs`
    positions to inclusion proofs in it, `timestamps` sizes to DER TimeStampTokens, `documents` the SHA-256 that each is
    there under to the document. `withheld` are the documents left out.
    """

    ledger: str
    envelope: UUID
    process: UUID | None
    entries: tuple[EntryLine, ...]
    ledger_entries: tuple[EntryLine, ...]
    disclosures: tuple[DisclosureLine, ...]
    heads: Heads | None
    checkpoint: bytes
    earlier: Mapping[int, Earlier]
    proofs: Mapping[int, tuple[bytes, ...]]
    timestamps: Mapping[int, bytes]
    documents: Mapping[str, Document]
    withheld: tuple[str, ...]
    texts: Texts


def write(content: Content, file: BinaryIO) -> None:
    """Writes the bundle; the same content gives the same bytes. Documents are read twice; `file` need not be seekable.

    Raises BundleError for content that `read` would refuse, and for a document that is not of its hash; in the latter case
    some of it may have been written.
    """
    write_archive(members_of(content), file)


def members_of(content: Content) -> dict[str, Chunks]:
    """The members of the archive by name; raises BundleError for content that makes no bundle."""
    texts = _spell(content)
    files = {name: sha256(raw).hexdigest() for name, raw in texts.items()}
    files |= {_document(name): document.sha256 for name, document in content.documents.items()}
    texts[MANIFEST] = spell_manifest(Manifest(content.ledger, content.envelope, content.process, files, content.withheld))
    _content(texts, content.documents, LIMITS)
    documents = {_document(name): _held_to_its_hash(document) for name, document in content.documents.items()}
    return {name: chunks_of(raw) for name, raw in texts.items()} | documents


def _held_to_its_hash(document: Document) -> Chunks:
    def chunks() -> Iterator[bytes]:
        digest = sha256()
        for chunk in document.chunks():
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != document.sha256:
            raise BundleError(f"the document {document.sha256} has other bytes than those of its hash")

    return chunks


def _spell(content: Content) -> dict[str, bytes]:
    """All members but the documents and the manifest, which follows from them."""
    texts = {
        CHECKPOINT: content.checkpoint,
        DISCLOSURES: spell_disclosures(content.disclosures),
        ENTRIES: spell_entries(content.entries),
        LEDGER: spell_entries(content.ledger_entries),
        README: content.texts.readme,
        REPORT_HTML: content.texts.report_html,
        REPORT_TEXT: content.texts.report_text,
        VERIFIER: content.texts.verifier,
    }
    if content.heads is not None:
        texts[HEADS] = spell_heads(content.heads)
    try:
        for size, earlier in content.earlier.items():
            texts[f"checkpoints/{size}"] = earlier.note
            texts[f"consistency/{size}"] = format_submission(Submission(size, earlier.consistency, content.checkpoint))
        for position, hashes in content.proofs.items():
            texts[f"proofs/{position}.tlog-proof"] = format_proof(ProofText(position - 1, hashes, content.checkpoint))
    except ProofTextError as err:
        raise BundleError(str(err)) from err
    for size, token in content.timestamps.items():
        texts[f"timestamps/{size}.tst"] = token
    return texts


def _document(sha256: str) -> str:
    return f"documents/{sha256}.pdf"


def read(file: BinaryIO, limits: Limits = LIMITS, progress: Progress = lambda done, total: None) -> Content:
    """The content of a bundle; `write` gives the same bytes again. `file` must stay open while documents are read.

    Raises BundleError for anything else, OSError.
    """
    archive = Archive(file)
    for name in archive.names:
        if name not in _REQUIRED and name != HEADS and not any(kind.fullmatch(name) for kind in _VARIABLE):
            raise BundleError(f"{name!r} does not belong into a bundle")
    held = [name for name in archive.names if not _DOCUMENT.fullmatch(name)]
    done = sum(map(archive.size_of, held))
    _limit(done, limits)

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress(done, archive.size)

    texts = {name: archive.read(name) for name in held}
    tell(0)
    documents = {
        match[1]: Document(archive.digest(name, tell), _chunks(archive, name))
        for name in archive.names
        if (match := _DOCUMENT.fullmatch(name))
    }
    return _content(texts, documents, limits)


def _limit(text_bytes: int, limits: Limits) -> None:
    if text_bytes > limits.text_bytes:
        raise BundleError(f"{text_bytes:,} bytes without the documents; at most {limits.text_bytes:,}")


def _content(texts: Mapping[str, bytes], documents: Mapping[str, Document], limits: Limits) -> Content:
    """The content of the members; raises BundleError unless spelling it again gives the same bytes."""
    _limit(sum(map(len, texts.values())), limits)
    if missing := sorted(_REQUIRED.difference(texts)):
        raise BundleError(f"{missing[0]} is missing")
    manifest = _named(MANIFEST, read_manifest, texts[MANIFEST])
    hashes = {name: sha256(raw).hexdigest() for name, raw in texts.items() if name != MANIFEST}
    hashes |= {_document(name): document.sha256 for name, document in documents.items()}
    if manifest.files != hashes:
        differing = sorted(name for name in {*manifest.files, *hashes} if manifest.files.get(name) != hashes.get(name))
        raise BundleError(f"{MANIFEST} and the archive disagree about {differing[0]!r}")
    content = _parse(manifest, texts, documents)
    _together(content)
    for name, raw in (_spell(content) | {MANIFEST: spell_manifest(manifest)}).items():
        if texts[name] != raw:
            raise BundleError(f"{name} is not spelled as it must be")
    return content


def _parse(manifest: Manifest, texts: Mapping[str, bytes], documents: Mapping[str, Document]) -> Content:
    notes, submissions = _by_number(texts, _EARLIER, bytes), _by_number(texts, _CONSISTENCY, _read_consistency)
    if notes.keys() != submissions.keys():
        raise BundleError("checkpoints/ and consistency/ have not the same sizes")
    return Content(
        ledger=manifest.ledger,
        envelope=manifest.envelope,
        process=manifest.process,
        entries=_named(ENTRIES, read_entries, texts[ENTRIES]),
        ledger_entries=_named(LEDGER, read_entries, texts[LEDGER]),
        disclosures=_named(DISCLOSURES, read_disclosures, texts[DISCLOSURES]),
        heads=_named(HEADS, read_heads, texts[HEADS]) if HEADS in texts else None,
        checkpoint=texts[CHECKPOINT],
        earlier={size: Earlier(note, submissions[size]) for size, note in notes.items()},
        proofs=_by_number(texts, _PROOF, _read_proof),
        timestamps=_by_number(texts, _TIMESTAMP, bytes),
        documents=documents,
        withheld=manifest.withheld,
        texts=Texts(texts[README], texts[REPORT_HTML], texts[REPORT_TEXT], texts[VERIFIER]),
    )


def _chunks(archive: Archive, name: str) -> Chunks:
    def chunks() -> Iterator[bytes]:
        return archive.chunks(name)

    return chunks


def _by_number(texts: Mapping[str, bytes], kind: re.Pattern[str], read: Callable[[bytes], T]) -> dict[int, T]:
    """What the members of a kind hold, by the number in their names, ascending."""
    found = {int(match[1]): _named(name, read, raw) for name, raw in texts.items() if (match := kind.fullmatch(name))}
    return dict(sorted(found.items()))


def _named(name: str, read: Callable[[bytes], T], raw: bytes) -> T:
    try:
        return read(raw)
    except BundleError as err:
        raise BundleError(f"{name}: {err}") from err


def _read_consistency(raw: bytes) -> tuple[bytes, ...]:
    try:
        return parse_submission(raw).proof
    except Malformed as err:
        raise BundleError(str(err)) from err


def _read_proof(raw: bytes) -> tuple[bytes, ...]:
    try:
        return parse_proof(raw).hashes
    except ProofTextError as err:
        raise BundleError(str(err)) from err


def note_checkpoint(raw: bytes) -> Checkpoint:
    """The checkpoint of a signed note, of which no signature has been checked; raises BundleError for anything else."""
    try:
        return parse_checkpoint(parse_note(raw).text)
    except (NoteError, CheckpointError) as err:
        raise BundleError(str(err)) from err


def _together(content: Content) -> None:
    """Raises BundleError unless what belongs together is there, and in its order."""
    size = _named(CHECKPOINT, note_checkpoint, content.checkpoint).size
    for number, earlier in content.earlier.items():
        _named(f"checkpoints/{number}", note_checkpoint, earlier.note)
    entries, others = ([line.position for line in lines] for lines in (content.entries, content.ledger_entries))
    needed = {line.erased for line in content.disclosures if isinstance(line, ErasedBy)}
    if content.heads is not None:
        needed.add(content.heads.position)
        streams = [str(parse_row(row.row).stream) for row in content.heads.rows]
        _require(_ascending(streams), f"the rows of {HEADS} are not in ascending order of their streams")
    _require(content.process != content.envelope, "a process cannot be its own envelope")
    _require(bool(entries), f"{ENTRIES} is empty")
    _require(_ascending(entries) and _ascending(others), "entries are not in ascending order of their positions")
    _require(others == sorted(needed), f"{LEDGER} holds other entries than {HEADS} and {DISCLOSURES} name")
    _require(needed.isdisjoint(entries), f"a position stands in both {ENTRIES} and {LEDGER}")
    _require(content.proofs.keys() == {*entries, *others}, "there is not one proof for each entry")
    _require(
        _ascending([(line.position, line.path.encode("utf-8", "surrogatepass")) for line in content.disclosures]),
        f"{DISCLOSURES} is not in ascending order of positions and paths",
    )
    _require(all(0 < number < size for number in content.earlier), "a checkpoint before is not smaller than the last one")
    _require(content.timestamps.keys() <= {size, *content.earlier}, "a time stamp is of a checkpoint that is not there")
    _require(all(map(is_sha256, (*content.documents, *content.withheld))), "a document is not named by a hash")
    _require(_ascending(content.withheld), "the documents withheld are not in ascending order")
    _require(content.documents.keys().isdisjoint(content.withheld), "a document is withheld and there")
    _require(all(1 <= number <= MAX_INTEGER for number in (*content.proofs, *content.earlier)), "a number out of range")


def _ascending(values: Sequence[object]) -> bool:
    return all(a < b for a, b in pairwise(values))  # type: ignore[operator]


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise BundleError(sentence)
