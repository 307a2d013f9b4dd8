"""Who may act for which tenant: credentials, administrators, users, and the credits a tenant has left."""

import hmac
import secrets
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from domain.actor import Mode
from infrastructure.clock import Clock
from infrastructure.identity.credentials import Credentials
from infrastructure.identity.records import (
    Administrator,
    ApiKey,
    BalanceOutOfRange,
    Bearer,
    Credential,
    KeyKind,
    Method,
    NewKey,
    NewPartnerKey,
    NotLimited,
    OrganizationKey,
    PartnerKey,
    Tenant,
    TenantNameUnusable,
    UnknownTenant,
    User,
)
from infrastructure.issuer import ADMINISTRATOR, ISSUER, LocalIssuer, UserClaims
from infrastructure.oidc import Oidc, OidcClaims
from infrastructure.secrets import Keys
from infrastructure.tokens import IssuerUnreachable, TokenExpired, TokenOfAnotherKind, TokenRefused, unverified

__all__ = [
    "Administrator",
    "ApiKey",
    "BalanceOutOfRange",
    "Bearer",
    "Credential",
    "Identity",
    "IssuerUnreachable",
    "KeyKind",
    "Method",
    "NewKey",
    "NewPartnerKey",
    "NotLimited",
    "OrganizationKey",
    "PartnerKey",
    "Tenant",
    "TenantNameUnusable",
    "TokenExpired",
    "TokenOfAnotherKind",
    "TokenRefused",
    "UnknownTenant",
    "User",
]


class Identity(Credentials):
    """All of it: tenants and credits, credentials, and whom a token names. `pool` is opened and closed by its owner."""

    def __init__(
        self,
        pool: AsyncConnectionPool,
        keys: Keys,
        clock: Clock,
        random: Callable[[int], bytes] = secrets.token_bytes,
        oidc: Oidc | None = None,
    ) -> None:
        super().__init__(pool, keys, clock, random)
        # Of the master key, which is never changed: the same person keeps the same pseudonym.
        self._pseudonym_key = keys.lookup
        self._issuer = LocalIssuer(keys, clock, random)
        self._oidc = oidc

    async def user(self, token: str) -> User:
        """The person whom a token of an issuer names.

        Raises TokenRefused (TokenExpired, TokenOfAnotherKind) for a token that does not hold now,
        IssuerUnreachable when nobody can tell.
        """
        shown = unverified(token)
        if self._oidc is None or shown.claims.get("iss") == ISSUER:
            local = self._issuer.verify_user_shown(shown)
            return self._user(local.tenant, local.mode, ISSUER, local)
        claims = await self._oidc.verify_shown(shown)
        return self._user(claims.by.tenant, claims.by.mode, claims.by.issuer, claims)

    def _user(self, tenant: UUID, mode: Mode, issuer: str, claims: UserClaims | OidcClaims) -> User:
        return User(
            tenant,
            mode,
            issuer,
            claims.subject,
            claims.email,
            claims.name,
            claims.signed_in_at,
            claims.token_id,
            self.pseudonym(tenant, issuer, claims.subject),
        )

    def pseudonym(self, tenant: UUID, issuer: str, subject: str) -> str:
        """`User.id` of a person: `usr_` and 32 hex digits. Without the installation's key it tells nothing of the person."""
        name = f"user/v1\n{tenant}\n{issuer}\n{subject}".encode()
        return f"usr_{hmac.digest(self._pseudonym_key, name, 'sha256').hex()[:32]}"

    def bearer(self, token: str) -> Bearer | None:
        """Whom a bearer token names; None unless it is the local issuer's and holds now."""
        try:
            claims = self._issuer.verify(token)
        except TokenRefused:
            return None
        return Bearer(claims.subject, claims.tenant, administrator=claims.role == ADMINISTRATOR)

    def administrator(self, token: str) -> Administrator | None:
        """The administrator whom a bearer token names, if it holds now."""
        try:
            return self.recognise_administrator(token)
        except TokenRefused:
            return None

    def recognise_administrator(self, token: str) -> Administrator:
        """As `administrator`; raises TokenRefused (TokenExpired, TokenOfAnotherKind) for any other token."""
        claims = self._issuer.verify(token)
        if claims.role != ADMINISTRATOR:
            raise TokenOfAnotherKind("not an administrator's")
        return Administrator(claims.subject, claims.tenant)

    def mint_user_token(
        self, tenant: UUID, subject: str, mode: Mode, lifetime: timedelta, email: str | None = None, name: str | None = None
    ) -> str:
        """A bearer token of a person who signed in now; ValueError for what would not be accepted (see `issuer`)."""
        return self._issuer.mint_user(subject, tenant, mode, lifetime, email, name)

    def mint_admin_token(self, tenant: UUID, lifetime: timedelta, subject: str = "local-administrator") -> str:
        """A bearer token for the administration of `tenant`; ValueError for a lifetime out of range (see `issuer`)."""
        return self._issuer.mint(subject, tenant, ADMINISTRATOR, lifetime)
