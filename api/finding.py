"""The timeline that an id names, in the spelling of any surface."""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from api.deps import Deps
from domain.ids import IdError, ProcessId, parse_typed_id, parse_uuid
from projections import timeline
from projections.timeline import Timeline

#: Positions are PostgreSQL's bigint.
_POSITION: Final = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_MAX_POSITION: Final = 2**63 - 1

#: What is said of such an id where it is documented.
DESCRIPTION: Final = (
    "A process id (`<envelopeId>-<participantId>`) or an envelope's, in the spelling of any surface: a UUID, `env_...`,"
    " a number; a process also by `sgs_...`, `sgn_...` or its signer's number."
)


@dataclass(frozen=True, slots=True)
class _Participant:
    """Who has one signing, by which it is known too."""

    id: UUID


async def find_timeline(deps: Deps, text: str) -> Timeline | None:
    """The timeline that an id names, whoever owns it; None for what is no id. Raises DamagedEntry.

    The caller compares `tenant` and `mode` with its own before showing anything.
    """
    async with deps.reads.connection() as connection:
        match _parse(text):
            case ProcessId() as process:
                return await timeline.of_process(connection, process)
            case int(number):
                return await timeline.of_number(connection, number)
            case UUID() as envelope:
                return await timeline.of_envelope(connection, envelope)
            case _Participant(participant):
                return await timeline.of_participant(connection, participant)
            case None:
                return None


def _parse(text: str) -> ProcessId | UUID | int | _Participant | None:
    """An envelope's UUID, a process, a number, or a participant by its spelling; None for what is none of them."""
    if _POSITION.fullmatch(text):
        return number if (number := int(text)) <= _MAX_POSITION else None
    prefix = text.partition("_")[0]
    try:
        if prefix == "env":
            return parse_typed_id(prefix, text)
        if prefix in ("sgs", "sgn"):
            return _Participant(parse_typed_id(prefix, text))
        return ProcessId.parse(text) if len(text) > 36 else parse_uuid(text)
    except IdError:
        return None
