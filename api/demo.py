"""`countersign demo`: one signing from template to executed document, over HTTP, and what it proves.

It uses the API as any client would and checks the chain from the answers alone. Only two things are
done at the installation itself: making a tenant with a key, and reading the invitations that a mail
server would have delivered.
"""

import asyncio
import email
import email.policy
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pikepdf
from cryptography.x509 import Certificate
from rich.console import Console

from api.cli_receipt import read_receipts
from domain.faults import Verdict
from domain.findings import FileCheck
from domain.ids import ProcessId, parse_uuid, typed_id
from infrastructure.clock import SystemClock
from infrastructure.evidence import Trust, verify
from infrastructure.file_verification import Anchors, of_bundle, verify_file

#: How long an invitation may take from the command to the outbox, and files from the last signature to the store.
INVITATION_SECONDS: Final = 20.0
EXECUTION_SECONDS: Final = 90.0
START_SECONDS: Final = 120.0

_STATEMENT: Final = "I have read the agreement and sign it electronically."


class DemoFailed(Exception):
    """A step did not give what it should; the message says which and what came instead."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the API answers, with a credential of the partner surface, and the folder of its invitations.

    `policy` is what an auditor would have of the ledger from elsewhere (C2SP tlog-policy), `roots` whom they trust with seals; without the
    policy nothing can be verified. What the demonstration leaves behind goes to `folder`.
    """

    base_url: str
    tenant: str
    key: str
    outbox: Path
    folder: Path
    policy: bytes | None
    roots: tuple[Certificate, ...] = ()


@dataclass
class Client:
    """Calls the API; keeps the events seen so far, so that each is printed once."""

    server: Server
    console: Console
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    invitations: list[Path] = field(default_factory=list)

    def call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        """The `data` of a partner answer, or the whole answer of another surface; DemoFailed for an error."""
        sent = {"Content-Type": "application/json", **(self.credentials if headers is None else headers)}
        answer = _request(method, self.server.base_url + path, None if body is None else json.dumps(body).encode(), sent)
        return answer["data"] if "data" in answer and "success" in answer else answer

    @property
    def credentials(self) -> dict[str, str]:
        """The headers of the partner surface."""
        return {"X-Tenant-Signly": self.server.tenant, "X-Auth-Signly": self.server.key}

    def timeline(self, document: str) -> None:
        """Prints the events that came since the last look."""
        for event in self.call("GET", f"/v1/events/{document}"):
            if event["eventId"] not in self.seen:
                self.seen[event["eventId"]] = event
                process = ProcessId.parse(event["processId"]).participant.hex[-4:] if len(event["processId"]) > 36 else "----"
                self.console.print(
                    f"    [dim]{event['position']:>5}  {event['timestamp']}[/]  {process}  [bold]{event['eventType']:<24}[/]"
                    f" [dim]{event['hash'][:16]}…[/]",
                    highlight=False,
                )


def run(server: Server, console: Console) -> None:
    """The whole process, step by step; raises DemoFailed."""
    client = Client(server, console)
    console.print(f"Against {server.base_url}, as tenant {server.tenant}\n", highlight=False)
    document, participants = _publish(client, console)
    for number, participant in enumerate(participants, 1):
        _sign(client, console, document, participant, number, len(participants))
    status = client.call("GET", f"/v1/documents/{document}")["status"]
    if status != "COMPLETED":
        raise DemoFailed(f"the document is {status}, not COMPLETED")
    _prove(client, console, document)
    files = _download(client, console, document)
    _take_away(client, console, document, files)


def _publish(client: Client, console: Console) -> tuple[str, list[dict[str, Any]]]:
    console.print("[bold]1. A template[/], its PDF through a signed URL, and where to sign")
    template = client.call("POST", "/v1/templates", {"templateName": "Demonstration agreement"})["templateId"]
    upload = client.call("POST", f"/v1/templates/{template}/versions/1/upload-url")
    stored = _request(upload["method"], upload["uploadUrl"], _agreement(), {"Content-Type": "application/pdf"})
    fields = [
        {"fieldName": f"{which}_{kind}", "fieldType": kind, "page": 1, "x": x, "y": y}
        for which, y in (("FIRST", 600), ("SECOND", 660))
        for kind, x in (("SIGNATURE", 72), ("DATE", 300))
    ]
    client.call("PUT", f"/v1/templates/{template}/fields", fields)
    console.print(f"    template {template}, PDF of {stored['pages']} page, SHA-256 {stored['sha256']}\n", highlight=False)
    console.print("[bold]2. The document is published[/] to two participants, one after the other")
    people = [("First Signer", "first.signer@example.com"), ("Second Signer", "second.signer@example.com")]
    created = client.call(
        "POST",
        "/v1/documents",
        {
            "templateId": template,
            "templateVersion": "0001",
            "orderMode": "SEQUENTIAL",
            "participants": [
                {"displayName": name, "signatureMode": ["SIGNATURE_EMAIL"], "identity": {"email": address}}
                for name, address in people
            ],
        },
    )
    client.timeline(created["documentId"])
    return created["documentId"], created["participants"]


