"""`countersign projections`: where the read models stand, starting a stopped one again, making them anew."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from infrastructure.database import DatabaseUrls, connect
from infrastructure.following import log_position, places, restart
from projections import PROJECTIONS, Projection
from projections.rebuild import rebuild

#: Opens the database for as long as a command takes, starting the embedded server if that is needed.
OpenDatabase = Callable[[], AbstractContextManager[DatabaseUrls]]

Names = Annotated[list[str] | None, typer.Argument(help="Names of projections; all of them if none is given.")]


def build(open_database: OpenDatabase, console: Console | None = None) -> typer.Typer:
    """The commands, on the database that `open_database` gives."""
    out = console or Console()
    commands = typer.Typer(no_args_is_help=True, help="The read models: where they stand, restarting and rebuilding them.")

    @commands.command("list")
    def list_projections() -> None:
        """Shows how far each projection and follower has come, and why a stopped one stopped."""
        with open_database() as urls:
            _list(urls, out)

    @commands.command("restart")
    def restart_projection(name: str) -> None:
        """Lets a stopped projection try again, from the entry at which it stopped: after its cause is mended."""
        with open_database() as urls, connect(urls.service) as conn:
            if not restart(conn, name):
                out.print(f"no projection {name!r} is stopped; `countersign projections list` shows them")
                raise typer.Exit(1)
        out.print(f"{name} goes on")

    @commands.command("rebuild")
    def rebuild_projections(names: Names = None) -> None:
        """Makes read models anew from the whole log. Reads go on from the old ones until the new ones are complete."""
        projections = _named(names or [], out)
        with open_database() as urls:
            _rebuild(urls, projections, out)

    return commands


def _named(names: Sequence[str], out: Console) -> Sequence[Projection]:
    known = {each.name: each for each in PROJECTIONS}
    if unknown := [name for name in names if name not in known]:
        out.print(f"there is no projection {unknown[0]!r}; there are {', '.join(known)}")
        raise typer.Exit(2)
    return [known[name] for name in dict.fromkeys(names)] or PROJECTIONS


def _list(urls: DatabaseUrls, out: Console) -> None:
    with connect(urls.service) as conn:
        found, head = places(conn), log_position(conn)
    table = Table("name", "position", "behind", "status", "reason")
    for name, place in found.items():
        status = "running" if place.running else "[red]stopped[/]"
        table.add_row(name, f"{place.position:,}", f"{max(head - place.position, 0):,}", status, place.error or "")
    out.print(table)
    out.print(f"the log ends at position {head:,}")


def _rebuild(urls: DatabaseUrls, projections: Sequence[Projection], out: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out) as progress:
        task = progress.add_task(", ".join(each.name for each in projections), total=None)
        rebuilt = rebuild(urls.owner, projections, lambda position, head: progress.update(task, completed=position, total=head))
    rate = rebuilt.entries / rebuilt.seconds if rebuilt.seconds else 0
    out.print(f"{', '.join(rebuilt.projections)}: {rebuilt.entries:,} entries in {rebuilt.seconds:.1f} s ({rate:,.0f}/s)")
