"""Every route of every reference page is present, and those of the public documentation that this project has.

Incident behind it: a route was moved to another module and lost its verb; no test of that route was left to notice.
"""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.documents import PUBLISHED, Json, document, operations

#: What each reference page prints: method, path, the status of success, and the errors it names.
PAGES: Final = {
    "signatures": "GET /v1/signatures/:id 200 401 404",
    "sessions": "POST /v1/signing_sessions/{id}/complete 200 403 409",
    "health": """
        GET /health 200
        GET /ready 200 503
    """,
    "signing": """
        GET /v1/signing/session 200
        GET /v1/signing/signer/signings 200 404
        GET /v1/signing/signer/signings/:signingId 200 400 404
        GET /v1/signing/signer/signings/:signingId/documents 200 400 404
        GET /v1/signing/signer/signings/:signingId/documents/:documentId 200 400 404
        POST /v1/signing/signer/signings/:signingId/documents/:documentId/sign 200 400 404
        GET /v1/signing/signer/signings/:signingId/signers 200 400 404
        GET /v1/signing/signer/signings/:signingId/signers/:signerId 200 400 404
    """,
    "partner": """
        GET /api 200 404
        POST /api 201 400
        DELETE /api 200
        GET /v1/templates 200
        POST /v1/templates 201
        GET /v1/templates/{templateId} 200 404
        PUT /v1/templates/{templateId} 200
        DELETE /v1/templates/{templateId} 200
        GET /v1/templates/{templateId}/history 200
        GET /v1/templates/{templateId}/versions/{version} 200
        DELETE /v1/templates/{templateId}/versions/{version} 200
        GET /v1/templates/{templateId}/fields 200
        PUT /v1/templates/{templateId}/fields 200
        POST /v1/templates/{templateId}/versions/{version}/upload-url 200
        GET /v1/templates/{templateId}/versions/{version}/download-url 200
        GET /v1/documents 200 400
        POST /v1/documents 201 400 402
        GET /v1/documents/{documentId} 200 404
        POST /v1/documents/{documentId}/extend 200
        DELETE /v1/documents/{documentId}/cancel 200
        POST /v1/documents/{documentId}/participants/{participantId}/resend 200
        GET /v1/documents/{documentId}/summary 200
        GET /v1/events/{processId} 200
    """,
}

#: What the products' public documentation has beside it, in paths of theirs or, where it names none, of ours (docs/adr).
DOCUMENTED: Final = {
    "signing": """
        GET /v1/signing/me 200 401 403
        GET /v1/signing/session 200 401 403
        GET /v1/signing/organizations 200 403
        GET /v1/signing/companies 200 400 403
        GET /v1/signing/companies/:companyId 200 400 403 404
        GET /v1/signing/manager/locations 200 400 403
        GET /v1/signing/manager/locations/:locationId 200 400 403 404
        POST /v1/signing/manager/signings 201 400 403 404
        GET /v1/signing/manager/signings 200 400 403
        GET /v1/signing/manager/signings/:signingId 200 400 403 404
        POST /v1/signing/manager/signings/:signingId/documents 201 400 403 404 409
        POST /v1/signing/manager/signings/:signingId/signers 201 400 403 404 409
        POST /v1/signing/manager/signings/:signingId/activate 200 400 403 404 409
        POST /v1/signing/manager/signings/:signingId/cancel 200 400 403 404 409
        POST /v1/signing/manager/signings/:signingId/resend 200 400 403 404
        GET /v1/signing/manager/templates 200 400 403
        GET /v1/signing/manager/templates/:templateId 200 400 403 404
        PATCH /v1/signing/manager/templates/:templateId 200 400 403 404
        POST /v1/signing/manager/templates/:templateId/duplicate 201 400 403 404
        GET /v1/signing/manager/flows 200 400 403
        PATCH /v1/signing/manager/flows/:flowId 200 400 403 404
        GET /v1/documents 200 401
        POST /v1/documents 201 400 401
        PATCH /v1/documents/:id 200 400 401 404
        DELETE /v1/documents/:id 204 404
        GET /v1/documents/:id/comments 200 401 404
        POST /v1/documents/:id/comments 201 400 401 404 503
        GET /v1/workspace/memberships 200 401
        GET /v1/workspace/active-org-id 200 401
        GET /v1/workspace/active-org 200 401
        GET /v1/workspace/organizations/:organizationId 200 401 404
        GET /v1/workspace/profile 200 401
        GET /v1/workspace/menu-core 200 401
    """,
    "signatures": """
        POST /v1/signatures 201 200 400 401 402 404 413 503
        GET /v1/signatures 200 400 401
        POST /v1/signatures/:id/cancel 200 400 401 404 409
        GET /v1/signatures/:id/download 200 401 404 409
        GET /v1/signatures/:id/certificate 200 401 404 409
        POST /v1/renders 201 200 400 401 413
        GET /v1/renders/:id 200 401 404
    """,
    "sessions": """
        POST /v1/signing_sessions 201 403
        GET /v1/signing_sessions/{id} 200 404
        POST /v1/signing_sessions/{id}/complete 200 403 404 409 410
        POST /v1/signing_envelopes 202 400 401 409 422
        POST /v1/signing_envelopes/{id}/send 202 404 409
        GET /v1/signing_envelopes/{id} 200 401 404
        GET /v1/signing_envelopes 200
        POST /v1/signing_envelopes/{id}/void 202 404 409
        POST /v1/signing_envelopes/{id}/decline 200 403 404 409
        POST /v1/signing_envelopes/{id}/remind 202 404 409
        POST /v1/documents 202 400 401 422
        POST /v1/consents/esra 201
        GET /v1/events/{id} 200 404
        GET /v1/api_versions 200
    """,
}


