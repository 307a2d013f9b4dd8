"""Lists: newest first, read from where a page ended, so that none changes while rows are added."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from starlette.requests import Request

from api.surfaces.sessions.kinds import QUERY_INVALID
from api.surfaces.sessions.problems import Problem

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Listing:
    """Which part of a list is asked for: after one object or before one, by their ids."""

    limit: int
    starting_after: str | None
    ending_before: str | None


@dataclass(frozen=True, slots=True)
class Window(Generic[R]):
    """A page, newest first, and whether there is more in the direction of reading."""

    rows: Sequence[R]
    has_more: bool


def listing(request: Request, *filters: str) -> Listing:
    """The part that the query asks for; raises Problem 400 for what it cannot mean. `filters` are further parameters."""
    query = request.query_params
    for name in query:
        if name not in ("limit", "starting_after", "ending_before", *filters):
            raise Problem(QUERY_INVALID, f"There is no query parameter {name[:100]!r} here.", param=name[:100])
        if name != "expand[]" and len(query.getlist(name)) > 1:
            raise Problem(QUERY_INVALID, f"{name} is given more than once.", param=name)
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise Problem(QUERY_INVALID, f"limit is a number from 1 to {MAX_LIMIT}.", param="limit")
    after, before = query.get("starting_after"), query.get("ending_before")
    if after is not None and before is not None:
        raise Problem(QUERY_INVALID, "Give starting_after or ending_before, not both.", param="ending_before")
    return Listing(int(text), after, before)


def unknown_cursor(wanted: Listing, noun: str) -> Problem:
    """The 400 for a cursor that is no object of the list."""
    param = "starting_after" if wanted.starting_after is not None else "ending_before"
    return Problem(QUERY_INVALID, f"{param} is the id of a {noun} that the list has.", param=param)


async def window(
    limit: int, after: int | None, before: int | None, page: Callable[[int, int | None, bool], Awaitable[Sequence[R]]]
) -> Window[R]:
    """A page of `page(limit, after, descending)`, whose rows are in the order of positions."""
    rows = await page(limit + 1, after if before is None else before, before is None)
    shown = rows[:limit]
    return Window(shown if before is None else shown[::-1], len(rows) > limit)


def expansions(request: Request, *names: str) -> frozenset[str]:
    """What `expand[]` asks for; raises Problem 400 for a name that there is not."""
    wanted = frozenset((*request.query_params.getlist("expand[]"), *request.query_params.getlist("expand")))
    if unknown := wanted.difference(names):
        raise Problem(QUERY_INVALID, f"Of {', '.join(names)}; not {min(unknown)[:100]!r}.", param="expand[]")
    return wanted
