"""Consent to electronic records, per stakeholder: the disclosure, giving consent, looking at it, withdrawing it."""

from ipaddress import ip_address
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from api.auth import Caller
from api.deps import Answer, Deps, Outcome, Reference, consent_stream
from api.http import MAX_USER_AGENT_CHARACTERS, json_answer, provenance, read_json, send_answer
from api.surfaces.sessions.access import absent, callers_key, check_owner, deps_of, dry_run, organization, typed
from api.surfaces.sessions.disclosure import CURRENT, TEXT
from api.surfaces.sessions.documentation import documented
from api.surfaces.sessions.models import Record, unix_seconds
from api.surfaces.sessions.people import text
from api.surfaces.sessions.validation import Body, Line, StakeholderId, Text, Time, fault, moment, parse
from domain import consent as consents
from domain.actor import AddressSource, IdentityMethod, Mode, Provenance
from domain.consent import AcceptDisclosure, Consent, ConsentAccepted, ConsentCommand, WithdrawConsent, stakeholder_subject
from domain.ids import typed_id
from domain.personal import Subject

router = APIRouter(prefix="/v1/consents", tags=["Consents"])

_NOUN: Final = "consent"


def _affirmed(value: bool) -> bool:
    if not value:
        raise fault("not_affirmed", "Must be true: without it there is no consent (ESIGN section 101(c)(1)(C)(ii)).")
    return value


def _address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError as err:
        raise fault("invalid_address", "Must be an IPv4 or IPv6 address.") from err


class NewConsent(Body):
    """The body of a consent. What was observed of the stakeholder by the caller is kept as the caller's word."""

    stakeholder_id: StakeholderId
    hardware_capability_affirmed: Annotated[
        bool, Field(description="That the stakeholder can open such records; must be true."), AfterValidator(_affirmed)
    ]
    paper_copy_request_method: Annotated[Line, Field(description="How the stakeholder may ask for paper copies.")]
    captured_via: Annotated[str | None, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="Such as `web_checkbox`.")] = None
    captured_at: Time | None = None
    ip_address: Annotated[
        str | None, Field(max_length=45), AfterValidator(lambda value: None if value is None else _address(value))
    ] = None
    user_agent: Annotated[Text | None, Field(max_length=MAX_USER_AGENT_CHARACTERS)] = None


class Withdrawal(Body):
    """The body of a withdrawal; it may be left out."""

    reason: Text | None = None


class ConsentRecord(Record):
    """A stakeholder's consent. Times are Unix seconds; what was erased is null."""

    consent_id: str
    id: str
    object: Literal["consent"] = "consent"
    kind: Literal["esra"] = "esra"
    created: int
    updated: int
    mode: Literal["live", "test"]
    livemode: bool
    stakeholder_id: str | None
    status: Literal["active", "superseded", "withdrawn"] = Field(
        description="`superseded`: it is to an older disclosure, and a new consent is needed."
    )
    accepted_at: int
    withdrawn_at: int | None
    disclosure_version: str
    disclosure_packet_hash: str = Field(description="SHA-256 of the disclosure's text.")
    locale: str
    legal_basis: Literal["esra_consent"] = "esra_consent"


class Disclosure(Record):
    """The text that stakeholders consent to. `disclosure_packet_hash` is the SHA-256 of `text` in UTF-8."""

    object: Literal["disclosure"] = "disclosure"
    kind: Literal["esra"] = "esra"
    disclosure_version: str
    disclosure_packet_hash: str
    locale: str
    text: str


@router.get("/esra", summary="Fetch the disclosure", **documented(200, Disclosure))
async def current(request: Request) -> Response:
    """The disclosure as it is now: what a stakeholder has to be shown before consenting."""
    await organization(request)
    shown = Disclosure(
        disclosure_version=CURRENT.version, disclosure_packet_hash=f"sha256:{CURRENT.sha256}", locale=CURRENT.locale, text=TEXT
    )
    return send_answer(json_answer(200, shown.model_dump()))


@router.post(
    "/esra",
    summary="Record a consent",
    **documented(201, ConsentRecord, 409, body=NewConsent, changes=True, simulated=True),
)
async def accept(request: Request) -> Response:
    """Records that a stakeholder has consented to the present disclosure. Consent that holds already stays as it is."""
    deps, caller = deps_of(request), await organization(request)
    body = parse(NewConsent, await read_json(request))
    who = stakeholder_subject(caller.tenant, body.stakeholder_id)
    stream = consent_stream(deps.vault, caller.tenant, caller.mode, body.stakeholder_id)
    accepted = ConsentAccepted(
        tenant=caller.tenant,
        mode=caller.mode,
        stakeholder=deps.vault.conceal(body.stakeholder_id, who),
        text=CURRENT,
        hardware_capability_affirmed=body.hardware_capability_affirmed,
        paper_copy_request_method=deps.vault.conceal(body.paper_copy_request_method, who),
        captured_via=body.captured_via,
        captured_at=None if body.captured_at is None else moment(body.captured_at),
        provenance=_seen(request, deps, who, body),
    )
    return await _carry_out(request, deps, caller, AcceptDisclosure(stream, accepted), body.stakeholder_id, 201)


