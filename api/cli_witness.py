"""The command that runs a witness: for somebody else than the log's operator, on another machine, without PostgreSQL."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer

from api.cli_context import fail
from api.serving import listen, run, server_of
from api.witness import build
from domain.note import KeyFormatError, SignatureType, VerifierKey
from domain.policy import Policy, PolicyError, parse_policy
from infrastructure.clock import SystemClock
from infrastructure.secrets import SecretError
from infrastructure.signing_keys import SigningKey, load, load_or_create
from infrastructure.witness import Witness
from infrastructure.witness_store import STORE, WitnessStore, WitnessStoreError

app = typer.Typer()

#: The file of the key in the witness's folder; it can be read by its owner alone.
KEY: Final = "witness.key"


@app.command()
def witness(
    policy: Annotated[Path, typer.Option(help="A C2SP tlog-policy file; its log lines are the logs to follow.")],
    data: Annotated[Path, typer.Option(help="Folder of the witness's key and of what it remembers; made on the first run.")],
    name: Annotated[
        str | None, typer.Option(help="The witness's name, like witness.example.com/w1. Needed on the first run, then kept.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")] = 8081,
) -> None:
    """Runs a witness (C2SP tlog-witness) that cosigns the checkpoints of the logs it follows, until Ctrl-C."""
    followed = _policy(policy)
    try:
        with listen(host, port) as listening, closing(_store(data)) as store:
            key = _key(data, name)
            application = build(Witness([log.key for log in followed.logs], store, key, SystemClock()))
            address = f"[{host}]" if ":" in host else host
            print(_greeting(f"http://{address}:{listening.getsockname()[1]}", key.key, followed, policy), flush=True)
            run(server_of(application).serve(sockets=[listening]))
    except (WitnessStoreError, SecretError) as err:
        fail(str(err))
    except KeyFormatError as err:
        fail(f"--name: {err}")
    except OSError as err:
        fail(f"{host}:{port} cannot be used: {err.strerror}. Choose another with --port.")


def _policy(path: Path) -> Policy:
    try:
        policy = parse_policy(path.read_bytes())
    except OSError as err:
        fail(f"{path} cannot be read: {err.strerror}")
    except PolicyError as err:
        fail(f"{path} is no policy: {err}")
    if not policy.logs:
        fail(f"{path} names no log to follow; add a line: log KEY")
    return policy


def _store(data: Path) -> WitnessStore:
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as err:
        fail(f"The folder {data} cannot be made: {err.strerror}.")
    if (data / KEY).exists() and not (data / STORE).exists():
        fail(
            f"{data} holds a key, but not {STORE}, which says what was cosigned with it. Restore that, or begin in an empty folder, "
            "as another witness: one that has forgotten could cosign a second history."
        )
    return WitnessStore(data / STORE)


def _key(data: Path, name: str | None) -> SigningKey:
    if name is None and not (data / KEY).exists():
        fail("This is the first run: say what the witness is called with --name, like witness.example.com/w1.")
    return load_or_create(data / KEY, name or load(data / KEY).key.name, SignatureType.COSIGNATURE)


def _greeting(url: str, key: VerifierKey, policy: Policy, path: Path) -> str:
    return "\n".join(
        [
            f"Witness {key.name} is listening on {url}",
            *(f"  follows  {name}" for name in dict.fromkeys(log.key.name for log in policy.logs)),
            f"  key      {key}",
            "Those who trust it put this line into their policies; the logs that ask it need its address there:",
            f"  witness {key.name} {key} {url}",
            f"Restart it after a change of {path}. Stop it with Ctrl-C.",
        ]
    )