def _sign(client: Client, console: Console, document: str, participant: dict[str, Any], number: int, count: int) -> None:
    console.print(f"\n[bold]{number + 2}. Participant {number} of {count}[/] finds the invitation and signs")
    session, token, mail = _invitation(client.server.outbox, participant["participantId"])
    client.invitations.append(mail)
    console.print(f"    invitation {mail.name}", highlight=False)
    answer = client.call(
        "POST",
        f"/v1/signing_sessions/{session}/complete",
        {"electronic_signature_text": _STATEMENT},
        {"X-Signing-Session-Token": token},
    )
    console.print(f"    the session answers: envelope {answer['envelope_status']}")
    client.timeline(document)


def _invitation(outbox: Path, participant: str) -> tuple[str, str, Path]:
    """Session id, token and file of the newest invitation to a participant."""
    session = typed_id("sgs", parse_uuid(participant))
    deadline = time.monotonic() + INVITATION_SECONDS
    while time.monotonic() < deadline:
        for path in sorted(outbox.glob("*.eml"), reverse=True):
            body = email.message_from_bytes(path.read_bytes(), policy=email.policy.default).get_body(("plain",))
            lines = ("" if body is None else body.get_content()).splitlines()
            named = dict(line.split(": ", 1) for line in lines if ": " in line)
            if named.get("Session") == session and "Token" in named:
                return session, named["Token"], path
        time.sleep(0.05)
    raise DemoFailed(f"no invitation for {session} came into {outbox}; is a mail server configured?")


def _prove(client: Client, console: Console, document: str) -> None:
    events = client.call("GET", f"/v1/events/{document}")
    streams = check_chain(events)
    check_order(events)
    console.print("\n[bold]5. What the answers of the API alone prove[/]")
    console.print(
        f"  • {len(events)} events in {len(streams)} chains: each hash is that of the event's own bytes, and each names"
    )
    console.print("    the hash before it, from version 1 on. Changing, removing or swapping one would break its chain.")
    console.print("  • The second participant's invitation comes after the first one's completion.")


def _download(client: Client, console: Console, document: str) -> list[Path]:
    """Waits for the executed document and the certificate, and saves them."""
    console.print("\n[bold]6. The executed document[/], with both signatures and sealed, and the certificate of completion")
    found = _executed(client, document)
    client.timeline(document)
    client.server.folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, file in (("signed", found["documents"][0]), ("certificate", found["certificate"])):
        content = _fetch("GET", file["downloadUrl"], None, {})
        if sha256(content).hexdigest() != file["sha256"]:
            raise DemoFailed(f"the file at {file['downloadUrl']} is not the one that was announced")
        files.append(client.server.folder / f"{document}-{name}.pdf")
        files[-1].write_bytes(content)
        console.print(f"    {files[-1]} ({len(content):,} bytes)", highlight=False)
    return files


def _executed(client: Client, document: str) -> Any:
    deadline = time.monotonic() + EXECUTION_SECONDS
    while True:
        found = client.call("GET", f"/v1/executions/{document}")
        if found["status"] != "waiting" or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    if found["status"] != "done":
        raise DemoFailed(f"the execution is {found['status']}, {found['reason']}: {found['detail']}")
    return found


def _take_away(client: Client, console: Console, document: str, files: Sequence[Path]) -> None:
    """Fetches the evidence as one file and verifies it as somebody would who has nothing else of the server."""
    server = client.server
    console.print("\n[bold]7. The evidence[/] is taken away as one file, and verified without the server")
    server.folder.mkdir(parents=True, exist_ok=True)
    bundle = server.folder / f"evidence-{document}.zip"
    bundle.write_bytes(_fetch("GET", f"{server.base_url}/v1/evidence/{document}", None, client.credentials))
    console.print(f"    {bundle} ({bundle.stat().st_size:,} bytes; report.html in it is to be read first)", highlight=False)
    if server.policy is None:
        console.print(
            "    To verify it, ask its operator for the policy: countersign verify FILE --policy POLICY", highlight=False
        )
        return
    policy = server.folder / "policy.txt"
    policy.write_bytes(server.policy)
    receipts = read_receipts([str(mail) for mail in client.invitations])
    with bundle.open("rb") as file:
        judgement = verify(file, Trust(server.policy, receipts=receipts))
    for finding in judgement.findings:
        console.print(
            f"    {finding.check.value:<13} {finding.verdict.value:<14} {finding.reason}", highlight=False, markup=False
        )
    console.print("[bold]What that does not prove[/]")
    for line in judgement.absent:
        console.print(f"  • {line}", highlight=False, markup=False)
    console.print("  • who the participants are: each showed the token of an invitation, no more")
    if judgement.verdict is not Verdict.VALID:
        raise DemoFailed(f"the evidence is {judgement.verdict.value}")
    _verify_files(server, console, files, bundle)
    console.print(f"\nThe same again: .venv/bin/countersign verify {bundle} --policy {policy}", highlight=False)
    console.print(f"A file again:   .venv/bin/countersign verify {files[0]}", highlight=False)
    console.print("The whole log:  .venv/bin/countersign fsck, … export FILE, … verify FILE.")


