"""The witness as logs meet it, over HTTP, and what is left of its memory when it is killed."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer

import httpx
import pytest
from typer.testing import CliRunner, Result

from api.cli_witness import KEY, app
from api.http import Message
from api.witness import STATUSES, build
from domain.note import Note, SignatureType, Verified, check_signature, format_note, parse_note, parse_signature, sign_text
from domain.policy import Log, Policy, format_policy, parse_policy
from domain.spelling import to_base64
from domain.witnessing import MAX_SUBMISSION_BYTES, NOTHING, Head, Submission, WitnessRefusal, format_submission
from infrastructure.clock import FixedClock
from infrastructure.signing_keys import SigningKey, generate, load, verify_ed25519
from infrastructure.witness import Witness
from infrastructure.witness_store import STORE, WitnessStore, WitnessStoreError
from scripts.server_process import ROOT, ServerProcess
from tests.witness_server import MadeUpLog, made_up_log, witness_key, witness_server

AT = datetime(2026, 11, 21, 6, tzinfo=UTC)


class Asking:
    """A log, and the witness that it asks over HTTP."""

    def __init__(self, url: str, log: MadeUpLog, key: SigningKey, http: httpx.Client) -> None:
        self.log = log
        self.key = key
        self.url = url
        self._http = http

    def send(self, body: bytes | Iterator[bytes]) -> httpx.Response:
        return self._http.post(f"{self.url}/add-checkpoint", content=body)

    def cosigned(self, old: int, size: int) -> Verified:
        """Asks for what must be cosigned, and checks what comes."""
        answer = self.send(self.log.request(old, size))
        assert (answer.status_code, answer.text.count("\n")) == (200, 1), answer.text
        signature = parse_signature(answer.text.removesuffix("\n"))
        return check_signature(parse_note(self.log.note(size)).text, signature, self.key.key, verify_ed25519)

    def size(self) -> int:
        """The size that the witness says it knows."""
        answer = self.send(format_submission(Submission(2**62, (), self.log.note(2**62, bytes(32)))))
        assert (answer.status_code, answer.headers["content-type"]) == (409, "text/x.tlog.size")
        return int(answer.text)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, http: httpx.Client) -> Iterator[list[Asking]]:
    """One witness, and logs that have not asked it yet."""
    logs, key = [made_up_log(f"log.example/{number}") for number in range(100, 160)], witness_key()
    with witness_server(tmp_path_factory.mktemp("witness"), [log.key.key for log in logs], key, FixedClock(AT)) as url:
        yield [Asking(url, log, key, http) for log in logs]


@pytest.fixture
def asking(followed: list[Asking]) -> Asking:
    """A log that no other test asks for."""
    return followed.pop()


# --- what it cosigns ----------------------------------------------------------------------------------------------


def test_a_log_that_grows_is_cosigned_with_the_time(asking: Asking) -> None:
    assert [asking.cosigned(old, size).time for old, size in [(0, 0), (0, 3), (3, 3), (3, 4), (4, 9)]] == [
        int(AT.timestamp())
    ] * 5
    assert asking.size() == 9


def test_the_first_size_needs_no_proof_and_none_is_taken(asking: Asking) -> None:
    answer = asking.send(format_submission(Submission(0, (bytes(32),), asking.log.note(3))))
    assert (answer.status_code, asking.size()) == (422, 0)


def test_extension_lines_are_cosigned_as_they_stand(asking: Asking) -> None:
    note = asking.log.note(3, extensions=("further words",))
    answer = asking.send(format_submission(Submission(0, (), note)))
    check_signature(parse_note(note).text, parse_signature(answer.text[:-1]), asking.key.key, verify_ed25519)


def test_while_a_log_changes_its_key_either_signature_is_enough(tmp_path: Path, http: httpx.Client) -> None:
    old, new, key = made_up_log(), made_up_log(), witness_key()
    with witness_server(tmp_path, [old.key.key, new.key.key], key) as url:
        Asking(url, old, key, http).cosigned(0, 2)
        Asking(url, new, key, http).cosigned(2, 5)


def test_signatures_of_unknown_keys_do_not_count_and_do_no_harm(asking: Asking) -> None:
    stranger = generate(asking.log.origin, SignatureType.ED25519)
    text = parse_note(asking.log.note(3)).text
    signed, foreign = sign_text(text, asking.log.key), sign_text(text, stranger)
    assert asking.send(b"old 0\n\n" + format_note(Note(text, (foreign,)))).status_code == 403
    assert asking.send(b"old 0\n\n" + format_note(Note(text, (foreign, signed)))).status_code == 200


# --- what it refuses ----------------------------------------------------------------------------------------------


def test_another_size_than_the_one_it_knows_is_told(asking: Asking) -> None:
    asking.cosigned(0, 5)
    for old in (0, 4):
        answer = asking.send(asking.log.request(old, 9))
        assert (answer.status_code, answer.headers["content-type"], answer.text) == (409, "text/x.tlog.size", "5\n")
    assert asking.size() == 5


def test_a_smaller_tree_is_not_cosigned_after_a_larger_one(asking: Asking) -> None:
    asking.cosigned(0, 5)
    assert asking.send(asking.log.request(0, 3)).text == "5\n"
    assert asking.send(format_submission(Submission(5, (), asking.log.note(3)))).status_code == 400
    asking.cosigned(5, 9)


def test_a_log_that_forks_is_refused_and_nothing_is_remembered(asking: Asking, caplog: pytest.LogCaptureFixture) -> None:
    asking.cosigned(0, 5)
    fork = asking.log.forked()
    foreign = b"\xe2\x80\x94 somebody " + b"A" * 8_000 + b"\n"
    same_size = asking.send(fork.request(5, 5) + foreign)
    assert (same_size.status_code, same_size.headers["content-type"]) == (409, "text/plain; charset=utf-8")
    assert "another root" in same_size.text
    assert asking.send(fork.request(5, 9)).status_code == 422
    assert asking.send(format_submission(Submission(5, (), fork.note(9)))).status_code == 422
    assert asking.size() == 5
    asking.cosigned(5, 9)
    # Both notes together prove the fork, so both are in the witness's own log.
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert repr(fork.note(5)) in told.getMessage()
    assert repr(asking.log.note(5)) in told.getMessage()
    assert "somebody" not in told.getMessage()


def test_who_is_not_the_log_is_refused(asking: Asking) -> None:
    unknown = made_up_log("log.example/2")
    assert asking.send(unknown.request(0, 3)).status_code == 404
    note = asking.log.note(3)
    flipped = note[:-4] + (b"A" if note[-4:-3] != b"A" else b"B") + note[-3:]
    assert asking.send(b"old 0\n\n" + flipped).status_code == 403
    assert asking.size() == 0


def test_a_second_spelling_of_a_signature_is_refused_like_one_that_is_not_valid(asking: Asking) -> None:
    note = asking.log.note(3)
    assert note.endswith(b"=\n")
    # The last digit before the padding holds bits that count for nothing: here one of them is set.
    digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = len(note.rstrip(b"=\n")) - 1
    second = note[:at] + bytes((digits[digits.index(note[at]) + 1],)) + note[at + 1 :]
    assert asking.send(b"old 0\n\n" + second).status_code == 403
    elsewhere = second.replace(b"log.example/1", b"log.example/2")
    assert asking.send(b"old 0\n\n" + elsewhere).status_code == 404


HASH = to_base64(bytes(32)).encode()


@pytest.mark.parametrize(
    ("mutation", "head"),
    [
        ("nothing before the checkpoint", b""),
        ("no empty line", b"old 0\n"),
        ("a leading zero", b"old 00\n\n"),
        ("a sign", b"old +0\n\n"),
        ("no number", b"old \n\n"),
        ("two blanks", b"old  0\n\n"),
        ("a carriage return", b"old 0\r\n\n"),
        ("more than a size can be", b"old 9223372036854775808\n\n"),
        ("another word", b"size 0\n\n"),
        ("an octet beyond ASCII", b"old 0\xff\n\n"),
        ("a hash of 31 bytes", b"old 0\n" + to_base64(bytes(31)).encode() + b"\n\n"),
        ("a hash without padding", b"old 0\n" + HASH.rstrip(b"=") + b"\n\n"),
        ("a second spelling of a hash", b"old 0\n" + HASH[:-2] + b"B=\n\n"),
        ("64 hashes", b"old 0\n" + (HASH + b"\n") * 64 + b"\n"),
        ("an old size above the checkpoint's", b"old 4\n\n"),
    ],
)
def test_what_is_no_request_is_400(asking: Asking, mutation: str, head: bytes) -> None:
    answer = asking.send(head + asking.log.note(3))
    assert (answer.status_code, asking.size()) == (400, 0), mutation


@pytest.mark.parametrize("text", ["{0}\n3\n", "{0}\n03\n{1}\n", "{0}\n3\n{1}\n\nx\n", "{0}\n0\n{1}\n"])
def test_what_is_signed_and_no_checkpoint_is_400(asking: Asking, text: str) -> None:
    note = asking.log.signed(text.format(asking.log.origin, HASH.decode()))
    assert asking.send(b"old 0\n\n" + note).status_code == 400


def test_bodies_and_methods_are_bounded(asking: Asking, http: httpx.Client) -> None:
    body = asking.log.request(0, 3)
    assert asking.send(body + b"x" * MAX_SUBMISSION_BYTES).status_code == 413
    chunks = (b"x" * 8192 for _ in range(9))
    assert asking.send(chunks).status_code == 413
    assert http.get(f"{asking.url}/add-checkpoint").status_code == 405
    assert asking.send(body).status_code == 200


def test_every_refusal_has_a_status() -> None:
    assert set(STATUSES) == set(WitnessRefusal.__subclasses__())


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.witness.BODY_SECONDS", 0.05)
    with closing(WitnessStore(tmp_path / STORE)) as store:
        application = build(Witness([made_up_log().key.key], store, witness_key(), FixedClock(AT)))

        async def never() -> Message:
            await asyncio.sleep(60)
            return {}

        async def answer() -> list[int]:
            sent: list[int] = []

            async def send(message: Message) -> None:
                if "status" in message:
                    sent.append(message["status"])

            scope = {"type": "http", "method": "POST", "path": "/add-checkpoint", "headers": [], "query_string": b""}
            await application(scope, never, send)
            return sent

        assert asyncio.run(answer()) == [408]


# --- several at once ----------------------------------------------------------------------------------------------


def test_of_two_histories_that_come_at_once_one_is_cosigned(tmp_path: Path) -> None:
    """Two processes' worth of stores over one file, sixteen threads: never two roots for one size, and never back."""
    log, key = made_up_log(), witness_key()
    fork = log.forked()
    with closing(WitnessStore(tmp_path / STORE)) as one, closing(WitnessStore(tmp_path / STORE)) as other:
        witnesses = [Witness([log.key.key], store, key, FixedClock(AT)) for store in (one, other)]

        def ask(turn: int) -> tuple[int, bytes] | None:
            teller, size = (log, fork)[turn % 2], 1 + turn // 8
            witness = witnesses[turn // 2 % 2]
            for old in range(size + 1):
                try:
                    witness.add(teller.request(old, size))
                except WitnessRefusal:
                    continue
                return size, teller.history
            return None

        with ThreadPoolExecutor(16) as threads:
            cosigned = [each for each in threads.map(ask, range(96)) if each is not None]
        assert len({history for _, history in cosigned}) == 1
        assert one.head(log.origin).size == max(size for size, _ in cosigned)


def test_a_decision_on_what_has_changed_meanwhile_is_not_remembered(tmp_path: Path) -> None:
    """What tlog-witness warns of: A is checked at size N, B is remembered at N + K, then A would roll B back."""
    log = made_up_log()
    with closing(WitnessStore(tmp_path / STORE)) as store:
        store.follow([log.origin])
        small, large = Head(3, bytes([3]) * 32), Head(7, bytes([7]) * 32)
        assert store.advance(log.origin, NOTHING, large, b"large")
        assert not store.advance(log.origin, NOTHING, small, b"small")
        assert (store.head(log.origin), store.note(log.origin)) == (large, b"large")


def test_the_file_itself_does_not_go_back(tmp_path: Path) -> None:
    with closing(WitnessStore(tmp_path / STORE)) as store:
        store.follow(["log"])
        head = Head(5, bytes(32))
        assert store.advance("log", NOTHING, head, b"")
        for lower in (Head(4, bytes(32)), Head(5, bytes([1]) * 32)):
            with pytest.raises(WitnessStoreError, match="never goes back"):
                store.advance("log", head, lower, b"")
        store.follow(["log"])
        assert store.head("log") == head
    with closing(sqlite3.connect(tmp_path / STORE)) as connection, pytest.raises(sqlite3.IntegrityError, match="never forgets"):
        connection.execute("DELETE FROM heads")


def test_a_file_that_another_process_is_making_is_waited_for(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / STORE, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE theirs (one INTEGER)")
        Timer(0.1, lambda: other.execute("COMMIT")).start()
        with closing(WitnessStore(tmp_path / STORE)) as store:
            store.follow(["log"])
            assert store.head("log") == NOTHING


# --- crashes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("where", "remembered"), [("before", 3), ("after", 5)])
def test_killed_at_a_crash_point_it_goes_on_in_one_history(tmp_path: Path, where: str, remembered: int) -> None:
    log, key = made_up_log(), witness_key()
    fork = log.forked()
    with closing(WitnessStore(tmp_path / STORE)) as store:
        Witness([log.key.key], store, key, FixedClock(AT)).add(log.request(0, 3))
    arguments = [str(tmp_path), str(log.key.key), key.private_text(), where]
    killed = subprocess.run(
        [sys.executable, "-m", "tests.integration.witness_process", *arguments],
        input=log.request(3, 5), capture_output=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert (killed.returncode, killed.stdout) == (-9, b""), killed.stderr

    with closing(WitnessStore(tmp_path / STORE)) as store:
        witness = Witness([log.key.key], store, key, FixedClock(AT))
        assert store.head(log.origin).size == remembered
        for old in (0, 3, 5):
            with pytest.raises(WitnessRefusal):  # a log that uses the crash to tell another history
                witness.add(fork.request(old, 5))
        if where == "before":
            witness.add(log.request(3, 5))
        witness.add(log.request(5, 5))
        witness.add(log.request(5, 9))
        assert store.head(log.origin).size == 9


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "logs.txt"
    path.write_bytes(format_policy(Policy((Log(made_up_log().key.key),), (), (), "none")))
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


def test_the_command_makes_a_key_and_says_what_others_need(tmp_path: Path, http: httpx.Client) -> None:
    log, data = made_up_log(), tmp_path / "witness"
    policy = tmp_path / "logs.txt"
    policy.write_bytes(format_policy(Policy((Log(log.key.key),), (), (), "none")))
    arguments = ("witness", "--policy", str(policy), "--data", str(data), "--port", "0")
    process = ServerProcess(tmp_path / "process", *arguments, "--name", "witness.example/w1").start()
    try:
        key = load(data / KEY)
        assert stat.S_IMODE((data / KEY).stat().st_mode) == 0o600
        (line,) = [line.strip() for line in process.printed.decode().splitlines() if line.startswith("  witness ")]
        (witness,) = parse_policy(f"{line}\nquorum none\n".encode()).witnesses
        assert (witness.key, witness.url) == (key.key, process.url)
        Asking(process.url, log, key, http).cosigned(0, 3)
    finally:
        process.stop()
    with closing(WitnessStore(data / STORE)) as store:
        assert store.head(log.origin).size == 3


def test_the_command_tells_what_is_wrong(tmp_path: Path, policy: Path) -> None:
    data = tmp_path / "witness"
    assert "--name" in run("--policy", policy, "--data", data, "--port", 0).stderr
    assert "cannot be read" in run("--policy", tmp_path / "absent", "--data", data).stderr
    (tmp_path / "empty").write_text("quorum none\n")
    assert "no log to follow" in run("--policy", tmp_path / "empty", "--data", data).stderr
    assert "no policy" in run("--policy", __file__, "--data", data).stderr
    assert "plus sign" in run("--policy", policy, "--data", data, "--port", 0, "--name", "a+b").stderr


def test_a_witness_that_lost_its_memory_does_not_start_with_its_old_key(tmp_path: Path, policy: Path) -> None:
    data = tmp_path / "witness"
    data.mkdir()
    (data / KEY).write_text(witness_key().private_text() + "\n")
    failed = run("--policy", policy, "--data", data, "--port", 0)
    assert (failed.exit_code, "has forgotten" in failed.stderr, (data / STORE).exists()) == (1, True, False)
