"""Packages, their documents and their signers as this surface shows them: read-model rows made into records."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal
from uuid import UUID

from pydantic import Field

from api.deps import Deps, Reference
from api.surfaces.signing.answers import Row, in_milliseconds, when
from domain.envelope import EnvelopeStatus, OrderMode
from domain.signing import SigningStatus
from projections.documents import DocumentRow
from projections.envelopes import EnvelopeRow
from projections.signers import SignerRow

PackageStatus = Literal["draft", "active", "complete", "cancelled"]
DocumentStatus = Literal["pending", "partially_signed", "signed"]
SignerStatus = Literal["pending", "started", "completed", "declined", "failed", "cancelled", "expired"]

#: The product knows four states. Whatever else ends a package leaves it as cancelled; `outcome` says what it was.
_PACKAGE: Final[Mapping[EnvelopeStatus, PackageStatus]] = {
    EnvelopeStatus.DRAFT: "draft",
    EnvelopeStatus.SENT: "active",
    EnvelopeStatus.COMPLETED: "complete",
    EnvelopeStatus.DECLINED: "cancelled",
    EnvelopeStatus.CANCELLED: "cancelled",
    EnvelopeStatus.EXPIRED: "cancelled",
    EnvelopeStatus.FAILED: "cancelled",
}

SIGNER_STATUS: Final[Mapping[SigningStatus, SignerStatus]] = {
    SigningStatus.CREATED: "pending",
    SigningStatus.INVITED: "pending",
    SigningStatus.STARTED: "started",
    SigningStatus.COMPLETED: "completed",
    SigningStatus.DECLINED: "declined",
    SigningStatus.FAILED: "failed",
    SigningStatus.CANCELLED: "cancelled",
    SigningStatus.EXPIRED: "expired",
}


class SigningRecord(Row):
    """A signing package."""

    id: str
    status: PackageStatus
    outcome: str | None = Field(description="How it ended, more exactly: completed, declined, cancelled, expired or failed.")
    title: str | None
    note: str | None
    location_id: str | None
    flow_id: str | None
    order: Literal["parallel", "sequential"]
    deadline_at: str | None
    cancel_reason: str | None
    created_at: str
    sent_at: str | None
    ended_at: str | None
    updated_at: str


class DocumentRecord(Row):
    """A document of a package. `signed` means by everybody who is to sign it."""

    id: str
    signing_id: str
    position: int
    status: DocumentStatus
    title: str | None
    pages: int
    sha256: str
    created_at: str
    updated_at: str


class SignerRecord(Row):
    """A signer of a package."""

    id: str
    signing_id: str
    status: SignerStatus
    number: int
    full_name: str | None
    email: str | None
    role: str | None
    document_ids: list[str]
    e_sign_recorded_at: str | None
    created_at: str
    updated_at: str


class Signing(Row):
    """One package."""

    signing: SigningRecord


class Signer(Row):
    """One signer."""

    signer: SignerRecord


class Document(Row):
    """One document."""

    document: DocumentRecord


class Signers(Row):
    """Signers of a package."""

    signers: list[SignerRecord]


class Documents(Row):
    """Documents of a package."""

    documents: list[DocumentRecord]


#: Personal values that records show, by where they stand.
Opened = Mapping[Reference, str]


async def opened(deps: Deps, references: Sequence[Reference | None]) -> Opened:
    """The texts at `references`; what was erased is missing."""
    found = await deps.vault.open(reference for reference in references if reference is not None)
    return {reference: held.value for reference, held in found.items() if isinstance(held.value, str)}


def references(
    envelopes: Sequence[EnvelopeRow] = (), signers: Sequence[SignerRow] = (), documents: Sequence[DocumentRow] = ()
) -> list[Reference | None]:
    """Where the personal values stand that the records of these rows show."""
    return [
        *(reference for row in envelopes for reference in (row.subject, row.message, row.reason)),
        *(reference for row in signers for reference in (row.name, row.email)),
        *(row.title for row in documents),
    ]


def signing_record(row: EnvelopeRow, numbers: Mapping[UUID, int], texts: Opened) -> SigningRecord:
    """A package; `numbers` are the numeric ids of locations and flows."""
    return SigningRecord(
        id=str(row.number),
        status=_PACKAGE[row.status],
        outcome=row.status.value if row.status.final else None,
        title=_text(texts, row.subject),
        note=_text(texts, row.message),
        location_id=_number(numbers, row.location),
        flow_id=_number(numbers, row.flow),
        order="sequential" if row.order_mode is OrderMode.SEQUENTIAL else "parallel",
        deadline_at=when(row.deadline),
        cancel_reason=_text(texts, row.reason),
        created_at=in_milliseconds(row.created_at),
        sent_at=when(row.sent_at),
        ended_at=when(row.ended_at),
        updated_at=in_milliseconds(row.updated_at),
    )


def signer_record(row: SignerRow, envelope: EnvelopeRow, texts: Opened) -> SignerRecord:
    """A signer of `envelope`."""
    numbers = {document.id: document.number for document in envelope.documents}
    return SignerRecord(
        id=str(row.created_position),
        signing_id=str(envelope.number),
        status=SIGNER_STATUS[row.status],
        number=row.number,
        full_name=_text(texts, row.name),
        email=_text(texts, row.email),
        role=row.role,
        document_ids=[str(numbers[document.id]) for document in row.documents],
        e_sign_recorded_at=when(row.first_signed_at),
        created_at=in_milliseconds(row.created_at),
        updated_at=in_milliseconds(row.updated_at),
    )


def document_record(row: DocumentRow, envelope: EnvelopeRow, texts: Opened) -> DocumentRecord:
    """A document of `envelope`."""
    return DocumentRecord(
        id=str(row.number),
        signing_id=str(envelope.number),
        position=row.place,
        status="pending" if not row.signed else "signed" if row.complete else "partially_signed",
        title=_text(texts, row.title),
        pages=row.pages,
        sha256=row.sha256,
        created_at=in_milliseconds(row.created_at),
        updated_at=in_milliseconds(row.updated_at),
    )


def _text(texts: Opened, reference: Reference | None) -> str | None:
    return None if reference is None else texts.get(reference)


def _number(numbers: Mapping[UUID, int], id: UUID | None) -> str | None:
    found = None if id is None else numbers.get(id)
    return None if found is None else str(found)
