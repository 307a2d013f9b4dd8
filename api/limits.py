"""Rate limits: how many requests one credential may send, counted in this process.

A surface installs them beneath `RequestLimits`, so that a refusal has a request id too:

    app.add_middleware(RateLimits, deps=deps, surface="sessions", refused=refused, headers=True)
    app.add_middleware(RequestLimits, deps=deps)

`refused(request, retry_after_seconds)` is the surface's 429; `Retry-After` is put on it, and with `headers`
the `X-RateLimit-` headers on every answer. The surface's classes of credentials are in `infrastructure.rates`;
`presented(request)` says of which class a request's is, unless `shown` below does.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv6Network, ip_address
from math import ceil
from time import monotonic
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.deps import Deps
from api.http import App, Message, Receive, Scope, Send, client_address, note_header, was_accepted
from infrastructure.rates import Rate

#: Credentials, and addresses, that are remembered; the ones seen longest ago are forgotten first. About 20 MB when full.
MAX_REMEMBERED: Final = 50_000

#: Sums of floating-point numbers do not come out exactly; less than this is no time to wait.
_ROUNDING_SECONDS: Final = 1e-6

#: The class of what was not accepted: no credential, or one that no answer has accepted yet.
NONE: Final = "none"


#: Keys of projects and organizations say which world they belong to.
_TYPED: Final = re.compile(r"[cs]k_(live|test)_")


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request shows: the class of its credential (`live`, `test`, `user`, ...), and the credential as sent.

    Several headers that count together only as a pair are joined by the surface.
    """

    kind: str
    secret: str


#: A request that shows no credential.
NOTHING: Final = Presented(NONE, "")


def shown(request: Request) -> Presented:
    """What a request shows, as its form tells: a partner's pair of headers, a bearer, or a signing session's token.

    Where there are a bearer and a token, the bearer: one client completes the sessions of many signers.
    """
    tenant, partner = request.headers.get("x-tenant-signly", ""), request.headers.get("x-auth-signly", "")
    if partner:
        return Presented("admin" if partner[:7].lower() == "bearer " else "key", f"{tenant}\n{partner}")
    bearer = request.headers.get("authorization", "").partition(" ")[2].strip()
    if not bearer or bearer.startswith("sig_"):
        token = bearer or request.headers.get("x-signing-session-token", "")
        return Presented("token", token) if token else NOTHING
    typed = _TYPED.match(bearer)
    return Presented(typed[1] if typed else "user", bearer)


class Allowance:
    """What is left of a rate: two token buckets, one regained within a second and one within a minute.

    Whoever keeps to the rate in each second and each minute is never refused. Whoever does not may get at
    most twice as much in the first minute after a pause, and the rate from then on.
    """

    __slots__ = ("_at", "_minute", "_rate", "_second", "proven")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._at = now
        self._second = float(rate.per_second)
        self._minute = float(rate.per_minute)
        #: Whether an answer has accepted the credential.
        self.proven = False

    def _refill(self, now: float) -> None:
        passed = max(0.0, now - self._at)
        self._at = now
        self._second = min(self._rate.per_second, self._second + passed * self._rate.per_second)
        self._minute = min(self._rate.per_minute, self._minute + passed * self._rate.per_minute / 60)

    def wait_seconds(self, now: float) -> float:
        """How long until a request is allowed; 0 if it is now."""
        self._refill(now)
        wait = max((1 - self._second) / self._rate.per_second, (1 - self._minute) * 60 / self._rate.per_minute)
        return wait if wait > _ROUNDING_SECONDS else 0.0

    def take(self, now: float) -> None:
        """Counts a request, also one beyond what is left, which then takes longer to be regained."""
        self._refill(now)
        self._second -= 1
        self._minute -= 1

    @property
    def limit(self) -> int:
        """Requests per minute."""
        return self._rate.per_minute

    @property
    def remaining(self) -> int:
        """Requests left of the minute's."""
        return max(0, int(self._minute))

    @property
    def full_in_seconds(self) -> float:
        """How long until all is regained, if nothing is sent."""
        return (self._rate.per_minute - self._minute) * 60 / self._rate.per_minute


