"""What the tests of the read side share: appending rows as the recorder would, and a projection that can count."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypedDict, TypeVar
from uuid import UUID

from psycopg import Connection

from domain.actor import Mode
from domain.coordination import (
    AddDocument,
    AddParticipant,
    CancelEnvelope,
    CreateEnvelope,
    Participate,
    SendEnvelope,
)
from domain.envelope import (
    CopyRecipient,
    Document,
    Envelope,
    EnvelopeCreated,
    OnParticipantFail,
    OrderMode,
    PlacedField,
    Slot,
)
from domain.errors import Refusal
from domain.field import FieldType
from domain.personal import SubjectKind
from domain.signing import (
    BounceReason,
    DocumentReference,
    OpenSession,
    ProcessCreated,
    ReportBounce,
    Session,
    SignatureMode,
)
from infrastructure.codec import FACTS
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.reading import AsyncConnection
from projections.projection import Item, Projection
from projections.runner import Runner
from projections.store import Store, Table
from tests.histories import RecordedLog, Row
from tests.wanderer import Wanderer

T = TypeVar("T")

_ROW = str(UUID(int=1))


class _Tally(TypedDict):
    id: str
    positions: list[int]


def tally(name: str = "tally", on_item: Callable[[Item], object] = lambda item: None, *, ddl: str = "") -> Projection:
    """A projection that keeps the position of every entry it was given: a lost or a repeated one shows.

    `on_item` is called for each entry before anything is written, and may raise.
    """
    table = Table[_Tally](name, ["id"], _Tally.__annotations__)

    def fold(store: Store, items: Sequence[Item]) -> None:
        for item in items:
            on_item(item)
        positions = [position for row in store.load(table, [_ROW]) for position in row["positions"]]
        store.save(table, [_Tally(id=_ROW, positions=positions + [item.position for item in items])])

    return Projection(
        name=name,
        number=1,
        tables=(name,),
        ddl=f"CREATE TABLE {name} (id uuid PRIMARY KEY, positions bigint[] NOT NULL); {ddl}",
        indexes="",
        kinds=frozenset(("envelope", "signing", "template")),
        handles=frozenset(fact for fact in FACTS if not fact.startswith("personal.")),
        skips=frozenset(),
        fold=fold,
    )


def tallied(url: str, name: str = "tally") -> list[int]:
    """The positions that a tally was given, in order of arrival."""
    with connect(url) as conn:
        rows = conn.execute(f"SELECT positions FROM read.{name}".encode()).fetchall()
    return list(rows[0][0]) if rows else []


def append(conn: Connection[Any], rows: Iterable[Row]) -> int:
    """Appends rows behind the log's head as the recorder does, whatever positions they have; answers the new head."""
    with conn.transaction():
        found = conn.execute("SELECT position FROM log_head FOR UPDATE").fetchone()
        position = found[0] if found else 0
        for row in rows:
            position += 1
            conn.execute(
                "INSERT INTO log (position, stream, version, type, leaf, entry) VALUES (%s, %s, %s, %s, %s, %s)",
                [position, row.stream, row.version, row.type, row.leaf, row.raw],
            )
        conn.execute("UPDATE log_head SET position = %s", [position])
        conn.execute("SELECT pg_notify('countersign_log', %s)", [str(position)])
    return int(position)


def catch_up(database: DatabaseUrls, batch: int = 500) -> None:
    """Brings the read models to the log's head."""
    with connect(database.service) as conn:
        while Runner(batch=batch).step(conn):
            pass


