"""How people, documents and values are called in one envelope, and who observed what of whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, assert_never
from uuid import UUID

from domain.actor import Provenance
from domain.canonical import Json, canonical
from domain.envelope import labels_of
from domain.personal import Personal
from infrastructure.telling.happened import Happened, created_of, documents_of, participants_of, processes_of
from infrastructure.telling.personal import MAX_SHOWN, Disclosed, Erased, Shown, Withheld, spell
from infrastructure.telling.tables import ACTORS, IDENTITIES, SOURCES

Fineness = Literal["microseconds", "milliseconds"]


def moment(at: datetime, fineness: Fineness = "microseconds") -> str:
    """A time in UTC, to the microsecond as it was recorded, or to the millisecond before."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', fineness)} UTC"


@dataclass(frozen=True, slots=True)
class Wording:
    """What the words for the facts of one envelope need to know.

    `personal` tells by commitment what became of a value; `names` are the participants' and `titles` the documents', by id;
    `fields` are the labels of the envelope's fields, of which the first has the number 1. Values are cut after `longest` characters;
    `images` says where those of signatures are.
    """

    personal: Mapping[str, Shown]
    names: Mapping[UUID, str]
    titles: Mapping[UUID, str]
    fields: Sequence[str] = ()
    fineness: Fineness = "microseconds"
    longest: int = MAX_SHOWN
    images: str = "as a data URI in disclosures.jsonl"

    def value(self, personal: Personal) -> str:
        """A personal value, or why it is not there."""
        shown = self.personal.get(personal.commitment)
        match shown:
            case Disclosed(value):
                # So that a name cannot be taken for the word that one is withheld.
                return f"“{text}”" if (text := spell(value, self.longest)).startswith("[") else text
            case Withheld():
                return "[withheld]"
            case Erased(position):
                return "[erased]" if position is None else f"[erased by entry {position}]"
            case None:
                return "[missing]"
            case _ as unreachable:
                assert_never(unreachable)

    def quoted(self, personal: Personal) -> str:
        """As `value`, of a text that we say more after: as JSON, so that whoever sent it cannot go on in our words."""
        shown = self.personal.get(personal.commitment)
        if isinstance(shown, Disclosed) and isinstance(shown.value, str):
            return canonical(spell(shown.value, self.longest)).decode()
        return self.value(personal)

    def who(self, participant: UUID) -> str:
        return self.names.get(participant, f"Participant {participant}")

    def document(self, id: UUID) -> str:
        return self.titles.get(id, f"Document {id}")

    def moment(self, at: datetime) -> str:
        return moment(at, self.fineness)

    def field(self, number: int) -> str:
        return self.fields[number - 1] if 1 <= number <= len(self.fields) else str(number)

    def actor(self, by: Mapping[str, Json]) -> str:
        """Who recorded it: the kind of credential and its id."""
        kind = str(by.get("kind"))
        return f"{ACTORS.get(kind, kind)} ({by.get('id')})"

    def observed(self, provenance: Provenance) -> str:
        """How the participant was recognised, and what was seen of the connection."""
        parts = [f"Recognised {IDENTITIES[provenance.identity]}."]
        if provenance.ip is None:
            parts.append("No address was observed.")
        else:
            source = "" if provenance.ip_source is None else f", {SOURCES[provenance.ip_source]}"
            parts.append(f"From {self.value(provenance.ip)}{source}.")
        if provenance.user_agent is not None:
            parts.append(f"The browser called itself: {self.quoted(provenance.user_agent)}.")
        if provenance.client is not None:
            parts.append(f"The client said of itself: {self.value(provenance.client)}.")
        return " ".join(parts)


def wording_of(
    told: Sequence[Happened], personal: Mapping[str, Shown], fineness: Fineness = "microseconds", longest: int = MAX_SHOWN
) -> Wording:
    """How participants and documents are called: as they are disclosed, and by their place where that does not tell."""
    nameless = Wording(personal, {}, {}, longest=longest)
    titles = {
        id: f"Document {number}" if document.title is None else f"Document {number} ({nameless.value(document.title)})"
        for number, (id, document) in enumerate(documents_of(told).items(), 1)
    }
    disclosed = {
        who: nameless.value(process.name)
        for who, process in processes_of(told).items()
        if isinstance(personal.get(process.name.commitment), Disclosed)
    }
    names = list(disclosed.values())
    called = {
        who: f"Participant {place}"
        if (name := disclosed.get(who)) is None
        else name
        if names.count(name) == 1
        else f"{name} (participant {place})"
        for who, place in participants_of(told).items()
    }
    created = created_of(told)
    return Wording(personal, called, titles, () if created is None else labels_of(created.fields), fineness, longest)
