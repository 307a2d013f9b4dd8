"""Signing envelopes: made as drafts, sent, looked at, listed, voided, declined and reminded of."""

import asyncio
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.auth import Caller
from api.deps import Answer, Deps, Outcome, token_hash
from api.http import json_answer, provenance, read_json, send_answer
from api.surfaces.sessions import envelope_views as views
from api.surfaces.sessions.access import (
    TOKEN_HEADER,
    absent,
    callers_key,
    check_owner,
    credentials,
    deps_of,
    dry_run,
    organization,
    refuse_dry_run,
    repeat_key,
    typed,
)
from api.surfaces.sessions.commands import carry_out, first_answer
from api.surfaces.sessions.completion import envelope_status, right_of, session_of, shown_documents
from api.surfaces.sessions.composing import creation
from api.surfaces.sessions.documentation import (
    ORGANIZATION,
    SESSION_BEARER,
    TOKEN,
    documented,
    expand_parameter,
    list_parameters,
    parameter,
)
from api.surfaces.sessions.envelope_models import (
    Declined,
    DeclineReason,
    EnvelopeList,
    NewEnvelope,
    SigningEnvelope,
    VoidReason,
)
from api.surfaces.sessions.kinds import QUERY_INVALID, SESSION_TOKEN
from api.surfaces.sessions.lists import expansions, listing, unknown_cursor
from api.surfaces.sessions.models import Session
from api.surfaces.sessions.people import signer
from api.surfaces.sessions.problems import ENVELOPE, Problem, attempt
from api.surfaces.sessions.reminders import remind_due
from api.surfaces.sessions.signing_sessions import identity_of
from api.surfaces.sessions.validation import parse
from domain.actor import Actor, ActorKind, Mode
from domain.coordination import CancelEnvelope, Participate, SendEnvelope
from domain.envelope import Envelope, EnvelopeStatus
from domain.errors import SessionTokenInvalid
from domain.ids import IdError, parse_typed_id, typed_id
from domain.personal import Subject, SubjectKind
from domain.signing import DeclineSigning, SessionToken, Signing, check_token
from projections import envelopes, signers
from projections.envelopes import EnvelopeRow

router = APIRouter(prefix="/v1/signing_envelopes", tags=["Signing envelopes"])

#: Sending a live envelope costs one credit, where the organization has a balance.
CREDITS: Final = 1

_NOUN: Final = "signing envelope"
_STATUS: Final = parameter("status", "Envelopes in this state.", enum=list(views.FILTERS))


@router.post(
    "",
    summary="Create a signing envelope",
    **documented(202, SigningEnvelope, 404, 409, body=NewEnvelope, changes=True, simulated=True),
)
async def create(request: Request) -> Response:
    """Makes a draft of final documents and of those who sign them. Nobody is invited before it is sent."""
    deps, caller = deps_of(request), await organization(request)
    body = parse(NewEnvelope, await read_json(request))
    key = await callers_key(request, caller)
    if not dry_run(request) and (first := await first_answer(deps, key)) is not None:
        return send_answer(first)
    made = await creation(deps, caller, body)
    now, envelope = deps.clock.now(), made.command.envelope

    def render(outcome: Outcome) -> Answer:
        people = {who: outcome.state(Signing, who) for who in made.command.processes}
        at = max((recorded.receipt.at for recorded in outcome.recorded), default=now)
        look = views.of_state(envelope, outcome.state(Envelope, envelope), people, at, at)
        return json_answer(202, views.show(look, made.texts).model_dump())

    return await carry_out(request, deps, made.command, caller.actor, render, key)


@router.get(
    "",
    summary="List signing envelopes",
    **documented(
        200, EnvelopeList, parameters=(*list_parameters("signing envelope", "env", status=_STATUS), expand_parameter("documents"))
    ),
)
async def index(request: Request) -> Response:
    """Envelopes of the organization, newest first, whichever API they were made through."""
    deps, caller = deps_of(request), await organization(request)
    wanted = listing(request, "status", "expand[]", "expand")
    expand = expansions(request, "documents")
    statuses, signed = _filter(request)
    await deps.gate.wait(["envelopes", "signers"], deps.settings.read_wait_seconds)
    after, before = await _place(deps, caller, wanted.starting_after), await _place(deps, caller, wanted.ending_before)
    if (after, before) == (None, None) and (wanted.starting_after, wanted.ending_before) != (None, None):
        raise unknown_cursor(wanted, _NOUN)
    async with deps.reads.connection() as conn:
        found = await envelopes.window(
            conn, caller.tenant, caller.mode, wanted.limit, after=after, before=before, statuses=statuses, signed=signed
        )
        people = await signers.of_envelopes(conn, caller.tenant, caller.mode, [row.id for row in found.rows])
    looks = [views.of_row(row, people[row.id]) for row in found.rows]
    titles = "documents" in expand
    texts = await deps.reveal({name: place for look in looks for name, place in look.references(titles=titles).items()})
    data = [views.show(look, texts, expand) for look in looks]
    cursor = data[-1].id if data and found.has_more else None
    page = EnvelopeList(data=data, has_more=found.has_more, url="/v1/signing_envelopes", next_cursor=cursor)
    return send_answer(json_answer(200, page.model_dump()))


