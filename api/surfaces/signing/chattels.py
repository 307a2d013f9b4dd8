"""Documents of somebody's own library: what they are read from, what they are shown as, and whose they are."""

import re
from datetime import date
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Request
from pydantic import AfterValidator, Field, model_validator

from api.auth import UserCaller
from api.deps import Deps
from api.surfaces.signing.answers import NOT_FOUND, Failed, Row, deps_of, in_milliseconds
from api.surfaces.signing.bodies import Body
from api.surfaces.signing.drafting import LINES, ONE_LINE, printable, prose
from api.surfaces.signing.revealing import Values, revealed, text_at, value_at
from domain.directory import user_subject
from domain.ids import IdError, parse_ulid_id, ulid_id
from domain.library import DocumentKind
from domain.personal import Subject
from projections import library
from projections.library import DocumentRow

#: The limits of the documentation.
MAX_TITLE_CHARACTERS: Final = 200
MAX_DESCRIPTION_CHARACTERS: Final = 2_000
MAX_PROVIDER_CHARACTERS: Final = 120

INVALID_CHATTEL_TYPE: Final = "Invalid chattelType."

#: What other surfaces keep in the library is nobody's chattel.
KINDS: Final = (DocumentKind.CHATTEL,)

_CHATTEL_TYPE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

#: For the document alone: what does not match is refused in words of its own.
_TYPE: Final[dict[str, Any]] = {"pattern": f"^{_CHATTEL_TYPE.pattern}$"}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Title = Annotated[
    str, Field(min_length=1, max_length=MAX_TITLE_CHARACTERS, json_schema_extra=ONE_LINE), AfterValidator(printable)
]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION_CHARACTERS, json_schema_extra=LINES), AfterValidator(prose)]
Amount = Annotated[int, Field(ge=0, lt=2**53)] | Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _day(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError("not a date of the form YYYY-MM-DD")
    date.fromisoformat(text)
    return text


class LoanBody(Body):
    """A loan that the document is about."""

    provider_name: Annotated[
        str, Field(min_length=1, max_length=MAX_PROVIDER_CHARACTERS, json_schema_extra=ONE_LINE), AfterValidator(printable)
    ]
    original_amount: Amount
    remaining_amount: Amount
    currency: Annotated[str, Field(pattern=r"^[A-Za-z]{3}$"), AfterValidator(str.upper)] = Field(
        "USD", description="ISO 4217, shown in capitals."
    )
    maturity_date: Annotated[str, Field(json_schema_extra={"format": "date"}), AfterValidator(_day)] | None = Field(
        None, description="YYYY-MM-DD."
    )
    status: Literal["CURRENT", "BEHIND"] = "CURRENT"


class DocumentBody(Body):
    """A new document."""

    title: Title
    description: Description | None = None
    chattel_type: str = Field(json_schema_extra=_TYPE, description="Such as `vehicle` or `leasehold_estate`.")
    loan: LoanBody | None = None


class DocumentChangeBody(Body):
    """What changes; at least one member. A loan cannot be changed."""

    title: Title | None = None
    description: Description | None = Field(None, description="Null takes it away.")
    chattel_type: Annotated[str, Field(json_schema_extra=_TYPE)] | None = None

    @model_validator(mode="after")
    def _something(self) -> "DocumentChangeBody":
        if not self.model_fields_set:
            raise ValueError("send title, description or chattelType")
        if self.title is None and "title" in self.model_fields_set:
            raise ValueError("a document keeps a title")
        if self.chattel_type is None and "chattel_type" in self.model_fields_set:
            raise ValueError("a document keeps a chattelType")
        return self


class Loan(Row):
    """A loan that a document is about."""

    provider_name: str
    original_amount: int | float
    remaining_amount: int | float
    currency: str
    maturity_date: str | None
    status: Literal["CURRENT", "BEHIND"]


class ChattelFile(Row):
    """The PDF of a document."""

    sha256: str
    size_bytes: int
    pages: int


class ChattelRecord(Row):
    """A document of the caller's own."""

    id: str
    title: str | None
    description: str | None
    chattel_type: str
    loan: Loan | None
    file: ChattelFile | None = Field(description="Null until a PDF was stored; then packages can use the document.")
    created_at: str
    updated_at: str


class Chattel(Row):
    """One document."""

    document: ChattelRecord


class Chattels(Row):
    """The caller's documents."""

    documents: list[ChattelRecord]


def chattel_type(text: str) -> str:
    """A kind of chattel; raises Failed 400 in the documented words."""
    if not _CHATTEL_TYPE.fullmatch(text):
        raise Failed(400, INVALID_CHATTEL_TYPE)
    return text


def owner_subject(caller: UserCaller) -> Subject:
    """Whose data the caller's documents and comments are. They belong to nobody else, so they are erased with the user."""
    return user_subject(caller.tenant, caller.user.issuer, caller.user.subject)


async def chattel(request: Request, caller: UserCaller, id: str) -> DocumentRow:
    """The caller's document; raises Failed 404."""
    deps, owner = deps_of(request), await deps_of(request).vault.subject_id(owner_subject(caller))
    row = None
    try:
        wanted = parse_ulid_id("doc", id)
    except IdError as err:
        raise Failed(404, NOT_FOUND) from err
    if owner is not None:
        await deps.gate.wait({"library"}, deps.settings.read_wait_seconds)
        async with deps.reads.connection() as conn:
            row = await library.get(conn, caller.tenant, caller.mode, KINDS, wanted, owner=owner)
    if row is None:
        raise Failed(404, NOT_FOUND)
    return row


async def chattels(request: Request, caller: UserCaller) -> tuple[DocumentRow, ...]:
    """The caller's documents, the last updated first."""
    deps, owner = deps_of(request), await deps_of(request).vault.subject_id(owner_subject(caller))
    if owner is None:
        return ()
    await deps.gate.wait({"library"}, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        return await library.owned(conn, caller.tenant, caller.mode, KINDS, owner)


async def values_of(deps: Deps, *rows: DocumentRow) -> Values:
    """The personal values that the rows' records show."""
    return await revealed(deps, (reference for row in rows for reference in (row.title, row.description, row.details)))


def chattel_record(row: DocumentRow, values: Values) -> ChattelRecord:
    """A document as this surface shows it."""
    return ChattelRecord(
        id=document_id(row.id),
        title=text_at(values, row.title),
        description=text_at(values, row.description),
        chattel_type=row.type or "",
        loan=loan_record(value_at(values, row.details)),
        file=None if row.file is None else ChattelFile.model_validate(row.file, from_attributes=True),
        created_at=in_milliseconds(row.created_at),
        updated_at=in_milliseconds(row.updated_at),
    )


def loan_record(details: Any) -> Loan | None:
    """A loan as it was stored."""
    return None if details is None else Loan.model_validate(details)


def document_id(id: UUID) -> str:
    """`doc_` and 26 characters."""
    return ulid_id("doc", id)
