"""Reminders: a new invitation for everybody whose turn it is, not too soon after the last and not too often."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final
from uuid import UUID

from api.auth import Caller
from api.deps import Answer, Deps, Key
from api.surfaces.sessions.envelope_views import Present, reminder_policy
from api.surfaces.sessions.kinds import RATE_LIMITED, REMINDED_ENOUGH
from api.surfaces.sessions.problems import Problem
from domain.coordination import Participate
from domain.entry import decode
from domain.envelope import EnvelopeStatus, refuse_late
from domain.errors import EnvelopeClosed, EnvelopeNotSent
from domain.signing import InvitationResent, Invited, ResendInvitation

#: Between two reminders of an envelope without a policy. Nobody reads more than that.
DEFAULT_INTERVAL: Final = timedelta(hours=1)

_NO_ANSWER: Final = Answer(204, "text/plain", b"")


@dataclass(frozen=True, slots=True)
class _Reminded:
    """A signer's invitations: when the last was made, which one it is, and how many reminders were among them."""

    participant: UUID
    invitation: UUID
    at: datetime
    reminders: int


async def remind_due(deps: Deps, caller: Caller, envelope: Present, *, simulated: bool) -> None:
    """Reminds those whose turn it is; raises Problem 429 or 409, then nobody has been reminded."""
    state, now = envelope.state, deps.clock.now()
    if state.status.final:
        raise EnvelopeClosed(state.status)
    if state.status is EnvelopeStatus.DRAFT:
        raise EnvelopeNotSent
    refuse_late(state, now)
    policy = reminder_policy(envelope.texts.get(f"{envelope.id}/metadata"))
    interval = DEFAULT_INTERVAL if policy is None else timedelta(hours=policy.interval_hours)
    due = await _due(deps, state.due())
    last = max(one.at for one in due)
    if now < last + interval:
        seconds = ceil((last + interval - now).total_seconds())
        raise Problem(RATE_LIMITED, f"The last invitation was sent at {last:%Y-%m-%dT%H:%M:%SZ}.", retry_after=seconds)
    if policy is not None and max(one.reminders for one in due) >= policy.max_reminders:
        raise Problem(REMINDED_ENOUGH)
    for one in () if simulated else due:
        command = ResendInvitation(one.participant, deps.invitations.invitation(now))
        # Whoever reminds at the same moment saw the same last invitation, so only one of them sends the next.
        key = Key(f"sessions-reminder:{one.participant}", str(one.invitation), b"")
        await deps.ledger.handle(Participate(envelope.id, command), caller.actor, lambda outcome: _NO_ANSWER, key=key)


async def _due(deps: Deps, participants: Sequence[UUID]) -> list[_Reminded]:
    found: dict[UUID, _Reminded] = {}
    for stored in await deps.recorder.read_streams(participants):
        if stored.type not in (Invited.TYPE, InvitationResent.TYPE):
            continue
        entry = decode(stored.raw)
        before = found.get(stored.stream)
        invitation = entry.data["invitation"]
        if isinstance(invitation, dict):
            count = 0 if before is None else before.reminders + 1
            found[stored.stream] = _Reminded(stored.stream, UUID(str(invitation["id"])), entry.at, count)
    return list(found.values())
