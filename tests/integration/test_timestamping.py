"""Checkpoints are stamped when there is news and on demand; what an authority gave, or failed to give, stands in the log."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from psycopg import errors
from typer.testing import CliRunner

from api.app import running as running_app
from api.cli import app
from domain.entry import Entry, decode, format_time
from domain.note import parse_note
from domain.sealing import ledger_stream
from infrastructure.append import RecorderUnavailable
from infrastructure.database import DatabaseUrls, connect
from infrastructure.installation import Installation, InstallationError
from infrastructure.ledger import Ledger
from infrastructure.settings import Settings, SettingsError
from infrastructure.timestamping import FIRST_PAUSE, NothingToStamp, Timestamping, authority_of
from infrastructure.trusted_time import Authority, Reason, TimeStampRefused, verify_token
from tests.conftest import ORIGIN
from tests.integration.sealing import seal
from tests.integration.test_cli_directory import failed
from tests.integration.test_invitations import FaultyLedger, until
from tests.integration.timestamp_authority import (
    Holder,
    Responder,
    TimeStampAuthority,
    faithful,
    issue,
    require_openssl,
    responding,
)
from tests.running import KEYS, Person, Running, in_loop, running

ANA = Person("Ana", "ana@example.com")
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def seal_all(urls: DatabaseUrls, folder: Path) -> int:
    """Signs a checkpoint of all there is; answers its size."""
    with connect(urls.service) as conn:
        return seal(conn, folder)


@dataclass(frozen=True, slots=True)
class Stamping:
    """A ledger, a responder, and what has one stamped by the other."""

    run: Running
    folder: Path
    responder: Responder
    client: Authority

    def timestamping(self, *, ledger: Ledger | None = None) -> Timestamping:
        deps = self.run.deps
        return Timestamping(deps.reads, ledger or deps.ledger, self.client, self.run.clock, ORIGIN, HOUR, poll_seconds=0.02)

    async def news(self) -> int:
        """Something happens and is sealed; answers the checkpoint's size."""
        await self.run.send(ANA)
        return await self.seal()

    async def seal(self) -> int:
        return await asyncio.to_thread(seal_all, self.run.urls, self.folder)

    async def recorded(self) -> list[Entry]:
        """The ledger's own entries of time stamps."""
        entries = await self.run.deps.recorder.read_stream(ledger_stream(ORIGIN))
        return [decode(entry.raw) for entry in entries if entry.type.startswith("ledger.time-stamp")]


@pytest.fixture(scope="module")
def root() -> Holder:
    require_openssl()
    return issue("Root", ca=True)


@pytest.fixture(scope="module")
def authority(root: Holder, tmp_path_factory: pytest.TempPathFactory) -> TimeStampAuthority:
    return TimeStampAuthority(tmp_path_factory.mktemp("authority") / "first", issue("Authority", root))


@asynccontextmanager
async def stamping(database: DatabaseUrls, folder: Path, authority: TimeStampAuthority, root: Holder) -> AsyncIterator[Stamping]:
    async with running(database, folder) as run:
        with responding(faithful(authority)) as responder:
            yield Stamping(run, folder, responder, Authority(responder.url, (root.certificate,), 5))


@in_loop
async def test_news_is_stamped_once_in_an_interval_and_the_ledgers_own_entries_are_no_news(
    database: DatabaseUrls, tmp_path: Path, authority: TimeStampAuthority, root: Holder
) -> None:
    async with stamping(database, tmp_path, authority, root) as world:
        run, due = world.run, world.timestamping().stamp_if_due
        timestamps = run.deps.timestamps
        assert await due() is None, "an empty log"
        assert await timestamps.newest() is None
        size = await world.news()
        kept = await due()
        assert kept is not None
        assert (kept.size, kept.authority) == (size, world.responder.url)

        checkpoint = await run.deps.sealed.at(size)
        assert checkpoint is not None
        text = parse_note(checkpoint.note).text.encode()
        verified = verify_token(kept.token, sha256(text).digest(), (root.certificate,))
        assert (verified.time, verified.certificate_ends) == (kept.time, kept.certificate_ends)
        (entry,) = await world.recorded()
        assert entry.by == {"kind": "follower", "id": "timestamps"}
        assert entry.data == {
            "size": size,
            "root": checkpoint.root.hex(),
            "authority": world.responder.url,
            "token": sha256(kept.token).hexdigest(),
            "time": format_time(kept.time),
        }

        assert await due() is None
        assert await world.seal() == size + 1
        run.clock.offset += 2 * HOUR
        assert await due() is None, "nothing but the time stamp has happened"
        later = await world.news()
        assert await timestamps.newest() == kept
        again = await due()
        assert again is not None
        assert again.size == later
        await world.news()
        run.clock.offset += HOUR - 5 * SECOND
        assert await due() is None, "not for an interval"
        assert len(world.responder.queries) == 2

        assert await timestamps.tokens([size, later, 99]) == (kept, again)
        assert await timestamps.newest() == again
        assert await timestamps.earliest_covering(size) == kept
        assert await timestamps.earliest_covering(size + 1) == again
        assert await timestamps.earliest_covering(later + 1) is None


