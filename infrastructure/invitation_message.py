"""What an invitation says, as a mail.

Its plain text holds the lines `Session: sgs_...`, `Token: sig_...` and `Receipt: ...`, each alone and once, for
programs that read it; what others wrote (names, a sender's message) can never begin a line there.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Final
from uuid import UUID

from domain.ids import ProcessId, typed_id
from domain.receipt import ReceiptText, format_receipt
from infrastructure.mail import mailbox, one_line

#: A subject line longer than this is cut; mail programs show less.
MAX_SUBJECT_CHARACTERS: Final = 150


@dataclass(frozen=True, slots=True)
class InvitationText:
    """What goes into the message. `sender` is the tenant's name; `subject` and `message` are the sender's words.

    `receipt`, of the process's last entry, makes the recipient a witness: whoever changes the process later cannot
    arrive at that hash.
    """

    invitation: UUID
    process: ProcessId
    token: str
    expires_at: datetime
    sender: str
    documents: int
    deadline: datetime | None
    address: str
    name: str | None
    subject: str | None
    message: str | None
    receipt: ReceiptText

    @property
    def session(self) -> str:
        return typed_id("sgs", self.process.participant)

    @property
    def asked(self) -> str:
        """`Example Ltd asks you to sign 2 documents`"""
        return (
            f"{one_line(self.sender)} asks you to sign {'a document' if self.documents == 1 else f'{self.documents} documents'}"
        )


def compose(text: InvitationText, base_url: str, mail_from: str, now: datetime) -> EmailMessage:
    """The message; raises AddressUnusable for a recipient that cannot be written to.

    Its Message-ID is that of the invitation, so a message sent twice can be recognised as one.
    """
    recipient = mailbox(text.address, text.name or "")
    _, sender_address = parseaddr(mail_from)
    sender = mailbox(sender_address, f"{one_line(text.sender)} via Countersign")
    # The token is behind `#`, which browsers do not send: it stays out of servers' and proxies' logs.
    link = f"{base_url}/sign/{text.session}#token={text.token}"
    message = EmailMessage(policy=policy.SMTP if recipient.addr_spec.isascii() else policy.SMTPUTF8)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = _subject(text)
    message["Date"] = format_datetime(now.astimezone(UTC))
    message["Message-ID"] = f"<{text.invitation}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: no automatic replies, please
    message.set_content(_plain(text, link), cte="quoted-printable")
    message.add_alternative(_html(text, link), subtype="html", cte="quoted-printable")
    return message


def _subject(text: InvitationText) -> str:
    subject = f"{text.asked}: {one_line(text.subject)}" if text.subject else text.asked
    return subject if len(subject) <= MAX_SUBJECT_CHARACTERS else f"{subject[: MAX_SUBJECT_CHARACTERS - 1]}…"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


_WARNING: Final = "The link is yours alone: whoever has it can sign in your name. Do not pass it on."
_WITNESS: Final = (
    "Keep this message: with the receipt below you can check later, without trusting whoever sent it, "
    "that nothing in the record of your signing up to now was changed or taken away (countersign verify --receipt)."
)


def _facts(text: InvitationText) -> list[tuple[str, str]]:
    """The lines that programs may read, by label."""
    return [
        ("Session", text.session),
        ("Token", text.token),
        ("Process", str(text.process)),
        ("Receipt", format_receipt(text.receipt)),
    ]


def _plain(text: InvitationText, link: str) -> str:
    facts = [f"{label}: {value}" for label, value in _facts(text)]
    parts = [f"Hello {one_line(text.name)}," if text.name else "Hello,", f"You are invited to sign: {text.asked}."]
    if text.subject:
        parts.append(f"> {one_line(text.subject)}")
    if text.message:
        parts.append("\n".join(f"> {one_line(line)}" for line in text.message.splitlines()))
    parts.append(f"Read and sign, or decline, here:\n{link}")
    if text.deadline is not None:
        parts.append(f"Please sign before {_time(text.deadline)}.")
    parts.append(f"The link works until {_time(text.expires_at)}. {_WARNING}")
    parts.append("\n".join(facts[:2]))
    parts.append("\n".join([_WITNESS, *facts[2:]]))
    return "\n\n".join(parts) + "\n"


def _html(text: InvitationText, link: str) -> str:
    quoted = [escape(part) for part in (text.subject, text.message) if part]
    deadline = "" if text.deadline is None else f"<p>Please sign before <b>{_time(text.deadline)}</b>.</p>"
    facts = "<br>".join(f"{label}: {escape(value)}" for label, value in _facts(text) if label != "Token")
    return (
        '<!doctype html><html lang="en"><body style="font-family: sans-serif">'
        f"<p>Hello{f' {escape(one_line(text.name))}' if text.name else ''},</p>"
        f"<p>{escape(text.asked)}.</p>"
        + "".join(f'<blockquote style="white-space: pre-line">{part}</blockquote>' for part in quoted)
        + f'<p><a href="{escape(link)}">Read and sign, or decline</a></p>{deadline}'
        f"<p>The link works until {_time(text.expires_at)}. {_WARNING}</p>"
        f"<p>{_WITNESS}</p><p><code>{facts}</code></p></body></html>\n"
    )
