"""What a document to be signed must not have in it: programs, files, and what is not in the file at all.

Every object of the file is looked at, also one that nothing refers to: another reader may find a way to it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pikepdf

from infrastructure.pdf_child.limits import Unusable

SIGNED: Final = "already-signed"
XFA: Final = "xfa"
JAVASCRIPT: Final = "javascript"
LAUNCH: Final = "launch-action"
SUBMIT: Final = "submit-action"
EMBEDDED: Final = "embedded-file"
MEDIA: Final = "rich-media"
OUTSIDE: Final = "outside-content"
LAYERS: Final = "unclear-layers"

#: Of several reasons the first is given.
_ORDER: Final = (SIGNED, XFA, JAVASCRIPT, LAUNCH, SUBMIT, EMBEDDED, MEDIA, OUTSIDE, LAYERS)

#: Entries of a dictionary (ISO 32000-1 sections 7.7.4, 7.11.4, 8.10.4, 12.6.4.16, 12.7.8, 12.8.1, 14.11.7).
_KEYS: Final = {
    "/ByteRange": SIGNED,
    "/XFA": XFA,
    "/JS": JAVASCRIPT,
    "/JavaScript": JAVASCRIPT,
    "/EF": EMBEDDED,
    "/EmbeddedFiles": EMBEDDED,
    "/RichMediaContent": MEDIA,
    "/OPI": OUTSIDE,
}

#: Names under /S (actions: ISO 32000-1 table 198, ISO 32000-2 table 201), /Type and /Subtype (annotations: table 169).
_NAMES: Final = {
    "/JavaScript": JAVASCRIPT,
    "/Launch": LAUNCH,
    "/SubmitForm": SUBMIT,
    "/ImportData": SUBMIT,
    "/GoToE": EMBEDDED,
    "/EmbeddedFile": EMBEDDED,
    "/FileAttachment": EMBEDDED,
    "/GoTo3DView": MEDIA,
    "/Movie": MEDIA,
    "/Rendition": MEDIA,
    "/RichMedia": MEDIA,
    "/RichMediaExecute": MEDIA,
    "/Screen": MEDIA,
    "/Sound": MEDIA,
    "/3D": MEDIA,
    "/SetOCGState": LAYERS,
}

_NAMED_BY: Final = ("/S", "/Type", "/Subtype")

#: Whether an object is worth a look: qpdf writes each name in one way. Without it looking takes six times as long.
_WORTH: Final = re.compile(
    rb"/(?:%s)\b" % b"|".join(sorted({name[1:].encode() for name in (*_KEYS, *_NAMES, "/F", "/Ref", "/FT")}, reverse=True))
)


def refuse_active(document: pikepdf.Pdf) -> None:
    """Raises Unusable for the first of _ORDER that the document has."""
    found = {reason for thing in document.objects if _WORTH.search(_written(thing)) for reason in _reasons(thing)}
    for reason in _ORDER:
        if reason in found:
            raise Unusable(reason)


def _written(thing: Any) -> bytes:
    whole = thing.stream_dict if isinstance(thing, pikepdf.Stream) else thing
    return bytes(whole.unparse(resolved=True)) if isinstance(whole, pikepdf.Object) else b""


def _reasons(thing: Any) -> Iterator[str]:
    """Why an object cannot be in a document to be signed; what it refers to is looked at by itself."""
    if isinstance(thing, pikepdf.Stream) and "/F" in thing:
        yield OUTSIDE  # its bytes are in another file (ISO 32000-1 section 7.3.8.2)
    waiting = [thing]
    while waiting:
        each = waiting.pop()
        if isinstance(each, pikepdf.Dictionary | pikepdf.Stream):
            yield from _reasons_of(dict(each.items()))
        waiting.extend(_direct(each))


def _direct(thing: Any) -> Iterable[Any]:
    """The containers in a container that are no objects of their own."""
    if isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
        parts = [part for _, part in thing.items()]
    else:
        parts = list(thing) if isinstance(thing, pikepdf.Array) else []
    return [part for part in parts if isinstance(part, pikepdf.Dictionary | pikepdf.Array) and not part.is_indirect]


def _reasons_of(entries: dict[str, Any]) -> Iterator[str]:
    for key in entries.keys() & _KEYS.keys():
        yield _KEYS[key]
    for key in _NAMED_BY:
        if isinstance(name := entries.get(key), pikepdf.Name) and str(name) in _NAMES:
            yield _NAMES[str(name)]
    if entries.get("/FT") == pikepdf.Name.Sig and entries.get("/V") is not None:
        yield SIGNED
    if isinstance(entries.get("/Ref"), pikepdf.Dictionary) and "/BBox" in entries:
        yield OUTSIDE  # a page of another file is shown in its place (ISO 32000-1 section 8.10.4)
