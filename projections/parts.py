"""What several projections read alike in the facts that give an envelope its documents and participants."""

from collections.abc import Sequence
from typing import Any, Final

from domain.envelope import EnvelopeCreated, ParticipantAdded
from projections.projection import Item

#: One fact gives an envelope fewer documents than that (domain.envelope.MAX_DOCUMENTS), so the numbers of two facts never meet.
DOCUMENTS_PER_FACT: Final = 1_000


def document_number(position: int, index: int) -> int:
    """The numeric id of a document: the log position of the fact that brought it, and its index in there from 0."""
    return position * DOCUMENTS_PER_FACT + index


def slots_of(item: Item) -> Sequence[dict[str, Any]]:
    """The slots that a fact gives its envelope, as JSON; none in most facts."""
    if item.type == EnvelopeCreated.TYPE:
        slots: Sequence[dict[str, Any]] = item.data["participants"]
        return slots
    return (item.data["slot"],) if item.type == ParticipantAdded.TYPE else ()
