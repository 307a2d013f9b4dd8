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

#: Cosigned checkpoints that are looked at for a quorum, the newest first: one a few seconds, so some minutes of them.
_LOOKED_AT: Final = 100

_COSIGNED: Final = Statement(
    b"bundling_cosigned",
    b"SELECT size, string_agg(line, E'\\n') FROM public.checkpoints JOIN public.cosignatures USING (size)"
    b" WHERE published AND size <= $1::bigint GROUP BY size ORDER BY size DESC LIMIT $2::bigint",
)


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A time-stamp token (DER) over the checkpoint of `size`. `time` is the token's own, spelled like the time of an entry."""

    size: int
    token: bytes
    time: str
    authority: str


@dataclass(frozen=True, slots=True)
class Anchors:
    """`earlier` are smaller checkpoints, ascending; `consistency` is by their sizes, `proofs` by positions, `stamps` by size."""

    checkpoint: StoredCheckpoint
    earlier: tuple[StoredCheckpoint, ...]
    consistency: Mapping[int, tuple[bytes, ...]]
    proofs: Mapping[int, tuple[bytes, ...]]
    stamps: Mapping[int, StoredToken]


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


async def anchor(
    reads: Reads,
    sealed: Sealed,
    tokens: Iterable[StoredToken],
    policy: Policy | None,
    *,
    positions: Collection[int],
    last: int,
) -> Anchors:
    """The anchors of the entries at `positions`, of which `last` is the process's last one.

    `tokens` are all that there are; `policy` is the one that witnesses are asked by. Raises NotSealed.
    """
    newest, needed = await sealed.latest(), max(positions)
    if newest is None or newest.size < needed:
        raise NotSealed(needed, 0 if newest is None else newest.size)
    cosigned = await _cosigned(reads, newest.size)
    enough = [size for size, lines in cosigned.items() if reaches_quorum(lines, policy)]
    main = newest
    if not reaches_quorum(newest.cosignatures, policy) and enough and enough[0] >= needed:
        main = await _at(sealed, enough[0])
    stamp = _stamp([token for token in tokens if token.size <= main.size], last)
    others = {size for size in (*(enough or cosigned),)[:1] if size < main.size}
    if stamp is not None and stamp.size < main.size:
        others.add(stamp.size)
    return Anchors(
        main,
        tuple([await _at(sealed, size) for size in sorted(others)]),
        {size: await sealed.consistency(size, main.size) for size in sorted(others)},
        {index + 1: proof for index, proof in (await sealed.inclusions([each - 1 for each in positions], main.size)).items()},
        {} if stamp is None else {stamp.size: stamp},
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


def _stamp(tokens: Iterable[StoredToken], last: int) -> StoredToken | None:
    """The earliest token that covers the process, since a time that is early says most; else the newest there is."""
    ordered = sorted(tokens, key=lambda token: (token.size, token.time, token.authority))
    return next((token for token in ordered if token.size >= last), ordered[-1] if ordered else None)
