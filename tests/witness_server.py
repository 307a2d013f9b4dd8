"""A real witness on the loopback, and a log of made-up leaves that asks it."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import uvicorn

from api.witness import build
from domain.checkpoint import Checkpoint, format_checkpoint
from domain.merkle import EMPTY_ROOT, consistency_proof, root_of
from domain.note import Note, SignatureType, VerifierKey, format_note, sign_text
from domain.witnessing import Submission, format_submission
from infrastructure.clock import Clock, SystemClock
from infrastructure.signing_keys import SigningKey, generate
from infrastructure.witness import Witness
from infrastructure.witness_store import STORE, WitnessStore


@contextmanager
def witness_server(
    data: Path, logs: Sequence[VerifierKey], key: SigningKey, clock: Clock | None = None, port: int = 0
) -> Iterator[str]:
    """The address of a witness that remembers in `data`."""
    data.mkdir(parents=True, exist_ok=True)
    listening = socket.create_server(("127.0.0.1", port))
    with closing(WitnessStore(data / STORE)) as store:
        witness = Witness(logs, store, key, clock or SystemClock())
        server = uvicorn.Server(uvicorn.Config(build(witness), lifespan="off", log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, args=([listening],), name="witness")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


def witness_key(name: str = "witness.example/w1") -> SigningKey:
    return generate(name, SignatureType.COSIGNATURE)


def made_up_log(origin: str = "log.example/1") -> "MadeUpLog":
    return MadeUpLog(generate(origin, SignatureType.ED25519))


@dataclass(frozen=True)
class MadeUpLog:
    """A log whose leaf i is a hash of its history and i, so logs with other histories have other trees, after what they share."""

    key: SigningKey
    history: bytes = b"one"
    shared: int = 0

    @property
    def origin(self) -> str:
        return self.key.key.name

    def leaves(self, size: int) -> list[bytes]:
        return [sha256((b"" if at < self.shared else self.history) + bytes((at,))).digest() for at in range(size)]

    def forked(self) -> "MadeUpLog":
        """The same log, of the same key, as it tells another history."""
        return replace(self, history=b"another")

    def note(self, size: int, root: bytes | None = None, extensions: tuple[str, ...] = ()) -> bytes:
        """The signed checkpoint of its first `size` leaves."""
        root = root or (root_of(self.leaves(size)) if size else EMPTY_ROOT)
        return self.signed(format_checkpoint(Checkpoint(self.origin, size, root, extensions)))

    def signed(self, text: str) -> bytes:
        return format_note(Note(text, (sign_text(text, self.key),)))

    def proof(self, old: int, size: int) -> tuple[bytes, ...]:
        return consistency_proof(self.leaves(size), old) if old else ()

    def request(self, old: int, size: int) -> bytes:
        """What it sends to a witness that has cosigned size `old`."""
        return format_submission(Submission(old, self.proof(old, size) if old <= size else (), self.note(size)))
