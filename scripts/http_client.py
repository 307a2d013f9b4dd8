"""A small HTTP/1.1 client for load: one keep-alive connection, one request at a time, no more parsing than needed.

It is for our own servers on loopback: answers have a Content-Length, as uvicorn sends it (RFC 9112 section 6.2).
"""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"


class NoAnswer(Exception):
    """The connection ended, or time ran out, before the answer was complete: what was asked may or may not have happened."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `head` is the status line and the headers as they came."""

    status: int
    head: bytes
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        """The first header of that name, empty if there is none."""
        found = re.search(rb"\r\n" + re.escape(name.encode()) + rb": *([^\r\n]*)", self.head, re.IGNORECASE)
        return found[1].decode("latin-1") if found else ""


def spell(method: str, path: str, host: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + _HEAD_END + body


class Connection(asyncio.Protocol):
    """One connection. `open` it; after a NoAnswer it is of no further use."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiting: asyncio.Future[Reply] | None = None
        self._transport: asyncio.Transport | None = None
        self._lost = False

    @classmethod
    async def open(cls, url: str) -> "Connection":
        """To the server of a base URL. Raises NoAnswer if it does not listen."""
        address = urlsplit(url)
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                cls, address.hostname or "127.0.0.1", address.port or 80
            )
        except OSError as err:
            raise NoAnswer(str(err)) from err
        return connection

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def send(self, request: bytes) -> Reply:
        """Sends what `spell` made and awaits the answer. Raises NoAnswer."""
        if self._transport is None or self._lost:
            raise NoAnswer("the connection has ended")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0 or self._waiting is None:
            return
        head = bytes(self._buffer[:end])
        length = _LENGTH.search(head)
        complete = end + len(_HEAD_END) + (int(length[1]) if length else 0)
        if len(self._buffer) >= complete:
            reply = Reply(int(head[9:12]), head, bytes(self._buffer[end + len(_HEAD_END) : complete]))
            del self._buffer[:complete]
            waiting, self._waiting = self._waiting, None
            if not waiting.done():
                waiting.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(NoAnswer("the connection ended before the answer"))
