"""What a projection is: tables of its own, the facts it handles, and a fold over batches of them.

A fold works on rows as JSON has them: the entry's own spelling of ids and times goes into the
database as it stands, and PostgreSQL gives it the column's type. That spares the building of facts and
rows in Python, which took most of a rebuild's time. So a fold names the members of `data` itself; that it
reads them right is held against the domain's own `evolve` in the tests.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from infrastructure.codec import FACTS, KNOWN, CodecError, current_data, current_type
from infrastructure.following import LogEntry
from projections.store import Store


class ProjectionError(Exception):
    """An entry that a projection cannot take in; the message says why."""


class Item:
    """An entry as folds see it: its columns in the log, and what is in its bytes once that is asked for.

    `stream` is a UUID as text. Many facts say all by their type; their bytes are never parsed.
    """

    __slots__ = ("_entry", "_raw", "position", "stored_type", "stream", "type", "version")

    def __init__(self, row: LogEntry) -> None:
        self.position, self.stream, self.version, self.stored_type, self._raw = row
        self.type = current_type(self.stored_type)
        self._entry: Mapping[str, Any] | None = None

    @property
    def at(self) -> str:
        """The entry's time as it is spelled."""
        if self._raw[:7] != b'{"at":"':
            raise ProjectionError("its bytes are not a canonical entry")
        return self._raw[7:34].decode()  # the first member, always 27 characters long (domain.entry)

    @property
    def data(self) -> Mapping[str, Any]:
        """The fact's members."""
        data: Mapping[str, Any] = (self._entry or self._parse())["data"]
        return data

    @property
    def personal(self) -> Mapping[str, str]:
        """Paths to commitments."""
        personal: Mapping[str, str] = (self._entry or self._parse())["personal"]
        return personal

    def _parse(self) -> Mapping[str, Any]:
        try:
            entry: dict[str, Any] = _DECODE(self._raw.decode())[0]
        except ValueError as err:
            raise ProjectionError(f"its bytes are not JSON: {err}") from err
        if self.type != self.stored_type:
            try:
                entry["data"] = current_data(self.stored_type, entry["data"])
            except CodecError as err:
                raise ProjectionError(f"its data is not that of {self.stored_type}: {err}") from err
        self._entry = entry
        return entry


_DECODE: Final = json.JSONDecoder().raw_decode

Fold = Callable[[Store, Sequence[Item]], None]


@dataclass(frozen=True)
class Projection:
    """A read model's write side. Its tables are found through the connection's search path.

    `ddl` makes the tables and `indexes` what they are searched by; a change of either makes them anew,
    and so does a new `number`, for a fold that fills them otherwise. `fold` gets the entries of the types it
    `handles`, in order, inside the transaction that moves the position. Of the streams it reads
    (`kinds`, the part of a type before the dot) it must handle or skip every fact.
    """

    name: str
    number: int
    tables: tuple[str, ...]
    ddl: str
    indexes: str
    kinds: frozenset[str]
    handles: frozenset[str]
    skips: frozenset[str]
    fold: Fold
    revision: str = field(init=False)

    def __post_init__(self) -> None:
        known = {name for name in FACTS if name.partition(".")[0] in self.kinds}
        if missing := known - self.handles - self.skips:
            raise TypeError(f"projection {self.name} neither handles nor skips {', '.join(sorted(missing))}")
        if both := self.handles & self.skips:
            raise TypeError(f"projection {self.name} handles and skips {', '.join(sorted(both))}")
        digest = sha256(f"{self.ddl}\n{self.indexes}".encode()).hexdigest()[:16]
        object.__setattr__(self, "revision", f"{self.number}-{digest}")

    def take(self, items: Iterable[Item]) -> list[Item]:
        """The items to fold; raises ProjectionError for one of an unknown fact."""
        handles, taken = self.handles, []
        for item in items:
            if item.type in handles:
                taken.append(item)
            elif item.type not in self.skips and item.type.partition(".")[0] in self.kinds:
                raise ProjectionError(f"{item.type} is not a fact that this version knows")
        return taken


def left_out(projections: Iterable[Projection]) -> list[str]:
    """The types, as stored, that none of the projections needs to see."""
    wanted = {name for projection in projections for name in projection.handles}
    return sorted(name for name in KNOWN if current_type(name) not in wanted)
