"""Fields of an envelope that its participants fill in, and the seals of its files that are renewed."""

from dataclasses import replace

import pytest

from domain.coordination import RecordCertified, RecordExecuted, RecordRenewed
from domain.envelope import CertificateIssued, DocumentExecuted, PlacedField, SealRenewed
from domain.errors import (
    DocumentNotFound,
    DuplicateField,
    FieldAlreadyFilled,
    FieldRequired,
    FieldUnknown,
    FileNotTheLast,
    ImpossibleHistory,
)
from domain.evidence import PackageEnd
from domain.field import FieldType
from domain.signing import DocumentSigned, FieldsFilled, SigningCompleted, Started
from tests.given import ENVELOPE, NOW, PROVENANCE, PackageLog, created, creation, digest, document, placed, sign, uid, who

TEXT, TICK = FieldType.TEXT, FieldType.CHECKBOX
SEALED = DocumentExecuted(document(0).id, digest("body"), digest("sealed"), 4_000, digest("normalised"))
RENEWED = SealRenewed(document(0).id, digest("sealed"), digest("renewed"), NOW)


def log_of(*fields: PlacedField, documents: int = 1) -> PackageLog:
    """An envelope for two, sent, with these fields."""
    log, command = PackageLog(), creation(1, 1, documents=documents)
    log.do(replace(command, created=replace(command.created, fields=fields)))
    return log


def test_values_come_before_the_signatures_that_they_belong_to() -> None:
    log = log_of(placed(0), placed(0, 0, 1, TEXT), placed(1, 0, 1, TEXT, required=False))
    command = sign(0, values=(2,))
    facts = log.act(command)[who(0)]
    assert [type(fact) for fact in facts] == [Started, FieldsFilled, DocumentSigned, SigningCompleted]
    assert facts[1] == FieldsFilled((document(0).id,), command.values, PROVENANCE)
    log.act(sign(1))
    assert log.history.finish() is PackageEnd.CLOSED


def test_what_has_to_be_filled_in_is_asked_for_by_its_name_or_number() -> None:
    log = log_of(placed(0, 0, 1, TICK), replace(placed(0, 0, 1, TEXT), name="Reference"))
    assert log.refuses(sign(0), FieldRequired).name == "1"
    assert log.refuses(sign(0, values=(1,)), FieldRequired).name == "Reference"
    assert log.act(sign(0, values=(1, 2))) != {}


def test_only_what_is_to_be_signed_now_has_to_be_filled_in() -> None:
    log = log_of(placed(0, 0, 1, TEXT), placed(0, 1, 1, TEXT), documents=2)
    assert log.refuses(sign(0, 0, values=(1, 2)), FieldUnknown).field == "2"
    log.act(sign(0, 0, values=(1,)))
    assert log.refuses(sign(0, values=(1, 2)), FieldAlreadyFilled).number == 1
    assert log.act(sign(0, values=(2,)))[who(0)][0] == FieldsFilled((document(1).id,), sign(0, values=(2,)).values, PROVENANCE)


@pytest.mark.parametrize("number", [0, -1, 1, 3, 4, 99], ids="field {}".format)
def test_a_value_is_for_a_field_of_the_participant_that_takes_one(number: int) -> None:
    log = log_of(placed(0), placed(0, 0, 1, TEXT, required=False), placed(1, 0, 1, TEXT, required=False))
    log.refuses(sign(0, values=(number,)), FieldUnknown)


def test_a_field_has_one_value() -> None:
    log = log_of(replace(placed(0, 0, 1, TEXT), name="Reference"))
    assert log.refuses(sign(0, values=(1, 1)), FieldAlreadyFilled).number == 1


def test_fields_are_told_apart_by_name_and_a_number_is_the_name_of_one_without() -> None:
    command = creation(1)
    for name in ("Reference", "2"):
        fields = (replace(placed(0), name=name), replace(placed(0), name=name if name == "Reference" else None))
        refused = PackageLog().refuses(replace(command, created=replace(command.created, fields=fields)), DuplicateField)
        assert refused.name == name


@pytest.mark.parametrize(
    "filled",
    [
        FieldsFilled((document(0).id,), sign(0, values=(2,)).values, PROVENANCE),
        FieldsFilled((document(0).id,), sign(0, values=(9,)).values, PROVENANCE),
        FieldsFilled((document(1).id,), sign(0, values=(1,)).values, PROVENANCE),
    ],
    ids=["another's field", "no field", "a field on another document"],
)
def test_a_history_in_which_somebody_fills_in_what_is_not_to_be_filled_in_cannot_be(filled: FieldsFilled) -> None:
    log = log_of(placed(0, 0, 1, TEXT, required=False), placed(1, 0, 1, TEXT, required=False), documents=2)
    log.history.feed(who(0), Started(PROVENANCE), log.now)
    with pytest.raises(ImpossibleHistory):
        log.history.feed(who(0), filled, log.now)


def test_a_seal_is_renewed_from_one_form_of_the_file_to_the_next() -> None:
    log = created(1)
    log.act(sign(0))
    log.refuses(RecordRenewed(ENVELOPE, RENEWED), FileNotTheLast)
    log.do(RecordExecuted(ENVELOPE, SEALED))
    assert log.do(RecordRenewed(ENVELOPE, RENEWED)) == {ENVELOPE: (RENEWED,)}
    assert log.do(RecordRenewed(ENVELOPE, RENEWED)) == {}
    assert log.refuses(RecordRenewed(ENVELOPE, replace(RENEWED, sha256=digest("x"))), FileNotTheLast).sha256 == SEALED.sha256
    log.refuses(RecordRenewed(ENVELOPE, replace(RENEWED, document=uid(99))), DocumentNotFound)
    of_certificate = SealRenewed(None, digest("certificate"), digest("renewed certificate"), NOW)
    log.refuses(RecordRenewed(ENVELOPE, of_certificate), FileNotTheLast)
    log.do(RecordCertified(ENVELOPE, CertificateIssued(digest("certificate"))))
    assert log.do(RecordRenewed(ENVELOPE, of_certificate)) == {ENVELOPE: (of_certificate,)}
    state = log.envelope
    assert state is not None
    assert (dict(state.executed), state.certificate) == ({document(0).id: digest("renewed")}, digest("renewed certificate"))
    assert log.history.finish() is PackageEnd.CLOSED


@pytest.mark.parametrize(
    "fact",
    [
        RENEWED,
        replace(SEALED, body_bytes=0),
        replace(SEALED, normalised_sha256="0" * 63),
        CertificateIssued(digest("certificate"), body_sha256="body"),
        replace(RENEWED, document=None),
    ],
    ids=["renewed before it was sealed", "no body", "no normalised form", "a body without a hash", "no certificate to renew"],
)
def test_a_history_of_files_that_cannot_be_is_refused(fact: DocumentExecuted | CertificateIssued | SealRenewed) -> None:
    log = created(1)
    log.act(sign(0))
    with pytest.raises(ImpossibleHistory):
        log.history.feed(ENVELOPE, fact, log.now)
