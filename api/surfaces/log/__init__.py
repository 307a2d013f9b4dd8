"""The log as files: the newest checkpoint, the tree's tiles, and the entries, as C2SP tlog-tiles has them.

They hold hashes and entries, and entries hold no personal data, so by default they are open to monitors, witnesses and caches, and no rate is
limited: a full tile never changes. With COUNTERSIGN_PUBLIC_LOG=false they take any credential.
"""

from typing import Any, Final, cast

from fastapi import FastAPI, Request
from starlette.responses import Response

from api.admission import monitor
from api.deps import Deps
from api.http import RequestLimits
from api.problems import REFUSALS, Failed, Problem, answer_problems
from domain.tiles import WIDTH, Bundle, Tile, TileError, encode_bundle, parse_path

__all__ = ["REFUSALS", "build"]

#: For a year, which is as long as caches take "for ever" (RFC 9111 section 5.2.2.1, RFC 8246).
_FOR_EVER: Final = "max-age=31536000, immutable"
#: A partial tile does not change either; but a longer one takes its place, so nobody asks for it for long.
_FOR_NOW: Final = "max-age=60"

_TILE: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_NOTE: Final = {"text/plain; charset=utf-8": {"schema": {"type": "string"}}}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ERRORS: Final = {
    401: "The log is not public here: no credential, or one that does not hold.",
    404: "The log has no such file, or not yet.",
    500: "Something went wrong here; the log has more under the request's id.",
    503: "The database is out of reach; the same request may be sent again.",
}


def build(deps: Deps) -> FastAPI:
    """The application at `/ledger/...`."""
    app = FastAPI(
        title="Log",
        summary="Checkpoint, tiles and entries, as C2SP tlog-tiles has them",
        description=__doc__,
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    public = deps.settings.public_log

    @app.get(
        "/ledger/checkpoint", summary="The newest published checkpoint", **_described("A signed note.", _NOTE, public=public)
    )
    async def checkpoint(request: Request) -> Response:
        """The log's origin, size and root, signed by the log and by the witnesses that have cosigned (C2SP tlog-checkpoint)."""
        await monitor(request, deps)
        found = await deps.sealed.latest()
        if found is None:
            raise Failed(404, "not-found", "Nothing is signed yet: the log is empty, or no process signs checkpoints.")
        return Response(found.signed(), headers={"Cache-Control": "no-cache"}, media_type="text/plain; charset=utf-8")

    @app.get(
        "/ledger/tile/{path:path}", summary="A tile, or a bundle of entries", **_described("The bytes.", _TILE, public=public)
    )
    async def tile(request: Request, path: str) -> Response:
        """`<L>/<N>[.p/<W>]`: W hashes (256 if it is full) of 32 bytes. `entries/<N>[.p/<W>]`: W entries, each after its length in two bytes."""
        await monitor(request, deps)
        try:
            wanted = parse_path(f"tile/{path}")
        except TileError as err:
            raise Failed(404, "not-found", f"{request.url.path} is {err} (C2SP tlog-tiles).") from err
        content = await _content(deps, wanted)
        if content is None:
            raise Failed(404, "not-found", "The published log is not so long yet.")
        visible = "public" if public else "private"
        caching = f"{visible}, {_FOR_EVER if wanted.width == WIDTH else _FOR_NOW}"
        return Response(content, headers={"Cache-Control": caching}, media_type="application/octet-stream")

    app.add_middleware(RequestLimits, deps=deps)
    answer_problems(app)
    return app


async def _content(deps: Deps, wanted: Tile | Bundle) -> bytes | None:
    if isinstance(wanted, Tile):
        return await deps.sealed.tile(wanted)
    entries = await deps.sealed.entries(wanted)
    return None if entries is None else encode_bundle(entries)


def _described(description: str, content: dict[str, Any], *, public: bool) -> dict[str, Any]:
    errors = {code: text for code, text in _ERRORS.items() if code != 401 or not public}
    return {
        "response_class": Response,
        "response_model": None,
        "responses": cast(
            dict[int | str, Any],
            {
                200: {"description": description, "content": content},
                **{code: {"description": text, "model": Problem, "content": _PROBLEM} for code, text in errors.items()},
            },
        ),
    }
