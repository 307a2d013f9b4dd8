"""Read models: folded from the log, rebuilt from it at any time, never written by anything else."""

from typing import Final

from projections.directory import DIRECTORY
from projections.envelopes import ENVELOPES
from projections.erasures import ERASURES
from projections.files import FILES
from projections.library import LIBRARY
from projections.projection import Projection
from projections.signers import SIGNERS
from projections.templates import TEMPLATES

__all__ = ["DIRECTORY", "ENVELOPES", "ERASURES", "FILES", "LIBRARY", "PROJECTIONS", "SIGNERS", "TEMPLATES", "Projection"]

#: All that have tables.
PROJECTIONS: Final[tuple[Projection, ...]] = (ENVELOPES, SIGNERS, TEMPLATES, LIBRARY, DIRECTORY, ERASURES, FILES)
