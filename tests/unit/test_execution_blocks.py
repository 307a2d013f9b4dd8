"""What stands where on an executed document."""

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from domain.actor import Mode
from domain.envelope import Document, Envelope, EnvelopeStatus, OnParticipantFail, OrderMode, PlacedField, Slot, SlotStatus
from domain.field import SIZES, FieldType
from infrastructure.execution.blocks_of import ERASED, ERASED_NAME, DocumentSigner, Signature, blocks_of, initials
from infrastructure.pdf_drawing.blocks import Initialled, SignatureEntry, Signed, Ticked, Written

AT = datetime(2026, 11, 21, 3, 30, 5, 123456, tzinfo=UTC)
CAPTION = "Signed 2026-11-21 03:30:05 UTC"
UTC_ZONE, LIMA = ZoneInfo("UTC"), ZoneInfo("America/Lima")

LEASE, ANNEX = UUID(int=1), UUID(int=2)
ANA, BO = UUID(int=11), UUID(int=12)


def placed(kind: FieldType, who: UUID = ANA, document: UUID = LEASE, *, page: int = 1) -> PlacedField:
    return PlacedField(who, document, kind, page, 72_000, 100_000, *SIZES[kind], required=False)


def envelope(*fields: PlacedField, order: OrderMode = OrderMode.PARALLEL, **outcomes: SlotStatus) -> Envelope:
    """Ana and Bo are to sign the lease and its annex; Bo's number is the lower one."""
    slots = {who: Slot(who, number, (LEASE, ANNEX)) for who, number in ((ANA, 2), (BO, 1))}
    ends = {ANA: outcomes.get("ana", SlotStatus.COMPLETED), BO: outcomes.get("bo", SlotStatus.COMPLETED)}
    return Envelope(
        tenant=UUID(int=9),
        mode=Mode.LIVE,
        status=EnvelopeStatus.COMPLETED,
        documents=(Document(LEASE, "0" * 64, 2), Document(ANNEX, "1" * 64, 1)),
        slots=MappingProxyType(slots),
        outcomes=MappingProxyType(ends),
        order=order,
        on_participant_fail=OnParticipantFail.CONTINUE,
        deadline=None,
        fields=fields,
    )


