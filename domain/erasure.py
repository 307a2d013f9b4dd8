"""Erasure: the fact that personal data was destroyed on purpose.

The stream is named by the erased subject's random id, which stands nowhere else in the log. The fact
lists the entries whose commitments can no longer be opened, so a verifier can tell *erased* from *missing*.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final
from uuid import UUID

from domain.errors import ImpossibleHistory, SubjectNotFound

#: So many fit into one entry; a subject with more gets several facts.
ENTRIES_PER_FACT: Final = 600


@dataclass(frozen=True, slots=True)
class ErasedEntry:
    """An entry that held commitments of the subject."""

    stream: UUID
    version: int


@dataclass(frozen=True, slots=True)
class SubjectErased:
    """`ground` names the legal ground in the words of whoever ordered the erasure, a code and not prose."""

    TYPE: ClassVar[str] = "personal.erased/1"
    tenant: UUID
    ground: str
    entries: tuple[ErasedEntry, ...]


@dataclass(frozen=True, slots=True)
class EraseSubject:
    """Destroys what is stored about `subject`; `entries` are all that hold commitments of it."""

    tenant: UUID
    subject: UUID
    ground: str
    entries: tuple[ErasedEntry, ...]


@dataclass(frozen=True, slots=True)
class Erased:
    """An erased subject: nothing is ever stored about it again."""

    tenant: UUID
    entries: int


def decide(command: EraseSubject, state: Erased | None, now: datetime) -> tuple[SubjectErased, ...]:
    """The facts of an erasure, in one append; raises SubjectNotFound when it was erased before."""
    if state is not None:
        raise SubjectNotFound
    chunks = range(0, max(len(command.entries), 1), ENTRIES_PER_FACT)
    return tuple(
        SubjectErased(command.tenant, command.ground, command.entries[start : start + ENTRIES_PER_FACT]) for start in chunks
    )


def evolve(state: Erased | None, fact: SubjectErased, at: datetime) -> Erased:
    """The state after `fact`; raises ImpossibleHistory if another tenant's erasure continues this one."""
    if state is not None and state.tenant != fact.tenant:
        raise ImpossibleHistory("an erasure continues under another tenant")
    return Erased(fact.tenant, (0 if state is None else state.entries) + len(fact.entries))
