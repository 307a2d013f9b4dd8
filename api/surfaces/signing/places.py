"""Where packages belong: the numeric ids of their locations and flows, as records show them."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from api.auth import UserCaller
from api.deps import Deps
from projections import directory
from projections.envelopes import EnvelopeRow


async def numbers_of(
    deps: Deps, caller: UserCaller, rows: Iterable[EnvelopeRow] = (), ids: Iterable[UUID | None] = ()
) -> Mapping[UUID, int]:
    """The numeric ids of the locations and flows of `rows`, and of `ids`, by id."""
    wanted = {id for row in rows for id in (row.location, row.flow) if id is not None} | {id for id in ids if id is not None}
    if not wanted:
        return {}
    async with deps.reads.connection() as conn:
        return await directory.numbers(conn, caller.tenant, caller.mode, wanted)
