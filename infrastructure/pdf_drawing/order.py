"""What the limited process is asked to draw, and how that reaches it: one line of JSON, then bytes.

A value of a class that is listed here is an object with the class's name and its fields; bytes are a number,
their place among the parts that follow the line.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, BinaryIO, Final
from zoneinfo import ZoneInfo

from domain.field import FieldType
from domain.placement import Box
from infrastructure.pdf_drawing.blocks import (
    Block,
    Foot,
    Initialled,
    PreviewBox,
    SignatureEntry,
    SignaturePage,
    Signed,
    Ticked,
    Written,
)
from infrastructure.pdf_drawing.case import (
    Absent,
    Case,
    CaseCheckpoint,
    CaseDocument,
    CaseEvent,
    CaseHead,
    CaseSeal,
    Known,
    Paper,
    Signer,
    Timed,
)


@dataclass(frozen=True, slots=True)
class Execute:
    """Draw on a document."""

    pdf: bytes
    blocks: tuple[Block, ...]
    foot: Foot
    signature_page: SignaturePage | None


@dataclass(frozen=True, slots=True)
class DrawCertificate:
    """Draw a certificate of completion."""

    case: Case
    paper: Paper


@dataclass(frozen=True, slots=True)
class Preview:
    """Show a page and what is to be on it."""

    pdf: bytes
    page: int
    boxes: tuple[PreviewBox, ...]
    width_pixels: int


@dataclass(frozen=True, slots=True)
class CheckImage:
    """Look at the image of a signature."""

    image: bytes


Order = Execute | DrawCertificate | Preview | CheckImage

_RECORDS: Final = {
    record.__name__: record
    for record in (
        *(Execute, DrawCertificate, Preview, CheckImage),
        *(Block, Foot, PreviewBox, SignatureEntry, SignaturePage),
        *(Initialled, Signed, Ticked, Written, Box),
        *(Absent, Case, CaseCheckpoint, CaseDocument, CaseEvent, CaseHead, CaseSeal),
        *(Known, Signer, Timed),
    )
}

#: What is told by a text.
_WORDS: Final = {
    "datetime": datetime.fromisoformat,
    "ZoneInfo": ZoneInfo,
    "FieldType": FieldType,
    "Paper": Paper.__getitem__,
}


def encode(order: Order) -> Sequence[bytes]:
    """The line and the parts that follow it."""
    parts: list[bytes] = []
    told = _told(order, parts)
    line = json.dumps({"order": told, "parts": [len(part) for part in parts]})
    return [line.encode() + b"\n", *parts]


def _told(value: Any, parts: list[bytes]) -> object:
    match value:
        case bytes():
            parts.append(value)
            return {"bytes": len(parts) - 1}
        case FieldType():
            return {"FieldType": value.value}
        case Paper():
            return {"Paper": value.name}
        case datetime():
            return {"datetime": value.isoformat()}
        case ZoneInfo():
            return {"ZoneInfo": value.key}
        case tuple():
            return [_told(each, parts) for each in value]
        case None | bool() | int() | str():
            return value
        case _:
            return {type(value).__name__: {field.name: _told(getattr(value, field.name), parts) for field in fields(value)}}


def decode(source: BinaryIO) -> Order:
    """What `encode` gave. Raises one of many errors for anything else: only the process that was started reads it."""
    line = json.loads(source.readline())
    order: Order = _value(line["order"], [source.read(length) for length in line["parts"]])
    return order


def _value(told: Any, parts: Sequence[bytes]) -> Any:
    match told:
        case list():
            return tuple(_value(each, parts) for each in told)
        case {"bytes": number}:
            return parts[number]
        case Mapping():
            ((name, inner),) = told.items()
            if name in _WORDS:
                return _WORDS[name](inner)
            return _RECORDS[name](**{key: _value(each, parts) for key, each in inner.items()})
        case _:
            return told
