"""An envelope of a ledger that exists in a test alone, with real sealed files: two executed documents and a certificate of completion."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256

from domain.coordination import RecordCertified, RecordExecuted, RecordRenewed
from domain.envelope import CertificateIssued, DocumentExecuted, SealRenewed
from domain.seal import Obstacle, Profile, Seal
from infrastructure.evidence import Trust
from infrastructure.file_verification import Anchors, Evidence, FileJudgement, of_bundle, verify_file
from infrastructure.pdf_seal.sealing import renew, seal
from tests.evidence_world import EvidenceWorld, packed, policy_file
from tests.seal_world import NOW, Given, SealWorld, plain_pdf, seal_world


@dataclass(frozen=True)
class Filed:
    """The envelope and its files: `archived` is its first document, with a time stamp over all of it, `plain` its second.

    `certificate` is the certificate of completion as it was made, `renewed` as it is now. `body` is what was sealed of `plain`.
    """

    seals: SealWorld
    ledger: EvidenceWorld
    envelope: UUID
    participants: tuple[UUID, ...]
    original: bytes
    body: bytes
    archived: bytes
    plain: bytes
    certificate: bytes
    renewed: bytes

    @property
    def anchors(self) -> Anchors:
        """Those who sealed and stamped."""
        return Anchors((self.seals.development.root,), (self.seals.time_root.certificate,))

    def bundle(self, process: UUID | None = None) -> bytes:
        return packed(self.ledger.bundle(self.envelope, process))

    def evidence(self, process: UUID | None = None) -> Evidence:
        return of_bundle(io.BytesIO(self.bundle(process)), Trust(policy_file()))

    async def verify(self, pdf: bytes, evidence: Evidence | None = None, anchors: Anchors | None = None) -> FileJudgement:
        return await verify_file(pdf, evidence or self.evidence(), anchors or self.anchors, NOW, "the bundle")


@contextmanager
def filed(folder: Path) -> Iterator[Filed]:
    """Signed, executed and certified; the certificate's seal was renewed since."""
    with seal_world(folder) as seals:
        ledger = EvidenceWorld(now=NOW)
        envelope, participants = ledger.open_envelope()
        for who in participants:
            ledger.sign(envelope, who)
        first, second = (document.id for document in ledger.states[envelope].documents)
        normal = plain_pdf("as it was")
        bodies = [plain_pdf(text) for text in ("executed 1", "executed 2", "certificate")]
        archived, plain, certificate = asyncio.run(_sealed(seals, *bodies))
        for document, body, made in ((first, bodies[0], archived), (second, bodies[1], plain)):
            of_seal = of(seals, archived=made is archived)
            fact = DocumentExecuted(document, sha(body), _kept(ledger, made), len(body), sha(normal), of_seal)
            ledger.on_package(RecordExecuted(envelope, fact))
        issued = CertificateIssued(_kept(ledger, certificate), sha(bodies[2]), len(bodies[2]), of(seals))
        ledger.on_package(RecordCertified(envelope, issued))
        renewed = asyncio.run(renew(certificate, seals.time_source, (seals.development.root,), Given(*seals.material)))
        ledger.on_package(RecordRenewed(envelope, SealRenewed(None, sha(certificate), _kept(ledger, renewed), NOW)))
        ledger.record_heads()
        yield Filed(seals, ledger, envelope, participants, normal, bodies[1], archived, plain, certificate, renewed)


async def _sealed(seals: SealWorld, *bodies: bytes) -> tuple[bytes, ...]:
    signer, root = seals.development.signer, (seals.development.root,)
    first = await seal(bodies[0], signer, NOW, seals.time_source, root, Given(*seals.material))
    return (first.content, *[(await seal(body, signer, NOW)).content for body in bodies[1:]])


def of(seals: SealWorld, *, archived: bool = False) -> Seal:
    """What an entry says of a seal."""
    certificate = seals.development.signer.certificate.fingerprint(SHA256()).hex()
    if archived:
        return Seal(Profile.B_LTA, None, certificate, NOW, seals.responder.url)
    return Seal(Profile.B_B, Obstacle.NO_AUTHORITY, certificate)


def sha(raw: bytes) -> str:
    """SHA-256 in hex."""
    return sha256(raw).hexdigest()


def _kept(ledger: EvidenceWorld, raw: bytes) -> str:
    ledger.documents[sha(raw)] = raw
    return sha(raw)
