"""The same scenarios on every surface, each looked at through all four; and processes that move from one to another."""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import Server
from tests.contract.partner_world import World, start
from tests.e2e.scenarios.drivers.driver import Act, When
from tests.e2e.scenarios.mailbox import Mailbox
from tests.e2e.scenarios.scenarios import SCENARIOS, SIGNED
from tests.e2e.scenarios.stage import Stage
from tests.e2e.scenarios.tenancy import Tenancy, tenancy
from tests.e2e.scenarios.words import SURFACES


@pytest.fixture(scope="module")
def world(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A whole server with its followers: it keeps its read models, sends mails and ends what is due by itself."""
    name = f"scenarios_{uuid4().hex[:12]}"
    with start(server.create(name, migrated_template), tmp_path_factory.mktemp("scenarios"), followers=True) as made:
        yield made
    server.drop(name)


@pytest.fixture(scope="module")
def customer(world: World) -> Tenancy:
    return tenancy(world, Mailbox(world.deps.settings.data / "outbox"))


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_goes_the_same_way_on_every_surface(customer: Tenancy, tmp_path: Path, name: str, surface: str) -> None:
    on = Stage(customer, surface)
    SCENARIOS[name](on)
    on.judge(tmp_path)


@pytest.mark.parametrize(("begun", "continued"), list(permutations(SURFACES, 2)))
def test_what_was_begun_on_one_surface_is_gone_on_with_on_another(
    customer: Tenancy, tmp_path: Path, begun: str, continued: str
) -> None:
    on = Stage(customer, begun)
    ana, bo = on.people
    on.begin(ordered=True)
    on.refused(Act.SIGN, When.NOT_YET, bo, through=continued)
    on.do(Act.VIEW, ana, through=continued)
    on.stands("viewed", started=[ana], waiting=[bo])
    on.do(Act.SIGN, ana, through=continued)
    on.stands("partially-signed", signed=[ana], invited=[bo])
    on.later(hours=2)
    on.do(Act.RESEND, bo, through=continued)
    assert on.mails(bo) == 2
    on.do(Act.VOID, through=continued)
    on.stands("voided", signed=[ana], voided=[bo])
    resent = ["process-created", "invited", "invitation-resent", "cancelled"]
    on.happened(["created", "sent", "participant-completed", "cancelled"], SIGNED, resent)
    on.judge(tmp_path)