async def _place(deps: Deps, caller: Caller, name: str | None) -> int | None:
    """Where in lists an envelope stands; None if the caller has none of this id."""
    try:
        envelope = None if name is None else parse_typed_id("env", name)
    except IdError:
        return None
    if envelope is None:
        return None
    async with deps.reads.connection() as conn:
        row = await envelopes.get(conn, caller.tenant, caller.mode, envelope)
    return None if row is None else row.created_position


def _filter(request: Request) -> tuple[tuple[EnvelopeStatus, ...] | None, bool | None]:
    status = request.query_params.get("status")
    if status is None:
        return None, None
    if status not in views.FILTERS:
        raise Problem(QUERY_INVALID, f"status is one of {', '.join(views.FILTERS)}.", param="status")
    wanted, signed = views.FILTERS[status]
    return (wanted,), signed


@router.get(
    "/{id}",
    summary="Fetch a signing envelope",
    **documented(200, SigningEnvelope, 404, parameters=(expand_parameter("documents", "signers"),)),
)
async def fetch(request: Request, id: str) -> Response:
    """The envelope as it is now, whichever API it was made through."""
    deps, caller = deps_of(request), await organization(request)
    expand = expansions(request, "documents", "signers")
    envelope, state = await own_envelope(deps, caller, id)
    return send_answer(json_answer(200, (await read_envelope(deps, caller, envelope, state, expand)).model_dump()))


