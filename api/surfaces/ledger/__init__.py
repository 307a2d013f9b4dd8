"""The ledger's own surface: the log itself, for auditors, and the administration of credentials.

Every surface's credentials work here. What belongs to another tenant or to the other mode is answered
like what does not exist.
"""

from typing import Final

from fastapi import FastAPI

from api.deps import Deps
from api.http import RECEIPTS_DESCRIBED
from api.limits import RateLimits
from api.problems import REFUSALS, answer_problems, too_many
from api.surfaces.ledger import (
    credentials,
    entries,
    erasure,
    evidence,
    executions,
    holds,
    proofs,
    receipts,
    timelines,
    verifications,
    verify_page,
)
from api.surfaces.ledger.documentation import Documented

__all__ = ["REFUSALS", "build"]

_DESCRIPTION: Final = """
The log as it is: the timeline of a signing or of an envelope with the bytes that are hashed, and where the log ends;
all of it in one file that is verified offline, without trust in this server; and whether a PDF is one that was executed here.

Any credential of any surface may read, sent as that surface takes it. An administrator's token makes and revokes credentials, erases
personal data and places the holds that forbid it.
Errors are problem documents (RFC 9457); match on `code`. The answers carry `X-Request-Id`, and `X-RateLimit-Limit`,
`X-RateLimit-Remaining` and `X-RateLimit-Reset` (requests per minute, those left of them, and the unix second at which all are back).
"""


def build(deps: Deps) -> FastAPI:
    """The surface as an application of its own."""
    app = Documented(
        title="Ledger",
        summary="The log itself, and the administration of credentials",
        description=_DESCRIPTION.strip() + RECEIPTS_DESCRIBED,
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.deps = deps
    app.state.turns = verifications.Turns()
    for module in (
        timelines,
        evidence,
        executions,
        entries,
        proofs,
        receipts,
        credentials,
        erasure,
        holds,
        verifications,
        verify_page,
    ):
        app.include_router(module.router)
    app.add_middleware(RateLimits, deps=deps, surface="ledger", refused=too_many, headers=True)
    app.add_middleware(verifications.BodyLimits, deps=deps)
    answer_problems(app)
    return app
