"""The surfaces' OpenAPI documents, which need nothing of a running service."""

import functools
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from api.deps import Deps
from infrastructure.settings import Settings

#: The surfaces that are published, each with a document of its own.
PUBLISHED: Final = ("partner", "signing", "signatures", "sessions", "ledger")

Json = Any


@dataclass(frozen=True)
class Operation:
    """An operation of a surface, as its document has it."""

    surface: str
    method: str
    path: str
    described: Json

    def __str__(self) -> str:
        return f"{self.surface} {self.method} {self.path}"


@functools.cache
def document(surface: str) -> Json:
    """The OpenAPI document of a surface."""
    settings = Settings.model_validate({"data": Path("unused"), "base_url": "https://sign.example", "rate_limits": "off"})
    module = importlib.import_module(f"api.surfaces.{surface}")
    return module.build(cast(Deps, SimpleNamespace(settings=settings))).openapi()


def operations(*surfaces: str) -> Iterator[Operation]:
    """All operations of these surfaces."""
    for surface in surfaces:
        for path, item in document(surface)["paths"].items():
            for method, described in item.items():
                yield Operation(surface, method.upper(), path, described)
