"""What the signer's page is told, and what it sends."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.deps import capacity
from api.fields import own_fields, printable
from domain.actor import Mode
from domain.entry import format_time
from domain.envelope import Envelope, PlacedField
from domain.field import FieldType
from domain.ids import ProcessId, typed_id
from domain.signing import Signing

#: A paragraph or two; it is kept word for word.
MAX_REASON_CHARACTERS: Final = 1000

#: The height of two lines in letters of 10 points, in thousandths of a point.
_TWO_LINES: Final = 24_000

_CAMEL: Final = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Decline(BaseModel):
    """The body of a refusal to sign."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: Annotated[str | None, Field(max_length=MAX_REASON_CHARACTERS)] = None


class Head(BaseModel):
    """The process's last entry: whoever keeps it can tell later whether the record was changed."""

    model_config = _CAMEL

    version: int
    hash: str = Field(description="The entry's leaf hash, 64 hex digits (RFC 6962 section 2.1).")
    recorded_at: str

    @classmethod
    def of(cls, version: int, leaf: bytes, at: datetime) -> Self:
        return cls(version=version, hash=leaf.hex(), recorded_at=format_time(at))


class Declined(BaseModel):
    status: Literal["declined"] = "declined"
    head: Head


class PackageDocument(BaseModel):
    id: str
    title: str | None
    pages: int
    sha256: str = Field(description="Of the PDF, 64 hex digits.")


class PackageField(BaseModel):
    """A field of the participant on one of the documents."""

    model_config = _CAMEL

    label: str = Field(description="Its name, or its number: what `fields` of the completion calls it by.")
    document: str
    page: int = Field(description="Counted from 1.")
    type: FieldType
    required: bool
    letters: int | None = Field(description="About how many letters have room; null for what is no text.")
    lines: bool = Field(description="Whether it has room for several lines in letters of usual size.")


class Package(BaseModel):
    """What is to be signed. Null is what the sender did not give, or what was erased."""

    model_config = _CAMEL

    session: str
    process_id: str
    status: str = Field(description="`open`, or how it ended: `completed`, `declined`, `failed`, `cancelled`, `expired`.")
    test: bool = Field(description="Whether this is a test, without effect.")
    sender: str
    participant: str | None
    subject: str | None
    message: str | None
    documents: list[PackageDocument]
    fields: list[PackageField] = Field(description="What the participant is to fill in, or has filled in by signing.")
    printable: bool = Field(description="Whether the name can be written as a signature; else a drawn one is asked for.")
    deadline: str | None
    head: Head


def package_of(
    *,
    process: ProcessId,
    sender: str,
    signing: Signing,
    envelope: Envelope,
    words: Mapping[str, str | None],
    head: Head,
    now: datetime,
) -> Package:
    """The package at `now`. `words` are the personal values, a document's title under the document's id.

    What is past its deadline has expired, recorded or not.
    """
    late = envelope.deadline is not None and now > envelope.deadline
    return Package(
        session=typed_id("sgs", process.participant),
        process_id=str(process),
        status=signing.status.value if signing.status.final else "expired" if late else "open",
        test=signing.mode is Mode.TEST,
        sender=sender,
        participant=words["participant"],
        subject=words["subject"],
        message=words["message"],
        documents=[
            PackageDocument(id=str(it.id), title=words[str(it.id)], pages=it.pages, sha256=it.sha256)
            for it in envelope.documents
            if it.id in signing.documents
        ],
        fields=[_field(label, it) for label, it in own_fields(envelope, process.participant, signing.documents)],
        printable=words["participant"] is None or printable(words["participant"]),
        deadline=None if envelope.deadline is None else format_time(envelope.deadline),
        head=head,
    )


def _field(label: str, placed: PlacedField) -> PackageField:
    size = placed.width_millipoints, placed.height_millipoints
    return PackageField(
        label=label,
        document=str(placed.document),
        page=placed.page,
        type=placed.type,
        required=placed.required,
        letters=capacity(size) if placed.type is FieldType.TEXT else None,
        lines=placed.height_millipoints >= _TWO_LINES,
    )
