"""PDFs that mean harm, made here: each with the reason for which intake is to refuse it, or `ok` where it is only odd."""

import zlib
from collections.abc import Callable, Mapping
from typing import Final

#: The body of an object, without its number.
Objects = Mapping[int, bytes]

_CATALOG: Final = b"<< /Type /Catalog /Pages 2 0 R >>"
_PAGES: Final = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
_FONT: Final = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def packed(data: bytes, entries: bytes = b"") -> bytes:
    return stream(zlib.compress(data, 1), b"/Filter /FlateDecode " + entries)


def page(entries: bytes = b"", box: bytes = b"[0 0 400 600]", resources: bytes = b"<< /Font << /F 5 0 R >> >>") -> bytes:
    return b"<< /Type /Page /Parent 2 0 R /MediaBox %s /Resources %s /Contents 4 0 R %s >>" % (box, resources, entries)


def text(words: bytes) -> bytes:
    return b"BT /F 20 Tf 50 500 Td (%s) Tj ET" % words


def file(objects: Objects, *, header: bytes = b"%PDF-1.7\n", trailer: bytes = b"", tail: bytes = b"") -> bytes:
    """A PDF of one page, whose objects 1 to 5 are as those of a good one unless they are given."""
    good = {1: _CATALOG, 2: _PAGES, 3: page(), 4: stream(text(b"A contract")), 5: _FONT}
    return written({**good, **objects}, header, trailer) + tail


def written(objects: Objects, header: bytes, trailer: bytes = b"") -> bytes:
    """The objects, and a cross-reference table that is right (ISO 32000-1 section 7.5.4)."""
    out = bytearray(header)
    size = max(objects) + 1
    table = [b"0000000000 65535 f \n"] + [b"0000000000 00000 f \n"] * (size - 1)
    for number, body in sorted(objects.items()):
        table[number] = b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n%s" % (size, b"".join(table))
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    return bytes(out)


def catalog(entries: bytes) -> bytes:
    return b"<< /Type /Catalog /Pages 2 0 R %s >>" % entries


def annotated(annotation: bytes, more: Objects | None = None, document: bytes = b"") -> bytes:
    """A page with one annotation, which is object 6."""
    return file({1: catalog(document), 3: page(b"/Annots [6 0 R]"), 6: annotation, **(more or {})})


def field(entries: bytes, form: bytes = b"", more: Objects | None = None) -> bytes:
    """A page with one form field."""
    widget = b"<< /Type /Annot /Subtype /Widget /Rect [50 50 200 80] /T (f) /F 4 %s >>" % entries
    return annotated(widget, more, b"/AcroForm << /Fields [6 0 R] %s >>" % form)


def stamped(entries: bytes, appearance: bytes = b"/N 7 0 R", kind: bytes = b"Stamp", drawing: bytes = b"") -> bytes:
    """A page with a black mark on it."""
    annotation = b"<< /Type /Annot /Subtype /%s /Rect [50 490 300 530] /AP << %s >> %s >>" % (kind, appearance, entries)
    form = drawing or b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]"
    return annotated(annotation, {7: stream(b"0 0 9 9 re f", form), 9: b"<< /Type /OCG /Name (x) >>"})


def layered(shown: bytes, layer: bytes, document: bytes = b"") -> bytes:
    """A page with words on a layer; `shown` is what its configuration says, and `layer` what is said of it."""
    return file({
        1: catalog(b"/OCProperties << /OCGs [9 0 R] /D << %s >> >> %s" % (shown, document)),
        3: page(resources=b"<< /Font << /F 5 0 R >> /Properties << /L 9 0 R >> >>"),
        4: stream(b"/OC /L BDC " + text(b"1 000 EUR") + b" EMC"),
        9: b"<< /Type /OCG /Name (x) %s >>" % layer,
    })  # fmt: skip


def exponential(levels: int = 18, times: int = 10) -> bytes:
    """A drawing that uses another ten times, which uses another ten times: 10^18 letters in six kilobytes."""
    objects = {3: page(resources=b"<< /Font << /F 5 0 R >> /XObject << /X 10 0 R >> >>"), 4: stream(b"/X Do")}
    for level in range(levels):
        form = b"/Type /XObject /Subtype /Form /BBox [0 0 400 600] /Resources << /XObject << /X %d 0 R >> >>" % (11 + level)
        objects[10 + level] = stream(b"/X Do " * times, form)
    last = b"/Type /XObject /Subtype /Form /BBox [0 0 400 600] /Resources << /Font << /F 5 0 R >> >>"
    return file({**objects, 10 + levels: stream(text(b"x"), last)})


