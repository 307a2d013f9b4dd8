"""Cosigning: asks witnesses to cosign new checkpoints, and publishes a checkpoint once enough of them have.

C2SP tlog-witness, tlog-policy. Who may set `checkpoints.published`: the sealer, when it makes the row, where there is no
policy of witnesses; where there is one, nobody but the one active `Cosigner` of all processes, which sets it at the quorum or
when a checkpoint has waited for as long as the settings say. It is never taken back (migrations/0009). A witness that is away
delays nothing but its own cosignature.
"""

import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from domain.merkle import ProofError, assemble, consistency_plan, needed
from domain.note import Verified, VerifierKey
from domain.policy import Policy, PolicyError, Witness, parse_policy
from domain.tiles import Tile, TileError, read_nodes, tiles_for
from domain.witnessing import Submission
from infrastructure.clock import Clock
from infrastructure.database import Reads
from infrastructure.following import Connection
from infrastructure.installation import InstallationError
from infrastructure.witness_client import TIMEOUT_SECONDS, KnowsAnotherSize, WitnessClient, WitnessFailed, cosigned_at

log = logging.getLogger(__name__)

#: The name under which all processes' cosigners compete for the one lock.
NAME: Final = "cosigner"

#: How often the cosigner looks by itself, and how long it listens to witnesses before it looks for something newer.
POLL_SECONDS: Final = 0.25
#: Pauses before a witness is asked again; none when it told for the first time that it knows another size.
_RETRY_SECONDS: Final = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
#: The client's limits are for each step of a request, and headers may come in any number of steps.
_PATIENCE_SECONDS: Final = 4 * TIMEOUT_SECONDS

_NEWEST: Final = "SELECT size, note FROM public.checkpoints ORDER BY size DESC LIMIT 1"
_COSIGNED: Final = "SELECT max(size) FROM public.cosignatures WHERE key_name = %s AND key_id = %s"
_WAITING: Final = """
    SELECT size, (SELECT array_agg(key_name || ' ' || encode(key_id, 'hex')) FROM public.cosignatures AS c WHERE c.size = k.size)
    FROM public.checkpoints AS k
    WHERE NOT published AND size > coalesce((SELECT size FROM public.checkpoints WHERE published ORDER BY size DESC LIMIT 1), 0)
    ORDER BY size DESC"""
_TILES: Final = """
    SELECT level, index, content FROM unnest(%s::bigint[], %s::bigint[]) AS wanted(level, index)
    JOIN public.tiles USING (level, index)"""
_STANDING: Final = """
    SELECT c.size, c.at, w.error FROM unnest(%s::text[], %s::bytea[]) WITH ORDINALITY AS wanted(key_name, key_id, number)
    LEFT JOIN LATERAL (
        SELECT size, at FROM public.cosignatures AS k WHERE (k.key_name, k.key_id) = (wanted.key_name, wanted.key_id)
        ORDER BY size DESC LIMIT 1) AS c ON true
    LEFT JOIN public.witnesses AS w ON (w.key_name, w.key_id) = (wanted.key_name, wanted.key_id)
    ORDER BY wanted.number"""


class WitnessPolicyError(InstallationError):
    """The file of `witness_policy` cannot be used; the message says why."""


def read_witness_policy(path: Path) -> Policy:
    """The policy in a file, whose witnesses can be asked; raises WitnessPolicyError."""
    try:
        policy = parse_policy(path.read_bytes())
    except OSError as err:
        raise WitnessPolicyError(f"{path} cannot be read: {err.strerror}") from err
    except PolicyError as err:
        raise WitnessPolicyError(f"{path} is no policy: {err}") from err
    for witness in policy.witnesses:
        if witness.url is not None and not _is_web_address(witness.url):
            raise WitnessPolicyError(f"{path}: the address of the witness {witness.name} is not of the form https://host/path")
    if not _reachable(policy):
        raise WitnessPolicyError(f"{path} names no witness with an address to ask it at; add: witness NAME KEY URL")
    return policy


def _is_web_address(url: str) -> bool:
    try:
        address = urlsplit(url)
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.hostname) and not (address.query or address.fragment)


