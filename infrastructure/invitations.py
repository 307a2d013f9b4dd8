"""Invitations by mail: a follower notes what the log says is to be sent, senders send it and report back.

At least once: the token is derived from the invitation's id, so what is sent again after a crash is the
same message with the same Message-ID. What came of it is a fact; the table holds only work to do.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from domain.actor import Actor, ActorKind
from domain.coordination import Participate
from domain.entry import decode
from domain.envelope import Envelope
from domain.errors import Conflict
from domain.ids import ProcessId
from domain.receipt import ReceiptText
from domain.signing import (
    BounceReason,
    Channel,
    InvitationBounced,
    InvitationResent,
    Invited,
    ReportBounce,
    ReportDelivery,
    Signing,
)
from infrastructure.aggregates import evolve
from infrastructure.append import RecorderUnavailable
from infrastructure.clock import Clock
from infrastructure.codec import decode_fact
from infrastructure.database import DatabaseUnavailable
from infrastructure.following import Connection, LogEntry
from infrastructure.invitation_message import InvitationText, compose
from infrastructure.invitation_mint import InvitationMint
from infrastructure.lanes import Lanes
from infrastructure.ledger import NO_ANSWER, Ledger
from infrastructure.mail import AddressUnusable, Mailer, MailRefused, MailUnavailable
from infrastructure.notifications import LogListener
from infrastructure.recorder import LogReader, StoredEntry
from infrastructure.retries import Retry
from infrastructure.vault import Reference, Vault

log = logging.getLogger(__name__)

FOLLOWER: Final = "invitations"
BY: Final = Actor(ActorKind.FOLLOWER, FOLLOWER)

#: How often a sender looks for work by itself; what the follower notes wakes it at once.
POLL_SECONDS: Final = 1.0

_SENT_BY: Final = frozenset((Invited.TYPE, InvitationResent.TYPE))

_NOTE: Final = (
    "INSERT INTO deliveries (invitation, signing, position, next_attempt_at)"
    " SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::timestamptz[]) ON CONFLICT (invitation) DO NOTHING"
)
_CLAIM: Final = (
    "UPDATE deliveries SET attempts = attempts + 1, next_attempt_at = %(until)s WHERE invitation = ("
    "SELECT invitation FROM deliveries WHERE status = 'waiting' AND next_attempt_at <= %(now)s"
    " ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING invitation, signing, attempts"
)
_SETTLE: Final = "UPDATE deliveries SET status = %s, error = %s WHERE invitation = %s"
_POSTPONE: Final = "UPDATE deliveries SET next_attempt_at = %s, error = %s WHERE invitation = %s AND status = 'waiting'"


@dataclass(frozen=True, slots=True)
class Sender:
    """What the messages say of us: where links lead, and the address they come from."""

    base_url: str
    mail_from: str
    ledger: str


@dataclass(frozen=True, slots=True)
class _Claimed:
    invitation: UUID
    signing: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class _Void:
    """No message is due any more; `reason` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Settled:
    """How a row ends, in the words of the table."""

    status: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Process:
    """A signing as its stream tells it, with what the stream says of one invitation."""

    state: Signing
    head: StoredEntry
    has_address: bool
    bounced: frozenset[UUID]


