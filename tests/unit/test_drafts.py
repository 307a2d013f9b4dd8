"""Drafts: what may be put into an envelope before it is sent, one thing at a time, and what it may hold."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.actor import Mode
from domain.canonical import canonical_exact
from domain.coordination import AddParticipant, CancelEnvelope, Needs, PackageCommand, Participate, SendEnvelope, needs
from domain.envelope import (
    MAX_ASSIGNMENTS,
    MAX_COPIES,
    MAX_DOCUMENTS,
    MAX_MILLIPOINTS,
    MAX_PARTICIPANTS,
    MAX_PLACED_FIELDS,
    CopyRecipient,
    DocumentAdded,
    EnvelopeCreated,
    EnvelopeFact,
    EnvelopeSent,
    EnvelopeStatus,
    OpenEnvelope,
    OrderMode,
    ParticipantAdded,
    PlacedField,
    Slot,
    decide,
    evolve,
)
from domain.envelope.size import MAX_CREATION_BYTES, creation_bytes
from domain.errors import (
    DeadlinePassed,
    DocumentNotFound,
    DuplicateParticipant,
    EnvelopeClosed,
    EnvelopeNotDraft,
    EnvelopeNotFound,
    EnvelopeTooLarge,
    FieldMisplaced,
    FieldOutsideDocument,
    ImpossibleHistory,
    NoDocuments,
    NoParticipants,
    ParticipantNotFound,
    Refusal,
    TooManyAssignments,
    TooManyCopies,
    TooManyDocuments,
    TooManyFields,
    TooManyParticipants,
)
from domain.evidence import PackageEnd, PackageHistory
from domain.signing import DocumentAssigned, DocumentReference, Invited, ProcessCreated, SessionToken, SigningCancelled
from infrastructure.codec import encode_fact
from tests.given import (
    ENVELOPE,
    MICROSECOND,
    NOW,
    Given,
    PackageLog,
    add_document,
    add_participant,
    created,
    creation,
    digest,
    document,
    open_session,
    personal,
    placed,
    session,
    sign,
    uid,
    view,
    who,
)

DEADLINE = NOW + timedelta(days=7)
SEND, CANCEL = SendEnvelope(ENVELOPE), CancelEnvelope(ENVELOPE)
nothing: Given[Any, Any, EnvelopeFact] = Given(decide, evolve)


def empty(**settings: Any) -> PackageLog:
    return created(documents=0, send=False, **settings)


def reference(pdf: int) -> DocumentReference:
    return DocumentReference(document(pdf).id, document(pdf).sha256)


# One thing at a time


def test_a_draft_may_begin_with_nothing_and_is_sent_once_it_has_all() -> None:
    log = empty()
    log.refuses(SEND, NoParticipants)
    log.do(add_participant(0, 1))
    log.refuses(SEND, NoDocuments)
    log.do(add_document(0, 0))
    assert log.do(SEND)[ENVELOPE] == (EnvelopeSent(),)
    log.act(sign(0))
    assert log.history.finish() is PackageEnd.CLOSED


def test_an_envelope_is_not_created_and_sent_at_once_without_participants_or_documents() -> None:
    PackageLog().refuses(creation(documents=1), NoParticipants)
    PackageLog().refuses(creation(1, documents=0), NoDocuments)
    PackageLog().refuses(creation(1, 1, shares=[(0,), ()]), NoDocuments)


def test_a_document_is_added_for_those_who_are_to_sign_it() -> None:
    log = created(1, 2, 3, send=False)
    assert log.do(add_document(1, 0, 2)) == {
        ENVELOPE: (DocumentAdded(document(1), (who(0), who(2))),),
        who(0): (DocumentAssigned(reference(1)),),
        who(2): (DocumentAssigned(reference(1)),),
    }
    assert [tuple(log.signings[who(it)].documents) for it in range(3)] == [
        (document(0).id, document(1).id),
        (document(0).id,),
        (document(0).id, document(1).id),
    ]
    assert log.envelope is not None
    assert all(slot.documents == tuple(log.signings[it].documents) for it, slot in log.envelope.slots.items())


def test_a_document_may_be_added_for_nobody_and_named_by_whoever_comes_later() -> None:
    log = empty()
    assert log.do(add_document(0)) == {ENVELOPE: (DocumentAdded(document(0), ()),)}
    command = add_participant(0, 1, 0)
    assert log.do(command) == {ENVELOPE: (ParticipantAdded(command.slot),), who(0): (command.process,)}
    log.do(SEND)
    assert log.act(sign(0)) != {}


def test_somebody_named_twice_gets_the_document_once() -> None:
    log = created(1, send=False)
    assert log.do(add_document(1, 0, 0))[ENVELOPE] == (DocumentAdded(document(1), (who(0),)),)


def test_what_is_in_the_draft_already_is_not_added_again() -> None:
    log = created(1, send=False)
    assert log.do(add_document(0, 0)) == {}
    assert log.do(add_participant(0, 7)) == {}
    log.do(add_document(1, 0))
    log.do(add_participant(1, 1, 1))
    log.do(SEND)
    assert log.do(add_document(1)) == {}
    assert log.do(add_participant(1, 1)) == {}


def test_a_sequence_counts_those_who_came_later() -> None:
    log = created(2, order=OrderMode.SEQUENTIAL, send=False)
    log.do(add_participant(1, 1, 0))
    assert set(log.do(SEND)) == {ENVELOPE, who(1)}
    assert who(0) in log.act(sign(1))


def test_a_cancelled_draft_ends_what_was_added_to_it() -> None:
    log = empty()
    log.do(add_participant(0, 1))
    assert log.do(CANCEL)[who(0)] == (SigningCancelled(),)
    assert log.history.finish() is PackageEnd.CLOSED


@pytest.mark.parametrize("command", [add_document(1, 0), add_participant(1, 1, 0)], ids=["document", "participant"])
def test_only_a_draft_that_is_in_time_takes_anything(command: PackageCommand) -> None:
    created(1).refuses(command, EnvelopeNotDraft)
    ended = created(1, send=False)
    ended.do(CANCEL)
    assert ended.refuses(command, EnvelopeClosed).status == EnvelopeStatus.CANCELLED
    PackageLog().refuses(command, EnvelopeNotFound)
    assert created(1, deadline=DEADLINE, send=False).do(command, at=DEADLINE) != {}
    late = created(1, deadline=DEADLINE, send=False)
    assert late.refuses(command, DeadlinePassed, at=DEADLINE + MICROSECOND).deadline == DEADLINE
    assert created(1, deadline=DEADLINE, send=False).decide(command).not_after == DEADLINE


def test_a_draft_knows_its_participants_and_documents() -> None:
    log = created(1, send=False)
    assert log.refuses(add_document(1, 0, 9), ParticipantNotFound).participant == who(9)
    assert log.refuses(add_participant(1, 1, 5), DocumentNotFound).document == document(5).id


def test_the_limits_of_an_envelope_hold_for_what_is_added() -> None:
    full = created(*range(1, MAX_PARTICIPANTS + 1), send=False)
    assert full.refuses(add_participant(MAX_PARTICIPANTS, 1), TooManyParticipants).count == MAX_PARTICIPANTS + 1
    papers = created(1, documents=MAX_DOCUMENTS, send=False)
    assert papers.refuses(add_document(MAX_DOCUMENTS), TooManyDocuments).count == MAX_DOCUMENTS + 1
    signed = created(1, 2, 3, 4, 5, documents=100, send=False)
    assert signed.refuses(add_participant(5, 1, 0), TooManyAssignments).count == MAX_ASSIGNMENTS + 1
    nearly = created(1, 2, 3, 4, 5, documents=99, send=False)
    assert nearly.decide(add_document(99, 0, 1, 2, 3, 4)).facts
    nearly.do(add_participant(5, 1, 0))
    assert nearly.refuses(add_document(99, 0, 1, 2, 3, 4), TooManyAssignments).count == MAX_ASSIGNMENTS + 1


def test_one_person_gets_no_second_place_where_it_is_known_who_they_are() -> None:
    log = created(1, 2, send=False)
    again = add_participant(2, 1, 0, person=1)
    known = {who(it): subject_of(creation(1, 2).processes[who(it)]) for it in (0, 1)}
    refusal = log.refuses(replace(again, persons=known), DuplicateParticipant)
    assert (refusal.index, refusal.first) == (2, 1)
    other = add_participant(2, 1, 0)
    assert log.decide(replace(other, persons=known)).facts
    assert log.decide(again).facts, "nobody said who the others are"


def subject_of(process: ProcessCreated) -> Any:
    assert process.name.disclosure is not None
    return process.name.disclosure.subject


MISMATCHES: dict[str, dict[str, Any]] = {
    "another envelope": {"envelope": uid(3)},
    "another tenant": {"tenant": uid(4)},
    "another mode": {"mode": Mode.TEST},
    "another number": {"number": 2},
    "another role": {"role": "witness"},
    "no documents": {"documents": ()},
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_a_process_that_does_not_match_its_new_place_is_a_fault_and_not_recorded(case: str) -> None:
    command = add_participant(1, 1, 0)
    wrong = AddParticipant(ENVELOPE, command.slot, replace(command.process, **MISMATCHES[case]))
    with pytest.raises(ImpossibleHistory):
        created(1, send=False).decide(wrong)


def test_a_new_participant_takes_part_in_no_envelope_before() -> None:
    taken = created(1, 1)
    other = created(1, send=False)
    other.signings[who(1)] = taken.signings[who(1)]
    with pytest.raises(ImpossibleHistory, match="exists before its place"):
        other.decide(add_participant(1, 1, 0))


def test_additions_need_the_streams_that_they_touch() -> None:
    log = created(1, 2, send=False)
    assert needs(add_document(1, 1, 9), log.envelope) == Needs((who(1),))
    assert needs(add_participant(5, 1), log.envelope) == Needs((who(5),))


def test_a_session_is_for_an_envelope_that_was_sent_and_within_its_deadline() -> None:
    opened = session(0, DEADLINE + timedelta(days=1))
    log = created(1, deadline=DEADLINE)
    assert log.decide(Participate(ENVELOPE, open_session(0, opened))).not_after == DEADLINE
    short = session(0, NOW + timedelta(minutes=15))
    assert log.decide(Participate(ENVELOPE, open_session(0, short))).not_after == short.expires_at
    log.refuses(open_session(0, opened), DeadlinePassed, at=DEADLINE + MICROSECOND)


def test_the_token_that_was_used_says_how_long_the_decision_holds() -> None:
    log = created(1)
    opened = session(0, NOW + timedelta(minutes=15))
    log.act(open_session(0, opened))
    by_session, by_invitation = SessionToken(opened.token_sha256), log.token_of(0)
    assert log.decide(Participate(ENVELOPE, view(0, token=by_session))).not_after == opened.expires_at
    assert log.decide(Participate(ENVELOPE, view(0, token=by_invitation))).not_after == NOW + log.lifetime


# Impossible histories

CREATED = creation(1, 1, documents=2).created
draft = nothing.given(CREATED)
NEW = Slot(who(5), 1, (document(0).id,))
IMPOSSIBLE: dict[str, tuple[Any, EnvelopeFact]] = {
    "a document after sending": (draft.given(EnvelopeSent()), DocumentAdded(document(5), ())),
    "a participant after sending": (draft.given(EnvelopeSent()), ParticipantAdded(NEW)),
    "a document before the envelope": (nothing, DocumentAdded(document(5), ())),
    "a participant before the envelope": (nothing, ParticipantAdded(NEW)),
    "a document twice": (draft, DocumentAdded(document(1), ())),
    "a document for a stranger": (draft, DocumentAdded(document(5), (who(9),))),
    "a document twice for one": (draft, DocumentAdded(document(5), (who(0), who(0)))),
    "a document without a hash": (draft, DocumentAdded(replace(document(5), sha256="none"), ())),
    "a document without pages": (draft, DocumentAdded(replace(document(5), pages=0), ())),
    "a participant twice": (draft, ParticipantAdded(replace(NEW, participant=who(1)))),
    "a participant with a strange document": (draft, ParticipantAdded(replace(NEW, documents=(uid(9),)))),
    "a participant with a document twice": (draft, ParticipantAdded(replace(NEW, documents=NEW.documents * 2))),
    "a participant with a number below 1": (draft, ParticipantAdded(replace(NEW, number=0))),
    "one participant too many": (
        nothing.given(creation(*range(1, MAX_PARTICIPANTS + 1)).created),
        ParticipantAdded(replace(NEW, participant=uid(9))),
    ),
    "one document too many": (
        nothing.given(creation(1, documents=MAX_DOCUMENTS).created),
        DocumentAdded(document(MAX_DOCUMENTS), ()),
    ),
    "one assignment too many": (
        nothing.given(creation(1, 2, 3, 4, 5, documents=100).created),
        ParticipantAdded(replace(NEW, participant=uid(9))),
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_an_addition_that_no_decision_leads_to_is_impossible(case: str) -> None:
    start, fact = IMPOSSIBLE[case]
    start.cannot_be(fact)


def edited() -> PackageLog:
    """A draft of one, with a document and a participant added, then sent."""
    log = created(1, send=False)
    log.do(add_document(1, 0), at=NOW + timedelta(minutes=1))
    log.do(add_participant(1, 1, 1), at=NOW + timedelta(minutes=2))
    log.do(SEND, at=NOW + timedelta(minutes=3))
    return log


def replay(log: list[Any], streams: set[Any] | None = None) -> PackageEnd:
    history = PackageHistory(ENVELOPE, streams)
    for stream, fact, at in log:
        if streams is None or stream in streams:
            history.feed(stream, fact, at)
    return history.finish()


def refused(log: list[Any], because: str) -> None:
    with pytest.raises(ImpossibleHistory, match=because):
        replay(log)


def test_what_follows_from_an_addition_must_follow_and_nothing_else_may() -> None:
    log = edited().log
    kinds = [type(fact) for _, fact, _ in log]
    assigned, process = kinds.index(DocumentAssigned), kinds.index(ParticipantAdded) + 1
    for consequence in (assigned, process):
        refused(log[:consequence] + log[consequence + 1 :], "must follow")
        refused(log[: consequence - 1] + log[consequence:], "without the fact that it follows from")
        stream, fact, at = log[consequence]
        refused([*log[:consequence], (stream, fact, at + MICROSECOND), *log[consequence + 1 :]], "another time")
        refused([*log[:consequence], (who(9), fact, at), *log[consequence + 1 :]], "must follow")
    other = DocumentAssigned(replace(reference(1), sha256=digest("other")))
    refused([*log[:assigned], (who(0), other, log[assigned][2]), *log[assigned + 1 :]], "must follow")


def test_an_addition_after_sending_is_impossible_in_all_streams() -> None:
    log = edited().log
    refused([*log, (ENVELOPE, DocumentAdded(document(5), ()), log[-1][2])], "has been sent")
    refused([*log, (ENVELOPE, ParticipantAdded(NEW), log[-1][2])], "has been sent")
    refused([*log, (who(0), DocumentAssigned(reference(5)), log[-1][2])], "without the fact that it follows from")


@pytest.mark.parametrize("streams", [{ENVELOPE}, {who(0)}, {who(1)}, {ENVELOPE, who(1)}, {who(0), who(1)}])
def test_a_part_of_an_edited_envelope_is_accepted_as_one(streams: set[Any]) -> None:
    assert replay(edited().log, streams) is PackageEnd.PARTIAL


def test_whoever_was_added_is_invited_when_the_envelope_is_sent() -> None:
    invited = [stream for stream, fact, _ in edited().log if isinstance(fact, Invited)]
    assert invited == [who(0), who(1)]


# Fields, copies and size


def with_fields(*fields: PlacedField) -> EnvelopeCreated:
    return replace(CREATED, fields=fields)


def test_fields_and_copies_are_kept_as_they_were_placed() -> None:
    placements = with_fields(placed(0), placed(1, pdf=1, page=3))
    assert nothing.when(OpenEnvelope(ENVELOPE, placements)) == (placements,)
    largest = replace(
        placed(0),
        x_millipoints=MAX_MILLIPOINTS,
        y_millipoints=MAX_MILLIPOINTS,
        width_millipoints=MAX_MILLIPOINTS,
        height_millipoints=MAX_MILLIPOINTS,
    )
    assert nothing.when(OpenEnvelope(ENVELOPE, with_fields(largest))) != ()


BAD_FIELDS: dict[str, tuple[PlacedField, type[Refusal]]] = {
    "for a stranger": (placed(9), ParticipantNotFound),
    "on a strange document": (placed(0, pdf=5), DocumentNotFound),
    "on page 0": (placed(0, page=0), FieldOutsideDocument),
    "after the last page": (placed(0, page=4), FieldOutsideDocument),
    "left of the page": (replace(placed(0), x_millipoints=-1), FieldMisplaced),
    "above the page": (replace(placed(0), y_millipoints=-1), FieldMisplaced),
    "without a width": (replace(placed(0), width_millipoints=0), FieldMisplaced),
    "without a height": (replace(placed(0), height_millipoints=0), FieldMisplaced),
    "beyond any page": (replace(placed(0), y_millipoints=MAX_MILLIPOINTS + 1), FieldMisplaced),
    "wider than any page": (replace(placed(0), width_millipoints=MAX_MILLIPOINTS + 1), FieldMisplaced),
}


@pytest.mark.parametrize("case", BAD_FIELDS)
def test_a_field_that_nobody_could_fill_in_is_refused_and_cannot_have_been(case: str) -> None:
    bad, refusal = BAD_FIELDS[case]
    nothing.refuses(OpenEnvelope(ENVELOPE, with_fields(placed(0), bad)), refusal)
    nothing.cannot_be(with_fields(placed(0), bad))


def test_a_field_without_a_name_is_refused_by_its_number() -> None:
    misplaced = with_fields(placed(0), placed(0, page=9))
    assert nothing.refuses(OpenEnvelope(ENVELOPE, misplaced), FieldOutsideDocument).name == "2"
    named = with_fields(replace(placed(0, page=9), name="initials"))
    assert nothing.refuses(OpenEnvelope(ENVELOPE, named), FieldOutsideDocument).name == "initials"


def test_a_field_is_on_a_document_that_its_participant_signs() -> None:
    shared = replace(creation(1, 1, documents=2, shares=[(0,), (1,)]).created, fields=(placed(0, pdf=1),))
    assert nothing.refuses(OpenEnvelope(ENVELOPE, shared), DocumentNotFound).document == document(1).id
    nothing.cannot_be(shared)


def test_fields_and_copies_have_limits() -> None:
    most = with_fields(*[placed(0)] * MAX_PLACED_FIELDS)
    assert nothing.when(OpenEnvelope(ENVELOPE, most)) != ()
    more = with_fields(*[placed(0)] * (MAX_PLACED_FIELDS + 1))
    assert nothing.refuses(OpenEnvelope(ENVELOPE, more), TooManyFields).count == MAX_PLACED_FIELDS + 1
    nothing.cannot_be(more)
    assert nothing.when(OpenEnvelope(ENVELOPE, replace(CREATED, copies=copies(MAX_COPIES)))) != ()
    too_many = replace(CREATED, copies=copies(MAX_COPIES + 1))
    assert nothing.refuses(OpenEnvelope(ENVELOPE, too_many), TooManyCopies).count == MAX_COPIES + 1
    nothing.cannot_be(too_many)


def test_a_recipient_of_a_copy_has_an_id_of_their_own() -> None:
    (copy,) = copies(1)
    nothing.cannot_be(replace(CREATED, copies=(copy, copy)))
    nothing.cannot_be(replace(CREATED, copies=(replace(copy, id=who(0)),)))


def copies(count: int) -> tuple[CopyRecipient, ...]:
    return tuple(CopyRecipient(uid(500 + it), personal(f"n{it}"), personal(f"e{it}"), personal(f"d{it}")) for it in range(count))


def spelled(created: EnvelopeCreated) -> int:
    encoded = encode_fact(created)
    return len(canonical_exact(encoded.data)) + len(canonical_exact(encoded.personal))


def test_the_reckoned_size_of_a_creation_is_never_less_than_it_takes() -> None:
    rich = replace(
        creation(1, 2, 3, documents=3, deadline=DEADLINE).created,
        fields=(replace(placed(0), name='"\\ñ\x01', x_millipoints=123_456),) * 30,
        copies=copies(12),
        location=uid(1),
    )
    titled = replace(rich, documents=tuple(replace(it, title=personal("t"), source=uid(4)) for it in rich.documents))
    for each in (CREATED, creation(1).created, creation(documents=0).created, rich, titled):
        assert spelled(each) <= creation_bytes(each) <= spelled(each) * 1.05 + 20


CROWDED_FIELDS = tuple(replace(placed(0), name=f"{number:n>60}") for number in range(MAX_PLACED_FIELDS))


def test_what_does_not_fit_into_one_entry_is_refused_though_no_list_is_too_long() -> None:
    crowded = creation(*range(1, 101), documents=5).created
    assert nothing.when(OpenEnvelope(ENVELOPE, crowded)) != ()
    refusal = nothing.refuses(
        OpenEnvelope(ENVELOPE, replace(crowded, fields=CROWDED_FIELDS)),
        EnvelopeTooLarge,
    )
    assert refusal.size_bytes > refusal.most_bytes == MAX_CREATION_BYTES
