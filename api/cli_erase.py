"""The command that erases a person's data, or that of an envelope, a template or an organization, and records that it was done."""

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from api.cli_context import fail, installation, say
from domain.actor import Actor, ActorKind
from domain.consent import stakeholder_subject
from domain.directory import DirectoryTextError, user_subject
from domain.envelope import Envelope
from domain.erasure import SubjectErased
from domain.errors import Conflict, SubjectNotFound
from domain.ids import IdError, parse_typed_id, parse_ulid_id, parse_uuid
from domain.personal import Subject, SubjectKind, person
from infrastructure.append import RecorderUnavailable
from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUnavailable, async_pool
from infrastructure.identity import Identity
from infrastructure.installation import Installation
from infrastructure.invitation_mint import InvitationMint
from infrastructure.issuer import ISSUER
from infrastructure.ledger import Ledger
from infrastructure.recorder import Recorder
from infrastructure.vault import Vault

app = typer.Typer()

#: Whoever may start this command on the installation's own machine.
BY: Final = Actor(ActorKind.OPERATOR, "countersign erase")

#: Where an address says who somebody is, no place of theirs needs to.
_NOBODY: Final = UUID(int=0)

#: A code and not prose: it stays in the log for ever, so it must not hold what is erased.
_GROUND: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")


@app.command()
def erase(
    tenant: Annotated[UUID, typer.Option(help="The tenant whose data it is.")],
    ground: Annotated[
        str, typer.Option(metavar="CODE", help="The legal ground, a code such as gdpr-17-1-b. It is recorded and stays.")
    ],
    email: Annotated[str | None, typer.Option(help="Erase the person with this e-mail address.")] = None,
    phone: Annotated[str | None, typer.Option(help="Erase the person with this phone number and no e-mail address.")] = None,
    participant: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Erase the participant with this id, of whom neither address is known.")
    ] = None,
    envelope: Annotated[UUID | None, typer.Option(metavar="ID", help="Erase an envelope's texts and metadata.")] = None,
    template: Annotated[UUID | None, typer.Option(metavar="ID", help="Erase a template's name and description.")] = None,
    organization: Annotated[
        UUID | None,
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
    if not _GROUND.fullmatch(ground):
        raise typer.BadParameter("a code of at most 64 letters, digits and . _ : / -", param_hint="--ground")
    if issuer is not None and user is None:
        raise typer.BadParameter("goes with --user", param_hint="--issuer")
    things = {
        SubjectKind.ENVELOPE: envelope,
        SubjectKind.TEMPLATE: template,
        SubjectKind.ORGANIZATION: organization,
        SubjectKind.DOCUMENT: None if document is None else _document(document),
    }
    named = [
        *(Subject(tenant, kind, str(thing)) for kind, thing in things.items() if thing is not None),
        *(() if user is None else (_user(tenant, ISSUER if issuer is None else issuer, user),)),
        *(() if stakeholder is None else (stakeholder_subject(tenant, stakeholder),)),
        *(() if email is None else (person(tenant, email=email, otherwise=_NOBODY),)),
        *(() if phone is None else (person(tenant, phone=phone, otherwise=_NOBODY),)),
        *(() if participant is None else (person(tenant, otherwise=participant),)),
    ]
    if len(named) != 1:
        options = ("--email", "--phone", "--participant", "--user", "--stakeholder", *(f"--{kind}" for kind in things))
        raise typer.BadParameter(f"say whose data, by one of {', '.join(options)}")
    (subject,) = named
    with installation() as opened:
        try:
            places = asyncio.run(_erase(opened, subject, ground))
        except SubjectNotFound as err:
            fail(f"{err} Nothing was changed.")
        except (Conflict, RecorderUnavailable, DatabaseUnavailable) as err:
            fail(f"It is not known whether it was erased; run the command again. ({err})")
        mails = _remove_mails(opened.settings.data / "outbox", places.signings)
    say(f"Erased. {places.entries} entries held commitments that can no longer be opened.")
    if mails:
        say(f"{mails} invitations were removed from the outbox.")
    say("Not reached from here: backups, exported files with disclosures, mails that were sent, and the PDFs themselves.")


class _Places:
    """Where an erasure took effect: how many entries, and the signings whose invitations name what was erased."""

    def __init__(self, entries: int, signings: frozenset[UUID]) -> None:
        self.entries = entries
        self.signings = signings


def _user(tenant: UUID, issuer: str, subject: str) -> Subject:
    try:
        return user_subject(tenant, issuer, subject)
    except DirectoryTextError as err:
        raise typer.BadParameter(str(err), param_hint="--user") from err


def _document(text: str) -> UUID:
    """A document's id as UUID, or as one of the surfaces spells it."""
    readings: tuple[Callable[[str], UUID], ...] = (
        parse_uuid,
        lambda spelled: parse_typed_id("doc", spelled),
        lambda spelled: parse_ulid_id("doc", spelled),
    )
    for reading in readings:
        with contextlib.suppress(IdError):
            return reading(text)
    raise typer.BadParameter("a UUID, or doc_ and what its surface shows", param_hint="--document")


async def _erase(opened: Installation, subject: Subject, ground: str) -> _Places:
    """Raises SubjectNotFound, also for a tenant that does not exist, Conflict, RecorderUnavailable, DatabaseUnavailable."""
    clock = SystemClock()
    async with async_pool(opened.urls.service, max_size=2) as pool:
        if subject.tenant not in {tenant.id for tenant in await Identity(pool, opened.keys, clock).tenants()}:
            fail(f"There is no tenant {subject.tenant}.")
        recorder = Recorder(opened.urls.service, opened.origin, pool, clock)
        await asyncio.to_thread(recorder.start)
        try:
            mint = InvitationMint(opened.keys, timedelta(days=opened.settings.session_lifetime_days), os.urandom)
            ledger = Ledger(recorder, Vault(pool, opened.keys), mint, clock)
            _, outcome = await ledger.erase(subject, ground, BY)
            streams = [
                (entry.stream, entry.version)
                for recorded in outcome.recorded
                if isinstance(recorded.fact, SubjectErased)
                for entry in recorded.fact.entries
            ]
            signings = {stream for stream, _ in streams}
            for stream in tuple(signings):
                state = await ledger.state(Envelope, stream)
                signings |= set() if state is None else set(state.slots)
            return _Places(len(streams), frozenset(signings))
        finally:
            await asyncio.to_thread(recorder.close)


def _remove_mails(outbox: Path, signings: Iterable[UUID]) -> int:
    """Invitations that were written to files instead of being sent hold the name, the address and the envelope's words."""
    removed = 0
    for signing in signings:
        for mail in outbox.glob(f"*-{signing}-*.eml"):
            mail.unlink(missing_ok=True)
            removed += 1
    return removed
