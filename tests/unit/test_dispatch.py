"""Which surface a request is for."""

import pytest

from api.dispatch import choose

HOSTS = {"sign.example.com": "partner", "api.example.com": "sessions"}


def chosen(path: str, headers: dict[str, str]) -> str | None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return choose({"type": "http", "path": path, "headers": raw}, HOSTS)


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
        ("/v1/signing_sessions/sgs_1", {"Authorization": "Bearer x.y.z"}, "sessions"),
        ("/v1/signatures", {"Authorization": "Bearer x"}, "signatures"),
        ("/v1/signing_sessions/sgs_1", {"X-Tenant-Signly": "t"}, "partner"),
        ("/v1/signing/session", {}, "signing"),
        ("/v1/signatures", {}, "signatures"),
        ("/v1/nothing", {}, None),
    ],
)
def test_headers_decide_then_the_path(path: str, headers: dict[str, str], surface: str | None) -> None:
    assert chosen(path, headers) == surface


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
