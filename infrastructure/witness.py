"""A witness: cosigns the checkpoints of the logs that it follows, each of them in one history only.

C2SP tlog-witness, "add-checkpoint", and tlog-cosignature (type 0x04).
"""

import logging
from collections.abc import Sequence

from domain.note import Signer, VerifierKey, cosign_text
from domain.witnessing import NotConsistent, Opened, Stale, TwoRoots, logs_by_origin, open_submission, require_growth
from infrastructure.clock import Clock
from infrastructure.signing_keys import verify_ed25519
from infrastructure.witness_store import WitnessStore

log = logging.getLogger(__name__)


class Witness:
    """Judges submissions. For any number of threads at once, and of processes over one store."""

    def __init__(self, logs: Sequence[VerifierKey], store: WitnessStore, signer: Signer, clock: Clock) -> None:
        """`logs` are the keys of the logs to follow, `signer` has a key of type COSIGNATURE."""
        self._logs = logs_by_origin(logs)
        self._store = store
        self._signer = signer
        self._clock = clock
        store.follow(self._logs)

    def add(self, raw: bytes) -> str:
        """The cosignature line, with its newline, for an add-checkpoint request's body.

        Raises WitnessRefusal, with nothing changed, or WitnessStoreError.
        """
        opened = open_submission(raw, self._logs, verify_ed25519)
        origin = opened.checkpoint.origin
        seen = self._store.head(origin)
        try:
            require_growth(opened, seen)
        except (NotConsistent, TwoRoots) as err:
            self._tell(opened, err)
            raise
        # Crash point: nothing is remembered and nothing signed. The log asks again from the same size.
        if not self._store.advance(origin, seen, opened.head, opened.note):
            raise Stale(self._store.head(origin).size)
        # Crash point: it is remembered, and nobody has the cosignature. The log is told the size (409), asks again from
        # it and gets a cosignature of this checkpoint; for another of this size it gets none.
        return f"{cosign_text(opened.text, self._signer, int(self._clock.now().timestamp()))}\n"

    def _tell(self, opened: Opened, err: NotConsistent | TwoRoots) -> None:
        """A log that signed two roots for one size has forked: the two notes together prove it to anybody."""
        level = logging.ERROR if isinstance(err, TwoRoots) else logging.WARNING
        before = self._store.note(opened.checkpoint.origin)
        log.log(level, "not cosigned: %s. Submitted: %r, cosigned before: %r", err, opened.note, before)
