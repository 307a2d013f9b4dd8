"""Gathers what a bundle of evidence is made of.

A bundle is about one envelope or one process, as of the heads manifest that covers it. Nothing is made up for it: what the log, the
vault and the file store do not have is absent, and the report says so.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from api.deps import Deps
from api.evidence.asked import Asked
from api.evidence.case import case_of, happened
from api.report import Case, File, FileState, Happened, named_files, report_html, report_text
from domain.ids import ProcessId
from domain.policy import Policy
from infrastructure.bundle_archive import Chunks, write_archive
from infrastructure.bundle_format import MANIFEST, Content, Document, Earlier, Texts, members_of
from infrastructure.bundle_lines import Disclosed, DisclosureLine, EntryLine, ErasedBy, HeadRow, Heads, Withheld
from infrastructure.bundling import NotSealed, anchor, choose
from infrastructure.sealed import StoredCheckpoint
from infrastructure.vault import Reference
from projections import erasures, timeline
from projections.timeline import TimelineEntry

#: All documents together; the archive's other members and its own bytes fit into what is left of 2 GiB.
MAX_DOCUMENT_BYTES: Final = 2**31 - 2**29

_HERE: Final = Path(__file__).parent
_VERIFIER: Final = "verify_evidence.py"


class TooLarge(Exception):
    """The documents are too large for one bundle, which can be made without them."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the documents have {size_bytes:,} bytes together; a bundle holds at most {MAX_DOCUMENT_BYTES:,}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that can be written. `digest` (64 hex digits) is another for any other bytes.

    `size` is that of the checkpoint; `complete` is the position that the heads manifest covers, None without one.
    """

    name: str
    digest: str
    size: int
    complete: int | None
    members: Mapping[str, Chunks]

    def write(self, file: BinaryIO) -> None:
        """Writes the archive, holding no more than a piece of a document at a time. Blocking. Raises BlobCorrupted."""
        write_archive(self.members, file)


@dataclass(frozen=True, slots=True)
class _Manifest:
    """Rows of a heads manifest, and the position that it covers."""

    heads: Heads
    covers: int


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What goes into a bundle, all of it under one checkpoint."""

    checkpoint: StoredCheckpoint
    manifest: _Manifest | None
    lines: tuple[EntryLine, ...]
    entries: Sequence[Happened]
    disclosures: tuple[DisclosureLine, ...]

    @property
    def last(self) -> int:
        return self.lines[-1].position

    @property
    def covered(self) -> int | None:
        """The position that the manifest covers."""
        return None if self.manifest is None else self.manifest.covers

    @property
    def erasures(self) -> set[int]:
        """The positions of the entries that explain what was erased."""
        return {line.erased for line in self.disclosures if isinstance(line, ErasedBy)}

    @property
    def others(self) -> set[int]:
        """The positions of entries of other streams."""
        return self.erasures | (set() if self.manifest is None else {self.manifest.heads.position})


async def make_bundle(deps: Deps, asked: Asked) -> Bundle:
    """The bundle that is asked for, once all in it is sealed.

    Raises NotSealed if that is not so within `evidence_wait_seconds`, WithholdingError for a path at which nothing stands, TooLarge,
    DamagedEntry, ReadsUnavailable.
    """
    found = await _gather(deps, asked)
    positions = {*found.others, *(line.position for line in found.lines)}
    anchors = await anchor(deps.reads, deps.sealed, deps.timestamps, _policy(deps), found.checkpoint, positions, found.last)
    files = await _files(deps, asked, named_files(found.entries))
    case = case_of(found.entries, asked.process, found.disclosures, files, anchors, found.covered)
    content = Content(
        ledger=case.ledger,
        envelope=asked.envelope,
        process=asked.process,
        entries=found.lines,
        ledger_entries=tuple([await _entry(deps, position) for position in sorted(found.others)]),
        disclosures=found.disclosures,
        heads=None if found.manifest is None else found.manifest.heads,
        checkpoint=anchors.checkpoint.signed(),
        earlier={each.size: Earlier(each.signed(), anchors.consistency[each.size]) for each in anchors.earlier},
        proofs=anchors.proofs,
        timestamps={} if anchors.stamp is None else {anchors.stamp.size: anchors.stamp.token},
        documents={name: _document(deps, name) for name, state in files.items() if state is FileState.INCLUDED},
        withheld=tuple(name for name, state in files.items() if state is FileState.WITHHELD),
        texts=await asyncio.to_thread(_texts, case),
    )
    members = await asyncio.to_thread(members_of, content)
    # The manifest holds the hash of every other member, and an archive has one spelling.
    digest = sha256(b"".join(members[MANIFEST]())).hexdigest()
    about = asked.envelope if asked.process is None else ProcessId(asked.envelope, asked.process)
    return Bundle(f"evidence-{about}.zip", digest, anchors.checkpoint.size, case.heads, members)


