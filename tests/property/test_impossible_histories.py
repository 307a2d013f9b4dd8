"""Tampered histories: the check over streams accepts what the deciders would write, and nothing else.

A legal history loses, gains, repeats or exchanges facts, with correct hashes as it were: what is left
is either refused, or could have been decided just so. The judge is `replay`, which decides again.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from domain.envelope import (
    MAX_MILLIPOINTS,
    DocumentAdded,
    EnvelopeCancelled,
    EnvelopeCompleted,
    EnvelopeExpired,
    EnvelopeFailed,
    EnvelopeSent,
    OpenEnvelope,
    ParticipantAdded,
)
from domain.envelope import decide as decide_envelope
from domain.envelope import evolve as evolve_envelope
from domain.errors import ImpossibleHistory, Refusal
from domain.evidence import PackageEnd, PackageHistory
from domain.signing import (
    DocumentAssigned,
    DocumentReference,
    DocumentSigned,
    DocumentViewed,
    InvitationResent,
    Invited,
    ProcessCreated,
    SessionOpened,
    SigningCancelled,
    SigningCompleted,
    SigningExpired,
    Started,
)
from tests.given import (
    AGENT,
    ENVELOPE,
    MICROSECOND,
    NOW,
    PROVENANCE,
    add_participant,
    creation,
    document,
    personal,
    placed,
    session,
    who,
)
from tests.property.packages import Recorded, flat, histories
from tests.property.replay import decidable

Appends = list[list[Recorded]]


def accepted(log: list[Recorded]) -> bool:
    history = PackageHistory(ENVELOPE)
    try:
        for stream, fact, at in log:
            history.feed(stream, fact, at)
        history.finish()
    except ImpossibleHistory:
        return False
    return True


def retimed(log: list[Recorded], index: int, at: datetime) -> list[Recorded]:
    stream, fact, _ = log[index]
    return [*log[:index], (stream, fact, at), *log[index + 1 :]]


def places(log: list[Recorded]) -> st.SearchStrategy[int]:
    return st.integers(0, len(log) - 1)


def one_lost(draw: st.DrawFn, log: list[Recorded]) -> list[Recorded]:
    index = draw(places(log))
    return log[:index] + log[index + 1 :]


def one_repeated(draw: st.DrawFn, log: list[Recorded]) -> list[Recorded]:
    index, to = draw(places(log)), draw(places(log))
    return [*log[: to + 1], (*log[index][:2], log[to][2]), *log[to + 1 :]]


def two_exchanged(draw: st.DrawFn, log: list[Recorded]) -> list[Recorded]:
    """They keep their places in time, so that only what happened is exchanged."""
    first = draw(places(log))
    second = draw(st.sampled_from([min(first + 1, len(log) - 1), draw(places(log))]))
    changed = list(log)
    changed[first], changed[second] = (*log[second][:2], log[first][2]), (*log[first][:2], log[second][2])
    return changed


def one_inserted(draw: st.DrawFn, log: list[Recorded]) -> list[Recorded]:
    """A fact of this history or an end, in any stream of it."""
    foreign: list[Any] = [
        SigningCancelled(),
        SigningExpired(),
        SigningCompleted(),
        EnvelopeSent(),
        EnvelopeCompleted(),
        EnvelopeFailed(),
        EnvelopeExpired(),
        EnvelopeCancelled(None),
        DocumentAdded(document(3), ()),
        DocumentAdded(document(3), (who(0),)),
        DocumentAssigned(DocumentReference(document(3).id, document(3).sha256)),
        ParticipantAdded(add_participant(4, 1).slot),
        add_participant(4, 1).process,
        SessionOpened(session(0, log[-1][2] + timedelta(minutes=5)), personal("user"), log[0][2]),
    ]
    fact = draw(st.sampled_from([fact for _, fact, _ in log]) | st.sampled_from(foreign))
    stream = draw(st.sampled_from([stream for stream, _, _ in log]))
    index = draw(places(log))
    return [*log[: index + 1], (stream, fact, log[index][2]), *log[index + 1 :]]


def one_moved_to_another_stream(draw: st.DrawFn, log: list[Recorded]) -> list[Recorded]:
    index = draw(places(log))
    stream = draw(st.sampled_from([ENVELOPE, *(who(number) for number in range(4))]))
    return [*log[:index], (stream, *log[index][1:]), *log[index + 1 :]]


def one_at_another_time(draw: st.DrawFn, log: list[Recorded]) -> list[Recorded]:
    index = draw(places(log))
    shift = draw(st.sampled_from([MICROSECOND, -MICROSECOND, timedelta(minutes=5), timedelta(days=-1), timedelta(days=60)]))
    return retimed(log, index, log[index][2] + shift)


def one_about_other_bytes(draw: st.DrawFn, log: list[Recorded]) -> list[Recorded]:
    """What was created, added, shown or signed has another hash, where there is such a fact."""
    kinds = DocumentSigned | DocumentViewed | ProcessCreated | DocumentAdded | DocumentAssigned
    about = [index for index, (_, fact, _) in enumerate(log) if isinstance(fact, kinds)]
    if not about:
        return log
    index = draw(st.sampled_from(about))
    stream, fact, at = log[index]
    if isinstance(fact, DocumentAdded | DocumentAssigned):
        fact = replace(fact, document=replace(fact.document, sha256=document(9).sha256))  # type: ignore[arg-type]
    elif isinstance(fact, DocumentSigned | DocumentViewed):
        fact = replace(fact, sha256=document(9).sha256)
    elif isinstance(fact, ProcessCreated):
        fact = replace(fact, documents=tuple(replace(it, sha256=document(9).sha256) for it in fact.documents))
    return [*log[:index], (stream, fact, at), *log[index + 1 :]]


def one_by_another(draw: st.DrawFn, log: list[Recorded]) -> list[Recorded]:
    """An agent's act is that of somebody with a token, or the other way about, with the start that belongs to it."""
    signatures = [index for index, (_, fact, _) in enumerate(log) if isinstance(fact, DocumentSigned)]
    if not signatures:
        return log
    first = draw(st.sampled_from(signatures))
    acting = draw(st.sampled_from([AGENT, PROVENANCE]))
    changed = list(log)
    if isinstance(log[first - 1][1], Started):
        changed[first - 1] = (log[first - 1][0], Started(acting), log[first - 1][2])
    for index in signatures:
        stream, fact, at = log[index]
        if stream == log[first][0] and at == log[first][2] and isinstance(fact, DocumentSigned):
            changed[index] = (stream, replace(fact, provenance=acting), at)
    return changed