class Remembered:
    """The allowances of those seen last, at most `most` of them."""

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._allowances: OrderedDict[Hashable, Allowance] = OrderedDict()

    def of(self, who: Hashable, rate: Rate, now: float) -> Allowance:
        """The allowance of `who`, a full one for whoever is new or forgotten."""
        found = self._allowances.get(who)
        if found is None:
            found = self._allowances[who] = Allowance(rate, now)
            if len(self._allowances) > self._most:
                self._allowances.popitem(last=False)
        else:
            self._allowances.move_to_end(who)
        return found

    def forget(self, who: Hashable) -> None:
        self._allowances.pop(who, None)

    def __len__(self) -> int:
        return len(self._allowances)


class RateLimits:
    """Middleware: refuses the requests of whoever sends too many.

    A credential is known by its SHA-256, never by itself. Until it was accepted, its requests count against the
    client's address, as those without credential do; an address that has none left is refused with any credential
    that was not accepted before. Accepted is what the surface says it recognised, or answered with a success: an
    absent path is 404 for whatever is made up.
    """

    def __init__(
        self,
        app: App,
        deps: Deps,
        surface: str,
        refused: Callable[[Request, int], Response],
        presented: Callable[[Request], Presented] = shown,
        headers: bool = False,
        remembered: int = MAX_REMEMBERED,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._app = app
        self._deps = deps
        self._presented = presented
        self._refused = refused
        self._headers = headers
        self._credentials = Remembered(remembered)
        self._addresses = Remembered(remembered)
        self._now = now
        limits = deps.settings.rate_limits.items()
        self._rates = {name.removeprefix(f"{surface}."): rate for name, rate in limits if name.startswith(f"{surface}.")}
        self._off = not any(self._rates.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._off:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        found = self._presented(request)
        if found.kind == NONE or found.kind not in self._rates:  # a class that the surface does not have is not accepted by it
            await self._by_address(request, receive, send)
        else:
            await self._by_credential(request, found, receive, send)

    async def _by_address(self, request: Request, receive: Receive, send: Send) -> None:
        allowance = self._of_address(request)
        if allowance is not None and (wait := allowance.wait_seconds(self._now())) > 0:
            await self._refuse(request, allowance, wait, receive, send)
            return
        if allowance is not None:
            allowance.take(self._now())
            self._note(request, allowance)
        await self._app(request.scope, receive, send)

    async def _by_credential(self, request: Request, found: Presented, receive: Receive, send: Send) -> None:
        rate = self._rates[found.kind]
        address = self._of_address(request)
        # Without a limit of its own a credential is still remembered, as one that was accepted.
        known = (found.kind, sha256(found.secret.encode(errors="surrogatepass")).digest())
        own = self._credentials.of(known, rate or Rate(1, 1), self._now())
        if address is not None and not own.proven and (wait := address.wait_seconds(self._now())) > 0:
            await self._refuse(request, address, wait, receive, send)
            return
        if rate is not None and (wait := own.wait_seconds(self._now())) > 0:
            await self._refuse(request, own, wait, receive, send)
            return
        if rate is not None:
            own.take(self._now())
            self._note(request, own)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] < 400 or was_accepted(request.scope):
                    own.proven = True
                elif not own.proven:
                    self._credentials.forget(known)
                    if address is not None:
                        address.take(self._now())
            await send(message)

        await self._app(request.scope, receive, watched)

    def _of_address(self, request: Request) -> Allowance | None:
        rate = self._rates[NONE]
        return None if rate is None else self._addresses.of(_network(request, self._deps), rate, self._now())

    def _note(self, request: Request, allowance: Allowance, wait_seconds: float = 0.0) -> None:
        if not self._headers:
            return
        again = wait_seconds or allowance.full_in_seconds
        note_header(request.scope, "X-RateLimit-Limit", str(allowance.limit))
        note_header(request.scope, "X-RateLimit-Remaining", "0" if wait_seconds else str(allowance.remaining))
        note_header(request.scope, "X-RateLimit-Reset", str(ceil(self._deps.clock.now().timestamp() + again)))

    async def _refuse(self, request: Request, allowance: Allowance, wait: float, receive: Receive, send: Send) -> None:
        seconds = max(1, ceil(wait))
        self._note(request, allowance, seconds)
        note_header(request.scope, "Retry-After", str(seconds))
        await self._refused(request, seconds)(request.scope, receive, send)


def _network(request: Request, deps: Deps) -> str:
    """The client's address; of IPv6 the /64, which is what one customer has (RFC 6177 section 2)."""
    found = client_address(request, deps)
    if found is None:
        return ""
    address = ip_address(found[0])
    return str(IPv6Network((address, 64), strict=False)) if address.version == 6 else str(address)
