"""Which checkpoints a bundle is anchored in: with witnesses, with time stamps, without either."""

import io
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from api.evidence import Asked, NotSealed, make_bundle
from domain.faults import Verdict
from domain.findings import Check
from domain.note import cosign_text, parse_note
from domain.policy import Log as PolicyLog
from domain.policy import Policy, format_policy, parse_policy
from infrastructure.bundle_format import Content, read
from infrastructure.cosigning import Cosigning
from infrastructure.database import DatabaseUrls, connect
from infrastructure.evidence import Judgement, Trust, verify
from tests.evidence_stamps import Authority
from tests.evidence_world import policy_file, text_of, witness_key
from tests.integration.sealing import keys_in, seal
from tests.running import Person, Running, Sent, in_loop, running

ANA = Person("Ana Pérez", "ana@example.com")
TSA = Authority()

#: Two of three witnesses are enough.
WITNESSES = parse_policy(policy_file(threshold=2))


class Log:
    """A log that the test has sealed, cosigned and stamped."""

    def __init__(self, run: Running, folder: Path) -> None:
        self.run, self.folder = run, folder
        settings = run.deps.settings.model_copy(update={"evidence_wait_seconds": 0.0})
        self.deps = replace(run.deps, settings=settings, cosigning=Cosigning(WITNESSES, run.deps.reads))

    async def send(self) -> Sent:
        return await self.run.send(ANA)

    def seal(self) -> int:
        with connect(self.run.urls.service) as conn:
            return seal(conn, self.folder)

    def _note(self, size: int) -> bytes:
        with connect(self.run.urls.service) as conn:
            row = conn.execute("SELECT note FROM checkpoints WHERE size = %s", [size]).fetchone()
        assert row is not None
        return bytes(row[0])

    def cosign(self, size: int, *names: str) -> None:
        text, at = parse_note(self._note(size)).text, self.run.clock.now()
        with connect(self.run.urls.service) as conn:
            for name in names:
                line = cosign_text(text, witness_key(name), int(at.timestamp()))
                row = [size, line.name, line.id, str(line), at]
                conn.execute("INSERT INTO cosignatures (size, key_name, key_id, line, at) VALUES (%s, %s, %s, %s, %s)", row)

    def stamp(self, size: int, time: datetime) -> None:
        token = TSA.stamp(text_of(self._note(size)), time)
        row = [size, "https://tsa.example", token, time, time + timedelta(days=300), time]
        with connect(self.run.urls.service) as conn:
            conn.execute("INSERT INTO timestamps VALUES (%s, %s, %s, %s, %s, %s)", row)

    async def bundle(self, sent: Sent) -> tuple[Content, Judgement]:
        """The bundle of an envelope, and what a verifier says of it that believes the same witnesses and the authority."""
        file = io.BytesIO()
        (await make_bundle(self.deps, Asked(sent.id))).write(file)
        logs = tuple(PolicyLog(key.key) for key in keys_in(self.folder).signing())
        policy = format_policy(Policy(logs, WITNESSES.witnesses, WITNESSES.groups, WITNESSES.quorum))
        return read(file), verify(file, Trust(policy, (TSA.root,)))


def verdict(judged: Judgement, check: Check) -> Verdict:
    return next(finding.verdict for finding in judged.findings if finding.check is check)


def size_of(content: Content) -> int:
    return int(parse_note(content.checkpoint).text.split("\n")[1])


@in_loop
async def test_before_the_first_checkpoint_and_beyond_the_last_there_is_no_bundle(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run:
        log = Log(run, tmp_path)
        first = await log.send()
        with pytest.raises(NotSealed) as none:
            await log.bundle(first)
        assert none.value.size == 0
        size = log.seal()
        second = await log.send()
        with pytest.raises(NotSealed) as behind:
            await log.bundle(second)
        assert (behind.value.size, behind.value.position) == (size, await run.head())
        content, judged = await log.bundle(first)
        assert (size_of(content), content.earlier, content.heads, content.timestamps) == (size, {}, None, {})
        assert verdict(judged, Check.COMPLETENESS) is verdict(judged, Check.QUORUM) is Verdict.INDETERMINATE


@in_loop
async def test_the_newest_checkpoint_with_a_quorum_that_covers_the_process_is_preferred(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as run:
        log = Log(run, tmp_path)
        first = await log.send()
        sizes = [log.seal()]
        for _ in range(3):
            await log.send()
            sizes.append(log.seal())
        log.cosign(sizes[0], "alice", "bob")
        log.cosign(sizes[1], "alice", "carol")
        log.cosign(sizes[2], "alice")
        content, judged = await log.bundle(first)
        assert (size_of(content), [*content.earlier]) == (sizes[1], [])
        assert verdict(judged, Check.QUORUM) is Verdict.VALID
        last = await log.send()
        sizes.append(log.seal())
        content, judged = await log.bundle(last)
        assert (size_of(content), [*content.earlier]) == (sizes[-1], [sizes[1]])
        assert (verdict(judged, Check.CHECKPOINT), verdict(judged, Check.QUORUM)) == (Verdict.VALID, Verdict.INDETERMINATE)


@in_loop
async def test_the_earliest_time_stamp_that_covers_the_process_comes_with_its_checkpoint(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as run:
        log = Log(run, tmp_path)
        await log.send()
        before = log.seal()
        sent = await log.send()
        sizes = [log.seal()]
        await log.send()
        sizes.append(log.seal())
        later = run.clock.now() + timedelta(minutes=1)
        log.stamp(before, later - timedelta(minutes=2))
        content, judged = await log.bundle(sent)
        assert ([*content.timestamps], [*content.earlier]) == ([before], [before])
        assert verdict(judged, Check.TIME) is Verdict.INDETERMINATE
        log.stamp(sizes[1], later + timedelta(hours=1))
        log.stamp(sizes[0], later)
        content, judged = await log.bundle(sent)
        assert (size_of(content), [*content.timestamps], [*content.earlier]) == (sizes[1], [sizes[0]], [sizes[0]])
        assert (verdict(judged, Check.TIME), verdict(judged, Check.CHECKPOINT)) == (Verdict.VALID, Verdict.VALID)
        assert f"{later:%Y-%m-%d %H:%M:%S}" in content.texts.report_text.decode()
