"""The answer that everything on this surface has: eight members, success or failure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.deps import Answer, Deps
from api.http import json_answer, request_id

API_VERSION: Final = "v1"


def deps_of(request: Request) -> Deps:
    """The running parts, as handed to `build`."""
    return cast(Deps, request.app.state.deps)


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is not a success. `type` and `details` are the members of `error`."""

    status: int
    code: str
    message: str
    type: str
    details: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Failed(Exception):
    """Raised where a request cannot go on; the surface answers with `failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Success:
    """What an operation answers when it succeeds."""

    status: int
    code: str
    message: str

    def answer(
        self, request: Request, data: BaseModel | Sequence[BaseModel] | None, pagination: BaseModel | None = None
    ) -> Answer:
        """The whole answer; members of `data` that were never set are left out of it."""
        return json_answer(
            self.status,
            {
                "success": True,
                "status": self.status,
                "code": self.code,
                "message": self.message,
                "data": _plain(data),
                "pagination": _plain(pagination),
                "meta": _meta(request),
                "error": None,
            },
        )


def failure_answer(request: Request, failure: Failure) -> Answer:
    """The whole answer to a request that failed, but for its headers."""
    return json_answer(
        failure.status,
        {
            "success": False,
            "status": failure.status,
            "code": failure.code,
            "message": failure.message,
            "data": None,
            "pagination": None,
            "meta": _meta(request),
            "error": {"type": failure.type, "details": dict(failure.details)},
        },
    )


def failure_response(request: Request, failure: Failure) -> Response:
    """The response to a request that failed."""
    answer = failure_answer(request, failure)
    return Response(answer.body, answer.status, dict(failure.headers), answer.media_type)


def identify(request: Request, tenant: UUID) -> None:
    """Notes whose request this is, once that has been verified; only then is it in the answer's `meta`."""
    request.state.tenant = tenant


def in_seconds(at: datetime) -> str:
    """`2026-04-23T15:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_milliseconds(at: datetime) -> str:
    """`2025-10-27T15:00:01.120Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_microseconds(at: datetime) -> str:
    """`2026-04-18T20:22:08.258102+00:00`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _plain(data: BaseModel | Sequence[BaseModel] | None) -> Any:
    if isinstance(data, BaseModel):
        return data.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return None if data is None else [_plain(item) for item in data]


def _meta(request: Request) -> dict[str, str | None]:
    tenant: UUID | None = getattr(request.state, "tenant", None)
    return {
        "request_id": request_id(request),
        "timestamp": in_seconds(deps_of(request).clock.now()),
        "api_version": API_VERSION,
        "tenant_id": None if tenant is None else str(tenant),
    }
