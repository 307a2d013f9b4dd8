"""The composition root: builds the running parts, mounts the surfaces, and is the only lifespan."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request

from api import pages
from api.deps import Deps
from api.dispatch import Dispatch
from api.http import App, Labels, Receive, Scope, Send
from api.problems import problem
from api.surfaces import files, health, ledger, partner, sessions, signatures, signer, signing
from api.surfaces import log as log_files
from infrastructure.blobs import BlobStore
from infrastructure.clock import Clock, SystemClock
from infrastructure.cosigning import NAME as COSIGNER
from infrastructure.cosigning import POLL_SECONDS as COSIGNER_POLL_SECONDS
from infrastructure.cosigning import Cosigner, Cosigning, read_witness_policy
from infrastructure.database import async_pool
from infrastructure.execution import ExecutionTable, Executor, Making, executions
from infrastructure.expiry import Expiry
from infrastructure.following import Follower
from infrastructure.heads import Heads, heads_follower
from infrastructure.identity import Identity
from infrastructure.installation import Installation
from infrastructure.invitation_mint import InvitationMint
from infrastructure.invitations import Invitations, Sender
from infrastructure.ledger import Ledger
from infrastructure.log_keys import open_log_keys, record_keys
from infrastructure.mail import mailer
from infrastructure.normalised import NormalisedFiles
from infrastructure.notifications import LogListener
from infrastructure.oidc import Oidc
from infrastructure.reading import ReadGate
from infrastructure.recorder import Recorder
from infrastructure.repeats import Repeats
from infrastructure.seal_service import seal_service
from infrastructure.sealed import Sealed
from infrastructure.sealer import NAME as SEALER
from infrastructure.sealer import POLL_SECONDS as SEALER_POLL_SECONDS
from infrastructure.sealer import Publication, Sealer
from infrastructure.settings import Settings
from infrastructure.tail import LogTail
from infrastructure.timestamping import Timestamping, Timestamps, authority_of
from infrastructure.urls import FileUrls
from infrastructure.vault import Vault
from projections import envelopes, erasures
from projections.rebuild import ensure_tables
from projections.runner import Runner

log = logging.getLogger(__name__)

#: The name under which all processes' projection runners compete for the one lock.
PROJECTIONS = "projections"


@dataclass(frozen=True, slots=True)
class Running:
    """A process's running parts. `app` answers requests, `surfaces` have their OpenAPI documents."""

    deps: Deps
    app: App
    surfaces: Mapping[str, FastAPI]
    followers: tuple[asyncio.Task[None], ...]


@asynccontextmanager
async def running(installation: Installation, *, clock: Clock | None = None, followers: bool = True) -> AsyncIterator[Running]:
    """Opens everything over `installation`, and closes it in the opposite order.

    With `followers` this process also keeps the read models, sends invitations, ends what is due, signs checkpoints and executes;
    of several processes that do, one at a time is active in each of these.
    """
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(_prepare_read_models, installation)
        deps = await _open(stack, installation, clock or SystemClock())
        tasks = await _follow(stack, installation, deps) if followers else ()
        published = {"partner": partner, "signing": signing, "signatures": signatures, "sessions": sessions}
        built = {**published, "ledger": ledger, "log": log_files, "files": files, "signer": signer}
        surfaces = {name: surface.build(deps) for name, surface in built.items()}
        apps: dict[str, App] = {**surfaces}
        apps["health"] = health.build(deps)
        apps["pages"] = pages.build(surfaces)
        dispatch = Dispatch(apps, deps.settings.surface_hosts, lifespan=Starlette(), otherwise=_nowhere(deps))
        yield Running(deps, Labels(dispatch, deps), surfaces, tasks)


def _prepare_read_models(installation: Installation) -> None:
    for name in ensure_tables(installation.urls.owner):
        log.info("read model %s was built from the log", name)


async def _open(stack: AsyncExitStack, installation: Installation, clock: Clock) -> Deps:
    settings = installation.settings
    pool = async_pool(installation.urls.service)
    await pool.open()
    stack.push_async_callback(pool.close)
    recorder = Recorder(installation.urls.service, installation.origin, pool, clock)
    await asyncio.to_thread(recorder.start)
    stack.push_async_callback(asyncio.to_thread, recorder.close)
    gate = await stack.enter_async_context(ReadGate(installation.urls.service, pool))
    tail = await stack.enter_async_context(LogTail(installation.urls.service, pool))
    vault = Vault(pool, installation.keys)
    mint = InvitationMint(installation.keys, timedelta(days=settings.session_lifetime_days), os.urandom)
    blobs = BlobStore.at(settings.blob_url)
    oidc = Oidc(settings.oidc_issuers, clock, timedelta(seconds=settings.oidc_leeway_seconds))
    stack.push_async_callback(oidc.close)
    identity = Identity(pool, installation.keys, clock, oidc=oidc)
    await _warn_of_unknown_tenants(settings, identity)
    return Deps(
        settings=settings,
        clock=clock,
        random=os.urandom,
        recorder=recorder,
        ledger=Ledger(recorder, vault, mint, clock),
        vault=vault,
        invitations=mint,
        reads=pool,
        gate=gate,
        sealed=Sealed(pool),
        tail=tail,
        timestamps=Timestamps(pool),
        heads=Heads(pool, installation.origin),
        identity=identity,
        blobs=blobs,
        files=NormalisedFiles(pool, blobs),
        seals=await asyncio.to_thread(seal_service, settings, clock),
        executions=ExecutionTable(pool),
        urls=FileUrls(settings.base_url, installation.keys.urls, timedelta(seconds=settings.url_lifetime_seconds), clock),
        cosigning=None if settings.witness_policy is None else Cosigning(read_witness_policy(settings.witness_policy), pool),
    )


