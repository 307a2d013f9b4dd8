"""Events: the timeline of a process, as the log has it."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.http import send_answer
from api.surfaces.partner.access import MODE, Partner
from api.surfaces.partner.answers import Failed, Success, deps_of
from api.surfaces.partner.documentation import documented
from api.surfaces.partner.models import Event
from api.surfaces.partner.refusals import absent
from domain.actor import ActorKind
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
    EnvelopeFailed,
    EnvelopeSent,
    ParticipantAdded,
    ParticipantCompleted,
    ParticipantFailed,
    SealRenewed,
)
from domain.ids import IdError, ProcessId, event_id, parse_uuid
from domain.signing import (
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
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFailed,
    Started,
)
from projections import timeline
from projections.timeline import Timeline, TimelineEntry

router = APIRouter(prefix="/v1/events", tags=["Events"])

LISTED: Final = Success(200, "events_listed", "Events listed.")


class Word(NamedTuple):
    """What a fact is called here, and whether it says that something went well."""

    event: str
    status: Literal["SUCCESS", "FAILURE"] = "SUCCESS"


#: Facts in this surface's words: the published catalogue's where it has one, else words of the same form.
#: A refusal to sign is a failed process, as in a document's status; `entry` tells the two apart.
WORDS: Final[Mapping[str, Word]] = {
    ProcessCreated.TYPE: Word("PROCESS_CREATED"),
    DocumentAssigned.TYPE: Word("DOCUMENT_ASSIGNED"),
    Invited.TYPE: Word("INVITATION_CREATED"),
    InvitationResent.TYPE: Word("INVITATION_RESENT"),
    InvitationDelivered.TYPE: Word("INVITATION_SENT"),
    InvitationBounced.TYPE: Word("INVITATION_BOUNCED", "FAILURE"),
    SessionOpened.TYPE: Word("SESSION_OPENED"),
    Started.TYPE: Word("PROCESS_STARTED"),
    DocumentViewed.TYPE: Word("DOCUMENT_OPENED"),
    OtpSent.TYPE: Word("OTP_SENT"),
    OtpVerified.TYPE: Word("OTP_VERIFIED"),
    OtpFailed.TYPE: Word("OTP_FAILED", "FAILURE"),
    ConsentGiven.TYPE: Word("CONSENT_GIVEN"),
    FieldsFilled.TYPE: Word("FIELDS_FILLED"),
    DocumentSigned.TYPE: Word("FIELD_SIGNED"),
    SigningCompleted.TYPE: Word("PROCESS_COMPLETED"),
    SigningDeclined.TYPE: Word("PROCESS_FAILED", "FAILURE"),
    SigningFailed.TYPE: Word("PROCESS_FAILED", "FAILURE"),
    SigningCancelled.TYPE: Word("PROCESS_CANCELLED"),
    SigningExpired.TYPE: Word("PROCESS_EXPIRED"),
    EnvelopeCreated.TYPE: Word("DOCUMENT_CREATED"),
    DocumentAdded.TYPE: Word("FILE_ADDED"),
    ParticipantAdded.TYPE: Word("PARTICIPANT_ADDED"),
    EnvelopeSent.TYPE: Word("DOCUMENT_SENT"),
    ParticipantCompleted.TYPE: Word("PARTICIPANT_COMPLETED"),
    ParticipantFailed.TYPE: Word("PARTICIPANT_FAILED", "FAILURE"),
    DeadlineExtended.TYPE: Word("DOCUMENT_DEADLINE_EXTENDED"),
    DocumentExecuted.TYPE: Word("DOCUMENT_EXECUTED"),
    CertificateIssued.TYPE: Word("CERTIFICATE_ISSUED"),
    SealRenewed.TYPE: Word("SEAL_RENEWED"),
    EnvelopeCompleted.TYPE: Word("DOCUMENT_COMPLETED"),
    EnvelopeDeclined.TYPE: Word("DOCUMENT_FAILED", "FAILURE"),
    EnvelopeFailed.TYPE: Word("DOCUMENT_FAILED", "FAILURE"),
    EnvelopeCancelled.TYPE: Word("DOCUMENT_CANCELLED"),
    EnvelopeExpired.TYPE: Word("DOCUMENT_EXPIRED"),
}

#: A process's one-time codes after its first.
OTP_RESENT: Final = Word("OTP_RESENT")

_DESCRIPTION: Final = (
    "Process identifier returned on document creation or within participants; a document's identifier gives the merged"
    " timeline of the document and all its processes."
)


@router.get("/{processId}", summary="Lists events for a process.", **documented(LISTED, list[Event], 404))
async def index(
    request: Request, caller: Partner, process: Annotated[str, Path(alias="processId", description=_DESCRIPTION)]
) -> Response:
    """Returns the timeline in the order of the log, read from the log itself and with what it takes to verify it."""
    found = await _timeline(request, process)
    if found is None or found.tenant != caller.tenant or found.mode is not MODE:
        raise Failed(absent("Process not found.", {"processId": process}))
    first_codes = {entry.stream: entry.position for entry in reversed(found.entries) if entry.type == OtpSent.TYPE}
    data = [_event(found, entry, resent=first_codes.get(entry.stream) != entry.position) for entry in found.entries]
    return send_answer(LISTED.answer(request, data))


async def _timeline(request: Request, process: str) -> Timeline | None:
    try:
        wanted = ProcessId.parse(process) if len(process) > 36 else parse_uuid(process)
    except IdError:
        return None
    async with deps_of(request).reads.connection() as connection:
        if isinstance(wanted, ProcessId):
            return await timeline.of_process(connection, wanted)
        return await timeline.of_envelope(connection, wanted)


def _event(found: Timeline, entry: TimelineEntry, *, resent: bool) -> Event:
    word = OTP_RESENT if resent and entry.type == OtpSent.TYPE else WORDS[entry.current_type]
    of_document = entry.stream == found.envelope
    return Event(
        event_id=event_id(entry.at, entry.leaf),
        event_type=word.event,
        process_id=str(found.envelope if of_document else ProcessId(found.envelope, entry.stream)),
        status=word.status,
        actor="frontend" if entry.by.get("kind") == ActorKind.SIGNER else "backend",
        timestamp=entry.at,
        version=entry.version,
        position=entry.position,
        hash=entry.leaf.hex(),
        previous_hash=entry.previous.hex(),
        entry=entry.raw,
    )
