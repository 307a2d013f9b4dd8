"""`countersign keys`, from the first key over a rotation to what an auditor keeps."""

from base64 import b64encode
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from domain.note import VerifierKey, parse_verifier_key
from domain.policy import parse_policy
from infrastructure import log_keys
from infrastructure.database import DatabaseUrls, connect
from infrastructure.following import Connection
from infrastructure.log_keys import LogKeys
from infrastructure.settings import Settings
from infrastructure.signing_keys import from_text
from tests.conftest import ORIGIN
from tests.integration.sealing import seal
from tests.integration.test_cli_directory import Run, failed, told


@pytest.fixture
def settings(database: DatabaseUrls, tmp_path: Path) -> dict[str, str | None]:
    keys = {"COUNTERSIGN_SECRET_KEY": b"s" * 32, "COUNTERSIGN_MASTER_KEY": b"m" * 32}
    return {
        **{name: b64encode(key).decode() for name, key in keys.items()},
        "DATABASE_URL": database.owner,
        "COUNTERSIGN_DATA": str(tmp_path),
        "COUNTERSIGN_ORIGIN": ORIGIN,
        "COUNTERSIGN_BASE_URL": "https://sign.example",
    }


@pytest.fixture
def run(settings: dict[str, str | None]) -> Run:
    return lambda *words: CliRunner().invoke(app, words, env=settings)


def facts(database: DatabaseUrls) -> list[str]:
    with connect(database.owner) as conn:
        return [type for (type,) in conn.execute("SELECT type FROM log ORDER BY position")]


def test_keys_are_rotated_and_retired_and_the_ledger_says_so(run: Run, database: DatabaseUrls, tmp_path: Path) -> None:
    ((old, state, _),) = [line.split("\t") for line in told(run("keys", "list")).splitlines()]
    assert state == "signs"
    assert (tmp_path / "log-1.key").stat().st_mode & 0o777 == 0o600
    assert "only key" in failed(run("keys", "retire", old))
    new = parse_verifier_key(told(run("keys", "rotate")).splitlines()[0])
    told(run("keys", "retire", old))
    assert not (tmp_path / "log-1.key").exists()
    assert "No key 00000000" in failed(run("keys", "retire", "00000000"))
    rows = {line.split("\t")[0]: line.split("\t")[1] for line in told(run("keys", "list")).splitlines()}
    assert rows == {old: "retired", new.id.hex(): "signs"}
    assert facts(database) == ["ledger.key-added/1", "ledger.key-added/1", "ledger.key-retired/1"]
    policy = told(run("keys", "policy"))
    (log,) = parse_policy(policy.encode()).logs
    assert (log.key, log.url) == (new, "https://sign.example/ledger")
    assert f"log {ORIGIN}+{old}+" in policy.splitlines()[0]


def test_keys_of_the_setting_are_used_instead_of_files(
    run: Run, settings: dict[str, str | None], database: DatabaseUrls, tmp_path: Path
) -> None:
    told(run("keys", "list"))
    one = (tmp_path / "log-1.key").read_text()
    settings["COUNTERSIGN_LOG_KEYS"] = one
    two = told(run("keys", "rotate")).splitlines()[0]
    settings["COUNTERSIGN_LOG_KEYS"] = f"{one} {two}"
    listed = told(run("keys", "list"))
    assert [str(from_text(text, "test").key) in listed for text in (one, two)] == [True, True]
    old = from_text(one, "test").key.id.hex()
    assert "Take the key out" in failed(run("keys", "retire", old))
    settings["COUNTERSIGN_LOG_KEYS"] = "PRIVATE+KEY+nothing"
    assert "holds no signing key" in failed(run("keys", "list"))


def test_a_ledger_whose_key_is_lost_gets_no_new_one(run: Run, database: DatabaseUrls, tmp_path: Path) -> None:
    told(run("keys", "rotate"))
    with connect(database.service) as conn:
        seal(conn, tmp_path)
    for file in tmp_path.glob("log-*.key"):
        file.unlink()
    assert "restore" in failed(run("keys", "list"))
    assert not list(tmp_path.glob("log-*"))


def test_processes_that_start_at_once_have_one_first_key(
    settings: dict[str, str | None], database: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(url: str) -> Connection:
        made.append(LogKeys(ORIGIN, tmp_path).add().key)
        return connect(url)

    made: list[VerifierKey] = []
    monkeypatch.setattr(log_keys, "connect", meanwhile)
    given = {name: value for name, value in settings.items() if value is not None}
    opened = log_keys.open_log_keys(Settings.read(given), database, ORIGIN)
    assert [each.key for each in opened.signing()] == made


def test_somebody_lets_the_sealer_look_again(run: Run, database: DatabaseUrls) -> None:
    with connect(database.owner) as conn:
        conn.execute("UPDATE sealing SET alarm = 'because', alarm_at = now()")
        told(run("keys", "resume"))
        assert conn.execute("SELECT alarm FROM sealing").fetchone() == (None,)
