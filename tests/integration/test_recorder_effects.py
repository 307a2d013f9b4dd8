"""What becomes true together with the entries: answers kept for repeats, credits, disclosures, erasures."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from infrastructure.append import (
    Answer,
    AnswerErased,
    Append,
    Appended,
    CreditDebit,
    CreditsExhausted,
    Erasure,
    Idempotency,
    KeyReused,
    NewEntry,
    Receipt,
    SealedDisclosure,
    StaleAppend,
    StreamAppend,
)
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.recorder import LogReader, Recorder
from tests.conftest import ORIGIN
from tests.log_judge import judge

TENANT = uuid4()


@pytest.fixture
def recorders(database: DatabaseUrls) -> Iterator[list[Recorder]]:
    """Two, as in two processes."""
    made = [Recorder(database.service, ORIGIN, async_pool(database.service)) for _ in range(2)]
    for recorder in made:
        recorder.start()
    yield made
    for recorder in made:
        recorder.close()


def positions(receipts: Sequence[Receipt]) -> Answer:
    return Answer(201, "application/json", str([receipt.position for receipt in receipts]).encode())


def keyed(key: str, request: bytes = b"request", answer: Callable[[Sequence[Receipt]], Answer] = positions) -> Idempotency:
    return Idempotency("partner", key, request, answer)


def append(
    stream: UUID | None = None,
    *,
    idempotency: Idempotency | None = None,
    debit: CreditDebit | None = None,
    disclosures: tuple[SealedDisclosure, ...] = (),
    erase: tuple[Erasure, ...] = (),
) -> Append:
    part = StreamAppend(stream or uuid4(), 0, (NewEntry("test.happened/1", {}, {}),))
    return Append((part,), datetime.now(UTC), None, disclosures, idempotency, debit, erase)


def answered(database: DatabaseUrls, key: str, request: bytes = b"request") -> Answer | None:
    async def look() -> Answer | None:
        async with async_pool(database.service) as pool:
            return await LogReader(pool).answered("partner", key, request)

    return asyncio.run(look())


def test_a_repeat_gets_the_first_answer_and_appends_nothing(recorders: list[Recorder], database: DatabaseUrls) -> None:
    first = recorders[0].submit(append(idempotency=keyed("k"))).result()
    again = recorders[1].submit(append(idempotency=keyed("k"))).result()
    assert first == Appended(first.receipts, Answer(201, "application/json", b"[1]"))
    assert again == Appended((), first.answer, repeated=True)
    assert answered(database, "k") == first.answer
    assert answered(database, "other") is None
    assert len(judge(database.owner)) == 1


def test_the_same_key_with_another_request_is_refused(recorders: list[Recorder], database: DatabaseUrls) -> None:
    recorders[0].submit(append(idempotency=keyed("k"))).result()
    with pytest.raises(KeyReused):
        recorders[0].submit(append(idempotency=keyed("k", b"another"))).result()
    with pytest.raises(KeyReused):
        answered(database, "k", b"another")
    assert len(judge(database.owner)) == 1


def test_of_many_repeats_at_once_one_acts(recorders: list[Recorder], database: DatabaseUrls) -> None:
    """Within one batch and across two processes."""
    with ThreadPoolExecutor(16) as threads:
        futures = [
            threads.submit(lambda r: r.submit(append(idempotency=keyed("k"))).result(), recorders[n % 2]) for n in range(200)
        ]
        outcomes = [future.result() for future in futures]
    assert {outcome.answer for outcome in outcomes} == {Answer(201, "application/json", b"[1]")}
    assert sum(not outcome.repeated for outcome in outcomes) == 1
    assert len(judge(database.owner)) == 1


def test_a_refused_command_leaves_no_answer_behind(recorders: list[Recorder], database: DatabaseUrls) -> None:
    stream = uuid4()
    recorders[0].submit(append(stream)).result()
    with pytest.raises(StaleAppend):
        recorders[0].submit(append(stream, idempotency=keyed("k"))).result()
    assert answered(database, "k") is None
    assert not recorders[0].submit(append(idempotency=keyed("k"))).result().repeated


def test_an_answer_without_entries_is_kept_too(recorders: list[Recorder], database: DatabaseUrls) -> None:
    nothing_to_do = Append(
        (), datetime.now(UTC), idempotency=keyed("k", answer=lambda _: Answer(200, "text/plain", b"already so"))
    )
    assert recorders[0].submit(nothing_to_do).result() == Appended((), Answer(200, "text/plain", b"already so"))
    assert recorders[1].submit(nothing_to_do).result().repeated
    assert judge(database.owner) == []


def test_any_text_and_any_bytes_can_be_a_key_and_an_answer(recorders: list[Recorder]) -> None:
    body = bytes(range(256))
    for key in ("", "ключ 🔑", "a" * 1000, "'; --"):
        idempotency = keyed(key, b"", lambda _: Answer(204, "application/octet-stream", body))
        assert recorders[0].submit(append(idempotency=idempotency)).result().answer == Answer(
            204, "application/octet-stream", body
        )
        assert recorders[1].submit(append(idempotency=idempotency)).result().answer == Answer(
            204, "application/octet-stream", body
        )
    for key in ("nul\x00", "\ud800"):
        with pytest.raises(ValueError, match="cannot be stored"):
            recorders[0].submit(append(idempotency=keyed(key)))


def give_credits(database: DatabaseUrls, balance: int) -> None:
    with connect(database.service) as conn:
        conn.execute("INSERT INTO credits VALUES (%s, %s)", [TENANT, balance])


def balance_of(database: DatabaseUrls) -> int | None:
    with connect(database.service) as conn:
        row = conn.execute("SELECT balance FROM credits WHERE tenant = %s", [TENANT]).fetchone()
    return row[0] if row else None


def test_credits_run_out_and_never_below_zero(recorders: list[Recorder], database: DatabaseUrls) -> None:
    give_credits(database, 100)
    debit = CreditDebit(TENANT, 3)

    def publish(number: int) -> bool:
        try:
            recorders[number % 2].submit(append(debit=debit)).result()
        except CreditsExhausted:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        done = list(threads.map(publish, range(60)))
    assert sum(done) == 33
    assert balance_of(database) == 1
    assert len(judge(database.owner)) == 33


def test_credits_that_are_added_meanwhile_are_not_lost(recorders: list[Recorder], database: DatabaseUrls) -> None:
    give_credits(database, 0)

    def top_up(_: int) -> None:
        with connect(database.service) as conn:
            conn.execute("UPDATE credits SET balance = balance + 1 WHERE tenant = %s", [TENANT])

    def spend(_: int) -> bool:
        try:
            recorders[0].submit(append(debit=CreditDebit(TENANT, 1))).result()
        except CreditsExhausted:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        spent = threads.map(spend, range(60))
        list(threads.map(top_up, range(40)))
        taken = sum(spent)
    assert balance_of(database) == 40 - taken


def test_a_tenant_without_a_balance_is_not_limited_and_a_repeat_is_not_charged(
    recorders: list[Recorder], database: DatabaseUrls
) -> None:
    recorders[0].submit(append(debit=CreditDebit(TENANT, 1_000_000))).result()
    assert balance_of(database) is None
    give_credits(database, 10)
    for _ in range(3):
        recorders[0].submit(append(debit=CreditDebit(TENANT, 6), idempotency=keyed("k"))).result()
    assert balance_of(database) == 4
    with pytest.raises(ValueError, match="does not give"):
        recorders[0].submit(append(debit=CreditDebit(TENANT, -1)))


def make_subject(database: DatabaseUrls) -> UUID:
    subject = uuid4()
    with connect(database.service) as conn:
        conn.execute("INSERT INTO subjects VALUES (%s, %s, 'person', %s, 'wrapped')", [subject, TENANT, subject.bytes])
    return subject


def disclosing(subject: UUID, stream: UUID, key: str | None = None) -> Append:
    sealed = (SealedDisclosure(stream, 1, "/name", subject, b"ciphertext"),)
    return append(stream, disclosures=sealed, idempotency=keyed(key, answer=lambda _: Answer(200, "t", b"Ana")) if key else None)


def stored(database: DatabaseUrls, table: str) -> list[UUID]:
    column = {"subjects": "id", "disclosures": "subject"}[table]
    with connect(database.service) as conn:
        return [row[0] for row in conn.execute(f"SELECT {column} FROM {table} ORDER BY {column}".encode())]


def test_a_disclosure_is_stored_with_its_entry_and_not_without_it(recorders: list[Recorder], database: DatabaseUrls) -> None:
    subject, stream = make_subject(database), uuid4()
    recorders[0].submit(disclosing(subject, stream)).result()
    with pytest.raises(StaleAppend):
        recorders[0].submit(disclosing(subject, stream)).result()
    assert stored(database, "disclosures") == [subject]


def test_erasing_destroys_the_key_the_disclosures_and_the_answers_that_may_show_them(
    recorders: list[Recorder], database: DatabaseUrls
) -> None:
    erased, kept = make_subject(database), make_subject(database)
    one, other = uuid4(), uuid4()
    recorders[0].submit(disclosing(erased, one, "about the erased")).result()
    recorders[0].submit(disclosing(kept, other, "about somebody else")).result()

    erasure = append(erase=(Erasure(erased, 1),), idempotency=keyed("the erasure itself"))
    recorders[0].submit(erasure).result()

    assert stored(database, "subjects") == stored(database, "disclosures") == [kept]
    with pytest.raises(AnswerErased):
        answered(database, "about the erased")
    with pytest.raises(AnswerErased):
        recorders[1].submit(disclosing(erased, one, "about the erased")).result()
    assert answered(database, "about somebody else") == Answer(200, "t", b"Ana")
    assert recorders[1].submit(erasure).result().repeated
    assert len(judge(database.owner)) == 3


def test_what_was_decided_before_an_erasure_does_not_bring_the_erased_back(
    recorders: list[Recorder], database: DatabaseUrls
) -> None:
    subject, stream = make_subject(database), uuid4()
    recorders[0].submit(append(erase=(Erasure(subject, 0),))).result()
    with pytest.raises(StaleAppend, match="does not exist any more"):
        recorders[0].submit(disclosing(subject, stream)).result()
    assert stored(database, "disclosures") == []
    assert len(judge(database.owner)) == 1


def test_an_erasure_that_knows_too_few_disclosures_is_stale(recorders: list[Recorder], database: DatabaseUrls) -> None:
    subject = make_subject(database)
    recorders[0].submit(disclosing(subject, uuid4())).result()
    with pytest.raises(StaleAppend, match="does not have 0 disclosures"):
        recorders[0].submit(append(erase=(Erasure(subject, 0),))).result()
    assert stored(database, "subjects") == [subject]


def test_appends_and_erasures_at_once_leave_nothing_of_the_erased(recorders: list[Recorder], database: DatabaseUrls) -> None:
    subjects = [make_subject(database) for _ in range(10)]

    def erase(subject: UUID) -> None:
        for _ in range(100):
            with connect(database.service) as conn:
                row = conn.execute("SELECT count(*) FROM disclosures WHERE subject = %s", [subject]).fetchone()
            assert row is not None
            try:
                recorders[0].submit(append(erase=(Erasure(subject, row[0]),))).result()
            except StaleAppend:
                continue
            return
        raise AssertionError("the erasure was stale again and again")

    def disclose(number: int) -> bool:
        try:
            recorders[number % 2].submit(disclosing(subjects[number % 10], uuid4())).result()
        except StaleAppend:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        disclosed = threads.map(disclose, range(400))
        list(threads.map(erase, subjects))
        appended = sum(disclosed)
    assert stored(database, "subjects") == stored(database, "disclosures") == []
    assert len(judge(database.owner)) == appended + 10
