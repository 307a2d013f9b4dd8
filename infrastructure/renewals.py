"""Renewing the seals of files: one more time stamp over the whole of each, before the certificate of the last one ends.

ETSI EN 319 142-1 section 5.5: a time stamp vouches for what was before it as long as its own certificate can be relied on.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from cryptography import x509

from domain.actor import Actor
from domain.coordination import RecordRenewed
from domain.envelope import Envelope, SealRenewed
from domain.errors import Refusal
from infrastructure.blobs import BlobCorrupted, BlobStore
from infrastructure.clock import Clock
from infrastructure.ledger import NO_ANSWER, Ledger
from infrastructure.pdf_seal.profile import CannotSeal
from infrastructure.seal_service import SealService
from infrastructure.trusted_time import Authority

#: What is stamped to learn until when the authority's certificate is valid.
_TRIAL: Final = b"countersign/renewal-trial/v1"


class Unrenewable(Exception):
    """The file has no new time stamp; the message says why."""


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file as it is now: of a document, or with None the certificate of completion. `sha256` is in hex.

    `stamps` counts the time stamps over all of it; `ends` is the end of the certificate that the last of its signatures is by: of a
    time stamp, or, where there is none yet, of the seal.
    """

    envelope: UUID
    document: UUID | None
    sha256: str
    stamps: int
    ends: datetime


class Renewals:
    """Finds the sealed files of envelopes and renews them; what was renewed is recorded as done by `by`."""

    def __init__(self, ledger: Ledger, blobs: BlobStore, seals: SealService, clock: Clock, by: Actor) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._seals = seals
        self._clock = clock
        self._by = by

    async def files(self, envelope: UUID) -> AsyncIterator[SealedFile | Unrenewable]:
        """The files of an envelope as they are now; in the place of one that cannot be read, why."""
        state = await self._ledger.state(Envelope, envelope)
        if state is None:
            return
        made: list[tuple[UUID | None, str]] = [*state.executed.items()]
        if state.certificate is not None:
            made.append((None, state.certificate))
        for document, name in made:
            try:
                yield await asyncio.to_thread(_look, envelope, document, name, await self._content(envelope, name))
            except Unrenewable as err:
                yield err

    async def renew(self, file: SealedFile) -> SealRenewed:
        """The file with one more time stamp, verified before and after, stored and recorded; raises Unrenewable.

        A file that somebody else has renewed in the meantime is left as it is then.
        """
        content = await self._content(file.envelope, file.sha256)
        try:
            made = await self._seals.renew(content, self._clock.now())
        except CannotSeal as err:
            raise Unrenewable(f"{_named(file.envelope, file.sha256)}: {err}") from err
        renewed = SealRenewed(file.document, file.sha256, await self._blobs.put(made.content), made.stamped_at)
        # Crash point: the file is stored and nothing refers to it; the next run makes another.
        try:
            await self._ledger.handle(RecordRenewed(file.envelope, renewed), self._by, lambda outcome: NO_ANSWER)
        except Refusal as err:
            raise Unrenewable(f"{_named(file.envelope, file.sha256)}: {err}") from err
        return renewed

    async def _content(self, envelope: UUID, name: str) -> bytes:
        try:
            content = await self._blobs.get(name)
        except BlobCorrupted as err:
            raise Unrenewable(f"{_named(envelope, name)}: {err}") from err
        if content is None:
            raise Unrenewable(f"{_named(envelope, name)}: it is not in the store")
        return content


async def authority_ends(authority: Authority) -> datetime:
    """Until when the certificate is valid by which the authority stamps now; raises TimeStampRefused."""
    return (await authority.stamp(_TRIAL)).certificate_ends


def _look(envelope: UUID, document: UUID | None, name: str, content: bytes) -> SealedFile:
    """The bytes are those that were sealed and verified here: their hash is that of the log."""
    # They take half a second.
    import pikepdf
    from asn1crypto import cms  # type: ignore[import-untyped]
    from pyhanko.sign.general import extract_certificate_info

    from infrastructure.pdf_seal.revisions import FAULTS_OF_THE_FILE
    from infrastructure.pdf_seal.signed_parts import NotSealed, open_sealed, token_in

    try:
        _, seal, stamps = open_sealed(content)
        last = stamps[-1].der if stamps else token_in(seal) or seal.der
        signer = extract_certificate_info(cms.ContentInfo.load(last)["content"]).signer_cert
        ends = x509.load_der_x509_certificate(signer.dump()).not_valid_after_utc
    except (NotSealed, pikepdf.PdfError, RuntimeError, *FAULTS_OF_THE_FILE) as err:
        raise Unrenewable(f"{_named(envelope, name)}: it has no seal ({str(err) or type(err).__name__})") from err
    return SealedFile(envelope, document, name, len(stamps), ends)


def _named(envelope: UUID, name: str) -> str:
    return f"the file {name} of the envelope {envelope}"
