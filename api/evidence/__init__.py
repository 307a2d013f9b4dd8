"""Bundles of evidence (docs/evidence-format.md), made from what a running server has."""

from api.evidence.asked import PATTERN, Asked, Withholding, WithholdingError
from api.evidence.making import Bundle, TooLarge, make_bundle
from infrastructure.bundling import NotSealed

__all__ = ["PATTERN", "Asked", "Bundle", "NotSealed", "TooLarge", "Withholding", "WithholdingError", "make_bundle"]