def chain(depth: int, *, to_itself: bool = False) -> bytes:
    """Drawings that use each other, named so that the deepest is met first; or one that uses itself."""
    last = 10 + depth
    names = b" ".join(b"/A%03d %d 0 R" % (last - number, number) for number in range(10, last + 1))
    uses = b" ".join(b"/A%03d Do" % number for number in range(depth + 1))
    objects = {3: page(resources=b"<< /XObject << %s >> >>" % names), 4: stream(uses)}
    for number in range(10, last + 1):
        form = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> >>"
        below = 10 if to_itself else number + 1
        objects[number] = stream(b"/X Do" if below <= last else b"0 0 1 1 re f", form % below)
    return file(objects)


def bomb_of_appearances() -> bytes:
    """An annotation's appearance that unpacks to more than a reader should have to go through."""
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]"
    annotation = b"<< /Type /Annot /Subtype /Stamp /Rect [50 50 200 80] /F 4 /AP << /N 7 0 R >> >>"
    return annotated(annotation, {7: packed(b"0 0 1 1 re f\n" * 2_000_000, form)})


def xref_stream(entries: bytes, data: bytes) -> bytes:
    """A file whose cross-reference is a stream with the given entries (ISO 32000-1 section 7.5.8)."""
    head = b"%PDF-1.7\n1 0 obj\n" + _CATALOG + b"\nendobj\n"
    body = b"9 0 obj\n" + stream(data, b"/Type /XRef /Root 1 0 R " + entries) + b"\nendobj\n"
    return head + body + b"startxref\n%d\n%%%%EOF\n" % len(head)


def shown_by_some() -> bytes:
    """The table gives the content another generation than it has. PDFium shows it all the same, qpdf does not."""
    good = file({})
    start = good.index(b"\n4 0 obj") + 1
    return good.replace(b"%010d 00000 n" % start, b"%010d 00001 n" % start)


def of_two_generations() -> bytes:
    """An update with another content of a later generation, which PDFium shows whatever generation is asked for."""
    good = file({4: stream(b"50 50 100 100 re f")})
    update = b"4 1 obj\n" + stream(b"250 450 100 100 re f") + b"\nendobj\n"
    table = b"xref\n4 1\n%010d 00001 n \ntrailer\n<< /Size 6 /Root 1 0 R /Prev %d >>\n" % (len(good), good.rindex(b"xref\n0"))
    return good + update + table + b"startxref\n%d\n%%%%EOF\n" % (len(good) + len(update))


def dark_javascript(where: str) -> bytes:
    """A program where one may not look for it."""
    action = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"
    return {
        "names": file({1: catalog(b"/Names << /JavaScript << /Names [(x) 6 0 R] >> >>"), 6: action}),
        "page": file({3: page(b"/AA << /O %s >>" % action)}),
        "annotation": annotated(
            b"<< /Type /Annot /Subtype /Link /Rect [9 9 99 99] /A << /S /URI /URI (x:) /Next [%s] >> >>" % action
        ),
        "escaped": file({1: catalog(b"/OpenAction << /S /Java#53cript /J#53 (1) >>")}),
        "outline": file({1: catalog(b"/Outlines << /First 6 0 R >>"), 6: b"<< /Title (x) /A %s >>" % action}),
        "unreachable": file({6: b"[[[[ %s ]]]]" % action}),
    }[where]


