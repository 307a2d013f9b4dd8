"""Mail: handed to a mail server, or written as files into an outbox where none is configured.

Whoever sends decides what a failure means: `MailRefused` is final for this message, `MailUnavailable`
may pass. Neither carries the mail system's words, which often repeat the recipient's address.
"""

import asyncio
import contextlib
import os
import re
import secrets
import smtplib
import ssl
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Literal, Protocol

from infrastructure.settings import Settings

#: How long one step of an SMTP conversation may take. RFC 5321 section 4.5.3.2 allows minutes between
#: servers; this is the way to our own relay, and whoever sends tries again.
SMTP_TIMEOUT_SECONDS: Final = 20.0

#: A display name longer than this is cut: RFC 5322 section 2.1.1 limits lines, and it is only a courtesy.
MAX_NAME_CHARACTERS: Final = 100

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
#: Characters of an address that RFC 5322 section 3.2.3 allows only in quotes; nobody's address has them.
_SPECIALS: Final = frozenset(' <>,;:"()[]\\@')
#: What may stand in a file name on every system.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")


class MailRefused(Exception):
    """The mail system refused the recipient or the message for good; `code` is its three-digit reply, if any."""

    def __init__(self, code: int | None = None) -> None:
        super().__init__("the message was refused" if code is None else f"the message was refused: {code}")
        self.code = code


class MailUnavailable(Exception):
    """The message could not be handed over now. It may have been all the same, if the connection broke at the end."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the mail system is not available: {reason}")
        self.reason = reason


class AddressUnusable(ValueError):
    """The text is not an address that mail can be sent to."""


class Mailer(Protocol):
    """Hands one message over."""

    async def send(self, message: EmailMessage, name: str) -> None:
        """Returns once the next system has taken responsibility for `message`.

        `name` is the same for a repeat of the same message. Raises MailRefused or MailUnavailable.
        """
        ...


def one_line(text: str) -> str:
    """`text` as one line: what could end a header or hide in it becomes a space (RFC 5322 section 2.2)."""
    return _CONTROL.sub(" ", text).strip()


def mailbox(address: str, name: str = "") -> Address:
    """A mailbox for a header; raises AddressUnusable.

    The domain of an internationalised address is spelled in its ASCII form (RFC 5890).
    """
    local, _, domain = address.strip().rpartition("@")
    if not local or not domain or _CONTROL.search(address.strip()) or not _SPECIALS.isdisjoint(local + domain):
        raise AddressUnusable("not of the form local@domain")
    try:
        ascii_domain = domain if domain.isascii() else domain.encode("idna").decode()
        return Address(one_line(name)[:MAX_NAME_CHARACTERS], local, ascii_domain)
    except ValueError as err:
        raise AddressUnusable("not of the form local@domain") from err


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed to. `security`: `starttls` (RFC 3207), `tls` (RFC 8314) or `none`."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_seconds: float = SMTP_TIMEOUT_SECONDS


class SmtpMailer:
    """Hands messages to a mail server, one connection each, on threads.

    `tls` replaces the machine's trusted certificates.
    """

    def __init__(self, server: SmtpServer, tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._tls = tls

    async def send(self, message: EmailMessage, name: str) -> None:
        await asyncio.to_thread(self._send, message)

    def _send(self, message: EmailMessage) -> None:
        recipients = [address.addr_spec for address in message["To"].addresses]
        try:
            connection = self._connect()
            try:
                connection.send_message(message, to_addrs=recipients)
                # Accepted: what goes wrong from here on does not change that.
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    connection.quit()
            finally:
                connection.close()
        except smtplib.SMTPRecipientsRefused as err:
            raise _refusal(err) from None
        except smtplib.SMTPNotSupportedError:
            if not all(recipient.isascii() for recipient in recipients):
                raise MailRefused from None  # the server does not speak SMTPUTF8 (RFC 6531)
            raise MailUnavailable("the server does not offer what the settings ask for") from None
        except smtplib.SMTPDataError as err:
            raise (
                MailRefused(err.smtp_code) if _permanent(err.smtp_code) else MailUnavailable(f"reply {err.smtp_code}")
            ) from None
        except smtplib.SMTPResponseException as err:
            # Refused as a client or as a sender: nothing that the recipient could have caused.
            raise MailUnavailable(f"reply {err.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as err:
            raise MailUnavailable(type(err).__name__) from None

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        if server.security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=server.timeout_seconds, context=self._trust()
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=server.timeout_seconds)
        try:
            if server.security == "starttls":
                connection.starttls(context=self._trust())
            if server.user is not None:
                connection.login(server.user, server.password or "")
        except BaseException:
            connection.close()
            raise
        return connection

    def _trust(self) -> ssl.SSLContext:
        return self._tls or ssl.create_default_context()


def _permanent(code: int) -> bool:
    """RFC 5321 section 4.2.1: 5yz is a permanent negative reply, 4yz a transient one."""
    return 500 <= code <= 599


def _refusal(err: smtplib.SMTPRecipientsRefused) -> MailRefused | MailUnavailable:
    code = max((int(reply[0]) for reply in err.recipients.values()), default=0)
    return MailRefused(code) if _permanent(code) else MailUnavailable(f"reply {code}")


class OutboxMailer:
    """Writes each message into a folder as `<name>.eml` (RFC 5322), readable by its owner alone.

    A file is there whole or not at all; a message sent again replaces its file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage, name: str) -> None:
        if not _PLAIN_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a file")
        try:
            await asyncio.to_thread(self._write, message.as_bytes(), name)
        except OSError as err:
            raise MailUnavailable(f"the outbox cannot be written: {err.strerror or type(err).__name__}") from err

    def _write(self, content: bytes, name: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self._folder / f".{name}.{secrets.token_hex(4)}"
        try:
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._folder / f"{name}.eml")
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        if os.name == "posix":
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)  # so that the name itself survives a power cut
            finally:
                os.close(folder)


def mailer(settings: Settings) -> SmtpMailer | OutboxMailer:
    """The mail server of the settings, else the outbox in the data folder."""
    if settings.smtp_host is None:
        return OutboxMailer(settings.data / "outbox")
    return SmtpMailer(
        SmtpServer(settings.smtp_host, settings.smtp_port, settings.smtp_security, settings.smtp_user, settings.smtp_password)
    )
