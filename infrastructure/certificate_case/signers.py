"""What a certificate tells of one participant."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

from domain.actor import ActorKind, IdentityMethod, Provenance
from domain.ids import event_id
from domain.personal import Personal
from domain.signing import (
    ConsentGiven,
    DocumentSigned,
    DocumentViewed,
    FieldsFilled,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    Invited,
    OtpFailed,
    OtpVerified,
    ProcessCreated,
    SessionOpened,
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFailed,
)
from infrastructure.certificate_case.circumstances import Circumstances
from infrastructure.pdf_drawing.case import Absent, Known, Signer, Timed, Told
from infrastructure.telling.happened import Happened
from infrastructure.telling.personal import Disclosed, Erased
from infrastructure.telling.picture import picture
from infrastructure.telling.sentences import counted
from infrastructure.telling.tables import ACTORS, BOUNCES, CHANNELS, FAILURES, IDENTITIES, METHODS, SOURCES
from infrastructure.telling.wording import Wording

F = TypeVar("F")

#: So many of a kind are told one by one with a signer; all are among the events.
NAMED: Final = 5

_OUTCOMES: Final[Mapping[type[object], str]] = {
    SigningCompleted: "Signed",
    SigningDeclined: "Declined",
    SigningFailed: "Failed",
    SigningCancelled: "Cancelled",
    SigningExpired: "Expired",
}

#: Who records that a stakeholder has consented.
_OF_THE_SENDER: Final = "recorded by the sender"

#: Who acts with these is a program.
_PROGRAMS: Final = frozenset((ActorKind.PARTNER_KEY, ActorKind.PROJECT_KEY, ActorKind.ORGANIZATION_KEY))


def signer(place: int, acts: Sequence[Happened], wording: Wording, beside: Circumstances) -> Signer:
    """The participant whose signing has the entries `acts`; `place` is its place in the envelope, from 1."""
    process = next((each.fact for each in acts if isinstance(each.fact, ProcessCreated)), None)
    decided = _decided(acts)
    signed = _all(acts, DocumentSigned)
    outcome, ended = _ended(acts, wording)
    return Signer(
        name=_name(process, place, wording),
        email=_email(process, wording),
        role=(process and process.role) or "",
        outcome=outcome,
        authentication=_authentication(acts, decided, wording),
        signature=_signature(signed),
        adopted=_adopted([fact for _, fact in signed], wording),
        address=_address(decided, wording),
        user_agent=_user_agent(decided, wording),
        sent=_sent(acts, wording),
        viewed=_viewed(acts, wording),
        consented=_consented(acts, beside),
        consent_text=_consent_text(acts, beside),
        ended=ended,
        reason=_reason(acts, wording),
        drawn=_drawn([fact for _, fact in signed], wording),
    )


def _all(acts: Sequence[Happened], kind: type[F]) -> list[tuple[Happened, F]]:
    return [(each, each.fact) for each in acts if isinstance(each.fact, kind)]


def _name(process: ProcessCreated | None, place: int, wording: Wording) -> str:
    if process is None:
        return f"Participant {place}"
    if _is_disclosed(process.name, wording):
        return wording.value(process.name)
    return f"Participant {place}, whose name is not stored any more"


def _email(process: ProcessCreated | None, wording: Wording) -> Told:
    if process is None:
        return Absent("this certificate cannot read how the process was created")
    if process.email is not None:
        return _value(process.email, wording)
    if process.phone is not None:
        return Absent(f"none was given; the telephone number is {wording.value(process.phone)}")
    return Absent("none was given")


def _value(personal: Personal, wording: Wording, source: str = "") -> Told:
    """A personal value, or the reason why it is not there."""
    shown = wording.personal.get(personal.commitment)
    if isinstance(shown, Disclosed):
        return Known(wording.value(personal), source)
    if isinstance(shown, Erased):
        return Absent("erased" if shown.position is None else f"erased by entry {shown.position} of the log")
    return Absent("not stored any more")


def _decided(acts: Sequence[Happened]) -> tuple[Happened, Provenance] | None:
    """The act by which the participant signed or declined, and what was observed of it; else the last of which something was."""
    observed = [(each, it) for each in acts if isinstance(it := getattr(each.fact, "provenance", None), Provenance)]
    decisive = [(each, it) for each, it in observed if isinstance(each.fact, DocumentSigned | SigningDeclined)]
    return next(reversed(decisive or observed), None)


def _ways_of_signing(acts: Sequence[Happened]) -> list[IdentityMethod]:
    """How the participant was recognised when it signed each of the documents, every way once."""
    return list(dict.fromkeys(fact.provenance.identity for _, fact in _all(acts, DocumentSigned)))


def _unobserved(act: Happened) -> Absent:
    kind = str(act.entry.by.get("kind"))
    return Absent(f"not observed: the signer acted by way of {ACTORS[kind]}" if kind in _PROGRAMS else "not observed")


_NOTHING_DONE: Final = Absent("the participant did nothing that was observed")


def _authentication(acts: Sequence[Happened], decided: tuple[Happened, Provenance] | None, wording: Wording) -> Told:
    if decided is None:
        return _NOTHING_DONE
    act, provenance = decided
    ways = _ways_of_signing(acts) or [provenance.identity]
    parts = [IDENTITIES[way] for way in ways]
    if sessions := _all(acts, SessionOpened):
        _, session = sessions[-1]
        # Whoever has the invitation or a key can sign all the same, and that is then nobody who signed in.
        apart = "" if IdentityMethod.OIDC in ways else "apart from that a session was opened, "
        parts.append(f"{apart}signed in as {wording.value(session.user)} at {wording.moment(session.signed_in_at)}")
    if verified := _all(acts, OtpVerified):
        parts.append(f"code entered at {wording.moment(verified[-1][0].entry.at)}")
    if failed := len(_all(acts, OtpFailed)):
        parts.append(f"{counted(failed, 'wrong code')} entered")
    return Known("; ".join(parts), f"recorded by {wording.actor(act.entry.by)}")


def _address(decided: tuple[Happened, Provenance] | None, wording: Wording) -> Told:
    if decided is None:
        return _NOTHING_DONE
    act, provenance = decided
    if provenance.ip is None:
        return _unobserved(act)
    return _value(provenance.ip, wording, "" if provenance.ip_source is None else SOURCES[provenance.ip_source])


def _user_agent(decided: tuple[Happened, Provenance] | None, wording: Wording) -> Told:
    if decided is None:
        return _NOTHING_DONE
    act, provenance = decided
    if provenance.user_agent is None:
        return _unobserved(act)
    return _value(provenance.user_agent, wording, "in its own words")


def _signature(signed: Sequence[tuple[Happened, DocumentSigned]]) -> Told:
    ids = [event_id(each.entry.at, each.leaf) for each, _ in signed]
    if not ids:
        return Absent("nothing was signed")
    return Known(", ".join(ids[:NAMED]) + _more(len(ids)))


def _more(count: int) -> str:
    return f" and {count - NAMED} more, which are among the events" if count > NAMED else ""


def _adopted(signed: Sequence[DocumentSigned], wording: Wording) -> Told:
    ways = list(dict.fromkeys(_way(fact, wording) for fact in signed))
    return Known("; ".join(ways[:NAMED]) + _more(len(ways))) if ways else Absent("nothing was signed")


def _way(fact: DocumentSigned, wording: Wording) -> str:
    words = METHODS[fact.method]
    if fact.attestation is not None:
        words += f", with the statement {wording.quoted(fact.attestation)}"
    if fact.image is not None and not _is_disclosed(fact.image, wording):
        words += f", with the image {wording.value(fact.image)}"
    return words


def _is_disclosed(personal: Personal, wording: Wording) -> bool:
    return isinstance(wording.personal.get(personal.commitment), Disclosed)


def _drawn(signed: Sequence[DocumentSigned], wording: Wording) -> bytes | None:
    """The image that was adopted last."""
    for fact in reversed(signed):
        shown = None if fact.image is None else wording.personal.get(fact.image.commitment)
        if isinstance(shown, Disclosed) and (found := picture(shown.value)):
            return found
    return None


def _sent(acts: Sequence[Happened], wording: Wording) -> Told:
    sent = _all(acts, Invited)
    if not sent:
        return Absent("no invitation is recorded")
    after = list(_handing_over(acts, wording))
    return Timed(sent[0][0].entry.at, text="\n".join(after[:NAMED]) + _more(len(after)) if after else "no delivery was observed")


def _handing_over(acts: Sequence[Happened], wording: Wording) -> Iterator[str]:
    """What became of the invitation, each with its time."""
    for each in acts:
        at = wording.moment(each.entry.at)
        match each.fact:
            case InvitationDelivered(_, channel):
                yield f"{at} taken by the next mail system, by {CHANNELS[channel]}"
            case InvitationBounced(_, reason):
                yield f"{at} not handed over: {BOUNCES[reason]}"
            case InvitationResent():
                yield f"{at} sent again"
            case _:
                pass


def _viewed(acts: Sequence[Happened], wording: Wording) -> Told:
    viewed = _all(acts, DocumentViewed)
    if not viewed:
        return Absent("no viewing was observed")
    act, fact = viewed[0]
    others = f"; the first of {len(viewed)} viewings" if len(viewed) > 1 else ""
    return Timed(act.entry.at, text=f"{wording.document(fact.document)}{others}")


def _consented(acts: Sequence[Happened], beside: Circumstances) -> Told:
    given = _all(acts, ConsentGiven)
    if given:
        return Timed(given[-1][0].entry.at)
    before = beside.consents.get(acts[0].entry.stream)
    if before is None:
        return Absent("no consent is recorded in this process")
    return Timed(before.accepted_at, _OF_THE_SENDER, "for all records of the sender; it held when the signer signed")


def _consent_text(acts: Sequence[Happened], beside: Circumstances) -> Told:
    given = _all(acts, ConsentGiven)
    before = beside.consents.get(acts[0].entry.stream)
    if given:
        _, fact = given[-1]
        return _text_of(beside.consent_texts.get(fact.text_sha256), fact.locale, fact.text_sha256)
    if before is not None:
        return _text_of(before.text.version, before.text.locale, before.text.sha256)
    return Absent("none was shown in this process")


def _text_of(version: str | None, locale: str, sha256: str) -> Known:
    return Known(f"{'' if version is None else f'version {version}, '}in {locale}, SHA-256 {sha256}")


def _ended(acts: Sequence[Happened], wording: Wording) -> tuple[str, Told]:
    for each in reversed(acts):
        if (outcome := _OUTCOMES.get(type(each.fact))) is not None:
            return _by_whom(outcome, acts), Timed(each.entry.at, text=_extent(acts, wording))
    return "Not ended", Absent("the process has not ended")


def _by_whom(outcome: str, acts: Sequence[Happened]) -> str:
    decided = _decided(acts)
    ways = _ways_of_signing(acts) if outcome == "Signed" else [] if decided is None else [decided[1].identity]
    if IdentityMethod.AGENT not in ways or outcome not in ("Signed", "Declined"):
        return outcome
    return f"{outcome} by an agent" if len(ways) == 1 else f"{outcome}, in part by an agent"


def _extent(acts: Sequence[Happened], wording: Wording) -> str:
    """How much was signed and filled in."""
    parts = []
    if signed := len(_all(acts, DocumentSigned)):
        parts.append(counted(signed, "document"))
    labels = [wording.field(value.field) for _, filled in _all(acts, FieldsFilled) for value in filled.values]
    if labels:
        parts.append(f"{counted(len(labels), 'field')} filled in: {', '.join(labels[:NAMED])}{_more(len(labels))}")
    return "; ".join(parts)


def _reason(acts: Sequence[Happened], wording: Wording) -> Told | None:
    for each in acts:
        match each.fact:
            case SigningDeclined(reason):
                return Absent("none was given") if reason is None else _value(reason, wording)
            case SigningFailed(reason):
                return Known(FAILURES[reason])
            case _:
                pass
    return None
