"""Refusals of erasures and of the holds that forbid them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.errors.refusal import Refusal


@dataclass(eq=False)
class SubjectNotFound(Refusal):
    code = "subject-not-found"
    sentence = "Nothing is stored about this person or thing."


@dataclass(eq=False)
class ErasureHeld(Refusal):
    """`until` is None for a hold that lasts until it is lifted."""

    code = "erasure-held"
    sentence = "Hold {hold} ({reason}) forbids this erasure."
    hold: UUID
    reason: str
    until: datetime | None


@dataclass(eq=False)
class HoldNotFound(Refusal):
    code = "hold-not-found"
    sentence = "There is no hold {hold}, or it was lifted before."
    hold: UUID


@dataclass(eq=False)
class HoldEndsInPast(Refusal):
    code = "hold-ends-in-past"
    sentence = "The hold's end, {until:%Y-%m-%dT%H:%M:%SZ}, is not in the future."
    until: datetime


@dataclass(eq=False)
class TooManyHolds(Refusal):
    code = "too-many-holds"
    sentence = "The tenant has {most} holds that were not lifted, as many as it can have; hold the whole tenant instead."
    most: int
