"""Decisions that span streams: one command, one decision, one atomic append.

An envelope and its signings are streams of their own. The envelope's stream is where they agree:
whatever ends a signing or changes whose turn it is also appends to the envelope, so two such
decisions can never both succeed on the same state.
"""

from domain.coordination.commands import (
    AddDocument,
    AddParticipant,
    CancelEnvelope,
    CreateEnvelope,
    ExpireEnvelope,
    ExtendEnvelope,
    PackageCommand,
    ParticipantCommand,
    Participate,
    RecordCertified,
    RecordExecuted,
    RecordRenewed,
    RemindEnvelope,
    SendEnvelope,
)
from domain.coordination.decide import (
    Decision,
    Fact,
    Needs,
    Package,
    check_process,
    decide,
    needs,
)
from domain.coordination.filling import check_filled

__all__ = [
    "AddDocument",
    "AddParticipant",
    "CancelEnvelope",
    "CreateEnvelope",
    "Decision",
    "ExpireEnvelope",
    "ExtendEnvelope",
    "Fact",
    "Needs",
    "Package",
    "PackageCommand",
    "ParticipantCommand",
    "Participate",
    "RecordCertified",
    "RecordExecuted",
    "RecordRenewed",
    "RemindEnvelope",
    "SendEnvelope",
    "check_filled",
    "check_process",
    "decide",
    "needs",
]