@in_loop
async def test_an_authority_that_fails_is_an_entry_and_is_left_alone_for_longer_each_time(
    database: DatabaseUrls, tmp_path: Path, authority: TimeStampAuthority, root: Holder
) -> None:
    async with stamping(database, tmp_path, authority, root) as world:
        run, responder = world.run, world.responder
        size = await world.news()
        responder.behaviour = lambda query: (500, iter(()))

        async def due() -> object:
            """Asked as by a process that has just started."""
            return await world.timestamping().stamp_if_due()

        pauses = [FIRST_PAUSE * 2**n for n in range(6)] + [HOUR, HOUR]
        for asked, pause in enumerate(pauses, 1):
            with pytest.raises(TimeStampRefused) as refusal:
                await due()
            assert refusal.value.reason is Reason.UNREACHABLE
            run.clock.offset += pause - 2 * SECOND
            assert await due() is None
            assert len(responder.queries) == asked
            run.clock.offset += 2 * SECOND
        (entry,) = await world.recorded()  # the same fault of the same checkpoint is said once
        assert entry.type == "ledger.time-stamp-failed/1"
        assert entry.data == {"size": size, "authority": responder.url, "reason": "unreachable"}

        other = TimeStampAuthority(tmp_path / "other", issue("Authority", issue("Root", ca=True)))
        for behaviour in (
            lambda query: (200, iter((b"\x30\x05\x30\x03\x02\x01\x02",))),
            lambda query: (200, iter((b"none",))),
            faithful(other),
        ):
            responder.behaviour = behaviour
            with pytest.raises(TimeStampRefused):
                await due()
            run.clock.offset += HOUR
        reasons = [entry.data["reason"] for entry in await world.recorded()]
        assert reasons == ["unreachable", "refused", "malformed", "untrusted"]
        assert await run.deps.timestamps.newest() is None, "no time but an authority's"

        responder.behaviour = faithful(authority)
        assert await due() is not None
        await world.news()
        run.clock.offset += HOUR
        responder.behaviour = lambda query: (500, iter(()))
        with pytest.raises(TimeStampRefused):
            await due()
        run.clock.offset += FIRST_PAUSE
        with pytest.raises(TimeStampRefused):  # pauses begin anew
            await due()


@pytest.mark.parametrize("when", ["before", "after"])
@in_loop
async def test_a_token_that_was_kept_gets_its_entry_after_a_crash_and_only_one(
    database: DatabaseUrls, tmp_path: Path, authority: TimeStampAuthority, root: Holder, when: str
) -> None:
    async with stamping(database, tmp_path, authority, root) as world:
        size = await world.news()
        faulty = FaultyLedger(world.run, [(when, RecorderUnavailable("lost"))])
        with pytest.raises(RecorderUnavailable):
            await world.timestamping(ledger=faulty).stamp_if_due()
        kept = await world.run.deps.timestamps.newest()
        assert kept is not None
        assert len(await world.recorded()) == (when == "after")

        stop = asyncio.Event()
        following = asyncio.create_task(world.timestamping().run(stop))
        await until(world.recorded)
        await world.timestamping().recover()
        assert (await world.timestamping().stamp_now()).token == kept.token
        stop.set()
        await following
        (entry,) = await world.recorded()
        assert (entry.data["size"], entry.data["token"]) == (size, kept.token_sha256)
        assert len(world.responder.queries) == 1


