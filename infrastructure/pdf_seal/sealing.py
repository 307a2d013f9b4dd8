"""Sealing a PDF, and renewing the time stamp of a sealed one before the algorithms or certificates of the last grow old.

`pdf` is always what this system has written itself, or has checked: the library that reads it here has no limits.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from infrastructure.pdf_seal.credentials import KeyUnusable, SealSigner, TimeSource
from infrastructure.pdf_seal.material import Lacking, Revoked, check_material
from infrastructure.pdf_seal.profile import CannotSeal, Obstacle, Profile, SealedPdf, Shortfall
from infrastructure.pdf_seal.revisions import Reserved, reserve_seal, reserve_stamp, with_material
from infrastructure.pdf_seal.revocations import Lists, Revocations, revoked
from infrastructure.pdf_seal.signature import Signature, certificates_in, sign
from infrastructure.pdf_seal.signed_parts import leading_to, signatures_in
from infrastructure.trusted_time import TimeStampRefused

#: For the attributes and their frame, beside certificates and the signature's value.
_FRAME_BYTES: Final = 1024
#: For a token. Most have less than 8 KB; all of the room is in the file as zeros.
_TOKEN_BYTES: Final = 12_288


async def seal(
    pdf: bytes,
    signer: SealSigner,
    at: datetime,
    time_source: TimeSource | None = None,
    roots: Sequence[Certificate] = (),
    revocations: Revocations | None = None,
) -> SealedPdf:
    """The PDF with a seal made at `at` (aware), as high as what is given reaches; raises CannotSeal.

    `roots` are those of the seal; `revocations` are those of the issuers of both the seal and the time stamp.
    A time stamp that is not to be had, or is not to be believed, leaves a lower profile and never fails the seal.
    """
    reserved = await asyncio.to_thread(reserve_seal, pdf, at, _room(signer, time_source))
    made = await _signature(reserved, signer, at, revocations)
    if time_source is None:
        shortfall = Shortfall(Obstacle.NO_AUTHORITY, "no time-stamping authority is configured")
        return SealedPdf(reserved.filled(made.der()), Profile.B_B, shortfall)
    try:
        stamped = await time_source.authority.stamp(made.value)
        whole = made.der(stamped.token)
        content = reserved.filled(whole)
    except (TimeStampRefused, CannotSeal) as err:  # CannotSeal: a token that is too large
        return SealedPdf(reserved.filled(made.der()), Profile.B_B, Shortfall(Obstacle.NOT_STAMPED, str(err)))
    known = (*signer.chain, *roots, *time_source.anchors)
    certificates = _certificates((whole, stamped.token), known)
    found = await _lists(certificates, revocations)
    try:
        await check_material(stamped.token, time_source.anchors, certificates, found.ders, stamped.time)
        await check_material(whole, (*roots, *signer.chain), certificates, found.ders, stamped.time)
    except Revoked as err:  # of the authority: that of the seal is not
        return SealedPdf(reserved.filled(made.der()), Profile.B_B, Shortfall(Obstacle.NOT_STAMPED, str(err)))
    except Lacking as err:
        return SealedPdf(content, Profile.B_T, Shortfall(Obstacle.NO_MATERIAL, "; ".join((str(err), *found.failures))))
    try:
        archived = await _archive(content, time_source, certificates, found.ders)
    except (TimeStampRefused, CannotSeal) as err:
        longer = await asyncio.to_thread(with_material, content, certificates, found.ders)
        return SealedPdf(longer, Profile.B_LT, Shortfall(Obstacle.NOT_ARCHIVED, str(err)))
    return SealedPdf(archived, Profile.B_LTA, None)


async def _signature(reserved: Reserved, signer: SealSigner, at: datetime, revocations: Revocations | None) -> Signature:
    """The signature of a file, if it is the time for it and nobody has revoked the certificate."""
    if not signer.valid_at(at):
        begins, ends = signer.certificate.not_valid_before_utc, signer.certificate.not_valid_after_utc
        raise CannotSeal(f"The certificate of the seal is valid from {begins.date()} to {ends.date()}, not on {at.date()}")
    own = (signer.certificate, *signer.chain)
    if listed := revoked(own, (await _lists(_ders(own), revocations)).ders):
        raise CannotSeal(f"The certificate of {listed.subject.rfc4514_string()} is revoked")
    try:
        # In a thread: a key in a token or a module takes its time.
        return await asyncio.to_thread(sign, signer, sha256(reserved.covered()).digest())
    except KeyUnusable as err:
        raise CannotSeal(f"The key of the seal does not sign: {err}") from err


async def renew(sealed: bytes, time_source: TimeSource, roots: Sequence[Certificate], revocations: Revocations) -> bytes:
    """The sealed PDF with one more time stamp over all of it, and with what validates those before and the seal.

    `sealed` has been verified: a stamp says that the file existed, not that it was right. `roots` and `revocations` as for
    `seal`. Raises CannotSeal, or TimeStampRefused when the authority does not give one.
    """
    signatures = await asyncio.to_thread(signatures_in, sealed)
    certificates = _certificates(signatures, (*roots, *time_source.anchors))
    found = await _lists(certificates, revocations)
    return await _archive(sealed, time_source, certificates, found.ders)


def _certificates(signatures: Sequence[bytes], known: Sequence[Certificate]) -> list[bytes]:
    """What validates signatures. Whoever adds a stranger to a token could else have any address asked for a list."""
    return leading_to(known, list(dict.fromkeys(certificates_in(signatures) + _ders(known))))


async def _lists(certificates: Sequence[bytes], revocations: Revocations | None) -> Lists:
    if revocations is None:
        return Lists(())
    return await revocations.lists([x509.load_der_x509_certificate(each) for each in certificates])


async def _archive(pdf: bytes, time_source: TimeSource, certificates: Sequence[bytes], revocations: Sequence[bytes]) -> bytes:
    reserved: Reserved = await asyncio.to_thread(reserve_stamp, pdf, certificates, revocations, _TOKEN_BYTES)
    stamped = await time_source.authority.stamp(reserved.covered())
    return reserved.filled(stamped.token)


def _ders(certificates: Sequence[Certificate]) -> list[bytes]:
    return [each.public_bytes(Encoding.DER) for each in certificates]


def _room(signer: SealSigner, time_source: TimeSource | None) -> int:
    held = sum(len(each) for each in _ders((signer.certificate, *signer.chain)))
    return _FRAME_BYTES + held + signer.max_signature_bytes + (_TOKEN_BYTES if time_source else 0)
