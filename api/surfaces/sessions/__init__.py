"""The sessions surface: Mattermode's conventions, the part of them that a signature needs."""

from typing import Final

from fastapi import FastAPI

from api.deps import Deps
from api.http import RECEIPTS_DESCRIBED, RequestLimits
from api.limits import RateLimits
from api.surfaces.sessions import consents, documents, envelopes, events, signing_sessions
from api.surfaces.sessions.access import VERSIONS
from api.surfaces.sessions.documentation import Documented
from api.surfaces.sessions.kinds import KINDS
from api.surfaces.sessions.problems import REFUSALS, install, too_many

__all__ = ["REFUSALS", "build"]

_DESCRIPTION: Final = (
    "Envelopes, signing sessions, consent and documents as Matter's API documents them. Errors are problem documents "
    "(RFC 9457); match on `code`.\n\n" + "\n\n".join(f"{kind.status} {kind.code}: {kind.meaning}" for kind in KINDS)
)

_ROUTERS: Final = (signing_sessions.router, envelopes.router, documents.router, consents.router, events.router)


def build(deps: Deps) -> FastAPI:
    """The surface as an application of its own."""
    app = Documented(
        title="Signing sessions",
        summary="Envelopes, signing sessions, consent and documents, in Matter's conventions.",
        description=_DESCRIPTION + RECEIPTS_DESCRIBED,
        version=VERSIONS[-1],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.deps = deps
    app.add_middleware(RateLimits, deps=deps, surface="sessions", refused=too_many, headers=True)
    app.add_middleware(RequestLimits, deps=deps, id_headers=("Matter-Request-Id",))
    for router in _ROUTERS:
        app.include_router(router)
    install(app)
    return app
