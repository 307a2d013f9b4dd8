"""What identity is about: tenants, credentials, and who a token names."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from domain.actor import Mode

Method = Literal["KEY", "HMAC"]
Status = Literal["ACTIVE", "REVOKED"]


class UnknownTenant(LookupError):
    """There is no tenant with this id."""


class TenantNameUnusable(ValueError):
    """A tenant's name is one line of 1 to 200 characters: it stands in invitations."""


class NotLimited(LookupError):
    """The tenant has no balance to add to."""


class BalanceOutOfRange(ValueError):
    """A balance is from 0 to 2^63-1."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """`balance` is the credits left; None is unlimited."""

    id: UUID
    name: str
    created_at: datetime
    balance: int | None


@dataclass(frozen=True, slots=True)
class PartnerKey:
    """A tenant's credential for the partner surface; `id` is `pk_` and a ULID."""

    id: str
    tenant: UUID
    method: Method
    status: Status
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewPartnerKey:
    """A partner credential just made, with the secret that is shown this once."""

    key: PartnerKey
    secret: str


@dataclass(frozen=True, slots=True)
class OrganizationKey:
    """A credential of the sessions surface; `id` is `ok_` and a ULID."""

    id: str
    tenant: UUID
    mode: Mode


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a token of the local issuer names; `administrator` tells whether it is one of `tenant`."""

    subject: str
    tenant: UUID
    administrator: bool


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who a token of the local issuer lets administer `tenant`."""

    subject: str
    tenant: UUID


@dataclass(frozen=True, slots=True)
class Credential:
    """Any credential, as a list shows it: without its secret, which nobody can look up."""

    id: str
    tenant: UUID
    kind: str
    mode: Mode
    method: Method
    status: Status
    created_at: datetime
    updated_at: datetime