def one_for_others(draw: st.DrawFn, log: list[Recorded]) -> list[Recorded]:
    """A document was added for others, or somebody was added to sign other documents."""
    added = [index for index, (_, fact, _) in enumerate(log) if isinstance(fact, DocumentAdded | ParticipantAdded)]
    if not added:
        return log
    index = draw(st.sampled_from(added))
    stream, fact, at = log[index]
    if isinstance(fact, DocumentAdded):
        fact = replace(fact, participants=tuple(who(it) for it in draw(st.lists(st.integers(0, 4), max_size=3))))
    elif isinstance(fact, ParticipantAdded):
        signed = tuple(document(it).id for it in draw(st.lists(st.integers(0, 3), max_size=3)))
        fact = replace(fact, slot=replace(fact.slot, documents=signed))
    return [*log[:index], (stream, fact, at), *log[index + 1 :]]


def cut(draw: st.DrawFn, log: list[Recorded]) -> list[Recorded]:
    return log[: draw(places(log))]


def append_moved(draw: st.DrawFn, appends: Appends) -> list[Recorded]:
    """A whole append stands elsewhere; all keep time with their new places."""
    order = list(range(len(appends)))
    moved = order.pop(draw(st.integers(0, len(order) - 1)))
    order.insert(draw(st.integers(0, len(order))), moved)
    times = [append[0][2] for append in appends]
    return [(stream, fact, at) for index, at in zip(order, times, strict=True) for stream, fact, _ in appends[index]]


def append_lost(draw: st.DrawFn, appends: Appends) -> list[Recorded]:
    index = draw(st.integers(0, len(appends) - 1))
    return flat(appends[:index] + appends[index + 1 :])


def all_later(draw: st.DrawFn, appends: Appends) -> list[Recorded]:
    """From some append on, everything happens later than it did."""
    index = draw(st.integers(0, len(appends) - 1))
    shift = draw(st.sampled_from([MICROSECOND, timedelta(minutes=4), timedelta(days=31)]))
    return flat(appends[:index]) + [(stream, fact, at + shift) for stream, fact, at in flat(appends[index:])]


OF_FACTS: tuple[Callable[[st.DrawFn, list[Recorded]], list[Recorded]], ...] = (
    one_lost,
    one_repeated,
    two_exchanged,
    one_inserted,
    one_moved_to_another_stream,
    one_at_another_time,
    one_about_other_bytes,
    one_by_another,
    one_for_others,
    cut,
)
OF_APPENDS: tuple[Callable[[st.DrawFn, Appends], list[Recorded]], ...] = (append_moved, append_lost, all_later)


