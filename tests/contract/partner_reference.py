"""The partner reference page, read: its operations, their samples and their examples; and the form of a sample.

The page is sample data beside the project; without it, what needs it is skipped.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.shared_data import shared

_HEADING = re.compile(r"^(GET|POST|PUT|DELETE) (/\S*)$")
_SAMPLE = re.compile(r"^.+ · (\d{3}) [A-Za-z ]+$")
_STATUS = re.compile(r"^\d{3} [A-Z]")


@dataclass(frozen=True)
class Operation:
    """One operation of the page. `samples` are its answers, the success first."""

    method: str
    path: str
    curl: tuple[str, ...]
    python: tuple[str, ...]
    samples: tuple[Any, ...]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def sample(self, status: int) -> Any:
        """The sample with this status."""
        return next(sample for sample in self.samples if sample["status"] == status)


@cache
def operations() -> dict[str, Operation]:
    """All operations of the page by name, such as `GET /api`."""
    text = shared("reference/signly-partner-api.txt").read_text()
    lines = text.split("\nAPI Reference\n", 1)[1].split("\n")
    starts = [index for index, line in enumerate(lines) if _HEADING.match(line)]
    parts = [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    found = [_operation(part) for part in parts]
    return {operation.name: operation for operation in found}


def _operation(lines: list[str]) -> Operation:
    heading = _HEADING.match(lines[0])
    assert heading is not None
    return Operation(
        heading[1],
        heading[2],
        tuple(_examples(lines, "cURL")),
        tuple(_examples(lines, "Python")),
        tuple(_samples(lines)),
    )


def _examples(lines: list[str], language: str) -> list[str]:
    found = []
    for index, line in enumerate(lines):
        if line == language:
            rest = lines[index + 1 :]
            end = next(at for at, other in enumerate(rest) if _STATUS.match(other) or other == "Python")
            found.append("\n".join(rest[:end]))
    return found


def _samples(lines: list[str]) -> list[Any]:
    found = []
    for index, line in enumerate(lines):
        if _SAMPLE.match(line):
            sample, _ = json.JSONDecoder().raw_decode("\n".join(lines[index + 1 :]))
            found.append(sample)
    return found


#: Members that answers have beyond the samples: the page's own words ask for the process id, the rest is additive.
ADDED = {
    "POST /v1/documents": {"data.participants[].processId"},
    "GET /v1/documents/{documentId}": {"data.deadlineAt", "data.metadata", "data.participants"},
    "GET /v1/events/{processId}": {f"data[].{name}" for name in ("version", "position", "hash", "previousHash", "entry")},
}

#: Said exactly as in the sample.
_EXACT = re.compile(
    r"success|status|code|message|error\..*|meta\.api_version|data(\[\])?\.(authMethod|status|method|expiresInSeconds|deleted)"
)
_NOT_EXACT = re.compile(r"error\.details\.(templateId|documentId)")

_FORMS = (
    ("uuid", re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")),
    ("uuid#0000", re.compile(r"[0-9a-f-]{36}#\d{4}")),
    ("seconds", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")),
    ("milliseconds", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")),
    ("microseconds", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")),
    ("ulid", re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")),
    ("prefixed ulid", re.compile(r"(req|pk)_[0-9A-Z]{26}")),
    ("secret", re.compile(r"sk_live_partner_[\w-]+")),
    ("url", re.compile(r"https?://.*")),
    ("word", re.compile(r"[A-Z_]+")),
)


def form(value: Any) -> str:
    """What kind of value it is: values of one form may differ."""
    if isinstance(value, str):
        return next((name for name, pattern in _FORMS if pattern.fullmatch(value)), "text")
    return type(value).__name__


def differences(operation: str, sample: Any, actual: Any) -> list[str]:
    """Where an answer is not as the sample shows it: members, forms, and the values that are said exactly."""
    found: list[str] = []
    _compare(sample, actual, "", ADDED.get(operation, set()), found)
    return found


def _compare(sample: Any, actual: Any, path: str, added: set[str], found: list[str]) -> None:
    if isinstance(sample, dict) and isinstance(actual, dict):
        for name in sample.keys() | actual.keys():
            below = f"{path}.{name}" if path else name
            if name not in actual:
                found.append(f"{below} is missing")
            elif name not in sample:
                if below not in added:
                    found.append(f"{below} is not documented")
            else:
                _compare(sample[name], actual[name], below, added, found)
    elif isinstance(sample, list) and isinstance(actual, list) and not path.startswith("error"):
        if sample and not actual:
            found.append(f"{path} is empty")
        for item in actual:
            _compare(sample[0] if sample else None, item, f"{path}[]", added, found)
    elif _EXACT.fullmatch(path) and not _NOT_EXACT.fullmatch(path):
        if sample != actual:
            found.append(f"{path} is {actual!r}, documented as {sample!r}")
    elif form(sample) != form(actual):
        found.append(f"{path} is {actual!r}, of another form than {sample!r}")
