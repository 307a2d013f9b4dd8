"""Rate limits: who is counted, for how long, and what a client is told."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.deps import Deps
from api.http import Labels, RequestLimits, note_accepted, request_id
from api.limits import NOTHING, Allowance, Presented, RateLimits, Remembered, shown
from infrastructure.clock import FixedClock
from infrastructure.rates import DEFAULTS, Rate
from infrastructure.settings import Settings, SettingsError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LIMITS = "sessions.live=3/6,sessions.token=off,sessions.none=2/4"


def refused(request: Request, retry_after_seconds: int) -> Response:
    return JSONResponse({"retry_after": retry_after_seconds, "request_id": request_id(request)}, 429)


@dataclass
class Surface:
    """A surface with the limits, whose one route accepts only bearers that end in `good`. `time` is the monotonic clock."""

    limits: str = LIMITS
    remembered: int = 100
    headers: bool = True
    time: float = 1000.0
    deps: Deps = field(init=False)
    app: Labels = field(init=False)

    def __post_init__(self) -> None:
        async def route(request: Request) -> Response:
            if request.url.path == "/broken":
                raise RuntimeError
            if request.url.path == "/refused":
                note_accepted(request)
                return Response(status_code=409)
            return Response(status_code=200 if request.headers.get("authorization", "").endswith("good") else 401)

        settings = Settings.read({"COUNTERSIGN_RATE_LIMITS": self.limits, "COUNTERSIGN_TRUSTED_PROXIES": "10.0.0.0/8"})
        self.deps = cast(Deps, SimpleNamespace(settings=settings, clock=FixedClock(NOW), random=bytes))
        app = Starlette(routes=[Route("/", route), Route("/broken", route), Route("/refused", route)])
        app.add_middleware(
            RateLimits,
            deps=self.deps,
            surface="sessions",
            refused=refused,
            headers=self.headers,
            remembered=self.remembered,
            now=lambda: self.time,
        )
        app.add_middleware(RequestLimits, deps=self.deps, id_headers=("Matter-Request-Id",))
        self.app = Labels(app, self.deps)

    def send(self, bearer: str = "", path: str = "/", peer: str = "192.0.2.1", **headers: str) -> httpx.Response:
        async def get() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=(peer, 1))
            credential: Mapping[str, str] = {"Authorization": f"Bearer {bearer}"} if bearer else {}
            async with httpx.AsyncClient(transport=transport, base_url="http://api.example") as http:
                return await http.get(path, headers={**credential, **headers})

        return asyncio.run(get())

    def statuses(self, count: int, bearer: str = "", **more: str) -> list[int]:
        return [self.send(bearer, **more).status_code for _ in range(count)]


def test_a_credential_may_send_its_burst_and_then_waits_for_each_request() -> None:
    surface = Surface()
    assert surface.statuses(4, "sk_live_a-good") == [200, 200, 200, 429]
    surface.time += 0.34
    assert surface.statuses(2, "sk_live_a-good") == [200, 429]


def test_a_minutes_requests_are_regained_within_a_minute() -> None:
    surface = Surface()
    for _ in range(6):
        assert surface.statuses(1, "sk_live_a-good") == [200]
        surface.time += 0.5
    refusal = surface.send("sk_live_a-good")
    assert refusal.status_code == 429
    surface.time += int(refusal.headers["retry-after"])
    assert surface.statuses(2, "sk_live_a-good") == [200, 429]


def test_whoever_keeps_to_the_published_numbers_is_never_refused() -> None:
    allowance, now = Allowance(Rate(100, 1000), 0.0), 0.0
    for _ in range(3):  # each minute: ten seconds of a hundred at once, then silence
        for second in range(10):
            for _ in range(100):
                assert allowance.wait_seconds(now + second) == 0
                allowance.take(now + second)
        now += 60


def test_each_answer_tells_what_is_left() -> None:
    surface = Surface()
    first, second = surface.send("sk_live_a-good"), surface.send("sk_live_a-good")
    assert [first.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")] == [
        "6",
        "5",
        str(int(NOW.timestamp()) + 10),
    ]
    assert second.headers["x-ratelimit-remaining"] == "4"
    assert "retry-after" not in second.headers


def test_a_refusal_says_when_to_come_back_and_coming_back_then_works() -> None:
    surface = Surface()
    surface.statuses(3, "sk_live_a-good")
    refusal = surface.send("sk_live_a-good")
    seconds = int(refusal.headers["retry-after"])
    assert refusal.json() == {"retry_after": seconds, "request_id": refusal.headers["x-request-id"]}
    assert refusal.headers["x-ratelimit-remaining"] == "0"
    assert refusal.headers["x-ratelimit-reset"] == str(int(NOW.timestamp()) + seconds)
    surface.time += seconds
    assert surface.send("sk_live_a-good").status_code == 200


@pytest.mark.parametrize("path", ["/nothing-here", "/broken"])
def test_answers_of_the_framework_have_the_headers_too(path: str) -> None:
    answer = Surface().send("sk_live_a-good", path)
    assert answer.status_code in (404, 500)
    assert answer.headers["x-ratelimit-remaining"] == "5"
    assert answer.headers["x-request-id"] == answer.headers["matter-request-id"]
    assert len(answer.headers.get_list("x-request-id")) == 1


def test_a_surface_that_publishes_no_headers_sends_none() -> None:
    surface = Surface(headers=False)
    surface.statuses(3, "sk_live_a-good")
    refusal = surface.send("sk_live_a-good")
    assert refusal.status_code == 429
    assert not [name for name in refusal.headers if name.startswith("x-ratelimit")]
    assert refusal.headers["retry-after"] == "1"


def test_two_credentials_are_counted_apart() -> None:
    surface = Surface()
    assert surface.statuses(4, "sk_live_a-good")[-1] == 429
    assert surface.statuses(1, "sk_live_b-good") == [200]


def test_without_a_credential_the_address_is_counted() -> None:
    surface = Surface()
    assert surface.statuses(3) == [401, 401, 429]
    assert surface.statuses(1, peer="192.0.2.2") == [401]


def test_the_addresses_of_one_ipv6_network_are_one() -> None:
    surface = Surface()
    assert surface.statuses(2, peer="2001:db8::1") == [401, 401]
    assert surface.statuses(1, peer="2001:db8::2") == [429]
    assert surface.statuses(1, peer="2001:db8:0:1::1") == [401]


def test_behind_a_trusted_proxy_the_client_is_counted_and_no_other_forwarding_is_believed() -> None:
    surface = Surface()
    forwarded = {"X-Forwarded-For": "198.51.100.1"}
    assert surface.statuses(3, peer="10.0.0.1", **forwarded) == [401, 401, 429]
    assert surface.statuses(1, peer="10.0.0.1", **{"X-Forwarded-For": "198.51.100.2"}) == [401]
    assert surface.statuses(2, peer="192.0.2.9") == [401, 401]
    assert surface.statuses(1, peer="192.0.2.9", **{"X-Forwarded-For": "198.51.100.3"}) == [429]


def test_guessing_is_limited_although_each_guess_is_another_credential() -> None:
    surface = Surface()
    assert [surface.send(f"sk_live_{number}").status_code for number in range(4)] == [401, 401, 429, 429]
    assert surface.statuses(1, "sk_live_new-good") == [429], "nothing tells it from a guess"


def test_a_guess_is_not_accepted_by_an_answer_that_anybody_gets() -> None:
    surface = Surface()
    assert [surface.send(f"sk_live_{number}", "/absent").status_code for number in range(4)] == [404, 404, 429, 429]
    assert surface.send("sk_live_0").status_code == 429


def test_a_credential_that_was_recognised_is_accepted_whatever_the_answer() -> None:
    surface = Surface()
    assert surface.send("sk_live_a-good", "/refused").status_code == 409
    assert surface.statuses(3) == [401, 401, 429]
    assert surface.statuses(1, "sk_live_a-good") == [200]


def test_guesses_of_others_do_not_shut_out_a_credential_that_was_accepted() -> None:
    surface = Surface()
    assert surface.statuses(1, "sk_live_a-good") == [200]
    assert [surface.send(f"sk_live_{number}").status_code for number in range(3)] == [401, 401, 429]
    assert surface.statuses(1, "sk_live_a-good") == [200]


def test_accepted_requests_do_not_count_against_the_address() -> None:
    surface = Surface()
    assert [surface.send(f"sig_{number}-good").status_code for number in range(20)] == [200] * 20
    assert surface.statuses(2) == [401, 401]


def test_a_class_without_a_limit_has_none_and_says_nothing() -> None:
    surface = Surface()
    assert surface.statuses(20, "sig_good") == [200] * 20
    assert "x-ratelimit-limit" not in surface.send("sig_good").headers


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, NOTHING),
        ({"Authorization": "Basic"}, NOTHING),
        ({"Authorization": "Bearer sk_live_x"}, Presented("live", "sk_live_x")),
        ({"Authorization": "bearer ck_test_x"}, Presented("test", "ck_test_x")),
        ({"Authorization": "Bearer x.y.z"}, Presented("user", "x.y.z")),
        ({"Authorization": "Bearer sig_x"}, Presented("token", "sig_x")),
        ({"X-Signing-Session-Token": "sig_x"}, Presented("token", "sig_x")),
        ({"Authorization": "Bearer sk_live_x", "X-Signing-Session-Token": "sig_y"}, Presented("live", "sk_live_x")),
        ({"X-Tenant-Signly": "t", "X-Auth-Signly": "k"}, Presented("key", "t\nk")),
        ({"X-Auth-Signly": "Bearer x.y.z"}, Presented("admin", "\nBearer x.y.z")),
    ],
)
def test_the_form_of_a_credential_tells_its_class(headers: dict[str, str], found: Presented) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    assert shown(Request({"type": "http", "headers": raw})) == found


def test_a_class_that_the_surface_does_not_have_counts_as_no_credential() -> None:
    surface = Surface()
    assert surface.statuses(3, **{"X-Tenant-Signly": "t", "X-Auth-Signly": "k"}) == [401, 401, 429]


def test_off_is_off() -> None:
    surface = Surface(limits="off")
    assert surface.statuses(30, "sk_live_a-good") == [200] * 30
    assert surface.statuses(30) == [401] * 30


def test_what_is_remembered_is_bounded_and_the_longest_unseen_goes_first() -> None:
    remembered = Remembered(most=2)
    first = remembered.of("a", Rate(1, 1), 0.0)
    remembered.of("b", Rate(1, 1), 0.0)
    assert remembered.of("a", Rate(1, 1), 0.0) is first
    remembered.of("c", Rate(1, 1), 0.0)
    assert len(remembered) == 2
    assert remembered.of("a", Rate(1, 1), 0.0) is first


def test_credentials_that_nothing_accepted_do_not_push_out_the_ones_in_use() -> None:
    surface = Surface(limits="sessions.live=3/6,sessions.none=off", remembered=2)
    assert surface.statuses(3, "sk_live_a-good") == [200] * 3
    assert [surface.send(f"sk_live_{number}").status_code for number in range(5)] == [401] * 5
    assert surface.statuses(1, "sk_live_a-good") == [429]


def test_a_clients_own_request_id_is_not_ours() -> None:
    answer = Surface().send("sk_live_a-good", **{"X-Request-Id": "mine"})
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_setting_changes_the_classes_it_names_and_no_other() -> None:
    limits = Settings.read({"COUNTERSIGN_RATE_LIMITS": "sessions.live=5/10, signing.user=7/7, signatures.test=off"}).rate_limits
    changed = {"sessions.live": Rate(5, 10), "signing.user": Rate(7, 7), "signatures.test": None}
    assert limits == {**DEFAULTS, **changed}


@pytest.mark.parametrize(
    "value", ["on", "sessions.live", "sessions.live=", "sessions.live=5", "sessions.live=0/5", "sessions.live=6/5", "x.live=1/1"]
)
def test_a_limit_that_cannot_be_kept_is_refused_by_the_name_of_the_variable(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^COUNTERSIGN_RATE_LIMITS: "):
        Settings.read({"COUNTERSIGN_RATE_LIMITS": value})


def test_the_published_numbers_are_the_defaults() -> None:
    limits = Settings.read({}).rate_limits
    assert (limits["sessions.live"], limits["sessions.test"]) == (Rate(100, 1000), Rate(25, 250))
    assert {limits[name] for name in limits if name.startswith(("partner.", "signing."))} == {None}
