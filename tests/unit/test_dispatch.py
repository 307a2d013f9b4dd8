"""Which surface a request is for."""

import pytest

from api.dispatch import choose

HOSTS = {"sign.example.com": "partner", "api.example.com": "sessions"}


TENANT = {"X-Tenant-Signly": "t", "X-Auth-Signly": "k"}


def chosen(path: str, headers: dict[str, str], method: str = "GET") -> str | None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return choose({"type": "http", "method": method, "path": path, "headers": raw}, HOSTS)


@pytest.mark.parametrize(
    ("path", "headers", "surface"),
    [
        ("/v1/documents", {"X-Tenant-Signly": "t", "X-Auth-Signly": "k"}, "partner"),
        ("/api", {"X-Auth-Signly": "Bearer x.y.z"}, "partner"),
        ("/v1/documents", {"Authorization": "Bearer ck_live_x"}, "signatures"),
        ("/v1/documents", {"Authorization": "Bearer sk_test_x"}, "sessions"),
        ("/v1/documents", {"Authorization": "Bearer x.y.z"}, "signing"),
        ("/v1/documents", {"Authorization": "Bearer x.y.z", "Matter-Version": "2026-06-10"}, "sessions"),
        ("/v1/anything", {"X-Signing-Session-Token": "sig_x"}, "sessions"),
        ("/v1/documents", {}, "partner"),
        ("/v1/events/evt_1", {"Authorization": "Bearer sk_live_x"}, "sessions"),
        ("/v1/signing_sessions/sgs_1", {}, "sessions"),
        ("/v1/templates", TENANT, "partner"),
        ("/v1/templates", {}, "partner"),
        ("/v1/templates", {"Authorization": "Bearer ck_live_x"}, "signatures"),
        ("/v1/events/x", TENANT, "partner"),
        ("/v1/documents", {"Authorization": "Bearer tok_x"}, "sessions"),
        ("/v1/documents", {**TENANT, "Authorization": "Bearer sk_live_x"}, "partner"),
        ("/v1/nothing", TENANT, "partner"),
        ("/v1/nothing", {}, None),
    ],
)
def test_of_paths_that_products_share_the_headers_decide(path: str, headers: dict[str, str], surface: str | None) -> None:
    assert chosen(path, headers) == surface


#: One request of each kind for the paths that one product alone has.
ALONE = [
    ("GET", "/v1/signing/session", "signing"),
    ("POST", "/v1/signing/manager/signings", "signing"),
    ("GET", "/v1/workspace/memberships", "signing"),
    ("POST", "/v1/documents/7/comments", "signing"),
    ("PUT", "/v1/documents/7/file", "signing"),
    ("POST", "/v1/signatures", "signatures"),
    ("GET", "/v1/renders/x", "signatures"),
    ("POST", "/v1/signing_sessions", "sessions"),
    ("POST", "/v1/signing_envelopes/env_1/send", "sessions"),
    ("POST", "/v1/consents/esra", "sessions"),
    ("POST", "/v1/webhook_endpoints", "sessions"),
    ("POST", "/v1/documents/doc_1/sign", "sessions"),
    ("POST", "/v1/documents/doc_1/send_for_signature", "sessions"),
    ("GET", "/v1/events/evt_1", "sessions"),
    ("GET", "/v1/api_versions", "sessions"),
    ("GET", "/v1/requests/req_1", "sessions"),
    ("GET", "/api", "partner"),
    ("GET", "/v1/webhooks", "partner"),
    ("GET", "/v1/documents/x/summary", "partner"),
    ("POST", "/v1/documents/x/extend", "partner"),
    ("DELETE", "/v1/documents/x/cancel", "partner"),
    ("POST", "/v1/documents/x/participants/y/resend", "partner"),
]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        TENANT,
        {"Authorization": "Bearer ck_live_x"},
        {"Authorization": "Bearer sk_live_x", "Matter-Version": "2026-06-10"},
        {"Authorization": "Bearer x.y.z"},
        {**TENANT, "Authorization": "Bearer x.y.z"},
    ],
)
@pytest.mark.parametrize(("method", "path", "surface"), ALONE)
def test_a_path_that_one_product_alone_has_is_its_own_whatever_credential_comes_with_it(
    method: str, path: str, surface: str, headers: dict[str, str]
) -> None:
    assert chosen(path, headers, method) == surface


def test_a_method_that_one_product_alone_has_on_a_shared_path_decides_only_where_no_header_does() -> None:
    assert chosen("/v1/documents/7", {}, "PATCH") == "signing"
    assert chosen("/v1/documents/7", {}, "DELETE") == "signing"
    assert chosen("/v1/documents/7", {}, "GET") == "partner"
    assert chosen("/v1/documents/7", TENANT, "PATCH") == "partner", "which answers 405 in its own words"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/ledger/head",
        "/v1/ledger",
        "/v1/evidence/7",
        "/v1/executions/7",
        "/v1/verifications",
        "/verify/7",
        "/ledger/checkpoint",
        "/ledger/tile/0/000",
    ],
)
@pytest.mark.parametrize("headers", [{}, TENANT, {"Authorization": "Bearer sk_live_x"}, {"Host": "sign.example.com"}])
def test_the_ledger_is_the_ledger_with_any_credential_and_under_any_host(path: str, headers: dict[str, str]) -> None:
    assert chosen(path, headers) == ("log" if path.startswith("/ledger") else "ledger")


def test_a_path_that_only_begins_like_the_ledgers_is_not_its() -> None:
    assert chosen("/v1/ledgers", {}) is None


@pytest.mark.parametrize("host", ["sign.example.com", "SIGN.example.com:8443"])
def test_a_configured_host_decides_before_headers(host: str) -> None:
    assert chosen("/v1/documents", {"Host": host, "Authorization": "Bearer sk_live_x"}) == "partner"


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_are_answered_under_every_host(path: str) -> None:
    assert chosen(path, {"Host": "api.example.com"}) == "health"


@pytest.mark.parametrize(
    ("path", "surface"),
    [
        ("/files/upload/x", "files"),
        ("/docs/partner", "pages"),
        ("/", "pages"),
        ("/sign/sgs_1", "signer"),
        ("/sign/a/b", "signer"),
    ],
)
def test_signed_urls_and_pages_belong_to_no_credential(path: str, surface: str) -> None:
    assert chosen(path, {"Host": "api.example.com", "X-Tenant-Signly": "t"}) == surface


def test_a_session_is_completed_under_the_host_of_its_page_whatever_that_is_for() -> None:
    token = {"Host": "sign.example.com", "X-Signing-Session-Token": "sig_x"}
    assert chosen("/v1/signing_sessions/sgs_1/complete", token) == "sessions"
    assert chosen("/v1/documents", token) == "partner"


def test_an_ipv6_host_is_no_configured_name() -> None:
    assert chosen("/v1/templates", {"Host": "[::1]:8080"}) == "partner"