async def _gather(deps: Deps, asked: Asked) -> _Gathered:
    """All entries of the streams up to one checkpoint; again while the manifest is older than them and there is time."""
    now = asyncio.get_running_loop().time
    deadline = now() + deps.settings.evidence_wait_seconds
    needed = 0
    while True:
        seen = await _entries(deps, asked)
        manifest = await _manifest(deps, seen, max(deadline - now(), 0))
        needed = max(needed, seen[-1].position, 0 if manifest is None else manifest.heads.position)
        await deps.sealed.wait(needed, max(deadline - now(), 0))
        checkpoint = await choose(deps.reads, deps.sealed, _policy(deps), needed)
        lines = tuple(
            EntryLine(entry.position, entry.leaf, entry.raw.encode())
            for entry in await _entries(deps, asked)
            if entry.position <= checkpoint.size
        )
        entries = [happened(line) for line in lines]
        found = _Gathered(checkpoint, manifest, lines, entries, await _disclosures(deps, asked, entries))
        needed = max(needed, *found.erasures, 0)
        if needed <= checkpoint.size and (now() >= deadline or (found.covered or 0) >= found.last):
            return found
        if now() >= deadline:
            raise NotSealed(needed, checkpoint.size)


def _policy(deps: Deps) -> Policy | None:
    return None if deps.cosigning is None else deps.cosigning.policy


async def _entries(deps: Deps, asked: Asked) -> list[TimelineEntry]:
    """The entries of the envelope and of the processes in question, in the order of the log."""
    async with deps.reads.connection() as connection:
        found = await timeline.of_envelope(connection, asked.envelope)
    if found is None:
        raise LookupError(f"there is no envelope {asked.envelope}")
    streams = None if asked.process is None else {asked.envelope, asked.process}
    return [entry for entry in found.entries if streams is None or entry.stream in streams]


async def _manifest(deps: Deps, entries: Sequence[TimelineEntry], seconds: float) -> _Manifest | None:
    """The newest manifest, if it has rows of these streams; it covers the entries unless none came in time."""
    await deps.heads.want(entries[-1].position, seconds)
    proven = await deps.heads.prove({entry.stream for entry in entries})
    if not proven:
        return None
    recorded = next(iter(proven.values())).manifest  # one for all
    rows = tuple(HeadRow(proven[stream].row, proven[stream].path) for stream in sorted(proven))
    return _Manifest(Heads(recorded.entry, rows), recorded.position)


async def _disclosures(deps: Deps, asked: Asked, entries: Sequence[Happened]) -> tuple[DisclosureLine, ...]:
    """A line for each commitment whose value is there or was erased; one without a line is missing, and a verifier says so."""
    asked.check({(each.entry.stream, path) for each in entries for path in each.entry.personal})
    streams = {each.entry.stream for each in entries}
    opened = await deps.vault.open_entries(streams)
    wanted = [
        (each.position, Reference(each.entry.stream, each.entry.version, path))
        for each in entries
        for path in sorted(each.entry.personal, key=lambda path: path.encode("utf-8", "surrogatepass"))
    ]
    erased: Mapping[tuple[UUID, int], int] = {}
    if any(place not in opened for _, place in wanted):
        await deps.gate.wait(erasures.READ_MODELS, deps.settings.read_wait_seconds)
        async with deps.reads.connection() as connection:
            erased = await erasures.of_streams(connection, streams)
    lines: list[DisclosureLine] = []
    for position, place in wanted:
        if (value := opened.get(place)) is None:
            if (by := erased.get((place.stream, place.version))) is not None:
                lines.append(ErasedBy(position, place.path, by))
        elif asked.shows(place.stream, place.path):
            lines.append(Disclosed(position, place.path, value.salt, value.value))
        else:
            lines.append(Withheld(position, place.path))
    return tuple(lines)


async def _entry(deps: Deps, position: int) -> EntryLine:
    """An entry of another stream, which is known to be there."""
    (found,) = await deps.recorder.read_log(position - 1, 1)
    return EntryLine(found.position, found.leaf, found.raw)


async def _files(deps: Deps, asked: Asked, named: Collection[File]) -> dict[str, FileState]:
    """What becomes of each document by its SHA-256, in order; raises TooLarge."""
    last = [file for file in named if not file.superseded]
    given = {file.sha256 for file in last if asked.gives(file.document)}
    sizes = {name: await deps.blobs.size(name) for name in given}
    if (together := sum(size or 0 for size in sizes.values())) > MAX_DOCUMENT_BYTES:
        raise TooLarge(together)
    found = dict.fromkeys((file.sha256 for file in named), FileState.SUPERSEDED)
    found |= dict.fromkeys((file.sha256 for file in last), FileState.WITHHELD)
    found |= {name: FileState.ABSENT if size is None else FileState.INCLUDED for name, size in sizes.items()}
    return dict(sorted(found.items()))


def _document(deps: Deps, name: str) -> Document:
    return Document(name, lambda: deps.blobs.chunks(name))


def _texts(case: Case) -> Texts:
    readme = (_HERE / "VERIFY.md").read_bytes()
    return Texts(readme, report_html(case), report_text(case), _verifier())


def _verifier() -> bytes:
    """The second verifier, byte for byte: beside this module in an installed wheel (pyproject.toml), else among the scripts."""
    beside = _HERE / _VERIFIER
    return (beside if beside.is_file() else _HERE.parents[1] / "scripts" / _VERIFIER).read_bytes()
