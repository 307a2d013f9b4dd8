"""`countersign directory`, run as a person runs it, on a real database without a server beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from infrastructure.database import DatabaseUrls, connect

Run = Callable[..., Result]


@pytest.fixture
def run(database: DatabaseUrls, tmp_path: Path) -> Run:
    settings = {"DATABASE_URL": database.owner, "COUNTERSIGN_DATA": str(tmp_path)}
    return lambda *words: CliRunner().invoke(app, words, env=settings)


@pytest.fixture
def tenant(run: Run) -> str:
    return told(run("tenant", "create", "Ana's shop"))


def told(result: Result) -> str:
    """What a command that succeeded printed for a script."""
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def rows(result: Result) -> list[list[str]]:
    return [line.split("\t") for line in told(result).splitlines()]


def failed(result: Result) -> str:
    """What a command that failed told the person."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    return result.stderr


def refused(result: Result) -> str:
    """What a command that was called wrongly told the person, on one line."""
    assert result.exit_code == 2, result.output
    return " ".join(result.stderr.replace("│", " ").split())


def test_an_organization_is_made_named_and_listed(run: Run, tenant: str) -> None:
    assert "organization create" in failed(run("directory", "company", "add", "Cars"))
    number = told(run("directory", "organization", "create", "Auto [red]Haus", "--slug", "auto-haus"))
    told(run("directory", "organization", "rename", "--name", "  Auto House "))
    assert [row[:6] for row in rows(run("directory", "organization", "list"))] == [
        [number, "Auto House", "auto-haus", "0", "0", "0"]
    ]
    told(run("directory", "organization", "rename", "--slug", "house", "--organization", number))
    assert rows(run("directory", "organization", "list"))[0][1:3] == ["Auto House", "house"]


def test_companies_locations_and_flows_belong_to_the_only_organization_unless_another_is_named(
    run: Run, tenant: str, tmp_path: Path
) -> None:
    first = told(run("directory", "organization", "create", "First"))
    company = told(run("directory", "company", "add", "Cars"))
    lot = told(run("directory", "location", "add", "Lot", "--company", company))
    second = told(run("directory", "organization", "create", "Second"))
    assert "several organizations" in failed(run("directory", "location", "add", "Yard"))
    yard = told(run("directory", "location", "add", "Yard", "--organization", second, "--sort-order", "7"))
    corner = told(run("directory", "location", "add", "Corner", "--company", company))
    assert rows(run("directory", "location", "list")) == [
        [lot, first, company, "Lot", "0"],
        [corner, first, company, "Corner", "1"],
        [yard, second, "", "Yard", "7"],
    ]
    told(run("directory", "company", "rename", company, "Vans"))
    told(run("directory", "location", "rename", lot, "North lot"))
    assert [row[2] for row in rows(run("directory", "company", "list"))] == ["Vans"]
    assert rows(run("directory", "location", "list"))[0][3] == "North lot"
    (steps := tmp_path / "steps.json").write_text(json.dumps([{"title": "Read"}]))
    flow = told(run("directory", "flow", "define", "Lease", "--location", lot, "--steps", str(steps)))
    assert rows(run("directory", "flow", "list")) == [[flow, lot, "Lease", "active"]]
    told(run("directory", "flow", "change", flow, "--name", "Long lease", "--inactive"))
    assert rows(run("directory", "flow", "list")) == [[flow, lot, "Long lease", "inactive"]]


def test_a_company_of_another_organization_takes_no_location(run: Run, tenant: str) -> None:
    told(run("directory", "organization", "create", "First"))
    company = told(run("directory", "company", "add", "Cars"))
    second = told(run("directory", "organization", "create", "Second"))
    assert "There is no company" in failed(
        run("directory", "location", "add", "Lot", "--company", company, "--organization", second)
    )
    assert rows(run("directory", "location", "list")) == []


def test_members_join_once_change_their_role_and_leave(run: Run, tenant: str) -> None:
    organization = told(run("directory", "organization", "create", "Auto House"))
    member = told(
        run("directory", "member", "add", "--user", "user_1", "--email", "ana@example.com", "--name", "Ana", "--role", "owner")
    )
    told(run("directory", "member", "add", "--user", "user_2", "--issuer", "https://id.example"))
    again = run("directory", "member", "add", "--user", "user_2", "--issuer", "https://id.example", "--role", "owner")
    assert "is owner now" in again.stderr
    assert [row[:7] for row in rows(run("directory", "member", "list"))] == [
        [member, organization, "user_1", "urn:countersign:local-issuer", "ana@example.com", "Ana", "owner"],
        [told(again), organization, "user_2", "https://id.example", "", "", "owner"],
    ]
    told(run("directory", "member", "remove", "--user", "user_1"))
    assert "no member" in failed(run("directory", "member", "remove", "--user", "user_1"))
    assert "last owner" in failed(run("directory", "member", "remove", "--member", told(again)))
    assert len(rows(run("directory", "member", "list"))) == 1


