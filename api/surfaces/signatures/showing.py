"""A signature request as it stands: envelopes of any surface, shown as this one shows its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never
from uuid import UUID

from api.auth import Caller
from api.deps import Deps, ExecutionStatus, Opened, Reference
from api.executed import missing
from api.surfaces.signatures.models import Designation, Recipient, SignatureRequest, Status
from api.surfaces.signatures.parsing import plain
from domain.canonical import Json
from domain.envelope import EnvelopeStatus, OrderMode
from projections import envelopes, signers
from projections.envelopes import CopyRow, EnvelopeRow
from projections.signers import SignerRow

_HOUR: Final = timedelta(hours=1)

#: What `errorMessage` says of a request that failed: its cause is not in anybody's own words.
FAILED: Final = "A recipient's identity could not be verified in the attempts that were allowed."

#: What it says of one that has completed, and whose files could not be made.
_UNEXECUTED: Final = "The signed document or its certificate is missing. {}"

Values = Mapping[Reference, Opened]


@dataclass(frozen=True, slots=True)
class Details:
    """What is remembered of a recipient as it was sent: the parts of the name, the place in the request.

    They are personal data, kept as the `details` of a signing or of a copy's recipient.
    """

    first_name: str
    last_name: str
    order: int
    index: int

    def spell(self) -> dict[str, Json]:
        return {"firstName": self.first_name, "lastName": self.last_name, "order": self.order, "index": self.index}

    @classmethod
    def read(cls, value: object) -> "Details | None":
        """What `spell` made; None for what another surface keeps there, and for what was erased."""
        if not isinstance(value, dict):
            return None
        first, last, order, index = (value.get(name) for name in ("firstName", "lastName", "order", "index"))
        if not (isinstance(first, str) and isinstance(last, str) and type(order) is int and type(index) is int):
            return None
        return cls(first, last, order, index)


def recipient_id(participant: UUID) -> str:
    """`rcp_8e10-12ab34cd56ef`: the random part of the participant's UUID."""
    return f"rcp_{str(participant)[19:]}"


def split_name(name: str) -> tuple[str, str]:
    """First and last name of one that was recorded as a whole: the last word is the last name, if there are several."""
    first, _, last = name.strip().rpartition(" ")
    return (first.strip(), last) if first else (last, "")


def status_of(row: EnvelopeRow, now: datetime) -> Status:
    """Where a request stands at `now`; what is due to expire has expired, recorded or not."""
    match row.status:
        case EnvelopeStatus.DRAFT | EnvelopeStatus.SENT:
            if row.deadline is not None and now > row.deadline:
                return "expired"
            return "viewed" if row.viewed or row.started else "sent"
        case EnvelopeStatus.COMPLETED:
            return "completed"
        case EnvelopeStatus.DECLINED:
            return "declined"
        case EnvelopeStatus.CANCELLED:
            return "cancelled"
        case EnvelopeStatus.EXPIRED:
            return "expired"
        case EnvelopeStatus.FAILED:
            return "failed"
        case _ as unreachable:
            assert_never(unreachable)


def render_of(row: EnvelopeRow) -> UUID:
    """The render that a request was made from; else its document's own id, else its own."""
    first = row.documents[0] if row.documents else None
    return row.id if first is None else first.source or first.id


def default_name(render: UUID) -> str:
    """What a request without a name is called."""
    return f"Signature request {str(render)[:8]}"


