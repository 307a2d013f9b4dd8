"""Events: one entry of the log each, by its id, and what it takes to verify it. Also the versions of this API."""

from typing import Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.auth import Caller
from api.deps import Deps
from api.http import json_answer, send_answer
from api.surfaces.sessions import consents, documents
from api.surfaces.sessions.access import (
    DEFAULT_VERSION,
    VERSION_HEADER,
    VERSIONS,
    absent,
    check_owner,
    check_version,
    deps_of,
    organization,
)
from api.surfaces.sessions.completion import document_id, right_of, session_of
from api.surfaces.sessions.documentation import documented, expand_parameter
from api.surfaces.sessions.envelopes import read_envelope
from api.surfaces.sessions.event_words import WORDS, About, Word
from api.surfaces.sessions.lists import expansions
from api.surfaces.sessions.models import Record, unix_seconds
from api.surfaces.sessions.people import signer
from domain.actor import ActorKind, Mode
from domain.envelope import Envelope
from domain.ids import IdError, event_id, parse_ulid_id, typed_id
from domain.library import LibraryDocument
from domain.signing import Signing
from projections import lookup
from projections.lookup import Found

router = APIRouter(tags=["Events"])

_NOUN: Final = "event"
_PREFIXES: Final[dict[About, str]] = {
    "signing_envelope": "env",
    "signing_session": "sgs",
    "document": "doc",
    "package_document": "doc",
    "consent": "con",
}


class EventData(Record):
    object: dict[str, Any] = Field(description="`id` and `object_type`; with `expand[]=data.object` the resource as it is now.")


class EventRequest(Record):
    id: str | None
    idempotency_key: str | None


class Attribution(Record):
    human_principal_id: str | None
    agent_id: str | None
    token_id: str | None


class Event(Record):
    """An event. `sequence` grows along the log; the last four members let anyone recompute the chain."""

    id: str
    object: Literal["event"] = "event"
    type: str
    api_version: str
    created: int = Field(description="Unix seconds.")
    data: EventData
    sequence: int
    livemode: bool
    pending_webhooks: int
    request: EventRequest = Field(description="Null: which request it was is not recorded.")
    authorized_by: Attribution
    version: int = Field(description="The entry's place in its stream.")
    hash: str = Field(description="The entry's leaf hash (RFC 6962 section 2.1), 64 hex digits.")
    previous_hash: str = Field(description="The leaf hash of the stream's entry before it.")
    entry: str = Field(description="The canonical bytes that are hashed (RFC 8785).")


class ApiVersion(Record):
    id: str
    object: Literal["api_version"] = "api_version"
    major: Literal["v1"] = "v1"
    status: Literal["supported"] = "supported"
    default: bool = Field(description="Whether it is used where a request names none.")


class VersionList(Record):
    """The dated versions of this API, oldest first."""

    object: Literal["list"] = "list"
    data: list[ApiVersion]
    has_more: bool
    url: str
    next_cursor: str | None


@router.get("/v1/api_versions", summary="List the versions of this API", **documented(200, VersionList, security=()))
async def versions(request: Request) -> Response:
    """What `Matter-Version` may be. They do not differ in what is offered here."""
    check_version(request)
    data = [ApiVersion(id=name, default=name == DEFAULT_VERSION) for name in VERSIONS]
    answer = VersionList(data=data, has_more=False, url="/v1/api_versions", next_cursor=None)
    return send_answer(json_answer(200, answer.model_dump()))


@router.get(
    "/v1/events/{id}", summary="Fetch an event", **documented(200, Event, 404, parameters=(expand_parameter("data.object"),))
)
async def fetch(request: Request, id: str) -> Response:
    """The event as it is recorded. It is found in the log itself, so there is no time after which it is gone."""
    deps, caller = deps_of(request), await organization(request)
    expand = expansions(request, "data.object")
    try:
        number = parse_ulid_id("evt", id).int
    except IdError as err:
        raise absent(_NOUN) from err
    async with deps.reads.connection() as conn:
        found = await lookup.by_event_id(conn, number)
    word = None if found is None else WORDS.get(found.type)
    if found is None or word is None or found.mode is None:
        raise absent(_NOUN)
    check_owner(caller, found.tenant, found.mode, _NOUN)
    about = await _thin(deps, found, word)
    if expand:
        about = await _expanded(deps, caller, found, word) or about
    version = request.headers.get(VERSION_HEADER, DEFAULT_VERSION)
    return send_answer(json_answer(200, _event(found, word, about, version).model_dump()))


def _event(found: Found, word: Word, about: dict[str, Any], version: str) -> Event:
    entry, by = found.entry, found.entry.by
    kind, who = by.get("kind"), by.get("id")
    name = who if isinstance(who, str) else None
    return Event(
        id=f"evt_{event_id(entry.at, entry.leaf)}",
        type=word.type,
        api_version=version,
        created=unix_seconds(entry.at),
        data=EventData(object=about),
        sequence=entry.position,
        livemode=found.mode is Mode.LIVE,
        pending_webhooks=0,
        request=EventRequest(id=None, idempotency_key=None),
        authorized_by=Attribution(
            human_principal_id=name if kind == ActorKind.USER else None,
            agent_id=None,
            token_id=name if kind == ActorKind.ORGANIZATION_KEY else None,
        ),
        version=entry.version,
        hash=entry.leaf.hex(),
        previous_hash=entry.previous.hex(),
        entry=entry.raw,
    )


async def _thin(deps: Deps, found: Found, word: Word) -> dict[str, Any]:
    kind = "document" if word.about == "package_document" else word.about
    if word.about != "package_document":
        return {"id": typed_id(_PREFIXES[word.about], found.entry.stream), "object_type": kind}
    document = UUID(str(found.entry.data["document"]))
    sources = {it.id: it.source for it in (await _envelope(deps, found.entry.stream))[1].documents}
    return {"id": document_id(document, sources.get(document)), "object_type": kind}


async def _envelope(deps: Deps, stream: UUID) -> tuple[UUID, Envelope]:
    """The envelope that a stream of a package belongs to."""
    envelope = await deps.ledger.state(Envelope, stream)
    if envelope is not None:
        return stream, envelope
    signing = await deps.ledger.state(Signing, stream)
    state = None if signing is None else await deps.ledger.state(Envelope, signing.envelope)
    if signing is None or state is None:
        raise absent(_NOUN)
    return signing.envelope, state


async def _expanded(deps: Deps, caller: Caller, found: Found, word: Word) -> dict[str, Any] | None:
    """The resource as it is now; None where there is none by itself any more."""
    stream = found.entry.stream
    match word.about:
        case "signing_envelope":
            envelope, state = await _envelope(deps, stream)
            return (await read_envelope(deps, caller, envelope, state, frozenset())).model_dump()
        case "signing_session":
            who, (_, state) = await signer(deps, stream), await _envelope(deps, stream)
            now = deps.clock.now()
            return (
                None if who is None else session_of(who, who.signing, state, now, right_of(who.signing, None, now)).model_dump()
            )
        case "consent":
            return (await consents.read(deps, caller, typed_id("con", stream))).model_dump()
        case "document" | "package_document":
            id = (await _thin(deps, found, word))["id"]
            in_library = await deps.ledger.state(LibraryDocument, UUID(hex=id.removeprefix("doc_")))
            shown = in_library is not None and not in_library.deleted
            return (await documents.read(deps, caller, id)).model_dump() if shown else None
