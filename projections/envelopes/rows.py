"""What the surfaces see of an envelope."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from domain.actor import Mode
from domain.envelope import EnvelopeStatus, OnParticipantFail, OrderMode, PlacedField
from domain.field import FieldType
from infrastructure.vault import Reference
from projections.moment import Moment


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A PDF of an envelope. The hashes are 64 hex digits; `executed_sha256` is of the signed file once there is one.

    `number` is its numeric id, `source` the document of the library that it was made from.
    """

    id: UUID
    number: int
    sha256: str
    pages: int
    title: Reference | None
    source: UUID | None
    executed_sha256: str | None


@dataclass(frozen=True, slots=True)
class CopyRow:
    """Somebody who gets a copy and signs nothing."""

    id: UUID
    name: Reference
    email: Reference
    details: Reference | None


@dataclass(frozen=True, slots=True)
class EnvelopeRow:
    """An envelope as it stands. `documents`, `participants`, `fields` and `copies` are in the envelope's order.

    `created_position` is the log position of the fact that created it: its place in lists and its
    numeric id. `started` says that a participant has acted, `viewed_at` when one first saw a document,
    `declined_by` whose refusal ended it. `ended_at` is the time of its terminal fact.
    """

    id: UUID
    tenant: UUID
    mode: Mode
    status: EnvelopeStatus
    started: bool
    order_mode: OrderMode
    on_participant_fail: OnParticipantFail
    template: UUID | None
    template_version: int | None
    location: UUID | None
    flow: UUID | None
    deadline: datetime | None
    created_at: datetime
    created_position: int
    updated_at: datetime
    sent_at: datetime | None
    viewed_at: datetime | None
    ended_at: datetime | None
    participants: tuple[UUID, ...]
    completed: int
    failed: int
    documents: tuple[DocumentRow, ...]
    fields: tuple[PlacedField, ...]
    copies: tuple[CopyRow, ...]
    personal: frozenset[str]
    declined_by: UUID | None
    reason_version: int | None
    certificate_sha256: str | None

    @property
    def number(self) -> int:
        """Its numeric id."""
        return self.created_position

    @property
    def moment(self) -> Moment:
        """Its place in lists ordered by the time of creation."""
        return Moment(self.created_at, self.created_position)

    @property
    def viewed(self) -> bool:
        return self.viewed_at is not None

    @property
    def completed_at(self) -> datetime | None:
        return self.ended_at if self.status is EnvelopeStatus.COMPLETED else None

    @property
    def subject(self) -> Reference | None:
        return self.reference("/subject")

    @property
    def message(self) -> Reference | None:
        return self.reference("/message")

    @property
    def metadata(self) -> Reference | None:
        return self.reference("/metadata")

    @property
    def reason(self) -> Reference | None:
        """The reason given for cancelling it. Why a participant declined stands with that signer."""
        return None if self.reason_version is None else Reference(self.id, self.reason_version, "/reason")

    def title(self, index: int) -> Reference | None:
        """The title of the document at `index`."""
        return self.documents[index].title if index < len(self.documents) else None

    def reference(self, path: str) -> Reference | None:
        """Where the personal value at `path` of the creating entry stands; None if none was given."""
        return Reference(self.id, 1, path) if path in self.personal else None


COLUMNS: Final = tuple(EnvelopeRow.__dataclass_fields__)


def read_row(columns: Sequence[Any]) -> EnvelopeRow:
    """The row of a SELECT of `COLUMNS`."""
    values = dict(zip(COLUMNS, columns, strict=True))
    envelope, personal = values["id"], frozenset(values["personal"])
    values["mode"] = Mode(values["mode"])
    values["status"] = EnvelopeStatus(values["status"])
    values["order_mode"] = OrderMode(values["order_mode"])
    values["on_participant_fail"] = OnParticipantFail(values["on_participant_fail"])
    values["participants"] = tuple(values["participants"])
    values["documents"] = tuple(_document(envelope, it) for it in values["documents"])
    values["fields"] = tuple(_field(it) for it in values["fields"])
    values["copies"] = tuple(_copy(envelope, index, it, personal) for index, it in enumerate(values["copies"]))
    values["personal"] = personal
    return EnvelopeRow(**values)


def _document(envelope: UUID, it: dict[str, Any]) -> DocumentRow:
    title, source = it["title"], it["source"]
    return DocumentRow(
        UUID(it["id"]),
        it["number"],
        it["sha256"],
        it["pages"],
        None if title is None else Reference(envelope, title["version"], title["path"]),
        None if source is None else UUID(source),
        it["executed_sha256"],
    )


def _field(it: dict[str, Any]) -> PlacedField:
    return PlacedField(
        UUID(it["participant"]),
        UUID(it["document"]),
        FieldType(it["type"]),
        it["page"],
        it["x_millipoints"],
        it["y_millipoints"],
        it["width_millipoints"],
        it["height_millipoints"],
        it["required"],
        it.get("name"),
    )


def _copy(envelope: UUID, index: int, id: UUID, personal: frozenset[str]) -> CopyRow:
    path = f"/copies/{index}"
    details = f"{path}/details"
    return CopyRow(
        id,
        Reference(envelope, 1, f"{path}/name"),
        Reference(envelope, 1, f"{path}/email"),
        Reference(envelope, 1, details) if details in personal else None,
    )
