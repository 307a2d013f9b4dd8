"""What stands where on an executed document, from its envelope and what its signers did.

Only who has completed is on it: of somebody who signed one document and then declined the next, nothing is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, assert_never
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.envelope import Envelope, PlacedField, SlotStatus
from domain.field import FieldType
from domain.placement import Box
from infrastructure.pdf_drawing.blocks import (
    Block,
    Content,
    Initialled,
    SignatureEntry,
    SignaturePage,
    Signed,
    Ticked,
    Written,
)

#: What stands where a value was destroyed at a person's request.
ERASED: Final = "[erased]"
ERASED_NAME: Final = "[name erased]"


@dataclass(frozen=True, slots=True)
class Signature:
    """A document was signed, at that time; `drawn` is the image that came with it."""

    at: datetime
    drawn: bytes | None = None


@dataclass(frozen=True, slots=True)
class DocumentSigner:
    """A participant and what it did. A personal value is None where it was erased; an `email` never given is empty.

    `process` is the id of the signing, `signed` goes by document, `values` by the number of the field.
    """

    participant: UUID
    process: str
    name: str | None
    email: str | None
    role: str
    signed: Mapping[UUID, Signature]
    values: Mapping[int, str | bool | None] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class OnDocument:
    """What is drawn on one document: blocks on its pages, and what is appended for those who have no place for a signature."""

    blocks: tuple[Block, ...]
    page: SignaturePage | None


def blocks_of(envelope: Envelope, document: UUID, signers: Sequence[DocumentSigner], zone: ZoneInfo) -> OnDocument:
    """What is drawn on `document`. Blocks come in the order of the envelope's fields, signatures without a place in that of its participants.

    Dates that nobody typed are the day of signing in `zone`.
    """
    done = {
        signer.participant: (signer, signer.signed[document])
        for signer in signers
        if envelope.outcomes[signer.participant] is SlotStatus.COMPLETED and document in signer.signed
    }
    blocks = []
    placed_somewhere = set()
    for number, placed in enumerate(envelope.fields, 1):
        if placed.document != document or placed.participant not in done:
            continue
        if placed.type is FieldType.SIGNATURE:
            placed_somewhere.add(placed.participant)
        content = _content(placed.type, number, *done[placed.participant], zone)
        if content is not None:
            blocks.append(Block(placed.page, _box(placed), content))
    unplaced = [done[who] for who in _in_order(envelope) if who in done and who not in placed_somewhere]
    entries = tuple(
        SignatureEntry(signer.name or ERASED_NAME, signature.drawn, _caption(signature), signer.role, signer.process)
        for signer, signature in unplaced
    )
    return OnDocument(tuple(blocks), SignaturePage(entries) if entries else None)


def _in_order(envelope: Envelope) -> list[UUID]:
    return sorted(envelope.slots, key=lambda who: envelope.slots[who].number)  # stable: equal numbers stay as they are listed


def _content(kind: FieldType, number: int, signer: DocumentSigner, signature: Signature, zone: ZoneInfo) -> Content | None:
    """What goes into a field; None where nothing is drawn."""
    value = signer.values.get(number, "")
    if value is None:
        return Written(ERASED, shortened=True)
    match kind:
        case FieldType.SIGNATURE:
            return Signed(signer.name or ERASED_NAME, signature.drawn, _caption(signature))
        case FieldType.INITIALS:
            return Initialled(_text(value) or initials(signer.name))
        case FieldType.TEXT:
            return _written(_text(value))
        case FieldType.DATE:
            return _written(_text(value)) or Written(signature.at.astimezone(zone).date().isoformat(), shortened=True)
        case FieldType.CHECKBOX:
            return Ticked(value is True)
        case FieldType.NAME:
            return _written(_text(value)) or Written(signer.name or ERASED_NAME, shortened=True)
        case FieldType.EMAIL:
            return _written(_text(value)) or _written(ERASED if signer.email is None else signer.email, shortened=True)
        case _ as unreachable:
            assert_never(unreachable)


def initials(name: str | None) -> str:
    """The first letter of each word of a name; what is in no script's letters, such as brackets, is passed over."""
    if name is None:
        return ERASED
    return "".join(next((letter for letter in word if letter.isalnum()), "") for word in name.split())


def _written(text: str, *, shortened: bool = False) -> Written | None:
    return Written(text, shortened) if text.strip() else None


def _text(value: str | bool) -> str:
    return value if isinstance(value, str) else ""


def _caption(signature: Signature) -> str:
    return f"Signed {signature.at:%Y-%m-%d %H:%M:%S} UTC"


def _box(placed: PlacedField) -> Box:
    return Box(placed.x_millipoints, placed.y_millipoints, placed.width_millipoints, placed.height_millipoints)
