"""What several appointments allow together."""

from hypothesis import given
from hypothesis import strategies as st

from domain.directory import FULL_TIERS, NO_ACCESS, Access, Grant, Module, Place, Tier, Tiers, VaultRight
from tests.given import uid

organizations = st.integers(1, 2).map(uid)
locations = st.integers(10, 12).map(uid)
# A location belongs to one organization: 10 and 11 to the first, 12 to the second.
places = st.sampled_from([Place(uid(1), uid(10)), Place(uid(1), uid(11)), Place(uid(2), uid(12))])
PLACES = {uid(1): (uid(10), uid(11)), uid(2): (uid(12),)}
tiers = st.builds(Tiers, *[st.sampled_from(Tier)] * len(Module))
rights = st.frozensets(st.sampled_from(VaultRight))
grants = organizations.flatmap(
    lambda whose: st.builds(Grant, st.just(whose), tiers, rights, st.none() | st.frozensets(st.sampled_from(PLACES[whose])))
)
accesses = st.builds(Access, st.booleans(), st.lists(grants, max_size=4).map(tuple))
modules = st.sampled_from(Module)


@given(st.lists(grants, min_size=1, max_size=4), modules, places)
def test_the_highest_tier_of_the_appointments_about_a_place_counts_there(held: list[Grant], module: Module, place: Place) -> None:
    access = Access(grants=tuple(held))
    about = [
        each.tiers.of(module)
        for each in held
        if each.organization == place.organization and (each.locations is None or place.location in each.locations)
    ]
    assert access.tier(module, place) in {*about, Tier.NONE}
    assert all(access.tier(module, place).rank >= tier.rank for tier in about)
    assert (access.tier(module, place) is Tier.NONE) is all(tier is Tier.NONE for tier in about)


@given(accesses, accesses, modules, st.none() | places)
def test_another_appointment_never_takes_anything_away(one: Access, other: Access, module: Module, place: Place | None) -> None:
    both = one | other
    assert both.tier(module, place).rank == max(one.tier(module, place).rank, other.tier(module, place).rank)
    assert both.vault == one.vault | other.vault
    assert (other | one).tiers(place) == both.tiers(place)
    assert (one | NO_ACCESS).tiers(place) == (one | one).tiers(place) == one.tiers(place)


@given(accesses, modules, st.sampled_from(Tier), places)
def test_a_scope_covers_the_places_where_the_tier_is_held(access: Access, module: Module, tier: Tier, place: Place) -> None:
    if tier is not Tier.NONE:
        assert access.scope(module, at_least=tier).covers(place) is access.allows(module, tier, place)
    assert not access.allows(module, tier, place) or access.allows(module, tier)


@given(accesses, places)
def test_a_scope_of_several_modules_covers_where_any_is_held(access: Access, place: Place) -> None:
    any_held = any(access.allows(module, Tier.READ, place) for module in Module)
    assert access.scope().covers(place) is access.scope(*Module).covers(place) is any_held


@given(accesses, st.none() | places)
def test_an_administrator_may_do_everything_everywhere(access: Access, place: Place | None) -> None:
    admin = access | Access(admin=True)
    assert admin.tiers(place) == FULL_TIERS
    assert admin.vault == frozenset(VaultRight)
    assert admin.scope(at_least=Tier.FULL).everywhere
    assert admin.as_manager.tiers(place) == access.as_manager.tiers(place)


def test_who_may_write_here_and_read_there_may_not_write_there() -> None:
    here, there = Place(uid(1), uid(10)), Place(uid(1), uid(11))
    access = Access(
        grants=(
            Grant(uid(1), Tiers(signings=Tier.WRITE), locations=frozenset([here.location])),
            Grant(uid(1), Tiers(signings=Tier.READ), frozenset([VaultRight.SHARE_DEAL])),
        )
    )
    assert access.tier(Module.SIGNINGS, here) is Tier.WRITE
    assert access.tier(Module.SIGNINGS, there) is Tier.READ
    assert access.tier(Module.SIGNINGS) is Tier.WRITE
    assert access.scope(Module.SIGNINGS, at_least=Tier.WRITE).locations == {here.location}
    assert access.tier(Module.SIGNINGS, Place(uid(2), here.location)) is Tier.NONE
    assert (access.manager, access.vault) == (True, frozenset([VaultRight.SHARE_DEAL]))


def test_nobody_in_particular_may_do_nothing() -> None:
    assert NO_ACCESS.tiers() == Tiers()
    assert (NO_ACCESS.manager, NO_ACCESS.admin, NO_ACCESS.vault) == (False, False, frozenset())
    assert not NO_ACCESS.allows(Module.SIGNINGS, Tier.READ)