async def read_envelope(deps: Deps, caller: Caller, envelope: UUID, state: Envelope, expand: frozenset[str]) -> SigningEnvelope:
    """The caller's envelope from the read model; `state` is for what is expanded."""
    await deps.gate.wait(["envelopes", "signers"], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        row = await envelopes.get(conn, caller.tenant, caller.mode, envelope)
        if row is None:
            raise absent(_NOUN)
        people = await signers.of_envelope(conn, caller.tenant, caller.mode, envelope)
    look = views.of_row(row, people)
    texts = await deps.reveal(look.references(titles="documents" in expand))
    sessions = await _sessions(deps, row, state) if "signers" in expand else None
    return views.show(look, texts, expand, sessions)


async def _sessions(deps: Deps, row: EnvelopeRow, state: Envelope) -> Mapping[UUID, Session]:
    now = deps.clock.now()
    found = [it for it in await asyncio.gather(*(signer(deps, who) for who in row.participants)) if it is not None]
    return {it.id: session_of(it, it.signing, state, now, right_of(it.signing, None, now)) for it in found}


async def own_envelope(deps: Deps, caller: Caller, id: str) -> tuple[UUID, Envelope]:
    """The caller's envelope with this id, from the log; raises Problem 404."""
    envelope = typed("env", id, _NOUN)
    state = await deps.ledger.state(Envelope, envelope)
    if state is None:
        raise absent(_NOUN)
    check_owner(caller, state.tenant, state.mode, _NOUN)
    return envelope, state


@router.post(
    "/{id}/send",
    summary="Send a signing envelope",
    **documented(202, SigningEnvelope, 402, 404, 409, 422, changes=True, simulated=True),
)
async def send(request: Request, id: str) -> Response:
    """Invites those whose turn it is; each invitation holds a session token. An envelope that is sent stays as it is.

    In live mode it costs one credit, where the organization has a balance.
    """
    deps, caller = deps_of(request), await organization(request)
    attempt(request, id, "sent", ENVELOPE)
    envelope, state = await own_envelope(deps, caller, id)
    before = await views.present(deps, envelope, state)

    def render(outcome: Outcome) -> Answer:
        return json_answer(202, views.show(before.after(outcome), before.texts).model_dump())

    key = await callers_key(request, caller)
    credits = CREDITS if caller.mode is Mode.LIVE else 0
    return await carry_out(request, deps, SendEnvelope(envelope), caller.actor, render, key, credits=credits)


@router.post(
    "/{id}/void",
    summary="Void a signing envelope",
    **documented(
        202, SigningEnvelope, 404, 409, 413, 415, 422, body=VoidReason, body_required=False, changes=True, simulated=True
    ),
)
async def void(request: Request, id: str) -> Response:
    """Ends the envelope: nobody can sign it any more."""
    deps, caller = deps_of(request), await organization(request)
    attempt(request, id, "voided", ENVELOPE)
    envelope, state = await own_envelope(deps, caller, id)
    body = VoidReason() if not await request.body() else parse(VoidReason, await read_json(request))
    before = await views.present(deps, envelope, state)
    about = Subject(caller.tenant, SubjectKind.ENVELOPE, str(envelope))
    reason = None if body.reason is None else deps.vault.conceal(body.reason, about)

    def render(outcome: Outcome) -> Answer:
        return json_answer(202, views.show(before.after(outcome), before.texts, reason=body.reason).model_dump())

    key = await callers_key(request, caller)
    return await carry_out(request, deps, CancelEnvelope(envelope, reason), caller.actor, render, key)


@router.post(
    "/{id}/remind",
    summary="Remind the signers whose turn it is",
    **documented(202, SigningEnvelope, 404, 409, changes=True, simulated=True),
)
async def remind(request: Request, id: str) -> Response:
    """Sends a new invitation to everybody whose turn it is; the token in the one before it stops working.

    Not sooner than the envelope's reminder policy allows, or an hour without one, and not more often.
    """
    deps, caller = deps_of(request), await organization(request)
    attempt(request, id, "reminded", ENVELOPE)
    envelope, state = await own_envelope(deps, caller, id)
    key = await callers_key(request, caller)
    simulated = dry_run(request)
    if not simulated and (first := await first_answer(deps, key)) is not None:
        return send_answer(first)
    before = await views.present(deps, envelope, state)
    await remind_due(deps, caller, before, simulated=simulated)

    def render(outcome: Outcome) -> Answer:
        return json_answer(202, views.show(before.after(outcome), before.texts).model_dump())

    # What is sent already stays so: this only keeps the answer for a repeat.
    return await carry_out(request, deps, SendEnvelope(envelope), caller.actor, render, key)


@router.post(
    "/{id}/decline",
    summary="Decline to sign",
    **documented(
        200,
        Declined,
        403,
        404,
        409,
        410,
        413,
        415,
        422,
        body=DeclineReason,
        body_required=False,
        changes=True,
        security=((SESSION_BEARER,), (ORGANIZATION, SESSION_BEARER)),
        parameters=(TOKEN,),
    ),
)
async def decline(request: Request, id: str) -> Response:
    """The signer whose session token is sent will not sign, which ends the envelope. Shows nothing of the other signers."""
    deps, shown = deps_of(request), await credentials(request)
    refuse_dry_run(request)
    attempt(request, id, "declined", ENVELOPE)
    envelope = typed("env", id, _NOUN)
    state = await deps.ledger.state(Envelope, envelope)
    if state is None:
        raise absent(_NOUN)
    if shown.organization is not None:
        check_owner(shown.organization, state.tenant, state.mode, _NOUN)
    token = request.headers.get(TOKEN_HEADER)
    if not token:
        raise Problem(SESSION_TOKEN, f"Send the session token of the signer in {TOKEN_HEADER}.", param=TOKEN_HEADER)
    held = SessionToken(token_hash(token))
    participant = await _holder(deps, state, held)
    found = await signer(deps, participant)
    if found is None:
        raise absent(_NOUN)
    body = DeclineReason() if not await request.body() else parse(DeclineReason, await read_json(request))
    identity = identity_of(right_of(found.signing, held.sha256, deps.clock.now()), shown.organization is not None)
    seen = provenance(request, deps, found.subject, identity)
    reason = None if body.reason is None else deps.vault.conceal(body.reason, found.subject)
    command = DeclineSigning(participant, reason, seen, held)

    def render(outcome: Outcome) -> Answer:
        after, signing = outcome.state(Envelope, envelope), outcome.state(Signing, participant)
        at = outcome.recorded[-1].receipt.at
        session = session_of(found, signing, after, at, right_of(signing, held.sha256, at))
        answer = Declined(session=session, envelope_status=envelope_status(after), document_ids=shown_documents(after))
        return json_answer(200, answer.model_dump())

    key = await repeat_key(request, f"sessions:{participant}:{held.sha256}")
    by = Actor(ActorKind.SIGNER, typed_id("sgs", participant))
    return send_answer(await deps.ledger.handle(Participate(envelope, command), by, render, key=key))


async def _holder(deps: Deps, state: Envelope, token: SessionToken) -> UUID:
    """Whose token it is; raises SessionTokenInvalid if it is nobody's in this envelope."""
    for who, signing in zip(
        state.slots, await asyncio.gather(*(deps.ledger.state(Signing, who) for who in state.slots)), strict=True
    ):
        try:
            if signing is not None:
                check_token(signing, token)
                return who
        except SessionTokenInvalid:
            continue
    raise SessionTokenInvalid
