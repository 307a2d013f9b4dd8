"""The address in the evidence is the connection's, whatever a client writes into headers."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

from infrastructure.database import async_pool
from infrastructure.vault import Vault
from tests.e2e.servers import Site, site, someone


async def _addresses(where: Site, participant: UUID) -> set[Any]:
    async with async_pool(where.urls.service, max_size=1) as pool:
        opened = await Vault(pool, where.keys).open_entries([participant])
    return {found.value for place, found in opened.items() if place.path == "/provenance/ip"}


def test_a_served_process_believes_no_forwarded_address_unless_it_is_told_to(data_folder: Path) -> None:
    with site(data_folder) as where:
        partner = where.partner(where.start("serve"))
        document = partner.publish(partner.template(), someone())
        [participant] = document.participants
        headers = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "Forwarded": "for=198.51.100.7"}
        signed = partner.complete(participant, partner.token(document.id, participant), headers=headers)
        assert signed.status_code == 200, signed.text
        assert signed.json()["acknowledgement"]["provenance"]["ip_source"] == "socket"
        assert asyncio.run(_addresses(where, participant)) == {"127.0.0.1"}
