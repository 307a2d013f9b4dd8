"""The kinds of streams that a ledger holds, and what the domain says of each.

Whoever handles streams of any kind (the ledger, the verifier's replay) finds the deciders here. An
envelope and its signings are decided together (`domain.coordination`); every other aggregate is one
stream that nobody else's decision touches.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast, get_args
from uuid import UUID

from domain import consent, directory, erasure, library, retention, sealing, template
from domain import envelope as envelopes
from domain import signing as signings
from domain.consent import Consent, ConsentCommand, ConsentFact
from domain.coordination import PackageCommand, Participate
from domain.directory import DirectoryCommand, DirectoryFact, Organization
from domain.envelope import Envelope, EnvelopeFact
from domain.erasure import Erased, EraseSubject, SubjectErased
from domain.library import LibraryCommand, LibraryDocument, LibraryFact
from domain.retention import Holds, RetentionCommand, RetentionFact
from domain.sealing import Sealing, SealingCommand, SealingFact
from domain.signing import Signing, SigningFact
from domain.template import Template, TemplateCommand, TemplateFact
from infrastructure.codec import Fact

#: What may be asked of a single stream.
LoneCommand = TemplateCommand | LibraryCommand | DirectoryCommand | ConsentCommand | RetentionCommand | SealingCommand
Command = LoneCommand | PackageCommand

#: What a stream's facts add up to.
State = Template | LibraryDocument | Organization | Consent | Envelope | Signing | Erased | Holds | Sealing


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A kind of stream: what its facts add up to, and how. `label` puts a state into a word."""

    state: type[Any]
    facts: tuple[type[Any], ...]
    evolve: Callable[[Any, Any, datetime], Any]
    label: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Lone(Aggregate):
    """An aggregate of one stream. `stream` is the member of its commands that names it."""

    commands: tuple[type[Any], ...]
    decide: Callable[[Any, Any, datetime], tuple[Any, ...]]
    stream: str


LONE: Final = (
    Lone(
        state=Template,
        facts=get_args(TemplateFact),
        evolve=template.evolve,
        label=lambda state: "deleted" if state.deleted else "kept",
        commands=get_args(TemplateCommand),
        decide=template.decide,
        stream="template",
    ),
    Lone(
        state=LibraryDocument,
        facts=get_args(LibraryFact),
        evolve=library.evolve,
        label=lambda state: "deleted" if state.deleted else "kept",
        commands=get_args(LibraryCommand),
        decide=library.decide,
        stream="document",
    ),
    Lone(
        state=Organization,
        facts=get_args(DirectoryFact),
        evolve=directory.evolve,
        label=lambda state: "kept",
        commands=get_args(DirectoryCommand),
        decide=directory.decide,
        stream="organization",
    ),
    Lone(
        state=Consent,
        facts=get_args(ConsentFact),
        evolve=consent.evolve,
        label=lambda state: "given" if state.withdrawn_at is None else "withdrawn",
        commands=get_args(ConsentCommand),
        decide=consent.decide,
        stream="consent",
    ),
    Lone(
        state=Erased,
        facts=(SubjectErased,),
        evolve=erasure.evolve,
        label=lambda state: "erased",
        commands=(EraseSubject,),
        decide=erasure.decide,
        stream="subject",
    ),
    Lone(
        state=Holds,
        facts=get_args(RetentionFact),
        evolve=retention.evolve,
        label=lambda state: "holding" if state.placed else "nothing held",
        commands=get_args(RetentionCommand),
        decide=retention.decide,
        stream="holds",
    ),
    Lone(
        state=Sealing,
        facts=get_args(SealingFact),
        evolve=sealing.evolve,
        label=lambda state: "kept",
        commands=get_args(SealingCommand),
        decide=sealing.decide,
        stream="ledger",
    ),
)

_ALL: Final[tuple[Aggregate, ...]] = (
    *LONE,
    Aggregate(Envelope, get_args(EnvelopeFact), envelopes.evolve, lambda state: str(state.status.value)),
    Aggregate(Signing, get_args(SigningFact), signings.evolve, lambda state: str(state.status.value)),
)

BY_FACT: Final[Mapping[type[Any], Aggregate]] = {fact: each for each in _ALL for fact in each.facts}
BY_COMMAND: Final[Mapping[type[Any], Lone]] = {command: each for each in LONE for command in each.commands}


def stream_of(command: Command) -> UUID:
    """The stream that a command is about; of a package, the envelope's."""
    lone = BY_COMMAND.get(type(command))
    return cast(UUID, getattr(command, "envelope" if lone is None else lone.stream))


def streams_named(command: Command) -> tuple[UUID, ...]:
    """The streams that a command names: `stream_of` it, and of a participant's command the participant's too."""
    if isinstance(command, Participate):
        return command.envelope, command.command.participant
    return (stream_of(command),)


def belongs(fact: Fact, kind: type[Any]) -> bool:
    """Whether `fact` is one of those that a `kind` is folded from."""
    return BY_FACT[type(fact)].state is kind


def evolve(state: State | None, fact: Fact, at: datetime) -> State:
    """The next state of whichever aggregate the fact belongs to; raises ImpossibleHistory."""
    return cast(State, BY_FACT[type(fact)].evolve(state, fact, at))
