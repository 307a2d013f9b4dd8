"""What lies on a page beside its content, and whether all readers show it in the same way.

An appearance is never made up: a reader that does so shows something else than another (ISO 32000-2 section 12.7.4.3 on NeedAppearances).
"""

from typing import Any, Final

import pikepdf

from infrastructure.pdf_child.limits import Unusable

#: Flags of annotations (ISO 32000-1 table 165): not to be seen on a screen (hidden, or no view), and not to be seen by readers
#: that do not know its kind.
_UNSEEN: Final = 1 << 1 | 1 << 5
_INVISIBLE: Final = 1
_FLAGS: Final = range(1 << 32)

#: Points. Some readers draw the border of a link and others none; a wider one hides something.
_BORDER: Final = 3


def is_seen(annotation: pikepdf.Dictionary, form: Any, page: int) -> bool:
    """Whether an annotation is to become a part of the page, or to stay as a link; raises Unusable for what is neither clear.

    `form` is the document's, if it has one.
    """
    kind, flags = annotation.get("/Subtype"), annotation.get("/F", 0)
    is_field = kind == pikepdf.Name.Widget
    if not isinstance(flags, int) or flags not in _FLAGS:
        raise Unusable("unclear-annotation", page=page)
    shown = appearances(annotation) is not None
    if flags & _UNSEEN or (kind == pikepdf.Name.Popup and not shown):
        return False
    clear = isinstance(kind, pikepdf.Name) and kind != pikepdf.Name.Popup and not flags & _INVISIBLE and "/OC" not in annotation
    if not clear or not _is_one_drawing(annotation) or not (_is_field_of(annotation, form) if is_field else _is_mark(annotation)):
        raise Unusable("unclear-form" if is_field else "unclear-annotation", page=page)
    return shown or not is_field


def appearances(annotation: pikepdf.Dictionary) -> Any:
    """The drawing of an annotation, or those of its states; None without any."""
    every = annotation.get("/AP")
    return every.get("/N") if isinstance(every, pikepdf.Dictionary) else None


def _is_one_drawing(annotation: pikepdf.Dictionary) -> bool:
    """Whether it is clear which of an annotation's drawings is shown, if any, and where that ends."""
    drawing = appearances(annotation)
    if isinstance(drawing, pikepdf.Dictionary):
        state = annotation.get("/AS")
        if not isinstance(state, pikepdf.Name):
            return False
        drawing = drawing.get(str(state), drawing.get("/Off"))
        if str(state) not in appearances(annotation) and drawing is not None:
            return False  # a state that there is not: some readers take the one for what is switched off
    return not isinstance(drawing, pikepdf.Stream) or ("/BBox" in drawing and "/OC" not in drawing)


def _is_mark(annotation: pikepdf.Dictionary) -> bool:
    if annotation.get("/Subtype") != pikepdf.Name.Link:
        return appearances(annotation) is not None
    style: Any = annotation.get("/BS", {})
    border: Any = annotation.get("/Border", ())
    return all(width <= _BORDER for width in (style.get("/W", 1), *list(border)[2:3]))


def _is_field_of(annotation: pikepdf.Dictionary, form: Any) -> bool:
    """Whether a form field is shown as it is by all: with a name and a kind, in a form, and none that readers draw themselves."""
    drawing, kind = appearances(annotation), _inherited(annotation, "/FT")
    asks_readers = isinstance(form, pikepdf.Dictionary) and bool(form.get("/NeedAppearances", False))
    if _is_written(annotation) and (asks_readers or not isinstance(drawing, pikepdf.Stream)):
        return False
    if drawing is None:
        looks: Any = annotation.get("/MK", {})
        return "/BG" not in looks and "/BC" not in looks and not (kind == pikepdf.Name.Btn and "/CA" in looks)
    known = isinstance(kind, pikepdf.Name) and _inherited(annotation, "/T") is not None
    return known and isinstance(form, pikepdf.Dictionary)


def _is_written(field: pikepdf.Dictionary) -> bool:
    """Whether a form field has a value that is to be read on the page."""
    value = _inherited(field, "/V")
    empty = value is None or (isinstance(value, pikepdf.String) and not bytes(value)) or value == pikepdf.Array()
    return _inherited(field, "/FT") in (pikepdf.Name.Tx, pikepdf.Name.Ch) and not empty


def _inherited(field: pikepdf.Dictionary, name: str) -> Any:
    """An entry of a field or of the fields that it is a part of (ISO 32000-1 section 12.7.3.1)."""
    for _ in range(100):
        if name in field:
            return field[name]
        above = field.get("/Parent")
        if not isinstance(above, pikepdf.Dictionary):
            return None
        field = above
    raise Unusable("damaged")
