"""The library on a real database: what the read model shows is what the deciders know, and only to its owner."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain import library as rules
from domain.actor import Actor, ActorKind, Mode
from domain.errors import LibraryDocumentNotFound, Refusal
from domain.library import (
    CommentDocument,
    CreateDocument,
    DeleteDocument,
    DocumentKind,
    FinalizeDocument,
    LibraryCommand,
    LibraryDocument,
    ReviseDocument,
    StoreDocumentFile,
)
from domain.personal import Personal, Subject, SubjectKind
from domain.template import StoredFile
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.ledger import NO_ANSWER, Outcome
from infrastructure.reading import AsyncConnection
from infrastructure.vault import Reference
from projections import library, rebuild
from projections.library import LIBRARY, CommentRow, DocumentRow
from projections.rebuild import ensure_tables
from projections.runner import Runner
from tests.given import digest
from tests.histories import RecordedLog
from tests.integration.read_side import append
from tests.running import Running, in_loop, running

T = TypeVar("T")

USER = Actor(ActorKind.USER, "u")
EVERY_KIND = tuple(DocumentKind)
FILE = StoredFile(digest("deed"), 4_000, 2)


def catch_up(database: DatabaseUrls, batch: int = 500) -> None:
    ensure_tables(database.owner)
    with connect(database.service) as conn:
        while Runner((LIBRARY,), batch=batch).step(conn):
            pass


class Desk:
    """What users do with the library of one tenant."""

    def __init__(self, parts: Running) -> None:
        self.parts = parts
        self.tenant = parts.tenant

    def subject(self, user: str) -> Subject:
        return Subject(self.tenant, SubjectKind.PERSON, f"user:https://issuer.example|{user}")

    def by(self, user: str, value: str) -> Personal:
        return self.parts.deps.vault.conceal(value, self.subject(user))

    def about(self, document: UUID, value: Any) -> Personal:
        return self.parts.deps.vault.conceal(value, Subject(self.tenant, SubjectKind.DOCUMENT, str(document)))

    async def do(self, command: LibraryCommand) -> Outcome:
        made: list[Outcome] = []

        def keep(outcome: Outcome) -> Any:
            made.append(outcome)
            return NO_ANSWER

        await self.parts.deps.ledger.handle(command, USER, keep)
        return made[-1]

    async def create(
        self, owner: str, title: str = "My house", kind: DocumentKind = DocumentKind.CHATTEL, mode: Mode = Mode.LIVE
    ) -> UUID:
        document = self.parts.deps.new_id()
        command = CreateDocument(
            self.tenant,
            mode,
            document,
            kind,
            "vehicle",
            self.about(document, title),
            self.about(document, "red"),
            self.about(document, {"currency": "USD"}),
            self.by(owner, owner),
        )
        await self.do(command)
        return document

    async def read(self, ask: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        await asyncio.to_thread(catch_up, self.parts.urls)
        async with self.parts.deps.reads.connection() as conn:
            return await ask(conn)

    async def owned(self, user: str, **options: Any) -> list[UUID]:
        whose = await self.parts.deps.vault.subject_id(self.subject(user))
        kinds = options.pop("kinds", (DocumentKind.CHATTEL,))
        mode = options.pop("mode", Mode.LIVE)
        if whose is None:
            return []
        rows = await self.read(lambda conn: library.owned(conn, self.tenant, mode, kinds, whose, **options))
        return [row.id for row in rows]

    async def get(self, document: UUID, *, mode: Mode = Mode.LIVE, owner: str | None = None) -> DocumentRow | None:
        whose = None if owner is None else await self.parts.deps.vault.subject_id(self.subject(owner))
        return await self.read(lambda conn: library.get(conn, self.tenant, mode, EVERY_KIND, document, owner=whose))

    async def comments(self, document: UUID, mode: Mode = Mode.LIVE, **options: int) -> tuple[CommentRow, ...]:
        return await self.read(lambda conn: library.comments(conn, self.tenant, mode, document, **options))

    async def texts(self, references: Iterable[Reference | None]) -> list[Any]:
        wanted = [reference for reference in references if reference is not None]
        opened = await self.parts.deps.vault.open(wanted)
        return [opened[reference].value if reference in opened else None for reference in wanted]


@in_loop
async def test_a_document_shows_what_it_was_revised_to(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        desk = Desk(parts)
        document = await desk.create("ana")
        row = await desk.get(document)
        assert row is not None
        shown = await desk.texts((row.title, row.description, row.details, row.owner))
        assert shown == ["My house", "red", {"currency": "USD"}, "ana"]
        await desk.do(ReviseDocument(document, "leasehold_estate", desk.about(document, "My flat"), None))
        revised = await desk.get(document)
        assert revised is not None
        assert (revised.type, revised.description) == ("leasehold_estate", None)
        assert await desk.texts((revised.title, revised.details, revised.owner)) == ["My flat", {"currency": "USD"}, "ana"]
        assert revised.created_position == row.created_position
        assert revised.updated_position == await parts.head()
        assert revised.updated_at > revised.created_at == row.created_at


@in_loop
async def test_a_user_lists_what_is_the_user_s_own_the_last_updated_first(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        desk = Desk(parts)
        first, second, third = [await desk.create("ana", str(number)) for number in range(3)]
        other = await desk.create("ben")
        test = await desk.create("ana", mode=Mode.TEST)
        render = await desk.create("ana", kind=DocumentKind.RENDER)
        assert await desk.owned("ana") == [third, second, first]
        await desk.do(StoreDocumentFile(first, FILE))
        await desk.do(CommentDocument(second, uuid4(), desk.by("ana", "ana"), desk.by("ana", "hm")))
        assert await desk.owned("ana") == [first, third, second], "a comment is no update"
        assert await desk.owned("ben") == [other]
        assert await desk.owned("eve") == []
        assert await desk.owned("ana", mode=Mode.TEST) == [test]
        assert await desk.owned("ana", kinds=EVERY_KIND) == [first, render, third, second]
        row = await desk.get(third)
        assert row is not None
        assert await desk.owned("ana", before=row.updated_position, limit=1) == [second]
        await desk.do(DeleteDocument(third))
        assert await desk.owned("ana") == [first, second]
        with pytest.raises(LibraryDocumentNotFound):
            await desk.do(DeleteDocument(third))


@in_loop
async def test_what_belongs_to_somebody_else_is_as_if_it_were_not_there(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        desk = Desk(parts)
        document = await desk.create("ana")
        await desk.create("ben")
        assert await desk.get(document, owner="ana") is not None
        assert await desk.get(document, owner="ben") is None
        assert await desk.get(document, mode=Mode.TEST) is None
        other = Desk(parts)
        other.tenant = await parts.deps.identity.create_tenant("Another")
        assert await other.get(document) is None
        await desk.do(CommentDocument(document, uuid4(), desk.by("ana", "ana"), desk.by("ana", "hm")))
        assert len(await desk.comments(document)) == 1
        assert await desk.comments(document, Mode.TEST) == ()
        assert await other.comments(document) == ()


@in_loop
async def test_the_last_eighty_comments_are_shown_the_oldest_of_them_first(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        desk = Desk(parts)
        document = await desk.create("ana")
        made = [uuid4() for _ in range(83)]
        for number, comment in enumerate(made):
            await desk.do(CommentDocument(document, comment, desk.by("ana", "ana"), desk.by("ana", f"no. {number}")))
        shown = await desk.comments(document)
        assert [comment.id for comment in shown] == made[3:]
        assert (await desk.texts(comment.text for comment in shown))[:2] == ["no. 3", "no. 4"]
        assert await desk.texts([shown[0].author]) == ["ana"]
        assert [comment.id for comment in await desk.comments(document, limit=2)] == made[-2:]
        row = await desk.get(document)
        assert row is not None
        assert row.comments == 83
        await desk.do(DeleteDocument(document))
        assert await desk.comments(document) == ()


@in_loop
async def test_an_erased_user_owns_nothing_and_has_said_nothing(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as parts:
        desk = Desk(parts)
        document = await desk.create("ana")
        await desk.do(CommentDocument(document, uuid4(), desk.by("ana", "ana"), desk.by("ana", "hm")))
        await parts.deps.ledger.erase(desk.subject("ana"), "gdpr-17-1-b", USER)
        assert await desk.owned("ana") == []
        (comment,) = await desk.comments(document)
        assert await desk.texts((comment.author, comment.text)) == [None, None]
        row = await desk.get(document)
        assert row is not None
        assert await desk.texts((row.title, row.owner)) == ["My house", None]


class Shelf:
    """A log of documents to which things are done at random; what is refused leaves no trace."""

    def __init__(self, seed: int) -> None:
        self.log = RecordedLog(seed=seed)
        self.documents: list[UUID] = []
        self.comments: dict[UUID, list[UUID]] = {}

    def go(self, which: int) -> None:
        log = self.log
        if not self.documents or which % 5 == 0:
            self.documents.append(log.uuid())
            self.comments[self.documents[-1]] = []
            self.on(self._creation(self.documents[-1], which // 5))
            return
        document = self.documents[which // 5 % len(self.documents)]
        comment = log.uuid()
        commands = (
            StoreDocumentFile(document, StoredFile("23" * 32, 1_000, 3)),
            ReviseDocument(document, ("vehicle", None)[which % 2], self._text(document, which), self._text(document, which // 2)),
            CommentDocument(document, comment, log.personal("ana"), log.personal("hm")),
            FinalizeDocument(document),
            DeleteDocument(document),
        )
        command = commands[which // 7 % len(commands)]
        with suppress(Refusal):
            self.on(command)
            if isinstance(command, CommentDocument):
                self.comments[document].append(comment)

    def on(self, command: LibraryCommand) -> None:
        state: LibraryDocument | None = self.log.states.get(command.document)
        facts = rules.decide(command, state, self.log.now)
        for fact in facts:
            state = rules.evolve(state, fact, self.log.now)
        self.log.states[command.document] = state
        self.log.record({command.document: facts})
        self.log.later()

    def _creation(self, document: UUID, which: int) -> CreateDocument:
        kind = EVERY_KIND[which % 3]
        file = FILE if which % 2 else None
        title, owner = self._text(document, which), self.log.personal("ana") if which % 7 else None
        return CreateDocument(
            self.log.tenant, Mode.LIVE, document, kind, "vehicle", title, None, self._text(document, which // 3), owner, file
        )

    def _text(self, document: UUID, which: int) -> Personal | None:
        return self.log.personal(f"text {which}", SubjectKind.DOCUMENT, str(document)) if which % 3 else None

    async def check(self, conn: AsyncConnection) -> None:
        for document in self.documents:
            await self._check(conn, document, self.log.states[document])

    async def _check(self, conn: AsyncConnection, document: UUID, state: LibraryDocument) -> None:
        row = await library.get(conn, self.log.tenant, Mode.LIVE, [state.kind], document)
        made = await library.comments(conn, self.log.tenant, Mode.LIVE, document)
        if state.deleted:
            assert (row, made) == (None, ())
            return
        assert row is not None
        assert (row.kind, row.type, row.file, row.final) == (state.kind, state.type, state.file, state.final)
        assert (row.title is None, row.description is None) == (state.title is None, state.description is None)
        assert (row.finalized_at is not None) is state.final
        assert row.comments == len(state.comments)
        assert [comment.id for comment in made] == self.comments[document]
        own = [entry for entry in self.log.rows if entry.stream == document]
        says = [entry.version for entry in own if entry.type in ("document.created/1", "document.revised/1")][-1]
        assert row.title in (None, Reference(document, says, "/title"))
        assert row.details == (Reference(document, 1, "/details") if b'"/details"' in own[0].raw else None)
        assert row.owner == (Reference(document, 1, "/owner") if b'"/owner"' in own[0].raw else None)
        updates = [entry.position for entry in own if entry.type != "document.commented/1"]
        assert (row.created_position, row.updated_position) == (own[0].position, updates[-1])
        assert await library.get(conn, self.log.tenant, Mode.LIVE, set(EVERY_KIND) - {state.kind}, document) is None


def rows(database: DatabaseUrls) -> list[Any]:
    with connect(database.service) as conn:
        return [
            conn.execute(f"SELECT to_jsonb(t) FROM read.{table} AS t ORDER BY t::text".encode()).fetchall()
            for table in LIBRARY.tables
        ]


# The log only grows, so an example cannot be run again on what it began with: no reuse, no shrinking.
@settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.integers(0, 10_000), min_size=20, max_size=80), batch=st.integers(1, 30), kept=st.integers(1, 50))
def test_the_library_shows_what_the_deciders_know_however_it_was_made(
    database: DatabaseUrls, acts: list[int], batch: int, kept: int
) -> None:
    shelf = Shelf(uuid4().int)
    for which in acts:
        shelf.go(which)
    with connect(database.owner) as conn:
        head = append(conn, shelf.log.rows)
    for row in shelf.log.rows:  # as they stand in the log, which other examples have begun
        object.__setattr__(row, "position", row.position + head - len(shelf.log.rows))
    catch_up(database, batch)

    async def check() -> None:
        async with async_pool(database.service) as pool, pool.connection() as conn:
            await shelf.check(conn)

    asyncio.run(check())
    followed = rows(database)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rebuild, "BATCH", batch)
        patch.setattr(rebuild, "ROWS_KEPT", kept)
        patch.setattr(rebuild, "_CLOSE", batch)
        rebuild.rebuild(database.owner)
    assert rows(database) == followed


def test_pages_of_the_library_go_on_where_they_ended(database: DatabaseUrls) -> None:
    shelf = Shelf(3)
    while len(shelf.documents) < 9:
        shelf.go(5 * len(shelf.documents))
    with connect(database.owner) as conn:
        append(conn, shelf.log.rows)
    catch_up(database)

    async def paged(descending: bool) -> list[UUID]:
        seen: list[UUID] = []
        after = None
        async with async_pool(database.service) as pool, pool.connection() as conn:
            while found := await library.page(
                conn, shelf.log.tenant, Mode.LIVE, EVERY_KIND, 4, after=after, descending=descending
            ):
                seen += [row.id for row in found]
                after = found[-1].created_position
        return seen

    assert asyncio.run(paged(False)) == shelf.documents
    assert asyncio.run(paged(True)) == shelf.documents[::-1]


def test_no_personal_value_nor_commitment_reaches_the_library_s_rows(database: DatabaseUrls) -> None:
    shelf = Shelf(4)
    for which in range(60):
        shelf.go(which)
    with connect(database.owner) as conn:
        append(conn, shelf.log.rows)
    catch_up(database)
    text = str(rows(database))
    assert str(shelf.documents[0]) in text
    assert "text " not in text
    assert "ana" not in text
    commitments = {item.commitment for entry in _personal(shelf) for item in entry}
    assert commitments
    assert not [commitment for commitment in commitments if commitment in text]


def _personal(shelf: Shelf) -> list[list[Personal]]:
    states = [state for state in shelf.log.states.values() if isinstance(state, LibraryDocument)]
    return [[value for value in (state.title, state.description) if value is not None] for state in states]
