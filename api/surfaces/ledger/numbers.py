"""Numbers in queries: positions, sizes and limits."""

from typing import Annotated, Final

from fastapi import Query
from pydantic import WithJsonSchema

from api.problems import Fault
from api.surfaces.ledger.models import invalid
from domain.spelling import MAX_NUMBER, SpellingError, from_decimal

_SCHEMA: Final = WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_NUMBER})

Position = Annotated[str | None, _SCHEMA, Query(description="Position of the entry in the log, from 1.")]
Size = Annotated[str | None, _SCHEMA, Query(description="Size of the tree. Default: that of the newest published checkpoint.")]
OldSize = Annotated[
    str | None, _SCHEMA, Query(description="Size of the smaller tree, of a checkpoint that you kept; at least 1.")
]
After = Annotated[str | None, _SCHEMA, Query(description="Entries after this position. Default 0: from the beginning.")]
Limit = Annotated[
    str | None,
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 1000}),
    Query(description="At most so many entries. Default 100."),
]
Wait = Annotated[
    str | None,
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 30}),
    Query(description="If there is no such entry yet, wait for one as long as this, in seconds. Default 0."),
]


def number(name: str, text: str | None, *, least: int = 0, most: int = MAX_NUMBER, default: int | None = None) -> int:
    """The number of a query's parameter; raises Failed 422 unless it is a decimal one within the bounds, or has a default."""
    if text is None:
        if default is None:
            raise invalid([Fault(field=name, message="is missing")])
        return default
    try:
        value = from_decimal(text)
    except SpellingError:
        value = -1
    if not least <= value <= most:
        raise invalid([Fault(field=name, message=f"is a number from {least} to {most}")])
    return value
