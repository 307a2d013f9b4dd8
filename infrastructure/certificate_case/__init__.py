"""What the certificate of completion of an envelope tells: from the log and the vault, and from nothing else."""

from infrastructure.certificate_case.circumstances import Circumstances
from infrastructure.certificate_case.making import case_from, case_of, happened_of, paper_for

__all__ = ["Circumstances", "case_from", "case_of", "happened_of", "paper_for"]
