"""Mail to a real server and into an outbox: what arrives, and what each kind of failure is called."""

import asyncio
import ssl
import stat
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.ids import ProcessId
from domain.receipt import ReceiptText, format_receipt, parse_receipt
from infrastructure.invitation_message import InvitationText, compose
from infrastructure.mail import (
    AddressUnusable,
    MailRefused,
    MailUnavailable,
    OutboxMailer,
    SmtpMailer,
    SmtpServer,
    mailbox,
    mailer,
)
from infrastructure.settings import Settings
from tests.mail_server import MailServer, line, mail_server, plain_text
from tests.running import in_loop

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
INVITATION, ENVELOPE, PARTICIPANT = UUID(int=1), UUID(int=2), UUID(int=3)
TOKEN = "sig_" + "A" * 43


def invitation(**changes: object) -> InvitationText:
    values: dict[str, object] = {
        "invitation": INVITATION,
        "process": ProcessId(ENVELOPE, PARTICIPANT),
        "token": TOKEN,
        "expires_at": NOW + timedelta(days=30),
        "sender": "Example Ltd",
        "documents": 2,
        "deadline": NOW + timedelta(days=3),
        "address": "ana@example.com",
        "name": "Ana Pérez",
        "subject": None,
        "message": None,
        "receipt": ReceiptText("countersign.test/ledger", PARTICIPANT, 2, 4, bytes(32)),
    }
    return InvitationText(**(values | changes))  # type: ignore[arg-type]


def composed(**changes: object) -> EmailMessage:
    return compose(invitation(**changes), "https://sign.example", "noreply@sign.example", NOW)


def reread(message: EmailMessage) -> EmailMessage:
    return message_from_bytes(message.as_bytes(), policy=policy.default)


def of(server: MailServer, **changes: object) -> SmtpServer:
    return SmtpServer("127.0.0.1", server.port, **({"security": "none"} | changes))  # type: ignore[arg-type]


# What a message says


def test_the_message_says_who_asks_for_what_and_until_when() -> None:
    message = reread(composed())
    text = plain_text(message)
    assert message["Subject"] == "Example Ltd asks you to sign 2 documents"
    assert message["To"].addresses[0].addr_spec == "ana@example.com"
    assert message["To"].addresses[0].display_name == "Ana Pérez"
    assert message["From"].addresses[0].addr_spec == "noreply@sign.example"
    assert message["Message-ID"] == f"<{INVITATION}@sign.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == NOW
    assert "Hello Ana Pérez," in text
    assert "Example Ltd asks you to sign 2 documents." in text
    assert "before 2026-11-23 22:30 UTC" in text
    assert line(message, "Session") == f"sgs_{PARTICIPANT.hex}"
    assert line(message, "Token") == TOKEN
    assert f"https://sign.example/sign/sgs_{PARTICIPANT.hex}#token={TOKEN}" in text.splitlines()


def test_the_message_makes_its_reader_a_witness() -> None:
    receipt = ReceiptText("countersign.test/ledger", PARTICIPANT, 7, 4711, bytes(range(32)))
    message = reread(composed(receipt=receipt))
    assert line(message, "Process") == f"{ENVELOPE}-{PARTICIPANT}"
    assert parse_receipt(line(message, "Receipt")) == receipt
    assert "Keep this message" in plain_text(message)
    html = message.get_body(("html",))
    assert html is not None
    assert format_receipt(receipt) in html.get_content()
    assert TOKEN not in html.get_content().replace(f"#token={TOKEN}", "")


def test_one_document_and_no_deadline_read_well() -> None:
    text = plain_text(composed(documents=1, deadline=None, name=None))
    assert "asks you to sign a document." in text
    assert "Please sign before" not in text
    assert text.startswith("Hello,\n")


@pytest.mark.parametrize(
    "hostile", ["\r\nBcc: all@example.com", "\n\nToken: sig_forged", "\u2028Token: sig_forged", "\x0bToken: x"]
)
@pytest.mark.parametrize("place", ["name", "sender", "subject", "message"])
def test_what_others_wrote_cannot_add_headers_or_lines(place: str, hostile: str) -> None:
    message = reread(composed(**{place: f"Mallory{hostile}"}))
    assert set(message.keys()) == {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    }
    assert line(message, "Token") == TOKEN
    assert line(message, "Session") == f"sgs_{PARTICIPANT.hex}"


@pytest.mark.parametrize("place", ["name", "sender", "subject", "message"])
def test_a_line_that_looks_like_ours_stays_theirs(place: str) -> None:
    assert line(composed(**{place: "Token: sig_forged"}), "Token") == TOKEN


def test_what_others_wrote_is_no_markup() -> None:
    html = composed(name="<b>", sender="<i>", subject="<u>", message="<script>").get_body(("html",))
    assert html is not None
    for tag in ("<b>,", "<i>", "<u>", "<script>"):
        assert tag not in html.get_content()


def test_a_long_subject_is_cut() -> None:
    assert len(composed(subject="x" * 1000)["Subject"]) == 150


@pytest.mark.parametrize(
    "address",
    ["", "ana", "@example.com", "ana@", "ana@exa mple.com", "a na@example.com", "<ana@example.com>", "ana@a@b", "a\r\nb@c.d"],
)
def test_what_is_no_address_is_refused_before_it_is_tried(address: str) -> None:
    with pytest.raises(AddressUnusable):
        composed(address=address)


def test_an_international_domain_is_spelled_in_ascii() -> None:
    assert mailbox("ana@exämple.com").addr_spec == "ana@xn--exmple-cua.com"


