"""The log as files, proofs and a feed: what monitors, witnesses and other systems get to see of it."""

import asyncio
import json
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from domain.actor import Actor, ActorKind, Mode
from domain.checkpoint import Checkpoint, parse_checkpoint
from domain.entry import decode, leaf_hash
from domain.ids import event_id
from domain.merkle import root_of, verify_consistency, verify_inclusion
from domain.note import open_note
from domain.personal import Subject, SubjectKind
from domain.proof_text import parse_proof
from domain.template import CreateTemplate
from domain.tiles import Bundle, Tile, bundles, decode_bundle, decode_tile, tiles
from infrastructure.ledger import NO_ANSWER
from infrastructure.log_keys import LogKeys
from infrastructure.signing_keys import verify_ed25519
from tests.conftest import ORIGIN, Server
from tests.contract.partner_world import World, projecting, start
from tests.contract.signatures_world import project


@pytest.fixture(scope="module")
def sealed(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running server that signs checkpoints."""
    name = f"log_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with start(urls, tmp_path_factory.mktemp("log"), followers=True, checkpoint_seconds=0.5) as world, projecting(urls):
        own = project(world)
        for _ in range(3):
            own.signature()
        yield world
    server.drop(name)


async def _many_templates(world: World, count: int) -> None:
    tenant, ledger = uuid4(), world.deps.ledger
    by = Actor(ActorKind.OPERATOR, "test")
    made = [uuid4() for _ in range(count)]
    names = [world.deps.vault.conceal("Agreement", Subject(tenant, SubjectKind.TEMPLATE, str(each))) for each in made]
    commands = [CreateTemplate(tenant, Mode.LIVE, each, name, None) for each, name in zip(made, names, strict=True)]
    await asyncio.gather(*(ledger.handle(command, by, lambda outcome: NO_ANSWER) for command in commands))


def get(world: World, path: str, **headers: str) -> httpx.Response:
    return world.http.get(world.url + path, headers=headers)


def checkpoint(world: World) -> Checkpoint:
    """The published one, its signature verified, once it covers all that is in the log now."""
    head = world.head()
    keys = LogKeys(ORIGIN, world.deps.settings.data).known()
    for _ in range(100):
        response = get(world, "/ledger/checkpoint")
        if response.status_code == 200:
            assert response.headers["content-type"] == "text/plain; charset=utf-8"
            found = parse_checkpoint(open_note(response.content, keys, verify_ed25519).text)
            if found.size >= head:
                assert found.origin == ORIGIN
                return found
        time.sleep(0.05)
    raise AssertionError("the log is not sealed")


def test_the_tree_can_be_computed_from_the_files_alone(sealed: World) -> None:
    signed = checkpoint(sealed)
    leaves: list[bytes] = []
    for bundle in bundles(signed.size):
        response = get(sealed, f"/ledger/{bundle.path}")
        assert response.headers["content-type"] == "application/octet-stream"
        leaves += [leaf_hash(entry) for entry in decode_bundle(response.content, bundle.width)]
    assert root_of(leaves) == signed.root
    hashes = [
        digest
        for tile in tiles(signed.size)
        if tile.level == 0
        for digest in decode_tile(get(sealed, f"/ledger/{tile.path}").content, tile.width)
    ]
    assert hashes == leaves


def test_what_the_log_does_not_have_yet_is_not_found_and_what_is_no_path_neither(sealed: World) -> None:
    beyond = checkpoint(sealed).size + 1
    paths = [Tile(0, 0, beyond).path, Bundle(0, beyond).path, Tile(0, 1).path, Tile(1, 0).path, Bundle(7).path]
    for path in [*paths, "tile/0/0", "tile/0/x000/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/64/000", "tile/-1/000"]:
        response = get(sealed, f"/ledger/{path}")
        assert (response.status_code, response.json()["code"]) == (404, "not-found"), path


def test_a_full_tile_may_be_kept_for_ever_and_a_partial_one_for_a_minute(sealed: World) -> None:
    sealed.run(_many_templates(sealed, 256))
    size = checkpoint(sealed).size
    assert get(sealed, "/ledger/tile/0/000").headers["cache-control"] == "public, max-age=31536000, immutable"
    assert get(sealed, "/ledger/tile/entries/000").headers["cache-control"] == "public, max-age=31536000, immutable"
    assert get(sealed, f"/ledger/{Tile(0, 1, size - 256).path}").headers["cache-control"] == "public, max-age=60"
    # A monitor that saw an earlier checkpoint still gets its partial tile.
    assert get(sealed, "/ledger/tile/0/000.p/5").content == get(sealed, "/ledger/tile/0/000").content[: 5 * 32]


def test_every_entry_can_be_proven_by_its_position_and_by_its_event_s_id(sealed: World) -> None:
    signed = checkpoint(sealed)
    for position in (1, 2, signed.size // 2, signed.size):
        body = get(sealed, f"/v1/ledger/proofs/inclusion?position={position}").json()
        leaf, hashes = leaf_hash(body["entry"].encode()), [b64decode(each) for each in body["hashes"]]
        assert (body["leafHash"], body["leafIndex"]) == (leaf.hex(), position - 1)
        verify_inclusion(leaf, position - 1, body["size"], hashes, bytes.fromhex(body["root"]))
        proof = parse_proof(body["proof"].encode())
        assert (proof.index, list(proof.hashes)) == (position - 1, hashes)
        by_event = get(sealed, f"/v1/ledger/proofs/inclusion?event={event_id(decode(body['entry'].encode()).at, leaf)}").json()
        assert (by_event["position"], by_event["entry"]) == (position, body["entry"])
    unsigned = get(sealed, "/v1/ledger/proofs/inclusion?position=1&size=3")
    assert unsigned.status_code in (200, 422)


def test_what_is_signed_is_told_beside_where_the_log_ends(sealed: World) -> None:
    signed = checkpoint(sealed)
    body = get(sealed, "/v1/ledger/checkpoint").json()
    assert body["origin"] == ORIGIN
    assert signed.size <= body["size"] <= body["head"]  # an invitation may be delivered in between
    assert signed.size < body["size"] or body["root"] == signed.root.hex()
    assert (body["witnesses"], body["cosignatures"], body["alarm"]) == ([], [], None)
    project(sealed).signature()
    assert get(sealed, "/v1/ledger/checkpoint").json()["head"] > body["head"]


def test_the_log_can_be_shown_to_have_only_grown(sealed: World) -> None:
    before = checkpoint(sealed)
    project(sealed).signature()
    after = checkpoint(sealed)
    body = get(sealed, f"/v1/ledger/proofs/consistency?old={before.size}&new={after.size}").json()
    verify_consistency(before.size, after.size, [b64decode(each) for each in body["hashes"]], before.root, after.root)
    assert get(sealed, f"/v1/ledger/proofs/consistency?old={after.size}&new={after.size}").json()["hashes"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("inclusion", 422),
        ("inclusion?position=0", 422),
        ("inclusion?position=1&event=01J8XQ7M8VW2A6G2B0N7J5AZ7Q", 422),
        ("inclusion?position=-1", 422),
        ("inclusion?position=01", 422),
        ("inclusion?position=9223372036854775807", 404),
        ("inclusion?position=9223372036854775808", 422),
        ("inclusion?event=nonsense", 422),
        ("inclusion?event=01J8XQ7M8VW2A6G2B0N7J5AZ7Q", 404),
        ("inclusion?event=7ZZZZZZZZZZZZZZZZZZZZZZZZZ", 422),
        ("inclusion?position=1&size=9000000000", 422),
        ("consistency", 422),
        ("consistency?old=0", 422),
        ("consistency?old=2&new=1", 422),
        ("consistency?old=1&new=9000000000", 422),
    ],
)
def test_a_proof_that_cannot_be_is_refused_in_words(sealed: World, query: str, status: int) -> None:
    checkpoint(sealed)
    response = get(sealed, f"/v1/ledger/proofs/{query}")
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_the_feed_has_every_entry_once_and_waits_for_the_next(sealed: World) -> None:
    after, positions = 0, []
    while found := get(sealed, f"/v1/ledger/entries?after={after}&limit=7").json()["entries"]:
        positions += [each["position"] for each in found]
        assert all(leaf_hash(each["entry"].encode()).hex() == each["hash"] for each in found)
        after = positions[-1]
    assert positions == list(range(1, after + 1))
    assert get(sealed, f"/v1/ledger/entries?after={after}").json() == {"entries": [], "next": after}
    own = project(sealed)
    later = threading.Timer(0.3, own.signature)
    later.start()
    began = time.monotonic()
    waited = get(sealed, f"/v1/ledger/entries?after={after}&wait=20").json()
    later.join()
    assert waited["entries"][0]["position"] == after + 1
    assert time.monotonic() - began < 10


def test_a_stream_goes_on_where_the_client_was(sealed: World) -> None:
    own, start_at = project(sealed), sealed.head() - 2

    def lines(last: int, count: int) -> list[int]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
        found: list[int] = []
        with sealed.http.stream("GET", f"{sealed.url}/v1/ledger/entries", headers=headers) as response, closing(response):
            assert response.headers["content-type"].startswith("text/event-stream")
            for line in response.iter_lines():
                if line.startswith("data: "):
                    found.append(json.loads(line[6:])["position"])
                    if len(found) == count:
                        break
        return found

    later = threading.Timer(0.3, own.signature)
    later.start()
    assert lines(start_at, 4) == [start_at + 1, start_at + 2, start_at + 3, start_at + 4]
    later.join()
    assert lines(start_at + 4, 1) == [start_at + 5]


def test_a_log_that_is_not_public_takes_any_credential(server: Server, migrated_template: str, tmp_path: Path) -> None:
    name = f"log_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with start(urls, tmp_path, followers=True, checkpoint_seconds=0.5, public_log=False) as world, projecting(urls):
        own = project(world)
        own.signature()
        paths = ["/ledger/checkpoint", "/ledger/tile/0/000.p/1", "/v1/ledger/entries", "/v1/ledger/proofs/inclusion?position=1"]
        for _ in range(100):
            if get(world, paths[0], Authorization=f"Bearer {own.key}").status_code == 200:
                break
            time.sleep(0.05)
        for path in [*paths, "/v1/ledger/checkpoint", "/v1/ledger/proofs/consistency?old=1"]:
            assert get(world, path).status_code == 401, path
            assert get(world, path, Authorization="Bearer ck_live_wrong").status_code == 401, path
            assert get(world, path, Authorization=f"Bearer {own.key}").status_code == 200, path
        caching = get(world, paths[1], Authorization=f"Bearer {own.key}").headers["cache-control"]
        assert caching == "private, max-age=60"
    server.drop(name)
