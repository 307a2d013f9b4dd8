"""Every operation of every surface against everybody who might try it.

The operations are those of the OpenAPI documents: one that has no rule fails here, before anybody asks who may use it. A
request that is denied leaves the log as it is, and an object of another tenant or mode is answered, in status and body, as
one that never was.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast
from uuid import uuid4

import httpx
import pytest

from api.deps import Deps
from api.surfaces import files, ledger, partner, sessions, signatures, signer, signing
from api.surfaces import log as log_files
from domain.actor import Mode
from domain.directory import Tier
from infrastructure.identity import KeyKind
from infrastructure.settings import Settings
from tests.conftest import Server
from tests.contract.authorization.estate import VERSION, Estate, Headers, absent, bearer, found
from tests.contract.authorization.rules import RULES, Who
from tests.contract.partner_world import projecting, sealing, start
from tests.contract.signing_world import dealership

BUILDS: Final = {
    "partner": partner.build,
    "signing": signing.build,
    "signatures": signatures.build,
    "sessions": sessions.build,
    "ledger": ledger.build,
    "log": log_files.build,
    "files": files.build,
    "signer": signer.build,
}
METHODS: Final = ("get", "head", "post", "put", "patch", "delete")

Operation = tuple[str, str, str]


def operations() -> list[Operation]:
    """Every operation that the surfaces document."""
    deps = cast(Deps, SimpleNamespace(settings=Settings.model_validate({"data": Path("var")})))
    return [
        (name, method, path)
        for name, build in BUILDS.items()
        for path, item in build(deps).openapi()["paths"].items()
        for method in METHODS
        if method in item
    ]


OPERATIONS: Final = operations()
KNOWN: Final = [operation for operation in OPERATIONS if operation in RULES]


def test_every_operation_has_a_rule_and_every_rule_an_operation() -> None:
    assert set(OPERATIONS) - set(RULES) == set()
    assert set(RULES) - set(OPERATIONS) == set()


@pytest.fixture(scope="module")
def estate(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    name = f"matrix_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with start(urls, tmp_path_factory.mktemp("matrix"), evidence_wait_seconds=1) as world, projecting(urls), sealing(world):
        yield found(world)
    server.drop(name)


@pytest.fixture(scope="module")
def strangers(estate: Estate) -> dict[Who, dict[str, Headers]]:
    """Credentials of the right kind that are another tenant's, of another mode, or were revoked."""
    world, other = estate.world, dealership(estate.world)
    test = dealership(world, estate.tenant, Mode.TEST)
    made = world.run(world.deps.identity.create_partner_key(other.tenant, "KEY"))
    theirs = {"X-Tenant-Signly": str(other.tenant), "X-Auth-Signly": made.secret}

    def keys(kind: KeyKind, **more: str) -> dict[str, Headers]:
        return {
            "another tenant": {**project_headers(kind, tenant=other.tenant), **more},
            "another mode": {**project_headers(kind, mode=Mode.TEST), **more},
        }

    def project_headers(kind: KeyKind, **where: Any) -> Headers:
        return estate.key(kind, **where)

    users = {
        "another tenant": estate.person("user_jordan", "jordan@dealership.com", tenant=other.tenant),
        "another mode": estate.person("user_jordan", "jordan@dealership.com", Mode.TEST),
        "another tenant's admin": other.admin("root").headers,
        "another mode's admin": test.admin("root").headers,
    }
    return {
        Who.PARTNER: {"another tenant": theirs},
        Who.PROJECT: keys(KeyKind.PROJECT),
        Who.ORGANIZATION: keys(KeyKind.ORGANIZATION, **VERSION),
        Who.ORGANIZATION_OR_TOKEN: keys(KeyKind.ORGANIZATION, **VERSION),
        Who.ADMINISTRATOR: {"another tenant": _as_admin(estate, other.tenant)},
        Who.ANYONE: {"another partner": theirs, **keys(KeyKind.PROJECT), **{f"user of {who}": it for who, it in users.items()}},
        **dict.fromkeys((Who.SIGNER, Who.MANAGER, Who.APPOINTED, Who.LINKED, Who.OWNER, Who.MEMBER, Who.USER), users),
        Who.FRESH: {
            "another tenant": {**estate.person("user_ana", "ana@example.com", tenant=other.tenant), **VERSION},
            "another mode": {**estate.person("user_ana", "ana@example.com", Mode.TEST), **VERSION},
            "somebody else": {**estate.person("user_bo", "bo@example.com"), **VERSION},
        },
    }


