"""The report that an auditor reads first: what a bundle of evidence is about, what happened, what is shown and what is absent.

It is written from the bundle's own content and nothing else, so the same bundle has the same report. What was not observed is
absent here too, and each absence is said.
"""

from api.report.case import Case, File, FileState, Seal, Stamp, named_files
from api.report.page import html, text
from api.report.sections import page_of
from infrastructure.telling.happened import Happened
from infrastructure.telling.personal import Disclosed, Erased, Shown, Withheld

__all__ = [
    "Case",
    "Disclosed",
    "Erased",
    "File",
    "FileState",
    "Happened",
    "Seal",
    "Shown",
    "Stamp",
    "Withheld",
    "named_files",
    "report_html",
    "report_text",
]


def report_html(case: Case) -> bytes:
    """The report as one HTML file, without scripts and external resources."""
    return html(page_of(case))


def report_text(case: Case) -> bytes:
    """The same as plain text."""
    return text(page_of(case))
