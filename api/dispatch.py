"""Chooses the surface of a request: by host name, else by its credentials' headers, else by its path.

Four published APIs share paths (`/v1/documents` belongs to three of them), so the headers that only
one of them uses decide before the path does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from api.http import App, Receive, Scope, Send

#: What everybody may reach under any host name.
_COMMON: Final = re.compile(r"/(health|ready)$")

#: Paths that one surface alone owns, for requests whose headers say nothing.
_OWNED: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("files", re.compile(r"/files/")),
    ("pages", re.compile(r"/(docs(/|$)|$)")),
    ("signer", re.compile(r"/sign/")),
    ("sessions", re.compile(r"/v1/(signing_sessions|signing_envelopes|consents|webhook_endpoints)(/|$)")),
    ("signatures", re.compile(r"/v1/(signatures|renders)(/|$)")),
    ("signing", re.compile(r"/v1/(signing|workspace)(/|$)")),
    ("partner", re.compile(r"/(api|v1/(templates|documents|events|webhooks))(/|$)")),
)

#: Owned whatever the headers say: a signed URL or a page carries its own right to be seen.
_ALWAYS: Final = ("files", "pages", "signer")

#: Their paths nobody else has, so a bearer of no known type there is a wrong credential rather than another surface's.
_UNSHARED: Final = ("sessions", "signatures", "signing")


@dataclass(frozen=True, slots=True)
class Dispatch:
    """An ASGI application over the surfaces, by name.

    `hosts` maps host names (lower case, without port) to surfaces. `lifespan` receives the server's
    lifespan messages, `otherwise` the requests that no surface owns.
    """

    surfaces: Mapping[str, App]
    hosts: Mapping[str, str]
    lifespan: App
    otherwise: App

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        name = choose(scope, self.hosts)
        await self.surfaces.get(name or "", self.otherwise)(scope, receive, send)


def choose(scope: Scope, hosts: Mapping[str, str]) -> str | None:
    """The name of the surface that a request is for; None when nothing tells."""
    path = str(scope["path"])
    if _COMMON.match(path):
        return "health"
    owner = next((name for name, pattern in _OWNED if pattern.match(path)), None)
    if owner in _ALWAYS:
        return owner
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if owner == "sessions" and "x-signing-session-token" in headers:
        return owner  # the signer's page completes its session where it is, whatever that host is for
    host = re.sub(r":\d+$", "", headers.get("host", "")).lower()
    return hosts.get(host) or _by_credentials(headers, owner) or owner


def _by_credentials(headers: Mapping[str, str], owner: str | None) -> str | None:
    if "x-tenant-signly" in headers or "x-auth-signly" in headers:
        return "partner"
    bearer = headers.get("authorization", "").partition(" ")[2].strip()
    if bearer.startswith("ck_"):
        return "signatures"
    typed = bearer.startswith(("sk_", "pk_", "rk_", "tok_", "sig_"))
    if typed or "matter-version" in headers or "x-signing-session-token" in headers:
        return "sessions"
    return "signing" if bearer and owner not in _UNSHARED else None
