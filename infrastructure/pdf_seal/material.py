"""Whether what is at hand is enough to validate a signature later: certificates and lists of revocations up to the roots."""

from collections.abc import Sequence
from datetime import datetime

from asn1crypto import cms, crl, x509  # type: ignore[import-untyped]
from cryptography.x509 import Certificate
from pyhanko.sign.general import CMSExtractionError, extract_certificate_info
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, RevokedError, ValidationError

from infrastructure.pdf_seal.signature import library_certificate


class Lacking(Exception):
    """The material is not enough; the message says what is missing."""


class Revoked(Lacking):
    """The material says that a certificate was revoked."""


async def check_material(
    signature: bytes, roots: Sequence[Certificate], certificates: Sequence[bytes], revocations: Sequence[bytes], moment: datetime
) -> None:
    """Raises Lacking unless each certificate below a root was valid at `moment` and is on no list, each issuer having one.

    `signature` is CMS (DER): a seal or a token. A list counts until the time of its next update, whether it was made before
    `moment` or after. `roots` may hold certificates on the way; trust ends in those that are issued by themselves.
    """
    try:
        info = extract_certificate_info(cms.ContentInfo.load(signature)["content"])
        context = ValidationContext(
            trust_roots=[library_certificate(each) for each in roots if each.issuer == each.subject],
            other_certs=[x509.Certificate.load(each) for each in certificates]
            + [library_certificate(each) for each in roots]
            + list(info.other_certs),
            moment=moment,
            crls=[crl.CertificateList.load(each) for each in revocations],
            revocation_mode="require",
            retroactive_revinfo=True,
        )
        validator = CertificateValidator(info.signer_cert, validation_context=context)
        await validator.async_validate_usage(set())  # type: ignore[no-untyped-call]
    except RevokedError as err:
        raise Revoked(str(err)) from err
    except (ValidationError, PathBuildingError, CMSExtractionError, ValueError, TypeError, LookupError) as err:
        raise Lacking(str(err)) from err
