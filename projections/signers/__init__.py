"""Signers: each participant's signing as the surfaces show it."""

from projections.signers.fold import SIGNERS, InvitationStatus
from projections.signers.queries import Assignment, get, get_by_number, of_envelope, of_envelopes, of_person, of_person_in
from projections.signers.rows import SessionStatus, SignedDocument, SignerRow

__all__ = [
    "SIGNERS",
    "Assignment",
    "InvitationStatus",
    "SessionStatus",
    "SignedDocument",
    "SignerRow",
    "get",
    "get_by_number",
    "of_envelope",
    "of_envelopes",
    "of_person",
    "of_person_in",
]
