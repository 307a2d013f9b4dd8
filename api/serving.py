"""`countersign serve` and `countersign worker`: one process of the installation, until it is told to stop."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final
from uuid import UUID

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from api.app import Running, running
from api.http import App
from infrastructure.installation import Installation
from infrastructure.watchdog import Watchdog

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class FirstTenant:
    """The tenant of the first run, and the one time its key can be shown."""

    tenant: UUID
    secret: str


def run(process: Coroutine[Any, Any, None]) -> None:
    """Runs `serve` or `work` on uvloop, or where that is not installed on asyncio's own loop."""
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(process)


async def serve(installation: Installation, *, followers: bool) -> None:
    """Answers requests until SIGINT or SIGTERM; prints what a newcomer needs next once it listens."""
    settings = installation.settings
    with listen(settings.host, settings.port) as listening, Watchdog(installation.server):
        port = listening.getsockname()[1]
        base_url = settings.base_url if settings.port else f"http://{settings.host}:{port}"
        async with running(installation.at(base_url), followers=followers) as parts:
            server = server_of(parts.app, parts.deps.tail.end)
            _spare_the_collector()
            await asyncio.gather(server.serve(sockets=[listening]), _greet(server, parts, base_url))


def server_of(app: App, ending: Callable[[], object] = lambda: None) -> uvicorn.Server:
    """Answers requests with `app` until SIGINT or SIGTERM, and then lets what is in hand end.

    `ending` is called at once: it ends what would otherwise go on, such as streams.
    """
    return _Server(
        ending,
        uvicorn.Config(
            app,
            lifespan="off",
            access_log=False,
            server_header=False,
            # Believing X-Forwarded-For is decided by our settings (`api.http.client_address`); uvicorn would believe
            # every process of this machine and pass it off as the address of the connection.
            proxy_headers=False,
            log_level="warning",
            timeout_graceful_shutdown=10,
        ),
    )


def _spare_the_collector() -> None:
    """What stands at the start stands to the end: the garbage collector need not look at it again and again.

    Nor need it look for cycles every 700 objects, when one request makes some thousands and no cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


class _Server(uvicorn.Server):
    """Ends when it is told to, and lets what is around it end too.

    uvicorn's own raises the signal again once it has stopped, and SIGTERM then ends the process on the spot: appends and
    mails in hand are cut off, and the embedded PostgreSQL stays behind.
    """

    def __init__(self, ending: Callable[[], object], config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._ending()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _STOP_SIGNALS:
                loop.remove_signal_handler(number)


async def work(installation: Installation) -> None:
    """Runs the followers alone until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    with Watchdog(installation.server):
        async with running(installation, followers=True):
            print(
                "Worker is following the log (read models, invitations, expiry, sealing, execution). Stop it with Ctrl-C.",
                flush=True,
            )
            await stop.wait()


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError when the address is taken; before anything else has been started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's algorithm off only where it is: otherwise it and
    # delayed acknowledgements hold up each answer by 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError:
        listening.close()
        raise
    return listening


async def _greet(server: uvicorn.Server, parts: Running, base_url: str) -> None:
    first = await _first_tenant(parts)
    while not server.started:
        if server.should_exit:
            return
        await asyncio.sleep(0.01)
    print(greeting(base_url, first, str(parts.deps.settings.data)), flush=True)


async def _first_tenant(parts: Running) -> FirstTenant | None:
    """Creates a tenant with a credential where there is none yet."""
    identity = parts.deps.identity
    if await identity.tenants():
        return None
    tenant = await identity.create_tenant("First tenant")
    key = await identity.create_partner_key(tenant, "KEY")
    return FirstTenant(tenant, key.secret)


def greeting(base_url: str, first: FirstTenant | None, data: str) -> str:
    """What is printed once the server listens."""
    lines = [
        "",
        f"Countersign is listening on {base_url}",
        f"  documentation  {base_url}/docs",
        f"  data folder    {data}",
    ]
    if first is None:
        lines += ["", "Tenants and keys were made before; `countersign credential create` makes another key."]
    else:
        credentials = f'-H "X-Tenant-Signly: {first.tenant}" -H "X-Auth-Signly: {first.secret}"'
        body = """-H "Content-Type: application/json" -d '{"templateName": "First agreement"}'"""
        lines += [
            f"  tenant id      {first.tenant}",
            f"  key            {first.secret}   (shown only now: keep it)",
            "",
            "Try it:",
            f"  curl {base_url}/health",
            f"  curl -X POST {base_url}/v1/templates {credentials} {body}",
            f'  curl "{base_url}/v1/templates?limit=10" {credentials}',
        ]
    lines += ["", "A whole signing, step by step, in another terminal: .venv/bin/countersign demo", "Stop with Ctrl-C.", ""]
    return "\n".join(lines)
