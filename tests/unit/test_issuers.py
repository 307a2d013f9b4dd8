"""The issuers of users' tokens as an operator writes them down, and what is said of a slip."""

import json
from typing import Any
from uuid import UUID

import pytest

from domain.actor import Mode
from infrastructure.issuers import DEFAULT_ALGORITHMS, MAX_ISSUERS, OidcIssuer
from infrastructure.settings import Settings, SettingsError

TENANT = "018f0000-0000-7000-8000-000000000001"
GOOD = {"issuer": "https://login.example.com", "audience": "countersign", "tenant": TENANT}


def read(*issuers: object) -> tuple[OidcIssuer, ...]:
    return Settings.read({"COUNTERSIGN_OIDC_ISSUERS": json.dumps(issuers)}).oidc_issuers


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as refused:
        Settings.read({"COUNTERSIGN_OIDC_ISSUERS": text})
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("COUNTERSIGN_OIDC_ISSUERS: ")
    return str(refused.value).partition(": ")[2]


def test_there_are_none_by_default() -> None:
    settings = Settings.read({})
    assert settings.oidc_issuers == ()
    assert settings.oidc_leeway_seconds == 30


def test_what_is_left_out_has_a_safe_default() -> None:
    (issuer,) = read(GOOD)
    assert (issuer.tenant, issuer.mode, issuer.jwks, issuer.algorithms) == (UUID(TENANT), Mode.LIVE, None, DEFAULT_ALGORITHMS)


def test_everything_can_be_said() -> None:
    jwks = "https://keys.example.com/jwks?tenant=1"
    live, test = read(GOOD, {**GOOD, "audience": "countersign-test", "mode": "test", "jwks": jwks, "algorithms": ["RS512"]})
    assert live.mode is Mode.LIVE
    assert (test.mode, test.jwks, test.algorithms) == (Mode.TEST, jwks, ("RS512",))
    local = read({**GOOD, "issuer": "http://localhost:8081/realms/x"}, {**GOOD, "issuer": "http://[::1]:8081"})
    assert [issuer.issuer for issuer in local] == ["http://localhost:8081/realms/x", "http://[::1]:8081"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"issuer": "http://login.example.com"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "login.example.com"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "https://"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "https://login.example.com?x=1"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "https://login.example.com#x"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "https://user:word@login.example.com"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "https://login.example.com:99999"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "https://[login.example.com"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "https://login.example.com/a b"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "https://login.example.com/a|b"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "http://127.0.0.1.example.com"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "http://localhost.example.com"}, "issuer 1, issuer: is not of the form https://"),
        ({"issuer": "https://login.example.com/" + "x" * 255}, "issuer 1, issuer: has more than 255"),
        ({"issuer": 5}, "issuer 1, issuer: input should be a valid string"),
        ({"audience": ""}, "issuer 1, audience: "),
        ({"tenant": "example"}, "issuer 1, tenant: is not a tenant's id"),
        ({"tenant": 5}, "issuer 1, tenant: is not a tenant's id"),
        ({"mode": "both"}, "issuer 1, mode: "),
        ({"jwks": "http://login.example.com/keys"}, "issuer 1, jwks: is not of the form https://"),
        ({"jwks": "file:///etc/passwd"}, "issuer 1, jwks: is not of the form https://"),
        ({"algorithms": []}, "issuer 1, algorithms: "),
        ({"algorithms": ["none"]}, "issuer 1, algorithms: "),
        ({"algorithms": ["RS256", "HS256"]}, "issuer 1, algorithms: "),
        ({"secret": "x"}, "issuer 1, secret: "),
    ],
    ids=str,
)
def test_a_slip_is_told_by_the_issuer_and_the_member(changed: dict[str, Any], reason: str) -> None:
    assert refusal(json.dumps([{**GOOD, **changed}])).startswith(reason)


@pytest.mark.parametrize("missing", ["issuer", "audience", "tenant"])
def test_what_has_no_default_must_be_said(missing: str) -> None:
    given = {name: value for name, value in GOOD.items() if name != missing}
    assert refusal(json.dumps([GOOD, given])).startswith(f"issuer 2, {missing}: field required")


@pytest.mark.parametrize(
    "text", ["{", "https://login.example.com", '"x"', "{}", "5", "[" * 5000, '[{"issuer": 1, "issuer": 2}]', "\udcff"]
)
def test_what_is_no_list_of_issuers_is_refused(text: str) -> None:
    assert refusal(text).startswith(("is not JSON", "is not a JSON list"))


def test_a_token_may_not_mean_two_of_them() -> None:
    assert refusal(json.dumps([GOOD, {**GOOD, "mode": "test"}])).startswith("issuer 2 repeats")
    assert refusal(json.dumps([5])).startswith("issuer 1 is not a JSON object")
    assert refusal(json.dumps([GOOD] * (MAX_ISSUERS + 1))).startswith("is not a JSON list of at most")


@pytest.mark.parametrize("seconds", ["-1", "301", "soon"])
def test_the_leeway_is_bounded(seconds: str) -> None:
    with pytest.raises(SettingsError, match="COUNTERSIGN_OIDC_LEEWAY_SECONDS: "):
        Settings.read({"COUNTERSIGN_OIDC_LEEWAY_SECONDS": seconds})
