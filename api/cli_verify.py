"""The commands for auditors: check the log in the database, export it, check an export or a bundle without a server."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from api.cli_bundle import verify_bundle
from api.cli_context import say
from api.cli_file import anchors_of, is_pdf, verify_against_bundle, verify_against_ledger
from api.cli_progress import progress
from api.cli_receipt import ReceiptsUnreadable, compare_receipts, read_receipts
from api.cli_report import print_report, write_json
from domain.faults import Verdict
from domain.ids import IdError
from infrastructure.blobs import BlobStore, BlobsUnreadable
from infrastructure.bundle_archive import BundleError
from infrastructure.database import DatabaseUnavailable, DatabaseUrls
from infrastructure.embedded import EmbeddedServerError, start_embedded
from infrastructure.export import NothingToExport
from infrastructure.export import export as write_export
from infrastructure.export_format import Scope, ScopeKind
from infrastructure.file_verification import Anchors
from infrastructure.fsck import fsck as check_database
from infrastructure.installation import InstallationError
from infrastructure.reading import ReadsUnavailable
from infrastructure.settings import Settings, SettingsError
from infrastructure.snapshot import SnapshotError
from infrastructure.trusted_time import CertificatesUnusable
from infrastructure.verification import Expectations, ExportUnreadable, Report
from infrastructure.verification import verify as check_file
from projections.timeline import DamagedEntry

app = typer.Typer()

#: The command could not do its work, so nothing is known.
COULD_NOT_CHECK: Final = 2

_EXIT_CODES: Final = {Verdict.VALID: 0, Verdict.INVALID: 1, Verdict.INDETERMINATE: COULD_NOT_CHECK}

#: How a zip archive begins, and no export.
_ARCHIVE: Final = b"PK\x03\x04"

_HEAD: Final = re.compile(r"([1-9][0-9]{0,15}):([0-9a-fA-F]{64})")

Heads = Annotated[
    list[str] | None,
    typer.Option(
        "--head",
        metavar="POSITION:LEAF",
        help="A receipt that you kept: the entry at this position must have this leaf hash. May be repeated.",
    ),
]
Receipts = Annotated[
    list[str] | None,
    typer.Option(
        "--receipt",
        metavar="TEXT|FILE",
        help="A receipt that you kept: its text, or a file that holds it (a saved mail, say). May be repeated.",
    ),
]
Origin = Annotated[str | None, typer.Option("--expect-ledger", metavar="ORIGIN", help="The ledger's name must be this one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@app.command()
def fsck(
    head: Heads = None,
    expect_ledger: Origin = None,
    files: Annotated[
        bool, typer.Option("--files/--no-files", help="Whether every stored file is read and compared, too.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Checks the whole log in the database, every entry, leaf, chain, head and position; and the files that it names.

    Exit code 0 if all holds, 1 if faults were found, 2 if it could not be checked.
    """
    expectations = _expectations(head, expect_ledger)
    with _database() as url, progress() as tell:
        try:
            report = check_database(url, expectations, tell, _file_store() if files else None)
        except (SnapshotError, BlobsUnreadable) as err:
            _give_up(str(err))
    _finish(report, as_json=as_json)


def _file_store() -> BlobStore:
    """The files of this installation; a check makes no store where there is none."""
    try:
        return BlobStore.existing(Settings.read().blob_url)
    except (FileNotFoundError, ValueError) as err:
        _give_up(f"The files cannot be checked: {err}. Without them: --no-files.")


@app.command()
def verify(
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="A PDF, a bundle of evidence, or an export (plain or gzip)."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Of a PDF: the bundle of evidence that it is held against, not the ledger."
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Whose bundle you believe: log, witnesses, quorum (C2SP tlog-policy)."),
    ] = None,
    tsa: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Certificates of the time-stamping authorities that you trust (PEM)."),
    ] = None,
    seal_certificates: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Of a PDF: certificates that its seal must lead to (PEM)."),
    ] = None,
    head: Heads = None,
    receipt: Receipts = None,
    expect_ledger: Origin = None,
    as_json: AsJson = False,
) -> None:
    """Checks a PDF, a bundle of evidence, or an exported log.

    A PDF: whether it is an executed document or a certificate of completion, byte for byte, by a bundle, else by the ledger of the settings.
    All else needs no server, database or network. With receipts, also that what is checked continues what they saw; without a file
    it compares the receipts with each other. Exit code 0 if it is valid, 1 if it is not, 2 if it cannot be read or not wholly be judged.
    """
    if file is None:
        raise typer.Exit(_compared(receipt or [], as_json=as_json))
    try:
        if bundle is not None or seal_certificates is not None or is_pdf(file):
            _refuse(head, expect_ledger, "a PDF is held to --bundle or to the ledger")
            anchors = anchors_of(seal_certificates, tsa)
            raise typer.Exit(_verified(file, bundle, policy, anchors, receipt or (), as_json=as_json))
        if policy is not None or tsa is not None or _is_archive(file):
            _refuse(head, expect_ledger, "a bundle is held to --policy and --receipt")
            raise typer.Exit(verify_bundle(file, policy, tsa, receipt or (), as_json=as_json))
        expectations = _expectations(head, expect_ledger, receipt)
        with progress(in_bytes=True) as tell:
            size = file.stat().st_size
            report = check_file(file, expectations, lambda done: tell("verify", done, size))
    except (ReceiptsUnreadable, CertificatesUnusable) as err:
        _give_up(str(err))
    except (ExportUnreadable, OSError) as err:
        _give_up(f"{file}: {err}")
    _finish(report, as_json=as_json)


