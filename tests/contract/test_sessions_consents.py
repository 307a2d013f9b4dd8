"""Consents: recorded with their evidence, shown, withdrawn, and needed anew for another text."""

from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api.surfaces.sessions.disclosure import CURRENT
from domain.actor import Mode
from domain.consent import DisclosureText, stakeholder_subject
from domain.entry import decode
from infrastructure.certificate_case import Circumstances, case_of, happened_of
from infrastructure.consents import consents_when_signed
from infrastructure.database import DatabaseUrls, connect
from infrastructure.pdf_drawing.case import Absent, Known, Signer, Timed
from infrastructure.vault import Reference
from tests.contract.sessions_world import ANA, STAKEHOLDER, opened, problem
from tests.running import PARTNER, in_loop

PATH = "/v1/consents"
BODY = {"stakeholder_id": STAKEHOLDER, "hardware_capability_affirmed": True, "paper_copy_request_method": "By mail"}


@in_loop
async def test_a_consent_is_recorded_with_what_was_observed(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        text = await key.ok("GET", f"{PATH}/esra")
        assert text["disclosure_packet_hash"] == f"sha256:{sha256(text['text'].encode()).hexdigest()}"
        said = {
            "captured_via": "web_checkbox",
            "captured_at": 1_790_000_000,
            "ip_address": "203.0.113.9",
            "user_agent": "Theirs/1",
        }
        given = await key.ok("POST", f"{PATH}/esra", {**BODY, **said}, User_Agent="Ours/1")
        assert given["consent_id"] == given["id"]
        assert (given["status"], given["stakeholder_id"], given["legal_basis"]) == ("active", STAKEHOLDER, "esra_consent")
        assert given["disclosure_packet_hash"] == text["disclosure_packet_hash"]
        assert await key.ok("GET", f"{PATH}/{given['id']}") == given
        stream = UUID(hex=given["id"].removeprefix("con_"))
        (stored,) = await world.running.deps.recorder.read_stream(stream)
        entry = decode(stored.raw)
        assert entry.data["provenance"] == {"identity": "agent", "ip_source": "claimed"}
        assert (entry.data["captured_via"], entry.data["captured_at"]) == ("web_checkbox", "2026-09-21T14:13:20.000000Z")
        paths = {"/stakeholder": STAKEHOLDER, "/paper_copy_request_method": "By mail", "/provenance/ip": "203.0.113.9",
                 "/provenance/user_agent": "Theirs/1"}  # fmt: skip
        found = await world.running.deps.vault.open(Reference(stream, 1, path) for path in paths)
        assert {place.path: value.value for place, value in found.items()} == paths
        with connect(database.owner) as conn:
            log = b"".join(bytes(row[0]) for row in conn.execute("SELECT entry FROM log").fetchall())
        for secret in (STAKEHOLDER, "203.0.113.9", "Theirs/1", "By mail"):
            assert secret.encode() not in log


@in_loop
async def test_what_was_not_passed_on_is_observed_of_the_caller(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        given = await (await world.organization()).ok("POST", f"{PATH}/esra", BODY, User_Agent="Ours/1")
        stream = UUID(hex=given["id"].removeprefix("con_"))
        (stored,) = await world.running.deps.recorder.read_stream(stream)
        assert decode(stored.raw).data["provenance"] == {"identity": "agent", "ip_source": "socket"}


@in_loop
async def test_one_stakeholder_has_one_consent_in_each_mode_and_withdraws_it(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key, live = await world.organization(), await world.organization(Mode.LIVE)
        first, head = await key.ok("POST", f"{PATH}/esra", BODY), await world.running.head()
        assert await key.ok("POST", f"{PATH}/esra", BODY) == first
        assert await world.running.head() == head
        assert (await live.ok("POST", f"{PATH}/esra", BODY))["id"] != first["id"]
        path = f"{PATH}/{first['id']}"
        withdrawn = await key.ok("POST", f"{path}/withdraw", {"reason": "Changed my mind"}, Idempotency_Key="w")
        assert (withdrawn["status"], withdrawn["stakeholder_id"]) == ("withdrawn", STAKEHOLDER)
        assert withdrawn["withdrawn_at"] >= withdrawn["accepted_at"]
        assert await key.ok("POST", f"{path}/withdraw", {"reason": "Changed my mind"}, Idempotency_Key="w") == withdrawn
        assert await key.ok("POST", f"{path}/withdraw") == withdrawn
        assert await key.ok("GET", path) == withdrawn
        again = await key.ok("POST", f"{PATH}/esra", BODY)
        assert (again["id"], again["status"], again["withdrawn_at"]) == (first["id"], "active", None)
        stranger = await world.stranger()
        for method, action in (("GET", ""), ("POST", "/withdraw")):
            problem(await stranger(method, f"{path}{action}"), 404, "not_found_resource")
            problem(await live(method, f"{path}{action}"), 404, "not_found_in_mode")
            problem(await world.nobody(method, f"{path}{action}"), 401, "auth_missing_credentials")
            problem(await key(method, f"{PATH}/con_{'1' * 32}{action}"), 404, "not_found_resource")


@in_loop
async def test_another_text_needs_another_consent(
    database: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        given = await key.ok("POST", f"{PATH}/esra", BODY)
        newer = DisclosureText("2027-01-01", "9" * 64, "en")
        for module in ("consents", "signing_sessions", "disclosure"):
            monkeypatch.setattr(f"api.surfaces.sessions.{module}.CURRENT", newer)
        assert (await key.ok("GET", f"{PATH}/{given['id']}"))["status"] == "superseded"
        renewed = await key.ok("POST", f"{PATH}/esra", BODY)
        assert (renewed["id"], renewed["status"], renewed["disclosure_version"]) == (given["id"], "active", "2027-01-01")


@in_loop
async def test_an_erased_stakeholder_is_no_longer_named(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        given = await key.ok("POST", f"{PATH}/esra", BODY)
        who = stakeholder_subject(world.running.tenant, STAKEHOLDER)
        await world.running.deps.ledger.erase(who, "request", PARTNER)
        shown = await key.ok("GET", f"{PATH}/{given['id']}")
        assert (shown["stakeholder_id"], shown["status"]) == (None, "active")
        assert (await key.ok("POST", f"{PATH}/{given['id']}/withdraw"))["status"] == "withdrawn"


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"stakeholder_id": "ana"}, "stakeholder_id", "invalid_id"),
        ({"hardware_capability_affirmed": False}, "hardware_capability_affirmed", "not_affirmed"),
        ({"hardware_capability_affirmed": "true"}, "hardware_capability_affirmed", "invalid_type"),
        ({"paper_copy_request_method": " "}, "paper_copy_request_method", "invalid"),
        ({"captured_via": "Web"}, "captured_via", "invalid_id"),
        ({"ip_address": "nowhere"}, "ip_address", "invalid_address"),
        ({"accepted": True}, "accepted", "unknown_field"),
    ],
)
@in_loop
async def test_every_fault_of_a_consent_is_named(
    database: DatabaseUrls, tmp_path: Path, changes: dict[str, Any], field: str, code: str
) -> None:
    async with opened(database, tmp_path) as world:
        found = problem(await (await world.organization())("POST", f"{PATH}/esra", {**BODY, **changes}), 422, "validation_failed")
        assert (found["errors"][0]["field"], found["errors"][0]["code"]) == (field, code)
        assert await world.running.head() == 0


@in_loop
async def test_the_certificate_tells_of_the_consent_that_held_when_its_signer_signed(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with opened(database, tmp_path) as world:
        key, deps = await world.organization(), world.running.deps

        async def signed() -> Signer:
            """How the certificate of a new envelope tells of Ana."""
            sent = await key.sent(ANA)
            one = sent["signers"][0]
            assert (await world.nobody.complete(one["signing_session"], await world.token(one))).status_code == 200
            told = await happened_of(deps.reads, UUID(hex=sent["id"].partition("_")[2]))
            consents = await consents_when_signed(deps.reads, deps.vault, told)
            beside = Circumstances("Example Ltd", "https://sign.example", deps.clock.now(), Absent("none"), consents=consents)
            (ana,) = (await case_of(deps.vault, told, beside)).signers
            return ana

        assert (await signed()).consented == Absent("no consent is recorded in this process")
        given = await key.consent()
        text = await key.ok("GET", f"{PATH}/esra")
        (stored,) = await deps.recorder.read_stream(UUID(hex=given["id"].removeprefix("con_")))
        found = await signed()
        assert isinstance(found.consented, Timed)
        assert (found.consented.at, found.consented.source) == (decode(stored.raw).at, "recorded by the sender")
        packet = text["disclosure_packet_hash"].removeprefix("sha256:")
        assert found.consent_text == Known(f"version {CURRENT.version}, in {CURRENT.locale}, SHA-256 {packet}")
        await key.ok("POST", f"{PATH}/{given['id']}/withdraw", {})
        assert isinstance((await signed()).consented, Absent)
