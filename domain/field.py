"""Kinds of form fields, as templates and envelopes place them on pages."""

from enum import StrEnum


class FieldType(StrEnum):
    """What a participant puts into a field."""

    SIGNATURE = "SIGNATURE"
    INITIALS = "INITIALS"
    TEXT = "TEXT"
    DATE = "DATE"
    CHECKBOX = "CHECKBOX"
    NAME = "NAME"
    EMAIL = "EMAIL"
