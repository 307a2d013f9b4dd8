"""What every refusal is, and the report of a history that cannot be."""

from dataclasses import fields
from typing import ClassVar


class ImpossibleHistory(Exception):
    """A fact that could not have been decided in the state before it: the history was tampered with."""


class Refusal(Exception):
    """The command is not allowed; `code` says why, the fields are the data, `sentence` explains."""

    code: ClassVar[str]
    sentence: ClassVar[str]

    def details(self) -> dict[str, object]:
        """The data of the refusal by field name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]

    def __str__(self) -> str:
        return self.sentence.format(**self.details())
