"""What is called how: one table for each closed set of words that facts use."""

from collections.abc import Mapping
from typing import Final

from domain.actor import ActorKind, AddressSource, IdentityMethod
from domain.envelope import FailureReason
from domain.seal import Obstacle
from domain.signing import BounceReason, Channel, SignatureMethod

ACTORS: Final[Mapping[str, str]] = {
    ActorKind.PARTNER_KEY: "a partner's credential",
    ActorKind.PROJECT_KEY: "a project's key",
    ActorKind.ORGANIZATION_KEY: "an organization's key",
    ActorKind.USER: "a person who had signed in",
    ActorKind.ADMINISTRATOR: "an administrator",
    ActorKind.SIGNER: "whoever held the signer's session",
    ActorKind.FOLLOWER: "the server itself",
    ActorKind.OPERATOR: "an operator at the server's terminal",
}
IDENTITIES: Final[Mapping[IdentityMethod, str]] = {
    IdentityMethod.TOKEN: "by the token of the invitation or of the session alone",
    IdentityMethod.OTP_EMAIL: "by a one-time code sent by e-mail",
    IdentityMethod.OTP_SMS: "by a one-time code sent by text message",
    IdentityMethod.OIDC: "by signing in at an identity provider",
    IdentityMethod.PASSWORD: "by signing in with a password",
    IdentityMethod.AGENT: "as an agent, not in person",
}
SOURCES: Final[Mapping[AddressSource, str]] = {
    AddressSource.SOCKET: "the address of the connection",
    AddressSource.TRUSTED_PROXY: "as a proxy of the server reported it",
    AddressSource.CLAIMED: "as claimed by the client",
}
CHANNELS: Final[Mapping[Channel, str]] = {Channel.EMAIL: "e-mail", Channel.SMS: "text message"}
FAILURES: Final[Mapping[FailureReason, str]] = {
    FailureReason.DECLINED: "declined",
    FailureReason.ATTEMPTS_EXHAUSTED: "the permitted attempts were used up",
}
BOUNCES: Final[Mapping[BounceReason, str]] = {
    BounceReason.NO_ADDRESS: "there is no address",
    BounceReason.REFUSED: "the mail system refused it",
    BounceReason.UNREACHABLE: "the mail system could not be reached",
    BounceReason.ERASED: "the address was erased",
}
METHODS: Final[Mapping[SignatureMethod, str]] = {
    SignatureMethod.TYPED: "by a typed name",
    SignatureMethod.DRAWN: "by a drawn signature",
    SignatureMethod.CLICKED: "by a click",
}
OBSTACLES: Final[Mapping[Obstacle, str]] = {
    Obstacle.NO_AUTHORITY: "no time-stamping authority is configured",
    Obstacle.NOT_STAMPED: "the time-stamping authority gave no time stamp that can be believed",
    Obstacle.NO_MATERIAL: "certificates or lists of revocations are missing",
    Obstacle.NOT_ARCHIVED: "the authority stamped the signature, but not the file with what validates it",
}
