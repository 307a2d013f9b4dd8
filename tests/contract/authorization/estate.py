"""What there is to be allowed or denied: one tenant with an object of every kind, and everybody's credentials."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from domain.actor import Mode
from domain.directory import AddCompany, AddLocation
from domain.entry import decode, leaf_hash
from domain.envelope import Envelope
from domain.ids import event_id, typed_id
from domain.signing import Signing
from infrastructure.identity import KeyKind
from tests.contract.authorization.rules import Ids
from tests.contract.partner_world import Client, World, pdf
from tests.contract.signatures_world import Project, project
from tests.contract.signing_world import Dealership, dealership, user

Headers = Mapping[str, str]

VERSION = {"Matter-Version": "2026-05-01"}
FULL: dict[str, Any] = {"signings": "full", "templates": "full", "flows": "full", "reports": "full", "settings": "full"}
JORDAN, ANA = "jordan@dealership.com", "ana@example.com"


def _all_at(tier: str) -> dict[str, Any]:
    """Every module at one tier."""
    return dict.fromkeys(FULL, tier)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@dataclass
class Estate:
    """A tenant's objects by name, as each surface spells them, and the headers of everybody who may ask for them."""

    world: World
    tenant: UUID
    partner: Client
    project: Project
    dealers: Dealership
    organization: Headers
    administrator: Headers
    ids: dict[str, str] = field(default_factory=dict)
    people: dict[str, Headers] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, headers: Headers, body: Any = None, **more: Any) -> httpx.Response:
        sent = {} if body is None else {"json": body}
        return self.world.http.request(method.upper(), self.world.url + path, headers=dict(headers), **sent, **more)

    def ok(self, method: str, path: str, headers: Headers, body: Any = None) -> Any:
        response = self.call(method, path, headers, body)
        assert response.status_code < 300, response.text
        return response.json()

    def position(self, stream: str | UUID) -> str:
        """The numeric id of what a stream's first fact made."""
        return str(self.world.run(self.world.deps.recorder.read_stream(UUID(str(stream))))[0].position)

    def token_of(self, participant: UUID) -> str:
        """The session token of a participant's latest invitation."""
        state = self.world.run(self.world.deps.ledger.state(Signing, participant))
        assert state is not None
        assert state.invitation is not None
        return self.world.deps.invitations.token(state.invitation.id)

    def key(self, kind: KeyKind, mode: Mode = Mode.LIVE, tenant: UUID | None = None, *, revoked: bool = False) -> Headers:
        """The headers of a fresh key."""
        identity = self.world.deps.identity
        made = self.world.run(identity.create_key(tenant or self.tenant, kind, mode))
        if revoked:
            self.world.run(identity.revoke_key(made.key.id))
        return bearer(made.secret)

    def person(self, subject: str, email: str | None = None, mode: Mode = Mode.LIVE, tenant: UUID | None = None) -> Headers:
        """The headers of a user who signs in now."""
        return user(self.world, tenant or self.tenant, subject, email, mode).headers


def found(world: World) -> Estate:
    """A tenant with everything."""
    dealers = dealership(world)
    tenant = dealers.tenant
    made = world.run(world.deps.identity.create_partner_key(tenant, "KEY"))
    partner = Client(world, tenant, {"X-Tenant-Signly": str(tenant), "X-Auth-Signly": made.secret}, made.key.id)
    organization = bearer(world.run(world.deps.identity.create_key(tenant, KeyKind.ORGANIZATION, Mode.LIVE)).secret)
    estate = Estate(world, tenant, partner, project(world, Mode.LIVE, tenant), dealers, {**organization, **VERSION}, {})
    estate = replace(estate, administrator=bearer(world.run(_admin_token(world, tenant))))
    _of_partner(estate)
    _of_signing(estate)
    _of_signatures(estate)
    _of_sessions(estate)
    spare = world.run(world.deps.identity.create_key(tenant, KeyKind.PROJECT, Mode.LIVE))
    held = {"reason": "litigation", "envelopeId": estate.ids["spare_document"]}
    hold = estate.ok("POST", "/v1/ledger/holds", estate.administrator, held)["id"]
    estate.ids |= {"credential": spare.key.id, "hold": hold, "nothing": "nothing", "tile": "0/000.p/1"}
    return estate


async def _admin_token(world: World, tenant: UUID) -> str:
    return world.deps.identity.mint_admin_token(tenant, timedelta(hours=1))


def _of_partner(estate: Estate) -> None:
    partner = estate.partner
    template = partner.template()
    document = partner.document(template)
    participant = document["participants"][0]["participantId"]
    estate.ids |= {
        "template": template,
        "template_number": estate.position(template),
        "spare_template": partner.template(),
        "versioned_template": partner.template(2),
        "version": "0001",
        "document": document["documentId"],
        "participant": participant,
        "process": f"{document['documentId']}-{participant}",
        "spare_document": partner.document(template)["documentId"],
    }


