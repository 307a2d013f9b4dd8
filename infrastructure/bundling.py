"""What a bundle of evidence is anchored in: the checkpoint that its proofs lead to, earlier ones that others vouch for, the proofs.

docs/evidence-format.md. Everything here was signed, cosigned or stamped before; nothing is signed for a bundle.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from domain.note import parse_signature
from domain.policy import Policy
from infrastructure.database import Reads
from infrastructure.multiplexed import Statement
from infrastructure.recorder import wire
from infrastructure.sealed import Sealed, StoredCheckpoint
from infrastructure.timestamping import StoredToken, Timestamps

#: Cosigned checkpoints that are looked at for a quorum, the newest first: one a few seconds, so some minutes of them.
_LOOKED_AT: Final = 100

_COSIGNED: Final = Statement(
    b"bundling_cosigned",
    b"SELECT size, string_agg(line, E'\\n') FROM public.checkpoints JOIN public.cosignatures USING (size)"
    b" WHERE published AND size <= $1::bigint GROUP BY size ORDER BY size DESC LIMIT $2::bigint",
)


@dataclass(frozen=True, slots=True)
class Anchors:
    """`earlier` are smaller checkpoints, ascending; `consistency` is by their sizes, `proofs` by positions."""

    checkpoint: StoredCheckpoint
    earlier: tuple[StoredCheckpoint, ...]
    consistency: Mapping[int, tuple[bytes, ...]]
    proofs: Mapping[int, tuple[bytes, ...]]
    stamp: StoredToken | None


class NotSealed(Exception):
    """No published checkpoint covers `position`; the newest one covers the positions up to `size`."""

    def __init__(self, position: int, size: int) -> None:
        super().__init__(f"position {position} is not sealed yet; the newest checkpoint covers those up to {size}")
        self.position = position
        self.size = size


def reaches_quorum(cosignatures: Iterable[str], policy: Policy | None) -> bool:
    """Whether the witnesses of `policy` whose lines these are are enough; without a policy nobody is needed."""
    if policy is None:
        return True
    signed = {(line.name, line.id) for line in map(parse_signature, cosignatures)}
    return policy.has_quorum([witness.key for witness in policy.witnesses if (witness.key.name, witness.key.id) in signed])


async def choose(reads: Reads, sealed: Sealed, policy: Policy | None, needed: int) -> StoredCheckpoint:
    """The newest published checkpoint that covers the position `needed` and has the quorum of `policy`; else the newest.

    Raises NotSealed if that does not cover it either.
    """
    newest = await sealed.latest()
    if newest is None or newest.size < needed:
        raise NotSealed(needed, 0 if newest is None else newest.size)
    if reaches_quorum(newest.cosignatures, policy):
        return newest
    cosigned = await _cosigned(reads, newest.size)
    enough = next((size for size, lines in cosigned.items() if size >= needed and reaches_quorum(lines, policy)), newest.size)
    return await _at(sealed, enough)


async def anchor(
    reads: Reads,
    sealed: Sealed,
    timestamps: Timestamps,
    policy: Policy | None,
    checkpoint: StoredCheckpoint,
    positions: Collection[int],
    last: int,
) -> Anchors:
    """The anchors, under `checkpoint`, of the entries at `positions`; `last` is the position of the process's last one."""
    size = checkpoint.size
    cosigned = await _cosigned(reads, size)
    enough = [each for each, lines in cosigned.items() if reaches_quorum(lines, policy)]
    stamp = await _stamp(timestamps, last, size)
    others = {each for each in [*(enough or cosigned)][:1] if each < size}
    if stamp is not None and stamp.size < size:
        others.add(stamp.size)
    proofs = await sealed.inclusions([position - 1 for position in positions], size)
    return Anchors(
        checkpoint,
        tuple([await _at(sealed, each) for each in sorted(others)]),
        {each: await sealed.consistency(each, size) for each in sorted(others)},
        {index + 1: proof for index, proof in proofs.items()},
        stamp,
    )


async def _cosigned(reads: Reads, newest: int) -> dict[int, list[str]]:
    """The cosignatures of cosigned checkpoints by size, the newest first."""
    rows = await reads.fetch(_COSIGNED, wire.int8(newest), wire.int8(_LOOKED_AT))
    return {wire.as_int(size): lines.decode().split("\n") for size, lines in rows}


async def _at(sealed: Sealed, size: int) -> StoredCheckpoint:
    """A checkpoint that is known to be published, and stays so."""
    found = await sealed.at(size)
    if found is None:
        raise LookupError(f"the checkpoint of size {size} is gone")
    return found


async def _stamp(timestamps: Timestamps, last: int, size: int) -> StoredToken | None:
    """The earliest token that covers the process, since an early time says most; else the newest. None beyond the checkpoint."""
    for token in (await timestamps.earliest_covering(last), await timestamps.newest()):
        if token is not None and token.size <= size:
            return token
    return None
