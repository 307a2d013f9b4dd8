"""Which timelines a person sees: of packages they sign, of packages at their locations, all of them as an admin."""

import pytest

from domain.actor import Mode
from tests.contract.partner_world import World
from tests.contract.signing_world import Dealership, User, dealership, package, user
from tests.contract.test_signing_packages import FULL, JORDAN, draft, template
from tests.running import Person

pytest_plugins = ["tests.contract.partner_fixtures"]


@pytest.fixture
def dealers(world: World) -> Dealership:
    return dealership(world)


def timeline(caller: User, id: str) -> int:
    """The status of asking for a timeline; one that is shown begins with the envelope."""
    response = caller.world.http.get(f"{caller.world.url}/v1/ledger/timeline/{id}", headers=caller.headers)
    if response.status_code == 200:
        assert response.json()["events"][0]["type"].startswith("envelope.created/")
    return response.status_code


def test_a_package_shows_its_timeline_to_its_signers_its_managers_and_the_admin(dealers: Dealership) -> None:
    boss, source = dealers.manager("boss", **FULL), template(dealers)
    path = draft(boss, dealers)
    id = path.rpartition("/")[2]
    boss("POST", f"{path}/documents", {"templateId": source})
    boss("POST", f"{path}/signers", JORDAN)
    jordan = user(dealers.world, dealers.tenant, "user_jordan", "jordan@dealership.com")
    assert timeline(jordan, id) == 404  # a draft is nobody's assignment yet
    boss("POST", f"{path}/activate")
    seen = {
        "boss": boss,
        "admin": dealers.admin("root"),
        "reader": dealers.manager("reader", signings="read"),
        "signer": jordan,
        "southern": dealers.manager("southern", locations=("south",), **FULL),
        "without the tier": dealers.manager("flows", flows="full"),
        "member": dealers.member("clerk")[0],
        "stranger": user(dealers.world, dealers.tenant, "stranger", "stranger@dealership.com"),
        "of another mode": user(dealers.world, dealers.tenant, "user_jordan", "jordan@dealership.com", Mode.TEST),
    }
    assert [who for who, caller in seen.items() if timeline(caller, id) == 200] == ["boss", "admin", "reader", "signer"]
    assert {timeline(caller, id) for caller in seen.values()} == {200, 404}


def test_a_package_without_a_location_shows_its_timeline_to_its_signers_and_the_admin(dealers: Dealership) -> None:
    made = package(dealers.world, dealers.tenant, Person("Jordan Lee", "jordan@dealership.com"))
    assert timeline(dealers.admin("root"), str(made.envelope)) == 200
    assert timeline(user(dealers.world, dealers.tenant, "user_jordan", "jordan@dealership.com"), str(made.envelope)) == 200
    assert timeline(dealers.manager("boss", **FULL), str(made.envelope)) == 404
