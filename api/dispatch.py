"""Chooses the surface of a request: by host name, else by a path that one product alone has, else by its credentials' headers.

Four published APIs share paths (`/v1/documents` belongs to three of them); there the headers that only one of them
uses decide. Where a path says it all, a credential of another product is a wrong credential, and the surface that
the path belongs to says so in its own words (docs/adr/0015).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from api.http import App, Receive, Scope, Send

#: What everybody may reach under any host name.
_COMMON: Final = re.compile(r"/(health|ready)$")

#: Owned whatever the host and the headers say: a signed URL or a page carries its own right to be seen, and the
#: ledger takes every surface's credentials.
_ALWAYS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("files", re.compile(r"/files/")),
    ("pages", re.compile(r"/(docs(/|$)|$)")),
    ("signer", re.compile(r"/sign/")),
    ("log", re.compile(r"/ledger(/|$)")),
    ("ledger", re.compile(r"/(v1/(ledger|evidence|executions|verifications)|verify)(/|$)")),
)

#: Paths that one product alone has.
_ALONE: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "sessions",
        re.compile(
            r"/v1/((signing_sessions|signing_envelopes|consents|webhook_endpoints|api_versions|requests|tokens"
            r"|agent_policies|agent_tokens|authorizations)(/|$)"
            r"|documents/[^/]+/(sign|send_for_signature|access_grants)$|events/evt_)"
        ),
    ),
    ("signatures", re.compile(r"/v1/(signatures|renders|projects)(/|$)")),
    ("signing", re.compile(r"/v1/((signing|workspace)(/|$)|documents/[^/]+/(comments|file)$)")),
    ("partner", re.compile(r"/(api$|v1/webhooks(/|$)|v1/documents/[^/]+/(summary$|extend$|cancel$|participants/))")),
)

#: Where a request to a shared path goes that shows nothing: method and path, to whom alone has that method, else to
#: the product that has most of them.
_UNMARKED: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("signing", re.compile(r"(PATCH|DELETE) /v1/documents/[^/]+$")),
    ("partner", re.compile(r"\w+ /v1/(templates|documents|events)(/|$)")),
)


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
    if (always := _first(_ALWAYS, path)) is not None:
        return always
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    alone = _first(_ALONE, path)
    if alone == "sessions" and "x-signing-session-token" in headers:
        return alone  # the signer's page completes its session where it is, whatever that host is for
    host = re.sub(r":\d+$", "", headers.get("host", "")).lower()
    return hosts.get(host) or alone or _by_credentials(headers) or _first(_UNMARKED, f"{scope['method']} {path}")


def _first(table: Iterable[tuple[str, re.Pattern[str]]], text: str) -> str | None:
    return next((name for name, pattern in table if pattern.match(text)), None)


def _by_credentials(headers: Mapping[str, str]) -> str | None:
    if "x-tenant-signly" in headers or "x-auth-signly" in headers:
        return "partner"
    bearer = headers.get("authorization", "").partition(" ")[2].strip()
    if bearer.startswith("ck_"):
        return "signatures"
    typed = bearer.startswith(("sk_", "pk_", "rk_", "tok_", "sig_"))
    if typed or "matter-version" in headers or "x-signing-session-token" in headers:
        return "sessions"
    return "signing" if bearer else None