def query(database: DatabaseUrls, ask: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """The answer of a query, through a pool such as the API's."""

    async def run() -> T:
        async with async_pool(database.service) as pool, pool.connection() as conn:
            return await ask(conn)

    return asyncio.run(run())


def envelopes(count: int, seed: int = 1) -> list[Row]:
    """A log of envelopes, each completed by two participants."""
    log = RecordedLog(seed=seed)
    for _ in range(count):
        log.completed(documents=1)
    return log.rows


def of_type(row: Row, type: str) -> Row:
    """The row with another type in its column, and its bytes as they were."""
    return replace(row, type=type)


def positions(url: str) -> dict[str, tuple[int, str]]:
    """Position and status of all followers."""
    with connect(url) as conn:
        return {
            name: (position, status)
            for name, position, status in conn.execute("SELECT projection, position, status FROM read.positions")
        }


class Roamer(Wanderer):
    """A wanderer that also keeps drafts: adds to them, sends them or gives them up, and opens signing sessions."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.drafts: list[UUID] = []
        self.places = tuple(self.log.uuid() for _ in range(3))
        self.papers = tuple(self.log.uuid() for _ in range(3))

    def go(self, kind: int, which: int) -> None:
        acts = (self._draft, self._add_document, self._add_participant, self._send, self._session)
        if kind >= len(acts):
            super().go(kind - len(acts), which)
            return
        if not self.drafts:
            self._draft(which)
        with contextlib.suppress(Refusal):
            acts[kind](which)

    def _draft(self, which: int) -> None:
        """An envelope with everything that one may have, or with almost nothing."""
        envelope, whose = self.log.uuid(), tuple(self.log.uuid() for _ in range(which % 3))
        documents = tuple(self._document(envelope, which + index) for index in range(which // 3 % 3))
        of_envelope = self.log.personal("a note", SubjectKind.ENVELOPE, str(envelope))
        created = EnvelopeCreated(
            tenant=self.log.tenant,
            mode=Mode.LIVE,
            documents=documents,
            participants=tuple(self._slot(who, number, documents) for number, who in enumerate(whose, 1)),
            order=OrderMode.PARALLEL,
            on_participant_fail=OnParticipantFail.CONTINUE if which % 5 else OnParticipantFail.CANCEL_FLOW,
            deadline=None,
            template=None,
            subject=of_envelope,
            message=None,
            metadata=None,
            location=self.places[which % 3],
            flow=self.places[0] if which % 2 else None,
            fields=tuple(self._field(who, document) for who in whose for document in documents),
            copies=tuple(
                CopyRecipient(self.log.uuid(), of_envelope, of_envelope, of_envelope if index else None)
                for index in range(which // 9 % 3)
            ),
        )
        processes = {slot.participant: self._process(envelope, slot, documents) for slot in created.participants}
        self.log.on_package(CreateEnvelope(envelope, created, processes, send=False))
        self.drafts.append(envelope)

    def _document(self, envelope: UUID, which: int) -> Document:
        title = self.log.personal("Contrato", SubjectKind.ENVELOPE, str(envelope)) if which % 2 else None
        return Document(self.log.uuid(), self.log.random.randbytes(32).hex(), 2, title, self.papers[which % 3])

    def _slot(self, who: UUID, number: int, documents: Sequence[Document]) -> Slot:
        return Slot(who, number, tuple(document.id for document in documents))

    def _field(self, who: UUID, document: Document) -> PlacedField:
        return PlacedField(who, document.id, FieldType.TEXT, 2, 0, 1, 2, 3, True, None)

    def _process(self, envelope: UUID, slot: Slot, documents: Sequence[Document]) -> ProcessCreated:
        mine = {document.id: document.sha256 for document in documents}
        email = f"{slot.participant.hex}@example.com"
        return ProcessCreated(
            tenant=self.log.tenant,
            mode=Mode.LIVE,
            envelope=envelope,
            number=slot.number,
            documents=tuple(DocumentReference(it, mine[it]) for it in slot.documents),
            modes=(SignatureMode.EMAIL,),
            name=self.log.personal("Ana", key=f"email:{email}"),
            email=self.log.personal(email, key=f"email:{email}"),
            phone=None,
            document_number=None,
            details=self.log.personal({"firstName": "Ana"}, key=f"email:{email}"),
            human_only=bool(slot.number % 2),
        )

    def _add_document(self, which: int) -> None:
        envelope = self.drafts[which % len(self.drafts)]
        whose = tuple(self.log.states[envelope].slots)
        self.log.on_package(AddDocument(envelope, self._document(envelope, which), whose[: which % 3]))

    def _add_participant(self, which: int) -> None:
        envelope = self.drafts[which % len(self.drafts)]
        state: Envelope = self.log.states[envelope]
        slot = self._slot(self.log.uuid(), len(state.slots) + 1, state.documents[which % 2 :])
        self.log.on_package(AddParticipant(envelope, slot, self._process(envelope, slot, state.documents)))

    def _send(self, which: int) -> None:
        envelope = self.drafts[which % len(self.drafts)]
        if which % 7 == 0:
            self.log.on_package(CancelEnvelope(envelope))
        self.log.on_package(SendEnvelope(envelope))
        self.drafts.remove(envelope)
        self.envelopes.append((envelope, tuple(self.log.states[envelope].slots)))

    def _session(self, which: int) -> None:
        """Opens a signing session, or the message to the participant comes back."""
        if not self.envelopes:
            return
        envelope, who = self._pick(which)
        invitation = self.log.states[who].invitation
        if which % 3 == 0 and invitation is not None:
            self.log.on_package(Participate(envelope, ReportBounce(who, invitation.id, BounceReason.REFUSED)))
        session = Session(self.log.uuid(), self.log.random.randbytes(32).hex(), self.log.now + timedelta(minutes=15))
        user = self.log.personal("user_1")
        self.log.on_package(Participate(envelope, OpenSession(who, session, user, self.log.now)))
