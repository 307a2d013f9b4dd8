"""How lists are asked for: order, page size, and a cursor that says where to go on."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import Query
from pydantic import WithJsonSchema

from api.surfaces.partner.answers import Failed, Failure
from api.surfaces.partner.models import Pagination
from domain.canonical import MAX_INTEGER, CanonicalError, Json, canonical, parse_canonical

#: The reference page names the most, but no default.
MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 20

SORT_FIELD: Final = "createdAt"

Limit = Annotated[
    str | None,
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
    Query(description=f"Maximum number of results per page. Default: {DEFAULT_LIMIT}."),
]
Cursor = Annotated[
    str | None, WithJsonSchema({"type": "string"}), Query(description="`pagination.nextCursor` of the page before.")
]
Sort = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "enum": [SORT_FIELD, f"-{SORT_FIELD}", ""]}),
    Query(description=f"`-{SORT_FIELD}` for newest first, which is the default, also for an empty value."),
]

R = TypeVar("R")


def bad_query(message: str, code: str, field: str) -> Failure:
    """The documented 400 for a query parameter."""
    return Failure(400, "bad_request", message, "validation", {"code": code, "field": field})


@dataclass(frozen=True, slots=True)
class Listing:
    """What part of a list is wanted. `after` is the log position of the last item seen.

    `filters` name the list and what restricts it: a cursor is good for the list it was made for.
    """

    limit: int
    descending: bool
    filters: tuple[str, ...]
    after: int | None = None

    def next(self, position: int) -> str:
        """The cursor for what follows the item at `position`."""
        content: dict[str, Json] = {"after": position, "descending": self.descending, "filters": self.filters}
        return urlsafe_b64encode(canonical(content)).rstrip(b"=").decode()

    def part(self, found: Sequence[R], positions: Sequence[int]) -> tuple[Sequence[R], Pagination | None]:
        """Of up to `limit` + 1 items found, those to show, and where the rest is: nothing if this is all there is."""
        more = len(found) > self.limit
        shown = found[: self.limit]
        if not more and self.after is None:
            return shown, None
        cursor = self.next(positions[self.limit - 1]) if more else None
        return shown, Pagination(next_cursor=cursor, has_more=more, limit=self.limit)


def listing(limit: str | None, cursor: str | None, sort: str | None, *filters: str) -> Listing:
    """Reads the parameters of a list; raises Failed with the documented 400."""
    field = (sort or f"-{SORT_FIELD}").removeprefix("-")
    if field != SORT_FIELD:
        raise Failed(bad_query("Invalid sort field.", "INVALID_SORT_FIELD", field))
    wanted = Listing(_limit(limit), sort is None or not sort or sort.startswith("-"), filters)
    return wanted if cursor is None else _at_cursor(wanted, cursor)


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT):
        raise Failed(bad_query(f"Invalid limit: a number from 1 to {MAX_LIMIT}.", "INVALID_LIMIT", "limit"))
    return int(text)


def _at_cursor(wanted: Listing, cursor: str) -> Listing:
    after = _position(wanted, cursor)
    if after is None:
        raise Failed(bad_query("Invalid cursor: not one of this list in this order.", "INVALID_CURSOR", "cursor"))
    return Listing(wanted.limit, wanted.descending, wanted.filters, after)


def _position(wanted: Listing, cursor: str) -> int | None:
    try:
        content: Any = parse_canonical(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, CanonicalError):
        return None
    after = content.get("after") if isinstance(content, dict) else None
    if type(after) is not int or not 0 <= after <= MAX_INTEGER or wanted.next(after) != cursor:
        return None
    return after
