"""Answers in this surface's convention: plain JSON, and errors of one member, `{"error": "a sentence"}`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response

from api.deps import Answer, Deps
from api.http import json_answer, send_answer

#: Sentences that the documentation prints; clients may compare them.
MISSING_TOKEN: Final = "Missing Authorization Bearer token."
INVALID_TOKEN: Final = "Invalid or expired token."
INVALID_BODY: Final = "Invalid body."
NOT_FOUND: Final = "Not found."


class Row(BaseModel):
    """A record as this surface shows it: members in camel case, ids as strings."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ErrorAnswer(BaseModel):
    """Every error of this surface. The status is its category; the sentence says what to do."""

    model_config = ConfigDict(json_schema_extra={"example": {"error": MISSING_TOKEN}})

    error: str = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is not a success."""

    status: int
    sentence: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        response = send_answer(json_answer(self.status, {"error": self.sentence}))
        response.headers.update(self.headers)
        return response


class Failed(Exception):
    """Raised where a request cannot go on; the surface answers with `failure`."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.failure = Failure(status, sentence, headers or {})


def deps_of(request: Request) -> Deps:
    """The running parts, as handed to `build`."""
    return cast(Deps, request.app.state.deps)


def answer(status: int, content: BaseModel) -> Answer:
    """A model as an answer."""
    return json_answer(status, content.model_dump(mode="json", by_alias=True))


def in_milliseconds(at: datetime) -> str:
    """`2025-06-15T14:30:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def when(at: datetime | None) -> str | None:
    """A time that may not have come yet."""
    return None if at is None else in_milliseconds(at)
