"""Personal values that records show, of any JSON type; what was erased is missing."""

from collections.abc import Iterable, Mapping

from api.deps import Deps, Reference

Values = Mapping[Reference, object]


async def revealed(deps: Deps, references: Iterable[Reference | None]) -> Values:
    """The values at `references`."""
    found = await deps.vault.open(reference for reference in references if reference is not None)
    return {reference: held.value for reference, held in found.items()}


def value_at(values: Values, reference: Reference | None) -> object:
    """The value at a place; None if there is none, or none any more."""
    return None if reference is None else values.get(reference)


def text_at(values: Values, reference: Reference | None) -> str | None:
    """As `value_at`, for a text."""
    found = value_at(values, reference)
    return found if isinstance(found, str) else None
