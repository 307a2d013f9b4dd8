"""What `bench_reads.py` asks: for each GET route the caller and paths that name things that are there, and the lists that have pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg

from domain.entry import decode
from domain.ids import event_id, ulid_id
from scripts.bench_reads_world import World

Row = dict[str, Any]

#: How many different things of a kind are asked for in turn.
SAMPLES: Final = 500


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a route is asked: `path` is filled in from the rows of a sample in turn, and answered with one of `statuses`."""

    caller: str
    path: str
    sample: str = "nothing"
    statuses: tuple[int, ...] = (200,)
    note: str = ""


@dataclass(frozen=True, slots=True)
class PagedList:
    """A list with pages: `rows` counts what is in it; the next page is at `member` of the answer, sent as `parameter`."""

    surface: str
    caller: str
    path: str
    member: tuple[str, ...]
    parameter: str
    rows: str
    note: str = ""

    def next(self, answer: Any) -> str | None:
        """The cursor of the page after this one."""
        for name in self.member:
            answer = (answer or {}).get(name)
        return answer if isinstance(answer, str) else None


_PACKAGES: Final = """
    SELECT e.id, e.created_position AS number, e.documents->0->>'number' AS document, s.id AS participant,
        s.created_position AS signer
    FROM read.envelopes AS e JOIN read.signers AS s ON s.envelope = e.id
    WHERE e.tenant = %(tenant)s AND e.mode = 'live' AND e.status <> 'draft' AND s.number = 1"""
_LIBRARY: Final = "SELECT id FROM read.library_documents WHERE tenant = %(tenant)s AND mode = 'live' AND id <> %(popular)s"
_LOCATED: Final = "FROM read.templates WHERE tenant = %(tenant)s AND mode = 'live'"
_DISCLOSED: Final = "(SELECT stream FROM disclosures WHERE subject = %({})s AND path = '/{}' AND version = 1)"

#: Rows to ask for, by name; read from the read models and in an order that has nothing to do with theirs.
QUERIES: Final[Mapping[str, str]] = {
    "nothing": "SELECT 1 AS id",
    "package": _PACKAGES,
    "assigned package": f"{_PACKAGES} AND s.id IN {_DISCLOSED.format('signer', 'email')}",
    "location's package": f"{_PACKAGES} AND e.location IS NOT NULL",
    "template": f"SELECT id {_LOCATED}",
    "location's template": f"SELECT created_position AS id {_LOCATED} AND location IS NOT NULL",
    "document": f"{_LIBRARY} AND kind = 'generated'",
    "render": f"{_LIBRARY} AND kind = 'render'",
    "popular document": "SELECT %(popular)s::uuid AS id",
    "own document": f"{_LIBRARY} AND kind = 'chattel' AND id IN {_DISCLOSED.format('owner', 'owner')}",
    "consent": "SELECT stream AS id FROM log WHERE type LIKE 'consent.accepted/%%'",
    "event": """
        SELECT l.leaf, l.entry FROM read.envelopes AS e JOIN log AS l ON l.stream = e.id
        WHERE e.tenant = %(tenant)s AND e.mode = 'live' AND l.type LIKE 'envelope.sent/%%'""",
    **{
        name: f"SELECT t.number AS id FROM read.{table} AS t WHERE t.organization = %(organization)s"  # noqa: S608
        for name, table in (("company", "companies"), ("location", "locations"), ("flow", "flows"))
    },
    "organization": "SELECT number AS id FROM read.organizations WHERE id = %(organization)s",
}

_QUEUE: Final = "/v1/signing/signer/signings/{number}"
_MANAGER: Final = "/v1/signing/manager"
#: Of the sessions surface, where the ids have prefixes.
_ENVELOPES: Final = "/v1/signing_envelopes"

