"""Envelopes as the surfaces list and show them."""

from projections.envelopes.fold import DOCUMENTS_PER_FACT, ENVELOPES
from projections.envelopes.queries import Window, due, get, get_by_number, latest, of_ids, older, page, window
from projections.envelopes.rows import CopyRow, DocumentRow, EnvelopeRow

__all__ = [
    "DOCUMENTS_PER_FACT",
    "ENVELOPES",
    "CopyRow",
    "DocumentRow",
    "EnvelopeRow",
    "Window",
    "due",
    "get",
    "get_by_number",
    "latest",
    "of_ids",
    "older",
    "page",
    "window",
]
