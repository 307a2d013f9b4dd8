"""What this surface's answers are made of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from api.problems import Failed, Fault
from domain.actor import Mode
from domain.canonical import Json


class Model(BaseModel):
    """Members are camelCase, and no others are taken."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Event(Model):
    """One entry of the log. `hash` is SHA-256(0x00 || entry); `previousHash` is that of the stream's entry before it."""

    event_id: str = Field(description="ULID of the entry's time and the first 80 bits of its hash.")
    type: str = Field(description="What happened, and the number of its schema: `signing.document-signed/1`.")
    at: str = Field(description="When it was recorded, RFC 3339 in UTC with microseconds.")
    stream: str = Field(description="The envelope's id, or the participant's whose signing it is.")
    process_id: str | None = Field(description="The signing's id, null for an entry of the envelope itself.")
    version: int = Field(description="Its place in its stream, from 1 on without a gap.")
    position: int = Field(description="Its place in the whole log, from 1 on without a gap.")
    hash: str = Field(pattern="^[0-9a-f]{64}$")
    previous_hash: str = Field(pattern="^[0-9a-f]{64}$", description="64 zeros for a stream's first entry.")
    entry: str = Field(description="The bytes that are hashed, as text: canonical JSON (RFC 8785). They hold no personal data.")


class Timeline(Model):
    """What happened to one signing, or to an envelope and all its signings, in the order of the log."""

    envelope_id: str
    mode: Mode
    processes: list[str] = Field(description="Ids of the signings that the events are of.")
    events: list[Event]


class StreamHead(Model):
    """The last entry of the envelope's own stream or of a signing's. Whoever keeps the receipt can tell later whether
    anything up to there was changed or taken away: `countersign verify --receipt`."""

    stream: str = Field(description="The envelope's id, or the participant's whose signing it is.")
    process_id: str | None = Field(description="The signing's id, null for the envelope itself.")
    version: int = Field(ge=1, description="How many entries the stream has.")
    position: int = Field(ge=1, description="The last one's place in the whole log.")
    hash: str = Field(pattern="^[0-9a-f]{64}$", description="The last one's hash, SHA-256(0x00 || entry).")
    at: str = Field(description="When it was recorded, RFC 3339 in UTC with microseconds.")
    receipt: str = Field(description="`countersign-receipt/1 <origin> <stream> <version> <position> <hash>`")


class Heads(Model):
    """The head of a signing, or those of an envelope and all its signings, the newest first."""

    ledger: str = Field(description="The log's origin.")
    envelope_id: str
    mode: Mode
    heads: list[StreamHead] = Field(min_length=1)


class Head(Model):
    """Where the log ends."""

    position: int = Field(ge=0, description="The position of the last entry; 0 for an empty log.")
    at: str | None = Field(description="The time of the last entry, RFC 3339 in UTC with microseconds; null for an empty log.")


KindOfKey = Literal["partner", "project", "organization"]


class NewCredentialBody(Model):
    """Which credential to make."""

    kind: KindOfKey = Field(
        description="`partner`: `X-Auth-Signly`, one for each tenant, which replaces the one before; `project`: `ck_...`;"
        " `organization`: `sk_...`."
    )
    mode: Mode = Field(description="Live and test are separate worlds; a partner's credential is live.")


class NewCredential(Model):
    """A credential just made. The secret is shown this once."""

    id: str
    kind: KindOfKey
    mode: Mode
    status: Literal["ACTIVE"]
    secret: str


class Credential(Model):
    """A credential, without its secret, which nobody can look up."""

    id: str
    kind: KindOfKey
    mode: Mode
    status: Literal["ACTIVE", "REVOKED"]
    created_at: datetime
    updated_at: datetime


class Credentials(Model):
    """All credentials of the tenant, the oldest first; revoked ones too, as a trail."""

    credentials: list[Credential]


class Revoked(Model):
    """The credential works no more, from the next request on and on every host."""

    id: str
    status: Literal["REVOKED"]


_CODES: Final = {"missing": "is missing", "extra_forbidden": "is not known"}


def parse(value: Json) -> NewCredentialBody:
    """The body of a creation; raises Failed 422 with each of its faults."""
    body = parse_body(NewCredentialBody, value)
    if body.kind == "partner" and body.mode is not Mode.LIVE:
        raise invalid([Fault(field="mode", message="a partner's credential is live")])
    return body


Body = TypeVar("Body", bound=Model)


def parse_body(kind: type[Body], value: Json) -> Body:
    """A body of that kind; raises Failed 422 with each of its faults."""
    try:
        return kind.model_validate(value)
    except ValidationError as err:
        raise invalid(
            [Fault(field=_path(fault["loc"]), message=_CODES.get(fault["type"], fault["msg"])) for fault in err.errors()]
        ) from err


def _path(location: Sequence[Any]) -> str:
    return ".".join(str(part) for part in location)


def invalid(faults: Sequence[Fault]) -> Failed:
    """The answer to a body that has faults."""
    return Failed(422, "validation-failed", "The body has faults; `errors` names them.", faults=faults)
