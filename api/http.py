"""What all surfaces do alike with a request: its id, its size, its idempotency key, where it came from."""

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.deps import Answer, Deps, Key, noting
from domain.actor import AddressSource, IdentityMethod, Provenance
from domain.canonical import CanonicalError, Json, parse_json
from domain.ids import ulid
from domain.personal import Subject

#: The largest JSON body; a thousand participants with long names fit into a tenth of it.
MAX_BODY_BYTES: Final = 1024 * 1024

#: The longest idempotency key; one of the published surfaces names 255.
MAX_KEY_CHARACTERS: Final = 255

#: Printable characters of ASCII, which is all that a header carries safely; blanks at its ends are no part of it (RFC 9110 section 5.5).
PRINTABLE: Final = r"^[!-~][ -~]*$"

#: The longest user agent that is kept; longer ones are cut, since they are only the client's own words.
MAX_USER_AGENT_CHARACTERS: Final = 512

#: Carries the receipts of what a request recorded (docs/ledger-format.md, "Receipts").
RECEIPT_HEADER: Final = b"countersign-receipt"

#: What each surface's document says of it.
RECEIPTS_DESCRIBED: Final = """

An answer to what was recorded carries `Countersign-Receipt`, on a repeat the same one again: a line
`countersign-receipt/1 <origin> <stream> <version> <position> <hash>` for the last entry of each stream concerned, separated by commas, the
newest first, at most eight. Keep it: with `countersign verify --receipt` anyone can tell later whether what it names was changed or taken away."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Labels:
    """Middleware around everything: gives each request an id of ours, and each answer `X-Request-Id`, the headers noted for it
    and the receipts of what was recorded for it.

    It stands outside of what answers for failures, so no answer is without them. An id that the client
    sends is not taken: it may be anything, and the log is searched by ours.
    """

    def __init__(self, app: App, deps: Deps) -> None:
        self._app = app
        self._deps = deps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        if "request_id" in state:  # it stands around the whole already
            await self._app(scope, receive, send)
            return
        state["request_id"] = f"req_{ulid(self._deps.clock.now(), self._deps.random(10))}"
        noted: dict[bytes, bytes] = {b"x-request-id": state["request_id"].encode()}
        state["answer_headers"] = noted

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                if receipts := recorded.header():
                    noted[RECEIPT_HEADER] = receipts.encode("ascii")
                headers = [header for header in message.get("headers", ()) if header[0].lower() not in noted]
                message["headers"] = [*headers, *noted.items()]
            await send(message)

        with noting() as recorded:
            await self._app(scope, receive, labelled)


def note_header(scope: Scope, name: str, value: str) -> None:
    """Puts a header into the answer to this request, whichever answer that will be."""
    scope["state"]["answer_headers"][name.lower().encode()] = value.encode("latin-1")


def note_accepted(request: Request) -> None:
    """Says of a request that the credential it shows holds. Rate limits take nothing else for it but a success."""
    request.scope.setdefault("state", {})["credential_accepted"] = True


def was_accepted(scope: Scope) -> bool:
    """Whether `note_accepted` was told of this request."""
    return bool(scope.get("state", {}).get("credential_accepted"))


class RequestLimits:
    """Middleware of a surface: refuses bodies that are too large, and gives the request's id where `Labels` does not yet.

    `id_headers` are further names under which the surface's clients look for the id.
    """

    def __init__(self, app: App, deps: Deps, max_body_bytes: int = MAX_BODY_BYTES, id_headers: Sequence[str] = ()) -> None:
        self._app = Labels(self._limited, deps)
        self._inner = app
        self._max = max_body_bytes
        self._id_headers = tuple(id_headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        for name in self._id_headers:
            note_header(scope, name, scope["state"]["request_id"])
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max:
                raise HTTPException(413, f"The body is larger than {self._max} bytes.")
            return message

        await self._inner(scope, limited, send)


def request_id(request: Request) -> str:
    """The id of this request: `req_` and a ULID."""
    return str(request.state.request_id)


async def read_json(request: Request) -> Json:
    """The body as JSON; HTTPException 415 for another content type, 400 for what is not JSON (RFC 7493)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (media_type.startswith("application/") and media_type.endswith("+json")):
        raise HTTPException(415, "Send the body as Content-Type: application/json.")
    body = await request.body()
    try:
        return parse_json(body)
    except CanonicalError as err:
        raise HTTPException(400, f"The body cannot be read: {err}.") from err


