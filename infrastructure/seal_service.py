"""The seal of this installation: its key and certificate, whom it trusts, and what it seals, renews and verifies with them.

One for each process, made at the start, so that a setting that cannot be used is told then and not at the first seal.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import Certificate
from cryptography.x509.oid import NameOID

from domain.seal import Profile, Seal
from infrastructure.clock import Clock
from infrastructure.installation import InstallationError
from infrastructure.pdf_seal.credentials import SealSigner, TimeSource, development, from_pkcs12
from infrastructure.pdf_seal.findings import Check, Findings, Outcome
from infrastructure.pdf_seal.profile import CannotSeal, SealedPdf
from infrastructure.pdf_seal.revocations import Revocations, RevocationsUnusable, read_lists
from infrastructure.pdf_seal.verification import verify_seal
from infrastructure.secrets import SecretError
from infrastructure.settings import Settings, variable
from infrastructure.timestamping import authority_of
from infrastructure.trusted_time import CertificatesUnusable, TimeStampRefused, read_certificates

log = logging.getLogger(__name__)

#: Another certificate takes some days to be had.
WARN_BEFORE: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed PDF and how it is sealed; `why_not_higher` says in a sentence what `seal.obstacle` names."""

    content: bytes
    seal: Seal
    why_not_higher: str | None


@dataclass(frozen=True, slots=True)
class Renewed:
    """A sealed PDF with one more time stamp over all of it, of the authority at that URL."""

    content: bytes
    stamped_at: datetime
    authority: str


class SealService:
    """Seals, renews and verifies PDFs for this installation."""

    def __init__(
        self,
        signer: SealSigner,
        anchors: Sequence[Certificate],
        time_anchors: Sequence[Certificate],
        time_source: TimeSource | None,
        revocations: Revocations,
        *,
        for_development: bool,
    ) -> None:
        self.anchors = tuple(anchors)
        self.time_anchors = tuple(time_anchors)
        self._signer = signer
        self._time_source = time_source
        self._revocations = revocations
        self._for_development = for_development

    @property
    def certificate_sha256(self) -> str:
        """The fingerprint of the sealing certificate, 64 hex digits."""
        return self._signer.certificate.fingerprint(SHA256()).hex()

    def describe(self) -> str:
        """The seal in one line, for people."""
        certificate = self._signer.certificate
        ends = certificate.not_valid_after_utc.date().isoformat()
        kind = "for development, trusted by nobody" if self._for_development else f"issued by {_name(certificate, issuer=True)}"
        times = f"times from {self._time_source.authority.url}" if self._time_source else "no trusted times"
        return f"{_name(certificate)}, until {ends}, {kind}; {times}"

    def warning(self, now: datetime) -> str | None:
        """What is to be done soon, if the certificate ends within WARN_BEFORE."""
        ends = self._signer.certificate.not_valid_after_utc
        if ends - now > WARN_BEFORE:
            return None
        state = "has ended" if ends < now else "ends"
        return f"The certificate of the seal {state} on {ends.date().isoformat()}: without a new one nothing more is sealed."

    async def seal(self, pdf: bytes, at: datetime) -> Sealed:
        """`pdf`, which this system wrote or has checked, with a seal of the time `at` (aware) appended and verified.

        As high as settings and material reach; a time stamp that is not to be had lowers the profile. Raises CannotSeal.
        """
        sealing = await asyncio.to_thread(_sealing)
        made: SealedPdf = await sealing.seal(pdf, self._signer, at, self._time_source, self.anchors, self._revocations)
        findings = await self.verify(made.content, at)
        # Without the second time stamp, what it was to cover is covered by nothing.
        besides = Check.COVERAGE if made.profile is Profile.B_LT else None
        _demand_passed(findings, "The sealed file did not pass its own verification", besides)
        if not made.content.startswith(pdf) or findings.profile is not made.profile:
            raise CannotSeal(f"The sealed file is verified as {findings.profile}, where {made.profile} was made")
        obstacle = why_not_higher = None
        if made.why_not_higher is not None:
            obstacle, why_not_higher = made.why_not_higher.obstacle, made.why_not_higher.detail
            log.info("Sealed as %s: %s", made.profile, why_not_higher)
        stamped_by = self._time_source.authority.url if self._time_source and findings.stamped else None
        seal = Seal(made.profile, obstacle, self.certificate_sha256, findings.stamped, stamped_by)
        return Sealed(made.content, seal, why_not_higher)

    async def renew(self, sealed: bytes, at: datetime) -> Renewed:
        """`sealed` with a time stamp over all of it appended, if it passes verification; raises CannotSeal."""
        if self._time_source is None:
            raise CannotSeal(f"There is no time-stamping authority: set {variable('tsa_url')} and {variable('tsa_certificates')}")
        before = await self.verify(sealed, at)
        # The end of the file may be covered by nothing yet: that is what the time stamp is for.
        _demand_passed(before, "A file that does not pass verification is not renewed", Check.COVERAGE)
        sealing = await asyncio.to_thread(_sealing)
        try:
            content: bytes = await sealing.renew(sealed, self._time_source, self.anchors, self._revocations)
        except TimeStampRefused as err:
            raise CannotSeal(f"The time-stamping authority gave no time stamp: {err}") from err
        findings = await self.verify(content, at)
        _demand_passed(findings, "The renewed file did not pass its own verification")
        if not content.startswith(sealed) or len(findings.archived) != len(before.archived) + 1:
            raise CannotSeal("The renewed file is not the one that was there and a time stamp")
        return Renewed(content, findings.archived[-1], self._time_source.authority.url)

    async def verify(self, pdf: bytes, at: datetime) -> Findings:
        """What is to be said about any bytes, by whom this installation trusts, in a process with limits."""
        return await verify_seal(pdf, self.anchors, self.time_anchors, at)


