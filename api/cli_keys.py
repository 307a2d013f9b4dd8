"""`countersign keys`: the keys that sign the ledger's checkpoints, and the policy that auditors verify them with."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from api.cli_context import fail, in_seconds, installation, say, show_rows
from api.cli_ledger import open_ledger
from domain.actor import Actor, ActorKind
from domain.errors import Conflict
from domain.note import SignatureType, VerifierKey, parse_verifier_key
from domain.policy import NONE, Log, Policy, format_policy
from domain.sealing import NOTHING, RetireKey, Sealing, ledger_stream
from infrastructure.append import RecorderUnavailable
from infrastructure.cosigning import Cosigning, WitnessPolicyError, WitnessStanding, read_witness_policy
from infrastructure.database import DatabaseUnavailable, async_pool, connect
from infrastructure.installation import Installation
from infrastructure.ledger import NO_ANSWER, Ledger
from infrastructure.log_keys import LastKey, LogKeys, open_log_keys, record_keys
from infrastructure.sealer import resume as take_alarm_back
from infrastructure.secrets import SecretError
from infrastructure.settings import Settings, variable
from infrastructure.signing_keys import generate

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="The keys that sign the ledger's checkpoints: lists, rotates and retires them.")

#: Whoever may start this command on the installation's own machine.
BY: Final = Actor(ActorKind.OPERATOR, "countersign keys")

_SETTING: Final = variable("log_keys")

KeyId = Annotated[str, typer.Argument(metavar="ID", help="As `countersign keys list` shows it: eight hex digits.")]


@app.command("list")
def show() -> None:
    """Lists the keys: id, what each is doing, and its public half, which verifies checkpoints."""
    with _opened() as (opened, keys):
        recorded = _run(opened, lambda ledger: _state(ledger, keys))
        signing = {each.key for each in keys.signing()}
        retired = {*keys.retired(), *map(parse_verifier_key, recorded.retired)} - signing
    rows = [(each.id.hex(), "signs", str(each)) for each in sorted(signing, key=str)]
    rows += [(each.id.hex(), "retired", str(each)) for each in sorted(retired, key=str)]
    show_rows(("id", "state", "public key"), rows)


@app.command()
def rotate() -> None:
    """Makes a new key, which signs from now on beside the present ones, and prints its public half."""
    with _opened() as (opened, keys):
        if not keys.in_files:
            print(generate(keys.origin, SignatureType.ED25519).private_text())
            say(f"Shown once. Add it to {_SETTING} on each host that runs followers, and start those again.")
            return
        made = keys.add().key
        _run(opened, lambda ledger: record_keys(ledger, keys, BY))
    print(made)
    say("Both sign from now on. Give this public key to your auditors and witnesses; then: countersign keys retire OLD")


@app.command()
def retire(id: KeyId) -> None:
    """Ends a key: it signs no more, and its private half is destroyed. What it has signed stays verifiable."""
    with _opened() as (opened, keys):
        recorded = _run(opened, lambda ledger: _state(ledger, keys))
        signing = [each.key for each in keys.signing()]
        known = {each.id.hex(): each for each in (*keys.known(), *map(parse_verifier_key, recorded.keys))}
        if id not in known:
            fail(f"No key {id} signs. countersign keys list shows those that do.")
        key = known[id]
        if key in signing and not keys.in_files:
            fail(f"Take the key out of {_SETTING} first, on each host that runs followers, and start those again.")
        if key in signing:
            try:
                keys.retire(key)
            except LastKey as err:
                fail(f"{err}: make another first, by countersign keys rotate.")
        _run(opened, lambda ledger: _record_end(ledger, keys, key))
    say(f"Retired. Checkpoints are signed by {', '.join(each.key.id.hex() for each in keys.signing())}.")


@app.command()
def policy() -> None:
    """Prints the policy (C2SP tlog-policy) that an auditor keeps: the ledger's keys, its witnesses and their quorum."""
    with _opened() as (opened, keys):
        try:
            text = auditors_policy(opened.settings, keys)
        except WitnessPolicyError as err:
            fail(str(err))
        recorded = _run(opened, lambda ledger: _state(ledger, keys))
    for key in sorted(recorded.retired):
        print(f"# For checkpoints from before it was retired: log {key}")
    print(text.decode("utf-8", "surrogateescape"), end="")


def auditors_policy(settings: Settings, keys: LogKeys) -> bytes:
    """The ledger's keys that sign now, and the witnesses and the quorum of its settings; raises WitnessPolicyError."""
    path = settings.witness_policy
    witnesses = Policy((), (), (), NONE) if path is None else read_witness_policy(path)
    logs = tuple(Log(each.key, f"{settings.base_url}/ledger") for each in keys.signing())
    return format_policy(Policy(logs, witnesses.witnesses, witnesses.groups, witnesses.quorum))


@app.command()
def witnesses() -> None:
    """Lists the witnesses that are asked to cosign: how far each has come, when, and what is wrong with it now."""

    async def standing(opened: Installation, path: Path) -> list[WitnessStanding]:
        async with async_pool(opened.urls.service, max_size=1) as pool:
            return await Cosigning(read_witness_policy(path), pool).standing()

    with installation() as opened:
        path = opened.settings.witness_policy
        if path is None:
            fail(f"No witnesses are asked; name a policy of them in {variable('witness_policy')}.")
        found = asyncio.run(standing(opened, path))
    rows = [
        (each.name, str(each.last_size), "never" if each.last_at is None else in_seconds(each.last_at), each.error or "cosigns")
        for each in found
    ]
    show_rows(("witness", "size", "cosigned at", "state"), rows)


@app.command()
def resume() -> None:
    """Lets the sealer sign again after it has refused to, once you know why. What is still wrong it refuses again."""
    with installation() as opened, connect(opened.urls.service) as connection:
        say("The sealer looks again." if take_alarm_back(connection) else "The sealer has not refused anything.")


@contextmanager
def _opened() -> Iterator[tuple[Installation, LogKeys]]:
    with installation() as opened:
        try:
            yield opened, open_log_keys(opened.settings, opened.urls, opened.origin)
        except SecretError as err:
            fail(str(err))


def _run(opened: Installation, work: Callable[[Ledger], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_ledger(opened) as ledger:
            return await work(ledger)

    try:
        return asyncio.run(run())
    except (Conflict, RecorderUnavailable, DatabaseUnavailable) as err:
        fail(f"It is not known whether it was recorded; run the command again. ({err})")


async def _state(ledger: Ledger, keys: LogKeys) -> Sealing:
    return await ledger.state(Sealing, ledger_stream(keys.origin)) or NOTHING


async def _record_end(ledger: Ledger, keys: LogKeys, key: VerifierKey) -> None:
    await record_keys(ledger, keys, BY)
    await ledger.handle(RetireKey(ledger_stream(keys.origin), str(key)), BY, lambda outcome: NO_ANSWER)