def _seen(request: Request, deps: Deps, who: Subject, body: NewConsent) -> Provenance:
    """What was observed: by the caller of the stakeholder, as the caller's word, else by us of the caller."""
    seen = provenance(request, deps, who, IdentityMethod.AGENT)
    if body.ip_address is None and body.user_agent is None:
        return seen
    return Provenance(
        identity=IdentityMethod.AGENT,
        ip=None if body.ip_address is None else deps.vault.conceal(body.ip_address, who),
        ip_source=None if body.ip_address is None else AddressSource.CLAIMED,
        user_agent=None if body.user_agent is None else deps.vault.conceal(body.user_agent, who),
    )


async def _carry_out(
    request: Request, deps: Deps, caller: Caller, command: ConsentCommand, stakeholder_id: str | None, status: int
) -> Response:
    def render(outcome: Outcome) -> Answer:
        state = outcome.state(Consent, command.consent)
        return json_answer(status, _record(command.consent, state, stakeholder_id).model_dump())

    if dry_run(request):
        now, state = deps.clock.now(), await deps.ledger.state(Consent, command.consent)
        for fact in consents.decide(command, state, now):
            state = consents.evolve(state, fact, now)
        return send_answer(render(Outcome((), {} if state is None else {command.consent: state})))
    key = await callers_key(request, caller)
    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=key))


@router.get("/{id}", summary="Fetch a consent", **documented(200, ConsentRecord, 404))
async def fetch(request: Request, id: str) -> Response:
    """The consent as it is now, read from the log."""
    deps, caller = deps_of(request), await organization(request)
    return send_answer(json_answer(200, (await read(deps, caller, id)).model_dump()))


async def read(deps: Deps, caller: Caller, id: str) -> ConsentRecord:
    """The caller's consent with this id; raises Problem 404."""
    stream, state = await _own(deps, caller, id)
    return _record(stream, state, await _stakeholder_id(deps, stream))


@router.post(
    "/{id}/withdraw",
    summary="Withdraw a consent",
    **documented(200, ConsentRecord, 404, 409, 413, 415, 422, body=Withdrawal, body_required=False, changes=True, simulated=True),
)
async def withdraw(request: Request, id: str) -> Response:
    """Records that the stakeholder has withdrawn the consent. What was signed before stays signed."""
    deps, caller = deps_of(request), await organization(request)
    stream, _ = await _own(deps, caller, id)
    body = Withdrawal() if not await request.body() else parse(Withdrawal, await read_json(request))
    named = await _stakeholder_id(deps, stream)
    # Of somebody who was erased only the withdrawal itself is recorded, under the stream's own name.
    who = stakeholder_subject(caller.tenant, named or str(stream))
    reason = None if body.reason is None else deps.vault.conceal(body.reason, who)
    command = WithdrawConsent(stream, reason, provenance(request, deps, who, IdentityMethod.AGENT))
    return await _carry_out(request, deps, caller, command, named, 200)


async def _own(deps: Deps, caller: Caller, id: str) -> tuple[UUID, Consent]:
    stream = typed("con", id, _NOUN)
    state = await deps.ledger.state(Consent, stream)
    if state is None:
        raise absent(_NOUN)
    check_owner(caller, state.tenant, state.mode, _NOUN)
    return stream, state


async def _stakeholder_id(deps: Deps, stream: UUID) -> str | None:
    """Every acceptance names the stakeholder, the first one too."""
    return text((await deps.reveal({"stakeholder": Reference(stream, 1, "/stakeholder")}))["stakeholder"])


def _record(stream: UUID, state: Consent, stakeholder_id: str | None) -> ConsentRecord:
    accepted, withdrawn = unix_seconds(state.accepted_at), state.withdrawn_at
    return ConsentRecord(
        consent_id=typed_id("con", stream),
        id=typed_id("con", stream),
        created=accepted,
        updated=accepted if withdrawn is None else unix_seconds(withdrawn),
        mode=state.mode.value,
        livemode=state.mode is Mode.LIVE,
        stakeholder_id=stakeholder_id,
        status="withdrawn" if withdrawn is not None else "active" if state.covers(CURRENT) else "superseded",
        accepted_at=accepted,
        withdrawn_at=None if withdrawn is None else unix_seconds(withdrawn),
        disclosure_version=state.text.version,
        disclosure_packet_hash=f"sha256:{state.text.sha256}",
        locale=state.text.locale,
    )
