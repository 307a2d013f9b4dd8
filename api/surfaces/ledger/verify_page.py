"""The page at which a person verifies a file with nothing but a browser. Certificates of completion lead to it.

It is the same for everybody: nothing is told of the envelope that its address names, to whoever has no more than the address.
"""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from api.static_page import ASSET_HEADERS, page_headers

router = APIRouter(prefix="/verify", include_in_schema=False)

_FOLDER: Final = Path(__file__).parent
_PAGE: Final = (_FOLDER / "verify.html").read_bytes()
_SCRIPT: Final = (_FOLDER / "verify.js").read_bytes()
_PAGE_HEADERS: Final = page_headers(_PAGE)


@router.api_route("", methods=["GET", "HEAD"])
@router.api_route("/{envelope}", methods=["GET", "HEAD"])
async def page(envelope: str = "") -> Response:
    """The page; its script reads the address."""
    return Response(_PAGE, 200, _PAGE_HEADERS, "text/html; charset=utf-8")


@router.get("/assets/page.js")
async def script() -> Response:
    """The page's script."""
    return Response(_SCRIPT, 200, ASSET_HEADERS, "text/javascript; charset=utf-8")
