"""Where a scenario is played: one surface that acts, and all four that look on."""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Final, assert_never
from uuid import UUID

from domain.faults import Verdict
from infrastructure.export import export
from infrastructure.export_format import Scope, ScopeKind
from infrastructure.fsck import fsck
from infrastructure.verification import Expectations, verify
from tests.conftest import ORIGIN
from tests.e2e.scenarios import words
from tests.e2e.scenarios.calling import Answer
from tests.e2e.scenarios.drivers.driver import Act, Draft, Driver, When
from tests.e2e.scenarios.drivers.link import Link
from tests.e2e.scenarios.drivers.partner import Partner
from tests.e2e.scenarios.drivers.sessions import Sessions
from tests.e2e.scenarios.drivers.signatures import Signatures
from tests.e2e.scenarios.drivers.signing import Signing
from tests.e2e.scenarios.evidence import Event, facts, processes, undelivered
from tests.e2e.scenarios.mailbox import Invitation
from tests.e2e.scenarios.tenancy import PLAIN, RENDERED, Tenancy, Timeline
from tests.e2e.scenarios.words import Person
from tests.e2e.servers import eventually

DRIVERS: Final[dict[str, Callable[[Tenancy], Driver]]] = {
    "partner": Partner,
    "signing": Signing,
    "signatures": Signatures,
    "sessions": Sessions,
}

#: After these nobody is invited any more.
_ENDS: Final = frozenset({"completed", "declined", "cancelled", "expired"})

#: A week, as the signatures product gives by default; an invitation's token lasts longer.
HOURS: Final = 168