def test_roles_of_an_organization_have_permissions_that_an_owner_keeps(run: Run, tenant: str) -> None:
    told(run("directory", "organization", "create", "Auto House"))
    told(run("directory", "organization", "role", "clerk", "--permission", "members", "--permission", "locations"))
    assert rows(run("directory", "organization", "roles")) == [
        ["clerk", "locations members"],
        ["member", ""],
        ["owner", "orgSettings brand locations roles members billing"],
    ]
    assert "cannot be changed" in failed(run("directory", "organization", "role", "owner", "--permission", "brand"))
    assert "There is no role cook" in failed(run("directory", "member", "add", "--user", "user_1", "--role", "cook"))
    told(run("directory", "member", "add", "--user", "user_1", "--role", "clerk"))


def test_managers_and_administrators_are_appointed_once_and_revoked(run: Run, tenant: str) -> None:
    told(run("directory", "organization", "create", "Auto House"))
    lot, yard = (told(run("directory", "location", "add", name)) for name in ("Lot", "Yard"))
    member = told(run("directory", "member", "add", "--user", "user_1"))
    tiers = ("--module", "signings=write", "--module", "templates=read")
    grant = ("directory", "role", "grant", "--user", "user_1", "--manager", *tiers, "--vault", "claimDeal", "--location", yard)
    manager = told(run(*grant, "--location", lot))
    repeated = run(*grant, "--location", lot)
    assert (told(repeated), "already" in repeated.stderr) == ("", True)
    admin = told(run("directory", "role", "grant", "--member", member, "--admin"))
    assert rows(run("directory", "role", "list")) == [
        [
            manager,
            member,
            "user_1",
            "manager",
            "signings=write templates=read flows=none reports=none settings=none",
            "claimDeal",
            f"{lot} {yard}",
        ],
        [admin, member, "user_1", "admin", "all=full", "", "all"],
    ]
    told(run("directory", "role", "revoke", manager))
    assert "There is no appointment" in failed(run("directory", "role", "revoke", manager))
    assert [row[0] for row in rows(run("directory", "role", "list"))] == [admin]
    assert "no member" in failed(run("directory", "role", "grant", "--user", "user_2", "--admin"))
    assert "There is no location" in failed(
        run("directory", "role", "grant", "--user", "user_1", "--manager", "--location", "999")
    )


def test_what_makes_no_sense_is_told_before_anything_is_done(run: Run, tenant: str) -> None:
    told(run("directory", "organization", "create", "Auto House"))
    grant = ("directory", "role", "grant", "--user", "user_1")
    assert "either --manager or --admin" in refused(run(*grant))
    assert "either --user or --member" in refused(run("directory", "member", "remove"))
    assert "are a manager's" in refused(run(*grant, "--admin", "--module", "signings=full"))
    for module in ("signings", "signings=most", "cars=read", ""):
        assert "is not MODULE=TIER" in refused(run(*grant, "--manager", "--module", module))
    assert "no e-mail address" in refused(run("directory", "member", "add", "--user", "user_1", "--email", "ana"))
    assert "a number as the lists show it" in refused(run("directory", "role", "revoke", "north"))
    assert "1 to 120 characters" in refused(run("directory", "location", "add", "x" * 121))
    assert "small letters" in refused(run("directory", "organization", "create", "X", "--slug", "Auto House"))
    assert "1 to 255 characters" in failed(run("directory", "member", "add", "--user", "x" * 256))
    assert rows(run("directory", "member", "list")) == []


@pytest.mark.parametrize(
    ("text", "why"), [("[", "does not hold steps"), ("[NaN]", "does not hold steps"), ("[" + "1," * 40_000, "at most")]
)
def test_steps_that_cannot_be_kept_are_told(run: Run, tenant: str, tmp_path: Path, text: str, why: str) -> None:
    (file := tmp_path / "steps.json").write_text(text)
    assert why in failed(run("directory", "flow", "define", "Lease", "--location", "1", "--steps", str(file)))