def _reachable(policy: Policy) -> list[Witness]:
    return [witness for witness in policy.witnesses if witness.url is not None]


@dataclass(frozen=True, slots=True)
class WitnessStanding:
    """A witness of the policy: the last size it cosigned (0 before the first) and when, and what is wrong with it now."""

    name: str
    last_size: int
    last_at: datetime | None
    error: str | None


class Cosigning:
    """What is known of the witnesses, for whoever shows it."""

    def __init__(self, policy: Policy, reads: Reads) -> None:
        self.policy = policy
        self._reads = reads

    async def standing(self) -> list[WitnessStanding]:
        """The witnesses that are asked, in the order of the policy. Raises DatabaseUnavailable."""
        asked = _reachable(self.policy)
        keys = [each.key.name for each in asked], [each.key.id for each in asked]
        async with self._reads.connection() as conn:
            rows = await (await conn.execute(_STANDING.encode(), keys)).fetchall()
        return [
            WitnessStanding(witness.name, size or 0, at, error) for witness, (size, at, error) in zip(asked, rows, strict=True)
        ]


class _Newest(NamedTuple):
    """The newest checkpoint: its size and its note, signed by the log alone."""

    size: int
    note: bytes


@dataclass(slots=True)
class _Asked:
    """How it stands with one witness: what it has seen, as far as is known here, and the request in hand.

    `submitted` is the size of that request's checkpoint; `asked_at` and `not_before` count seconds of the monotonic clock; `error` is what was
    last noted, and not None before that, so that the first success takes back what another process has noted.
    """

    name: str
    key: VerifierKey
    client: WitnessClient
    cosigned: int | None = None
    knows: int = 0
    answer: Future[Verified] | None = None
    submitted: int = 0
    asked_at: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    error: str | None = ""


