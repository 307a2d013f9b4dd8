"""Erasure for the tenant's administrator: a person's data, or that of a thing, is destroyed, and the log says so."""

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import Answer, Key, Outcome
from api.erasing import Unusable, effect_of, remove_mails, subject_of
from api.http import json_answer, read_json, send_answer
from api.problems import Fault
from api.surfaces.ledger.access import ADMINISTRATOR, administrator, deps_of
from api.surfaces.ledger.documentation import documented
from api.surfaces.ledger.erasure_models import NOT_REACHED, Erasure, ErasureBody
from api.surfaces.ledger.models import invalid, parse_body

router = APIRouter(prefix="/v1/ledger/erasures", tags=["Erasure"])


@router.post(
    "",
    summary="Erase a person's data, or that of a thing",
    **documented(201, Erasure, ADMINISTRATOR, 403, 404, 409, body=ErasureBody, changes=True),
)
async def create(request: Request) -> Response:
    """Destroys the values, their key and the kept answers that hold them, in live and test mode alike, for good.

    Refused with 409 `erasure-held` while a hold is in force on the tenant, or on an envelope that something of it stands in. The
    PDFs themselves are not reached: whoever's name is printed in one is named there still.
    """
    caller, deps = await administrator(request), deps_of(request)
    body = parse_body(ErasureBody, await read_json(request))
    said = body.model_dump(exclude={"ground", "user"})
    user = body.user
    try:
        subject = subject_of(
            caller.tenant, {**said, "user": None if user is None else user.subject}, None if user is None else user.issuer
        )
    except Unusable as err:
        raise invalid([Fault(field=err.member, message=str(err))]) from err
    key = await caller.key(request, "ledger")
    if key is not None:
        key = _about(key, body.ground, deps.vault.lookup(subject))

    def render(outcome: Outcome) -> Answer:
        effect = effect_of(outcome)
        shown = Erasure(
            ground=body.ground,
            positions=list(effect.positions),
            entries=len(effect.entries),
            not_reached=list(NOT_REACHED),
        )
        return json_answer(201, shown.model_dump(mode="json", by_alias=True))

    answer, outcome = await deps.ledger.erase(subject, body.ground, caller.actor, render, key=key)
    # Crash point: it is erased, and invitations that were written to files are still there.
    await remove_mails(deps.ledger, deps.settings.data / "outbox", effect_of(outcome).entries)
    return send_answer(answer)


def _about(key: Key, ground: str, subject: bytes) -> Key:
    """The key with the request told by `subject`, a keyed hash: a plain one of the body would let anybody try addresses on it."""
    return replace(key, request=f"erasure {ground}\n".encode() + subject)
