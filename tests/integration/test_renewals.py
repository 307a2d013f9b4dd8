"""`countersign renew`: the files of envelopes get time stamps, once, and what was there before stays what it was."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner, Result

from api.cli_renew import app as renewing
from api.cli_verify import app as verifying
from domain.entry import decode
from domain.envelope import Envelope, SealRenewed
from domain.seal import Profile
from infrastructure.clock import SystemClock
from infrastructure.codec import decode_fact
from infrastructure.pdf_seal.verification import verify_seal
from tests.conftest import Server
from tests.contract.filed_envelopes import Filed, file
from tests.contract.partner_world import World, projecting, start
from tests.integration.timestamp_authority import require_openssl
from tests.seal_world import SealWorld, seal_world


@dataclass(frozen=True)
class Scene:
    """A server whose files have no time stamps, and an authority that a command may be given."""

    world: World
    seals: SealWorld
    filed: Filed
    environment: dict[str, str]

    def renew(self, *arguments: str, **changes: str | None) -> Result:
        return CliRunner().invoke(renewing, arguments, env={**self.environment, **changes})

    def state(self) -> Envelope:
        found = self.world.run(self.world.deps.ledger.state(Envelope, self.filed.envelope))
        assert found is not None
        return found

    def files(self) -> list[bytes]:
        """The executed document and the certificate as they are now."""
        state = self.state()
        found = [self.world.run(self.world.deps.blobs.get(name or "")) for name in (*state.executed.values(), state.certificate)]
        return [each for each in found if each is not None]


@pytest.fixture(scope="module")
def scene(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    require_openssl()
    folder, name = tmp_path_factory.mktemp("renewals"), f"renewals_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with ExitStack() as stack:
        seals = stack.enter_context(seal_world(tmp_path_factory.mktemp("authority")))
        world = stack.enter_context(start(urls, folder))
        stack.enter_context(projecting(urls))
        (folder / "times.pem").write_bytes(seals.time_root.certificate.public_bytes(Encoding.PEM))
        environment = {
            "DATABASE_URL": urls.service,
            "COUNTERSIGN_DATA": str(folder),
            "COUNTERSIGN_SECRET_KEY": b64encode(b"s" * 32).decode(),
            "COUNTERSIGN_MASTER_KEY": b64encode(b"m" * 32).decode(),
            "COUNTERSIGN_TSA_URL": seals.responder.url,
            "COUNTERSIGN_TSA_CERTIFICATES": str(folder / "times.pem"),
        }
        yield Scene(world, seals, file(world.tenant(), "Renewed"), environment)
    server.drop(name)


def test_what_to_renew_must_be_said_and_an_authority_given(scene: Scene) -> None:
    assert scene.renew().exit_code == 1
    assert scene.renew("--all", "--before", "2030-01-01").exit_code == 1
    without = scene.renew("--all", COUNTERSIGN_TSA_URL=None, COUNTERSIGN_TSA_CERTIFICATES=None)
    assert (without.exit_code, "No time-stamping authority is configured" in without.stderr) == (1, True)
    unknown = scene.renew("--envelope", str(uuid4()))
    assert (unknown.exit_code, "There is no file that was made for the envelope" in unknown.stderr) == (1, True)


def test_files_without_a_time_stamp_get_one_and_a_second_run_renews_nothing(scene: Scene, tmp_path: Path) -> None:
    before = scene.files()
    early = scene.renew("--before", "2027-01-01")  # the development certificate lasts longer
    assert (early.exit_code, "2 files: 0 renewed, 2 gain nothing, 0 failed." in early.stderr) == (0, True), early.output
    dry = scene.renew("--all", "--dry-run")
    assert (dry.exit_code, len(dry.stdout.splitlines()), scene.files()) == (0, 2, before)
    assert "2 files: 2 to renew" in dry.stderr
    done = scene.renew("--all")
    assert (done.exit_code, "2 files: 2 renewed, 0 gain nothing, 0 failed." in done.stderr) == (0, True), done.output
    after = scene.files()
    assert all(new.startswith(old) and len(new) > len(old) for old, new in zip(before, after, strict=True))
    again = scene.renew("--envelope", str(scene.filed.envelope))
    assert ("2 files: 0 renewed, 2 gain nothing, 0 failed." in again.stderr, scene.files()) == (True, after)
    facts = [decode(each.raw) for each in scene.world.run(scene.world.deps.recorder.read_stream(scene.filed.envelope))]
    renewed = [decode_fact(each.type, each.data, each.personal) for each in facts if each.type == SealRenewed.TYPE]
    assert len(renewed) == 2
    anchors = scene.world.deps.seals.anchors, (scene.seals.time_root.certificate,)
    for pdf in after:
        found = scene.world.run(verify_seal(pdf, *anchors, SystemClock().now()))
        assert (found.verdict, found.profile, len(found.archived)) == ("passed", Profile.B_T, 1)
    for pdf, superseded in ((before[0], True), (after[0], False)):
        path = tmp_path / "file.pdf"
        path.write_bytes(pdf)
        shown = CliRunner().invoke(verifying, ["verify", str(path)], env=scene.environment)
        assert "checkpoint" in shown.stdout
        assert (shown.exit_code, "a later form, with a newer time stamp" in shown.stdout) == (
            2,
            superseded,
        )  # nothing signs checkpoints


def test_a_file_that_is_not_there_fails_alone(scene: Scene) -> None:
    name = scene.state().certificate
    assert name is not None
    (stored,) = scene.world.deps.settings.data.rglob(name[2:])
    stored.unlink()
    told = scene.renew("--all")
    assert (told.exit_code, "2 files: 0 renewed, 1 gain nothing, 1 failed" in told.stderr) == (1, True), told.output
    assert f"the file {name} of the envelope {scene.filed.envelope}: it is not in the store" in told.stderr