#: What makes each file, and what is to be said of it.
HOSTILE: Final[Mapping[str, tuple[Callable[[], bytes], str]]] = {
    "good": (lambda: file({}), "ok"),
    # What is larger than it seems.
    "flate-bomb": (lambda: file({4: packed(bytes(70_000_000))}), "bad-content"),
    "flate-in-flate": (
        lambda: file({4: stream(zlib.compress(zlib.compress(bytes(70_000_000), 1)), b"/Filter [/FlateDecode /FlateDecode]")}),
        "bad-content",
    ),
    "five-million-operators": (lambda: file({4: packed(b"0 0 1 1 re f\n" * 2_500_000)}), "too-complex"),
    "many-pages-with-one-large-content": (
        lambda: file({2: b"<< /Type /Pages /Count 40 /Kids [%s] >>" % (b"3 0 R " * 40), 4: packed(b"q Q " * 1_000_000)}),
        "too-complex",
    ),
    "drawings-without-end": (exponential, "too-complex"),
    "drawings-in-a-circle": (lambda: chain(0, to_itself=True), "too-complex"),
    "drawings-twenty-deep": (lambda: chain(18), "ok"),
    "drawings-too-deep": (lambda: chain(60), "too-complex"),
    "appearance-bomb": (bomb_of_appearances, "too-complex"),
    "arrays-in-arrays": (lambda: file({3: page(b"/X %s1%s" % (b"[" * 5_000, b"]" * 5_000))}), "no-pages"),
    "many-objects": (lambda: file(dict.fromkeys(range(6, 100_007), b"null")), "too-complex"),
    "huge-index": (lambda: xref_stream(b"/Size 2000000000 /W [0 0 0] /Index [0 2000000000]", b""), "damaged"),
    "huge-numbers-of-objects": (lambda: xref_stream(b"/Size 5 /W [1 8 8] /Index [0 5]", b"\xff" * 85), "damaged"),
    # What goes round.
    "pages-in-a-circle": (lambda: file({2: b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"}), "damaged"),
    "page-that-is-its-own-parent": (lambda: file({2: b"<< /Type /Pages /Parent 2 0 R /Kids [3 0 R] /Count 1 >>"}), "ok"),
    "contents-of-the-page-itself": (lambda: file({3: page().replace(b"/Contents 4 0 R", b"/Contents [3 0 R 3 0 R]")}), "ok"),
    "length-that-is-itself": (lambda: file({4: b"<< /Length 4 0 R >>\nstream\nq\nendstream"}), "ok"),
    "field-that-is-its-own-parent": (lambda: field(b"/Parent 6 0 R"), "damaged"),
    # What acts.
    **{
        f"javascript-{where}": (lambda where=where: dark_javascript(where), "javascript")  # type: ignore[misc]
        for where in ("names", "page", "annotation", "escaped", "outline", "unreachable")
    },
    "launch": (lambda: file({1: catalog(b"/OpenAction << /S /Launch /F (calc.exe) >>")}), "launch-action"),
    "submit": (lambda: field(b"/FT /Btn /A << /S /SubmitForm /F (http://x) >>"), "submit-action"),
    "import": (lambda: field(b"/FT /Btn /AA << /U << /S /ImportData /F (x) >> >>"), "submit-action"),
    "xfa-in-a-hidden-form": (lambda: file({1: catalog(b"/AcroForm << /Fields [] /XFA [(a) 6 0 R] >>"), 6: stream(b"<xdp/>")}), "xfa"),
    "associated-file": (
        lambda: file({1: catalog(b"/AF [6 0 R]"), 6: b"<< /Type /Filespec /F (x) /EF << /F 7 0 R >> >>", 7: stream(b"MZ")}),
        "embedded-file",
    ),
    "attached-by-annotation": (
        lambda: annotated(b"<< /Subtype /FileAttachment /Rect [9 9 30 30] /FS << /F (x) >> >>"), "embedded-file"
    ),
    "film": (lambda: annotated(b"<< /Subtype /Movie /Rect [9 9 30 30] /Movie << /F (x.avi) >> >>"), "rich-media"),
    "bytes-of-another-file": (lambda: file({4: b"<< /Length 0 /F (/etc/passwd) >>\nstream\n\nendstream"}), "outside-content"),
    "signed": (
        lambda: field(b"/FT /Sig /V 7 0 R", more={7: b"<< /Type /Sig /ByteRange [0 1 2 3] /Contents <00> >>"}), "already-signed"
    ),
    # What readers show differently.
    "value-without-appearance": (lambda: field(b"/FT /Tx /V (1 000 EUR)"), "unclear-form"),
    "value-drawn-by-the-reader": (
        lambda: field(
            b"/FT /Tx /V (1 000 EUR) /AP << /N 7 0 R >>", b"/NeedAppearances true",
            {7: stream(b"", b"/Type /XObject /Subtype /Form /BBox [0 0 150 30]")},
        ),
        "unclear-form",
    ),
    "empty-field-and-signature": (lambda: field(b"/FT /Sig"), "ok"),
    "square-that-the-reader-draws": (
        lambda: annotated(b"<< /Subtype /Square /Rect [50 490 300 530] /IC [1 1 1] >>"), "unclear-annotation"
    ),
    "shown-by-some-readers": (shown_by_some, "damaged"),
    "lines-of-two-generations": (of_two_generations, "damaged"),
    "lines-of-a-wrong-length": (lambda: file({4: b"<< /Length 60 >>\nstream\n50 50 100 100 re f\nendstream"}), "damaged"),
    "mark-for-readers-that-know-it": (lambda: stamped(b"/F 1"), "unclear-annotation"),
    "mark-with-flags-that-are-no-number": (lambda: stamped(b"/F (2)"), "unclear-annotation"),
    "mark-with-more-flags-than-there-are": (lambda: stamped(b"/F 4294967298"), "unclear-annotation"),
    "mark-in-no-state": (lambda: stamped(b"/V /On", b"/N << /On 7 0 R >>"), "unclear-annotation"),
    "mark-in-a-state-that-is-not-there": (lambda: stamped(b"/AS /On", b"/N << /Off 7 0 R >>"), "unclear-annotation"),
    "mark-without-bounds": (lambda: stamped(b"", drawing=b"/Type /XObject /Subtype /Form"), "unclear-annotation"),
    "mark-on-a-layer": (lambda: stamped(b"", drawing=b"/Subtype /Form /BBox [0 0 9 9] /OC 9 0 R"), "unclear-annotation"),
    "note-that-shows-itself": (lambda: stamped(b"", kind=b"Popup"), "unclear-annotation"),
    "link-with-a-border-over-the-words": (
        lambda: annotated(b"<< /Subtype /Link /Rect [50 490 300 530] /C [1 1 1] /Border [0 0 40] >>"), "unclear-annotation"
    ),
    "link-with-a-thin-border": (lambda: annotated(b"<< /Subtype /Link /Rect [50 490 300 530] /BS << /W 1 >> >>"), "ok"),
    "field-of-no-form": (lambda: stamped(b"/FT /Tx /T (f)", kind=b"Widget"), "unclear-form"),
    "field-that-readers-paint-white": (lambda: field(b"/FT /Sig /MK << /BG [1 1 1] >>"), "unclear-form"),
    "field-on-a-layer": (lambda: field(b"/FT /Tx /OC 9 0 R", more={9: b"<< /Type /OCG /Name (x) >>"}), "unclear-form"),
    "layer-that-some-readers-show": (lambda: layered(b"", b"/Usage << /View << /ViewState /OFF >> >>"), "unclear-layers"),
    "layer-that-is-printed-only": (
        lambda: layered(b"/OFF [9 0 R]", b"/Usage << /Print << /PrintState /ON >> >>"), "unclear-layers"
    ),
    "layer-that-shows-from-near": (
        lambda: layered(b"/AS [<< /Event /View /Category [/Zoom] /OCGs [9 0 R] >>]", b"/Usage << /Zoom << /min 5 >> >>"), "unclear-layers"
    ),
    "layer-for-those-who-draw": (lambda: layered(b"/OFF [9 0 R]", b"/Intent /Design"), "unclear-layers"),
    "layer-that-a-click-shows": (
        lambda: layered(b"/OFF [9 0 R]", b"", b"/Outlines << /First << /A << /S /SetOCGState /State [/ON 9 0 R] >> >> >>"),
        "unclear-layers",
    ),
    "layer-as-it-seems": (lambda: layered(b"/Order [9 0 R]", b"/Usage << /Print << /PrintState /ON >> >>"), "ok"),
    "content-that-breaks-off": (lambda: file({4: stream(b"<< /A 0 0 9 9 re f")}), "bad-content"),
    "turned-by-a-number-that-is-not-whole": (lambda: file({3: page(b"/Rotate 90.0")}), "bad-page"),
    # What has no size, or none that can be. Where none can be read all readers take US Letter, and so does the normalised form.
    "page-of-a-light-year": (lambda: file({3: page(box=b"[0 0 1000000000 1000000000]")}), "bad-page"),
    "page-of-99-digits": (lambda: file({3: page(box=b"[0 0 %s 600]" % (b"9" * 99))}), "no-pages"),
    "page-that-is-no-number": (lambda: file({3: page(box=b"[0 0 NaN Infinity]")}), "ok"),
    "page-of-three-numbers": (lambda: file({3: page(box=b"[0 0 400]")}), "ok"),
    "page-without-size": (lambda: file({3: page().replace(b"/MediaBox [0 0 400 600]", b"")}), "ok"),
    "page-of-far-exponents": (lambda: file({3: page(box=b"[0 0 1e400 1e400]")}), "ok"),
    "page-in-another-unit": (lambda: file({3: page(b"/UserUnit 1000000")}), "bad-page"),
    "page-turned-for-ever": (lambda: file({3: page(b"/Rotate 90000000000000000000")}), "no-pages"),
    # What is written oddly.
    "garbage-before": (lambda: b"MZ" + bytes(500) + file({}), "ok"),
    "garbage-behind": (lambda: file({}, tail=b"PK\x03\x04" * 1000), "damaged"),
    "header-of-no-version": (lambda: file({}, header=b"%PDF-99.99\n"), "ok"),
    "no-catalog": (lambda: file({1: b"null"}), "damaged"),
    "catalog-of-another-kind": (lambda: file({1: b"(a string)"}), "damaged"),
    "pages-that-are-a-number": (lambda: file({2: b"17"}), "damaged"),
    "encrypted-by-nothing": (lambda: file({}, trailer=b"/Encrypt << /Filter /None >>"), "damaged"),
    "left-open": (lambda: file({4: stream(b"q 0.1 0 0 0.1 0 0 cm BT " * 50 + text(b"A contract"))}), "ok"),
}  # fmt: skip