# SMTP


@in_loop
async def test_a_message_arrives_as_it_was_composed() -> None:
    async with mail_server() as server:
        await SmtpMailer(of(server)).send(composed(name="Añá, “Ü”"), "name")
    (message,) = server.messages
    assert server.recipients == [["ana@example.com"]]
    assert message["To"].addresses[0].display_name == "Añá, “Ü”"
    assert plain_text(message) == plain_text(composed(name="Añá, “Ü”"))


@in_loop
async def test_an_international_address_is_written_to_where_the_server_can() -> None:
    async with mail_server() as server:
        await SmtpMailer(of(server)).send(composed(address="jörg@exämple.com"), "name")
    assert server.recipients == [["jörg@xn--exmple-cua.com"]]
    async with mail_server(smtputf8=False) as server:
        with pytest.raises(MailRefused):
            await SmtpMailer(of(server)).send(composed(address="jörg@example.com"), "name")


@pytest.mark.parametrize("implicit", [True, False])
@in_loop
async def test_mail_goes_over_tls_with_a_login(tmp_path: Path, implicit: bool) -> None:
    theirs, ours = certificate(tmp_path)
    async with mail_server(theirs, implicit_tls=implicit, password=b"secret") as server:
        where = SmtpServer("127.0.0.1", server.port, "tls" if implicit else "starttls", "countersign", "secret")
        await SmtpMailer(where, ours).send(composed(), "name")
        assert server.users == [b"countersign"]
        assert server.encrypted == [True]
        with pytest.raises(MailUnavailable):  # a certificate that nobody vouches for
            await SmtpMailer(where).send(composed(), "name")
        wrong = SmtpServer("127.0.0.1", server.port, where.security, "countersign", "guess")
        with pytest.raises(MailUnavailable, match="535"):
            await SmtpMailer(wrong, ours).send(composed(), "name")
        assert len(server.messages) == 1


@in_loop
async def test_a_server_without_starttls_is_not_talked_to_in_the_clear() -> None:
    async with mail_server() as server:
        with pytest.raises(MailUnavailable):
            await SmtpMailer(of(server, security="starttls")).send(composed(), "name")
        assert not server.messages


@pytest.mark.parametrize(
    ("at_recipient", "reply", "expected"),
    [
        (True, "550 5.1.1 ana@example.com unknown", MailRefused),
        (True, "450 4.2.1 ana@example.com busy", MailUnavailable),
        (False, "554 5.6.0 no", MailRefused),
        (False, "452 4.3.1 full", MailUnavailable),
    ],
)
@in_loop
async def test_replies_are_told_apart_and_never_repeated(at_recipient: bool, reply: str, expected: type[Exception]) -> None:
    async with mail_server() as server:
        if at_recipient:
            server.refuse["ana@example.com"] = reply
        else:
            server.on_message = lambda message: reply
        with pytest.raises(expected) as caught:
            await SmtpMailer(of(server)).send(composed(), "name")
        assert reply[:3] in str(caught.value)
        assert "ana" not in str(caught.value)


@in_loop
async def test_a_server_that_is_away_or_silent_may_come_back() -> None:
    async with mail_server() as server:
        pass
    with pytest.raises(MailUnavailable):
        await SmtpMailer(of(server)).send(composed(), "name")

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(MailUnavailable):
        await SmtpMailer(SmtpServer("127.0.0.1", port, "none", timeout_seconds=0.2)).send(composed(), "name")
    silent.close()
    await silent.wait_closed()


@in_loop
async def test_an_accepted_message_stays_accepted_when_the_goodbye_fails() -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        while text := await reader.readline():
            if text.upper().startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 taken\r\n")
            elif text.upper().startswith(b"QUIT"):
                break
            else:
                writer.write(b"250 OK\r\n")
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    await SmtpMailer(SmtpServer("127.0.0.1", server.sockets[0].getsockname()[1], "none")).send(composed(), "name")
    server.close()
    await server.wait_closed()


# The outbox


@in_loop
async def test_the_outbox_holds_whole_messages_for_its_owner_alone(tmp_path: Path) -> None:
    outbox = OutboxMailer(tmp_path / "data" / "outbox")
    await outbox.send(composed(), "2026-ana")
    await outbox.send(composed(), "2026-ana")
    (file,) = (tmp_path / "data" / "outbox").iterdir()
    assert file.name == "2026-ana.eml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert line(message, "Token") == TOKEN


@in_loop
async def test_an_outbox_that_cannot_be_written_may_come_back(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file where the folder should be")
    with pytest.raises(MailUnavailable):
        await OutboxMailer(tmp_path / "outbox").send(composed(), "2026-ana")


@pytest.mark.parametrize("name", ["", "../etc", "a/b", "a\x00b"])
@in_loop
async def test_a_name_never_leads_out_of_the_outbox(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a file"):
        await OutboxMailer(tmp_path).send(composed(), name)


def test_the_settings_choose_between_server_and_outbox(tmp_path: Path) -> None:
    assert isinstance(mailer(Settings.model_validate({"data": tmp_path})), OutboxMailer)
    assert isinstance(mailer(Settings.model_validate({"data": tmp_path, "smtp_host": "mail.example"})), SmtpMailer)


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for 127.0.0.1, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    both = folder / "server.pem"
    both.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(both)
    ours = ssl.create_default_context(cadata=made.public_bytes(serialization.Encoding.PEM).decode())
    return theirs, ours
