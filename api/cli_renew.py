"""`countersign renew`: time stamps over executed files and certificates, before those that are there grow old."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import typer

from api.app import running
from api.cli_context import fail, in_seconds, installation, say
from api.cli_progress import progress
from api.deps import Deps
from domain.actor import Actor, ActorKind
from domain.ids import IdError, parse_typed_id, parse_uuid
from infrastructure.append import RecorderUnavailable
from infrastructure.database import DatabaseUnavailable
from infrastructure.installation import Installation
from infrastructure.reading import ReadsUnavailable
from infrastructure.renewals import Renewals, SealedFile, Unrenewable, authority_ends
from infrastructure.settings import variable
from infrastructure.timestamping import authority_of
from infrastructure.trusted_time import TimeStampRefused
from projections import files

app = typer.Typer()

#: Whoever may start this command on the installation's own machine.
BY: Final = Actor(ActorKind.OPERATOR, "countersign renew")

#: Envelopes that are asked for at once.
_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be renewed: the files of one envelope, or those that end before a time, or all that gain by it."""

    envelope: UUID | None
    before: datetime | None

    def takes(self, file: SealedFile, authority_until: datetime) -> bool:
        """A file gains its first time stamp, or one whose certificate ends later: so a second run renews nothing again."""
        due = self.before is None or file.ends < self.before
        return due and (not file.stamps or file.ends < authority_until)


def _envelope(text: str) -> UUID:
    try:
        return parse_typed_id("env", text) if text.startswith("env_") else parse_uuid(text)
    except IdError as err:
        raise typer.BadParameter("is not the id of an envelope: a UUID, or env_...") from err


@app.command()
def renew(
    envelope: Annotated[
        UUID | None, typer.Option(parser=_envelope, metavar="ENVELOPE", help="Only the files of this envelope.")
    ] = None,
    before: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only files whose last certificate ends before this day (UTC)."),
    ] = None,
    all_files: Annotated[bool, typer.Option("--all", help="All files that gain by it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be renewed.")] = False,
) -> None:
    """Puts a time stamp over executed documents and certificates of completion, so that they can still be verified when the certificates
    in them have ended.

    What counts of a file is the certificate of its last time stamp (B-LTA), and where it has none (B-B, B-T, B-LT), that of the seal: then
    it gets its first one. Each file is verified before and after, and the new form begins with the old one, which stays valid. A file
    that would gain nothing is left alone, so the command may be run again at any time, say every month. Exit code 1 if something failed.
    """
    if (envelope is not None) + (before is not None) + all_files != 1:
        fail("Say what to renew: --envelope ENVELOPE, --before DAY or --all.")
    wish = _Wish(envelope, None if before is None else before.replace(tzinfo=UTC))
    with installation() as opened:
        try:
            counts = asyncio.run(_run(opened, wish, dry_run=dry_run))
        except TimeStampRefused as err:
            fail(f"The time-stamping authority gives no time stamp ({err.reason}): {err}")
        except (DatabaseUnavailable, RecorderUnavailable, ReadsUnavailable) as err:
            fail(f"What is not renewed yet is renewed by running the command again. ({err})")
    if envelope is not None and not counts:
        fail(f"There is no file that was made for the envelope {envelope}.")
    done = "to renew" if dry_run else "renewed"
    say(f"{counts.total():,} files: {counts['taken']:,} {done}, {counts['left']:,} gain nothing, {counts['failed']:,} failed.")
    if counts["failed"]:
        raise typer.Exit(1)


async def _run(opened: Installation, wish: _Wish, *, dry_run: bool) -> Counter[str]:
    authority = authority_of(opened.settings)
    if authority is None:
        fail(f"No time-stamping authority is configured: set {variable('tsa_url')} and {variable('tsa_certificates')}.")
    until = await authority_ends(authority)
    counts: Counter[str] = Counter()
    async with running(opened, followers=False) as parts:
        deps = parts.deps
        renewals = Renewals(deps.ledger, deps.blobs, deps.seals, deps.clock, BY)
        await deps.gate.wait(files.READ_MODELS, deps.settings.read_wait_seconds)
        with progress() as tell:
            total = await _count(deps, wish)
            number = 0
            async for id in _envelopes(deps, wish):
                async for file in renewals.files(id):
                    counts[await _take(renewals, file, wish, until, dry_run=dry_run)] += 1
                number += 1
                tell("envelopes", number, total)
    return counts


async def _take(renewals: Renewals, file: SealedFile | Unrenewable, wish: _Wish, until: datetime, *, dry_run: bool) -> str:
    """What became of a file: `taken`, `left` or `failed`."""
    try:
        if isinstance(file, Unrenewable):
            raise file
        if not wish.takes(file, until):
            return "left"
        if not dry_run:
            await renewals.renew(file)
    except Unrenewable as err:
        say(str(err))
        return "failed"
    of = "certificate of completion" if file.document is None else f"document {file.document}"
    print(f"{file.envelope}\t{of}\t{in_seconds(file.ends)}")
    return "taken"


async def _count(deps: Deps, wish: _Wish) -> int:
    if wish.envelope is not None:
        return 1
    async with deps.reads.connection() as connection:
        return await files.count_with_made(connection)


async def _envelopes(deps: Deps, wish: _Wish) -> AsyncIterator[UUID]:
    if wish.envelope is not None:
        yield wish.envelope
        return
    last = UUID(int=0)
    while True:
        async with deps.reads.connection() as connection:
            found = await files.envelopes_with_made(connection, last, _PAGE)
        for last in found:
            yield last
        if len(found) < _PAGE:
            return
