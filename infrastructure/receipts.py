"""The receipts that a command's answer carries, and their way into the answer to the request that caused it.

Every command recorded while a request is being answered adds its receipts to that request's answer, whatever the
surface makes of the command's own answer. What is recorded outside of a request (by a follower, at a terminal)
has nobody to tell.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from uuid import UUID

from domain.receipt import ReceiptText, format_receipt
from infrastructure.append import Receipt

#: An answer carries this many receipts at most: eight lines fit into any server's limit of headers.
MAX_RECEIPTS: Final = 8

_SEPARATOR: Final = ", "

_NOTED: Final[ContextVar[list[str] | None]] = ContextVar("receipts", default=None)


def spell(ledger: str, heads: Iterable[Receipt], first: Sequence[UUID]) -> str:
    """The receipts of `heads`, newest first, as one header value; if there are too many, those of the streams `first` stay."""
    chosen = sorted(heads, key=lambda head: (head.stream not in first, -head.position))[:MAX_RECEIPTS]
    chosen.sort(key=lambda head: -head.position)
    return _SEPARATOR.join(
        format_receipt(ReceiptText(ledger, head.stream, head.version, head.position, head.leaf)) for head in chosen
    )


def note(receipts: str) -> None:
    """Has the answer to the present request, if there is one, carry what `spell` made."""
    noted = _NOTED.get()
    if noted is not None and receipts:
        noted.append(receipts)


class Noted:
    """What was noted since a request began."""

    def __init__(self, values: Sequence[str]) -> None:
        self._values = values

    def header(self) -> str:
        """The value for its answer: the receipts of the last command first; empty if nothing was recorded."""
        lines = (line for value in reversed(self._values) for line in value.split(_SEPARATOR))
        return _SEPARATOR.join(list(dict.fromkeys(lines))[:MAX_RECEIPTS])


@contextmanager
def noting() -> Iterator[Noted]:
    """Collects what is noted by this task and those that it starts."""
    values: list[str] = []
    token = _NOTED.set(values)
    try:
        yield Noted(values)
    finally:
        _NOTED.reset(token)
