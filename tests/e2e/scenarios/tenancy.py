"""A customer who uses all four products: one tenant of a running server, with a live credential of each surface."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from domain.actor import Mode
from infrastructure.identity import KeyKind
from tests.contract import partner_world, signatures_world, signing_world
from tests.contract.partner_world import World
from tests.e2e.scenarios.calling import Caller, Json
from tests.e2e.scenarios.evidence import Event, recomputed
from tests.e2e.scenarios.mailbox import Mailbox
from tests.e2e.scenarios.words import Person

#: Where signatures go, in the text of what the signatures product sends out.
ANCHOR: Final = "{{sign_here}}"

#: The PDFs that are signed: through the signatures product one with the anchor in it, elsewhere a blank page.
PLAIN, RENDERED = partner_world.pdf(), signatures_world.pdf((f"Sign here: {ANCHOR}",))


@dataclass(frozen=True, slots=True)
class Timeline:
    """An envelope by what the log says of it. `number` is the position of its first entry."""

    envelope: UUID
    number: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The tenant's credentials; the directory has a location, a manager and an administrator.

    `template` and `render` are PDFs to be signed, as the partner and the signatures surface store them. No
    other surface takes PDFs for templates.
    """

    world: World
    mailbox: Mailbox
    tenant: UUID
    partner: Caller
    project: Caller
    organization: Caller
    template: UUID
    render: str

    @property
    def nobody(self) -> Caller:
        """Somebody without any credential but what a request shows of itself, on the sessions surface."""
        return Caller(self.world, "sessions", {})

    @property
    def page(self) -> Caller:
        """The browser that shows the signer's page."""
        return Caller(self.world, "signer", {})

    def person(self, person: Person, surface: str = "signing") -> Caller:
        """A person who signs in now, at an issuer that vouches for the e-mail address."""
        return self._signed_in(person.stakeholder, person.email, surface)

    def employee(self, subject: str) -> Caller:
        """Somebody whom the directory knows, who signs in now."""
        return self._signed_in(subject, None, "signing")

    def _signed_in(self, subject: str, email: str | None, surface: str) -> Caller:
        token = self.world.run(self._token(subject, email))
        return Caller(self.world, surface, {"Authorization": f"Bearer {token}"})

    async def _token(self, subject: str, email: str | None) -> str:
        return self.world.deps.identity.mint_user_token(self.tenant, subject, Mode.LIVE, timedelta(minutes=5), email)

    def head(self) -> int:
        """The position of the log's last entry."""
        found: int = self._ledger.done("GET", "/v1/ledger/head")["position"]
        return found

    @property
    def _ledger(self) -> Caller:
        return Caller(self.world, "ledger", self.organization.headers)

    def timeline(self, id: str) -> Timeline:
        """The process with that id in any surface's spelling, as the ledger's own surface shows it."""
        body = self._ledger.done("GET", f"/v1/ledger/timeline/{id}")
        events: Sequence[Json] = body["events"]
        return Timeline(UUID(body["envelopeId"]), events[0]["position"], recomputed(events))


#: Who works at the customer's: a manager, and an administrator, who may see what no location of the directory has.
MANAGER, ADMINISTRATOR = "user_manager", "user_administrator"


def tenancy(world: World, mailbox: Mailbox) -> Tenancy:
    """A fresh one."""
    tenant = world.run(world.deps.identity.create_tenant("Acme Ltd"))
    partner = world.run(world.deps.identity.create_partner_key(tenant, "KEY")).secret
    project, organization = (
        world.run(world.deps.identity.create_key(tenant, kind, Mode.LIVE)).secret
        for kind in (KeyKind.PROJECT, KeyKind.ORGANIZATION)
    )
    dealership = signing_world.dealership(world, tenant)
    dealership.manager(MANAGER, ("north",), signings="full", templates="full")
    dealership.admin(ADMINISTRATOR)
    of_partner = Caller(world, "partner", {"X-Tenant-Signly": str(tenant), "X-Auth-Signly": partner})
    of_project = Caller(world, "signatures", {"Authorization": f"Bearer {project}"})
    made = Tenancy(
        world,
        mailbox,
        tenant,
        of_partner,
        of_project,
        Caller(world, "sessions", {"Authorization": f"Bearer {organization}", "Matter-Version": "2026-06-10"}),
        _template(of_partner),
        of_project.done("POST", "/v1/renders", pdf=RENDERED)["id"],
    )
    _locate(made)
    return made


def _locate(tenancy: Tenancy) -> None:
    """Puts the template at the location, where its manager finds it."""
    administrator, base = tenancy.employee(ADMINISTRATOR), "/v1/signing/manager"
    (template,) = administrator.done("GET", f"{base}/templates")["templates"]
    north = next(it for it in administrator.done("GET", f"{base}/locations")["locations"] if it["name"] == "north")
    administrator.done("PATCH", f"{base}/templates/{template['id']}", {"locationId": north["id"]})


def _template(partner: Caller) -> UUID:
    template = partner.done("POST", "/v1/templates", {"templateName": "Agreement"})["data"]["templateId"]
    put(partner.world, partner.done("POST", f"/v1/templates/{template}/versions/1/upload-url")["data"]["uploadUrl"])
    return UUID(template)


def put(world: World, url: str) -> None:
    """Puts PLAIN to an upload URL."""
    stored = world.http.put(url, content=PLAIN, headers={"Content-Type": "application/pdf"})
    assert stored.status_code < 300, stored.text
