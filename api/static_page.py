"""Pages that people open: one file of HTML with its style, one of script, and what browsers may do with them."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Final

_STYLE: Final = re.compile(rb"<style>(.*?)</style>", re.DOTALL)

#: Of a page and of its script. They are the same for everybody, and what leads to them is nobody else's business.
ASSET_HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}


def page_headers(page: bytes, *more: str) -> dict[str, str]:
    """The headers of a page: by its Content-Security-Policy (CSP 3) it runs its own script and style, and asks this server alone.

    `more` are further directives of the policy.
    """
    style = _STYLE.search(page)
    digest = "'none'" if style is None else f"'sha256-{b64encode(sha256(style[1]).digest()).decode()}'"
    own = ("default-src 'none'", "script-src 'self'", f"style-src {digest}", "connect-src 'self'")
    policy = (*own, *more, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
    return {**ASSET_HEADERS, "content-security-policy": "; ".join(policy), "x-frame-options": "DENY"}
