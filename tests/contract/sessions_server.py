"""An organization on the running server of the contract tests, over HTTP as its clients are."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.actor import Mode
from domain.signing import Signing
from tests.contract.partner_world import World, pdf

Json = Any


@dataclass(frozen=True)
class Organization:
    """A fresh organization with a key for test mode."""

    world: World
    tenant: UUID
    secret: str

    @classmethod
    def of(cls, world: World) -> "Organization":
        tenant = world.run(world.deps.identity.create_tenant("Acme"))
        _, secret = world.run(world.deps.identity.create_organization_key(tenant, Mode.TEST))
        return cls(world, tenant, secret)

    def __call__(self, method: str, path: str, body: Json = None) -> Json:
        """The answer's body, of a request that must succeed."""
        headers = {"Authorization": f"Bearer {self.secret}"}
        response = self.world.http.request(method, f"{self.world.url}{path}", json=body, headers=headers)
        assert response.status_code < 300, response.text
        return response.json()

    def sent(self, *emails: str) -> Json:
        """An envelope of one document that is sent, for people with these addresses."""
        document = self("POST", "/v1/documents", {"entity_id": "ent_1", "type": "nda"})
        assert self.world.http.put(document["upload_url"], content=pdf()).status_code == 200
        signers = [{"email": email} for email in emails or ("ana@example.com",)]
        body = {"entity_id": "ent_1", "document_ids": [document["id"]], "signers": signers}
        draft = self("POST", "/v1/signing_envelopes", body)
        return self("POST", f"/v1/signing_envelopes/{draft['id']}/send")

    def token(self, signer: Json) -> str:
        """The token of a signer's latest invitation."""
        participant = UUID(hex=signer["id"].removeprefix("sgn_"))
        state = self.world.run(self.world.deps.ledger.state(Signing, participant))
        assert state is not None
        assert state.invitation is not None
        return self.world.deps.invitations.token(state.invitation.id)
