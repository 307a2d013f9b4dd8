"""Who may do what: a rule for each operation of each surface. An operation without one fails the test.

A rule names the credential that an operation is for, how its path and body are filled from the estate
(`estate.py`), and, for managers, the module and tier that it takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from domain.directory import Module, Tier

Ids = Mapping[str, str]
Body = Callable[[Ids], Any]


class Who(Enum):
    """The credential that an operation takes."""

    #: Nothing needs to be shown.
    NOBODY = auto()
    PARTNER = auto()
    PROJECT = auto()
    ORGANIZATION = auto()
    ADMINISTRATOR = auto()
    #: Any credential of any surface.
    ANYONE = auto()
    #: A user who signs the package.
    SIGNER = auto()
    #: A user with a module's tier at the package's place.
    MANAGER = auto()
    #: Any user who is a manager or an admin.
    APPOINTED = auto()
    #: A user with any role, signers among them.
    LINKED = auto()
    #: The user whose document it is.
    OWNER = auto()
    #: A user who belongs to the organization.
    MEMBER = auto()
    #: Any user at all.
    USER = auto()
    #: A user who signed in a moment ago, for the own signing.
    FRESH = auto()
    #: Whoever has the session's token.
    TOKEN = auto()
    #: An organization's key, or the session's token.
    ORGANIZATION_OR_TOKEN = auto()
    #: The path itself holds the right.
    PATH = auto()


@dataclass(frozen=True)
class Rule:
    """`ids` maps the path's parameters to names in the estate; without any the operation names no object."""

    who: Who
    ids: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    content: bytes | None = None
    query: str = ""
    module: Module | None = None
    tier: Tier | None = None
    #: Objects named in the body: another tenant's are refused as absent ones are.
    refers: bool = False


def _none(ids: Ids) -> Any:
    return {}


def _managers(
    path: str, method: str, tier: Tier, module: Module = Module.SIGNINGS, **more: Any
) -> tuple[tuple[str, str, str], Rule]:
    return ("signing", method, path), Rule(Who.MANAGER, module=module, tier=tier, **more)


_TEMPLATE = {"templateId": "template"}
_VERSION = {"templateId": "template", "version": "version"}
_DOCUMENT = {"documentId": "document"}
_PACKAGE = {"signingId": "package"}
_DRAFT = {"signingId": "draft"}


def _participant(ids: Ids) -> Any:
    return {
        "templateId": ids["template"],
        "templateVersion": "0001",
        "participants": [{"displayName": "Ana", "signatureMode": ["SIGNATURE_EMAIL"], "identity": {"email": "ana@example.com"}}],
        "orderMode": "PARALLEL",
        "deadlineAt": "2026-05-21T23:59:00Z",
    }


def _signature(ids: Ids) -> Any:
    return {
        "renderId": ids["render"],
        "recipients": [{"firstName": "Ana", "lastName": "Paz", "email": "ana@example.com"}],
        "fields": [{"page": 1, "x": 10, "y": 10, "width": 20, "height": 5, "type": "signature", "recipientIndex": 0}],
    }


def _envelope(ids: Ids) -> Any:
    signer = {"stakeholder_id": "stk_ana", "name": "Ana", "email": "ana@example.com"}
    return {"entity_id": "ent_1", "document_ids": [ids["library"]], "signers": [signer]}


