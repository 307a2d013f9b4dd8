"""Facts to entries and back, from the facts' own type hints.

Facts are stored under the names we chose (`TYPE`), never under a class path. A field that is None is
left out; a personal field stands in the entry's `personal` under its path (a JSON pointer, RFC 6901)
and nowhere else. Decoding is strict: what a fact does not have is an error, not ignored.

A changed schema gets a new number. Entries of the old one are never spelled anew: they are read through
`UPCASTS`. Whoever looks at an entry's type compares `current_type` of it.
"""

import dataclasses
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from domain.canonical import Json
from domain.consent import ConsentFact
from domain.directory import DirectoryFact
from domain.entry import EntryError, format_time, parse_time
from domain.envelope import CertificateIssued, DocumentExecuted, EnvelopeCreated, EnvelopeFact
from domain.erasure import SubjectErased
from domain.ids import IdError, parse_lower_uuid
from domain.library import DocumentFileStored, LibraryFact
from domain.personal import Disclosure, Personal
from domain.retention import RetentionFact
from domain.sealing import SealingFact
from domain.signing import ProcessCreated, SigningFact
from domain.template import FieldsDefined, FileStored, TemplateFact

#: Every fact that the ledger stores.
Fact = (
    TemplateFact
    | LibraryFact
    | DirectoryFact
    | ConsentFact
    | EnvelopeFact
    | SigningFact
    | SubjectErased
    | RetentionFact
    | SealingFact
)

FACTS: Final[Mapping[str, type[Any]]] = {fact.TYPE: fact for fact in get_args(Fact)}

Data = Mapping[str, Json]


@dataclasses.dataclass(frozen=True, slots=True)
class Upcast:
    """How entries of an older schema are read: as which fact, and its data spelled as that fact's."""

    fact: type[Any]
    data: Callable[[Data], Data]


def _with(**members: Json) -> Callable[[Data], Data]:
    """The data with members that the older schema did not have; one that has them already is not of that schema."""

    def upcast(data: Data) -> Data:
        if surplus := members.keys() & data.keys():
            raise CodecError(f"an entry of an older schema has no field /{min(surplus)}")
        return {**data, **members}

    return upcast


def _without(*paths: str) -> Callable[[Data], Data]:
    """The data as it is, if it has nothing that the older schema lacked: `/zone`, or `/fields/*/required` in each of a list."""

    def upcast(data: Data) -> Data:
        for path in paths:
            if any(True for _ in _at(data, path.split("/")[1:])):
                raise CodecError(f"an entry of an older schema has no field {path}")
        return data

    return upcast


def _at(value: Json, steps: Sequence[str]) -> Iterator[Json]:
    if not steps:
        yield value
    elif steps[0] == "*":
        for item in value if isinstance(value, list) else ():
            yield from _at(item, steps[1:])
    elif isinstance(value, Mapping) and steps[0] in value:
        yield from _at(value[steps[0]], steps[1:])


_UNPLACED: Final = tuple(f"/fields/*/{name}" for name in ("width_millipoints", "height_millipoints", "participant", "required"))


#: Names of older schemas. Entries under them stay in the log as they are and are read as the present fact.
UPCASTS: Final[Mapping[str, Upcast]] = {
    "document.file-stored/1": Upcast(DocumentFileStored, _without("/file/normalised_sha256")),
    "envelope.certificate-issued/1": Upcast(CertificateIssued, _without("/body_sha256", "/body_bytes", "/seal")),
    "envelope.created/1": Upcast(EnvelopeCreated, _with(fields=[], copies=[])),
    "envelope.created/2": Upcast(EnvelopeCreated, _without("/zone")),
    "envelope.document-executed/1": Upcast(DocumentExecuted, _without("/body_bytes", "/normalised_sha256", "/seal")),
    "signing.process-created/1": Upcast(ProcessCreated, _with(human_only=False)),
    "template.fields-defined/1": Upcast(FieldsDefined, _without(*_UNPLACED)),
    "template.file-stored/1": Upcast(FileStored, _without("/file/normalised_sha256")),
}

_CURRENT: Final[Mapping[str, str]] = {name: upcast.fact.TYPE for name, upcast in UPCASTS.items()}

#: Every name that a stored fact may have.
KNOWN: Final = frozenset((*FACTS, *UPCASTS))


def current_type(type_name: str) -> str:
    """The name under which the fact of an entry would be stored today; an unknown name is its own."""
    return _CURRENT.get(type_name, type_name)


def current_data(type_name: str, data: Data) -> Data:
    """The data of an entry, spelled as that of the present fact; raises CodecError."""
    upcast = UPCASTS.get(type_name)
    return data if upcast is None else upcast.data(data)


class CodecError(ValueError):
    """An entry's data does not spell a fact of its type; the message names the field."""


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedFact:
    """A fact as an entry holds it, with the disclosures that go to the vault, by path."""

    type: str
    data: dict[str, Json]
    personal: dict[str, str]
    disclosures: tuple[tuple[str, Disclosure], ...]


def encode_fact(fact: Fact) -> EncodedFact:
    """What goes into the entry and what goes beside it."""
    found: list[tuple[str, Personal]] = []
    data = _object_codec(type(fact)).encode(fact, "", found)
    return EncodedFact(
        fact.TYPE,
        data,
        {path: value.commitment for path, value in found},
        tuple((path, value.disclosure) for path, value in found if value.disclosure is not None),
    )


