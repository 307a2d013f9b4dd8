"""A witness that is killed at a crash point: a process of its own, for the tests of crashes.

Arguments: its folder, the verifier key of the log, the private key of the witness, and where to die: `before` or `after` what it
remembers is on disk. Takes one request's body on standard input, answers on standard output.
"""

import os
import signal
import sys
from pathlib import Path

from domain.note import VerifierKey, parse_verifier_key
from domain.witnessing import Head
from infrastructure.clock import SystemClock
from infrastructure.signing_keys import SigningKey, from_text
from infrastructure.witness import Witness
from infrastructure.witness_store import STORE, WitnessStore


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DiesBefore(WitnessStore):
    """Dies before it remembers."""

    def advance(self, origin: str, seen: Head, new: Head, note: bytes) -> bool:
        die()
        return super().advance(origin, seen, new, note)


class DiesAfter:
    """A signer that dies when it is asked: what is to be cosigned has been remembered."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @property
    def key(self) -> VerifierKey:
        return self._key.key

    def sign(self, message: bytes) -> bytes:
        die()
        return self._key.sign(message)


def main(data: Path, log: str, private: str, where: str) -> None:
    key = from_text(private, "the argument")
    store = (DiesBefore if where == "before" else WitnessStore)(data / STORE)
    witness = Witness([parse_verifier_key(log)], store, DiesAfter(key) if where == "after" else key, SystemClock())
    sys.stdout.write(witness.add(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
