"""The signature that a seal is: CMS as PAdES has it (ETSI EN 319 142-1), with a time stamp or without."""

from collections.abc import Sequence
from typing import Any, Final

from asn1crypto import cms, x509  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from pyhanko.sign.signers.pdf_cms import Signer
from pyhanko_certvalidator.registry import SimpleCertificateStore

from infrastructure.pdf_seal.credentials import SealSigner

TIME_STAMP: Final = "signature_time_stamp_token"


class _LoadedKey(Signer):
    """A signer whose key stays loaded: the library's own reads it again for each signature."""

    def __init__(self, signer: SealSigner) -> None:
        certificates = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        certificates.register_multiple([library_certificate(each) for each in signer.chain])
        super().__init__(signing_cert=library_certificate(signer.certificate), cert_registry=certificates, embed_roots=False)
        self._sealing = signer

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        return self._sealing.sign(data)


def library_certificate(certificate: Certificate) -> Any:
    """A certificate as pyHanko has it."""
    return x509.Certificate.load(certificate.public_bytes(Encoding.DER))


async def sign(signer: SealSigner, digest: bytes) -> bytes:
    """The signature (DER) of content with this SHA-256, with the certificates on the way to the root, and without that."""
    made = await _LoadedKey(signer).async_sign(digest, "sha256", use_pades=True)
    return bytes(made.dump())


def value_of(signature: bytes) -> bytes:
    """What a time stamp of a signature stamps (ETSI EN 319 122-1 section 5.3): its value."""
    return bytes(_signer(cms.ContentInfo.load(signature))["signature"].native)


def with_time_stamp(signature: bytes, token: bytes) -> bytes:
    """The signature with a time-stamp token (DER) as its one unsigned attribute."""
    whole = cms.ContentInfo.load(signature)
    attribute = {"type": TIME_STAMP, "values": [cms.ContentInfo.load(token)]}
    _signer(whole)["unsigned_attrs"] = cms.CMSAttributes([cms.CMSAttribute(attribute)])
    return bytes(whole.dump())


def certificates_in(signatures: Sequence[bytes]) -> list[bytes]:
    """The certificates (DER) in signatures and tokens, each once."""
    found = [each.chosen.dump() for one in signatures for each in cms.ContentInfo.load(one)["content"]["certificates"]]
    return list(dict.fromkeys(found))


def _signer(whole: Any) -> Any:
    return whole["content"]["signer_infos"][0]
