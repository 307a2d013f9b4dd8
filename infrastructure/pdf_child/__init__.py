"""Reads PDFs that are not to be trusted. To be run alone in a process with limits (`infrastructure.forked_process`)."""

from infrastructure.pdf_child.limits import FLATE_BYTES, MAX_OBJECTS, NESTING, Unusable, limit
from infrastructure.pdf_child.sheets import Sheet, check_page

__all__ = ["FLATE_BYTES", "MAX_OBJECTS", "NESTING", "Sheet", "Unusable", "check_page", "limit"]
