"""Proofs about the log: that an entry is in it, that it only grew, and what its operator signed."""

from base64 import b64encode
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.deps import Deps, StoredCheckpoint
from api.http import json_answer, send_answer
from api.problems import Failed, Fault
from api.surfaces.ledger.access import MONITOR, deps_of, monitor
from api.surfaces.ledger.documentation import documented
from api.surfaces.ledger.models import Model, invalid
from api.surfaces.ledger.numbers import OldSize, Position, Size, number
from domain.entry import format_time
from domain.ids import IdError, parse_event_id
from domain.proof_text import ProofText, format_proof
from projections import feed, timeline
from projections.feed import FeedEntry

router = APIRouter(prefix="/v1/ledger", tags=["Proofs"])


class Alarm(Model):
    """Nothing is signed any more, since what is stored is not what was sealed. Somebody has to look."""

    reason: str
    position: int | None = Field(description="The entry, or the size of the checkpoint, that shows it; null if it is none.")
    at: str


class WitnessShown(Model):
    """A witness that the log asks for cosignatures."""

    name: str
    last_size: int = Field(description="Size of the last checkpoint that it cosigned; 0 for none.")
    last_at: str | None = Field(description="When that was, RFC 3339 in UTC; null for never.")
    error: str | None = Field(description="Why its last answer was no cosignature; null if it was one, or it was not asked yet.")


class CheckpointShown(Model):
    """The newest published checkpoint. `note` is what `/ledger/checkpoint` serves; all else repeats what is in it."""

    origin: str
    head: int = Field(
        description="Where the log ends now. What lies beyond `size` is not signed yet; it should be within seconds."
    )
    size: int
    root: str = Field(pattern="^[0-9a-f]{64}$")
    at: str = Field(
        description="When it was signed, by the server's clock. A time that others vouch for is a cosignature's or a token's."
    )
    note: str
    cosignatures: list[str] = Field(description="Names of the keys that have cosigned.")
    witnesses: list[WitnessShown] = Field(description="Those that are asked; empty without a policy of witnesses.")
    alarm: Alarm | None


class Inclusion(Model):
    """The leaf is in the tree of `size` leaves with `root` (RFC 9162 section 2.1.3)."""

    position: int
    leaf_index: int = Field(description="`position` - 1.")
    size: int
    root: str | None = Field(description="Of the checkpoint of this size; null if there is none, since not every size is signed.")
    leaf_hash: str = Field(pattern="^[0-9a-f]{64}$")
    entry: str = Field(description="The bytes that are hashed, as text.")
    hashes: list[str] = Field(description="From the leaf's sibling up, in base64.")
    proof: str | None = Field(description="The same as C2SP tlog-proof, with the checkpoint; null where that is missing.")


class Consistency(Model):
    """The tree of `new` leaves begins with that of `old` leaves (RFC 9162 section 2.1.4)."""

    old: int
    new: int
    hashes: list[str] = Field(description="In base64.")


@router.get("/checkpoint", summary="What is signed, and by whom", **documented(200, CheckpointShown, MONITOR, 404))
async def checkpoint(request: Request) -> Response:
    """The newest published checkpoint, the witnesses that are asked, and whether the log is still signed."""
    await monitor(request)
    deps = deps_of(request)
    found, alarm = await _published(deps), await deps.sealed.alarm()
    async with deps.reads.connection() as connection:
        end = await timeline.head(connection)
    standing = () if deps.cosigning is None else await deps.cosigning.standing()
    shown = CheckpointShown(
        origin=deps.recorder.ledger,
        head=end.position,
        size=found.size,
        root=found.root.hex(),
        at=format_time(found.at),
        note=found.signed().decode(),
        cosignatures=[line.split(" ")[1] for line in found.cosignatures],
        witnesses=[
            WitnessShown(
                name=each.name,
                last_size=each.last_size,
                last_at=None if each.last_at is None else format_time(each.last_at),
                error=each.error,
            )
            for each in standing
        ],
        alarm=None if alarm is None else Alarm(reason=alarm.reason, position=alarm.position, at=format_time(alarm.at)),
    )
    return send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))


@router.get("/proofs/inclusion", summary="That an entry is in the log", **documented(200, Inclusion, MONITOR, 404, 422))
async def inclusion(
    request: Request,
    position: Position = None,
    event: Annotated[str | None, Query(description="The id of the event, in place of its position.")] = None,
    size: Size = None,
) -> Response:
    """Check the hashes against a checkpoint that you have from elsewhere, or that a witness of yours has cosigned."""
    await monitor(request)
    deps = deps_of(request)
    found = await _entry(deps, position, event)
    of = await _published(deps) if size is None else await deps.sealed.at(await _size(deps, "size", size))
    tree = of.size if of is not None else number("size", size)
    if found.position > tree:
        raise Failed(404, "not-found", f"The entry at position {found.position} is not in the tree of {tree} leaves.")
    hashes = await deps.sealed.inclusion(found.position - 1, tree)
    shown = Inclusion(
        position=found.position,
        leaf_index=found.position - 1,
        size=tree,
        root=None if of is None else of.root.hex(),
        leaf_hash=found.leaf.hex(),
        entry=found.raw.decode(errors="replace"),
        hashes=[b64encode(each).decode() for each in hashes],
        proof=None if of is None else format_proof(ProofText(found.position - 1, hashes, of.signed())).decode(),
    )
    return send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))


@router.get("/proofs/consistency", summary="That the log only grew", **documented(200, Consistency, MONITOR, 404, 422))
async def consistency(request: Request, old: OldSize = None, new: Size = None) -> Response:
    """Between two checkpoints, of which you keep at least the older one."""
    await monitor(request)
    deps = deps_of(request)
    larger = (await _published(deps)).size if new is None else await _size(deps, "new", new)
    smaller = number("old", old, least=1, most=larger)
    hashes = await deps.sealed.consistency(smaller, larger)
    shown = Consistency(old=smaller, new=larger, hashes=[b64encode(each).decode() for each in hashes])
    return send_answer(json_answer(200, shown.model_dump(mode="json", by_alias=True)))


async def _published(deps: Deps) -> StoredCheckpoint:
    found = await deps.sealed.latest()
    if found is None:
        raise Failed(404, "not-found", "Nothing is signed yet: the log is empty, or no process signs checkpoints.")
    return found


async def _size(deps: Deps, name: str, text: str) -> int:
    """The size of a tree within the published one."""
    return number(name, text, least=1, most=(await _published(deps)).size)


async def _entry(deps: Deps, position: str | None, event: str | None) -> FeedEntry:
    if (position is None) == (event is None):
        raise invalid([Fault(field="position", message="give the position of an entry, or the id of an event")])
    async with deps.reads.connection() as connection:
        at: int | None
        if event is None:
            at = number("position", position, least=1)
        else:
            try:
                at = await feed.position_of(connection, parse_event_id(event))
            except IdError as err:
                raise invalid([Fault(field="event", message=f"is {err}")]) from err
        found = None if at is None else await feed.at(connection, at)
    if found is None:
        raise Failed(404, "not-found", "The log has no such entry.")
    return found
