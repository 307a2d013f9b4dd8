"""A real SMTP server on the loopback, which does as a test tells it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

#: Decides the reply to a message that has arrived; None accepts it.
OnMessage = Callable[[EmailMessage], str | None]


@dataclass
class MailServer:
    """`refuse` maps recipients to the reply that RCPT gets; `on_message` decides the reply to DATA."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    on_message: OnMessage = lambda message: None
    users: list[bytes] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=policy.default)
        reply = self.on_message(message)
        if reply is not None and not reply.startswith("2"):
            return reply
        self.messages.append(message)
        self.recipients.append(list(envelope.rcpt_tos))
        self.encrypted.append(server.transport is not None and server.transport.get_extra_info("ssl_object") is not None)
        return reply or "250 OK"


@asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None = None, *, implicit_tls: bool = False, password: bytes | None = None, smtputf8: bool = True
) -> AsyncIterator[MailServer]:
    """A server on a free port of 127.0.0.1, with STARTTLS or TLS from the start where `tls` is given."""
    handler = MailServer()
    loop = asyncio.get_running_loop()

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and data.password == password
        if known:
            handler.users.append(data.login)
        return AuthResult(success=known, handled=known)

    def protocol() -> SMTP:
        return SMTP(
            handler,
            loop=loop,
            hostname="mail.test",
            enable_SMTPUTF8=smtputf8,
            tls_context=None if implicit_tls else tls,
            require_starttls=tls is not None and not implicit_tls,
            auth_require_tls=not implicit_tls,
            # Under TLS from the start the library does not notice that it is encrypted; then it only offers a login.
            authenticator=authenticate if password is not None else None,
            auth_required=password is not None and not implicit_tls,
        )

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit_tls else None)
    handler.port = server.sockets[0].getsockname()[1]
    try:
        yield handler
    finally:
        server.close()
        await server.wait_closed()


def plain_text(message: EmailMessage) -> str:
    """The plain text of a message."""
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def line(message: EmailMessage, label: str) -> str:
    """The value of the one line `<label>: <value>` in the plain text."""
    (value,) = [text.removeprefix(f"{label}: ") for text in plain_text(message).splitlines() if text.startswith(f"{label}: ")]
    return value