def _of_signing(estate: Estate) -> None:
    dealers, base = estate.dealers, "/v1/signing/manager/signings"
    boss = dealers.manager("boss", email="boss@dealership.com", **FULL)
    location = dealers.location("north")

    def package(*, activate: bool) -> Any:
        path = f"{base}/{boss('POST', base, {'locationId': location}).body['signing']['id']}"
        boss("POST", f"{path}/documents", {"templateId": estate.ids["template_number"]})
        boss("POST", f"{path}/signers", {"fullName": "Jordan Lee", "email": JORDAN})
        if activate:
            assert boss("POST", f"{path}/activate").status == 200
        return boss("GET", path).body

    sent, draft, spare = package(activate=True), package(activate=False), package(activate=True)
    estate.ids |= {
        "location": location,
        "package": sent["signing"]["id"],
        "package_document": sent["documents"][0]["id"],
        "package_signer": sent["signers"][0]["id"],
        "draft": draft["signing"]["id"],
        "spare_package": spare["signing"]["id"],
    }
    company = dealers.world.deps.new_id()
    dealers.direct(AddCompany(dealers.organization, company, dealers.named("Dealers North Ltd")))
    dealers.direct(AddLocation(dealers.organization, north := dealers.world.deps.new_id(), dealers.named("port"), company))
    dealers.places["port"] = north
    (shown,) = boss("GET", "/v1/signing/companies").body["companies"]
    (organization,) = boss("GET", "/v1/signing/organizations").body["organizations"]
    located = estate.position(estate.partner.template())
    admin = dealers.admin("located")
    assert admin("PATCH", f"/v1/signing/manager/templates/{located}", {"locationId": location}).status == 200
    flow = boss("POST", "/v1/signing/manager/flows", {"locationId": location, "name": "Sale"}).body["flow"]["id"]
    chattels = [boss("POST", "/v1/documents", {"title": "A car", "chattelType": "vehicle"}).body["document"]["id"] for _ in "12"]
    estate.ids |= {
        "company": shown["id"],
        "organization": organization["id"],
        "located_template": located,
        "flow": flow,
        "chattel": chattels[0],
        "spare_chattel": chattels[1],
    }
    estate.people |= {
        "boss": boss.headers,
        "jordan": estate.person("user_jordan", JORDAN),
        "admin": dealers.admin("root").headers,
        "member": dealers.member("clerk")[0].headers,
        "elsewhere": dealers.manager("southern", locations=("south",), **FULL).headers,
        "stranger": estate.person("stranger"),
        **{tier: dealers.manager(f"all-{tier}", **_all_at(tier)).headers for tier in ("none", "read", "write", "full")},
    }
    other = boss("POST", base, {"locationId": dealers.location("south")}).body["signing"]["id"]
    boss("POST", f"{base}/{other}/documents", {"templateId": estate.ids["template_number"]})
    boss("POST", f"{base}/{other}/signers", {"fullName": "Sam Roe", "email": "sam@dealership.com"})
    boss("POST", f"{base}/{other}/activate")
    estate.people["other signer"] = estate.person("user_sam", "sam@dealership.com")


def _of_signatures(estate: Estate) -> None:
    render = estate.project.render()
    estate.ids |= {
        "render": render,
        "signature": estate.project.signature(render)["id"],
        "spare_signature": estate.project.signature(render)["id"],
    }


def _of_sessions(estate: Estate) -> None:
    made = estate.ok("POST", "/v1/documents", estate.organization, {"entity_id": "ent_1", "type": "nda"})
    upload = made["upload_url"].partition("/files/")[2]

    response = estate.call("PUT", f"/files/{upload}", {"Content-Type": "application/pdf"}, content=pdf())
    assert response.status_code < 300, response.text
    body = {
        "entity_id": "ent_1",
        "document_ids": [made["id"]],
        "signers": [{"stakeholder_id": "stk_ana", "name": "Ana Paz", "email": ANA}],
    }

    def envelope(*, send: bool) -> Any:
        draft = estate.ok("POST", "/v1/signing_envelopes", estate.organization, body)
        path = f"/v1/signing_envelopes/{draft['id']}"
        return estate.ok("POST", f"{path}/send", estate.organization) if send else draft

    sent, draft, spare = envelope(send=True), envelope(send=False), envelope(send=True)
    signer, spare_signer = (UUID(hex=it["signers"][0]["id"].removeprefix("sgn_")) for it in (sent, spare))
    state = estate.world.run(estate.world.deps.ledger.state(Envelope, UUID(hex=sent["id"].removeprefix("env_"))))
    assert state is not None
    consent = estate.ok(
        "POST",
        "/v1/consents/esra",
        estate.organization,
        {"stakeholder_id": "stk_ana", "hardware_capability_affirmed": True, "paper_copy_request_method": "By mail."},
    )
    estate.ids |= {
        "library": made["id"],
        "envelope": sent["id"],
        "envelope_signer": sent["signers"][0]["id"],
        "envelope_draft": draft["id"],
        "spare_envelope": spare["id"],
        "session": typed_id("sgs", signer),
        "session_document": str(state.documents[0].id),
        "spare_session": typed_id("sgs", spare_signer),
        "event": _event(estate, signer),
        "consent": consent["id"] if "id" in consent else consent["consent_id"],
    }
    estate.tokens |= {
        "session": estate.token_of(signer),
        "session_document": estate.token_of(signer),
        "spare_session": estate.token_of(spare_signer),
        "spare_envelope": estate.token_of(spare_signer),
    }
    estate.people["ana"] = estate.person("user_ana", ANA)


def _event(estate: Estate, stream: UUID) -> str:
    """The id of the event that a stream's first entry is."""
    entry = estate.world.run(estate.world.deps.recorder.read_stream(stream))[0]
    return f"evt_{event_id(decode(entry.raw).at, leaf_hash(entry.raw))}"


def absent(ids: Ids) -> dict[str, str]:
    """Ids of the same forms that nothing has."""
    made = {}
    for name, id in ids.items():
        if id.isdigit() and name != "version":
            made[name] = str(int(id) + 7_000_000_000)
        elif name == "process":
            made[name] = f"{uuid4()}-{uuid4()}"
        elif "_" in id and len(id.rpartition("_")[2]) == 32:
            made[name] = f"{id.rpartition('_')[0]}_{uuid4().hex}"
        elif "_" in id:
            prefix, _, rest = id.rpartition("_")
            made[name] = f"{prefix}_{'0' * len(rest)}"
        elif len(id) == 36:
            made[name] = str(uuid4())
        else:
            made[name] = id
    return made
