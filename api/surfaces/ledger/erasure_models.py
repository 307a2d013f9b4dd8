"""What erasures and holds are asked and answered with."""

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import ConfigDict, Field, WithJsonSchema

from api.surfaces.ledger.models import Model
from domain.entry import format_time
from domain.retention import CODE, Hold

_CODE: Final = f"^{CODE}$"
_Text = Annotated[str, Field(min_length=1, max_length=320)]


def _left_out(schema: dict[str, Any]) -> None:
    """What may be left out has no default that would be none of its values. A null is taken for it too, and not advertised."""
    for member in schema["properties"].values():
        member.pop("default", None)


def _exactly_one(schema: dict[str, Any]) -> None:
    _left_out(schema)
    schema["oneOf"] = [{"required": [name]} for name in schema["properties"] if name != "ground"]


_TEXT: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": 320}
_Some = Annotated[_Text | None, WithJsonSchema(_TEXT)]
_SomeTime = Annotated[_Text | None, WithJsonSchema({**_TEXT, "format": "date-time"})]

NotReached = Literal["backups", "exports", "sent-mails", "documents"]
NOT_REACHED: Final[tuple[NotReached, ...]] = get_args(NotReached)


class ErasedUser(Model):
    """A user whom the directory knows, as the token's issuer calls them."""

    model_config = ConfigDict(json_schema_extra=_left_out)

    subject: _Text = Field(description="The token's `sub`.")
    issuer: _Some = Field(default=None, description="The token's `iss`. Default: this installation itself.")


class ErasureBody(Model):
    """Whose data is to be destroyed, by exactly one member, and on what ground."""

    model_config = ConfigDict(json_schema_extra=_exactly_one)

    ground: str = Field(pattern=_CODE, description="The legal ground, a code such as `gdpr-17-1-b`. It is recorded and stays.")
    email: _Some = Field(default=None, description="The person with this e-mail address.")
    phone: _Some = Field(default=None, description="The person with this phone number and no e-mail address.")
    participant: _Some = Field(default=None, description="The participant with this id, of whom neither address is known.")
    envelope: _Some = Field(default=None, description="An envelope's texts and metadata, by its id.")
    template: _Some = Field(default=None, description="A template's name and description, by its id.")
    organization: _Some = Field(
        default=None, description="The names of an organization and of what is in it, and its flows' steps, by its UUID."
    )
    document: _Some = Field(default=None, description="The texts of a document of the library, by its id.")
    stakeholder: _Some = Field(default=None, description="What is stored of a stakeholder's consent (`stk_...`).")
    user: ErasedUser | None = Field(default=None, description="What the directory holds of a user.")


class Erasure(Model):
    """The values are destroyed, with their key and the kept answers that held them. The log says so; the chain is as it was."""

    ground: str
    positions: list[int] = Field(description="Of the log's entries that say which entries were emptied, and on what ground.")
    entries: int = Field(description="How many entries held something of it: their commitments can no longer be opened.")
    not_reached: list[NotReached] = Field(
        description="What is not reached from here: backups, exported files with disclosures, mails that were sent, and the PDFs."
    )


class HoldBody(Model):
    """What is to be kept from erasure, why, and for how long."""

    model_config = ConfigDict(json_schema_extra=_left_out)

    reason: str = Field(pattern=_CODE, description="A code such as `litigation`. It is recorded and stays.")
    envelope_id: _Some = Field(
        default=None, description="The envelope to be kept, with all its signings. Without it: everything of the tenant."
    )
    until: _SomeTime = Field(
        default=None, description="The end, RFC 3339 with an offset. Without it the hold lasts until it is lifted."
    )


class ShownHold(Model):
    """A hold that has not been lifted."""

    id: str
    envelope_id: str | None = Field(description="Null: everything of the tenant is held.")
    reason: str
    until: str | None = Field(description="RFC 3339 in UTC; null: until it is lifted.")
    placed_at: str = Field(description="RFC 3339 in UTC.")
    in_force: bool = Field(description="False once its end has passed: it forbids nothing any more.")

    @classmethod
    def of(cls, hold: Hold, *, in_force: bool) -> "ShownHold":
        """A hold as this surface shows it."""
        return cls(
            id=str(hold.id),
            envelope_id=None if hold.envelope is None else str(hold.envelope),
            reason=hold.reason,
            until=None if hold.until is None else format_time(hold.until),
            placed_at=format_time(hold.placed_at),
            in_force=in_force,
        )


class ShownHolds(Model):
    """The tenant's holds that were not lifted, in the order they were placed in."""

    holds: list[ShownHold]


class LiftBody(Model):
    """Why a hold is lifted."""

    ground: str = Field(pattern=_CODE, description="A code such as `settled`. It is recorded and stays.")


class LiftedHold(Model):
    """A hold that forbids nothing any more."""

    id: str
    ground: str
    lifted_at: str = Field(description="RFC 3339 in UTC.")
