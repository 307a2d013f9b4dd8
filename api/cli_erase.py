"""The command that erases a person's data, or that of an envelope, a template or an organization, and records that it was done."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

import typer

from api.cli_context import fail, installation, say
from api.cli_ledger import code, open_ledger, until_when
from api.erasing import NOT_REACHED, WAYS, Unusable, effect_of, remove_mails, subject_of
from domain.actor import Actor, ActorKind
from domain.errors import Conflict, ErasureHeld, SubjectNotFound
from domain.personal import Subject
from infrastructure.append import RecorderUnavailable
from infrastructure.database import DatabaseUnavailable
from infrastructure.installation import Installation

app = typer.Typer()

#: Whoever may start this command on the installation's own machine.
BY: Final = Actor(ActorKind.OPERATOR, "countersign erase")


@app.command()
def erase(
    tenant: Annotated[UUID, typer.Option(help="The tenant whose data it is.")],
    ground: Annotated[
        str,
        typer.Option(metavar="CODE", parser=code, help="The legal ground, a code such as gdpr-17-1-b. It is recorded and stays."),
    ],
    email: Annotated[str | None, typer.Option(help="Erase the person with this e-mail address.")] = None,
    phone: Annotated[str | None, typer.Option(help="Erase the person with this phone number and no e-mail address.")] = None,
    participant: Annotated[
        str | None, typer.Option(metavar="ID", help="Erase the participant with this id, of whom neither address is known.")
    ] = None,
    envelope: Annotated[str | None, typer.Option(metavar="ID", help="Erase an envelope's texts and metadata.")] = None,
    template: Annotated[str | None, typer.Option(metavar="ID", help="Erase a template's name and description.")] = None,
    organization: Annotated[
        str | None,
        typer.Option(metavar="UUID", help="Erase the names of an organization and of what is in it, and its flows' steps."),
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="SUBJECT", help="Erase what the directory holds of the user with this subject (sub).")
    ] = None,
    document: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Erase the texts of a document of the library, by its UUID or as its surface spells it."),
    ] = None,
    stakeholder: Annotated[
        str | None, typer.Option(metavar="ID", help="Erase what is stored of a stakeholder's consent (stk_...).")
    ] = None,
    issuer: Annotated[str | None, typer.Option(help="The issuer of --user (iss). Default: this installation's own.")] = None,
) -> None:
    """Destroys personal data for good: the values, their key, and the kept answers that hold them.

    The log keeps commitments to them, which say nothing without the values, and a fact that says that they were erased.
    """
    if issuer is not None and user is None:
        raise typer.BadParameter("goes with --user", param_hint="--issuer")
    said = {
        "email": email,
        "phone": phone,
        "participant": participant,
        "envelope": envelope,
        "template": template,
        "organization": organization,
        "document": document,
        "stakeholder": stakeholder,
        "user": user,
    }
    try:
        subject = subject_of(tenant, said, issuer)
    except Unusable as err:
        if err.member:
            raise typer.BadParameter(str(err), param_hint=f"--{err.member}") from err
        raise typer.BadParameter(f"say whose data, by one of {', '.join(f'--{way}' for way in WAYS)}") from err
    with installation() as opened:
        try:
            done = asyncio.run(_erase(opened, subject, ground))
        except SubjectNotFound as err:
            fail(f"{err} Nothing was changed.")
        except ErasureHeld as err:
            fail(f"{err} It lasts {until_when(err.until)}. Nothing was changed.")
        except (Conflict, RecorderUnavailable, DatabaseUnavailable) as err:
            fail(f"It is not known whether it was erased; run the command again. ({err})")
    say(f"Erased. {done.entries} entries held commitments that can no longer be opened.")
    if done.mails:
        say(f"{done.mails} invitations were removed from the outbox.")
    say(f"Not reached from here: {NOT_REACHED}.")


@dataclass(frozen=True, slots=True)
class _Done:
    """How many entries were emptied, and how many invitations removed."""

    entries: int
    mails: int


async def _erase(opened: Installation, subject: Subject, ground: str) -> _Done:
    """Raises SubjectNotFound, also for a tenant that does not exist, ErasureHeld, Conflict, RecorderUnavailable, DatabaseUnavailable."""
    async with open_ledger(opened, subject.tenant) as ledger:
        _, outcome = await ledger.erase(subject, ground, BY)
        entries = effect_of(outcome).entries
        # Crash point: it is erased, and invitations that were written to files are still there.
        return _Done(len(entries), await remove_mails(ledger, opened.settings.data / "outbox", entries))
