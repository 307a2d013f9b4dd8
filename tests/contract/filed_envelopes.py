"""Envelopes that are completed, and what is executed of them put on file as their execution does, without one."""

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from domain.coordination import RecordCertified, RecordExecuted, RecordRenewed
from domain.envelope import CertificateIssued, DocumentExecuted, Envelope
from domain.seal import Seal
from infrastructure.ledger import NO_ANSWER
from tests.contract.partner_world import Client, World, pdf
from tests.running import PARTNER
from tests.seal_world import plain_pdf


@dataclass(frozen=True)
class Filed:
    """A completed envelope of one signer, its executed document and its certificate of completion."""

    client: Client
    envelope: UUID
    participant: UUID
    body: bytes
    executed: bytes
    certificate: bytes
    seal: Seal


def file(client: Client, text: str) -> Filed:
    """Signs an envelope and files what was executed of it, as its execution does."""
    world = client.world
    envelope = UUID(client.document()["documentId"])
    state = world.run(world.deps.ledger.state(Envelope, envelope))
    assert state is not None
    (who,) = state.slots
    client.sign(str(envelope), str(who))
    body = plain_pdf(text)
    executed, of_executed = sealed(world, body)
    certificate, of_certificate = sealed(world, plain_pdf(f"certificate of {text}"))
    for each in (executed, certificate):
        world.run(world.deps.blobs.put(each))
    document = state.documents[0].id
    record(
        world, RecordExecuted(envelope, DocumentExecuted(document, sha(body), sha(executed), len(body), sha(pdf(3)), of_executed))
    )
    record(world, RecordCertified(envelope, CertificateIssued(sha(certificate), None, None, of_certificate)))
    return Filed(client, envelope, who, body, executed, certificate, of_executed)


def sealed(world: World, body: bytes) -> tuple[bytes, Seal]:
    made = world.run(world.deps.seals.seal(body, world.clock.now()))
    return made.content, made.seal


def record(world: World, fact: RecordExecuted | RecordCertified | RecordRenewed) -> None:
    world.run(world.deps.ledger.handle(fact, PARTNER, lambda outcome: NO_ANSWER))


def sha(raw: bytes) -> str:
    return sha256(raw).hexdigest()