PARTNER: Mapping[tuple[str, str, str], Rule] = {
    ("partner", "get", "/api"): Rule(Who.ADMINISTRATOR),
    ("partner", "post", "/api"): Rule(Who.ADMINISTRATOR, body=lambda ids: {"auth_method": "KEY"}),
    ("partner", "delete", "/api"): Rule(Who.ADMINISTRATOR),
    ("partner", "get", "/v1/templates"): Rule(Who.PARTNER),
    ("partner", "post", "/v1/templates"): Rule(Who.PARTNER, body=lambda ids: {"templateName": "Another"}),
    ("partner", "get", "/v1/templates/{templateId}"): Rule(Who.PARTNER, _TEMPLATE),
    ("partner", "put", "/v1/templates/{templateId}"): Rule(Who.PARTNER, _TEMPLATE, lambda ids: {"templateName": "Renamed"}),
    ("partner", "delete", "/v1/templates/{templateId}"): Rule(Who.PARTNER, {"templateId": "spare_template"}),
    ("partner", "get", "/v1/templates/{templateId}/history"): Rule(Who.PARTNER, _TEMPLATE),
    ("partner", "get", "/v1/templates/{templateId}/versions/{version}"): Rule(Who.PARTNER, _VERSION),
    ("partner", "delete", "/v1/templates/{templateId}/versions/{version}"): Rule(
        Who.PARTNER, {"templateId": "versioned_template", "version": "version"}
    ),
    ("partner", "get", "/v1/templates/{templateId}/fields"): Rule(Who.PARTNER, _TEMPLATE),
    ("partner", "put", "/v1/templates/{templateId}/fields"): Rule(
        Who.PARTNER, _TEMPLATE, lambda ids: {"fields": [{"fieldName": "a", "fieldType": "SIGNATURE"}]}
    ),
    ("partner", "post", "/v1/templates/{templateId}/versions/{version}/upload-url"): Rule(Who.PARTNER, _VERSION),
    ("partner", "get", "/v1/templates/{templateId}/versions/{version}/download-url"): Rule(Who.PARTNER, _VERSION),
    ("partner", "get", "/v1/templates/{templateId}/versions/{version}/preview"): Rule(Who.PARTNER, _VERSION),
    ("partner", "get", "/v1/documents"): Rule(Who.PARTNER),
    ("partner", "post", "/v1/documents"): Rule(Who.PARTNER, body=_participant, refers=True),
    ("partner", "get", "/v1/documents/{documentId}"): Rule(Who.PARTNER, _DOCUMENT),
    ("partner", "post", "/v1/documents/{documentId}/extend"): Rule(
        Who.PARTNER, _DOCUMENT, lambda ids: {"newDeadlineAt": "2026-06-21T23:59:00Z"}
    ),
    ("partner", "delete", "/v1/documents/{documentId}/cancel"): Rule(Who.PARTNER, {"documentId": "spare_document"}),
    ("partner", "post", "/v1/documents/{documentId}/participants/{participantId}/resend"): Rule(
        Who.PARTNER, {"documentId": "document", "participantId": "participant"}
    ),
    ("partner", "get", "/v1/documents/{documentId}/summary"): Rule(Who.PARTNER, _DOCUMENT),
    ("partner", "get", "/v1/events/{processId}"): Rule(Who.PARTNER, {"processId": "process"}),
}

_QUEUE = "/v1/signing/signer/signings"
_MANAGER = "/v1/signing/manager/signings"

SIGNING: Mapping[tuple[str, str, str], Rule] = {
    ("signing", "get", "/v1/signing/session"): Rule(Who.LINKED),
    ("signing", "get", "/v1/signing/me"): Rule(Who.LINKED),
    ("signing", "get", _QUEUE): Rule(Who.SIGNER),
    ("signing", "get", f"{_QUEUE}/{{signingId}}"): Rule(Who.SIGNER, _PACKAGE),
    ("signing", "get", f"{_QUEUE}/{{signingId}}/documents"): Rule(Who.SIGNER, _PACKAGE),
    ("signing", "get", f"{_QUEUE}/{{signingId}}/documents/{{documentId}}"): Rule(
        Who.SIGNER, {**_PACKAGE, "documentId": "package_document"}
    ),
    ("signing", "post", f"{_QUEUE}/{{signingId}}/documents/{{documentId}}/sign"): Rule(
        Who.SIGNER, {**_PACKAGE, "documentId": "package_document"}, _none
    ),
    ("signing", "get", f"{_QUEUE}/{{signingId}}/signers"): Rule(Who.SIGNER, _PACKAGE),
    ("signing", "get", f"{_QUEUE}/{{signingId}}/signers/{{signerId}}"): Rule(
        Who.SIGNER, {**_PACKAGE, "signerId": "package_signer"}
    ),
    **dict(
        (
            _managers(_MANAGER, "get", Tier.READ),
            _managers(_MANAGER, "post", Tier.WRITE, body=lambda ids: {"locationId": ids["location"]}, refers=True),
            _managers(f"{_MANAGER}/{{signingId}}", "get", Tier.READ, ids=_PACKAGE),
            _managers(
                f"{_MANAGER}/{{signingId}}/documents",
                "post",
                Tier.WRITE,
                ids=_DRAFT,
                body=lambda ids: {"templateId": ids["template_number"]},
                refers=True,
            ),
            _managers(
                f"{_MANAGER}/{{signingId}}/signers",
                "post",
                Tier.WRITE,
                ids=_DRAFT,
                body=lambda ids: {"fullName": "Ana", "email": "ana@example.com"},
            ),
            _managers(f"{_MANAGER}/{{signingId}}/activate", "post", Tier.WRITE, ids=_DRAFT),
            _managers(f"{_MANAGER}/{{signingId}}/cancel", "post", Tier.WRITE, ids={"signingId": "spare_package"}),
            _managers(f"{_MANAGER}/{{signingId}}/resend", "post", Tier.WRITE, ids=_PACKAGE),
        )
    ),
}

