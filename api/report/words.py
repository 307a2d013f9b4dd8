"""Facts in words: what happened, to whom, and how it was observed. Nothing is said that the fact does not hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID

from domain.actor import ActorKind, AddressSource, IdentityMethod, Provenance
from domain.canonical import Json, canonical
from domain.envelope import (
    CertificateIssued,
    DeadlineExtended,
    DocumentAdded,
    DocumentExecuted,
    EnvelopeCancelled,
    EnvelopeCompleted,
    EnvelopeCreated,
    EnvelopeDeclined,
    EnvelopeExpired,
    EnvelopeFact,
    EnvelopeFailed,
    EnvelopeSent,
    FailureReason,
    OrderMode,
    ParticipantAdded,
    ParticipantCompleted,
    ParticipantFailed,
    SealRenewed,
)
from domain.personal import Personal
from domain.signing import (
    BounceReason,
    Channel,
    ConsentGiven,
    DocumentAssigned,
    DocumentSigned,
    DocumentViewed,
    FieldsFilled,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    Invited,
    OtpFailed,
    OtpSent,
    OtpVerified,
    ProcessCreated,
    SessionOpened,
    SignatureMethod,
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFact,
    SigningFailed,
    Started,
)

#: A value typed by a person may be of any length; a report shows its beginning.
MAX_SHOWN: Final = 2_000

_ACTORS: Final[Mapping[str, str]] = {
    ActorKind.PARTNER_KEY: "a partner's credential",
    ActorKind.PROJECT_KEY: "a project's key",
    ActorKind.ORGANIZATION_KEY: "an organization's key",
    ActorKind.USER: "a person who had signed in",
    ActorKind.ADMINISTRATOR: "an administrator",
    ActorKind.SIGNER: "whoever held the signer's session",
    ActorKind.FOLLOWER: "the server itself",
    ActorKind.OPERATOR: "an operator at the server's terminal",
}
_IDENTITIES: Final[Mapping[IdentityMethod, str]] = {
    IdentityMethod.TOKEN: "by the token of the invitation or of the session alone",
    IdentityMethod.OTP_EMAIL: "by a one-time code sent by e-mail",
    IdentityMethod.OTP_SMS: "by a one-time code sent by text message",
    IdentityMethod.OIDC: "by signing in at an identity provider",
    IdentityMethod.PASSWORD: "by signing in with a password",
    IdentityMethod.AGENT: "as an agent, not in person",
}
_SOURCES: Final[Mapping[AddressSource, str]] = {
    AddressSource.SOCKET: "the address of the connection",
    AddressSource.TRUSTED_PROXY: "as a proxy of the server reported it",
    AddressSource.CLAIMED: "as claimed by the client",
}
_CHANNELS: Final[Mapping[Channel, str]] = {Channel.EMAIL: "e-mail", Channel.SMS: "text message"}
_FAILURES: Final[Mapping[FailureReason, str]] = {
    FailureReason.DECLINED: "declined",
    FailureReason.ATTEMPTS_EXHAUSTED: "the permitted attempts were used up",
}
_BOUNCES: Final[Mapping[BounceReason, str]] = {
    BounceReason.NO_ADDRESS: "there is no address",
    BounceReason.REFUSED: "the mail system refused it",
    BounceReason.UNREACHABLE: "the mail system could not be reached",
    BounceReason.ERASED: "the address was erased",
}
_METHODS: Final[Mapping[SignatureMethod, str]] = {
    SignatureMethod.TYPED: "by a typed name",
    SignatureMethod.DRAWN: "by a drawn signature",
    SignatureMethod.CLICKED: "by a click",
}


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A personal value that the bundle discloses."""

    value: Json


@dataclass(frozen=True, slots=True)
class Withheld:
    """A personal value that exists and is left out."""


@dataclass(frozen=True, slots=True)
class Erased:
    """A personal value that was destroyed; the entry at `position` says so."""

    position: int


