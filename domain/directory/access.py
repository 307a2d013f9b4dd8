"""What a user may do, merged from all of the user's appointments. Pure, so that every surface merges alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from domain.directory.facts import Module, Tier, Tiers, VaultRight

FULL_TIERS: Final = Tiers(Tier.FULL, Tier.FULL, Tier.FULL, Tier.FULL, Tier.FULL)


@dataclass(frozen=True, slots=True)
class Place:
    """A location and the organization that it belongs to."""

    organization: UUID
    location: UUID


@dataclass(frozen=True, slots=True)
class Grant:
    """One manager appointment. `locations` are those it is about; None is all of its organization, later ones too."""

    organization: UUID
    tiers: Tiers
    vault: frozenset[VaultRight] = frozenset()
    locations: frozenset[UUID] | None = None

    def covers(self, place: Place) -> bool:
        """Whether the tiers count at `place`."""
        return self.organization == place.organization and (self.locations is None or place.location in self.locations)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where somebody has access: everywhere in the tenant, in whole organizations, and at single locations."""

    everywhere: bool = False
    organizations: frozenset[UUID] = frozenset()
    locations: frozenset[UUID] = frozenset()

    def covers(self, place: Place) -> bool:
        return self.everywhere or place.organization in self.organizations or place.location in self.locations


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody may do. An administrator may do everything in the tenant and mode; else the grants count."""

    admin: bool = False
    grants: tuple[Grant, ...] = ()

    @property
    def manager(self) -> bool:
        """Whether somebody is a manager anywhere, whatever the tiers."""
        return bool(self.grants)

    @property
    def as_manager(self) -> "Access":
        """What the manager appointments alone give."""
        return Access(grants=self.grants)

    def tier(self, module: Module, place: Place | None = None) -> Tier:
        """The highest tier of `module` at `place`, or anywhere if no place is given.

        A tier counts for the locations of its own appointment alone: who may write here and read there
        may not write there.
        """
        if self.admin:
            return Tier.FULL
        counting = (grant for grant in self.grants if place is None or grant.covers(place))
        return highest(grant.tiers.of(module) for grant in counting)

    def tiers(self, place: Place | None = None) -> Tiers:
        """As `tier`, for every module."""
        return Tiers(*(self.tier(module, place) for module in Module))

    def allows(self, module: Module, at_least: Tier, place: Place | None = None) -> bool:
        """Whether the tier of `module` is `at_least` that high, at `place` or anywhere."""
        return self.tier(module, place).rank >= at_least.rank

    @property
    def vault(self) -> frozenset[VaultRight]:
        """The rights in the vault of all appointments together; an administrator has all."""
        return frozenset(VaultRight) if self.admin else frozenset().union(*(grant.vault for grant in self.grants))

    def scope(self, *modules: Module, at_least: Tier = Tier.READ) -> Scope:
        """Where one of `modules`, or any module if none is given, has a tier `at_least` that high."""
        wanted = modules or tuple(Module)
        counting = [grant for grant in self.grants if any(grant.tiers.of(each).rank >= at_least.rank for each in wanted)]
        return Scope(
            self.admin,
            frozenset(grant.organization for grant in counting if grant.locations is None),
            frozenset(location for grant in counting for location in grant.locations or ()),
        )

    def __or__(self, other: "Access") -> "Access":
        """Both together."""
        return Access(self.admin or other.admin, (*self.grants, *other.grants))


NO_ACCESS: Final = Access()


def highest(tiers: Iterable[Tier]) -> Tier:
    """The highest of `tiers`; none without any."""
    return max(tiers, key=lambda tier: tier.rank, default=Tier.NONE)
