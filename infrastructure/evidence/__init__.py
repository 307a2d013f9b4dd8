"""Judging a bundle of evidence: `verify` runs the checks of docs/evidence-format.md, each in a module beside those it is like."""

from infrastructure.evidence.verification import AsOf, Judgement, Trust, verify

__all__ = ["AsOf", "Judgement", "Trust", "verify"]
