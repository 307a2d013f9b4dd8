"""What a bundle is asked to hold, and to leave out."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

from domain.ids import IdError, parse_uuid
from projections.timeline import Timeline

#: As a JSON pointer is written (RFC 6901), for one participant or for all.
PATTERN: Final = "^([0-9A-Fa-f-]{36}:)?/.+$"

#: Each is compared with each personal value.
MAX_WITHHOLDINGS: Final = 100

_WITHHOLDING: Final = re.compile(r"(?:([^/]*):)?(/.+)", re.DOTALL)


class WithholdingError(ValueError):
    """What is to be withheld cannot be understood, or is not there; the message says why."""


@dataclass(frozen=True, slots=True)
class Withholding:
    """Personal values to leave out: those at `path` and below it, in one stream or, without one, in all."""

    path: str
    stream: UUID | None = None

    @classmethod
    def parse(cls, text: str) -> "Withholding":
        """Of `/path` or `<participantId>:/path`; raises WithholdingError."""
        match = _WITHHOLDING.fullmatch(text)
        if match is None:
            raise WithholdingError("is not of the form /path or <participantId>:/path")
        try:
            return cls(match[2], None if match[1] is None else parse_uuid(match[1]))
        except IdError as err:
            raise WithholdingError("names a participant by something that is not a UUID") from err

    def covers(self, stream: UUID, path: str) -> bool:
        """Whether the value at `path` of an entry of `stream` is meant."""
        return self.stream in (None, stream) and (path == self.path or path.startswith(f"{self.path}/"))

    def __str__(self) -> str:
        return self.path if self.stream is None else f"{self.stream}:{self.path}"


@dataclass(frozen=True, slots=True)
class OwnPart:
    """What somebody gets to see of an envelope that they only sign: as the other surfaces show it to a signer.

    Of their own processes all, of the envelope its texts, of the documents those that they have signed to the end.
    """

    processes: frozenset[UUID]
    documents: frozenset[UUID]

    #: Who gets copies, and what the sender notes for its own use.
    SENDERS: ClassVar = (Withholding("/copies"), Withholding("/metadata"))


@dataclass(frozen=True, slots=True)
class Asked:
    """A bundle of one process if `process` names its participant, else of the whole envelope, which must exist.

    `sees` is what whoever asks may see, None for all. `documents` says whether PDFs are put in.
    """

    envelope: UUID
    process: UUID | None = None
    sees: OwnPart | None = None
    withhold: tuple[Withholding, ...] = ()
    documents: bool = True

    @classmethod
    def about(cls, found: Timeline) -> "Asked":
        """All of what a timeline is about, for whoever may see all of it."""
        stream = found.entries[0].stream
        return cls(found.envelope, None if stream == found.envelope else stream)

    def shows(self, stream: UUID, path: str) -> bool:
        """Whether the value at `path` of an entry of `stream` is disclosed, if it is there."""
        return self._may_see(stream, path) and not any(each.covers(stream, path) for each in self.withhold)

    def _may_see(self, stream: UUID, path: str) -> bool:
        if self.sees is None or stream in self.sees.processes:
            return True
        return stream == self.envelope and not any(each.covers(stream, path) for each in OwnPart.SENDERS)

    def gives(self, document: UUID | None) -> bool:
        """Whether a PDF is put in: one of a document of the envelope, or with None the certificate, which is about all signers."""
        return self.documents and (self.sees is None or document in self.sees.documents)

    def check(self, personal: Collection[tuple[UUID, str]]) -> None:
        """Raises WithholdingError for a withholding that meets no value: a slip there would disclose what should not be."""
        for each in self.withhold:
            if not any(each.covers(stream, path) for stream, path in personal):
                raise WithholdingError(f"{each} names no personal value of this bundle")
