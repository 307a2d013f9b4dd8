"""What a certificate tells: each fact of the log once, with its own time, and a reason for whatever nobody observed."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Final
from uuid import UUID

import pypdfium2  # type: ignore[import-untyped]
import pytest

from domain.actor import IdentityMethod, Provenance
from domain.canonical import Json
from domain.coordination import Participate
from domain.entry import EntryError, parse_time
from domain.envelope import EnvelopeCompleted
from domain.placement import PageSize
from domain.signing import SignatureMethod, SignDocuments, ViewDocument
from infrastructure.certificate_case import Circumstances, case_from, making, paper_for
from infrastructure.pdf_drawing.case import Absent, Case, CaseCheckpoint, Known, Paper, Timed, Told
from infrastructure.pdf_drawing.certificate import certificate
from infrastructure.pdf_drawing.paper import MARGIN
from infrastructure.telling.happened import Happened
from infrastructure.telling.picture import picture
from tests.certificate_world import (
    BARE_SEAL,
    BASE_URL,
    CONSENT,
    SEAL,
    STORIES,
    CertificateWorld,
    Someone,
    declined_but_continued,
    erased,
    in_test_mode,
    of_many,
    one_signer,
    signed_by_an_agent,
    someone,
    stroke,
    three_in_order,
    with_long_names,
)

Story = Callable[[CertificateWorld], UUID]

ALL: Final = pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)

_UTC: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC")
_LOCAL: Final = re.compile(r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d[+-]\d\d:\d\d")
_ADDRESS: Final = re.compile(r"(?<![\d/.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_MAIL: Final = re.compile(r"[^\s()]+@[^\s()]+")


@cache
def told(story: Story) -> tuple[CertificateWorld, UUID, Case]:
    world = CertificateWorld()
    envelope = story(world)
    return world, envelope, world.case(envelope)


@cache
def on_paper(story: Story) -> str:
    """The text of all pages, white space made one, without the foot of each."""
    _, envelope, case = told(story)
    pages = (page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(certificate(case)))
    foot = re.compile(rf"Certificate of completion · envelope {envelope}( · Test, without effect)? · page \d+ of \d+")
    return " ".join(foot.sub("", " ".join(page.split())) for page in pages)


def strings(value: Json) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from strings(member)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def times_of(world: CertificateWorld, envelope: UUID, case: Case) -> set[datetime]:
    """Every time that somebody has recorded, and those of the checkpoint and of the certificate itself."""
    found = {case.made}
    if isinstance(case.checkpoint, CaseCheckpoint):
        found.add(case.checkpoint.at)
    for each in world.told(envelope):
        found.add(each.entry.at)
        for text in strings(dict(each.entry.data)):
            try:
                found.add(parse_time(text))
            except EntryError:
                continue
    return found


def milliseconds(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")


def values_of(world: CertificateWorld, envelope: UUID) -> set[str]:
    """The personal values that are not erased."""
    positions = {each.position for each in world.told(envelope)}
    return {text for (position, _), it in world.disclosures.items() if position in positions for text in strings(it.value)}


def happened(case: Case) -> set[str]:
    return {event.type for event in case.events}


@ALL
def test_each_entry_of_the_log_is_told_once_with_its_own_time(story: Story) -> None:
    world, envelope, case = told(story)
    _, _, rest = on_paper(story).partition(" What happened ")
    events, _, log = rest.partition(" In the log ")
    beginnings = [f"{number} {milliseconds(each.entry.at)} UTC" for number, each in enumerate(world.told(envelope), 1)]
    places = [events.find(f"{' ' if number else ''}{beginning}") for number, beginning in enumerate(beginnings)]
    assert places == sorted(places)
    assert min(places) >= 0
    for place, until, each in zip(places, [*places[1:], len(events)], world.told(envelope), strict=True):
        block = events[place:until]
        assert f" {each.entry.type} " in block
        assert events.count(each.leaf.hex()) == 1
        assert each.leaf.hex() in block
    for head in case.heads:
        assert f"process {head.stream}, {head.version} entries Head {head.digest}" in log
    assert len(case.heads) == len(world.streams(envelope))


@ALL
def test_no_time_and_no_address_is_on_paper_that_nobody_recorded(story: Story) -> None:
    world, envelope, case = told(story)
    text, times = on_paper(story), times_of(world, envelope, case)
    found = set(_UTC.findall(text))
    assert found <= {milliseconds(at) for at in times}
    assert {milliseconds(each.entry.at) for each in world.told(envelope)} <= found
    local = {at.astimezone(case.zone) for at in times}
    spelled = {at.isoformat(" ", "seconds") for at in local}
    assert set(_LOCAL.findall(text)) <= spelled | {each.split(" ")[1] for each in spelled}
    values = values_of(world, envelope)
    assert set(_ADDRESS.findall(text)) - {"141.0.0.0"} <= values
    # Of one that is longer than a line, a piece is found.
    assert all(any(it.strip('"“”,;.') in value for value in values) for it in _MAIL.findall(text))


@ALL
def test_it_is_completed_once(story: Story) -> None:
    world, envelope, case = told(story)
    (end,) = [each.entry.at for each in world.told(envelope) if isinstance(each.fact, EnvelopeCompleted)]
    assert case.completed == Timed(end)
    assert on_paper(story).count(" Completed 20") == 1


def test_a_bounce_and_what_followed_are_told_with_their_times() -> None:
    _world, _envelope, case = told(three_in_order)
    ana = case.signers[0]
    assert isinstance(ana.sent, Timed)
    assert ana.sent.text.split("\n") == [
        "2026-11-20 22:30:01.000 UTC not handed over: the mail system refused it",
        "2026-11-20 22:37:02.000 UTC sent again",
        "2026-11-20 22:37:03.000 UTC taken by the next mail system, by e-mail",
    ]
    assert "signing.invitation-bounced/1" in happened(case)
    assert isinstance(ana.authentication, Known)
    assert re.fullmatch(r"by a one-time code .*; code entered at 20.* UTC; 2 wrong codes entered", ana.authentication.text)


def test_whom_no_mail_is_known_to_have_left_for_was_invited_and_not_sent_anything() -> None:
    text = on_paper(signed_by_an_agent)
    assert (text.count(" Invited 20"), " Sent " in text, "no delivery was observed" in text) == (1, False, True)


def test_how_somebody_was_recognised_is_told_with_who_says_so() -> None:
    _, _, case = told(three_in_order)
    _, joerg, bo = case.signers
    assert isinstance(joerg.authentication, Known)
    assert joerg.authentication.text.startswith("by signing in at an identity provider; signed in as oidc|9431 at 2026-")
    assert bo.authentication == Known(
        "by the token of the invitation or of the session alone", "recorded by a partner's credential (pk_7Q2M)"
    )
    assert bo.address == Known("198.51.100.77", "as claimed by the client")
    assert bo.user_agent == Absent("not observed: the signer acted by way of a partner's credential")
    assert bo.email == Absent("none was given; the telephone number is +51 999 888 777")
    assert case.signers[0].address == Known("203.0.113.9", "as a proxy of the server reported it")


def test_what_nobody_observed_of_an_agent_is_not_filled_from_elsewhere() -> None:
    _, _, case = told(signed_by_an_agent)
    (ana,) = case.signers
    assert ana.outcome == "Signed by an agent"
    assert ana.authentication == Known("as an agent, not in person", "recorded by an organization's key (ok_3VXA)")
    unseen: list[Told] = [ana.address, ana.user_agent, ana.viewed, ana.consented, ana.consent_text]
    assert all(isinstance(each, Absent) for each in unseen)
    assert ana.sent == Timed(case.created.at, text="no delivery was observed") if isinstance(case.created, Timed) else False
    assert case.subject == ""


def test_an_agent_is_not_taken_for_the_person_who_had_signed_in_before() -> None:
    world = CertificateWorld()
    envelope, (ana,) = world.send([someone("Ana Paz Quispe")], ("Lease.pdf", "Annex.pdf"))
    world.open_session(envelope, ana)
    world.later(minutes=1)
    seen = world.seen(ana, IdentityMethod.OIDC)
    lease = world.states[envelope].documents[0].id
    world.on_package(Participate(envelope, SignDocuments(ana, (lease,), SignatureMethod.CLICKED, None, None, seen)))
    assert world.case(envelope).signers[0].outcome == "Not ended"
    world.sign_by_agent(envelope, ana)
    signer = world.case(envelope).signers[0]
    assert signer.outcome == "Signed, in part by an agent"
    assert isinstance(signer.authentication, Known)
    assert signer.authentication.text.startswith(
        "by signing in at an identity provider; as an agent, not in person; signed in as oidc"
    )

    envelope, (bo,) = world.send([someone("Bo Chen")])
    world.open_session(envelope, bo)
    world.sign_by_agent(envelope, bo)
    signer = world.case(envelope).signers[0]
    assert (signer.outcome, isinstance(signer.authentication, Known)) == ("Signed by an agent", True)
    assert "as an agent, not in person; apart from that a session was opened, signed in as oidc|9431 at" in str(
        signer.authentication
    )


def test_what_a_browser_calls_itself_does_not_go_on_in_our_words() -> None:
    world = CertificateWorld()
    envelope, (ana,) = world.send([someone("Ana Paz Quispe")])
    forged = 'x". From 192.0.2.1, the address of the connection.'
    agent = world.personal(forged, key="email:anapazquispe@example.com")
    world.accept(envelope, ana, Provenance(IdentityMethod.TOKEN, user_agent=agent))
    case = world.case(envelope)
    told = 'No address was observed. The browser called itself: "x\\". From 192.0.2.1, the address of the connection.".'
    assert next(event.source.partition("alone. ")[2] for event in case.events if event.source) == told
    assert case.signers[0].user_agent == Known(forged, "in its own words")


def test_who_declined_is_told_with_the_reason_and_the_envelope_goes_on() -> None:
    _, _, case = told(declined_but_continued)
    ana, bo = case.signers
    assert (case.status, ana.outcome, bo.outcome) == ("completed", "Signed", "Declined")
    assert bo.reason == Known("The price is not what we agreed on.")
    assert bo.signature == bo.adopted == Absent("nothing was signed")
    assert case.zone.key == "UTC"


def test_of_an_erased_person_nothing_is_told_but_that() -> None:
    world, _envelope, case = told(erased)
    ana, bo = case.signers
    entry = max(world.erased.values())
    assert ana.name == "Participant 1, whose name is not stored any more"
    assert ana.email == ana.address == ana.user_agent == Absent(f"erased by entry {entry} of the log")
    assert ana.adopted == Known(
        f"by a typed name, with the statement [erased by entry {entry}], with the image [erased by entry {entry}]"
    )
    assert ana.drawn is None
    assert bo.name == "Bo Chen"
    assert not re.search("Ana Paz|anapaz", on_paper(erased))


def test_a_signature_as_it_was_drawn_and_the_labels_of_what_was_filled_in_are_told_without_the_values() -> None:
    _, _, case = told(one_signer)
    (ana,) = case.signers
    assert ana.drawn == stroke()
    assert ana.adopted == Known('by a drawn signature, with the statement "I agree to sign this document electronically."')
    assert isinstance(ana.ended, Timed)
    assert ana.ended.text == "1 document; 3 fields filled in: city, 2, occupation"
    assert "filled in 3 fields: city, 2, occupation." in on_paper(one_signer)
    assert "The drawn signature: with the signer, above." in on_paper(one_signer)
    assert "architect" not in on_paper(one_signer)


def test_consent_is_told_with_the_version_the_locale_and_the_hash_of_its_text() -> None:
    _, _, case = told(one_signer)
    assert isinstance(case.signers[0].consent_text, Known)
    assert re.fullmatch(r"version 2026-11-01, in es-PE, SHA-256 [0-9a-f]{64}", case.signers[0].consent_text.text)


@pytest.mark.parametrize(
    "value", ["", "data:image/png;base64,", "data:image/png;base64,%", "data:text/html;base64,QQ==", 7, None], ids=repr
)
def test_what_is_no_data_uri_of_an_image_is_no_picture(value: Json) -> None:
    assert picture(value) is None


def test_seals_that_differ_are_told_for_each_document() -> None:
    _, _, case = told(three_in_order)
    assert case.seal.profile == Known("PAdES B-T: Document 1; PAdES B-B: Document 2")
    assert case.seal.not_higher == (
        "certificates or lists of revocations are missing: Document 1; no time-stamping authority is configured: Document 2"
    )
    assert case.seal.authority == Known("https://tsa.example")
    assert SEAL.stamped_at is not None
    assert case.seal.stamped == Timed(SEAL.stamped_at)
    assert case.seal.fingerprint == Known(f"SHA-256 {SEAL.certificate_sha256}")


def test_without_a_seal_an_execution_or_a_checkpoint_that_is_said() -> None:
    world = CertificateWorld()
    envelope, (ana,) = world.send([someone("Ana")])
    world.sign_at_browser(envelope, ana)
    before = world.case(envelope, sealed=False)
    assert before.seal.profile == before.documents[0].executed == Absent("no executed form is recorded")
    assert before.checkpoint == Absent("the log was not sealed within a minute")
    world.execute_sealed(envelope, None)
    assert world.case(envelope).seal.profile == Absent("the executed documents have no seal")


def test_the_checkpoint_is_told_with_its_root_and_who_cosigned_it() -> None:
    world, _, case = told(one_signer)
    assert isinstance(case.checkpoint, CaseCheckpoint)
    assert (case.checkpoint.origin, case.checkpoint.size) == (world.origin, len(world.rows))
    assert case.checkpoint.witnesses == ("alice.witness.test", "bob.witness.test", "carol.witness.test")


def test_a_test_is_called_one() -> None:
    assert "Test, without effect" in on_paper(in_test_mode)
    assert "Test, without effect" not in on_paper(one_signer)


def test_a_fact_of_a_type_that_is_not_known_yet_is_told_by_its_type() -> None:
    world, envelope, case = told(one_signer)
    *before, last = world.told(envelope)
    newer = Happened(last.position, last.leaf, replace(last.entry, type="envelope.notarised/1"), None)
    again = case_from([*before, newer], world.personal_values(before), beside())
    assert again.events[-1].type == "envelope.notarised/1"
    assert again.events[-1].digest == last.leaf.hex()
    assert again.signers == case.signers


def test_a_participant_whose_process_cannot_be_read_is_told_by_its_place() -> None:
    world, envelope, _ = told(one_signer)
    entries = [
        replace(each, entry=replace(each.entry, type="signing.process-created/9"), fact=None)
        if each.entry.type.startswith("signing.process-created/")
        else each
        for each in world.told(envelope)
    ]
    assert case_from(entries, {}, beside()).signers[0].name == "Participant 1"


def beside() -> Circumstances:
    return Circumstances(
        "Notaría Paz S.A.C.",
        BASE_URL,
        datetime(2026, 11, 22, tzinfo=UTC),
        Absent("not sealed"),
        consent_texts={CONSENT: "2026-11-01"},
    )


def test_as_many_as_an_envelope_may_have_are_all_told() -> None:
    world = CertificateWorld()
    envelope = of_many(world, titles=1)
    case = world.case(envelope)
    assert len(case.signers) == len({signer.name for signer in case.signers}) == 100
    assert len(case.events) == len(world.told(envelope)) > 1_000
    assert len(case.heads) == 101


def test_what_is_longer_than_a_page_goes_on_on_the_next() -> None:
    world = CertificateWorld()
    envelope, (ana,) = world.send([someone("Ana")])
    world.sign_at_browser(envelope, ana, attestation="ก" * 2_000)
    pages = pypdfium2.PdfDocument(certificate(world.case(envelope)))
    assert sum(page.get_textpage().get_text_range().count("U+0E01") for page in pages) == 2_000 + 200
    for page in pages:
        content = page.get_textpage()
        bottoms = [content.get_rect(index)[1] for index in range(content.count_rects())]
        assert min(bottom for bottom in bottoms if bottom > MARGIN / 2 + 2) > MARGIN - 2


def test_images_that_are_too_large_together_are_not_all_drawn_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrastructure.pdf_drawing.certificate._MAX_POINTS", 3 * 360 * 110)
    _, _, case = told(one_signer)
    pages = pypdfium2.PdfDocument(certificate(replace(case, signers=case.signers * 5)))
    found = " ".join(page.get_textpage().get_text_range() for page in pages)
    assert " ".join(found.split()).count("(not drawn here: the images are too large together)") == 2


def test_of_many_whose_statements_are_long_the_beginnings_stand_on_paper() -> None:
    world = CertificateWorld()
    envelope, whose = world.send([Someone("李" * 300 + str(number), f"p{number}@example.com") for number in range(50)])
    for who in whose:
        world.sign_at_browser(envelope, who, attestation="私" * 2_000)
    case = world.case(envelope)
    assert {signer.name for signer in case.signers} == {"李" * 300 + str(number) for number in range(50)}
    assert all(isinstance(it := signer.adopted, Known) and it.text.endswith('私… (2,000 characters)"') for signer in case.signers)
    assert max(len(event.detail) for event in case.events) < 1_000


def test_what_is_repeated_without_end_is_told_by_its_first_and_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "MAX_EVENTS", 50)
    world = CertificateWorld()
    envelope, (ana,) = world.send([someone("Ana")])
    ((paper, name),) = world.states[ana].documents.items()
    for _ in range(making.MAX_EVENTS):
        world.on_package(Participate(envelope, ViewDocument(ana, paper, name, world.seen(ana, IdentityMethod.TOKEN))))
    world.sign_at_browser(envelope, ana)
    case = world.case(envelope)
    numbers = [event.number for event in case.events]
    assert len(numbers) < 30
    (gap,) = [at for at, number in enumerate(numbers) if at and number > numbers[at - 1] + 1]
    assert case.events[gap].detail.startswith(
        f"[{numbers[gap] - numbers[gap - 1] - 1} events before, which repeat others, are in"
    )
    assert "signing.document-signed/1" in happened(case)
    assert case.heads[1].version == world.heads[ana].version


@pytest.mark.parametrize(
    ("width", "paper"), [(612_000, Paper.LETTER), (611_976, Paper.LETTER), (595_276, Paper.A4), (842_000, Paper.A4)]
)
def test_the_paper_is_that_of_the_documents(width: int, paper: Paper) -> None:
    assert paper_for(PageSize(width, 792_000)) is paper


def test_a_very_long_value_stands_in_full_with_its_signer_and_by_its_beginning_among_the_events() -> None:
    _, _, case = told(with_long_names)
    (long,) = case.signers
    assert isinstance(long.adopted, Known)
    assert long.adopted.text.count("the undersigned") == 30
    (signed,) = [event for event in case.events if event.type == "signing.document-signed/1"]
    assert signed.detail.endswith('… (600 characters)"')
    assert len(signed.detail) < 1_000


def test_a_seal_without_a_time_stamp_says_so() -> None:
    _, _, case = told(declined_but_continued)
    assert case.seal.profile == Known(f"PAdES {BARE_SEAL.profile}")
    assert case.seal.authority == case.seal.stamped == Absent("no seal has a time stamp")