_TEMPLATES, _FLOWS = "/v1/signing/manager/templates", "/v1/signing/manager/flows"
_LOCATED = {"templateId": "located_template"}

#: The signing surface's reads of the directory, templates, flows, the library and the workspace.
AROUND: Mapping[tuple[str, str, str], Rule] = {
    ("signing", "get", "/v1/signing/organizations"): Rule(Who.APPOINTED),
    ("signing", "get", "/v1/signing/companies"): Rule(Who.APPOINTED),
    ("signing", "get", "/v1/signing/companies/{companyId}"): Rule(Who.APPOINTED, {"companyId": "company"}),
    ("signing", "get", "/v1/signing/manager/locations"): Rule(Who.APPOINTED),
    ("signing", "get", "/v1/signing/manager/locations/{locationId}"): Rule(Who.APPOINTED, {"locationId": "location"}),
    **dict(
        (
            _managers(_TEMPLATES, "get", Tier.READ, Module.TEMPLATES),
            _managers(f"{_TEMPLATES}/{{templateId}}", "get", Tier.READ, Module.TEMPLATES, ids=_LOCATED),
            _managers(
                f"{_TEMPLATES}/{{templateId}}",
                "patch",
                Tier.WRITE,
                Module.TEMPLATES,
                ids=_LOCATED,
                body=lambda ids: {"name": "Renamed"},
            ),
            _managers(f"{_TEMPLATES}/{{templateId}}/duplicate", "post", Tier.WRITE, Module.TEMPLATES, ids=_LOCATED, body=_none),
            _managers(_FLOWS, "get", Tier.READ, Module.FLOWS),
            _managers(
                _FLOWS,
                "post",
                Tier.WRITE,
                Module.FLOWS,
                body=lambda ids: {"locationId": ids["location"], "name": "Another"},
                refers=True,
            ),
            _managers(f"{_FLOWS}/{{flowId}}", "get", Tier.READ, Module.FLOWS, ids={"flowId": "flow"}),
            _managers(
                f"{_FLOWS}/{{flowId}}",
                "patch",
                Tier.WRITE,
                Module.FLOWS,
                ids={"flowId": "flow"},
                body=lambda ids: {"name": "Renamed"},
            ),
        )
    ),
    ("signing", "get", "/v1/documents"): Rule(Who.USER),
    ("signing", "post", "/v1/documents"): Rule(Who.USER, body=lambda ids: {"title": "A car", "chattelType": "vehicle"}),
    ("signing", "get", "/v1/documents/{id}"): Rule(Who.OWNER, {"id": "chattel"}),
    ("signing", "patch", "/v1/documents/{id}"): Rule(Who.OWNER, {"id": "chattel"}, lambda ids: {"title": "Another"}),
    ("signing", "delete", "/v1/documents/{id}"): Rule(Who.OWNER, {"id": "spare_chattel"}),
    ("signing", "put", "/v1/documents/{id}/file"): Rule(Who.OWNER, {"id": "chattel"}, content=b"%PDF-"),
    ("signing", "get", "/v1/documents/{id}/comments"): Rule(Who.OWNER, {"id": "chattel"}),
    ("signing", "post", "/v1/documents/{id}/comments"): Rule(Who.OWNER, {"id": "chattel"}, lambda ids: {"text": "Seen."}),
    ("signing", "get", "/v1/workspace/memberships"): Rule(Who.USER),
    ("signing", "get", "/v1/workspace/active-org-id"): Rule(Who.USER),
    ("signing", "get", "/v1/workspace/active-org"): Rule(Who.USER),
    ("signing", "get", "/v1/workspace/organizations/{organizationId}"): Rule(Who.MEMBER, {"organizationId": "organization"}),
    ("signing", "get", "/v1/workspace/profile"): Rule(Who.USER),
    ("signing", "get", "/v1/workspace/menu-core"): Rule(Who.USER),
}