class Cosigner:
    """The step of the follower that asks the witnesses of `policy`. Each is asked on its own, with the newest checkpoint."""

    def __init__(
        self, policy: Policy, clock: Clock, *, wait_seconds: float = 5.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._monotonic = monotonic
        witnesses = _reachable(policy)
        self._witnesses = [_Asked(each.name, each.key, WitnessClient(each, clock)) for each in witnesses]
        self._threads = ThreadPoolExecutor(max(1, len(witnesses)), thread_name_prefix="countersign-witness")
        self._first_seen: dict[int, float] = {}

    def close(self) -> None:
        """To be called when the follower has ended. Does not wait for witnesses. Idempotent."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for witness in self._witnesses:
            witness.client.close()

    def step(self, conn: Connection) -> bool:
        """Asks whoever has not cosigned the newest checkpoint, takes what has been answered, publishes what is due.

        True while answers are awaited, or somebody may be asked again at once.
        """
        row = conn.execute(_NEWEST, binary=True).fetchone()
        if row is None:
            return False
        newest = _Newest(*row)
        for witness in self._witnesses:
            self._ask(conn, witness, newest)
        answers = [witness.answer for witness in self._witnesses if witness.answer is not None]
        wait(answers, POLL_SECONDS, FIRST_COMPLETED)
        for witness in self._witnesses:
            if witness.answer is None:
                continue
            if witness.answer.done():
                self._take(conn, witness, witness.answer)
            elif self._monotonic() - witness.asked_at >= _PATIENCE_SECONDS:
                self._note(conn, witness, "it has begun to answer, and does not come to an end")
        self._publish(conn)
        return any(witness.answer is not None or self._is_due(witness, newest) for witness in self._witnesses)

    def _is_due(self, witness: _Asked, newest: _Newest) -> bool:
        return (witness.cosigned or 0) < newest.size and self._monotonic() >= witness.not_before

    def _ask(self, conn: Connection, witness: _Asked, newest: _Newest) -> None:
        if witness.cosigned is None:
            row = conn.execute(_COSIGNED, [witness.key.name, witness.key.id]).fetchone()
            witness.cosigned = witness.knows = (row[0] if row else None) or 0
        if witness.answer is not None or not self._is_due(witness, newest):
            return
        if witness.knows > newest.size:
            self._failed(
                conn, witness, f"it has cosigned size {witness.knows}, but the log ends at {newest.size}: was it set back?"
            )
            witness.knows = 0  # it says again what it knows
            return
        try:
            submission = Submission(witness.knows, _growth(conn, witness.knows, newest.size), newest.note)
        except (ProofError, TileError) as err:  # the sealer tells the same, louder; what is due is published none the less
            self._failed(conn, witness, f"it cannot be shown how the log grew from {witness.knows} to {newest.size}: {err}")
            return
        witness.submitted, witness.asked_at = newest.size, self._monotonic()
        witness.answer = self._threads.submit(witness.client.submit, submission)

    def _take(self, conn: Connection, witness: _Asked, answer: Future[Verified]) -> None:
        witness.answer = None
        try:
            cosignature = answer.result()
        except KnowsAnotherSize as err:
            witness.knows = err.size
            if witness.failures and err.size <= witness.submitted:  # it may tell one size after the other, and cosign none
                self._failed(conn, witness, str(err))
            else:
                witness.failures += 1
            return
        except WitnessFailed as err:
            self._failed(conn, witness, str(err))
            return
        # Crash point: the witness remembers, and nothing of it is here. It is asked again, tells the size, and cosigns again.
        conn.execute(
            "INSERT INTO public.cosignatures VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [
                witness.submitted,
                witness.key.name,
                witness.key.id,
                str(cosignature.signature),
                cosigned_at(cosignature, self._clock),
            ],
        )
        # Crash point: the cosignature is stored, and the checkpoint not published. The next look at what is due publishes it.
        witness.cosigned = witness.knows = witness.submitted
        self._note(conn, witness, None)
        witness.failures = 0

    def _failed(self, conn: Connection, witness: _Asked, error: str) -> None:
        witness.not_before = self._monotonic() + _RETRY_SECONDS[min(witness.failures, len(_RETRY_SECONDS) - 1)]
        witness.failures += 1
        self._note(conn, witness, error)

    def _note(self, conn: Connection, witness: _Asked, error: str | None) -> None:
        """Keeps what is wrong with a witness, when it has changed."""
        if error == witness.error:
            return
        conn.execute(
            "INSERT INTO public.witnesses VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (key_name, key_id) DO UPDATE SET error = excluded.error, at = excluded.at",
            [witness.key.name, witness.key.id, error, self._clock.now()],
        )
        if error is not None:
            log.warning("the witness %s does not cosign: %s", witness.name, error)
        elif witness.error:
            log.warning("the witness %s cosigns again", witness.name)
        witness.error = error

    def _publish(self, conn: Connection) -> None:
        """Publishes the newest checkpoint that has its quorum, or has waited; older ones are then of no use to anybody."""
        waiting = conn.execute(_WAITING).fetchall()
        now = self._monotonic()
        self._first_seen = {size: self._first_seen.get(size, now) for size, _ in waiting}
        for size, keys in waiting:
            if self._has_quorum(keys or ()) or now - self._first_seen[size] >= self._wait_seconds:
                conn.execute("UPDATE public.checkpoints SET published = true WHERE size = %s", [size])
                return

    def _has_quorum(self, keys: Collection[str]) -> bool:
        cosigners = [each.key for each in self._policy.witnesses if f"{each.key.name} {each.key.id.hex()}" in keys]
        return self._policy.has_quorum(cosigners)


def _growth(conn: Connection, old: int, new: int) -> tuple[bytes, ...]:
    """The proof that the sealed tree of `new` leaves begins with that of `old`, published or not; empty from size 0.

    Raises ProofError or TileError where the stored tiles give none.
    """
    if not old:
        return ()
    plan = consistency_plan(old, new)
    nodes = needed(plan)
    tiles = {(tile.level, tile.index): tile for tile in tiles_for(nodes, new)}
    rows = conn.execute(_TILES, [[level for level, _ in tiles], [index for _, index in tiles]], binary=True)
    content: dict[Tile, bytes] = {tiles[level, index]: found for level, index, found in rows}
    return assemble(plan, read_nodes(nodes, new, content))
