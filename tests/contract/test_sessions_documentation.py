"""The surface's own account of itself: every refusal has an answer, every answer is documented."""

import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints
from uuid import UUID

import jsonschema_rs

from api.surfaces.sessions import REFUSALS, build
from api.surfaces.sessions.kinds import KINDS
from api.surfaces.sessions.models import Completed
from domain import errors
from domain.actor import Mode
from domain.errors import Refusal
from infrastructure.database import DatabaseUrls
from infrastructure.rates import DEFAULTS, Rate
from tests.running import Person, client_of, in_loop, running

_SAMPLES: dict[Any, Any] = {
    UUID: UUID(int=7),
    UUID | str: "doc_1",
    int: 3,
    str: "completed",
    datetime: datetime(2026, 11, 20, tzinfo=UTC),
    datetime | None: None,
}


def every_refusal() -> list[type[Refusal]]:
    found = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Refusal) and each is not Refusal
    ]
    assert len(found) > 30
    return found


def test_every_refusal_has_an_answer() -> None:
    assert set(every_refusal()) == set(REFUSALS)


def test_every_answer_to_a_refusal_is_of_the_kind_that_the_table_says() -> None:
    for refusal in every_refusal():
        hints = get_type_hints(refusal)
        made = refusal(*(_SAMPLES[hints[item.name]] for item in fields(refusal)))  # type: ignore[arg-type]
        problem = REFUSALS[refusal].problem(made, None)
        assert problem.kind is REFUSALS[refusal].kind
        assert 400 <= problem.kind.status < 500
        assert problem.detail


def test_every_kind_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


@in_loop
async def test_the_document_names_every_status_and_describes_the_shapes(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, client_of(build(run.deps)) as http:
        document = build(run.deps).openapi()
        operation = document["paths"]["/v1/signing_sessions/{id}/complete"]["post"]
        statuses = {"200", "400", "401", "403", "404", "409", "410", "413", "415", "422", "429", "500", "503"}
        assert statuses == set(operation["responses"])
        for status, answer in operation["responses"].items():
            assert list(answer["content"]) == ["application/json" if status == "200" else "application/problem+json"]
        parameters = {it["name"]: it["required"] for it in operation["parameters"]}
        assert parameters == {
            "id": True,
            "X-Signing-Session-Token": True,
            "Matter-Version": False,
            "Idempotency-Key": False,
        }
        assert not re.search(r"HTTPValidationError", str(document))
        for reference in set(re.findall(r"#/components/schemas/(\w+)", str(document))):
            assert reference in document["components"]["schemas"]

        sent = await run.send(Person("Ana", "ana@example.com"))
        answers = [
            await http.post(
                f"/v1/signing_sessions/{sent.session}/complete",
                json={"electronic_signature_text": text},
                headers={"X-Signing-Session-Token": await run.token(sent.participants[0])},
            )
            for text in ("", "I sign", "I sign")
        ]
        assert [answer.status_code for answer in answers] == [422, 200, 409]
        schemas = {"components": document["components"]}
        problem = {"$ref": "#/components/schemas/Problem", **schemas}
        jsonschema_rs.validate(problem, answers[0].json())
        jsonschema_rs.validate(problem, answers[2].json())
        jsonschema_rs.validate(
            operation["responses"]["200"]["content"]["application/json"]["schema"] | schemas, answers[1].json()
        )
        Completed.model_validate(answers[1].json(), strict=True)


@in_loop
async def test_every_answer_tells_the_rate_and_too_many_are_refused(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run:
        limits = {**DEFAULTS, "sessions.test": Rate(3, 5)}
        deps = replace(run.deps, settings=run.deps.settings.model_copy(update={"rate_limits": limits}))
        _, secret = await run.deps.identity.create_organization_key(run.tenant, Mode.TEST)
        async with client_of(build(deps)) as http:
            headers = {"Authorization": f"Bearer {secret}"}
            first = await http.get("/v1/consents/esra", headers=headers)
            assert (first.status_code, first.headers["x-ratelimit-limit"]) == (200, "5")
            assert first.headers["x-ratelimit-remaining"] == "4"
            assert int(first.headers["x-ratelimit-reset"]) >= int(run.clock.now().timestamp())
            answers = [await http.get("/v1/consents/esra", headers=headers) for _ in range(6)]
        refused = answers[-1]
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == str(refused.json()["retry_after"])
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert refused.headers["matter-request-id"] == refused.json()["request_id"]
