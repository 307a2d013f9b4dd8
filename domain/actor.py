"""Who did it, and how what was observed came to be known."""

from dataclasses import dataclass
from enum import StrEnum

from domain.personal import Personal


class Mode(StrEnum):
    """Live and test data are separate worlds."""

    LIVE = "live"
    TEST = "test"


class ActorKind(StrEnum):
    """What authenticated the actor of a command."""

    PARTNER_KEY = "partner-key"
    PROJECT_KEY = "project-key"
    ORGANIZATION_KEY = "organization-key"
    USER = "user"
    ADMINISTRATOR = "administrator"
    SIGNER = "signer"
    FOLLOWER = "follower"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor of a command: the kind of credential and its identifier, never a person's name or address."""

    kind: ActorKind
    id: str


class AddressSource(StrEnum):
    """Where an IP address was read: the connection itself, a proxy that we trust, or the client's word."""

    SOCKET = "socket"
    TRUSTED_PROXY = "trusted-proxy"
    CLAIMED = "claimed"


class IdentityMethod(StrEnum):
    """How the participant was recognised."""

    TOKEN = "token"
    OTP_EMAIL = "otp-email"
    OTP_SMS = "otp-sms"
    OIDC = "oidc"
    PASSWORD = "password"
    AGENT = "agent"

    @property
    def signed_in(self) -> bool:
        """Whether the participant signed in as a person. Whoever has a token may have it from the participant."""
        return self in (IdentityMethod.OIDC, IdentityMethod.PASSWORD)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was observed of a participant's act, and how. What was not observed is None.

    `user_agent` and `client` are the client's own words.
    """

    identity: IdentityMethod
    ip: Personal | None = None
    ip_source: AddressSource | None = None
    user_agent: Personal | None = None
    client: Personal | None = None
