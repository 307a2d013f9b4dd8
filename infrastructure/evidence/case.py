"""A bundle's entries, decoded once for all checks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple
from uuid import UUID

from domain.canonical import Json
from domain.entry import Entry, EntryError, decode, leaf_hash
from domain.erasure import ErasedEntry, SubjectErased
from infrastructure.bundle_format import Content
from infrastructure.bundle_lines import EntryLine, is_pointer
from infrastructure.codec import CodecError, decode_fact

#: Where the facts of an envelope name what, by the type without its number (docs/evidence-format.md, "The checks").
_ORIGINALS: Final[Mapping[str, tuple[str, ...]]] = {
    "envelope.created": ("documents", "sha256"),
    "envelope.document-added": ("document", "sha256"),
}
#: Of files that are made after the end.
_MADE: Final[Mapping[str, tuple[str, ...]]] = dict.fromkeys(
    ("envelope.document-executed", "envelope.certificate-issued", "envelope.seal-renewed"), ("sha256",)
)
_PREVIOUS: Final[Mapping[str, tuple[str, ...]]] = {"envelope.seal-renewed": ("previous_sha256",)}
_PARTICIPANTS: Final[Mapping[str, tuple[str, ...]]] = {
    "envelope.created": ("participants", "participant"),
    "envelope.participant-added": ("slot", "participant"),
}


class Placed(NamedTuple):
    """An entry where it stands, and what its bytes hash to."""

    position: int
    entry: Entry
    leaf: bytes


@dataclass(frozen=True)
class Case:
    """What a bundle says, without any trust in it. Entries whose bytes are none are only in `unreadable`, with the reason."""

    content: Content

    @cached_property
    def _decoded(self) -> tuple[list[Placed], dict[int, Placed], dict[int, str]]:
        unreadable: dict[int, str] = {}

        def placed(lines: Sequence[EntryLine]) -> Iterator[Placed]:
            for line in lines:
                try:
                    yield Placed(line.position, _read(line.raw), leaf_hash(line.raw))
                except EntryError as err:
                    unreadable[line.position] = str(err)

        entries = list(placed(self.content.entries))
        return entries, {each.position: each for each in placed(self.content.ledger_entries)}, unreadable

    @property
    def entries(self) -> list[Placed]:
        """Of `entries.jsonl`, in the order of the log."""
        return self._decoded[0]

    @property
    def others(self) -> dict[int, Placed]:
        """Of `ledger.jsonl`, by position."""
        return self._decoded[1]

    @property
    def unreadable(self) -> dict[int, str]:
        return self._decoded[2]

    @cached_property
    def streams(self) -> dict[UUID, list[Placed]]:
        """The entries of `entries.jsonl` by stream."""
        found: dict[UUID, list[Placed]] = {}
        for placed in self.entries:
            found.setdefault(placed.entry.stream, []).append(placed)
        return found

    @property
    def last(self) -> int:
        """The last position of `entries.jsonl`."""
        return self.content.entries[-1].position

    @property
    def last_of_all(self) -> int:
        return max(self.content.proofs)

    @cached_property
    def erasures(self) -> dict[int, frozenset[ErasedEntry]]:
        """What each erasure in `ledger.jsonl` lists, by position: read once, however many lines rest on it."""
        found: dict[int, frozenset[ErasedEntry]] = {}
        for position, (_, entry, _) in self.others.items():
            with suppress(CodecError):
                fact = decode_fact(entry.type, entry.data, entry.personal)
                if isinstance(fact, SubjectErased):
                    found[position] = frozenset(fact.entries)
        return found

    @cached_property
    def participants(self) -> frozenset[str]:
        """The participants that the facts of the envelope name."""
        return frozenset(name for _, name in self._named(_PARTICIPANTS))

    @cached_property
    def documents(self) -> dict[str, int]:
        """The SHA-256 of each document that the facts of the envelope name, and the position of the first that does."""
        found: dict[str, int] = {}
        for position, name in self._named({**_ORIGINALS, **_MADE}):
            found.setdefault(name, position)
        return found

    @cached_property
    def superseded(self) -> frozenset[str]:
        """The documents that need not be there, because a later form begins with them."""
        originals = {name for _, name in self._named(_ORIGINALS)}
        return frozenset(name for _, name in self._named(_PREVIOUS) if name not in originals)

    @cached_property
    def made(self) -> frozenset[str]:
        """The documents that were made after the end: executed ones, the certificate, and what was renewed of them."""
        return frozenset(name for _, name in self._named(_MADE))

    def facts_of_made(self) -> Iterator[tuple[int, Mapping[str, Json]]]:
        """Position and data of each fact that names one of them, in the order of the log."""
        return ((position, entry.data) for position, entry, _ in self.entries if entry.type.partition("/")[0] in _MADE)

    def _named(self, paths: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[int, str]]:
        for position, entry, _ in self.entries:
            path = paths.get(entry.type.partition("/")[0])
            if path is not None:
                yield from ((position, text) for text in _texts(entry.data, path))


def _read(raw: bytes) -> Entry:
    """An entry as docs/ledger-format.md has it; raises EntryError. Those of the ledger itself are made so, others need not be."""
    entry = decode(raw)
    if not entry.version:
        raise EntryError("version counts from 1")
    if not all(map(is_pointer, entry.personal)):
        raise EntryError("the path of a personal value is not a JSON pointer")
    return entry


def _texts(value: Json, path: tuple[str, ...]) -> Iterator[str]:
    """The strings at a path, on which a list stands for each of its items."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item, path)
    elif isinstance(value, str):
        if not path:
            yield value
    elif path and isinstance(value, Mapping) and path[0] in value:
        yield from _texts(value[path[0]], path[1:])