_ID = {"id": "signature"}

SIGNATURES: Mapping[tuple[str, str, str], Rule] = {
    ("signatures", "get", "/v1/signatures"): Rule(Who.PROJECT),
    ("signatures", "post", "/v1/signatures"): Rule(Who.PROJECT, body=_signature, refers=True),
    ("signatures", "get", "/v1/signatures/{id}"): Rule(Who.PROJECT, _ID),
    ("signatures", "post", "/v1/signatures/{id}/cancel"): Rule(Who.PROJECT, {"id": "spare_signature"}, _none),
    ("signatures", "get", "/v1/signatures/{id}/download"): Rule(Who.PROJECT, _ID),
    ("signatures", "get", "/v1/signatures/{id}/certificate"): Rule(Who.PROJECT, _ID),
    ("signatures", "post", "/v1/renders"): Rule(Who.PROJECT, content=b"%PDF-"),
    ("signatures", "get", "/v1/renders/{id}"): Rule(Who.PROJECT, {"id": "render"}),
}

_ENVELOPE = {"id": "envelope"}

SESSIONS: Mapping[tuple[str, str, str], Rule] = {
    ("sessions", "post", "/v1/signing_sessions"): Rule(
        Who.FRESH,
        body=lambda ids: {
            "stakeholder_id": "stk_ana",
            "signing_envelope_id": ids["envelope"],
            "signer_id": ids["envelope_signer"],
        },
        refers=True,
    ),
    ("sessions", "get", "/v1/signing_sessions/{id}"): Rule(Who.ORGANIZATION_OR_TOKEN, {"id": "session"}),
    ("sessions", "post", "/v1/signing_sessions/{id}/complete"): Rule(
        Who.TOKEN, {"id": "session"}, lambda ids: {"electronic_signature_text": "I sign."}
    ),
    ("sessions", "get", "/v1/signing_envelopes"): Rule(Who.ORGANIZATION),
    ("sessions", "post", "/v1/signing_envelopes"): Rule(Who.ORGANIZATION, body=_envelope, refers=True),
    ("sessions", "get", "/v1/signing_envelopes/{id}"): Rule(Who.ORGANIZATION, _ENVELOPE),
    ("sessions", "post", "/v1/signing_envelopes/{id}/send"): Rule(Who.ORGANIZATION, {"id": "envelope_draft"}, _none),
    ("sessions", "post", "/v1/signing_envelopes/{id}/void"): Rule(Who.ORGANIZATION, {"id": "spare_envelope"}, _none),
    ("sessions", "post", "/v1/signing_envelopes/{id}/remind"): Rule(Who.ORGANIZATION, _ENVELOPE, _none),
    ("sessions", "post", "/v1/signing_envelopes/{id}/decline"): Rule(Who.TOKEN, {"id": "spare_envelope"}, _none),
    ("sessions", "get", "/v1/documents"): Rule(Who.ORGANIZATION),
    ("sessions", "post", "/v1/documents"): Rule(Who.ORGANIZATION, body=lambda ids: {"entity_id": "ent_1", "type": "nda"}),
    ("sessions", "get", "/v1/documents/{id}"): Rule(Who.ORGANIZATION, {"id": "library"}),
    ("sessions", "get", "/v1/consents/esra"): Rule(Who.ORGANIZATION),
    ("sessions", "post", "/v1/consents/esra"): Rule(
        Who.ORGANIZATION,
        body=lambda ids: {
            "stakeholder_id": "stk_bo",
            "hardware_capability_affirmed": True,
            "paper_copy_request_method": "By mail.",
        },
    ),
    ("sessions", "get", "/v1/consents/{id}"): Rule(Who.ORGANIZATION, {"id": "consent"}),
    ("sessions", "post", "/v1/consents/{id}/withdraw"): Rule(Who.ORGANIZATION, {"id": "consent"}, _none),
    ("sessions", "get", "/v1/events/{id}"): Rule(Who.ORGANIZATION, {"id": "event"}),
    ("sessions", "get", "/v1/api_versions"): Rule(Who.NOBODY),
}

