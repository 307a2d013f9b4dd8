"""What can have happened in an organization, and the words for it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from domain.actor import Mode
from domain.personal import Personal

#: The role that has every permission, for ever; an organization keeps at least one owner once it has one.
OWNER: Final = "owner"

#: The role of those who join without another; it has no permission to begin with.
MEMBER: Final = "member"

#: Locations of one appointment. So many ids fit into one entry (domain.entry) with room to spare.
MAX_SCOPE: Final = 500


class Module(StrEnum):
    """What a manager's work is divided into."""

    SIGNINGS = "signings"
    TEMPLATES = "templates"
    FLOWS = "flows"
    REPORTS = "reports"
    SETTINGS = "settings"


class Tier(StrEnum):
    """How far a manager may go in a module, each tier with what those before it allow."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    FULL = "full"

    @property
    def rank(self) -> int:
        """0 for none to 3 for full."""
        return _RANKS[self]


_RANKS: Final = {tier: rank for rank, tier in enumerate(Tier)}


class VaultRight(StrEnum):
    """What a manager may do with deals in the vault."""

    SHARE_DEAL = "shareDeal"
    CLAIM_DEAL = "claimDeal"


class Permission(StrEnum):
    """What a role of the organization lets its members change. Apart from a manager's tiers."""

    ORG_SETTINGS = "orgSettings"
    BRAND = "brand"
    LOCATIONS = "locations"
    ROLES = "roles"
    MEMBERS = "members"
    BILLING = "billing"


@dataclass(frozen=True, slots=True)
class Tiers:
    """A tier for each module."""

    signings: Tier = Tier.NONE
    templates: Tier = Tier.NONE
    flows: Tier = Tier.NONE
    reports: Tier = Tier.NONE
    settings: Tier = Tier.NONE

    def of(self, module: Module) -> Tier:
        tier: Tier = getattr(self, module.value)
        return tier


@dataclass(frozen=True, slots=True)
class OrganizationCreated:
    TYPE: ClassVar[str] = "organization.created/1"
    tenant: UUID
    mode: Mode
    name: Personal
    slug: Personal | None


@dataclass(frozen=True, slots=True)
class OrganizationRenamed:
    """What is None stays as it was."""

    TYPE: ClassVar[str] = "organization.renamed/1"
    name: Personal | None
    slug: Personal | None


@dataclass(frozen=True, slots=True)
class CompanyAdded:
    TYPE: ClassVar[str] = "organization.company-added/1"
    company: UUID
    name: Personal


@dataclass(frozen=True, slots=True)
class CompanyRenamed:
    TYPE: ClassVar[str] = "organization.company-renamed/1"
    company: UUID
    name: Personal


@dataclass(frozen=True, slots=True)
class LocationAdded:
    """Locations are shown in the order of `sort_order`, those of the same number as they were added."""

    TYPE: ClassVar[str] = "organization.location-added/1"
    location: UUID
    company: UUID | None
    sort_order: int
    name: Personal


@dataclass(frozen=True, slots=True)
class LocationRenamed:
    TYPE: ClassVar[str] = "organization.location-renamed/1"
    location: UUID
    name: Personal


@dataclass(frozen=True, slots=True)
class FlowDefined:
    """A way of walking people through a package, for the packages of one location."""

    TYPE: ClassVar[str] = "organization.flow-defined/1"
    flow: UUID
    location: UUID
    name: Personal
    steps: Personal | None
    active: bool


@dataclass(frozen=True, slots=True)
class FlowChanged:
    """What is None stays as it was; at least one is not."""

    TYPE: ClassVar[str] = "organization.flow-changed/1"
    flow: UUID
    name: Personal | None
    steps: Personal | None
    active: bool | None


@dataclass(frozen=True, slots=True)
class RoleDefined:
    """A role of the organization, new or changed; its permissions in the order of `Permission`."""

    TYPE: ClassVar[str] = "organization.role-defined/1"
    role: str
    permissions: tuple[Permission, ...]


@dataclass(frozen=True, slots=True)
class MemberJoined:
    """`user` is {"issuer": text, "subject": text}: who the identity provider says it is."""

    TYPE: ClassVar[str] = "organization.member-joined/1"
    member: UUID
    user: Personal
    email: Personal | None
    name: Personal | None
    role: str


@dataclass(frozen=True, slots=True)
class MemberRoleChanged:
    TYPE: ClassVar[str] = "organization.member-role-changed/1"
    member: UUID
    role: str


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """The member's appointments have ended before."""

    TYPE: ClassVar[str] = "organization.member-left/1"
    member: UUID


@dataclass(frozen=True, slots=True)
class ManagerAppointed:
    """`locations` are those that the tiers are about, in the order of their ids; None is the whole organization.

    `vault` is in the order of `VaultRight`.
    """

    TYPE: ClassVar[str] = "organization.manager-appointed/1"
    appointment: UUID
    member: UUID
    tiers: Tiers
    vault: tuple[VaultRight, ...]
    locations: tuple[UUID, ...] | None


@dataclass(frozen=True, slots=True)
class AdminAppointed:
    TYPE: ClassVar[str] = "organization.admin-appointed/1"
    appointment: UUID
    member: UUID


@dataclass(frozen=True, slots=True)
class AppointmentEnded:
    TYPE: ClassVar[str] = "organization.appointment-ended/1"
    appointment: UUID


DirectoryFact = (
    OrganizationCreated
    | OrganizationRenamed
    | CompanyAdded
    | CompanyRenamed
    | LocationAdded
    | LocationRenamed
    | FlowDefined
    | FlowChanged
    | RoleDefined
    | MemberJoined
    | MemberRoleChanged
    | MemberLeft
    | ManagerAppointed
    | AdminAppointed
    | AppointmentEnded
)