#: What became of a personal value. One that has none of these is missing, and nothing says why.
Shown = Disclosed | Withheld | Erased


def spell(value: Json) -> str:
    """A value as people read it: a text as it is, anything else as JSON, cut where it is very long."""
    text = value if isinstance(value, str) else canonical(value).decode()
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(text):,} characters)"


def moment(at: datetime) -> str:
    """A time in UTC, to the microsecond as it was recorded."""
    return f"{at:%Y-%m-%d %H:%M:%S.%f} UTC"


@dataclass(frozen=True, slots=True)
class Wording:
    """Puts the facts of one envelope into words.

    `personal` tells by commitment what became of a value; `names` are the participants' and `titles` the documents', by id.
    """

    personal: Mapping[str, Shown]
    names: Mapping[UUID, str]
    titles: Mapping[UUID, str]

    def value(self, personal: Personal) -> str:
        """A personal value, or why it is not there."""
        shown = self.personal.get(personal.commitment)
        match shown:
            case Disclosed(value):
                # So that a name cannot be taken for the word that one is withheld.
                return f"“{text}”" if (text := spell(value)).startswith("[") else text
            case Withheld():
                return "[withheld]"
            case Erased(position):
                return f"[erased by entry {position}]"
            case None:
                return "[missing]"
            case _ as unreachable:
                assert_never(unreachable)

    def who(self, participant: UUID) -> str:
        return self.names.get(participant, f"Participant {participant}")

    def document(self, id: UUID) -> str:
        return self.titles.get(id, f"Document {id}")

    def actor(self, by: Mapping[str, Json]) -> str:
        """Who recorded it: the kind of credential and its id."""
        kind = str(by.get("kind"))
        return f"{_ACTORS.get(kind, kind)} ({by.get('id')})"

    def observed(self, provenance: Provenance) -> str:
        """How the participant was recognised, and what was seen of the connection."""
        parts = [f"Recognised {_IDENTITIES[provenance.identity]}."]
        if provenance.ip is None:
            parts.append("No address was observed.")
        else:
            source = "" if provenance.ip_source is None else f", {_SOURCES[provenance.ip_source]}"
            parts.append(f"From {self.value(provenance.ip)}{source}.")
        if provenance.user_agent is not None:
            parts.append(f"The browser called itself: {self.value(provenance.user_agent)}.")
        if provenance.client is not None:
            parts.append(f"The client said of itself: {self.value(provenance.client)}.")
        return " ".join(parts)

    def of_envelope(self, fact: EnvelopeFact) -> str:
        """What happened to the envelope."""
        match fact:
            case EnvelopeCreated():
                order = "one after the other" if fact.order is OrderMode.SEQUENTIAL else "in any order"
                deadline = "without a deadline" if fact.deadline is None else f"until {moment(fact.deadline)}"
                count = f"{_count(len(fact.documents), 'document')} and {_count(len(fact.participants), 'participant')}"
                return f"The envelope was created with {count}, who sign {order}, {deadline}."
            case DocumentAdded():
                whose = ", ".join(map(self.who, fact.participants)) or "nobody yet"
                return f"{self.document(fact.document.id)} was added, to be signed by {whose}."
            case ParticipantAdded():
                return f"{self.who(fact.slot.participant)} was added as a participant."
            case EnvelopeSent():
                return "The envelope was sent."
            case ParticipantCompleted():
                return f"The envelope noted that {self.who(fact.participant)} has completed."
            case ParticipantFailed():
                return f"The envelope noted that {self.who(fact.participant)} will not sign: {_FAILURES[fact.reason]}."
            case DeadlineExtended():
                return f"The deadline was moved to {moment(fact.deadline)}."
            case DocumentExecuted():
                return f"The executed form of {self.document(fact.document)} was stored, SHA-256 {fact.sha256}."
            case CertificateIssued():
                return f"The certificate of completion was stored, SHA-256 {fact.sha256}."
            case SealRenewed():
                what = "the certificate of completion" if fact.document is None else self.document(fact.document)
                return f"The seal of {what} was renewed by a time stamp of {moment(fact.stamped_at)}, SHA-256 {fact.sha256}."
            case EnvelopeCompleted():
                return "The envelope was completed."
            case EnvelopeDeclined():
                return f"The envelope ended because {self.who(fact.participant)} declined."
            case EnvelopeCancelled():
                return f"The envelope was cancelled.{self._reason(fact.reason)}"
            case EnvelopeExpired():
                return "The envelope expired: its deadline had passed."
            case EnvelopeFailed():
                return "The envelope failed."
            case _ as unreachable:
                assert_never(unreachable)

    def of_signing(self, participant: UUID, fact: SigningFact) -> str:
        """What happened in the signing of one participant."""
        who = self.who(participant)
        match fact:
            case ProcessCreated():
                count = _count(len(fact.documents), "document")
                return f"The signing of {who} was prepared, with {count} to sign."
            case DocumentAssigned():
                return f"{self.document(fact.document.id)} was given to {who} to sign."
            case Invited():
                return f"{who} was invited, with a token that is valid until {moment(fact.invitation.expires_at)}."
            case InvitationResent():
                until = moment(fact.invitation.expires_at)
                return (
                    f"{who} was invited again, with a new token that is valid until {until}; the one before it no longer works."
                )
            case InvitationDelivered():
                channel = _CHANNELS[fact.channel]
                return f"The invitation of {who} by {channel} was taken by the next mail system; that it was read is not known."
            case InvitationBounced():
                return f"The invitation of {who} could not be handed over: {_BOUNCES[fact.reason]}."
            case SessionOpened():
                user = self.value(fact.user)
                return f"{who} opened a signing session, having signed in as {user} at {moment(fact.signed_in_at)}."
            case Started():
                return f"{who} began to sign."
            case DocumentViewed():
                return f"{who} was shown {self.document(fact.document)}, SHA-256 {fact.sha256}."
            case OtpSent():
                return f"A one-time code was sent to {who} by {_CHANNELS[fact.channel]}, valid until {moment(fact.expires_at)}."
            case OtpVerified():
                return f"{who} entered the one-time code."
            case OtpFailed():
                return f"A wrong one-time code was entered for {who}; failed attempt {fact.attempt}."
            case ConsentGiven():
                return f"{who} consented to the disclosure with SHA-256 {fact.text_sha256}, shown in {fact.locale}."
            case FieldsFilled():
                return f"{who} filled in {_count(len(fact.values), 'field')}."
            case DocumentSigned():
                return self._signed(who, fact)
            case SigningCompleted():
                return f"{who} completed signing."
            case SigningDeclined():
                return f"{who} declined to sign.{self._reason(fact.reason)}"
            case SigningFailed():
                return f"The signing of {who} failed: {_FAILURES[fact.reason]}."
            case SigningCancelled():
                return f"The signing of {who} was cancelled."
            case SigningExpired():
                return f"The signing of {who} expired."
            case _ as unreachable:
                assert_never(unreachable)

    def _signed(self, who: str, fact: DocumentSigned) -> str:
        said = "" if fact.attestation is None else f" The accepted statement: {self.value(fact.attestation)}"
        drawn = "" if fact.image is None else f" The drawn signature: {self._picture(fact.image)}"
        return f"{who} signed {self.document(fact.document)}, SHA-256 {fact.sha256}, {_METHODS[fact.method]}.{said}{drawn}"

    def _picture(self, image: Personal) -> str:
        """Where a picture is, since it is nothing to be read."""
        disclosed = isinstance(self.personal.get(image.commitment), Disclosed)
        return "as a data URI in disclosures.jsonl" if disclosed else self.value(image)

    def _reason(self, reason: Personal | None) -> str:
        return "" if reason is None else f" The reason given: {self.value(reason)}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