#: By surface and path as its OpenAPI document has it; several where one path can cost differently.
RECIPES: Final[Mapping[tuple[str, str], tuple[Recipe, ...]]] = {
    ("partner", "/api"): (Recipe("partner administrator", "/api"),),
    ("partner", "/v1/templates"): (Recipe("partner", "/v1/templates?limit=50", note="50"),),
    ("partner", "/v1/templates/{templateId}"): (Recipe("partner", "/v1/templates/{id}", "template"),),
    ("partner", "/v1/templates/{templateId}/history"): (Recipe("partner", "/v1/templates/{id}/history", "template"),),
    ("partner", "/v1/templates/{templateId}/versions/{version}"): (
        Recipe("partner", "/v1/templates/{id}/versions/0001", "template"),
    ),
    ("partner", "/v1/templates/{templateId}/fields"): (Recipe("partner", "/v1/templates/{id}/fields", "template"),),
    ("partner", "/v1/templates/{templateId}/versions/{version}/download-url"): (
        Recipe("partner", "/v1/templates/{id}/versions/0001/download-url", "template"),
    ),
    ("partner", "/v1/templates/{templateId}/versions/{version}/preview"): (
        Recipe("partner", "/v1/templates/{id}/versions/0001/preview", "template", (200, 404), "of no stored PDF"),
    ),
    ("partner", "/v1/documents"): (
        Recipe("partner", "/v1/documents?limit=50", note="50"),
        Recipe("partner", "/v1/documents?limit=50&status=COMPLETED", note="50, completed"),
        Recipe("partner", "/v1/documents?limit=50&status=CANCELLED", note="50, of a rare status"),
    ),
    ("partner", "/v1/documents/{documentId}"): (Recipe("partner", "/v1/documents/{id}", "package"),),
    ("partner", "/v1/documents/{documentId}/summary"): (Recipe("partner", "/v1/documents/{id}/summary", "package"),),
    ("partner", "/v1/events/{processId}"): (
        Recipe("partner", "/v1/events/{id}-{participant}", "package"),
        Recipe("partner", "/v1/events/{id}", "package", note="of the envelope"),
    ),
    ("signing", "/v1/signing/me"): (Recipe("manager", "/v1/signing/me"),),
    ("signing", "/v1/signing/session"): (
        Recipe("manager", "/v1/signing/session", note="a manager's"),
        Recipe("signer", "/v1/signing/session", note="a signer's"),
    ),
    ("signing", "/v1/signing/signer/signings"): (Recipe("signer", "/v1/signing/signer/signings", note="up to 100"),),
    ("signing", "/v1/signing/signer/signings/{signingId}"): (Recipe("signer", _QUEUE, "assigned package"),),
    ("signing", "/v1/signing/signer/signings/{signingId}/documents"): (
        Recipe("signer", f"{_QUEUE}/documents", "assigned package"),
    ),
    ("signing", "/v1/signing/signer/signings/{signingId}/documents/{documentId}"): (
        Recipe("signer", _QUEUE + "/documents/{document}", "assigned package"),
    ),
    ("signing", "/v1/signing/signer/signings/{signingId}/signers"): (Recipe("signer", f"{_QUEUE}/signers", "assigned package"),),
    ("signing", "/v1/signing/signer/signings/{signingId}/signers/{signerId}"): (
        Recipe("signer", _QUEUE + "/signers/{signer}", "assigned package"),
    ),
    ("signing", "/v1/signing/organizations"): (Recipe("manager", "/v1/signing/organizations"),),
    ("signing", "/v1/signing/companies"): (Recipe("manager", "/v1/signing/companies"),),
    ("signing", "/v1/signing/companies/{companyId}"): (Recipe("manager", "/v1/signing/companies/{id}", "company"),),
    ("signing", f"{_MANAGER}/locations"): (Recipe("manager", f"{_MANAGER}/locations", note="20"),),
    ("signing", f"{_MANAGER}/locations/{{locationId}}"): (Recipe("manager", _MANAGER + "/locations/{id}", "location"),),
    ("signing", f"{_MANAGER}/signings"): (
        Recipe("manager", f"{_MANAGER}/signings", note="up to 500"),
        Recipe("manager", _MANAGER + "/signings?locationId={id}", "location", note="a location's, up to 500"),
    ),
    ("signing", f"{_MANAGER}/signings/{{signingId}}"): (
        Recipe("manager", _MANAGER + "/signings/{number}", "location's package"),
    ),
    ("signing", f"{_MANAGER}/templates"): (
        Recipe("manager", f"{_MANAGER}/templates", note="up to 500"),
        Recipe("manager", _MANAGER + "/templates?locationId={id}", "location", note="a location's, up to 500"),
    ),
    ("signing", f"{_MANAGER}/templates/{{templateId}}"): (
        Recipe("manager", _MANAGER + "/templates/{id}", "location's template"),
    ),
    ("signing", f"{_MANAGER}/flows"): (Recipe("manager", f"{_MANAGER}/flows", note="20"),),
    ("signing", f"{_MANAGER}/flows/{{flowId}}"): (Recipe("manager", _MANAGER + "/flows/{id}", "flow"),),
    ("signing", "/v1/documents"): (Recipe("signer", "/v1/documents", note="up to 500"),),
    ("signing", "/v1/documents/{id}"): (Recipe("signer", "/v1/documents/{ulid}", "own document"),),
    ("signing", "/v1/documents/{id}/comments"): (Recipe("signer", "/v1/documents/{ulid}/comments", "own document"),),
    **{
        ("signing", f"/v1/workspace/{name}"): (Recipe("manager", f"/v1/workspace/{name}"),)
        for name in ("memberships", "active-org-id", "active-org", "profile", "menu-core")
    },
    ("signing", "/v1/workspace/organizations/{organizationId}"): (
        Recipe("manager", "/v1/workspace/organizations/{id}", "organization"),
    ),
    ("signatures", "/v1/signatures"): (
        Recipe("project", "/v1/signatures?limit=50", note="50"),
        Recipe("project", "/v1/signatures?limit=50&renderId={id}", "popular document", note="50, of one render"),
    ),
    ("signatures", "/v1/signatures/{id}"): (Recipe("project", "/v1/signatures/{id}", "package"),),
    ("signatures", "/v1/signatures/{id}/download"): (
        Recipe("project", "/v1/signatures/{id}/download", "package", (200, 409), "not made yet"),
    ),
    ("signatures", "/v1/signatures/{id}/certificate"): (
        Recipe("project", "/v1/signatures/{id}/certificate", "package", (200, 409), "not made yet"),
    ),
    ("signatures", "/v1/renders/{id}"): (Recipe("project", "/v1/renders/{id}", "render"),),
    ("sessions", "/v1/signing_sessions/{id}"): (Recipe("organization", "/v1/signing_sessions/sgs_{participant.hex}", "package"),),
    ("sessions", _ENVELOPES): (
        Recipe("organization", f"{_ENVELOPES}?limit=50", note="50"),
        Recipe("organization", f"{_ENVELOPES}?limit=50&status=completed", note="50, completed"),
        Recipe("organization", f"{_ENVELOPES}?limit=50&status=voided", note="50, of a rare status"),
    ),
    ("sessions", f"{_ENVELOPES}/{{id}}"): (Recipe("organization", _ENVELOPES + "/env_{id.hex}", "package"),),
    ("sessions", "/v1/documents"): (Recipe("organization", "/v1/documents?limit=50", note="50"),),
    ("sessions", "/v1/documents/{id}"): (
        Recipe("organization", "/v1/documents/doc_{id.hex}", "document"),
        Recipe("organization", "/v1/documents/doc_{id.hex}", "popular document", note="of many envelopes"),
    ),
    ("sessions", "/v1/consents/esra"): (Recipe("organization", "/v1/consents/esra"),),
    ("sessions", "/v1/consents/{id}"): (Recipe("organization", "/v1/consents/con_{id.hex}", "consent"),),
    ("sessions", "/v1/api_versions"): (Recipe("organization", "/v1/api_versions"),),
    ("sessions", "/v1/events/{id}"): (Recipe("organization", "/v1/events/evt_{id}", "event"),),
    ("ledger", "/v1/ledger/timeline/{id}"): (Recipe("organization", "/v1/ledger/timeline/{id}", "package"),),
    ("ledger", "/v1/ledger/heads/{id}"): (Recipe("organization", "/v1/ledger/heads/{id}", "package"),),
    ("ledger", "/v1/evidence/{id}"): (Recipe("organization", "/v1/evidence/{id}", "package", note="no heads manifest"),),
    ("ledger", "/v1/executions/{id}"): (Recipe("organization", "/v1/executions/{id}", "package"),),
    ("ledger", "/v1/ledger/head"): (Recipe("organization", "/v1/ledger/head"),),
    ("ledger", "/v1/ledger/checkpoint"): (Recipe("organization", "/v1/ledger/checkpoint"),),
    ("ledger", "/v1/ledger/entries"): (Recipe("organization", "/v1/ledger/entries?after={number}&limit=50", "package"),),
    ("ledger", "/v1/ledger/proofs/inclusion"): (
        Recipe("organization", "/v1/ledger/proofs/inclusion?position={number}", "package"),
    ),
    ("ledger", "/v1/ledger/proofs/consistency"): (
        Recipe("organization", "/v1/ledger/proofs/consistency?old={number}", "package"),
    ),
    ("ledger", "/v1/ledger/credentials"): (Recipe("administrator", "/v1/ledger/credentials"),),
    ("ledger", "/v1/ledger/holds"): (Recipe("administrator", "/v1/ledger/holds"),),
}

