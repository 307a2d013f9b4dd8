"""Bundles of evidence (docs/evidence-format.md), made from what a running server has."""

from api.evidence.asked import MAX_WITHHOLDINGS, PATTERN, Asked, OwnPart, Withholding, WithholdingError
from api.evidence.making import Bundle, TooLarge, make_bundle
from infrastructure.bundling import NotSealed

__all__ = [
    "MAX_WITHHOLDINGS",
    "PATTERN",
    "Asked",
    "Bundle",
    "NotSealed",
    "OwnPart",
    "TooLarge",
    "Withholding",
    "WithholdingError",
    "make_bundle",
]