def _refuse(heads: list[str] | None, ledger: str | None, otherwise: str) -> None:
    if heads is not None or ledger is not None:
        raise typer.BadParameter(f"--head and --expect-ledger are for exports; {otherwise}")


def _verified(
    file: Path, bundle: Path | None, policy: Path | None, anchors: Anchors, receipts: Sequence[str], *, as_json: bool
) -> int:
    if bundle is None and (policy is not None or receipts):
        raise typer.BadParameter("--policy and --receipt go with --bundle: a ledger is held to its own keys")
    try:
        if bundle is not None:
            return verify_against_bundle(file, bundle, policy, anchors, receipts, as_json=as_json)
        return verify_against_ledger(file, Settings.read(), anchors, as_json=as_json)
    except BundleError as err:
        _give_up(f"{bundle} is no bundle of evidence: {err}")
    except (SettingsError, InstallationError, DatabaseUnavailable, ReadsUnavailable, DamagedEntry) as err:
        _give_up(f"{file} could not be checked: {err}")


def _is_archive(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_ARCHIVE)) == _ARCHIVE


@app.command()
def export(
    target: Annotated[str, typer.Argument(metavar="FILE", help="Where to write; - is standard output.")],
    process: Annotated[str | None, typer.Option(metavar="ID", help="Only this process (<envelope>-<participant>).")] = None,
    envelope: Annotated[str | None, typer.Option(metavar="ID", help="Only this envelope with all its processes.")] = None,
    template: Annotated[str | None, typer.Option(metavar="ID", help="Only this template.")] = None,
) -> None:
    """Writes the log as JSON lines that `countersign verify` checks anywhere. It holds no personal data.

    Exit code 0 if it was written, 2 if it was not.
    """
    scope = _scope(process=process, envelope=envelope, template=template)
    path = None if target == "-" else Path(target)
    with _database() as url, progress() as tell:
        try:
            exported = write_export(url, scope, path, lambda done, total: tell("export", done, total))
        except (NothingToExport, SnapshotError) as err:
            _give_up(str(err))
        except OSError as err:
            _give_up(f"{target} cannot be written: {err.strerror or err}")
    say(f"{exported.entries:,} entries up to position {exported.position:,}, SHA-256 before the trailer {exported.sha256}")


def _scope(*, process: str | None, envelope: str | None, template: str | None) -> Scope:
    asked = [
        (kind, id)
        for kind, id in ((ScopeKind.PROCESS, process), (ScopeKind.ENVELOPE, envelope), (ScopeKind.TEMPLATE, template))
        if id is not None
    ]
    if len(asked) > 1:
        raise typer.BadParameter("choose one of --process, --envelope and --template")
    if not asked:
        return Scope(ScopeKind.LOG)
    kind, id = asked[0]
    try:
        return Scope.of(kind, id)
    except IdError as err:
        raise typer.BadParameter(str(err), param_hint=f"--{kind.value}") from err


def _compared(receipts: list[str], *, as_json: bool) -> int:
    if not receipts:
        raise typer.BadParameter("name an export, or at least two receipts", param_hint="FILE")
    try:
        return compare_receipts(receipts, as_json=as_json)
    except ReceiptsUnreadable as err:
        _give_up(str(err))


def _expectations(heads: list[str] | None, ledger: str | None, receipts: list[str] | None = None) -> Expectations:
    known = {}
    for text in heads or ():
        match = _HEAD.fullmatch(text)
        if match is None:
            raise typer.BadParameter("a head is a position, a colon and 64 hex digits", param_hint="--head")
        known[int(match[1])] = bytes.fromhex(match[2])
    try:
        return Expectations(known, ledger, read_receipts(receipts or []))
    except ReceiptsUnreadable as err:
        _give_up(str(err))


@contextmanager
def _database() -> Iterator[str]:
    """The service's URL of a database that is there already: a check makes nothing and changes nothing."""
    try:
        settings = Settings.read()
        if settings.database_url is not None:
            yield DatabaseUrls.of(settings.database_url).service
            return
        if not (settings.data / "postgres").is_dir():
            _give_up(f"There is no database in {settings.data}. Set COUNTERSIGN_DATA to the folder of one, or DATABASE_URL.")
        with start_embedded(settings.data, say) as server:
            yield server.service_url
    except (SettingsError, EmbeddedServerError) as err:
        _give_up(str(err))


def _give_up(reason: str) -> NoReturn:
    say(reason)
    raise typer.Exit(COULD_NOT_CHECK)


def _finish(report: Report, *, as_json: bool) -> NoReturn:
    try:
        if as_json:
            write_json(report, sys.stdout)
        else:
            print_report(report)
        raise typer.Exit(_EXIT_CODES[report.verdict])
    finally:
        report.close()


if __name__ == "__main__":
    app()
