"""Verifying a file against the ledger at hand, for the endpoint and for the command."""

import asyncio
from hashlib import sha256
from typing import Final
from uuid import UUID

from api.deps import Deps
from domain.note import parse_verifier_key
from domain.sealing import NOTHING, ledger_stream
from domain.sealing import Sealing as RecordedKeys
from infrastructure.bundle_lines import EntryLine
from infrastructure.file_verification import Anchors, Evidence, FileJudgement, Kind, Sealing, beginnings, of_ledger, verify_file
from infrastructure.pdf_seal.verification import MAX_BYTES
from projections import files, timeline
from projections.timeline import DamagedEntry

__all__ = ["MAX_BYTES", "DamagedEntry", "FileJudgement", "Kind", "verify_in_ledger"]

#: How long a checkpoint is waited for that covers what was recorded a moment ago.
_SEALED_WITHIN_SECONDS: Final = 2.0


async def verify_in_ledger(deps: Deps, pdf: bytes, given: Anchors | None = None) -> FileJudgement:
    """What is to be said about any bytes by this ledger; raises ReadsUnavailable, DatabaseUnavailable, DamagedEntry.

    Where `given` names nobody to trust, it is whom this installation trusts.
    """
    hashes = await asyncio.to_thread(_hashes, pdf)
    await deps.gate.wait(files.READ_MODELS, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        found = await files.named(connection, hashes)
    # What is given to sign may be used by many, and is nobody's: only the whole of it is told, and nothing of where it is used.
    named = {each.sha256: each.envelope for each in found if each.made or each.sha256 == hashes[0]}
    # Of the file itself if it is known, else of the longest of its beginnings that is.
    envelope = next((named[each] for each in hashes if each in named), None)
    evidence = None if envelope is None else await _evidence(deps, envelope)
    own, given = deps.seals, given or Anchors()
    anchors = Anchors(given.roots or own.anchors, given.times or own.time_anchors)
    return await verify_file(pdf, evidence, anchors, deps.clock.now(), f"the ledger {deps.recorder.ledger}")


def _hashes(pdf: bytes) -> list[str]:
    return [sha256(pdf).hexdigest(), *reversed(beginnings(pdf))]


async def _evidence(deps: Deps, envelope: UUID) -> Evidence:
    async with deps.reads.connection() as connection:
        found = await timeline.of_envelope(connection, envelope)
    if found is None:
        raise LookupError(f"there is no envelope {envelope}")
    lines = [EntryLine(each.position, each.leaf, each.raw.encode()) for each in found.entries]
    origin = deps.recorder.ledger
    recorded = await deps.ledger.state(RecordedKeys, ledger_stream(origin)) or NOTHING
    keys = [parse_verifier_key(each) for each in sorted(recorded.keys | recorded.retired)]
    return await asyncio.to_thread(of_ledger, origin, envelope, lines, await _sealing(deps, lines), keys)


async def _sealing(deps: Deps, lines: list[EntryLine]) -> Sealing | None:
    """The newest checkpoint, if it covers the entries, and their proofs."""
    if await deps.sealed.wait(lines[-1].position, _SEALED_WITHIN_SECONDS) is None:
        return None
    newest = await deps.sealed.latest()
    if newest is None:
        return None
    proofs = await deps.sealed.inclusions([line.position - 1 for line in lines], newest.size)
    return Sealing(newest.note, {index + 1: proof for index, proof in proofs.items()})
