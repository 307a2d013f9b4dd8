"""`countersign evidence`: one file about a process or an envelope, to be verified elsewhere."""

import asyncio
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from api.app import running
from api.cli_context import fail, installation, say
from api.evidence import Asked, Bundle, NotSealed, TooLarge, Withholding, WithholdingError, make_bundle
from api.finding import DESCRIPTION, find_timeline
from infrastructure.blobs import BlobCorrupted
from infrastructure.database import DatabaseUnavailable
from infrastructure.installation import Installation
from infrastructure.reading import ReadsUnavailable
from projections.timeline import DamagedEntry

app = typer.Typer()


def _withholding(text: str) -> Withholding:
    try:
        return Withholding.parse(text)
    except WithholdingError as err:
        raise typer.BadParameter(str(err)) from err


@app.command()
def evidence(
    id: Annotated[str, typer.Argument(metavar="ID", help=DESCRIPTION)],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write; - is standard output. Default: evidence-ID.zip.")
    ] = None,
    withhold: Annotated[
        list[Withholding] | None,
        typer.Option(
            metavar="PATH", parser=_withholding, help="Leave out the values at /PATH, or <participantId>:/PATH. May be repeated."
        ),
    ] = None,
    documents: Annotated[bool, typer.Option(help="Put the PDFs in.")] = True,
) -> None:
    """Writes the evidence of a process or of an envelope as one file, with everything needed to verify it offline.

    It holds all personal values but those withheld, whoever's they are. What is new must be sealed by a running server or worker.
    """
    with installation() as opened:
        try:
            asyncio.run(_write(opened, id, tuple(withhold or ()), documents, out))
        except NotSealed as err:
            fail(
                f"Nothing was written: {err}. A running countersign serve or countersign worker seals new entries within seconds."
            )
        except TooLarge as err:
            fail(f"Nothing was written: {err}. Leave the PDFs out with --no-documents.")
        except (WithholdingError, DamagedEntry, BlobCorrupted, DatabaseUnavailable, ReadsUnavailable) as err:
            fail(f"Nothing was written: {err}.")
        except OSError as err:
            fail(f"{out or 'The file'} cannot be written: {err.strerror or err}")


async def _write(opened: Installation, id: str, withhold: tuple[Withholding, ...], documents: bool, out: Path | None) -> None:
    async with running(opened, followers=False) as parts:
        found = await find_timeline(parts.deps, id)
        if found is None:
            fail("There is no such process or envelope.")
        bundle = await make_bundle(parts.deps, replace(Asked.about(found), withhold=withhold, documents=documents))
        await asyncio.to_thread(_save, bundle, out or Path(bundle.name))


def _save(bundle: Bundle, path: Path) -> None:
    if str(path) == "-":
        bundle.write(sys.stdout.buffer)
        return
    # What is at the path stays as it is until all of the new file is there; the name beside it is nobody else's.
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            bundle.write(file)
            size = file.tell()
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)
    complete = (
        "no heads manifest covers it"
        if bundle.complete is None
        else f"the heads manifest covers positions up to {bundle.complete:,}"
    )
    say(f"{path}: {size:,} bytes, under the checkpoint of size {bundle.size:,}; {complete}.")
    say(f"To verify it: countersign verify {path} --policy POLICY")
