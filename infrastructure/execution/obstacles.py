"""Why the files of an envelope could not be made, as it is told: a code and a sentence of ours, without anybody's data."""

from dataclasses import dataclass
from typing import Final

from obstore.exceptions import BaseError

from domain.errors import Conflict
from infrastructure.append import RecorderUnavailable
from infrastructure.blobs import BlobCorrupted
from infrastructure.database import DatabaseUnavailable
from infrastructure.pdf import UnusablePdf
from infrastructure.pdf_drawing.blocks import DrawingRefused, Fault
from infrastructure.pdf_seal.profile import CannotSeal
from infrastructure.vault import VaultError


class NotCompleted(Exception):
    """There is no such envelope, or it is not completed: it has no files."""


class MissingFile(Exception):
    """A stored file that the log names is not in the store; `sha256` names it (64 hex digits)."""

    def __init__(self, sha256: str) -> None:
        super().__init__(sha256)
        self.sha256 = sha256


@dataclass(frozen=True, slots=True)
class Obstacle:
    """`passing` says that it may be gone by itself, so that it is worth trying for days."""

    reason: str
    sentence: str
    passing: bool


UNFORESEEN: Final = Obstacle("internal", "Something failed that nobody foresaw; the service's own log has it.", passing=True)

#: The limited process may have been starved by others, so these two may pass.
_PASSING_FAULTS: Final = (Fault.TOOK_TOO_LONG, Fault.BROKE_DOWN)


def obstacle_of(err: Exception) -> Obstacle:
    """What stood in the way; of an error that nobody foresaw the log of the service has the details."""
    match err:
        case MissingFile():
            return Obstacle(
                "missing-file", f"The file {err.sha256} is not in the store; restore it from a backup.", passing=False
            )
        case BlobCorrupted():
            return Obstacle(
                "altered-file", f"The stored file {err.sha256} was altered or damaged; restore it from a backup.", passing=False
            )
        case UnusablePdf():
            return Obstacle(err.code, err.sentence, passing=err.passing)
        case DrawingRefused():
            return Obstacle(err.code.value, err.sentence, passing=err.code in _PASSING_FAULTS)
        case CannotSeal():
            return Obstacle("cannot-seal", f"{str(err).rstrip('.')}.", passing=True)
        case NotCompleted():
            return Obstacle("not-completed", "The envelope is not completed.", passing=False)
        case VaultError():
            return Obstacle("vault", f"{str(err).rstrip('.')}.", passing=False)
        case DatabaseUnavailable() | RecorderUnavailable():
            return Obstacle("database", "The database could not be reached.", passing=True)
        case Conflict():
            return Obstacle("conflict", "Others changed the same envelope at the same time.", passing=True)
        case BaseError() | OSError():
            return Obstacle("store", "The store of files did not do as it was asked.", passing=True)
        case _:
            return UNFORESEEN
