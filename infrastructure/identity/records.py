"""What identity is about: tenants, credentials, and who a token names."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from domain.actor import Mode

Method = Literal["KEY", "HMAC"]
Status = Literal["ACTIVE", "REVOKED"]


class KeyKind(StrEnum):
    """Keys of which a tenant may have many, each of one mode, told apart by their prefix."""

    PROJECT = "project"
    ORGANIZATION = "organization"


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
class ApiKey:
    """A key of one mode: `pj_` and a ULID is a project's (`ck_...`), `ok_` and a ULID an organization's (`sk_...`)."""

    id: str
    tenant: UUID
    kind: KeyKind
    mode: Mode


#: An ApiKey of the kind ORGANIZATION.
OrganizationKey = ApiKey


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made, with the secret that is shown this once."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """A person who signed in at an issuer, as the issuer's token says.

    `id` is a pseudonym made of tenant, issuer and subject (`usr_` and 32 hex digits): it may stand in an
    entry, where `subject`, which some issuers make of an e-mail address, may not. `email` is None unless
    the issuer has verified it. `signed_in_at` is when the person last proved who they are (`auth_time`),
    `token_id` names the token (`jti`); both are None where the issuer does not say.
    """

    tenant: UUID
    mode: Mode
    issuer: str
    subject: str
    email: str | None
    name: str | None
    signed_in_at: datetime | None
    token_id: str | None
    id: str


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
