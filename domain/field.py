"""Kinds of form fields, as templates and envelopes place them on pages."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class FieldType(StrEnum):
    """What a participant puts into a field."""

    SIGNATURE = "SIGNATURE"
    INITIALS = "INITIALS"
    TEXT = "TEXT"
    DATE = "DATE"
    CHECKBOX = "CHECKBOX"
    NAME = "NAME"
    EMAIL = "EMAIL"


#: Width and height of a field that is given none, in thousandths of a PDF point.
SIZES: Final[Mapping[FieldType, tuple[int, int]]] = {
    FieldType.SIGNATURE: (200_000, 30_000),
    FieldType.INITIALS: (60_000, 28_000),
    FieldType.TEXT: (160_000, 18_000),
    FieldType.DATE: (100_000, 18_000),
    FieldType.CHECKBOX: (14_000, 14_000),
    FieldType.NAME: (160_000, 18_000),
    FieldType.EMAIL: (160_000, 18_000),
}

#: What only the participant can tell; the others follow from who signs, and when.
ASKED: Final = frozenset((FieldType.TEXT, FieldType.CHECKBOX))
