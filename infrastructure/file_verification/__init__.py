"""Verifying a file: whether it is the one that was executed, of which envelope, and what speaks for that.

`pins` reads what the entries of an envelope say of files, `evidence` says how far those entries are to be believed, and `judgement` holds
a file against them.
"""

from infrastructure.file_verification.evidence import Evidence, Sealing, of_bundle, of_ledger
from infrastructure.file_verification.judgement import Anchors, FileJudgement, beginnings, verify_file
from infrastructure.file_verification.pins import Kind, Pin, Signature

__all__ = [
    "Anchors",
    "Evidence",
    "FileJudgement",
    "Kind",
    "Pin",
    "Sealing",
    "Signature",
    "beginnings",
    "of_bundle",
    "of_ledger",
    "verify_file",
]