def signer(who: UUID = ANA, name: str | None = "Ana Pérez", **changes: object) -> DocumentSigner:
    known = DocumentSigner(
        participant=who,
        process=f"process of {who.int}",
        name=name,
        email="ana@example.com",
        role="tenant",
        signed=MappingProxyType({LEASE: Signature(AT), ANNEX: Signature(AT)}),
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def contents(state: Envelope, *signers: DocumentSigner, zone: ZoneInfo = UTC_ZONE) -> list[object]:
    return [block.content for block in blocks_of(state, LEASE, signers, zone).blocks]


ALL = tuple(placed(kind) for kind in FieldType)


def test_without_values_a_field_says_what_follows_from_who_signs_and_when() -> None:
    assert contents(envelope(*ALL), signer()) == [
        Signed("Ana Pérez", None, CAPTION),
        Initialled("AP"),
        Written("2026-11-21", shortened=True),
        Ticked(ticked=False),
        Written("Ana Pérez", shortened=True),
        Written("ana@example.com", shortened=True),
    ]


def test_values_stand_as_they_were_given() -> None:
    values = {1: "", 2: "A.P.", 3: "Calle 7,\nLima", 4: "21 November", 5: True, 6: "Ana Pérez Ruiz", 7: "a@b.example"}
    assert contents(envelope(*ALL), signer(values=MappingProxyType(values))) == [
        Signed("Ana Pérez", None, CAPTION),
        Initialled("A.P."),
        Written("Calle 7,\nLima"),
        Written("21 November"),
        Ticked(ticked=True),
        Written("Ana Pérez Ruiz"),
        Written("a@b.example"),
    ]


def test_an_optional_text_that_was_left_empty_and_an_address_that_nobody_gave_leave_nothing() -> None:
    fields = placed(FieldType.TEXT), placed(FieldType.TEXT), placed(FieldType.EMAIL)
    assert contents(envelope(*fields), signer(values=MappingProxyType({2: "  "}), email="")) == []


def test_a_date_is_the_day_of_signing_in_the_envelopes_zone() -> None:
    state = envelope(placed(FieldType.DATE))
    assert contents(state, signer(), zone=UTC_ZONE) == [Written("2026-11-21", shortened=True)]
    assert contents(state, signer(), zone=LIMA) == [Written("2026-11-20", shortened=True)]


def test_what_was_erased_is_said_to_be() -> None:
    gone = signer(name=None, email=None, values=MappingProxyType({3: None, 5: None}))
    assert contents(envelope(*ALL), gone) == [
        Signed(ERASED_NAME, None, CAPTION),
        Initialled(ERASED),
        Written(ERASED, shortened=True),
        Written("2026-11-21", shortened=True),
        Written(ERASED, shortened=True),
        Written(ERASED_NAME, shortened=True),
        Written(ERASED, shortened=True),
    ]


def test_a_drawn_signature_goes_where_it_was_given() -> None:
    drawn = signer(signed=MappingProxyType({LEASE: Signature(AT, b"image"), ANNEX: Signature(AT)}))
    state = envelope(placed(FieldType.SIGNATURE), placed(FieldType.SIGNATURE, document=ANNEX))
    assert contents(state, drawn) == [Signed("Ana Pérez", b"image", CAPTION)]
    (block,) = blocks_of(state, ANNEX, [drawn], UTC_ZONE).blocks
    assert block.content == Signed("Ana Pérez", None, CAPTION)


def test_blocks_stand_on_their_own_documents_and_pages_in_the_order_of_the_fields() -> None:
    state = envelope(placed(FieldType.NAME, page=2), placed(FieldType.SIGNATURE, document=ANNEX), placed(FieldType.DATE, BO))
    lease = blocks_of(state, LEASE, [signer(), signer(BO, "Bo Li")], UTC_ZONE)
    assert [(block.page, block.content) for block in lease.blocks] == [
        (2, Written("Ana Pérez", shortened=True)),
        (1, Written("2026-11-21", shortened=True)),
    ]
    assert (lease.blocks[0].box.x_millipoints, lease.blocks[0].box.width_millipoints) == (72_000, 160_000)


@pytest.mark.parametrize("order", OrderMode, ids=str)
def test_who_has_no_place_for_a_signature_on_a_document_is_on_its_page_for_signatures(order: OrderMode) -> None:
    state = envelope(placed(FieldType.SIGNATURE, document=ANNEX), placed(FieldType.INITIALS), order=order)
    people = signer(), signer(BO, "Bo Li")
    lease, annex = (blocks_of(state, document, people, UTC_ZONE).page for document in (LEASE, ANNEX))
    assert lease is not None
    assert annex is not None
    assert lease.blocks == (
        SignatureEntry("Bo Li", None, CAPTION, "tenant", "process of 12"),
        SignatureEntry("Ana Pérez", None, CAPTION, "tenant", "process of 11"),
    )
    assert [entry.name for entry in annex.blocks] == ["Bo Li"]
    everybody = envelope(placed(FieldType.SIGNATURE), placed(FieldType.SIGNATURE, BO), order=order)
    assert blocks_of(everybody, LEASE, people, UTC_ZONE).page is None


def test_of_somebody_who_did_not_complete_nothing_is_shown() -> None:
    state = envelope(placed(FieldType.SIGNATURE), placed(FieldType.NAME), placed(FieldType.SIGNATURE, BO), ana=SlotStatus.FAILED)
    on = blocks_of(state, LEASE, [signer(), signer(BO, "Bo Li")], UTC_ZONE)
    assert [block.content for block in on.blocks] == [Signed("Bo Li", None, CAPTION)]
    assert on.page is None


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Ana Pérez Ruiz", "APR"), ("  juan  ", "j"), ("(Ana) 'Li'", "AL"), ("— —", ""), ("李 小龙", "李小")],
    ids=["three", "one", "marks", "none", "chinese"],
)
def test_initials_are_the_first_letters_of_a_name(name: str, letters: str) -> None:
    assert initials(name) == letters
