"""A verified e-mail address is the right to sign for it, so none may pass for another; nor may an account of another issuer."""

from dataclasses import replace
from pathlib import Path

import pytest

from api.deps import User as Named
from domain.actor import Mode
from domain.personal import mailbox
from infrastructure.database import DatabaseUrls
from infrastructure.issuers import OidcIssuer
from tests.contract.partner_world import World
from tests.contract.sessions_world import ANA, opened, problem
from tests.contract.signing_world import package, tenant, user
from tests.contract.test_sessions_opening import asked
from tests.running import Person, in_loop

pytest_plugins = ["tests.contract.partner_fixtures"]

QUEUE = "/v1/signing/signer/signings"

#: Whose packages somebody wants, and an address that they can have themselves.
LOOKALIKES = [
    ("kim@fass.example", "kim@fa\u00df.example"),
    ("weiss@mail.example", "wei\u00df@mail.example"),
    ("kim@mail.example", "\u212aim@mail.example"),
    ("sam@mail.example", "\u017fam@mail.example"),
    ("fiona@mail.example", "\ufb01ona@mail.example"),
    ("ida@mail.example", "\u0131da@mail.example"),
    ("kim@mail.example", "kim+kim@mail.example"),
    ("kim@mail.example", "kim@mail.example."),
    ("\u00c5sa@mail.example", "\u212bsa@mail.example"),
    ("kim@mail.example", "\uff4bim@mail.example"),
]


@pytest.mark.parametrize(("victim", "attacker"), LOOKALIKES)
def test_an_address_that_looks_alike_sees_and_signs_nothing(world: World, victim: str, attacker: str) -> None:
    owner = tenant(world)
    package(world, owner, Person("Kim", victim))
    own = user(world, owner, "user_kim", victim)
    (signing,) = own("GET", QUEUE).body["signings"]
    (document,) = own("GET", f"{QUEUE}/{signing['id']}/documents").body["documents"]
    other = user(world, owner, "user_other", attacker)
    assert other("GET", QUEUE).status == 404
    assert other("GET", f"{QUEUE}/{signing['id']}").body == {"error": "Not found."}
    assert other("POST", f"{QUEUE}/{signing['id']}/documents/{document['id']}/sign", {}).body == {"error": "Not found."}


def test_ascii_letters_alone_are_the_same_in_both_cases() -> None:
    assert mailbox(" Ana@Example.COM ") == "ana@example.com"
    assert mailbox("\u00c9va@x.example") != mailbox("\u00e9va@x.example")
    assert mailbox("\u00a0ana@x.example") != mailbox("ana@x.example")


@in_loop
async def test_no_session_is_opened_for_an_address_that_looks_alike(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        await key.consent()
        envelope = await key.sent({**ANA, "email": "weiss@example.com"})
        head = await world.running.head()
        stranger = world.person("wei\u00df@example.com", "user_weiss")
        problem(await stranger("POST", "/v1/signing_sessions", asked(envelope)), 404, "not_found_resource")
        assert await world.running.head() == head


@in_loop
async def test_an_account_is_nobodys_when_two_issuers_could_mean_it(
    database: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database, tmp_path) as world:
        deps, key = world.running.deps, await world.organization()
        await key.consent()
        envelope = await key.sent({**ANA, "email": "other@example.com", "human_clerk_user_id": "user_ana"})
        issuers = tuple(
            OidcIssuer(issuer=url, audience="us", tenant=world.running.tenant, mode=Mode.TEST)
            for url in ("https://a.example", "https://b.example")
        )
        recognise = deps.identity.user

        async def of_a(token: str) -> Named:
            return replace(await recognise(token), issuer=issuers[0].issuer)

        monkeypatch.setattr(deps.identity, "user", of_a)
        person = world.person(None)
        world.app.state.deps = replace(deps, settings=deps.settings.model_copy(update={"oidc_issuers": issuers}))
        problem(await person("POST", "/v1/signing_sessions", asked(envelope)), 404, "not_found_resource")
        world.app.state.deps = replace(deps, settings=deps.settings.model_copy(update={"oidc_issuers": issuers[:1]}))
        assert (await person("POST", "/v1/signing_sessions", asked(envelope))).status_code == 201