@in_loop
async def test_nobody_is_asked_again_before_a_kept_token_has_its_entry(
    database: DatabaseUrls, tmp_path: Path, authority: TimeStampAuthority, root: Holder
) -> None:
    async with stamping(database, tmp_path, authority, root) as world:
        sizes = [await world.news()]
        faulty = FaultyLedger(world.run, [("before", RecorderUnavailable("lost"))] * 2)
        stamps = world.timestamping(ledger=faulty)
        for _ in range(2):
            with pytest.raises(RecorderUnavailable):
                await stamps.stamp_now()
            sizes.append(await world.news())
        assert len(world.responder.queries) == 1
        assert (await stamps.stamp_now()).size == sizes[2]
        assert [entry.data["size"] for entry in await world.recorded()] == [sizes[0], sizes[2]]


@in_loop
async def test_of_several_processes_one_asks(
    database: DatabaseUrls, tmp_path: Path, authority: TimeStampAuthority, root: Holder
) -> None:
    async with stamping(database, tmp_path, authority, root) as world, running(database, tmp_path) as elsewhere:
        other = replace(world, run=elsewhere)
        await world.news()
        asked = [one.timestamping().stamp_if_due() for one in (world, other) for _ in range(3)]
        asked += [one.timestamping().stamp_now() for one in (world, other)]
        found = [token for token in await asyncio.gather(*asked) if token is not None]
        assert len(found) >= 2
        assert len({token.token for token in found}) == len(world.responder.queries) == len(await world.recorded()) == 1


@in_loop
async def test_before_a_certificate_ends_what_it_vouches_for_is_covered_by_the_next(
    database: DatabaseUrls, tmp_path: Path, authority: TimeStampAuthority, root: Holder
) -> None:
    async with stamping(database, tmp_path, authority, root) as world:
        run, due = world.run, world.timestamping().stamp_if_due
        await world.news()
        soon = run.clock.now() + timedelta(days=10)
        world.responder.behaviour = faithful(TimeStampAuthority(tmp_path / "old", issue("Old", root, ends=soon)))
        old = await due()
        assert old is not None
        own = await world.seal()
        run.clock.offset += timedelta(days=9) - HOUR
        assert await due() is None
        run.clock.offset += 2 * HOUR
        world.responder.behaviour = faithful(authority)
        new = await due()
        assert new is not None
        assert new.size == own > old.size, "the entry with the old token's hash is under the new token"
        assert new.certificate_ends > old.certificate_ends
        await world.seal()
        run.clock.offset += timedelta(days=9)
        assert await due() is None


@in_loop
async def test_a_token_on_demand_waits_for_nothing(
    database: DatabaseUrls, tmp_path: Path, authority: TimeStampAuthority, root: Holder
) -> None:
    async with stamping(database, tmp_path, authority, root) as world:
        stamps = world.timestamping()
        with pytest.raises(NothingToStamp):
            await stamps.stamp_now()
        await world.news()
        first = await stamps.stamp_now()
        assert await stamps.stamp_now() == first
        own = await world.seal()
        assert (await stamps.stamp_now()).size == own
        with responding(faithful(authority)) as second:
            elsewhere = replace(world, client=Authority(second.url, (root.certificate,), 5))
            assert (await elsewhere.timestamping().stamp_now()).size == own
            assert [token.authority for token in await world.run.deps.timestamps.tokens([own])] == sorted(
                (world.responder.url, second.url)
            )
            newest = await world.run.deps.timestamps.newest()
            assert newest is not None
            assert newest.authority == second.url
        assert len(await world.recorded()) == 3
        await world.news()
        lost = RecorderUnavailable("lost")
        faulty = FaultyLedger(
            world.run, [("never", lost), ("before", lost)]
        )  # the first is the last token's entry, which is there
        with pytest.raises(RecorderUnavailable):
            await world.timestamping(ledger=faulty).stamp_now()
        assert len(await world.recorded()) == 3
        kept = await stamps.stamp_now()
        assert len(world.responder.queries) == 3
        assert [entry.data["token"] for entry in await world.recorded()][3:] == [kept.token_sha256]


CHANGES = (
    "UPDATE timestamps SET token = 'x'",
    "DELETE FROM timestamps",
    "TRUNCATE timestamps",
    "UPDATE timestamps SET size = 1 WHERE false",
)


def test_kept_tokens_cannot_be_changed(database: DatabaseUrls) -> None:
    for change in CHANGES:
        with connect(database.owner) as conn, pytest.raises(errors.RestrictViolation, match="timestamps is append-only"):
            conn.execute(change.encode())
        with connect(database.service) as conn, pytest.raises(errors.InsufficientPrivilege):
            conn.execute(change.encode())


