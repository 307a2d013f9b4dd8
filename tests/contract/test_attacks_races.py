"""Requests of managers at the same moment: none gets what it would be refused a moment later."""

from collections import Counter

import pytest

from tests.contract.partner_world import World
from tests.contract.signing_world import dealership, together

pytest_plugins = ["tests.contract.partner_fixtures"]

SIGNINGS = "/v1/signing/manager/signings"


@pytest.mark.parametrize("same", [True, False])
def test_signers_added_at_once_are_different_people(world: World, same: bool) -> None:
    dealers = dealership(world)
    manager = dealers.manager("user_manager", signings="write")
    package = manager("POST", SIGNINGS, {"locationId": dealers.location("north")}).body["signing"]["id"]

    def add(number: int) -> int:
        email = "kim@mail.example" if same else f"kim{number}@mail.example"
        return manager("POST", f"{SIGNINGS}/{package}/signers", {"fullName": "Kim", "email": email}).status

    statuses = Counter(together(*(lambda number=number: add(number) for number in range(4))))
    added = len(manager("GET", f"{SIGNINGS}/{package}").body["signers"])
    assert (added, statuses) == ((1, {201: 1, 409: 3}) if same else (4, {201: 4}))