class Invitations:
    """Sends the invitations that the log asks for. One per process; several processes share the work.

    `url` connects as the service role. `pool`, `ledger` and `vault` belong to the event loop that runs it.
    """

    def __init__(
        self,
        url: str,
        listener: LogListener,
        pool: AsyncConnectionPool,
        reader: LogReader,
        ledger: Ledger,
        vault: Vault,
        mint: InvitationMint,
        mailer: Mailer,
        clock: Clock,
        sender: Sender,
        *,
        retry: Retry | None = None,
        lanes: int = 4,
    ) -> None:
        self._url = url
        self._listener = listener
        self._pool = pool
        self._reader = reader
        self._ledger = ledger
        self._vault = vault
        self._mint = mint
        self._mailer = mailer
        self._clock = clock
        self._sender = sender
        self._retry = retry or Retry()
        self._lanes = lanes

    async def run(self, stop: asyncio.Event) -> None:
        """Notes and sends until `stop` is set; finishes the messages in hand."""

        async def send_next(stop: asyncio.Event) -> bool:
            return await self.send_next()

        lanes = Lanes(
            self._url, self._listener, FOLLOWER, note_invitations, send_next, count=self._lanes, poll_seconds=POLL_SECONDS
        )
        await lanes.run(stop)

    async def send_next(self) -> bool:
        """Takes one delivery that is due and sees it through; false when none is."""
        claimed = await self._claim()
        if claimed is None:
            return False
        try:
            settled = await self._deliver(claimed)
        except MailUnavailable as err:
            settled = await self._postpone(claimed, err)
        except Exception:
            with contextlib.suppress(DatabaseUnavailable):
                await self._again(claimed, "internal")
            raise
        if settled is not None:
            # Crash point: the fact stands, the row still waits. The next attempt finds the fact and sends nothing.
            await self._execute(_SETTLE, [settled.status, settled.error, claimed.invitation])
        return True

    async def _claim(self) -> _Claimed | None:
        # The attempt counts before it is made: one that kills its process cannot be made for ever.
        now = self._clock.now()
        async with self._pool.connection() as conn:
            found = await conn.execute(_CLAIM.encode(), {"now": now, "until": now + self._retry.lease})
            row = await found.fetchone()
        return None if row is None else _Claimed(*row)

    async def _deliver(self, claimed: _Claimed) -> _Settled | None:
        """Sends the message unless that was done or is pointless, then records what came of it.

        Raises MailUnavailable, and whatever a database that cannot be reached raises.
        """
        process = await self._process(claimed.signing)
        if claimed.invitation in process.state.reported:
            return _Settled("bounced" if claimed.invitation in process.bounced else "delivered")
        text = await self._text(claimed, process)
        if isinstance(text, _Void):
            return _Settled("void", text.reason)
        if isinstance(text, BounceReason):
            return await self._bounce(claimed, process.state, text)
        if claimed.attempt > self._retry.attempts:
            return await self._bounce(claimed, process.state, BounceReason.UNREACHABLE)
        try:
            message = compose(text, self._sender.base_url, self._sender.mail_from, self._clock.now())
            # Crash point: nothing has been sent. The row is due again when its lease ends.
            await self._mailer.send(message, _file_name(claimed))
        except AddressUnusable:
            return await self._bounce(claimed, process.state, BounceReason.NO_ADDRESS)
        except MailRefused as err:
            return await self._bounce(claimed, process.state, BounceReason.REFUSED, err.code)
        # Crash point: the message is out and nothing says so. It will be sent again, the same one.
        await self._report(process.state, ReportDelivery(claimed.signing, claimed.invitation, Channel.EMAIL))
        return _Settled("delivered")

    async def _process(self, signing: UUID) -> _Process:
        entries = await self._reader.read_stream(signing)
        state: Any = None
        bounced = set()
        for stored in entries:
            entry = decode(stored.raw)
            fact = decode_fact(entry.type, entry.data, entry.personal)
            state = evolve(state, fact, entry.at)
            if isinstance(fact, InvitationBounced):
                bounced.add(fact.invitation)
        if not isinstance(state, Signing):
            raise LookupError(f"{signing} is not a signing")
        has_address = "/email" in decode(entries[0].raw).personal
        return _Process(state, entries[-1], has_address, frozenset(bounced))

    async def _text(self, claimed: _Claimed, process: _Process) -> InvitationText | _Void | BounceReason:
        state, head, now = process.state, process.head, self._clock.now()
        if state.status.final:
            return _Void("ended")
        if state.invitation is None or state.invitation.id != claimed.invitation:
            return _Void("superseded")
        envelope = await self._ledger.state(Envelope, state.envelope)
        if envelope is None or envelope.status.final or now > state.invitation.expires_at:
            return _Void("ended")
        if envelope.deadline is not None and now > envelope.deadline:
            return _Void("ended")
        if not process.has_address:
            return BounceReason.NO_ADDRESS
        email, name = Reference(claimed.signing, 1, "/email"), Reference(claimed.signing, 1, "/name")
        subject, message = Reference(state.envelope, 1, "/subject"), Reference(state.envelope, 1, "/message")
        opened = {place: item.value for place, item in (await self._vault.open((email, name, subject, message))).items()}
        address = opened.get(email)
        if not isinstance(address, str):
            return BounceReason.ERASED
        return InvitationText(
            invitation=claimed.invitation,
            process=ProcessId(state.envelope, claimed.signing),
            token=self._mint.token(claimed.invitation),
            expires_at=state.invitation.expires_at,
            sender=await self._tenant_name(state.tenant),
            documents=len(state.documents),
            deadline=envelope.deadline,
            address=address,
            name=_words(opened.get(name)),
            subject=_words(opened.get(subject)),
            message=_words(opened.get(message)),
            receipt=ReceiptText(self._sender.ledger, head.stream, head.version, head.position, head.leaf),
        )

    async def _tenant_name(self, tenant: UUID) -> str:
        async with self._pool.connection() as conn:
            row = await (await conn.execute("SELECT name FROM tenants WHERE id = %s", [tenant])).fetchone()
        return "Somebody" if row is None else str(row[0])

    async def _bounce(self, claimed: _Claimed, state: Signing, reason: BounceReason, code: int | None = None) -> _Settled:
        log.warning("invitation %s bounced: %s%s", claimed.invitation, reason.value, "" if code is None else f" ({code})")
        await self._report(state, ReportBounce(claimed.signing, claimed.invitation, reason))
        return _Settled("bounced", reason.value if code is None else f"{reason.value} {code}")

    async def _report(self, state: Signing, report: ReportDelivery | ReportBounce) -> None:
        """Records it, trying for some seconds: to give up means to send the message again.

        A report that was recorded after all is not recorded twice.
        """
        for pause in (0.1, 0.5, 2.0, None):
            try:
                await self._ledger.handle(Participate(state.envelope, report), BY, lambda outcome: NO_ANSWER)
            except (Conflict, RecorderUnavailable, DatabaseUnavailable):
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                return

    async def _postpone(self, claimed: _Claimed, err: MailUnavailable) -> _Settled | None:
        """Gives up after the last attempt, else tries again later."""
        if claimed.attempt >= self._retry.attempts:
            process = await self._process(claimed.signing)
            return await self._bounce(claimed, process.state, BounceReason.UNREACHABLE)
        log.warning("invitation %s, attempt %s: %s", claimed.invitation, claimed.attempt, err)
        await self._again(claimed, err.reason)
        return None

    async def _again(self, claimed: _Claimed, reason: str) -> None:
        next_attempt_at = self._clock.now() + self._retry.pause(claimed.attempt)
        await self._execute(_POSTPONE, [next_attempt_at, reason, claimed.invitation])

    async def _execute(self, query: str, parameters: Sequence[object]) -> None:
        async with self._pool.connection() as conn:
            await conn.execute(query.encode(), parameters)


def note_invitations(conn: Connection, entries: Sequence[LogEntry]) -> None:
    """Notes the invitations among `entries` as deliveries, in the caller's transaction."""
    noted: list[tuple[UUID, UUID, int, datetime]] = []
    for stored in entries:
        if stored.type not in _SENT_BY:
            continue
        entry = decode(stored.entry)
        fact = decode_fact(entry.type, entry.data, entry.personal)
        if isinstance(fact, Invited | InvitationResent):
            noted.append((fact.invitation.id, entry.stream, stored.position, entry.at))
    if noted:
        conn.execute(_NOTE.encode(), [list(column) for column in zip(*noted, strict=True)])


def _words(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _file_name(claimed: _Claimed) -> str:
    """Sorts by the time at which the invitation was made, which its id begins with (RFC 9562 section 5.7)."""
    minted = datetime.fromtimestamp((claimed.invitation.int >> 80) / 1000, tz=UTC)
    return f"{minted:%Y%m%dT%H%M%S}.{minted.microsecond // 1000:03}Z-{claimed.signing}-{claimed.invitation}"