@st.composite
def tampered(draw: st.DrawFn) -> tuple[str, list[Recorded], list[Recorded]]:
    appends = draw(histories())
    if draw(st.integers(0, 2)) == 0:
        whole = draw(st.sampled_from(OF_APPENDS))
        return whole.__name__, flat(appends), whole(draw, appends)
    single = draw(st.sampled_from(OF_FACTS))
    return single.__name__, flat(appends), single(draw, flat(appends))


@given(histories())
def test_every_history_that_was_decided_is_accepted(appends: Appends) -> None:
    history = PackageHistory(ENVELOPE)
    for append in appends:
        for index, (stream, fact, at) in enumerate(append):
            history.feed(stream, fact, at)
            assert index < len(append) - 1 or not history.unsettled
    assert history.finish() is not PackageEnd.PARTIAL
    assert decidable(ENVELOPE, flat(appends))


@settings(max_examples=5 * settings().max_examples)
@given(tampered())
def test_a_tampered_history_is_accepted_only_if_it_could_have_been_decided(
    case: tuple[str, list[Recorded], list[Recorded]],
) -> None:
    how, before, after = case
    verdict = accepted(after)
    event(f"{how}: {'unchanged' if before == after else 'accepted' if verdict else 'refused'}")
    assert verdict == decidable(ENVELOPE, after)


@given(histories(), st.data())
def test_a_fact_of_an_append_that_is_lost_exchanged_or_set_apart_is_always_refused(appends: Appends, data: st.DataObject) -> None:
    """The facts of one decision belong together: none of them can go while others stay."""
    # A reminder is as good as resending each invitation alone, so its facts are not bound to one another.
    spanning = [
        it
        for it, append in enumerate(appends)
        if len({stream for stream, _, _ in append}) > 1 and not isinstance(append[0][1], InvitationResent)
    ]
    if not spanning:
        return
    index = data.draw(st.sampled_from(spanning))
    append = appends[index]
    # Not a document, nor the sending: they may come later, so without them it is another legal history.
    free = DocumentSigned | EnvelopeSent
    bound = [it for it, (_, fact, _) in enumerate(append) if not isinstance(fact, free)]
    lost = data.draw(st.sampled_from(bound))
    rest = append[:lost] + append[lost + 1 :]
    assert not accepted(flat([*appends[:index], rest, *appends[index + 1 :]]))
    apart = retimed(append, len(append) - 1, append[-1][2] + MICROSECOND)
    assert not accepted(flat([*appends[:index], apart]))


FIELDS = st.builds(
    lambda number, pdf, page, x, y, width, height: replace(
        placed(number, pdf, page), x_millipoints=x, y_millipoints=y, width_millipoints=width, height_millipoints=height
    ),
    st.sampled_from([0, 0, 0, 1, 2]),
    st.sampled_from([0, 0, 0, 1, 2]),
    st.sampled_from([1, 1, 1, 3, 0, 4]),
    *[st.sampled_from([*[0] * 9, 1, MAX_MILLIPOINTS, MAX_MILLIPOINTS + 1, -1])] * 2,
    *[st.sampled_from([*[1] * 9, MAX_MILLIPOINTS, MAX_MILLIPOINTS + 1, 0])] * 2,
)


@settings(max_examples=3 * settings().max_examples)
@given(st.lists(st.lists(st.sampled_from([0, 1]), max_size=2, unique=True), min_size=1, max_size=2), st.lists(FIELDS, max_size=2))
def test_an_envelope_can_have_been_created_just_as_it_may_be(shares: list[list[int]], fields: list[Any]) -> None:
    """The decision's limits on fields are the history's."""
    created = replace(creation(*[1] * len(shares), documents=2, shares=shares).created, fields=tuple(fields))
    try:
        allowed = decide_envelope(OpenEnvelope(ENVELOPE, created), None, NOW) == (created,)
    except Refusal:
        allowed = False
    try:
        evolve_envelope(None, created, NOW)
        possible = True
    except ImpossibleHistory:
        possible = False
    event(f"allowed: {allowed}, fields: {len(fields)}")
    assert allowed == possible


@given(histories(), st.data())
def test_an_invitation_before_what_brings_it_about_is_refused(appends: Appends, data: st.DataObject) -> None:
    log = flat(appends)
    invitations = [index for index, (_, fact, _) in enumerate(log) if isinstance(fact, Invited)]
    if not invitations:
        return
    index = data.draw(st.sampled_from(invitations))
    to = data.draw(st.integers(0, index - 1))
    earlier = [*log[:to], (*log[index][:2], log[to][2]), *log[to:index], *log[index + 1 :]]
    assert not accepted(earlier)
