"""Whoever has something recorded is told where it came to stand: on every surface, in every answer, on repeats too.

One server with a tenant that has an object of every kind; whatever is asked of it is watched.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.receipt import ReceiptText, Standing, compare_with_entries, find_receipts, format_receipt, parse_receipt
from infrastructure.database import connect
from infrastructure.following import Connection
from tests.conftest import ORIGIN, Server
from tests.contract.authorization.estate import Estate, found
from tests.contract.partner_world import projecting, start
from tests.contract.test_authorization_matrix import IN_ORDER, ask, rightful

HEADER = "Countersign-Receipt"


def receipts_of(response: httpx.Response) -> list[ReceiptText]:
    """Those of the one header, or none."""
    values = response.headers.get_list(HEADER)
    assert len(values) <= 1
    return [parse_receipt(line) for line in values[0].split(", ")] if values else []


@dataclass(frozen=True)
class Asked:
    """A request with where the log ended before it and after it."""

    method: str
    path: str
    before: int
    after: int
    status: int
    receipts: list[ReceiptText]


@dataclass
class Watch:
    """Every request to the server. Nothing else appends while one is being answered."""

    connection: Connection
    asked: list[Asked] = field(default_factory=list)
    before: int = 0

    def head(self) -> int:
        ((position,),) = self.connection.execute("SELECT position FROM log_head").fetchall()
        return int(position)

    def request(self, request: httpx.Request) -> None:
        self.before = self.head()

    def response(self, response: httpx.Response) -> None:
        request = response.request
        self.asked.append(
            Asked(request.method, request.url.path, self.before, self.head(), response.status_code, receipts_of(response))
        )


@dataclass(frozen=True)
class Kept:
    """The estate, everything that was asked while it was made and used, and the entries of the log by then."""

    estate: Estate
    asked: list[Asked]
    entries: dict[tuple[UUID, int], tuple[int, bytes]]


@pytest.fixture(scope="module")
def kept(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    name = f"receipts_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with start(urls, tmp_path_factory.mktemp("receipts")) as world, projecting(urls), connect(urls.service) as connection:
        watch = Watch(connection)
        world.http.event_hooks = {"request": [watch.request], "response": [watch.response]}
        estate = found(world)
        # The signer's page first: what others do ends the sessions.
        for operation in sorted(IN_ORDER, key=lambda operation: operation[0] != "signer"):
            if (operation[1] != "get" or operation[0] == "signer") and operation[2] != "/api":  # that takes the credential away
                ask(estate, operation, rightful(estate, operation), estate.ids)
        world.http.event_hooks = {}
        stored = world.run(world.deps.recorder.read_log(0, 100_000))
        yield Kept(estate, watch.asked, {(entry.stream, entry.version): (entry.position, entry.leaf) for entry in stored})
    server.drop(name)


def surface_of(path: str) -> str:
    """By the paths that only one surface has; `/v1/documents` and `/v1/templates` are several's."""
    patterns = {
        "signer": "/sign/", "files": "/files/", "ledger": "/v1/ledger/", "signing": "/v1/signing/",
        "sessions": "/v1/(signing_|consents)", "signatures": "/v1/signatures", "partner": "/v1/templates",
    }  # fmt: skip
    return next((name for name, pattern in patterns.items() if re.match(pattern, path)), "")


def test_the_answer_to_whatever_was_recorded_carries_the_newest_head_first(kept: Kept) -> None:
    recorded = [asked for asked in kept.asked if asked.after > asked.before]
    assert {surface_of(asked.path) for asked in recorded} >= {
        "partner", "signing", "signatures", "sessions", "ledger", "files", "signer",
    }  # fmt: skip
    for asked in recorded:
        positions = [receipt.position for receipt in asked.receipts]
        assert positions == sorted(positions, reverse=True), asked
        assert positions, asked
        assert positions[0] == asked.after, asked
        assert len(positions) == len({receipt.stream for receipt in asked.receipts}) <= 8, asked


def test_every_receipt_is_of_an_entry_of_the_log(kept: Kept) -> None:
    all_of_them = [receipt for asked in kept.asked for receipt in asked.receipts]
    assert len(all_of_them) > 100
    for receipt in all_of_them:
        finding = compare_with_entries(receipt, kept.entries, len(kept.entries), ledger=ORIGIN)
        assert finding.standing is Standing.PREFIX