@pytest.fixture
def trusted(root: Holder, tmp_path: Path) -> Path:
    path = tmp_path / "trusted.pem"
    path.write_bytes(root.certificate.public_bytes(Encoding.PEM))
    return path


def test_an_authority_without_certificates_to_trust_is_no_authority(tmp_path: Path) -> None:
    pem = str(tmp_path / "none.pem")
    for wrong, why in (
        ({"COUNTERSIGN_TSA_URL": "https://tsa.example"}, "needs COUNTERSIGN_TSA_CERTIFICATES"),
        ({"COUNTERSIGN_TSA_URL": "https://me:pw@tsa.example", "COUNTERSIGN_TSA_CERTIFICATES": pem}, "without a user"),
        ({"COUNTERSIGN_TSA_URL": "ftp://tsa.example", "COUNTERSIGN_TSA_CERTIFICATES": pem}, "not of the form"),
    ):
        with pytest.raises(SettingsError, match=f"COUNTERSIGN_TSA_URL: .*{why}"):
            Settings.read(wrong)
    assert authority_of(Settings.read({"COUNTERSIGN_TSA_CERTIFICATES": pem})) is None
    configured = Settings.read({"COUNTERSIGN_TSA_URL": "https://tsa.example", "COUNTERSIGN_TSA_CERTIFICATES": pem})
    with pytest.raises(InstallationError, match=r"COUNTERSIGN_TSA_CERTIFICATES: .*none\.pem cannot be read"):
        authority_of(configured)


@pytest.fixture
def responder(authority: TimeStampAuthority) -> Iterator[Responder]:
    with responding(faithful(authority)) as responder:
        yield responder


def test_the_command_stamps_and_says_what_came_of_it(
    database: DatabaseUrls, tmp_path: Path, trusted: Path, responder: Responder
) -> None:
    async def news() -> int:
        async with running(database, tmp_path) as run:
            await run.send(ANA)
            return await asyncio.to_thread(seal_all, run.urls, tmp_path)

    plain = {"DATABASE_URL": database.owner, "COUNTERSIGN_DATA": str(tmp_path), "COUNTERSIGN_ORIGIN": ORIGIN}
    plain |= {"COUNTERSIGN_SECRET_KEY": b64encode(b"s" * 32).decode(), "COUNTERSIGN_MASTER_KEY": b64encode(b"m" * 32).decode()}
    named = plain | {"COUNTERSIGN_TSA_URL": responder.url, "COUNTERSIGN_TSA_CERTIFICATES": str(trusted)}

    def command(settings: dict[str, str]) -> Any:
        return CliRunner().invoke(app, ["timestamp"], env=settings)

    assert "set COUNTERSIGN_TSA_URL and COUNTERSIGN_TSA_CERTIFICATES" in failed(command(plain))
    assert "No checkpoint" in failed(command(named))
    size = asyncio.run(news())
    done = command(named)
    assert done.exit_code == 0, done.output
    assert f"Entries 1 to {size} existed at 20" in done.stderr
    assert "(policy)" in failed(
        command(named | {"COUNTERSIGN_TSA_POLICY": "1.2.3.4.2", "COUNTERSIGN_TSA_URL": responder.url + "/"})
    )
    with connect(database.service) as conn:
        kinds = conn.execute("SELECT type FROM log WHERE type LIKE 'ledger.time%' ORDER BY position").fetchall()
    assert [kind for (kind,) in kinds] == ["ledger.time-stamped/1", "ledger.time-stamp-failed/1"]


@in_loop
async def test_a_running_installation_stamps_by_itself(
    database: DatabaseUrls, tmp_path: Path, trusted: Path, responder: Responder
) -> None:
    async with running(database, tmp_path) as before:
        await before.send(ANA)
        await asyncio.to_thread(seal_all, database, tmp_path)
    named = {"tsa_url": responder.url, "tsa_certificates": trusted, "tsa_policy": "1.2.3.4.1"}
    settings = Settings.model_validate({"data": tmp_path, "database_url": database.owner, "rate_limits": "off", **named})
    async with running_app(Installation(settings, database, KEYS, ORIGIN, None)) as parts:
        await until(parts.deps.timestamps.newest)
        await until(lambda: _stamped(database))


def _stamped(database: DatabaseUrls) -> Sequence[object]:
    with connect(database.service) as conn:
        return conn.execute("SELECT FROM log WHERE type = 'ledger.time-stamped/1'").fetchall()