def rows(table: dict[str, str]) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Surface, method, path as OpenAPI spells it, and the statuses, success first."""
    for surface, text in table.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            method, path, *statuses = line.split()
            yield surface, method, re.sub(r":(\w+)", r"{\1}", path), tuple(statuses)


def media_type(surface: str, status: str) -> str:
    """What the product answers this status in."""
    return "application/problem+json" if surface == "sessions" and status >= "400" else "application/json"


@pytest.mark.parametrize(("surface", "method", "path", "statuses"), [*rows(PAGES), *rows(DOCUMENTED)])
def test_a_documented_route_is_there_with_its_statuses(surface: str, method: str, path: str, statuses: tuple[str, ...]) -> None:
    described = document(surface)["paths"][path][method.lower()]
    responses: dict[str, Json] = described["responses"]
    assert set(statuses) <= set(responses)
    successes = {status for status in responses if status < "300"}
    assert successes == {status for status in statuses if status < "300"}
    for status in statuses:
        content = responses[status].get("content", {})
        if status == "204":
            assert content == {}
        elif path.endswith(("/download", "/certificate")) and status == "200":
            assert list(content) == ["application/pdf"]
        else:
            assert list(content) == [media_type(surface, status)], status


def test_no_page_names_a_route_twice() -> None:
    for table in (PAGES, DOCUMENTED):
        named = [row[:3] for row in rows(table)]
        assert len(named) == len(set(named))


def test_a_route_that_no_page_names_is_one_of_ours_that_was_decided() -> None:
    known = {row[:3] for row in (*rows(PAGES), *rows(DOCUMENTED))}
    found = {(each.surface, each.method, each.path) for each in operations(*PUBLISHED) if each.surface != "ledger"}
    assert found - known == {
        ("partner", "GET", "/v1/templates/{templateId}/versions/{version}/preview"),
        ("signing", "POST", "/v1/signing/manager/flows"),
        ("signing", "GET", "/v1/signing/manager/flows/{flowId}"),
        ("signing", "GET", "/v1/documents/{id}"),
        ("signing", "PUT", "/v1/documents/{id}/file"),
        ("sessions", "GET", "/v1/documents"),
        ("sessions", "GET", "/v1/documents/{id}"),
        ("sessions", "GET", "/v1/consents/esra"),
        ("sessions", "GET", "/v1/consents/{id}"),
        ("sessions", "POST", "/v1/consents/{id}/withdraw"),
    }
