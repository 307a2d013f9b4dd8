"""Who gets which of an envelope's files, and what is said of those that are not there."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.coordination import Participate, RecordCertified, RecordExecuted
from domain.envelope import CertificateIssued, DocumentExecuted, OrderMode
from domain.signing import SignatureMethod, SignDocuments
from tests.contract.partner_world import SIGNER, World
from tests.contract.signing_world import Dealership, User, dealership, handle, user
from tests.running import Person, Running

pytest_plugins = ["tests.contract.partner_fixtures"]

JORDAN, ALEX = Person("Jordan Lee", "jordan@dealership.com"), Person("Alex Kim", "alex@dealership.com")


@pytest.fixture
def dealers(world: World) -> Dealership:
    return dealership(world)


def asked(caller: User, envelope: UUID) -> Any:
    response = caller.world.http.get(f"{caller.world.url}/v1/executions/{envelope}", headers=caller.headers)
    assert response.status_code == 200, response.text
    return response.json()


def test_who_only_signs_gets_the_documents_that_they_signed_and_no_certificate(dealers: Dealership) -> None:
    world = dealers.world
    running = Running(world.database, world.deps, world.clock, None, dealers.tenant)  # type: ignore[arg-type]
    command = running.creation(JORDAN, ALEX, documents=2, order=OrderMode.PARALLEL)
    lease, annex = command.created.documents
    jordan, alex = command.created.participants
    slots = replace(jordan, documents=(lease.id,)), alex
    own = {jordan.participant: command.processes[jordan.participant].documents[:1]}
    processes = {who: replace(process, documents=own.get(who, process.documents)) for who, process in command.processes.items()}
    handle(world, replace(command, created=replace(command.created, participants=slots), processes=processes))
    for slot in slots:
        sign = SignDocuments(slot.participant, None, SignatureMethod.TYPED, None, None, SIGNER)
        handle(world, Participate(command.envelope, sign))

    people = {"jordan": JORDAN, "alex": ALEX}
    seen = {name: user(world, dealers.tenant, f"user_{name}", str(who.email)) for name, who in people.items()}
    seen["admin"] = dealers.admin("root")
    before = asked(seen["admin"], command.envelope)
    assert (before["status"], before["reason"], before["documents"], before["certificate"]) == ("waiting", None, [], None)

    contents = {name: f"%PDF- {name} {command.envelope}".encode() for name in ("lease", "annex", "certificate")}
    stored = {name: world.run(world.deps.blobs.put(content)) for name, content in contents.items()}
    for document, name in ((lease, "lease"), (annex, "annex")):
        handle(world, RecordExecuted(command.envelope, DocumentExecuted(document.id, "0" * 64, stored[name])))
    assert asked(seen["admin"], command.envelope)["status"] == "waiting"
    handle(world, RecordCertified(command.envelope, CertificateIssued(stored["certificate"])))

    given: dict[str, list[str]] = {}
    for name, caller in seen.items():
        found = asked(caller, command.envelope)
        files = [*found["documents"], found["certificate"]]
        assert (found["status"], [file["sha256"] for file in files]) == ("done", list(stored.values()))
        assert [file["documentId"] for file in files] == [str(lease.id), str(annex.id), None]
        links = [file["downloadUrl"] for file in files if file["downloadUrl"] is not None]
        given[name] = [world.http.get(link).content.decode().split()[1] for link in links]
    assert given == {"jordan": ["lease"], "alex": ["lease", "annex"], "admin": ["lease", "annex", "certificate"]}
