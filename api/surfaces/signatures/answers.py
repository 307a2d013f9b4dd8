"""Answers as this surface gives them: a resource as it is, or an error in its envelope."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.deps import Answer, Deps
from api.http import json_answer, send_answer


def deps_of(request: Request) -> Deps:
    """The running parts, as handed to `build`."""
    return cast(Deps, request.app.state.deps)


@dataclass(frozen=True, slots=True)
class Issues:
    """What is wrong with a request, in the form that Zod's `flatten` gives it: of the whole, and by top-level field."""

    form: tuple[str, ...] = ()
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is not a success. `issues` are given for requests that are not valid."""

    status: int
    code: str
    message: str
    issues: Issues | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Failed(Exception):
    """Raised where a request cannot go on; the surface answers with `failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


def invalid(issues: Issues) -> Failure:
    """The documented 400 for a request that was understood and is not valid."""
    return Failure(400, "invalid_request", "The request is not valid; see issues.", issues)


def absent(what: str) -> Failure:
    """The documented 404: for what does not exist, and in the same words for what is another project's or mode's."""
    return Failure(404, "not_found", f"No such {what} in this project.")


def failure_response(failure: Failure) -> Response:
    """The response to a request that failed."""
    error: dict[str, object] = {"code": failure.code, "message": failure.message}
    if failure.issues is not None:
        fields = {name: list(sentences) for name, sentences in failure.issues.fields.items()}
        error["issues"] = {"formErrors": list(failure.issues.form), "fieldErrors": fields}
    response = send_answer(json_answer(failure.status, {"error": error}))
    response.headers.update(failure.headers)
    return response


def resource(status: int, model: BaseModel) -> Answer:
    """A resource as an answer; members that were never set are left out of it."""
    return json_answer(status, model.model_dump(mode="json", by_alias=True, exclude_unset=True))


def reference(status: int, identity: UUID) -> Answer:
    """What is kept under an idempotency key: which resource it made, and nothing of what is in it."""
    return json_answer(status, {"id": str(identity)})


def named(kept: Answer) -> UUID:
    """The resource that an answer made by `reference` names."""
    return UUID(json.loads(kept.body)["id"])


def in_milliseconds(at: datetime) -> str:
    """`2026-06-05T10:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
