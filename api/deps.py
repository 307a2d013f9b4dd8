"""What a surface may use: the running parts, handed over by the composition root (`api.app`).

Surfaces import this module and never `infrastructure`, so what they can reach is what stands here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from domain.ids import uuid7
from infrastructure.append import Answer, Receipt, RecorderUnavailable
from infrastructure.blobs import BlobCorrupted, BlobStore
from infrastructure.clock import Clock
from infrastructure.consents import consent_stream, stakeholder_of
from infrastructure.cosigning import Cosigning, WitnessStanding
from infrastructure.database import DatabaseUnavailable, Reads
from infrastructure.execution import Counts, ExecutionRow, ExecutionStatus, ExecutionTable
from infrastructure.heads import Heads, ProvenHead, RecordedHeads
from infrastructure.identity import (
    Administrator,
    ApiKey,
    Credential,
    Identity,
    IssuerUnreachable,
    KeyKind,
    NewKey,
    NewPartnerKey,
    OrganizationKey,
    PartnerKey,
    TokenExpired,
    TokenOfAnotherKind,
    TokenRefused,
    UnknownTenant,
    User,
)
from infrastructure.invitation_mint import InvitationMint
from infrastructure.ledger import Key, Ledger, Outcome, Recorded
from infrastructure.normalised import Accepted, Normalised, NormalisedFiles
from infrastructure.pdf import PdfLimits, TextPlace, TextPlaces, UnusablePdf, find_text
from infrastructure.pdf_drawing.blocks import DrawingRefused, PreviewBox
from infrastructure.pdf_drawing.drawing import check_image, preview
from infrastructure.pdf_drawing.fitting import capacity, fits
from infrastructure.pdf_drawing.image_refusal import ImageFault, ImageRefused
from infrastructure.pdf_drawing.lettering import Face, undrawable
from infrastructure.reading import ReadGate, ReadsUnavailable
from infrastructure.receipts import noting
from infrastructure.recorder import Recorder, StoredEntry
from infrastructure.seal_service import SealService
from infrastructure.sealed import Alarm, Sealed, StoredCheckpoint
from infrastructure.secrets import token_hash
from infrastructure.settings import Settings
from infrastructure.tail import LogTail
from infrastructure.timestamping import StoredToken, Timestamps
from infrastructure.urls import DocumentUploadGrant, DownloadGrant, FileGrant, FileUrls, Refused, UploadGrant, UrlRefused
from infrastructure.vault import Opened, Reference, Vault

__all__ = [
    "Accepted",
    "Administrator",
    "Alarm",
    "Answer",
    "ApiKey",
    "BlobCorrupted",
    "BlobStore",
    "Clock",
    "Cosigning",
    "Counts",
    "Credential",
    "DatabaseUnavailable",
    "Deps",
    "DocumentUploadGrant",
    "DownloadGrant",
    "DrawingRefused",
    "ExecutionRow",
    "ExecutionStatus",
    "ExecutionTable",
    "Face",
    "FileGrant",
    "FileUrls",
    "Heads",
    "Identity",
    "ImageFault",
    "ImageRefused",
    "InvitationMint",
    "IssuerUnreachable",
    "Key",
    "KeyKind",
    "Ledger",
    "NewKey",
    "NewPartnerKey",
    "Normalised",
    "NormalisedFiles",
    "Opened",
    "OrganizationKey",
    "Outcome",
    "PartnerKey",
    "PdfLimits",
    "PreviewBox",
    "ProvenHead",
    "ReadGate",
    "ReadsUnavailable",
    "Receipt",
    "Recorded",
    "RecordedHeads",
    "Recorder",
    "RecorderUnavailable",
    "Reference",
    "Refused",
    "SealService",
    "Sealed",
    "Settings",
    "StoredCheckpoint",
    "StoredEntry",
    "StoredToken",
    "TextPlace",
    "TextPlaces",
    "Timestamps",
    "TokenExpired",
    "TokenOfAnotherKind",
    "TokenRefused",
    "UnknownTenant",
    "UnusablePdf",
    "UploadGrant",
    "UrlRefused",
    "User",
    "Vault",
    "WitnessStanding",
    "capacity",
    "check_image",
    "consent_stream",
    "find_text",
    "fits",
    "noting",
    "preview",
    "stakeholder_of",
    "token_hash",
    "undrawable",
]


@dataclass(frozen=True, slots=True)
class Deps:
    """The running parts. `random(n)` gives n random bytes; `reads` lends connections for queries."""

    settings: Settings
    clock: Clock
    random: Callable[[int], bytes]
    recorder: Recorder
    ledger: Ledger
    invitations: InvitationMint
    vault: Vault
    reads: Reads
    gate: ReadGate
    sealed: Sealed
    tail: LogTail
    timestamps: Timestamps
    heads: Heads
    identity: Identity
    blobs: BlobStore
    files: NormalisedFiles
    urls: FileUrls
    seals: SealService
    executions: ExecutionTable
    #: None where no policy of witnesses is set.
    cosigning: Cosigning | None = None

    def new_id(self) -> UUID:
        """A fresh time-ordered UUID."""
        return uuid7(self.clock.now(), self.random(10))

    async def reveal(self, references: Mapping[str, Reference | None]) -> Mapping[str, object]:
        """The personal values at `references` by name; None where there is none or it was erased."""
        opened = await self.vault.open(reference for reference in references.values() if reference is not None)
        return {
            name: opened[reference].value if reference is not None and reference in opened else None
            for name, reference in references.items()
        }