async def idempotency_key(request: Request, scope: str) -> Key | None:
    """The request's `Idempotency-Key` for `scope` (surface, tenant, credential); HTTPException 400 if unusable."""
    value = idempotency_value(request)
    if value is None:
        return None
    target = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return Key(scope, value, target + await request.body())


def idempotency_key_alone(request: Request, scope: str) -> Key | None:
    """As `idempotency_key`, for surfaces whose repeats are recognised by the key whatever the body says.

    The key then serves one method and path; the body is not compared, and need not have been read.
    """
    value = idempotency_value(request)
    return None if value is None else Key(scope, value, f"{request.method} {request.url.path}\n".encode())


def idempotency_value(request: Request) -> str | None:
    """The `Idempotency-Key` itself, for a body that is not read at once; HTTPException 400 if unusable."""
    value = request.headers.get("idempotency-key")
    if value is not None and (not 0 < len(value) <= MAX_KEY_CHARACTERS or not (value.isascii() and value.isprintable())):
        raise HTTPException(400, f"Idempotency-Key takes 1 to {MAX_KEY_CHARACTERS} printable characters of ASCII.")
    return value


def idempotency_parameter(description: str) -> dict[str, Any]:
    """`Idempotency-Key` as OpenAPI documents a parameter; `description` says what a repeat gets."""
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS, "pattern": PRINTABLE},
    }


#: Where a repeat gets the first answer, and another request under its key is refused.
FIRST_ANSWER_AGAIN: Final = idempotency_parameter(
    "A repeat with the same key gives the first answer and does nothing again; the same key with another request is refused."
)


def send_answer(answer: Answer) -> Response:
    """An answer as a response, byte for byte."""
    return Response(answer.body, answer.status, media_type=answer.media_type)


def json_answer(status: int, content: object, media_type: str = "application/json") -> Answer:
    """A JSON answer; members stay in the order given."""
    return Answer(status, media_type, json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())


#: A PDF is served as it was uploaded by somebody, so a browser may neither guess what it is nor run it in our name.
_PDF_HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
}


def pdf_response(content: bytes, sha256: str, filename: str) -> Response:
    """A stored PDF, to be saved as `filename`; `sha256` (64 hex digits) is of `content`."""
    digest = b64encode(bytes.fromhex(sha256)).decode()
    headers = {
        **_PDF_HEADERS,
        "content-disposition": _attachment(filename),
        "etag": f'"{sha256}"',
        "repr-digest": f"sha-256=:{digest}:",  # RFC 9530 section 3
    }
    return Response(content, 200, headers, "application/pdf")


def _attachment(filename: str) -> str:
    """A Content-Disposition with the name for old readers and for those of RFC 6266 section 4.3."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\/%' else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def client_address(request: Request, deps: Deps) -> tuple[str, AddressSource] | None:
    """The client's IP address and how it is known; None when there is none to see.

    `X-Forwarded-For` is believed only from a proxy that the settings trust, and only its last entry
    that is not such a proxy itself: what stands before that, the client may have written.
    """
    peer = None if request.client is None else _address(request.client.host)
    if peer is None:
        return None
    if not _trusted(peer, deps):
        return str(peer), AddressSource.SOCKET
    # Several header lines are one list (RFC 9110 section 5.3); some proxies add a line instead of lengthening the client's.
    for hop in reversed(",".join(request.headers.getlist("x-forwarded-for")).split(",")):
        address = _address(hop.strip())
        if address is None:
            break
        if not _trusted(address, deps):
            return str(address), AddressSource.TRUSTED_PROXY
    return str(peer), AddressSource.SOCKET


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An IPv4 address as itself, also where a socket for both families shows it as `::ffff:...` (RFC 4291 section 2.5.5.2)."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _trusted(address: IPv4Address | IPv6Address, deps: Deps) -> bool:
    return any(address in network for network in deps.settings.trusted_proxies)


def provenance(request: Request, deps: Deps, subject: Subject, identity: IdentityMethod, client: Json = None) -> Provenance:
    """What was observed of a participant's request; `client` is what the client says of itself, if anything."""
    address = client_address(request, deps)
    user_agent = request.headers.get("user-agent")
    return Provenance(
        identity=identity,
        ip=None if address is None else deps.vault.conceal(address[0], subject),
        ip_source=None if address is None else address[1],
        user_agent=None if not user_agent else deps.vault.conceal(user_agent[:MAX_USER_AGENT_CHARACTERS], subject),
        client=None if client is None else deps.vault.conceal(client, subject),
    )
