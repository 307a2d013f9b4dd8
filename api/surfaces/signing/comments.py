"""Comments on chattel documents."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field
from starlette.responses import Response

from api.deps import Answer, Outcome
from api.http import send_answer
from api.surfaces.signing.access import Once, User
from api.surfaces.signing.answers import Row, answer, deps_of, in_milliseconds
from api.surfaces.signing.bodies import Body, read
from api.surfaces.signing.chattels import chattel, document_id, owner_subject
from api.surfaces.signing.documentation import documented
from api.surfaces.signing.drafting import prose
from api.surfaces.signing.revealing import revealed, text_at, value_at
from domain.library import CommentDocument
from projections import library

router: Final = APIRouter(prefix="/v1/documents", tags=["Documents"])

#: As documented.
MAX_TEXT_CHARACTERS: Final = 2_000


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("holds no text")
    return prose(value)


_SOME_TEXT: Final[dict[str, Any]] = {"pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*[^\s\x00-\x1f][^\x00-\x08\x0b\x0c\x0e-\x1f]*$"}


class CommentBody(Body):
    """A new comment."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, json_schema_extra=_SOME_TEXT), AfterValidator(_text)]


class CommentRecord(Row):
    """A comment. What was erased with its author is null."""

    id: str
    document_id: str
    text: str | None
    author_id: str | None
    author_name: str | None = Field(description="As the author's token had it; null if it had none.")
    created_at: str


class Comments(Row):
    """The newest comments on a document."""

    comments: list[CommentRecord]


class Comment(Row):
    """One comment."""

    comment: CommentRecord


@router.get("/{id}/comments", summary="List comments", **documented(200, Comments, 404))
async def list_comments(request: Request, caller: User, id: str) -> Response:
    """The last 80 comments, the oldest of them first."""
    deps, row = deps_of(request), await chattel(request, caller, id)
    async with deps.reads.connection() as conn:
        found = await library.comments(conn, caller.tenant, caller.mode, row.id)
    values = await revealed(deps, (reference for it in found for reference in (it.author, it.text)))
    records = []
    for it in found:
        author_id, author_name = _author(value_at(values, it.author))
        records.append(
            CommentRecord(
                id=str(it.position),
                document_id=document_id(row.id),
                text=text_at(values, it.text),
                author_id=author_id,
                author_name=author_name,
                created_at=in_milliseconds(it.created_at),
            )
        )
    return send_answer(answer(200, Comments(comments=records)))


@router.post("/{id}/comments", summary="Comment on a document", **documented(201, Comment, 404, body=CommentBody, changes=True))
async def comment(request: Request, caller: User, id: str, key: Once) -> Response:
    """Adds a comment; a document takes 1,000."""
    deps, body = deps_of(request), await read(request, CommentBody)
    row, whose, user = await chattel(request, caller, id), owner_subject(caller), caller.user
    author = {"issuer": user.issuer, "subject": user.subject, "name": user.name}
    command = CommentDocument(row.id, deps.new_id(), deps.vault.conceal(author, whose), deps.vault.conceal(body.text, whose))

    def render(outcome: Outcome) -> Answer:
        receipt = outcome.recorded[0].receipt
        record = CommentRecord(
            id=str(receipt.position),
            document_id=document_id(row.id),
            text=body.text,
            author_id=user.subject,
            author_name=user.name,
            created_at=in_milliseconds(receipt.at),
        )
        return answer(201, Comment(comment=record))

    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=key))


def _author(value: object) -> tuple[str | None, str | None]:
    """The author's id and name, as far as they are still there."""
    held = value if isinstance(value, Mapping) else {}
    subject, name = held.get("subject"), held.get("name")
    return (subject if isinstance(subject, str) else None, name if isinstance(name, str) else None)
