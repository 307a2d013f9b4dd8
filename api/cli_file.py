"""`countersign verify FILE.pdf`: whether a file is the one that was executed, against a bundle or against the ledger of the settings."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from api.app import running
from api.cli_bundle import finding_members, named, print_judgement, read_policy
from api.cli_context import say
from api.cli_receipt import EXIT_CODES, read_receipts
from api.file_verifying import verify_in_ledger
from domain.actor import Mode
from domain.entry import format_time
from domain.faults import Verdict
from infrastructure.clock import SystemClock
from infrastructure.evidence import Trust
from infrastructure.file_verification import Anchors, FileJudgement, Kind, of_bundle, verify_file
from infrastructure.installation import Installation, InstallationError, open_installation
from infrastructure.settings import Settings
from infrastructure.trusted_time import read_certificates

#: How a PDF begins, as far as it is told from exports and bundles; one whose first bytes were altered still has its name.
_BEGINNING: Final = b"%PDF-"


def is_pdf(path: Path) -> bool:
    """Whether a file is to be verified as one that was made for an envelope; raises OSError."""
    if path.suffix.lower() == ".pdf":
        return True
    with path.open("rb") as opened:
        return opened.read(len(_BEGINNING)) == _BEGINNING


def verify_against_bundle(
    path: Path, bundle: Path, policy: Path | None, anchors: Anchors, receipts: Sequence[str], *, as_json: bool
) -> int:
    """Prints what was found and answers the exit code: 0, 1 or 2 for valid, invalid, indeterminate.

    The bundle's own time stamps are believed by the same authorities as those of the file. Raises BundleError, OSError,
    ReceiptsUnreadable.
    """
    trust = Trust(None if policy is None else read_policy(policy), anchors.times or None, read_receipts(receipts))
    with bundle.open("rb") as opened:
        evidence = of_bundle(opened, trust)
    found = asyncio.run(verify_file(path.read_bytes(), evidence, anchors, SystemClock().now(), f"the bundle {bundle}"))
    return _tell(path, found, as_json=as_json)


def verify_against_ledger(path: Path, settings: Settings, anchors: Anchors, *, as_json: bool) -> int:
    """As `verify_against_bundle`, with whatever the ledger of the settings has; what is not given in `anchors` is the installation's.

    Raises InstallationError where there is no ledger, DatabaseUnavailable, ReadsUnavailable, DamagedEntry, OSError.
    """
    if settings.database_url is None and not (settings.data / "postgres").is_dir():
        raise InstallationError(
            f"There is no ledger in {settings.data} to hold {path} against. Name a bundle of evidence (--bundle), or set COUNTERSIGN_DATA to"
            " the folder of a ledger, or DATABASE_URL."
        )
    with open_installation(settings, say) as opened:
        found = asyncio.run(_in_ledger(opened, path.read_bytes(), anchors))
    return _tell(path, found, as_json=as_json)


def anchors_of(seals: Path | None, times: Path | None) -> Anchors:
    """The certificates of PEM files; raises CertificatesUnusable."""
    return Anchors(*(() if path is None else read_certificates(path) for path in (seals, times)))


async def _in_ledger(opened: Installation, pdf: bytes, anchors: Anchors) -> FileJudgement:
    async with running(opened, followers=False) as parts:
        return await verify_in_ledger(parts.deps, pdf, anchors)


def _tell(path: Path, found: FileJudgement, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(_members(path, found), indent=2) + "\n")
    else:
        print_judgement(found.findings, found.absent, found.verdict, _sentence(path, found))
    return EXIT_CODES[found.verdict]


def _sentence(path: Path, found: FileJudgement) -> str:
    if found.pin is None:
        altered = " It may have been altered." if found.seal is not None and found.seal.certificate is not None else ""
        return f"{path} is no file that is known here.{altered}"
    kinds = {Kind.EXECUTED: f"the executed document {found.place}", Kind.CERTIFICATE: "the certificate of completion"}
    if found.pin.kind not in kinds:
        return f"{path} is not an executed document; {found.findings[0].reason}."
    about = f"{path} is {kinds[found.pin.kind]} of the envelope {found.envelope} in the ledger {found.ledger!r}"
    if found.mode is Mode.TEST:
        about += ", a test without effect"
    match found.verdict:
        case Verdict.VALID:
            return f"{about}, recorded at {format_time(found.pin.at)}."
        case Verdict.INVALID:
            return f"{about} by its hash, but it is not to be relied on: not valid is {named(found.findings, Verdict.INVALID)}."
        case Verdict.INDETERMINATE:
            return f"{about}, and nothing speaks against it, but {named(found.findings, Verdict.INDETERMINATE)} could not be established."


def _members(path: Path, found: FileJudgement) -> dict[str, Any]:
    """docs/verifying-files.md, "The answer"."""
    pin, seal = found.pin, found.seal
    return {
        "file": str(path),
        "verdict": found.verdict.value,
        "sha256": found.sha256,
        "ledger": found.ledger,
        "kind": None if pin is None else pin.kind.value,
        "mode": None if found.mode is None else found.mode.value,
        "envelope": None if found.envelope is None else str(found.envelope),
        "document": None if pin is None or pin.document is None else str(pin.document),
        "place": found.place,
        "position": None if pin is None else pin.position,
        "at": None if pin is None else format_time(pin.at),
        "superseded_by": None if pin is None else pin.superseded_by,
        "signatures": [
            {"process": str(each.process), "at": format_time(each.at), "version": each.version, "leaf": each.leaf}
            for each in found.signatures
        ],
        "profile": None if seal is None else seal.profile,
        "stamped": None if seal is None or seal.stamped is None else format_time(seal.stamped),
        "archived": [] if seal is None else [format_time(each) for each in seal.archived],
        "findings": [finding_members(finding) for finding in found.findings],
        "absent": found.absent,
    }