def decode_fact(type_name: str, data: Mapping[str, Json], personal: Mapping[str, str]) -> Fact:
    """The fact of an entry; raises CodecError for an unknown type or data that does not fit it."""
    fact = FACTS.get(current_type(type_name))
    if fact is None:
        raise CodecError(f"{type_name!r} is not a fact of this ledger")
    taken: list[str] = []
    decoded: Fact = _object_codec(fact).decode(current_data(type_name, data), "", personal, taken)
    if len(taken) != len(personal):
        raise CodecError(f"{type_name} has no personal field {sorted(set(personal) - set(taken))[0]!r}")
    return decoded


class _Absent:
    """An optional value that is not there."""


_ABSENT: Final = _Absent()

Encode = Callable[[Any, str, list[tuple[str, Personal]]], Any]
Decode = Callable[[Any, str, Mapping[str, str], list[str]], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class _Codec:
    encode: Encode
    decode: Decode
    optional: bool = False


def _codec(hint: Any) -> _Codec:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (part for part in get_args(hint) if part is not types.NoneType)
        return _optional(_codec(inner))
    if origin is tuple:
        return _tuple_codec(_codec(get_args(hint)[0]))
    if hint is Personal:
        return _Codec(_encode_personal, _decode_personal)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _enum_codec(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _object_codec(hint)
    raise TypeError(f"facts cannot hold {hint}")


def _encode_personal(value: Personal, path: str, found: list[tuple[str, Personal]]) -> Any:
    found.append((path, value))
    return _ABSENT


def _decode_personal(value: Any, path: str, personal: Mapping[str, str], taken: list[str]) -> Any:
    if value is not _ABSENT:
        raise CodecError(f"{path} is personal and stands in the entry itself")
    commitment = personal.get(path)
    if commitment is None:
        return _ABSENT
    taken.append(path)
    return Personal(commitment)


def _scalar(kind: type, encode: Callable[[Any], Json], decode: Callable[[Any], Any]) -> _Codec:
    def read(value: Any, path: str, personal: Mapping[str, str], taken: list[str]) -> Any:
        if value is _ABSENT:
            return _ABSENT
        if type(value) is not kind:
            raise CodecError(f"{path} is not a {kind.__name__}")
        try:
            return decode(value)
        except (EntryError, IdError, ValueError) as err:
            raise CodecError(f"{path}: {err}") from err

    return _Codec(lambda value, path, found: encode(value), read)


_SCALARS: Final[Mapping[Any, _Codec]] = {
    str: _scalar(str, lambda value: value, lambda value: value),
    int: _scalar(int, lambda value: value, lambda value: value),
    bool: _scalar(bool, lambda value: value, lambda value: value),
    UUID: _scalar(str, str, parse_lower_uuid),
    datetime: _scalar(str, format_time, parse_time),
}


def _enum_codec(hint: type[StrEnum]) -> _Codec:
    members: Mapping[str, StrEnum] = {member.value: member for member in hint}

    def read(value: str) -> StrEnum:
        member = members.get(value)
        if member is None:
            raise ValueError(f"{value!r} is not a {hint.__name__}")
        return member

    return _scalar(str, lambda value: value.value, read)


def _optional(inner: _Codec) -> _Codec:
    def write(value: Any, path: str, found: list[tuple[str, Personal]]) -> Any:
        return _ABSENT if value is None else inner.encode(value, path, found)

    def read(value: Any, path: str, personal: Mapping[str, str], taken: list[str]) -> Any:
        decoded = inner.decode(value, path, personal, taken)
        return None if decoded is _ABSENT else decoded

    return _Codec(write, read, optional=True)


def _tuple_codec(inner: _Codec) -> _Codec:
    def write(value: Any, path: str, found: list[tuple[str, Personal]]) -> Any:
        return [inner.encode(item, f"{path}/{index}", found) for index, item in enumerate(value)]

    def read(value: Any, path: str, personal: Mapping[str, str], taken: list[str]) -> Any:
        if value is _ABSENT:
            return _ABSENT
        if type(value) is not list:
            raise CodecError(f"{path} is not a list")
        return tuple(inner.decode(item, f"{path}/{index}", personal, taken) for index, item in enumerate(value))

    return _Codec(write, read)


_OBJECTS: Final[dict[type[Any], _Codec]] = {}


def _object_codec(hint: type[Any]) -> _Codec:
    codec = _OBJECTS.get(hint)
    if codec is None:
        codec = _OBJECTS[hint] = _read_hints(hint)
    return codec


def _read_hints(hint: type[Any]) -> _Codec:
    hints = get_type_hints(hint)
    members = tuple((item.name, _codec(hints[item.name])) for item in dataclasses.fields(hint))
    readers = tuple((name, f"/{name}", codec.decode) for name, codec in members)
    names = frozenset(name for name, _ in members)

    def write(value: Any, path: str, found: list[tuple[str, Personal]]) -> Any:
        written = {}
        for name, codec in members:
            member = codec.encode(getattr(value, name), f"{path}/{name}", found)
            if member is not _ABSENT:
                written[name] = member
        return written

    def read(value: Any, path: str, personal: Mapping[str, str], taken: list[str]) -> Any:
        if value is _ABSENT:
            return _ABSENT
        if type(value) is not dict:
            raise CodecError(f"{path or 'data'} is not an object")
        if not names.issuperset(value):
            raise CodecError(f"{hint.__name__} has no field {path}/{sorted(set(value) - names)[0]}")
        read_members = []
        for name, step, decode in readers:
            member = decode(value.get(name, _ABSENT), path + step, personal, taken)
            if member is _ABSENT:
                raise CodecError(f"{path}{step} is missing")
            read_members.append(member)
        return hint(*read_members)

    return _Codec(write, read)


def _warm_up() -> None:
    """Reads all type hints once, so that a fact the codec cannot spell fails at import."""
    for fact in FACTS.values():
        _object_codec(fact)


_warm_up()
