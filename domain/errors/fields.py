"""Refusals of fields: where they are placed, and what is filled into them."""

from dataclasses import dataclass

from domain.errors.refusal import Refusal


@dataclass(eq=False)
class DuplicateField(Refusal):
    code = "duplicate-field"
    sentence = "Two fields are named {name}."
    name: str


@dataclass(eq=False)
class FieldOutsideDocument(Refusal):
    """`pages` is 0 while no PDF has been uploaded: then only pages below 1 are refused."""

    code = "field-outside-document"
    sentence = "Field {name} is on page {page}; the document has {pages}."
    name: str
    page: int
    pages: int


@dataclass(eq=False)
class TooManyFields(Refusal):
    code = "too-many-fields"
    sentence = "{count} fields; there may be at most {most}."
    count: int
    most: int


@dataclass(eq=False)
class FieldMisplaced(Refusal):
    """Lengths are thousandths of a PDF point."""

    code = "field-misplaced"
    sentence = "Field {name} needs a place from 0 and a size from 1, each at most {most} thousandths of a point."
    name: str
    most: int


@dataclass(eq=False)
class FieldLeavesPage(Refusal):
    code = "field-leaves-page"
    sentence = "Field {name} does not lie within page {page} of the document; move it, or make it smaller."
    name: str
    page: int


@dataclass(eq=False)
class AnchorNotFound(Refusal):
    code = "anchor-not-found"
    sentence = "The text that field {name} is to stand at is not in the document."
    name: str


@dataclass(eq=False)
class FieldUnknown(Refusal):
    """`field` is its name, or its number in the envelope."""

    code = "field-unknown"
    sentence = "There is no field {field} for this participant to fill in on the documents to sign."
    field: str


@dataclass(eq=False)
class FieldRequired(Refusal):
    code = "field-required"
    sentence = "Field {name} has to be filled in."
    name: str


@dataclass(eq=False)
class FieldAlreadyFilled(Refusal):
    """`number` is that of the field in its envelope, from 1."""

    code = "field-already-filled"
    sentence = "Field number {number} is filled in twice, or was before."
    number: int


@dataclass(eq=False)
class FieldValueUnfit(Refusal):
    """`why` says what is wrong with the value, and never repeats it: it is personal."""

    code = "field-value-unfit"
    sentence = "What is given for field {name} cannot stand there: {why}"
    name: str
    why: str
