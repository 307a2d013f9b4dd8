"""From a bundle's content to what its report is written from."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, assert_never
from uuid import UUID

from api.report import Case, Disclosed, Erased, FileState, Happened, Seal, Shown, Stamp, Withheld
from domain.entry import EntryError
from domain.note import Signature, parse_note, parse_signature
from infrastructure import bundle_lines
from infrastructure.bundle_lines import DisclosureLine, EntryLine
from infrastructure.bundling import Anchors
from infrastructure.sealed import StoredCheckpoint
from infrastructure.telling import happened as telling
from projections.timeline import DamagedEntry

#: A cosignature begins with its time (C2SP tlog-cosignature).
_TIME_BYTES: Final = 8


def happened(line: EntryLine) -> Happened:
    """An entry with its fact; raises DamagedEntry for bytes that are none."""
    try:
        return telling.happened(line.position, line.leaf, line.raw)
    except EntryError as err:
        raise DamagedEntry(line.position, str(err)) from err


def _personal(entries: Sequence[Happened], lines: Sequence[DisclosureLine]) -> Mapping[str, Shown]:
    """What became of each personal value, by its commitment."""
    commitments = {(each.position, path): commitment for each in entries for path, commitment in each.entry.personal.items()}
    return {commitments[line.position, line.path]: _shown(line) for line in lines}


def _shown(line: DisclosureLine) -> Shown:
    match line:
        case bundle_lines.Disclosed():
            return Disclosed(line.value)
        case bundle_lines.ErasedBy():
            return Erased(line.erased)
        case bundle_lines.Withheld():
            return Withheld()
        case _ as unreachable:
            assert_never(unreachable)


def case_of(
    entries: Sequence[Happened],
    process: UUID | None,
    disclosures: Sequence[DisclosureLine],
    files: Mapping[str, FileState],
    anchors: Anchors,
    covered: int | None,
) -> Case:
    """`covered` is the position that the heads manifest covers, if there is one; `files` by SHA-256."""
    first, stamp = entries[0], anchors.stamp
    return Case(
        ledger=first.entry.ledger,
        envelope=first.entry.stream,
        process=process,
        happened=entries,
        personal=_personal(entries, disclosures),
        files=files,
        seal=_seal(anchors.checkpoint),
        earlier=tuple(map(_seal, anchors.earlier)),
        heads=covered,
        stamp=None if stamp is None else Stamp(stamp.size, stamp.time, stamp.authority),
    )


def _seal(stored: StoredCheckpoint) -> Seal:
    keys = tuple(f"{line.name}+{line.id.hex()}" for line in parse_note(stored.note).signatures)
    return Seal(stored.size, stored.at, keys, tuple(_cosigned(parse_signature(line)) for line in stored.cosignatures))


def _cosigned(line: Signature) -> tuple[str, datetime]:
    seconds = int.from_bytes(line.value[:_TIME_BYTES], "big")
    return f"{line.name}+{line.id.hex()}", datetime.fromtimestamp(seconds, UTC)