def seal_service(settings: Settings, clock: Clock) -> SealService:
    """The seal that the settings name, else one for development, made in the data folder on the first run.

    Blocking. Raises InstallationError for settings that contradict each other or name what cannot be used.
    """
    try:
        service = _service(settings, clock)
    except (SecretError, RevocationsUnusable) as err:
        raise InstallationError(f"The seal cannot be used: {err}") from err
    if warning := service.warning(clock.now()):
        log.warning(warning)
    return service


def _service(settings: Settings, clock: Clock) -> SealService:
    authority = authority_of(settings)
    time_anchors = _certificates(settings.tsa_certificates, "tsa_certificates")
    known = _certificates(settings.seal_certificates, "seal_certificates")
    if settings.seal_revocations is not None:
        read_lists(settings.seal_revocations)
    own = None
    signer = _named(settings, known)
    if for_development := signer is None:
        made = development(settings.data, clock.now())
        signer, own = made.signer, made.revocations
    return SealService(
        signer,
        tuple(dict.fromkeys((*(signer.chain or (signer.certificate,)), *known))),
        time_anchors,
        None if authority is None else TimeSource(authority, time_anchors),
        Revocations(settings.seal_revocations, clock, own),
        for_development=for_development,
    )


def _named(settings: Settings, known: Sequence[Certificate]) -> SealSigner | None:
    """The key that the settings name, None if they name none; raises InstallationError where they contradict each other."""
    of_module = ("seal_pkcs11_module", "seal_pkcs11_token", "seal_pkcs11_label", "seal_pkcs11_pin")
    given = [name for name in of_module if getattr(settings, name) is not None]
    if settings.seal_pkcs12 is None and settings.seal_pkcs12_password is not None:
        raise InstallationError(
            f"{variable('seal_pkcs12_password')} is set, but not {variable('seal_pkcs12')}: which file is meant?"
        )
    if settings.seal_pkcs12 is not None:
        if given:
            raise InstallationError(f"Either {variable('seal_pkcs12')} or {variable(given[0])}: the seal has one key")
        return from_pkcs12(settings.seal_pkcs12, settings.seal_pkcs12_password, known)
    if not given:
        return None
    module, token, label, pin = (getattr(settings, name) for name in of_module)
    if missing := [name for name in (*of_module, "seal_certificates") if getattr(settings, name) is None]:
        raise InstallationError(f"{variable(given[0])} needs {', '.join(variable(name) for name in missing)} too")
    from infrastructure.pdf_seal.pkcs11_key import KeyPlace, from_pkcs11  # a library that few need

    return from_pkcs11(KeyPlace(module, token, label, pin), known)


def _sealing() -> ModuleType:
    """Imported with the first seal, and off the event loop: what writes PDFs takes half a second, and not every process seals."""
    from infrastructure.pdf_seal import sealing

    return sealing


def _certificates(path: Path | None, setting: str) -> tuple[Certificate, ...]:
    try:
        return () if path is None else read_certificates(path)
    except CertificatesUnusable as err:
        raise InstallationError(f"{variable(setting)}: {err}") from err


def _demand_passed(findings: Findings, otherwise: str, besides: Check | None = None) -> None:
    wrong = [each for each in findings.findings if each.outcome is not Outcome.PASSED]
    wrong = [each for each in wrong if each.check is not besides or each.outcome is Outcome.FAILED]
    if wrong:
        raise CannotSeal(f"{otherwise}: " + "; ".join(f"{each.check}: {each.detail}" for each in wrong))


def _name(certificate: Certificate, *, issuer: bool = False) -> str:
    name = certificate.issuer if issuer else certificate.subject
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()
