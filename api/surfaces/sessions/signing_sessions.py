"""Signing sessions: opening one for a person who has just signed in, looking at one, completing one.

A session is the right to complete one signing; its id is the participant's (docs/adr). What is read comes
from the log itself, so it is never stale.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.auth import UserCaller
from api.deps import Answer, Deps, ImageFault, ImageRefused, Outcome, token_hash
from api.fields import filled, refuse_unfit_image
from api.http import json_answer, provenance, read_json, send_answer
from api.surfaces.sessions.access import (
    TOKEN_HEADER,
    absent,
    callers_key,
    check_owner,
    credentials,
    deps_of,
    known,
    person,
    refuse_dry_run,
    repeat_key,
    session_id,
    typed,
    visible,
)
from api.surfaces.sessions.commands import first_answer
from api.surfaces.sessions.completion import Right, completed, right_of, session_of
from api.surfaces.sessions.disclosure import CURRENT, consent_of
from api.surfaces.sessions.documentation import ORGANIZATION, PERSON, SESSION_BEARER, TOKEN, documented
from api.surfaces.sessions.kinds import CONSENT_REQUIRED, REAUTHENTICATION, SESSION_TOKEN
from api.surfaces.sessions.models import Completed, Completion, NewSession, Session, unix_seconds
from api.surfaces.sessions.people import Signer, signer
from api.surfaces.sessions.problems import Problem, attempt
from api.surfaces.sessions.validation import invalid_field, parse
from domain.actor import Actor, ActorKind, IdentityMethod
from domain.coordination import Participate
from domain.envelope import Envelope, EnvelopeStatus
from domain.ids import typed_id
from domain.personal import mailbox
from domain.signing import FieldValue, OpenSession, SessionToken, SignatureMethod, SignDocuments, Signing, check_token
from domain.signing import Session as OpenedSession
from projections import envelopes, signers

router = APIRouter(tags=["Signing sessions"])

#: How long ago a person may have signed in to open a session, and how long the session then lasts; both as documented.
FRESH: Final = timedelta(minutes=5)
LIFETIME: Final = timedelta(minutes=15)

#: Envelopes looked through for one that the document is in; the newest first.
_LOOKED_THROUGH: Final = 50

_NOUN: Final = "signing session"

_IMAGE_CODES: Final[Mapping[ImageFault, str]] = {
    ImageFault.TOO_LARGE: "too_large",
    ImageFault.NOT_AN_IMAGE: "invalid_image",
    ImageFault.BLANK: "blank",
}


@router.post(
    "/v1/signing_sessions",
    summary="Create a signing session",
    **documented(201, Session, 403, 404, 409, body=NewSession, changes=True, security=((PERSON,),)),
)
async def create(request: Request) -> Response:
    """Opens a session for the signer who has just signed in. The one before it stops working.

    The signer is the person whose verified e-mail address the envelope names, or whose account it does. The
    stakeholder's consent to electronic records has to hold. `signature_token` is shown in this answer only.
    """
    deps = deps_of(request)
    caller = await person(request)
    refuse_dry_run(request)
    now = deps.clock.now()
    if caller.user.signed_in_at is None or now - caller.user.signed_in_at > FRESH:
        raise Problem(REAUTHENTICATION)
    body = parse(NewSession, await read_json(request))
    key = await callers_key(request, caller)
    if (first := await first_answer(deps, key)) is not None:
        return send_answer(_with_token(deps, first))
    found = await _signer_of(deps, caller, body)
    attempt(request, typed_id("sgs", found.id), "opened")
    await _require_consent(deps, found)
    identity = deps.new_id()
    opened = OpenedSession(identity, token_hash(deps.invitations.token(identity)), now + LIFETIME)
    command = OpenSession(found.id, opened, deps.vault.conceal(caller.user.subject, found.subject), caller.user.signed_in_at)
    user = caller.user.subject

    def render(outcome: Outcome) -> Answer:
        envelope, signing = outcome.state(Envelope, found.signing.envelope), outcome.state(Signing, found.id)
        shown = session_of(found, signing, envelope, now, opened).model_dump()
        shown["target"]["document_id"] = body.document_id
        shown |= {"human_clerk_user_id": user, "created_at": unix_seconds(now), "signature_token": _blank(identity)}
        return json_answer(201, shown)

    answer = await deps.ledger.handle(Participate(found.signing.envelope, command), caller.actor, render, key=key)
    return send_answer(_with_token(deps, answer))


#: Stands in a kept answer where the token was: of tokens nothing is kept, and this one can be derived again.
#: With the member's name around it: what stands within a value has its quotation marks escaped.
_BLANK: Final = re.compile(rb'"signature_token":"\{token of ([0-9a-f-]{36})\}"')


def _blank(session: UUID) -> str:
    return f"{{token of {session}}}"


def _with_token(deps: Deps, answer: Answer) -> Answer:
    def filled(blank: re.Match[bytes]) -> bytes:
        return f'"signature_token":"{deps.invitations.token(UUID(blank[1].decode()))}"'.encode()

    return replace(answer, body=_BLANK.sub(filled, answer.body))


async def _signer_of(deps: Deps, caller: UserCaller, body: NewSession) -> Signer:
    """The signer that the body names, if it is the caller; raises Problem 404 in the same words otherwise."""
    if body.signing_envelope_id is not None:
        envelope = typed("env", body.signing_envelope_id, "signing envelope", "signing_envelope_id")
        candidates = [typed("sgn", body.signer_id or "", "signer", "signer_id")]
    else:
        envelope = None
        candidates = await _signers_of_document(deps, caller, typed("doc", body.document_id or "", "document", "document_id"))
    for participant in candidates:
        found = await signer(deps, participant)
        if found is not None and envelope in (None, found.signing.envelope) and _is(deps, found, caller, body.stakeholder_id):
            return found
    raise absent("signer", "document_id" if envelope is None else "signer_id")


def _accounts_are_unambiguous(deps: Deps, caller: UserCaller) -> bool:
    """Whether the name of an account says whose it is: a subject is one person's at its issuer alone (OpenID Connect Core
    section 5.7), and organizations name accounts without the issuer. Whom the operator vouches for is not doubted.
    """
    issuers = {one.issuer for one in deps.settings.oidc_issuers if one.tenant == caller.tenant and one.mode is caller.mode}
    return issuers <= {caller.user.issuer} or caller.user.issuer not in issuers


def _is(deps: Deps, found: Signer, caller: UserCaller, stakeholder_id: str) -> bool:
    """Whether the caller is this signer, under this name."""
    if found.signing.tenant != caller.tenant or found.stakeholder_id != stakeholder_id:
        return False
    email = caller.user.email
    by_email = email is not None and found.email is not None and mailbox(email) == mailbox(found.email)
    if not by_email and not (found.user == caller.user.subject and _accounts_are_unambiguous(deps, caller)):
        return False
    check_owner(caller, found.signing.tenant, found.signing.mode, "signer")
    return True


async def _signers_of_document(deps: Deps, caller: UserCaller, document: UUID) -> list[UUID]:
    """Who signs a document of the library, in the envelopes that are out for signature with it, the newest first."""
    await deps.gate.wait(["envelopes", "signers"], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        rows = await envelopes.older(conn, caller.tenant, caller.mode, _LOOKED_THROUGH, source=document)
        sent = [row for row in rows if row.status is EnvelopeStatus.SENT]
        people = await signers.of_envelopes(conn, caller.tenant, caller.mode, [row.id for row in sent])
    made = {it.id for row in sent for it in row.documents if it.source == document}
    return [who.id for row in sent for who in people[row.id] if any(it.id in made for it in who.documents)]


async def _require_consent(deps: Deps, found: Signer) -> None:
    consent = await consent_of(deps, found.signing.tenant, found.signing.mode, found.stakeholder_id)
    if consent is None or not consent.covers(CURRENT):
        raise Problem(
            CONSENT_REQUIRED,
            f"Stakeholder {found.stakeholder_id} has no consent to the disclosure of {CURRENT.version}; POST /v1/consents/esra.",
            param="stakeholder_id",
        )


@router.post(
    "/v1/signing_sessions/{id}/complete",
    summary="Complete a signing session",
    **documented(
        200,
        Completed,
        403,
        404,
        409,
        410,
        body=Completion,
        changes=True,
        security=((SESSION_BEARER,), (ORGANIZATION, SESSION_BEARER)),
        parameters=(TOKEN,),
    ),
)
async def complete(request: Request, id: str) -> Response:
    """Records the signer's signature on everything the session covers, with its evidence.

    The session token is the credential: an organization's key alone does not let one complete another's slot. With
    the key beside an invitation's token it is an agent who signs, which signers may forbid in live mode. The last
    signer completes the envelope.
    """
    deps = deps_of(request)
    shown = await credentials(request)
    refuse_dry_run(request)
    participant = session_id(id)
    attempt(request, id, "completed")
    found = await signer(deps, participant)
    visible(None if found is None else found.signing, shown.organization)
    if found is None:
        raise absent(_NOUN)
    # The token must be in its own header here: a bearer is for the organization.
    token = request.headers.get(TOKEN_HEADER)
    if not token:
        raise Problem(SESSION_TOKEN, f"Send the session token from the invitation in {TOKEN_HEADER}.", param=TOKEN_HEADER)
    digest = token_hash(token)
    body = parse(Completion, await read_json(request))
    identity = identity_of(right_of(found.signing, digest, deps.clock.now()), shown.organization is not None)
    command = SignDocuments(
        participant=participant,
        documents=None,
        method=SignatureMethod.TYPED if body.signature_blob is None else SignatureMethod.DRAWN,
        attestation=deps.vault.conceal(body.electronic_signature_text, found.subject),
        image=None if body.signature_blob is None else deps.vault.conceal(body.signature_blob, found.subject),
        provenance=provenance(request, deps, found.subject, identity, body.client_metadata),
        token=SessionToken(digest),
        values=await _filled(deps, found, body, digest),
    )

    def render(outcome: Outcome) -> Answer:
        return json_answer(200, completed(found, outcome, digest).model_dump())

    # The scope holds the token: whoever knows a key but not the token does not get the answer kept under it.
    key = await repeat_key(request, f"sessions:{participant}:{digest}")
    by = Actor(ActorKind.SIGNER, id)
    return send_answer(await deps.ledger.handle(Participate(found.signing.envelope, command), by, render, key=key))


async def _filled(deps: Deps, found: Signer, body: Completion, digest: str) -> tuple[FieldValue, ...]:
    """The values for the signer's fields. Raises Problem for them, and for an image of a signature that shows none.

    Only who has the session's token learns of its fields, and has an image looked at: SessionTokenInvalid before that.
    """
    if body.signature_blob is None and not body.fields:
        return ()
    check_token(found.signing, SessionToken(digest))
    if body.signature_blob is not None:
        try:
            await refuse_unfit_image(body.signature_blob)
        except ImageRefused as err:
            raise invalid_field("signature_blob", _IMAGE_CODES[err.code], err.sentence) from err
    envelope = await deps.ledger.state(Envelope, found.signing.envelope)
    return () if envelope is None else await filled(deps, envelope, found.id, body.fields or {}, found.subject)


def identity_of(right: Right | None, with_key: bool) -> IdentityMethod:
    """How the signer is known: who signed in for the session is that person, whoever passes the token on."""
    if isinstance(right, OpenedSession):
        return IdentityMethod.OIDC
    return IdentityMethod.AGENT if with_key else IdentityMethod.TOKEN


@router.get(
    "/v1/signing_sessions/{id}",
    summary="Fetch a signing session",
    **documented(200, Session, 403, 404, security=((ORGANIZATION,), (SESSION_BEARER,))),
)
async def fetch(request: Request, id: str) -> Response:
    """The session as it is now, read from the log. Needs an organization's key or the session's own token."""
    deps = deps_of(request)
    shown = await credentials(request)
    known(shown)
    participant = session_id(id)
    found = await signer(deps, participant)
    signing = visible(None if found is None else await deps.ledger.state(Signing, participant), shown.organization)
    digest = None if shown.organization is not None else token_hash(shown.token or "")
    if digest is not None:
        check_token(signing, SessionToken(digest))
    envelope = await deps.ledger.state(Envelope, signing.envelope)
    if envelope is None or found is None:
        raise absent(_NOUN)
    now = deps.clock.now()
    session = session_of(found, signing, envelope, now, right_of(signing, digest, now))
    return send_answer(json_answer(200, session.model_dump()))
