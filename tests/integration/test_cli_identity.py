"""The commands about who may act, run as a person runs them, on a real database."""

import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import jwt
import pytest
from typer.testing import CliRunner, Result

from api.cli_identity import app
from infrastructure.database import DatabaseUrls, connect
from infrastructure.issuer import USER_AUDIENCE
from infrastructure.secrets import token_hash

Run = Callable[..., Result]


@pytest.fixture
def run(database: DatabaseUrls, tmp_path: Path) -> Run:
    settings = {"DATABASE_URL": database.owner, "COUNTERSIGN_DATA": str(tmp_path)}
    return lambda *words: CliRunner().invoke(app, words, env=settings)


def told(result: Result) -> str:
    """What a command that succeeded printed for a script."""
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def failed(result: Result) -> str:
    """What a command that failed told the person."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    return result.stderr


def test_a_first_tenant_needs_no_naming_and_a_second_does(run: Run) -> None:
    assert "no tenant yet" in failed(run("token", "--admin"))
    first = told(run("tenant", "create", "Ana's shop"))
    assert UUID(first).version == 7
    assert told(run("token", "--admin")).count(".") == 2
    second = told(run("tenant", "create", "Bob"))
    assert "--tenant" in failed(run("token", "--admin"))
    assert told(run("token", "--admin", "--tenant", second, "--lifetime", "7d")).count(".") == 2
    assert "no tenant" in failed(run("token", "--admin", "--tenant", str(uuid4())))
    rows = [line.split("\t") for line in told(run("tenant", "list")).splitlines()]
    assert [(row[0], row[1], row[3]) for row in rows] == [(first, "Ana's shop", "unlimited"), (second, "Bob", "unlimited")]


@pytest.mark.parametrize("name", ["", "  ", " Ana", "Ana\nBcc: bob@example.com", "x" * 201, "Ana\udcff"])
def test_a_tenant_name_that_cannot_stand_in_an_invitation_is_refused(run: Run, name: str) -> None:
    assert "one line of 1 to 200 characters" in failed(run("tenant", "create", name))
    assert told(run("tenant", "list")) == ""


@pytest.mark.parametrize("lifetime", ["", "1", "0h", "-1h", "1w", "31d", "999999999d", "1.5h", "h"])
def test_a_lifetime_that_makes_no_sense_is_refused(run: Run, lifetime: str) -> None:
    told(run("tenant", "create", "Ana"))
    assert "at most 30d" in failed(run("token", "--admin", "--lifetime", lifetime))


def test_a_credential_is_shown_once_replaced_and_revoked(run: Run, database: DatabaseUrls) -> None:
    told(run("tenant", "create", "Ana"))
    first = run("credential", "create")
    assert told(first).startswith("sk_live_partner_")
    assert "cannot be shown again" in first.stderr
    second = run("credential", "create", "--method", "HMAC")
    assert "Replacing pk_" in second.stderr
    organization = told(run("credential", "create", "--kind", "organization", "--mode", "test"))
    assert organization.startswith("sk_test_")
    rows = [line.split("\t") for line in told(run("credential", "list")).splitlines()]
    assert [(row[2], row[3], row[4], row[5]) for row in rows] == [
        ("partner", "KEY", "live", "REVOKED"),
        ("partner", "HMAC", "live", "ACTIVE"),
        ("organization", "KEY", "test", "ACTIVE"),
    ]
    assert "sk_" not in told(run("credential", "list"))
    told(run("credential", "revoke", rows[2][0]))
    assert "no active credential" in failed(run("credential", "revoke", rows[2][0]))
    with connect(database.service) as connection:
        found = connection.execute(
            "SELECT status FROM credentials WHERE secret_hash = %s", (bytes.fromhex(token_hash(organization)),)
        )
        assert found.fetchone() == ("REVOKED",)


def test_a_project_has_keys_of_both_modes(run: Run) -> None:
    told(run("tenant", "create", "Ana"))
    live = told(run("credential", "create", "--kind", "project"))
    test = told(run("credential", "create", "--kind", "project", "--mode", "test"))
    assert live.startswith("ck_live_")
    assert test.startswith("ck_test_")
    rows = [line.split("\t") for line in told(run("credential", "list")).splitlines()]
    assert [(row[0][:3], row[2], row[4], row[5]) for row in rows] == [
        ("pj_", "project", "live", "ACTIVE"),
        ("pj_", "project", "test", "ACTIVE"),
    ]
    assert "Revoked" in run("credential", "revoke", rows[1][0]).stderr
    assert "no active credential" in failed(run("credential", "revoke", rows[1][0]))
    assert "is live" in failed(run("credential", "create", "--kind", "partner", "--mode", "test"))


def test_a_users_token_says_who_they_are_and_that_they_sign_in_now(run: Run) -> None:
    tenant = told(run("tenant", "create", "Ana"))
    words = ("--email", "ana@example.com", "--name", "Ana Lima", "--mode", "test", "--lifetime", "2h")
    result = run("token", "--user", "ana", "--role", "signer", *words)
    claims = jwt.decode(told(result), options={"verify_signature": False})
    assert result.stderr == ""
    assert (claims["sub"], claims["email"], claims["name"], claims["mode"]) == ("ana", "ana@example.com", "Ana Lima", "test")
    assert (claims["tenant"], claims["aud"], claims["exp"] - claims["iat"]) == (tenant, USER_AUDIENCE, 7200)
    assert 0 <= time.time() - claims["auth_time"] < 60


@pytest.mark.parametrize(("role", "told_of"), [("manager", "appointed manager"), ("admin", "appointed administrator")])
def test_a_token_for_a_role_puts_it_into_the_directory_once(run: Run, role: str, told_of: str) -> None:
    told(run("tenant", "create", "Ana"))
    first = run("token", "--user", "ana", "--role", role)
    assert told(first).count(".") == 2
    assert told_of in first.stderr
    again = run("token", "--user", "ana", "--role", role)
    assert told(again).count(".") == 2
    assert again.stderr == ""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "either --admin or --user"),
        (("--admin", "--user", "ana"), "either --admin or --user"),
        (("--admin", "--email", "ana@example.com"), "are a user's"),
        (("--user", "ana", "--role", "signer"), "give --email"),
        (("--user", ""), "No token was made: a user is named by"),
        (("--user", "ana\n"), "No token was made: a user is named by"),
        (("--user", "ana", "--email", "nobody"), "No token was made: the e-mail address"),
        (("--user", "ana", "--name", "two\nlines"), "No token was made: a name"),
    ],
    ids=str,
)
def test_a_token_that_makes_no_sense_is_not_made(run: Run, words: tuple[str, ...], reason: str) -> None:
    told(run("tenant", "create", "Ana"))
    assert reason in failed(run("token", *words))


def test_credits_are_shown_set_added_and_lifted(run: Run) -> None:
    told(run("tenant", "create", "Ana"))
    assert told(run("credits")) == "unlimited"
    assert "--set" in failed(run("credits", "--add", "5"))
    assert told(run("credits", "--set", "5")) == "5"
    assert told(run("credits", "--add", "-2")) == "3"
    assert "Nothing was changed" in failed(run("credits", "--add", "-4"))
    assert "one of" in failed(run("credits", "--set", "5", "--unlimited"))
    assert told(run("credits")) == "3"
    assert told(run("credits", "--unlimited")) == "unlimited"


def test_a_database_out_of_reach_is_told_in_one_line(tmp_path: Path) -> None:
    settings = {"DATABASE_URL": f"host={tmp_path} dbname=x", "COUNTERSIGN_DATA": str(tmp_path)}
    result = CliRunner().invoke(app, ["tenant", "list"], env=settings)
    assert failed(result).startswith("The database cannot be used")
    wrong = CliRunner().invoke(app, ["tenant", "list"], env={"DATABASE_URL": "nonsense"})
    assert failed(wrong).startswith("DATABASE_URL: is not of the form")
