"""Who signs an envelope and what each of them did, from the entries and what the vault has of them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.ids import ProcessId
from domain.signing import DocumentSigned, FieldsFilled, ProcessCreated
from infrastructure.execution.blocks_of import DocumentSigner, Signature
from infrastructure.telling.happened import Happened
from infrastructure.telling.picture import picture
from infrastructure.vault import Opened, Reference


def signers_of(envelope: UUID, told: Sequence[Happened], opened: Mapping[Reference, Opened]) -> tuple[DocumentSigner, ...]:
    """The participants of the envelope whose signings' entries are `told`; what is not `opened` was erased."""
    by_stream: dict[UUID, list[Happened]] = {}
    for each in told:
        by_stream.setdefault(each.entry.stream, []).append(each)
    return tuple(
        _signer(envelope, entries[0].fact, entries, opened)
        for entries in by_stream.values()
        if isinstance(entries[0].fact, ProcessCreated)
    )


def _signer(
    envelope: UUID, created: ProcessCreated, entries: Sequence[Happened], opened: Mapping[Reference, Opened]
) -> DocumentSigner:
    participant = entries[0].entry.stream
    signed: dict[UUID, Signature] = {}
    values: dict[int, str | bool | None] = {}
    for each in entries:
        version = each.entry.version
        if isinstance(each.fact, DocumentSigned):
            image = opened.get(Reference(participant, version, "/image"))
            signed[each.fact.document] = Signature(each.entry.at, None if image is None else picture(image.value))
        elif isinstance(each.fact, FieldsFilled):
            for index, value in enumerate(each.fact.values):
                values[value.field] = _value(opened.get(Reference(participant, version, f"/values/{index}/value")))
    return DocumentSigner(
        participant=participant,
        process=str(ProcessId(envelope, participant)),
        name=_text(opened.get(Reference(participant, 1, "/name"))),
        email="" if created.email is None else _text(opened.get(Reference(participant, 1, "/email"))),
        role=created.role or "",
        signed=signed,
        values=values,
    )


def _value(opened: Opened | None) -> str | bool | None:
    return opened.value if opened is not None and isinstance(opened.value, str | bool) else None


def _text(opened: Opened | None) -> str | None:
    return opened.value if opened is not None and isinstance(opened.value, str) else None
