"""What the entries of an envelope say of files: which were given, which were made of them, and who signed.

The entries are taken as they are here; whether they are to be believed is found out beside this.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.actor import Mode
from domain.envelope import (
    CertificateIssued,
    Document,
    DocumentAdded,
    DocumentExecuted,
    EnvelopeCreated,
    SealRenewed,
)
from domain.ids import ProcessId
from domain.seal import Seal
from domain.signing import DocumentSigned, SigningCompleted
from infrastructure.codec import CodecError, Fact, decode_fact
from infrastructure.evidence.case import Placed


class Kind(StrEnum):
    """What a file is to its envelope."""

    #: A document as it was before anybody signed: as it was given, or in the form that is drawn on.
    ORIGINAL = "original"
    #: What was sealed, without the seal.
    BODY = "body"
    #: An executed document.
    EXECUTED = "executed"
    #: The certificate of completion.
    CERTIFICATE = "certificate"


#: What is handed out: sealed, and complete.
FINAL: Final = frozenset((Kind.EXECUTED, Kind.CERTIFICATE))


@dataclass(frozen=True, slots=True)
class Pin:
    """What the entry at `position`, of the time `at`, says of the file with this SHA-256 (64 hex digits).

    `document` is None for a certificate of completion. The first `body_bytes` of the file hash to `body_sha256`; None where the log
    does not say, as of files that were made before it did. `superseded_by` is the last of the later forms, which begin with this one.
    """

    sha256: str
    kind: Kind
    document: UUID | None
    position: int
    at: datetime
    body_sha256: str | None = None
    body_bytes: int | None = None
    seal: Seal | None = None
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """The signing `process` signed the file's document `at` (of a certificate of completion: was completed).

    `version` and `leaf` (64 hex digits) are of the last entry of the signing here, by which anybody who kept a receipt of it knows it.
    """

    process: ProcessId
    at: datetime
    version: int
    leaf: str


@dataclass(frozen=True, slots=True)
class Papers:
    """An envelope as its entries tell of it. `pins` go by SHA-256; of a file that is several things the last one made counts."""

    envelope: UUID
    mode: Mode | None
    documents: tuple[Document, ...]
    pins: dict[str, Pin]

    def place(self, document: UUID | None) -> int | None:
        """The place of a document in its envelope, from 1; None for none."""
        return next((place for place, each in enumerate(self.documents, 1) if each.id == document), None)


def papers_of(envelope: UUID, entries: Iterable[Placed]) -> Papers:
    """What the entries of the stream `envelope` say; those that this program does not know say nothing."""
    mode, documents, pins = None, list[Document](), dict[str, Pin]()
    for placed, fact in _facts(entries):
        if placed.entry.stream != envelope:
            continue
        match fact:
            case EnvelopeCreated():
                mode = fact.mode
                documents += fact.documents
                for given in fact.documents:
                    _original(pins, placed, given.id, given.sha256)
            case DocumentAdded():
                documents.append(fact.document)
                _original(pins, placed, fact.document.id, fact.document.sha256)
            case DocumentExecuted():
                if fact.normalised_sha256 is not None:
                    _original(pins, placed, fact.document, fact.normalised_sha256)
                _made(pins, placed, Kind.EXECUTED, fact.document, fact)
            case CertificateIssued():
                _made(pins, placed, Kind.CERTIFICATE, None, fact)
            case SealRenewed():
                _renewed(pins, placed, fact)
            case _:
                pass
    return Papers(envelope, mode, tuple(documents), pins)


def signatures_of(envelope: UUID, entries: Sequence[Placed], document: UUID | None) -> tuple[Signature, ...]:
    """Who signed a document and completed the signing, or with None completed one at all, in the order of the log."""
    signed: dict[UUID, datetime] = {}
    completed: dict[UUID, datetime] = {}
    heads: dict[UUID, Placed] = {}
    for placed, fact in _facts(entries):
        heads[placed.entry.stream] = placed
        if isinstance(fact, DocumentSigned) and fact.document == document:
            signed[placed.entry.stream] = placed.entry.at
        elif isinstance(fact, SigningCompleted):
            completed[placed.entry.stream] = placed.entry.at
    times = completed if document is None else {who: at for who, at in signed.items() if who in completed}
    return tuple(
        Signature(ProcessId(envelope, who), at, heads[who].entry.version, heads[who].leaf.hex()) for who, at in times.items()
    )


def _facts(entries: Iterable[Placed]) -> Iterator[tuple[Placed, Fact]]:
    for placed in entries:
        try:
            yield placed, decode_fact(placed.entry.type, placed.entry.data, placed.entry.personal)
        except CodecError:
            continue


def _original(pins: dict[str, Pin], placed: Placed, document: UUID, name: str) -> None:
    pins.setdefault(name, Pin(name, Kind.ORIGINAL, document, placed.position, placed.entry.at))


def _made(
    pins: dict[str, Pin], placed: Placed, kind: Kind, document: UUID | None, fact: DocumentExecuted | CertificateIssued
) -> None:
    about = (document, placed.position, placed.entry.at)
    if fact.body_sha256 is not None:
        pins[fact.body_sha256] = Pin(fact.body_sha256, Kind.BODY, *about)
    pins[fact.sha256] = Pin(fact.sha256, kind, *about, fact.body_sha256, fact.body_bytes, fact.seal)


def _renewed(pins: dict[str, Pin], placed: Placed, fact: SealRenewed) -> None:
    before = pins.get(fact.previous_sha256)
    if before is None:
        return  # not a history that can be, and said to be none elsewhere
    for name, pin in pins.items():
        if fact.previous_sha256 in (name, pin.superseded_by):
            pins[name] = replace(pin, superseded_by=fact.sha256)
    pins[fact.sha256] = replace(before, sha256=fact.sha256, position=placed.position, at=placed.entry.at)
