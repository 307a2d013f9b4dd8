"""Checkpoints on their way to real witnesses on the loopback: some answer, some are gone, some have seen another history."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.app import running
from api.cli_keys import app
from domain.note import SignatureType, cosign_text, parse_note
from domain.policy import Log, Policy, Witness, format_policy, open_checkpoint, parse_policy
from domain.witnessing import SIZE_MEDIA_TYPE, Submission, format_size
from infrastructure.clock import FixedClock, OffsetClock, SystemClock
from infrastructure.cosigning import Cosigner, Cosigning, WitnessPolicyError, WitnessStanding, read_witness_policy
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.following import Connection
from infrastructure.installation import Installation
from infrastructure.log_keys import LogKeys
from infrastructure.sealed import Sealed, StoredCheckpoint
from infrastructure.sealer import Publication, Sealer
from infrastructure.settings import Settings
from infrastructure.signing_keys import SigningKey, generate, verify_ed25519
from infrastructure.witness_client import MAX_ANSWER_BYTES, KnowsAnotherSize, WitnessClient, WitnessFailed
from infrastructure.witness_store import STORE, WitnessStore
from tests.conftest import ORIGIN
from tests.integration.read_side import append, envelopes
from tests.integration.sealing import change
from tests.running import KEYS, in_loop
from tests.witness_server import MadeUpLog, made_up_log, witness_key, witness_server

ROWS = envelopes(3)

#: Where nobody listens: the discard service.
NOWHERE = "http://127.0.0.1:9"


class Stopwatch:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class World:
    """A ledger with a sealer, and a folder for each of three witnesses."""

    database: DatabaseUrls
    folder: Path
    conn: Connection
    keys: list[SigningKey]
    log_keys: LogKeys
    watch: Stopwatch
    appended: int = 0

    def seal(self, entries: int) -> int:
        """Signs a checkpoint of so many more entries, not published; answers its size."""
        with connect(self.database.owner) as owner:
            append(owner, ROWS[self.appended : self.appended + entries])
        self.appended += entries
        Sealer(self.log_keys, self.folder, SystemClock(), publication=Publication.AFTER_WITNESSES).step(self.conn)
        return self.appended

    def note(self, size: int) -> bytes:
        """The signed note of a checkpoint."""
        ((note,),) = self.conn.execute("SELECT note FROM checkpoints WHERE size = %s", [size], binary=True).fetchall()
        return bytes(note)

    def log(self) -> MadeUpLog:
        """Another log of the same name, signed with the same key."""
        return MadeUpLog(self.log_keys.signing()[0])

    @contextmanager
    def witness(self, number: int, port: int = 0) -> Iterator[str]:
        logs = [key.key for key in self.log_keys.signing()]
        with witness_server(self.folder / str(number), logs, self.keys[number], port=port) as url:
            yield url

    def seen(self, number: int) -> int:
        """The size that a witness remembers."""
        with closing(WitnessStore(self.folder / str(number) / STORE)) as store:
            return store.head(ORIGIN).size

    def policy(self, *urls: str, quorum: str = "all") -> Policy:
        lines = [f"witness w{number} {key.key} {url}" for number, (key, url) in enumerate(zip(self.keys, urls, strict=False))]
        names = " ".join(f"w{number}" for number in range(len(urls)))
        return parse_policy("\n".join([*lines, f"group g {quorum} {names}", "quorum g", ""]).encode())

    @contextmanager
    def cosigner(self, policy: Policy, wait_seconds: float = 5.0) -> Iterator[Callable[[], None]]:
        """Steps until nobody is waited for."""
        with closing(Cosigner(policy, SystemClock(), wait_seconds=wait_seconds, monotonic=self.watch)) as cosigner:

            def settle() -> None:
                while cosigner.step(self.conn):
                    pass

            yield settle

    def checkpoints(self) -> dict[int, tuple[bool, int]]:
        """Of each size whether it is published, and how many have cosigned it."""
        query = "SELECT size, published, (SELECT count(*) FROM cosignatures AS c WHERE c.size = k.size) FROM checkpoints AS k"
        return {size: (published, count) for size, published, count in self.conn.execute(query)}

    def read(self, policy: Policy) -> tuple[StoredCheckpoint | None, list[WitnessStanding]]:
        """The latest published checkpoint and the witnesses, as surfaces get them."""

        async def ask() -> tuple[StoredCheckpoint | None, list[WitnessStanding]]:
            async with async_pool(self.database.service) as pool:
                return await Sealed(pool).latest(), await Cosigning(policy, pool).standing()

        return asyncio.run(ask())


@pytest.fixture
def world(database: DatabaseUrls, tmp_path: Path) -> Iterator[World]:
    log_keys = LogKeys(ORIGIN, tmp_path)
    log_keys.add()
    keys = [witness_key(f"witness.example/w{number}") for number in range(3)]
    with connect(database.service) as conn:
        yield World(database, tmp_path, conn, keys, log_keys, Stopwatch())


def test_checkpoints_are_published_when_the_quorum_has_cosigned_them(world: World) -> None:
    with world.witness(0) as one, world.witness(1) as other:
        policy = world.policy(one, other)
        with world.cosigner(policy) as settle:
            settle()  # nothing to do yet
            for entries in (1, 5, 7):
                size = world.seal(entries)
                settle()
                assert world.checkpoints()[size] == (True, 2)
    latest, standing = world.read(policy)
    assert latest is not None
    log_key = world.log_keys.signing()[0].key
    known = replace(policy, logs=(Log(log_key),))
    accepted = open_checkpoint(latest.signed(), known, verify_ed25519)
    assert (accepted.checkpoint.size, policy.has_quorum(accepted.cosigners)) == (13, True)
    assert [(each.name, each.last_size, each.error) for each in standing] == [("w0", 13, None), ("w1", 13, None)]
    assert all(each.last_at is not None and abs(datetime.now(UTC) - each.last_at) < timedelta(minutes=1) for each in standing)


def test_a_lost_witness_delays_nothing_where_the_others_are_enough(world: World) -> None:
    with world.witness(0) as one:
        policy = world.policy(one, NOWHERE, quorum="any")
        with world.cosigner(policy) as settle:
            for entries in (4, 4):
                size = world.seal(entries)
                settle()
                assert world.checkpoints()[size] == (True, 1)
    _, (alive, lost) = world.read(policy)
    assert (alive.last_size, alive.error) == (8, None)
    assert (lost.name, lost.last_size, lost.last_at) == ("w1", 0, None)
    assert lost.error is not None
    assert "refused" in lost.error
    path = world.folder / "policy.txt"
    path.write_bytes(format_policy(policy))
    settings = {"DATABASE_URL": world.database.owner, "COUNTERSIGN_DATA": str(world.folder)}
    listed = CliRunner().invoke(app, ["witnesses"], env={**settings, "COUNTERSIGN_WITNESS_POLICY": str(path)})
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert [(name, size, state) for name, size, _, state in rows] == [("w0", "8", "cosigns"), ("w1", "0", lost.error)]
    assert "COUNTERSIGN_WITNESS_POLICY" in CliRunner().invoke(app, ["witnesses"], env=settings).stderr


def test_a_witness_that_does_not_answer_is_not_waited_for(world: World) -> None:
    with world.witness(0) as one, socket.create_server(("127.0.0.1", 0)) as silent:
        policy = world.policy(one, f"http://127.0.0.1:{silent.getsockname()[1]}", quorum="any")
        with closing(Cosigner(policy, SystemClock(), wait_seconds=60, monotonic=world.watch)) as cosigner:
            began = time.monotonic()
            for entries in (3, 4):
                size = world.seal(entries)
                while not world.checkpoints()[size][0]:
                    assert cosigner.step(world.conn), "it still listens to the silent one"
            assert time.monotonic() - began < 4
            world.watch.seconds = 20
            cosigner.step(world.conn)
    assert "does not come to an end" in (world.read(policy)[1][1].error or "")


def test_a_witness_that_tells_one_size_after_the_other_is_left_alone_and_shown(world: World) -> None:
    asked: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(int(self.rfile.read(int(self.headers["content-length"])).split()[1]))
            self.send_response(409)
            self.send_header("content-type", SIZE_MEDIA_TYPE)
            self.end_headers()
            self.wfile.write(format_size(1 + len(asked) % 2))

        def log_message(self, format: str, *args: object) -> None:
            pass

    world.seal(3)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        policy = world.policy(f"http://127.0.0.1:{server.server_port}")
        with world.cosigner(policy) as settle:
            settle()
        server.shutdown()
        thread.join()
    assert asked == [0, 2]
    assert world.read(policy)[1][0].error == "it has cosigned size 1 last"


def test_without_quorum_a_checkpoint_waits_and_is_then_published(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with world.witness(0) as one:
        with world.witness(1) as address:
            port = int(address.rpartition(":")[2])
        policy = world.policy(one, address)
        with world.cosigner(policy) as settle:
            world.seal(4)
            settle()
            assert world.checkpoints() == {4: (False, 1)}
            world.watch.seconds = 4.9
            settle()
            assert world.checkpoints() == {4: (False, 1)}
            world.watch.seconds = 5.0
            settle()
            assert world.checkpoints() == {4: (True, 1)}
            world.seal(4)
            settle()
            with world.witness(1, port):
                world.watch.seconds = 6.8  # it was asked at 0 and 4.9, and is left alone for two seconds after that
                settle()
                assert world.checkpoints()[8] == (False, 1)
                world.watch.seconds = 7.0
                settle()
    assert world.checkpoints() == {4: (True, 1), 8: (True, 2)}
    assert [each.error for each in world.read(policy)[1]] == [None, None]
    assert [record.getMessage().partition(":")[0] for record in caplog.records if "witness" in record.getMessage()] == [
        "the witness w1 does not cosign",
        "the witness w1 cosigns again",
    ]


def test_of_several_that_wait_the_newest_is_cosigned_and_published(world: World) -> None:
    sizes = [world.seal(entries) for entries in (1, 1, 1)]
    with world.witness(0) as one, world.cosigner(world.policy(one)) as settle:
        settle()
    assert world.checkpoints() == {sizes[0]: (False, 0), sizes[1]: (False, 0), sizes[2]: (True, 1)}


def test_a_cosignature_that_was_lost_on_its_way_is_given_again(world: World) -> None:
    """Crash point: the witness remembers a size of which nothing is stored here; its 409 tells it."""
    small = world.seal(3)
    with world.witness(0) as one:
        policy = world.policy(one)
        note = world.note(small)
        with closing(WitnessClient(policy.witnesses[0], SystemClock())) as client:
            client.submit(Submission(0, (), note))
            with pytest.raises(KnowsAnotherSize) as told:
                client.submit(Submission(0, (), note))
        assert told.value.size == small
        with world.cosigner(policy) as settle:
            settle()
            assert world.checkpoints() == {small: (True, 1)}
        large = world.seal(3)
        with world.cosigner(policy) as settle, world.cosigner(policy) as settle_too:
            settle()
            settle_too()  # another process, which knows nothing of it
    assert (world.checkpoints()[large], world.seen(0)) == ((True, 1), large)


def test_what_was_cosigned_before_a_crash_is_published_after_it(world: World) -> None:
    """Crash point: stored, and not published."""
    world.seal(3)
    with world.witness(0) as one, world.witness(1) as other:
        with world.cosigner(world.policy(one, other), wait_seconds=60) as settle:
            settle()
        world.seal(3)
        with world.cosigner(world.policy(one), wait_seconds=60) as settle:
            settle()
    assert world.checkpoints() == {3: (True, 2), 6: (True, 1)}
    world.seal(3)
    with world.witness(0) as one:
        with world.cosigner(world.policy(one, NOWHERE), wait_seconds=60) as settle:
            settle()
            assert world.checkpoints()[9] == (False, 1)
        with world.cosigner(world.policy(NOWHERE, quorum="any"), wait_seconds=60) as settle:
            settle()  # nobody needs to be asked again
    assert world.checkpoints()[9] == (True, 1)


def test_witnesses_that_have_seen_another_history_cosign_nothing(world: World) -> None:
    other = world.log().forked()
    with ExitStack() as stack:
        policy = world.policy(*(stack.enter_context(world.witness(number)) for number in range(3)), quorum="any")
        for witness, size in zip(policy.witnesses, (5, 9, 20), strict=True):
            with closing(WitnessClient(witness, SystemClock())) as client:
                client.submit(Submission(0, (), other.note(size)))
        world.seal(9)
        with world.cosigner(policy) as settle:
            for seconds in (0.0, 2.0, 6.0):
                world.watch.seconds = seconds
                settle()
    assert world.checkpoints() == {9: (True, 0)}
    assert [world.seen(number) for number in range(3)] == [5, 9, 20]
    standing = world.read(policy)[1]
    assert [each.last_size for each in standing] == [0, 0, 0]
    for each, error in zip(standing, ("422: ", "409: another root", "was it set back"), strict=True):
        assert error in (each.error or "")


def test_where_the_tree_cannot_be_read_nobody_cosigns_and_clients_are_not_held_up(world: World) -> None:
    with world.witness(0) as one, world.cosigner(world.policy(one)) as settle:
        world.seal(3)
        settle()
        world.seal(3)
        with connect(world.database.owner) as owner:
            change(owner, "DELETE FROM tiles")
        settle()
        world.watch.seconds = 6
        settle()
        assert world.checkpoints() == {3: (True, 1), 6: (True, 0)}
    (standing,) = world.read(world.policy(one))[1]
    assert (standing.last_size, "how the log grew from 3 to 6" in (standing.error or "")) == (3, True)


# --- answers of a witness that is none ----------------------------------------------------------------------------

LOG = made_up_log()
NOTE = LOG.note(3)
KEY = witness_key()
AT = datetime(2026, 11, 21, 6, tzinfo=UTC)


def cosignature(text: str = parse_note(NOTE).text, key: SigningKey = KEY, seconds: int = 0) -> bytes:
    return f"{cosign_text(text, key, int(AT.timestamp()) + seconds)}\n".encode()


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    media_type: str = "text/plain"
    location: str | None = None


@pytest.fixture(scope="module")
def false_witness() -> Iterator[tuple[WitnessClient, Answer]]:
    """A client, and what the server that it asks will answer."""
    answer = Answer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(answer.status)
            self.send_header("content-type", answer.media_type)
            self.send_header("content-length", str(len(answer.body)))
            if answer.location:
                self.send_header("location", answer.location)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        witness = Witness("w", KEY.key, f"http://127.0.0.1:{server.server_port}/prefix/")
        with closing(WitnessClient(witness, FixedClock(AT))) as client:
            yield client, answer
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(body=b""), "without a signature by its key"),
        (Answer(body=b"\xff\xfe\n"), "without a signature by its key"),
        (Answer(body=cosignature(key=witness_key())), "without a signature by its key"),
        (Answer(body=cosignature(text=parse_note(LOG.note(4)).text)), "is not valid for this text"),
        (Answer(body=cosignature().replace(KEY.key.name.encode(), b"another.example")), "without a signature by its key"),
        (Answer(body=cosignature(seconds=301)), "its clock and ours differ"),
        (Answer(body=cosignature(seconds=-301)), "its clock and ours differ"),
        (Answer(body=cosignature() * (1 + MAX_ANSWER_BYTES // len(cosignature()))), "more than 16384 bytes"),
        (Answer(409, b"3\n"), "answered 409: 3"),
        (Answer(409, b"03\n", "text/x.tlog.size"), "tells a size that is not"),
        (Answer(409, b"3", "text/x.tlog.size"), "tells a size that is not"),
        (Answer(409, b"0\n", "text/x.tlog.size"), "refuses size 0 and asks for it"),
        (Answer(307, b"", location="/elsewhere"), "answered 307"),
        (Answer(500, b"\x1b[31m no\nway " + b"x" * 500), r"answered 500: \[31m no way x{188}$"),
    ],
)
def test_what_is_no_cosignature_is_not_taken(false_witness: tuple[WitnessClient, Answer], answer: Answer, reason: str) -> None:
    client, given = false_witness
    vars(given).update(vars(answer))
    with pytest.raises(WitnessFailed, match=reason):
        client.submit(Submission(0, (), NOTE))


def test_lines_of_other_keys_are_passed_over(false_witness: tuple[WitnessClient, Answer]) -> None:
    client, given = false_witness
    vars(given).update(vars(Answer(body=b"words\n" + cosignature(key=witness_key()) + cosignature(seconds=-300))))
    assert client.submit(Submission(0, (), NOTE)).time == int(AT.timestamp()) - 300


# --- the settings, and a whole process ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no policy"),
        ("quorum none\n", "no witness with an address"),
        (f"witness w {KEY.key}\nquorum w\n", "no witness with an address"),
        (f"witness w {KEY.key} ftp://witness.example\nquorum w\n", "not of the form https"),
        (f"witness w {KEY.key} http://[\nquorum w\n", "not of the form https"),
        (f"witness w {generate('w', SignatureType.ED25519).key} http://w\nquorum w\n", "is no policy: line 1"),
    ],
    ids=["empty", "no witness", "no address", "another scheme", "no address that can be", "a log's key"],  # keys differ each time
)
def test_a_policy_whose_witnesses_cannot_be_asked_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "policy.txt"
    path.write_text(text)
    with pytest.raises(WitnessPolicyError, match=reason):
        read_witness_policy(path)


def test_a_policy_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(WitnessPolicyError, match="cannot be read"):
        read_witness_policy(tmp_path / "absent.txt")


@in_loop
async def test_a_process_seals_and_has_its_checkpoints_cosigned(database: DatabaseUrls, tmp_path: Path) -> None:
    key, policy = witness_key(), tmp_path / "policy.txt"
    settings = {"data": tmp_path, "witness_policy": policy, "witness_wait_seconds": 30}
    log_key = LogKeys(ORIGIN, tmp_path).add()
    with ExitStack() as stack:
        url = stack.enter_context(witness_server(tmp_path / "w", [log_key.key], key))
        policy.write_text(f"witness w {key.key} {url}\nquorum w\n")
        installation = Installation(Settings.model_validate(settings), database, KEYS, ORIGIN, None)
        async with running(installation, clock=OffsetClock()) as parts:
            assert parts.deps.cosigning is not None
            began = time.monotonic()
            covering = await parts.deps.sealed.wait(1, 10)  # the key's own entry
            assert covering is not None
            assert time.monotonic() - began < 5
            assert len(covering.cosignatures) == 1
            (standing,) = await parts.deps.cosigning.standing()
            assert (standing.last_size >= covering.size, standing.error) == (True, None)