LEDGER: Mapping[tuple[str, str, str], Rule] = {
    ("ledger", "get", "/v1/ledger/timeline/{id}"): Rule(Who.ANYONE, {"id": "document"}),
    ("ledger", "get", "/v1/evidence/{id}"): Rule(Who.ANYONE, {"id": "document"}),
    ("ledger", "get", "/v1/executions/{id}"): Rule(Who.ANYONE, {"id": "document"}),
    ("ledger", "get", "/v1/ledger/heads/{id}"): Rule(Who.ANYONE, {"id": "document"}),
    ("ledger", "get", "/v1/ledger/head"): Rule(Who.ANYONE),
    # Whoever holds a file may ask, as the log is public; nothing else opens the answer.
    ("ledger", "post", "/v1/verifications"): Rule(Who.NOBODY, content=b"%PDF-"),
    # The log is public by default: it holds no personal data, and nothing but the operator's settings closes it.
    ("ledger", "get", "/v1/ledger/checkpoint"): Rule(Who.NOBODY),
    ("ledger", "get", "/v1/ledger/entries"): Rule(Who.NOBODY),
    ("ledger", "get", "/v1/ledger/proofs/inclusion"): Rule(Who.NOBODY, query="?position=1"),
    ("ledger", "get", "/v1/ledger/proofs/consistency"): Rule(Who.NOBODY, query="?old=1"),
    ("log", "get", "/ledger/checkpoint"): Rule(Who.NOBODY),
    ("log", "get", "/ledger/tile/{path}"): Rule(Who.NOBODY, {"path": "tile"}),
    ("ledger", "get", "/v1/ledger/credentials"): Rule(Who.ADMINISTRATOR),
    ("ledger", "post", "/v1/ledger/credentials"): Rule(Who.ADMINISTRATOR, body=lambda ids: {"kind": "project", "mode": "live"}),
    ("ledger", "delete", "/v1/ledger/credentials/{id}"): Rule(Who.ADMINISTRATOR, {"id": "credential"}),
    ("ledger", "post", "/v1/ledger/erasures"): Rule(
        Who.ADMINISTRATOR, body=lambda ids: {"ground": "request", "template": ids["spare_template"]}, refers=True
    ),
    ("ledger", "get", "/v1/ledger/holds"): Rule(Who.ADMINISTRATOR),
    ("ledger", "post", "/v1/ledger/holds"): Rule(
        Who.ADMINISTRATOR, body=lambda ids: {"reason": "litigation", "envelopeId": ids["document"]}, refers=True
    ),
    ("ledger", "post", "/v1/ledger/holds/{id}/lift"): Rule(Who.ADMINISTRATOR, {"id": "hold"}, lambda ids: {"ground": "settled"}),
}

FILES: Mapping[tuple[str, str, str], Rule] = {
    ("files", "put", "/files/upload/{token}"): Rule(Who.PATH, {"token": "nothing"}, content=b"%PDF-"),
    ("files", "get", "/files/download/{token}"): Rule(Who.PATH, {"token": "nothing"}),
    ("files", "head", "/files/download/{token}"): Rule(Who.PATH, {"token": "nothing"}),
    ("signer", "get", "/sign/{session}/package"): Rule(Who.TOKEN, {"session": "session"}),
    ("signer", "get", "/sign/{session}/documents/{document}"): Rule(
        Who.TOKEN, {"session": "session", "document": "session_document"}
    ),
    ("signer", "post", "/sign/{session}/decline"): Rule(Who.TOKEN, {"session": "spare_session"}, _none),
}

RULES: Mapping[tuple[str, str, str], Rule] = {**PARTNER, **SIGNING, **AROUND, **SIGNATURES, **SESSIONS, **LEDGER, **FILES}
