"""Calls of any surface over HTTP: each answer is held against that surface's OpenAPI document and its convention of errors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpx
import jsonschema_rs
from fastapi import FastAPI

from tests.contract.partner_world import World

Json = Any

#: The media type of problem documents (RFC 9457 section 3).
_PROBLEM: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a surface answered; `body` is its JSON, None for anything else."""

    surface: str
    status: int
    body: Json
    headers: httpx.Headers
    raw: bytes

    @property
    def ok(self) -> bool:
        return self.status < 400

    @property
    def code(self) -> str:
        """What clients of the surface branch on in an error; in `signing`, which has no codes, the sentence."""
        media_type, body = self.headers["content-type"], self.body
        match self.surface:
            case "partner":
                assert (body["success"], body["status"], body["data"]) == (False, self.status, None)
                assert list(body["error"]) == ["type", "details"]
                code = body["code"]
            case "signing":
                assert list(body) == ["error"]
                code = body["error"]
            case "signatures":
                assert list(body) == ["error"]
                code = body["error"]["code"]
            case _:
                assert (media_type, body["status"]) == (_PROBLEM, self.status)
                code = body["code"]
        assert isinstance(code, str)
        assert code
        return code


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a credential of one surface; `headers` go with each request."""

    world: World
    surface: str
    headers: Mapping[str, str]

    def __call__(self, method: str, path: str, body: Json = None, *, pdf: bytes | None = None, **headers: str) -> Answer:
        """One request; a header's underscores are hyphens. `pdf` is sent as it is, `body` as JSON."""
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        more: dict[str, Any] = {}
        if pdf is not None:
            more["content"], sent["Content-Type"] = pdf, "application/pdf"
        elif body is not None:
            more["json"] = body
        response = self.world.http.request(method, self.world.url + path, headers=sent, **more)
        is_json = "json" in response.headers.get("content-type", "")
        answer = Answer(
            self.surface, response.status_code, response.json() if is_json else None, response.headers, response.content
        )
        _check_documented(self.world.surfaces[self.surface], method, path, answer)
        return answer

    def done(self, method: str, path: str, body: Json = None, **more: Any) -> Json:
        """As a call, for what must succeed: the answer's body."""
        answer = self(method, path, body, **more)
        assert answer.ok, f"{method} {path}: {answer.status} {answer.raw!r}"
        return answer.body


def _check_documented(app: FastAPI, method: str, path: str, answer: Answer) -> None:
    """The OpenAPI document has this status for this operation, and its schema fits the body."""
    template = next((it for it in _templates(app, method) if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", it), path)), None)
    assert template is not None, f"{method} {path} is not in the document"
    validator = _validator(app, method, template, answer.status, answer.headers.get("content-type"))
    if answer.body is not None:
        assert validator is not None
        validator.validate(answer.body)


@cache
def _templates(app: FastAPI, method: str) -> list[str]:
    """The paths that take a method, those with the fewest parameters first."""
    found = [template for template, item in app.openapi()["paths"].items() if method.lower() in item]
    return sorted(found, key=lambda template: template.count("{"))


@cache
def _validator(app: FastAPI, method: str, template: str, status: int, media_type: str | None) -> jsonschema_rs.Validator | None:
    """That of an answer's body; None for an answer that is documented without a schema."""
    document = app.openapi()
    content = document["paths"][template][method.lower()]["responses"][str(status)].get("content", {})
    # The signer's page says of its problems what their members are; elsewhere the media type is said as well.
    described = content.get(media_type, next(iter(content.values()), {}))
    if "schema" not in described:
        return None
    return jsonschema_rs.validator_for({**described["schema"], "components": document["components"]})
