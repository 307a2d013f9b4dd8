"""Two API processes and a worker beside them on one database: nothing is lost, doubled or out of order."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pytest

from infrastructure.database import connect
from infrastructure.fsck import fsck
from infrastructure.verification import Expectations
from scripts.server_process import ServerProcess
from tests.e2e.servers import Partner, Published, Site, body, eventually, outbox, site, someone

T = TypeVar("T")


@dataclass
class Several:
    """The running processes, a client at each API process, and what their answers acknowledged."""

    site: Site
    apis: tuple[Partner, Partner]
    worker: ServerProcess
    template: str
    receipts: dict[int, bytes] = field(default_factory=dict)

    def complete(self, api: Partner, document: Published, number: int, *, key: str = "") -> httpx.Response:
        who = document.participants[number]
        answer = api.complete(who, api.token(document.id, who), key=key)
        if answer.status_code == 200:
            acknowledged = answer.json()["acknowledgement"]
            for place in (*acknowledged["documents"], acknowledged["head"]):
                self.receipts[place["position"]] = bytes.fromhex(place["hash"])
        return answer

    def facts(self, stream: UUID) -> Counter[str]:
        """How often each fact stands in a stream."""
        with connect(self.site.urls.service) as conn:
            rows = conn.execute("SELECT type FROM log WHERE stream = %s", [stream]).fetchall()
        return Counter(type_.partition("/")[0] for (type_,) in rows)

    def judge(self) -> None:
        """Positions are gapless, chains right, and every acknowledged entry is where its answer said."""
        report = fsck(self.site.urls.service, Expectations(self.receipts))
        try:
            assert list(report.faults) == []
            assert report.verdict == "valid"
        finally:
            report.close()


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Several]:
    with site(tmp_path_factory.mktemp("several") / "data", {"COUNTERSIGN_READ_WAIT_SECONDS": "1"}) as where:
        apis = [where.start("serve", "--no-followers", name=name) for name in ("first", "second")]
        worker = where.start("worker")
        first, second = (where.partner(api) for api in apis)
        yield Several(where, (first, second), worker, first.template())


def at_once(*acts: Callable[[], T]) -> list[T]:
    """Does all of them at the same time; what each gave, in order."""
    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(act) for act in acts]]


def test_two_participants_complete_at_once_through_different_processes(several: Several) -> None:
    first, second = several.apis
    documents = [first.publish(several.template, someone(), someone()) for _ in range(12)]

    def sign(number: int, api: Partner) -> Sequence[httpx.Response]:
        return [several.complete(api, document, number, key=f"{document.id}/{number}") for document in documents]

    answers = at_once(lambda: sign(0, first), lambda: sign(1, second))

    assert [answer.status_code for side in answers for answer in side] == [200] * 24
    for document, *pair in zip(documents, *answers, strict=True):
        words = sorted(answer.json()["envelope_status"] for answer in pair)
        assert words == ["completed", "partially_signed"], "one of the two was the last"
        assert several.facts(document.id)["envelope.completed"] == 1
        assert first.call("GET", f"/v1/documents/{document.id}")["status"] == "COMPLETED"
    # A repeat through the other process gets the first answer, byte for byte.
    for document, answer in zip(documents, answers[0], strict=True):
        repeated = several.complete(second, document, 0, key=f"{document.id}/0")
        assert (repeated.status_code, repeated.content) == (200, answer.content)
    several.judge()


def test_extending_and_cancelling_race_through_different_processes(several: Several) -> None:
    first, second = several.apis
    for number in range(8):
        document = first.publish(several.template, someone(), someone(), deadlineAt="2098-01-01T00:00:00Z")
        # Both processes know its state, so each decides at first on what it remembers.
        assert several.complete(second, document, 0).status_code == 200

        def extend(document: Published = document, number: int = number) -> httpx.Response:
            later = {"newDeadlineAt": f"2098-02-{number + 1:02}T00:00:00Z"}
            return first.ask("POST", f"/v1/documents/{document.id}/extend", later, key=str(uuid4()))

        def cancel(document: Published = document) -> httpx.Response:
            return second.ask("DELETE", f"/v1/documents/{document.id}/cancel", key=str(uuid4()))

        def sign(document: Published = document) -> httpx.Response:
            return several.complete(first, document, 1)

        extended, cancelled, signed = at_once(extend, cancel, sign)

        facts = several.facts(document.id)
        assert {extended.status_code, cancelled.status_code, signed.status_code} <= {200, 404, 409, 410}
        assert facts["envelope.deadline-extended"] == (extended.status_code == 200)
        assert facts["envelope.cancelled"] == (cancelled.status_code == 200)
        assert facts["envelope.completed"] == (signed.status_code == 200)
        assert facts["envelope.cancelled"] + facts["envelope.completed"] == 1, "one of the two ended it"
    several.judge()


def test_one_request_sent_to_both_processes_at_once_acts_once(several: Several) -> None:
    first, second = several.apis
    before = outcome_counts(several)
    for _ in range(8):
        wanted, key = body(several.template, someone()), str(uuid4())

        def publish(api: Partner, wanted: Any = wanted, key: str = key) -> httpx.Response:
            return api.ask("POST", "/v1/documents", wanted, key=key)

        one, other = at_once(partial(publish, first), partial(publish, second))
        assert (one.status_code, one.content) == (201, other.content)
        assert other.status_code == 201
        changed = second.ask("POST", "/v1/documents", body(several.template, someone()), key=key)
        assert changed.status_code == 409, changed.text
    assert outcome_counts(several)["envelope.created"] == before["envelope.created"] + 8
    several.judge()


def outcome_counts(several: Several) -> Counter[str]:
    with connect(several.site.urls.service) as conn:
        rows = conn.execute("SELECT split_part(type, '/', 1), count(*) FROM log GROUP BY 1").fetchall()
    return Counter(dict(rows))


def test_credits_are_spent_to_the_last_and_never_below_by_both_processes(several: Several) -> None:
    spending = several.site.command("credits", "--tenant", str(several.site.tenant), "--set", "7")
    assert spending.exit_code == 0, spending.output
    try:

        def publish(api: Partner) -> int:
            return api.ask("POST", "/v1/documents", body(several.template, someone()), key=str(uuid4())).status_code

        answers = at_once(*(partial(publish, api) for api in several.apis * 8))

        assert Counter(answers) == {201: 7, 402: 9}
        left = several.site.command("credits", "--tenant", str(several.site.tenant))
        assert left.stdout.strip() == "0"
    finally:
        several.site.command("credits", "--tenant", str(several.site.tenant), "--unlimited")
    several.judge()


def test_reads_and_invitations_go_on_when_the_worker_is_killed_and_another_is_started(several: Several) -> None:
    first, second = several.apis
    several.worker.kill()
    during = first.publish(several.template, someone("during"))
    # Nobody keeps the read models: a read says so instead of showing old data. What is read from the log is there.
    refused = second.ask("GET", f"/v1/documents/{during.id}")
    assert refused.status_code == 503
    assert refused.json()["code"] == "service_unavailable"
    assert len(second.events(during.id)) > 0
    assert several.complete(second, during, 0).status_code == 200

    several.worker.start()
    after = second.publish(several.template, someone("after"))

    assert eventually(lambda: first.ask("GET", f"/v1/documents/{after.id}").status_code == 200, 5)
    assert first.call("GET", f"/v1/documents/{during.id}")["status"] == "COMPLETED"
    eventually(lambda: invited(several, after), 5)
    several.judge()


def test_a_second_worker_takes_over_within_seconds_and_each_invitation_is_delivered_once(several: Several) -> None:
    first, _ = several.apis
    other = several.site.start("worker", name="second-worker")
    documents = [first.publish(several.template, someone(), someone()) for _ in range(10)]
    eventually(lambda: all(invited(several, document) for document in documents))

    several.worker.kill()
    late = first.publish(several.template, someone(), someone())
    eventually(lambda: first.ask("GET", f"/v1/documents/{late.id}").status_code == 200, 10)
    eventually(lambda: invited(several, late), 10)

    for document in (*documents, late):
        for who in document.participants:
            assert several.facts(who)["signing.invitation-delivered"] == 1
    with connect(several.site.urls.service) as conn:
        tries = dict(conn.execute("SELECT attempts, count(*) FROM deliveries WHERE status = 'delivered' GROUP BY 1").fetchall())
    assert set(tries) == {1}, "none was sent a second time"
    other.stop()
    several.worker.start()
    several.judge()


def invited(several: Several, document: Published) -> bool:
    """Whether every participant has an invitation in the outbox, and the log says so."""
    mails = "\n".join(mail.name for mail in outbox(several.site.data))
    return all(str(who) in mails and several.facts(who)["signing.invitation-delivered"] for who in document.participants)


def test_an_entry_is_told_alike_by_both_processes(several: Several, tmp_path: Path) -> None:
    first, second = several.apis
    document = first.publish(several.template, someone("told"), key=str(uuid4()))
    told: Any = second.events(document.id)
    assert told == first.events(document.id)[: len(told)]  # the invitation may be delivered in between
    assert [event["position"] for event in told] == sorted(event["position"] for event in told)
    assert json.loads(told[0]["entry"])["type"] == "envelope.created/3"
    export = several.site.command("export", str(tmp_path / "log.jsonl"))
    assert export.exit_code == 0, export.output
    assert several.site.command("verify", str(tmp_path / "log.jsonl")).exit_code == 0