async def _warn_of_unknown_tenants(settings: Settings, identity: Identity) -> None:
    """A tenant may be made later, so an issuer may name one that is not there yet; more often it is a slip."""
    known = {tenant.id for tenant in await identity.tenants()}
    for issuer in settings.oidc_issuers:
        if issuer.tenant not in known:
            log.warning("users of %s belong to tenant %s, which does not exist", issuer.issuer, issuer.tenant)


async def _follow(stack: AsyncExitStack, installation: Installation, deps: Deps) -> tuple[asyncio.Task[None], ...]:
    authority = authority_of(deps.settings)
    log_keys = await asyncio.to_thread(open_log_keys, deps.settings, installation.urls, installation.origin)
    await record_keys(deps.ledger, log_keys)
    listener = LogListener(installation.urls.service)
    listener.start()
    stack.push_async_callback(asyncio.to_thread, listener.close)
    sealer = Sealer(
        log_keys,
        deps.settings.data,
        deps.clock,
        checkpoint_seconds=deps.settings.checkpoint_seconds,
        publication=Publication.AT_ONCE if deps.cosigning is None else Publication.AFTER_WITNESSES,
    )
    sealing = Follower(installation.urls.service, SEALER, sealer.step, listener, poll_seconds=SEALER_POLL_SECONDS)
    sealing.start()
    stack.push_async_callback(asyncio.to_thread, sealing.close)
    if deps.cosigning is not None:
        wait_seconds = deps.settings.witness_wait_seconds
        cosigner = await asyncio.to_thread(Cosigner, deps.cosigning.policy, deps.clock, wait_seconds=wait_seconds)
        stack.callback(cosigner.close)
        cosigning = Follower(installation.urls.service, COSIGNER, cosigner.step, listener, poll_seconds=COSIGNER_POLL_SECONDS)
        cosigning.start()
        stack.push_async_callback(asyncio.to_thread, cosigning.close)
    projections = Follower(installation.urls.service, PROJECTIONS, Runner().step, listener)
    projections.start()
    stack.push_async_callback(asyncio.to_thread, projections.close)
    heads = heads_follower(installation, listener, deps.ledger, deps.clock)
    heads.start()
    stack.push_async_callback(asyncio.to_thread, heads.close)
    stop = asyncio.Event()
    invitations = Invitations(
        installation.urls.service,
        listener,
        deps.reads,
        deps.recorder,
        deps.ledger,
        deps.vault,
        deps.invitations,
        mailer(deps.settings),
        deps.clock,
        Sender(deps.settings.base_url, deps.settings.mail_from, installation.origin),
    )
    expiry = Expiry(deps.reads, envelopes.due, deps.ledger, deps.clock)
    repeats = Repeats(deps.reads, deps.clock, timedelta(hours=deps.settings.idempotency_hours))
    execution = executions(installation.urls.service, listener, executor_of(deps), lanes=deps.settings.execution_lanes)
    runs = {"invitations": invitations.run, "expiry": expiry.run, "repeats": repeats.run, "executions": execution.run}
    if authority is not None:
        every = timedelta(seconds=deps.settings.timestamp_seconds)
        stamping = Timestamping(deps.reads, deps.ledger, authority, deps.clock, installation.origin, every)
        runs["timestamps"] = stamping.run
    tasks = tuple(asyncio.create_task(run(stop), name=f"countersign-{name}") for name, run in runs.items())

    async def finish() -> None:
        stop.set()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("a follower had ended before it was stopped: %s", outcome, exc_info=outcome)

    stack.push_async_callback(finish)
    return tasks


def making_of(deps: Deps) -> Making:
    """What makes the files of a completed envelope."""
    return Making(
        reads=deps.reads,
        ledger=deps.ledger,
        vault=deps.vault,
        files=deps.files,
        blobs=deps.blobs,
        seals=deps.seals,
        sealed=deps.sealed,
        identity=deps.identity,
        erasures=erasures.of_streams,
        clock=deps.clock,
        base_url=deps.settings.base_url,
    )


def executor_of(deps: Deps) -> Executor:
    """What executes completed envelopes, as the table of executions says."""
    return Executor(deps.executions, making_of(deps), deps.clock)


def _nowhere(deps: Deps) -> App:
    """Answers requests that no surface owns."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"No surface has the path {scope['path']}. See {deps.settings.base_url}/docs."
        await problem(Request(scope), 404, "not-found", detail)(scope, receive, send)

    return answer
