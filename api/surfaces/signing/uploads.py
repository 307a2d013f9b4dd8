"""How large a body may be: JSON as everywhere, a document's PDF as large as the settings let PDFs be."""

import re
from typing import Final

from api.deps import Deps
from api.http import App, Receive, RequestLimits, Scope, Send

_UPLOAD: Final = re.compile(r"PUT /v1/documents/[^/]+/file")


class BodyLimits:
    """Middleware: `RequestLimits` with the limit that is for the route."""

    def __init__(self, app: App, deps: Deps) -> None:
        self._json = RequestLimits(app, deps)
        self._pdf = RequestLimits(app, deps, max_body_bytes=deps.settings.upload_limit_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = scope["type"] == "http" and _UPLOAD.fullmatch(f"{scope['method']} {scope['path']}")
        await (self._pdf if upload else self._json)(scope, receive, send)