class Stage:
    """One envelope of a tenant of its own, made on `surface`. `people` are Ana and Bo, in this order."""

    def __init__(self, tenancy: Tenancy, surface: str) -> None:
        self._tenancy = tenancy
        self._drivers = {name: make(tenancy) for name, make in DRIVERS.items()}
        self._on = self._drivers[surface]
        self._draft: Draft | None = None
        self._id = ""
        self._ordered = False
        mark = token_hex(6)
        self.people: Final = tuple(
            Person(name, f"{name.split()[0].lower()}-{mark}@example.com", f"stk_{index}{mark}")
            for index, name in enumerate(("Ana Pérez", "Bo Li"))
        )

    # What is done

    def begin(self, *, ordered: bool = False) -> None:
        """Creates and sends."""
        self.create(ordered=ordered)
        self.send()

    def create(self, *, ordered: bool = False) -> None:
        self._ordered = ordered
        self._draft = self._on.create(self.people, ordered=ordered, hours=HOURS)
        self._id = self._draft.id or ""

    def send(self) -> None:
        assert self._draft is not None
        self._id = self._on.send(self._draft)
        self._settle()

    def do(self, act: Act, person: Person | None = None, *, through: str | None = None) -> None:
        """Does what must succeed, on the scenario's surface or `through` another; waits until its mails are out."""
        driver, who = self._driver(through), person or self.people[0]
        id = self._spelled(driver)
        driver.prepare(id, act, who)
        answer = _try(driver, act, id, who)
        assert answer.ok, f"{act}: {answer.status} {answer.raw!r}"
        self._settle()

    def later(self, *, hours: int) -> None:
        """Lets time pass."""
        self._tenancy.world.clock.offset += timedelta(hours=hours)

    def until_expired(self) -> None:
        """Lets the deadline pass, and waits until the end is recorded."""
        self.later(hours=HOURS + 1)
        eventually(lambda: any(event.fact == "expired" for event in self._timeline.events))

    # What is refused

    def refused(self, act: Act, when: When, person: Person, *, through: str | None = None) -> None:
        """Tries what is refused in the surface's own words, or answered as before; the log's head stays as it is."""
        driver = self._driver(through)
        id = self._spelled(driver)
        driver.prepare(id, act, person)
        answers: list[Answer] = []
        self.changes_nothing(lambda: answers.append(_try(driver, act, id, person)))
        (answer,) = answers
        expected = driver.refusals[act, when]
        told = None if answer.ok else (answer.status, answer.code)
        assert told == expected, f"{driver.surface}: {act} {when}"

    def over(self, when: When, *, tried_by: Person | None = None) -> None:
        """Nothing more can be done on any surface."""
        for surface in words.SURFACES:
            for act in Act:
                self.refused(act, when, tried_by or self.people[0], through=surface)

    def changes_nothing(self, act: Callable[[], object]) -> None:
        """Does it, and holds the log's head against the one before."""
        before = self._tenancy.head()
        act()
        assert self._tenancy.head() == before

    def refused_token(self, invitation: Invitation, status: int, code: str) -> None:
        """A session is not completed by this token."""
        answers: list[Answer] = []
        self.changes_nothing(lambda: answers.append(Link(self._tenancy).complete(invitation)))
        assert [(answer.status, answer.code) for answer in answers] == [(status, code)]

    def accepted_token(self, invitation: Invitation) -> None:
        answer = Link(self._tenancy).complete(invitation)
        assert answer.ok, answer.raw
        self._settle()

    # What is seen

    @property
    def drafted(self) -> bool:
        """Whether there is an envelope before it is sent."""
        return self._draft is not None and self._draft.id is not None

    def mails(self, person: Person) -> int:
        """How many invitations a person got."""
        return len(self._tenancy.mailbox.of(person.email))

    def invitation(self, person: Person) -> Invitation:
        """The newest one."""
        return self._tenancy.mailbox.of(person.email)[-1]

    def stands(self, status: str, **people: Sequence[Person]) -> None:
        """All four surfaces say the same of the envelope and of its people, each in its own words.

        Names everywhere; addresses, places and times where a surface shows them, the times those of the log.
        """
        timeline = self._timeline
        signed_at = {event.stream: event.at for event in timeline.events if event.fact == "document-signed"}
        process = dict(zip(self.people, processes(timeline.events), strict=True))
        standing = {person: word for word, group in people.items() for person in group}
        for surface, driver in self._drivers.items():
            seen = driver.status(driver.spell(timeline))
            expected = words.ENVELOPE[status][surface]
            assert (seen.word if seen else "-") == expected, f"{surface}: {status}"
            if seen is None:
                continue
            by_name = {one.name: one for one in seen.people}
            assert by_name.keys() == {person.name for person in self.people}
            for number, person in enumerate(self.people, 1):
                one = by_name[person.name]
                assert one.word == words.PERSON[standing[person]][surface], f"{surface}: {person.name} {standing[person]}"
                if seen.precision is None:
                    assert (one.email, one.order, one.signed_at) == (None, None, None)
                    continue
                assert (one.email, one.order) == (person.email, number)
                at = signed_at.get(process[person])
                assert (one.signed_at is None) == (at is None)
                if one.signed_at is not None and at is not None:
                    assert timedelta(0) <= at - one.signed_at < seen.precision

    def evidence(self, person: Person | None = None) -> tuple[Event, ...]:
        """The events as the scenario's surface gives them."""
        return self._on.evidence(self._id, person)

    @property
    def envelope(self) -> UUID:
        return self._timeline.envelope

    def process(self, person: Person) -> UUID:
        """Whose stream is a person's signing."""
        return processes(self._timeline.events)[self.people.index(person)]

    def happened(self, envelope: Sequence[str], *people: Sequence[str]) -> None:
        """These facts in this order, and no others, in the streams of the envelope and of its people."""
        events = self.evidence()
        streams = (self.envelope, *processes(events))
        assert [facts(events, stream) for stream in streams] == [list(envelope), *map(list, people)]

    def document_sha256(self) -> str:
        """The hash of the PDF that the surface's driver uploads."""
        return sha256(RENDERED if self._on.surface == "signatures" else PLAIN).hexdigest()

    def names_nobody(self, events: Sequence[Event]) -> None:
        """There is nothing personal in an entry."""
        for person in self.people:
            for known in (person.name, person.email, person.stakeholder):
                assert not any(known in event.entry for event in events)

    # What is checked in the end

    def judge(self, folder: Path) -> None:
        """The log in the database and an export of it are valid, and they are what all four surfaces showed as evidence."""
        timeline = self._timeline
        shown = {name: driver.evidence(driver.spell(timeline)) for name, driver in self._drivers.items()}
        assert all(events == timeline.events for events in shown.values())
        known = Expectations({event.position: bytes.fromhex(event.leaf) for event in timeline.events}, ORIGIN)
        urls, target = self._tenancy.world.database, folder / "log.jsonl"
        with closing(fsck(urls.service, known)) as report:
            assert (report.verdict, list(report.faults)) == (Verdict.VALID, [])
        exported = export(urls.service, Scope(ScopeKind.LOG), target)
        assert exported.position >= timeline.events[-1].position
        with closing(verify(target, known)) as report:
            assert (report.verdict, list(report.faults)) == (Verdict.VALID, [])

    def _driver(self, surface: str | None) -> Driver:
        return self._on if surface is None else self._drivers[surface]

    def _spelled(self, driver: Driver) -> str:
        """The envelope's id on a surface."""
        return self._id if driver is self._on else driver.spell(self._timeline)

    def _settle(self) -> None:
        """Waits until every invitation is out, so that nothing else is recorded meanwhile."""

        def settled() -> bool:
            timeline = self._timeline
            ended = any(event.fact in _ENDS for event in timeline.events if event.stream == timeline.envelope)
            return ended or undelivered(timeline.events) == 0

        eventually(settled)

    @property
    def _timeline(self) -> Timeline:
        return self._tenancy.timeline(self._id)


def _try(driver: Driver, act: Act, id: str, person: Person) -> Answer:
    match act:
        case Act.VIEW:
            return driver.view(id, person)
        case Act.SIGN:
            return driver.sign(id, person)
        case Act.DECLINE:
            return driver.decline(id, person)
        case Act.VOID:
            return driver.void(id)
        case Act.RESEND:
            return driver.resend(id, person)
        case _ as unreachable:
            assert_never(unreachable)
