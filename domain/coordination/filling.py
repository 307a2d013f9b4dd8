"""Which fields of an envelope a participant fills in: the envelope knows the fields, the signing the values."""

from collections.abc import Collection
from uuid import UUID

from domain.envelope import Envelope, labels_of
from domain.errors import FieldRequired, FieldUnknown, ImpossibleHistory
from domain.field import ASKED, FieldType
from domain.signing import FieldsFilled, FieldValue

#: A signature is put there by signing; no value is.
_SIGNED: FieldType = FieldType.SIGNATURE


def refuse_values(envelope: Envelope, participant: UUID, documents: Collection[UUID], values: tuple[FieldValue, ...]) -> None:
    """Raises a Refusal unless the values are for fields of the participant on `documents`, and none of those needed is missing."""
    labels = labels_of(envelope.fields)
    for value in values:
        if not _fillable(envelope, participant, value.field) or envelope.fields[value.field - 1].document not in documents:
            raise FieldUnknown(labels[value.field - 1] if 1 <= value.field <= len(labels) else str(value.field))
    given = {value.field for value in values}
    for number, (label, placed) in enumerate(zip(labels, envelope.fields, strict=True), 1):
        mine = placed.participant == participant and placed.document in documents
        if mine and placed.required and placed.type in ASKED and number not in given:
            raise FieldRequired(label)


def check_filled(envelope: Envelope, participant: UUID, filled: FieldsFilled) -> None:
    """Raises ImpossibleHistory unless each value is for a field of the participant on the documents that it signs.

    That none is missing is not asked: there were fields before there were values.
    """
    numbers = [value.field for value in filled.values if _fillable(envelope, participant, value.field)]
    documents = {envelope.fields[number - 1].document for number in numbers}
    if len(numbers) < len(filled.values) or not documents <= set(filled.documents):
        raise ImpossibleHistory(f"process {participant} fills in a field that is not its own")


def _fillable(envelope: Envelope, participant: UUID, number: int) -> bool:
    if not 1 <= number <= len(envelope.fields):
        return False
    placed = envelope.fields[number - 1]
    return placed.participant == participant and placed.type is not _SIGNED