def _as_admin(estate: Estate, tenant: Any) -> Headers:
    async def mint() -> str:
        return estate.world.deps.identity.mint_admin_token(tenant, timedelta(hours=1))

    return bearer(estate.world.run(mint()))


def ask(estate: Estate, operation: Operation, headers: Headers, ids: Mapping[str, str]) -> httpx.Response:
    """The operation's request with these credentials about these objects."""
    _, method, path = operation
    rule = RULES[operation]
    filled = re.sub(r"\{(\w+)\}", lambda name: ids[rule.ids[name[1]]], path)
    more: dict[str, Any] = {}
    if rule.content is not None:
        more["content"], headers = rule.content, {**headers, "Content-Type": "application/pdf"}
    body = None if rule.body is None else rule.body(ids)
    return estate.call(method, filled + rule.query, headers, body, **more)


def plain(response: httpx.Response, ids: Mapping[str, str]) -> tuple[int, str]:
    """An answer without what differs between any two requests, and without the ids that were asked for."""
    text = re.sub(r"req_[0-9A-Z]{26}", "REQUEST", response.text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?(\+00:00)?", "TIME", text)
    for name, id in sorted(ids.items(), key=lambda entry: -len(entry[1])):
        if id.isdigit() and name != "version":  # a number may stand anywhere; an id stands between marks
            text = re.sub(rf'(?<=["/ ]){id}(?=["/ .])', name, text)
        elif name != "version":
            text = text.replace(id, name)
    return response.status_code, text


def administrators(headers: Headers, surface: str) -> Headers:
    """An administrator's token where the surface takes it."""
    return {"X-Auth-Signly": headers["Authorization"]} if surface == "partner" else headers


def rightful(estate: Estate, operation: Operation) -> Headers:
    """Whose operation it is."""
    rule = RULES[operation]
    token = next((estate.tokens[name] for name in rule.ids.values() if name in estate.tokens), "")
    return {
        Who.NOBODY: {},
        Who.PATH: {},
        Who.PARTNER: estate.partner.headers,
        Who.PROJECT: bearer(estate.project.key),
        Who.ORGANIZATION: estate.organization,
        Who.ADMINISTRATOR: administrators(estate.administrator, operation[0]),
        Who.ANYONE: estate.partner.headers,
        Who.SIGNER: estate.people["jordan"],
        Who.MANAGER: estate.people["boss"],
        Who.APPOINTED: estate.people["boss"],
        Who.LINKED: estate.people["jordan"],
        Who.OWNER: estate.people["boss"],
        Who.MEMBER: estate.people["boss"],
        Who.USER: estate.people["stranger"],
        Who.FRESH: {**estate.people["ana"], **VERSION},
        Who.TOKEN: {"X-Signing-Session-Token": token},
        Who.ORGANIZATION_OR_TOKEN: estate.organization,
    }[rule.who]


def spoiled(headers: Headers) -> Headers:
    """The same headers with a secret that is wrong in its last characters."""
    changed = {name: value for name, value in headers.items() if name == "Matter-Version" or name == "X-Tenant-Signly"}
    return {**{name: value[:-4] + ("AAAA" if value[-4:] != "AAAA" else "BBBB") for name, value in headers.items()}, **changed}


class TestDenied:
    """The log's head is the same before and after every request that is denied."""

    @pytest.fixture(autouse=True)
    def nothing_changes(self, estate: Estate) -> Iterator[None]:
        before = estate.world.head()
        yield
        assert estate.world.head() == before

    @pytest.mark.parametrize("operation", KNOWN, ids=" ".join)
    def test_without_a_credential(self, estate: Estate, operation: Operation) -> None:
        rule = RULES[operation]
        if rule.who is Who.NOBODY:
            return
        response = ask(estate, operation, VERSION if operation[0] == "sessions" else {}, estate.ids)
        absently = ask(estate, operation, VERSION if operation[0] == "sessions" else {}, absent(estate.ids))
        if rule.who is Who.PATH:
            assert 400 <= response.status_code < 500
            return
        assert response.status_code == (403 if rule.who is Who.TOKEN else 401), response.text
        if rule.who is not Who.TOKEN or operation[0] == "signer":
            assert plain(response, estate.ids) == plain(absently, absent(estate.ids))

    @pytest.mark.parametrize("operation", KNOWN, ids=" ".join)
    def test_with_a_wrong_credential(self, estate: Estate, operation: Operation) -> None:
        rule = RULES[operation]
        if rule.who in (Who.NOBODY, Who.PATH):
            return
        response = ask(estate, operation, spoiled(rightful(estate, operation)), estate.ids)
        assert response.status_code == (403 if rule.who is Who.TOKEN else 401), response.text

    @pytest.mark.parametrize("operation", KNOWN, ids=" ".join)
    def test_with_a_credential_that_was_revoked(self, estate: Estate, operation: Operation) -> None:
        rule = RULES[operation]
        kinds = {
            Who.PROJECT: KeyKind.PROJECT,
            Who.ORGANIZATION: KeyKind.ORGANIZATION,
            Who.ORGANIZATION_OR_TOKEN: KeyKind.ORGANIZATION,
        }
        if rule.who not in kinds:
            return
        revoked = {**estate.key(kinds[rule.who], revoked=True), **(VERSION if operation[0] == "sessions" else {})}
        wrong = spoiled(rightful(estate, operation))
        ids = estate.ids
        assert plain(ask(estate, operation, revoked, ids), ids) == plain(ask(estate, operation, wrong, ids), ids)

    @pytest.mark.parametrize("operation", [it for it in KNOWN if RULES[it].who is Who.ADMINISTRATOR], ids=" ".join)
    def test_administration_takes_an_administrator(self, estate: Estate, operation: Operation) -> None:
        others = [bearer(estate.project.key), estate.organization, estate.people["admin"], estate.people["boss"]]
        for headers in others:
            response = ask(estate, operation, administrators(headers, operation[0]), estate.ids)
            assert response.status_code in (401, 403), response.text
        assert ask(estate, operation, estate.partner.headers, estate.ids).status_code in (401, 403)

    @pytest.mark.parametrize("operation", [it for it in KNOWN if RULES[it].ids or RULES[it].refers], ids=" ".join)
    def test_for_another_tenant_or_mode_it_is_absent(
        self, estate: Estate, strangers: dict[Who, dict[str, Headers]], operation: Operation
    ) -> None:
        rule = RULES[operation]
        nothing = absent(estate.ids)
        for who, headers in strangers.get(rule.who, {}).items():
            theirs, none = ask(estate, operation, headers, estate.ids), ask(estate, operation, headers, nothing)
            assert 400 <= theirs.status_code < 500, f"{who}: {theirs.text}"
            if theirs.status_code == 404 and "not_found_in_mode" in theirs.text:
                assert who == "another mode"  # that surface tells the owner of an object, and nobody else, in which mode it is
                continue
            assert plain(theirs, estate.ids) == plain(none, nothing), who

    @pytest.mark.parametrize("operation", [it for it in KNOWN if it[1] == "get" and not RULES[it].ids], ids=" ".join)
    def test_lists_of_another_tenant_or_mode_hold_nothing_of_this_one(
        self, estate: Estate, strangers: dict[Who, dict[str, Headers]], operation: Operation
    ) -> None:
        rule = RULES[operation]
        own = {name: id for name, id in estate.ids.items() if name not in ("version", "nothing") and not id.isdigit()}
        for who, headers in strangers.get(rule.who, {}).items():
            response = ask(estate, operation, headers, estate.ids)
            assert response.status_code < 500
            leaked = [name for name, id in own.items() if id in response.text]
            assert leaked == [], who

    @pytest.mark.parametrize("operation", [it for it in KNOWN if RULES[it].who is Who.SIGNER and RULES[it].ids], ids=" ".join)
    def test_for_the_signer_of_another_package_and_for_any_other_role_it_is_absent(
        self, estate: Estate, operation: Operation
    ) -> None:
        nothing = absent(estate.ids)
        for who in ("other signer", "boss", "admin", "member", "stranger", "full"):
            theirs = ask(estate, operation, estate.people[who], estate.ids)
            none = ask(estate, operation, estate.people[who], nothing)
            assert theirs.status_code == 404, who
            assert plain(theirs, estate.ids) == plain(none, nothing), who

    @pytest.mark.parametrize("operation", [it for it in KNOWN if RULES[it].who is Who.MANAGER], ids=" ".join)
    def test_below_the_tier_it_takes(self, estate: Estate, operation: Operation) -> None:
        rule = RULES[operation]
        assert rule.tier is not None
        for tier in Tier:
            if tier.rank < rule.tier.rank:
                assert ask(estate, operation, estate.people[tier.value], estate.ids).status_code == 403, tier
        for who in ("jordan", "other signer", "member", "stranger"):
            assert ask(estate, operation, estate.people[who], estate.ids).status_code == 403, who

    @pytest.mark.parametrize("operation", [it for it in KNOWN if RULES[it].who is Who.MANAGER and RULES[it].ids], ids=" ".join)
    def test_with_the_tier_at_another_place_it_is_absent(self, estate: Estate, operation: Operation) -> None:
        nothing = absent(estate.ids)
        theirs = ask(estate, operation, estate.people["elsewhere"], estate.ids)
        none = ask(estate, operation, estate.people["elsewhere"], nothing)
        assert theirs.status_code in (403, 404)
        if theirs.status_code == 404:
            assert plain(theirs, estate.ids) == plain(none, nothing)

    @pytest.mark.parametrize("operation", [it for it in KNOWN if RULES[it].who is Who.OWNER and RULES[it].ids], ids=" ".join)
    def test_what_belongs_to_another_user_is_absent(self, estate: Estate, operation: Operation) -> None:
        nothing = absent(estate.ids)
        for who in ("jordan", "admin", "member", "stranger", "full"):
            theirs = ask(estate, operation, estate.people[who], estate.ids)
            assert theirs.status_code == 404, who
            assert plain(theirs, estate.ids) == plain(ask(estate, operation, estate.people[who], nothing), nothing), who

    @pytest.mark.parametrize("operation", [it for it in KNOWN if RULES[it].who is Who.APPOINTED], ids=" ".join)
    def test_without_an_appointment(self, estate: Estate, operation: Operation) -> None:
        for who in ("jordan", "member", "stranger"):
            assert ask(estate, operation, estate.people[who], estate.ids).status_code == 403, who

    @pytest.mark.parametrize("operation", [it for it in KNOWN if RULES[it].who is Who.MEMBER and RULES[it].ids], ids=" ".join)
    def test_for_somebody_who_is_no_member_it_is_absent(self, estate: Estate, operation: Operation) -> None:
        nothing = absent(estate.ids)
        for who in ("jordan", "stranger"):
            theirs, none = (ask(estate, operation, estate.people[who], ids) for ids in (estate.ids, nothing))
            assert theirs.status_code == 404
            assert plain(theirs, estate.ids) == plain(none, nothing), who

    @pytest.mark.parametrize("operation", [it for it in KNOWN if RULES[it].who is Who.TOKEN], ids=" ".join)
    def test_with_another_sessions_token(self, estate: Estate, operation: Operation) -> None:
        rule = RULES[operation]
        own = {estate.tokens[name] for name in rule.ids.values() if name in estate.tokens}
        (other,) = set(estate.tokens.values()) - own
        organization = ask(estate, operation, estate.organization, estate.ids)
        assert organization.status_code in (401, 403)
        response = ask(estate, operation, {"X-Signing-Session-Token": other}, estate.ids)
        assert response.status_code == 403, response.text


#: What an administrator does comes last: it takes away others' credentials.
IN_ORDER: Final = sorted(KNOWN, key=lambda operation: RULES[operation].who is Who.ADMINISTRATOR)


@pytest.mark.parametrize("operation", IN_ORDER, ids=" ".join)
def test_whoever_it_is_for_is_not_denied(estate: Estate, operation: Operation) -> None:
    """Without this the others would hold of a server that denies everything."""
    rule = RULES[operation]
    if rule.who is Who.PATH:
        return
    allowed = [rightful(estate, operation)]
    if rule.who is Who.MANAGER and rule.tier is not None:
        allowed += [estate.people[tier.value] for tier in Tier if tier.rank >= rule.tier.rank]
        allowed.append(estate.people["admin"])
    for headers in allowed:
        response = ask(estate, operation, headers, estate.ids)
        assert response.status_code not in (401, 403, 404), response.text
        assert response.status_code < 500
        if response.content and "application/json" in response.headers.get("content-type", ""):
            json.loads(response.text)