async def fetch(deps: Deps, caller: Caller, request: UUID) -> SignatureRequest | None:
    """The request as it is now; None if the project has no such one in this mode, or if it is a draft."""
    await deps.gate.wait(["envelopes", "signers"], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        row = await envelopes.get(connection, caller.tenant, caller.mode, request)
        if row is None or row.status is EnvelopeStatus.DRAFT:
            return None
        people = await signers.of_envelope(connection, caller.tenant, caller.mode, request)
    values = await deps.vault.open(_references(row, people))
    return shown(deps, row, people, values, (await _failures(deps, [row])).get(row.id))


async def fetch_all(deps: Deps, caller: Caller, rows: Sequence[EnvelopeRow]) -> list[SignatureRequest]:
    """The requests of these rows, which were read a moment ago, in their order."""
    async with deps.reads.connection() as connection:
        people = await signers.of_envelopes(connection, caller.tenant, caller.mode, [row.id for row in rows])
    values = await deps.vault.open(reference for row in rows for reference in _references(row, people[row.id]))
    failures = await _failures(deps, rows)
    return [shown(deps, row, people[row.id], values, failures.get(row.id)) for row in rows]


async def _failures(deps: Deps, rows: Sequence[EnvelopeRow]) -> Mapping[UUID, str]:
    """What is said of the completed requests whose files could not be made."""
    without = [row.id for row in rows if row.status is EnvelopeStatus.COMPLETED and row.certificate_sha256 is None]
    found = await deps.executions.states(without)
    return {id: missing(row, deps.clock.now()).sentence for id, row in found.items() if row.status is ExecutionStatus.FAILED}


def shown(
    deps: Deps, row: EnvelopeRow, people: Sequence[SignerRow], values: Values, failure: str | None = None
) -> SignatureRequest:
    """The request of a row, with what the vault disclosed of it; `failure` says that its files could not be made."""
    place, status = f"{deps.settings.base_url}/v1/signatures/{row.id}", status_of(row, deps.clock.now())
    executed = bool(row.documents) and row.documents[0].executed_sha256 is not None
    title = row.subject or row.title(0)
    return SignatureRequest(
        id=row.id,
        render_id=render_of(row),
        name=_text(values, title) or default_name(render_of(row)),
        status=status,
        recipients=_recipients(row, people, values),
        expiration_hours=None if row.deadline is None else max(1, round((row.deadline - row.created_at) / _HOUR)),
        signed_download_url=f"{place}/download" if status == "completed" and executed else None,
        certificate_url=f"{place}/certificate" if status == "completed" and row.certificate_sha256 is not None else None,
        error_message=_UNEXECUTED.format(failure) if failure is not None else _error(row, status, people, values),
        created_at=row.created_at,
        completed_at=row.completed_at,
    )


def _references(row: EnvelopeRow, people: Sequence[SignerRow]) -> list[Reference]:
    wanted = [row.subject, row.title(0), row.reason]
    for person in people:
        wanted += [person.name, person.email, person.details, person.reason]
    for copy in row.copies:
        wanted += [copy.name, copy.email, copy.details]
    return [reference for reference in wanted if reference is not None]


def _recipients(row: EnvelopeRow, people: Sequence[SignerRow], values: Values) -> list[Recipient]:
    """In the order of the request; where that was not recorded, signers as the envelope lists them, then copies."""
    listed = {who: place for place, who in enumerate(row.participants)}
    found: list[tuple[int, Recipient]] = []
    for person in sorted(people, key=lambda each: listed.get(each.id, len(listed))):
        order = person.number if row.order_mode is OrderMode.SEQUENTIAL else len(found) + 1
        found.append(_signer(person, len(found), order, values))
    for copy in row.copies:
        found.append(_copy(copy, len(found), values))
    return [recipient for _, recipient in sorted(found, key=lambda each: each[0])]


def _signer(person: SignerRow, index: int, order: int, values: Values) -> tuple[int, Recipient]:
    known = Details.read(_value(values, person.details)) or _guessed(_text(values, person.name), order, index)
    times = {name: at for name, at in (("signed_at", person.completed_at), ("declined_at", person.declined_at)) if at is not None}
    return known.index, recipient(person.id, known, _text(values, person.email), "Signer", **times)


def _copy(copy: CopyRow, index: int, values: Values) -> tuple[int, Recipient]:
    known = Details.read(_value(values, copy.details)) or _guessed(_text(values, copy.name), index + 1, index)
    return known.index, recipient(copy.id, known, _text(values, copy.email), "CC")


def recipient(who: UUID, known: Details, email: str, designation: Designation, **times: datetime) -> Recipient:
    """A recipient; `times` are `signed_at` and `declined_at`, each if it is known."""
    return Recipient(
        id=recipient_id(who),
        first_name=known.first_name,
        last_name=known.last_name,
        email=email,
        designation=designation,
        order=known.order,
        **times,
    )


def _guessed(name: str, order: int, index: int) -> Details:
    first, last = split_name(name)
    return Details(first, last, order, index)


def _error(row: EnvelopeRow, status: Status, people: Sequence[SignerRow], values: Values) -> str | None:
    if status == "failed":
        return FAILED
    if status == "cancelled":
        return _text(values, row.reason) or None
    if status == "declined":
        return next((said for person in people if person.id == row.declined_by and (said := _text(values, person.reason))), None)
    return None


def _value(values: Values, reference: Reference | None) -> object:
    return values[reference].value if reference is not None and reference in values else None


def _text(values: Values, reference: Reference | None) -> str:
    return plain(_value(values, reference))