def test_modes_and_tenants_are_worlds_of_their_own(run: Run, tenant: str) -> None:
    number = told(run("directory", "organization", "create", "Auto House", "--mode", "test"))
    told(run("directory", "member", "add", "--user", "user_1", "--mode", "test"))
    assert rows(run("directory", "organization", "list")) == []
    assert "no organization" in failed(run("directory", "location", "add", "Lot", "--organization", number))
    assert "no member" in failed(run("directory", "member", "remove", "--member", "4"))
    other = told(run("tenant", "create", "Bob"))
    assert rows(run("directory", "organization", "list", "--mode", "test", "--tenant", other)) == []
    assert "several tenants" in failed(run("directory", "organization", "list"))
    assert "no tenant" in failed(run("directory", "organization", "list", "--tenant", str(uuid4())))
    assert rows(run("directory", "organization", "list", "--mode", "test", "--tenant", tenant))[0][0] == number


def test_names_and_users_are_personal_values_and_stand_nowhere_in_the_clear(
    run: Run, tenant: str, database: DatabaseUrls
) -> None:
    told(run("directory", "organization", "create", "Auto House"))
    told(run("directory", "member", "add", "--user", "user_1", "--email", "ana@example.com", "--name", "Ana"))
    with connect(database.owner) as conn:
        entries = b"".join(row[0] for row in conn.execute("SELECT entry FROM log").fetchall())
        shown = str([conn.execute(f"SELECT * FROM read.{table}".encode()).fetchall() for table in ("members", "organizations")])
    for word in ("Auto", "user_1", "ana@", "Ana"):
        assert word.encode() not in entries
        assert word not in shown


def test_an_erased_user_is_a_member_without_a_name_whom_nobody_can_find(run: Run, tenant: str) -> None:
    told(run("directory", "organization", "create", "Auto House"))
    member = told(run("directory", "member", "add", "--user", "user_1", "--email", "ana@example.com"))
    told(run("directory", "role", "grant", "--user", "user_1", "--admin"))
    erase = ("erase", "--tenant", tenant, "--ground", "gdpr-17-1-b", "--user", "user_1")
    erased = run(*erase)
    assert told(erased) == ""
    assert "1 entries" in erased.stderr
    assert rows(run("directory", "member", "list"))[0][:6] == [member, "1", "(erased)", "(erased)", "(erased)", ""]
    assert rows(run("directory", "role", "list"))[0][2] == "(erased)"
    assert "no member" in failed(run("directory", "member", "remove", "--user", "user_1"))
    assert "Nothing was changed" in failed(run(*erase))
    told(run("directory", "member", "remove", "--member", member))
    assert rows(run("directory", "role", "list")) == []


def test_only_the_user_of_the_named_issuer_is_erased(run: Run, tenant: str) -> None:
    told(run("directory", "organization", "create", "Auto House"))
    told(run("directory", "member", "add", "--user", "user_1"))
    told(run("directory", "member", "add", "--user", "user_1", "--issuer", "https://id.example"))
    erase = ("erase", "--tenant", tenant, "--ground", "gdpr-17-1-b", "--issuer", "https://id.example")
    assert "goes with --user" in refused(run(*erase, "--email", "ana@example.com"))
    assert "say whose data" in refused(run(*erase, "--user", "user_1", "--email", "ana@example.com"))
    assert "no |" in refused(run(*erase[:-1], "a|b", "--user", "user_1"))
    told(run(*erase, "--user", "user_1"))
    assert [row[2] for row in rows(run("directory", "member", "list"))] == ["user_1", "(erased)"]


def test_an_organizations_words_can_be_erased(run: Run, tenant: str) -> None:
    told(run("directory", "organization", "create", "Auto House"))
    told(run("directory", "location", "add", "Lot"))
    number = rows(run("directory", "organization", "list"))[0][0]
    erase = ("erase", "--tenant", tenant, "--ground", "gdpr-17-1-b", "--organization")
    assert "Nothing was changed" in failed(run(*erase, str(UUID(int=5))))
    (organization,) = rows(run("directory", "organization", "list"))
    told(run(*erase, organization[-1]))
    assert [row[:2] for row in rows(run("directory", "organization", "list"))] == [[number, "(erased)"]]
    assert [row[3] for row in rows(run("directory", "location", "list"))] == ["(erased)"]