def _verify_files(server: Server, console: Console, files: Sequence[Path], bundle: Path) -> None:
    """Whether the files are those that were executed, held against the evidence as by somebody who has nothing else."""
    with bundle.open("rb") as file:
        evidence = of_bundle(file, Trust(server.policy))
    for path in files:
        found = asyncio.run(verify_file(path.read_bytes(), evidence, Anchors(server.roots), SystemClock().now(), str(bundle)))
        console.print(f"\n[bold]{path.name}[/], held against that evidence: {found.verdict.value}", highlight=False)
        for finding in found.findings:
            if isinstance(finding.check, FileCheck):  # the rest is what was found out about the evidence itself
                console.print(
                    f"    {finding.check.value:<14} {finding.verdict.value:<14} {finding.reason}", highlight=False, markup=False
                )
        if found.verdict is not Verdict.VALID:
            raise DemoFailed(f"{path} is {found.verdict.value}")


def check_chain(events: Sequence[dict[str, Any]]) -> dict[str, tuple[int, str]]:
    """Recomputes every hash and link of a timeline; answers each stream's last version and leaf (hex).

    Raises DemoFailed naming the position where it does not hold.
    """
    heads: dict[str, tuple[int, str]] = {}
    for event in events:
        raw = event["entry"].encode()
        entry = json.loads(raw)
        version, previous = heads.get(entry["stream"], (0, "0" * 64))
        leaf = sha256(b"\x00" + raw).hexdigest()
        if leaf != event["hash"] or entry["previous"] != previous or entry["version"] != version + 1:
            raise DemoFailed(f"the chain is broken at position {event['position']}")
        heads[entry["stream"]] = (entry["version"], leaf)
    return heads


def check_order(events: Sequence[dict[str, Any]]) -> None:
    """Raises DemoFailed unless each participant was invited only after the one before had completed."""
    turns = [event["eventType"] for event in events if event["eventType"] in ("INVITATION_CREATED", "PROCESS_COMPLETED")]
    if turns != ["INVITATION_CREATED", "PROCESS_COMPLETED"] * (len(turns) // 2):
        raise DemoFailed(f"the participants' turns are out of order: {', '.join(turns)}")


def _agreement() -> bytes:
    """A one-page PDF with a text to agree to."""
    document = pikepdf.new()
    document.add_blank_page(page_size=(595, 842))
    page = document.pages[0]
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
    page.Contents = document.make_stream(
        b"BT /F1 18 Tf 72 760 Td (Demonstration agreement) Tj /F1 11 Tf 0 -36 Td (The parties agree that this is a demonstration.) Tj ET"
    )
    out = BytesIO()
    document.save(out, deterministic_id=True)
    return out.getvalue()


def _request(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Any:
    return json.loads(_fetch(method, url, body, headers))


def _fetch(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310 the server's own URL
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as err:
        raise DemoFailed(f"{method} {urlsplit(url).path} was answered {err.code}: {err.read().decode(errors='replace')}") from err
    except OSError as err:
        raise DemoFailed(f"{method} {url} was not answered: {err}") from err


def answers(base_url: str) -> bool:
    """Whether a server listens there."""
    address = urlsplit(base_url)
    try:
        with socket.create_connection((address.hostname or "127.0.0.1", address.port or 80), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def own_server(console: Console) -> Iterator[str]:
    """Starts `countersign serve` on a free port for as long as the block lasts; its base URL."""
    console.print("No server is running here; starting one for the demonstration.")
    environment = {**os.environ, "COUNTERSIGN_PORT": "0"}
    environment.pop("COUNTERSIGN_BASE_URL", None)
    process = subprocess.Popen([sys.executable, "-m", "api", "serve"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield _announced(process)
    finally:
        process.terminate()
        process.wait(30)


def _announced(process: "subprocess.Popen[str]") -> str:
    for line in process.stdout or ():
        if found := re.search(r"listening on (http\S+)", line):
            return found[1]
    raise DemoFailed(f"the server ended with exit code {process.wait()} before it listened")