def test_what_only_reads_and_what_is_refused_carries_none(kept: Kept) -> None:
    reads = [asked for asked in kept.asked if asked.method == "GET" and asked.after == asked.before]
    assert len(reads) > 5
    refused = [asked for asked in kept.asked if asked.status >= 400 and asked.after == asked.before]
    assert [asked for asked in (*reads, *refused) if asked.receipts] == []


def test_a_repeat_carries_what_the_first_answer_did_though_the_log_went_on(kept: Kept) -> None:
    estate, key = kept.estate, {"Idempotency-Key": "receipts"}

    def create() -> httpx.Response:
        return estate.call("POST", "/v1/templates", {**estate.partner.headers, **key}, {"templateName": "Once"})

    first = create()
    template = first.json()["data"]["templateId"]
    renamed = estate.call("PUT", f"/v1/templates/{template}", estate.partner.headers, {"templateName": "Twice"})
    again = create()
    assert again.content == first.content
    assert receipts_of(again) == receipts_of(first) != []
    (now,) = receipts_of(renamed)
    assert (now.stream, now.version > receipts_of(first)[0].version) == (UUID(template), True)


def test_what_was_already_so_is_answered_with_the_heads_as_they_are(kept: Kept) -> None:
    estate = kept.estate
    consent = f"/v1/consents/{estate.ids['consent']}/withdraw"
    head = estate.world.head()
    response = estate.call("POST", consent, estate.organization, {})
    assert estate.world.head() == head
    (receipt,) = receipts_of(response)
    stored = estate.world.run(estate.world.deps.recorder.read_stream(receipt.stream))
    assert (receipt.version, receipt.leaf) == (stored[-1].version, stored[-1].leaf)


def test_an_envelope_of_many_is_answered_with_its_own_head_and_the_newest_of_the_others(kept: Kept) -> None:
    document = kept.estate.partner.document(count=12)
    response = kept.estate.call("DELETE", f"/v1/documents/{document['documentId']}/cancel", kept.estate.partner.headers)
    assert response.status_code == 200, response.text
    receipts = receipts_of(response)
    assert len(receipts) == 8
    assert UUID(document["documentId"]) in {receipt.stream for receipt in receipts}
    assert max(receipt.position for receipt in receipts) == kept.estate.world.head()


def test_the_heads_of_a_process_or_an_envelope_can_be_asked_for(kept: Kept) -> None:
    estate = kept.estate
    envelope, process = estate.ids["document"], estate.ids["process"]

    def heads(id: str) -> Any:
        return estate.ok("GET", f"/v1/ledger/heads/{id}", estate.partner.headers)

    whole, one = heads(envelope), heads(process)
    assert (whole["ledger"], whole["envelopeId"], whole["mode"]) == (ORIGIN, envelope, "live")
    assert [head["stream"] for head in one["heads"]] == [process[37:]]
    assert one["heads"][0] in whole["heads"]
    assert {head["processId"] for head in whole["heads"]} == {None, process}
    timeline = estate.ok("GET", f"/v1/ledger/timeline/{envelope}", estate.partner.headers)
    for head in whole["heads"]:
        last = [event for event in timeline["events"] if event["stream"] == head["stream"]][-1]
        assert {name: head[name] for name in ("version", "position", "hash", "at")} == {
            name: last[name] for name in ("version", "position", "hash", "at")
        }
        (receipt,) = find_receipts(head["receipt"])
        assert format_receipt(receipt) == head["receipt"]
        assert (str(receipt.stream), receipt.version, receipt.position, receipt.leaf.hex()) == (
            head["stream"], head["version"], head["position"], head["hash"],
        )  # fmt: skip
    assert heads(f"env_{UUID(envelope).hex}") == whole
    assert estate.call("GET", f"/v1/ledger/heads/{uuid4()}", estate.partner.headers).status_code == 404


def test_every_document_says_what_the_header_is(kept: Kept) -> None:
    for name, app in kept.estate.world.surfaces.items():
        assert HEADER in app.description or name == "log", name  # that one records nothing
