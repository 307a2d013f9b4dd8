"""Carrying out a command for a caller: once per idempotency key, or only simulated."""

from collections.abc import Callable
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from api.deps import Answer, Deps, Key, Outcome
from api.http import send_answer
from api.surfaces.sessions.access import dry_run
from domain import coordination
from domain import envelope as envelopes
from domain import signing as signings
from domain.actor import Actor
from domain.coordination import CreateEnvelope, Package, PackageCommand
from domain.envelope import Envelope, EnvelopeFact
from domain.signing import Signing

Render = Callable[[Outcome], Answer]


async def first_answer(deps: Deps, key: Key | None) -> Answer | None:
    """What this request was answered before: what it named may have changed since."""
    return None if key is None else await deps.ledger.answered(key)


async def carry_out(
    request: Request, deps: Deps, command: PackageCommand, by: Actor, render: Render, key: Key | None, *, credits: int = 0
) -> Response:
    """Decides and records the command, or with `dry_run=true` only decides it, and answers what `render` makes of it."""
    if dry_run(request):
        return send_answer(render(await _simulated(deps, command)))
    return send_answer(await deps.ledger.handle(command, by, render, key=key, credits=credits))


async def _simulated(deps: Deps, command: PackageCommand) -> Outcome:
    """The states that the command would lead to. Nothing is recorded, so there are no entries to show."""
    now = deps.clock.now()
    new = isinstance(command, CreateEnvelope)
    envelope = None if new else await deps.ledger.state(Envelope, command.envelope)
    needs = coordination.needs(command, envelope)
    people = {who: None if new else await deps.ledger.state(Signing, who) for who in needs.signings}
    invitations = tuple(deps.invitations.invitation(now) for _ in range(needs.invitations))
    decision = coordination.decide(command, Package(envelope, people), now, invitations)
    states: dict[UUID, Envelope | Signing] = {who: state for who, state in people.items() if state is not None}
    if envelope is not None:
        states[command.envelope] = envelope
    for stream, facts in decision.facts.items():
        for fact in facts:
            before = states.get(stream)
            if isinstance(fact, EnvelopeFact):
                states[stream] = envelopes.evolve(before if isinstance(before, Envelope) else None, fact, now)
            else:
                states[stream] = signings.evolve(before if isinstance(before, Signing) else None, fact, now)
    return Outcome((), states)