_OWN: Final = "WHERE tenant = %(tenant)s AND mode = 'live'"
_ALL: Final = f"SELECT count(*) FROM read.envelopes {_OWN}"  # noqa: S608
_NEXT: Final = ("next_cursor",)
_PARTNER_NEXT: Final = ("pagination", "nextCursor")

LISTS: Final = (
    PagedList("partner", "partner", "/v1/documents", _PARTNER_NEXT, "cursor", _ALL),
    PagedList(
        "partner", "partner", "/v1/documents?status=COMPLETED", _PARTNER_NEXT, "cursor", f"{_ALL} AND status = 'completed'"
    ),
    PagedList("partner", "partner", "/v1/templates", _PARTNER_NEXT, "cursor", f"SELECT count(*) {_LOCATED}"),
    PagedList("signatures", "project", "/v1/signatures", ("nextCursor",), "cursor", f"{_ALL} AND status <> 'draft'"),
    PagedList(
        "signatures",
        "project",
        "/v1/signatures?renderId={popular}",
        ("nextCursor",),
        "cursor",
        f"{_ALL} AND status <> 'draft' AND id IN (SELECT envelope FROM read.envelope_sources WHERE source = %(popular)s)",  # noqa: S608
        "of one render",
    ),
    PagedList("sessions", "organization", _ENVELOPES, _NEXT, "starting_after", _ALL),
    PagedList(
        "sessions", "organization", f"{_ENVELOPES}?status=completed", _NEXT, "starting_after", f"{_ALL} AND status = 'completed'"
    ),
    PagedList(
        "sessions",
        "organization",
        "/v1/documents",
        _NEXT,
        "starting_after",
        f"SELECT count(*) FROM read.library_documents {_OWN} AND kind <> 'chattel'",  # noqa: S608
    ),
)


def samples(conn: psycopg.Connection[Any], world: World, people: Mapping[str, UUID | None]) -> Mapping[str, list[Row]]:
    """What there is to ask for, by the names of QUERIES. `people` are the vault's ids of the `signer` and the `owner`."""
    found = conn.execute("SELECT id FROM read.organizations WHERE tenant = %s", [world.tenant]).fetchone()
    assert found is not None
    values = {"tenant": world.tenant, "popular": world.popular, "organization": found[0], **people}
    chosen = {name: rows(conn, query, values) for name, query in QUERIES.items()}
    for row in chosen["own document"]:
        row["ulid"] = ulid_id("doc", row["id"])
    chosen["event"] = [{"id": event_id(decode(row["entry"]).at, row["leaf"])} for row in chosen["event"]]
    return chosen


def rows(conn: psycopg.Connection[Any], query: str, values: Mapping[str, object]) -> list[Row]:
    """The rows of a query, no more than SAMPLES of them."""
    with conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        cursor.execute(f"SELECT * FROM ({query}) AS q ORDER BY md5(q::text) LIMIT {SAMPLES}".encode(), values)  # noqa: S608
        return list(cursor.fetchall())
