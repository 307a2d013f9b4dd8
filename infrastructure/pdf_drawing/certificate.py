"""The certificate of completion: what was observed of an envelope, from whom, and how to verify it.

Each time is UTC to the millisecond, with the same moment in the envelope's own time zone in small.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Final, assert_never

import pikepdf
from pikepdf.models.metadata import encode_pdf_date
from reportlab.pdfgen.canvas import Canvas

from infrastructure.pdf_drawing import lettering
from infrastructure.pdf_drawing.case import Absent, Case, CaseEvent, Known, Paper, Signer, Timed, Told
from infrastructure.pdf_drawing.drawn_image import points_of
from infrastructure.pdf_drawing.lettering import Face
from infrastructure.pdf_drawing.paper import (
    ACCENT,
    GREY,
    HEADING,
    TEST,
    WARNING,
    Rows,
    Sheets,
    Style,
    beside,
    gap,
    image,
    qr_code,
    rule,
    text,
)

_TITLE: Final = Style(Face.BOLD, 18, ACCENT)
_TEST: Final = Style(Face.BOLD, 11, WARNING)
_NAME: Final = Style(Face.BOLD, 9)
_STRONG: Final = Style(Face.BOLD)
_PLAIN: Final = Style()
_LABEL: Final = Style(colour=GREY)
_SMALL: Final = Style(size=6, colour=GREY)

#: Points.
_LABEL_WIDTH: Final = 80.0
_NARROW_LABEL_WIDTH: Final = 62.0
_GUTTER: Final = 14.0
_QR: Final = 92.0
_SIGNATURE: Final = (120.0, 32.0)

#: Of all images together, in their own points: reading so many takes about a third of the time that there is.
_MAX_POINTS: Final = 80_000_000
_NUMBER_WIDTH: Final = 24.0
_TIME_WIDTH: Final = 132.0

Pair = tuple[str, Told]


def certificate(case: Case, paper: Paper = Paper.A4) -> bytes:
    """The certificate as a PDF; the same case gives the same bytes. Raises ImageRefused."""
    sheets = Sheets(paper.value)
    across = sheets.across
    sheets.add(_head(case, across))
    for title, parts in _sections(case, across):
        heading = gap(9) + text(title, HEADING, across) + gap(2) + rule(across, ACCENT, 0.8) + gap(5)
        for part in parts:
            # A heading never stands alone at the end of a page.
            sheets.add(heading + part)
            heading = ()
    out = BytesIO()
    canvas = Canvas(out, invariant=1, pageCompression=1, initialFontName=lettering.font(Face.PLAIN))  # type: ignore[arg-type]  # a name; typed as a number
    name = f"Certificate of completion  ·  envelope {case.envelope}" + (f"  ·  {TEST}" if case.test else "")
    sheets.paint(canvas, lambda page, pages: f"{name}  ·  page {page} of {pages}")
    canvas.save()
    return _described(out.getvalue(), case)


def _described(drawn: bytes, case: Case) -> bytes:
    """The file with its title and its date: reportlab's is invariant, so a wrong one."""
    with pikepdf.open(BytesIO(drawn)) as document:
        at = encode_pdf_date(case.made)
        title = f"Certificate of completion of envelope {case.envelope}"
        del document.trailer["/Info"]
        document.docinfo = document.make_indirect(
            pikepdf.Dictionary(Title=title, Creator="Countersign", Producer="Countersign", CreationDate=at, ModDate=at)
        )
        document.Root["/Lang"] = pikepdf.String("en")
        document.Root["/ViewerPreferences"] = pikepdf.Dictionary(DisplayDocTitle=True)
        out = BytesIO()
        document.save(out, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
        return out.getvalue()


def _head(case: Case, across: float) -> Rows:
    left = across - _QR - _GUTTER
    pairs: list[Pair] = [
        ("Envelope", Known(case.envelope)),
        ("Subject", Known(case.subject) if case.subject.strip() else Absent("the envelope has no subject")),
        ("Status", Known(case.status)),
        ("Documents", Known(_counted(case))),
        ("Originator", case.originator),
        ("Created", case.created),
        ("Completed", case.completed),
        ("Time zone", Known(_zone(case))),
        ("Certificate made", Timed(case.made)),
    ]
    title = text("Certificate of completion", _TITLE, left) + (text(TEST, _TEST, left) if case.test else ()) + gap(8)
    told = title + _pairs(pairs, left, case)
    code = qr_code(case.url, _QR) + text("Verify this envelope:", _SMALL, _QR) + text(case.url, _SMALL, _QR)
    return beside([(0, told), (left + _GUTTER, code)])


def _zone(case: Case) -> str:
    """Nothing is small beside a time where the zone is UTC."""
    return case.zone.key if case.zone.key == "UTC" else f"{case.zone.key}; every time is UTC, with that of this zone in small"


def _counted(case: Case) -> str:
    pages = sum(document.pages for document in case.documents)
    documents = "1 document" if len(case.documents) == 1 else f"{len(case.documents)} documents"
    return f"{documents}, {pages} page" + ("" if pages == 1 else "s")


def _sections(case: Case, across: float) -> Sequence[tuple[str, Sequence[Rows]]]:
    documents = [
        text(document.title, _STRONG, across)
        + _pairs(
            [
                ("Pages", Known(str(document.pages))),
                ("Original, SHA-256", Known(document.original_sha256)),
                ("Executed, SHA-256", document.executed),
            ],
            across,
            case,
        )
        + gap(5)
        for document in case.documents
    ]
    events = [_event(event, across, case) for event in case.events]
    signers = [_signer(*each, across, case) for each in zip(case.signers, _pictures(case), strict=True)]
    return [
        ("Documents" if len(documents) != 1 else "Document", documents),
        ("Signers" if len(case.signers) != 1 else "Signer", signers),
        ("What happened", events),
        ("In the log", _log(case, across)),
        ("Seal of the executed documents" if len(documents) != 1 else "Seal of the executed document", [_seal(case, across)]),
        ("How to verify", _verification(case, across)),
    ]


def _pictures(case: Case) -> Iterator[Rows]:
    """The images of the signatures, as many as there is time for."""
    points = 0
    for signer in case.signers:
        if signer.drawn is None:
            yield ()
            continue
        points += points_of(signer.drawn)
        if points <= _MAX_POINTS:
            yield image(signer.drawn, *_SIGNATURE)
        else:
            yield text("(not drawn here: the images are too large together)", _LABEL, _SIGNATURE[0])


def _signer(signer: Signer, picture: Rows, across: float, case: Case) -> Rows:
    half = (across - _GUTTER) / 2
    who: list[Pair] = [
        ("E-mail", signer.email),
        ("Authenticated", signer.authentication),
        ("IP address", signer.address),
        ("User agent", signer.user_agent),
        ("Signature id", signer.signature),
        ("Adopted", signer.adopted),
    ]
    when: list[Pair] = [
        ("Invited", signer.sent),
        ("Viewed", signer.viewed),
        ("Consented", signer.consented),
        ("Consent text", signer.consent_text),
        (signer.outcome, signer.ended),
    ]
    if signer.reason is not None:
        when.append(("Reason", signer.reason))
    right = _pairs(when, half, case, _NARROW_LABEL_WIDTH)
    if picture:
        label = text("As given", _LABEL, _NARROW_LABEL_WIDTH)
        right += gap(3) + beside([(0, label), (_NARROW_LABEL_WIDTH, picture)])
    name = text(signer.name, _NAME, across, (f"{signer.role}  ·  {signer.outcome}" if signer.role else signer.outcome, _LABEL))
    columns = beside([(0, _pairs(who, half, case, _NARROW_LABEL_WIDTH)), (half + _GUTTER, right)])
    return name + gap(2) + columns + gap(4) + rule(across) + gap(5)


def _event(event: CaseEvent, across: float, case: Case) -> Rows:
    start = _NUMBER_WIDTH + _TIME_WIDTH
    rest = across - start
    what = text(event.type, _STRONG, rest, (event.actor, _PLAIN))
    if event.detail:
        what += text(event.detail, _PLAIN, rest)
    what += text(event.digest, _SMALL, rest, (event.source, _SMALL))
    when = text(_utc(event.at), _PLAIN, _TIME_WIDTH) + text(_local(event.at, case), _SMALL, _TIME_WIDTH)
    number = text(str(event.number), _LABEL, _NUMBER_WIDTH)
    return beside([(0, number), (_NUMBER_WIDTH, when), (start, what)]) + gap(4)


def _log(case: Case, across: float) -> Sequence[Rows]:
    heads = [
        text(head.title, _STRONG, across, (f"process {head.stream}, {head.version} entries", _LABEL))
        + _pairs([("Head", Known(head.digest))], across, case)
        + gap(4)
        for head in case.heads
    ]
    match case.checkpoint:
        case Absent() as absent:
            covering = _pairs([("Checkpoint", absent)], across, case)
        case checkpoint:
            named = ", ".join(checkpoint.witnesses)
            covering = text("Checkpoint that covers them", _STRONG, across) + _pairs(
                [
                    ("Log", Known(checkpoint.origin)),
                    ("Size", Known(f"{checkpoint.size} entries")),
                    ("Root", Known(checkpoint.root)),
                    ("Signed", Timed(checkpoint.at)),
                    ("Witnesses", Known(named) if named else Absent("no witness has cosigned it")),
                ],
                across,
                case,
            )
    return [*heads, covering]


def _seal(case: Case, across: float) -> Rows:
    pairs: list[Pair] = [
        ("Certificate", case.seal.fingerprint),
        ("Profile", case.seal.profile),
        ("Time-stamped by", case.seal.authority),
        ("Time-stamped at", case.seal.stamped),
    ]
    if case.seal.not_higher:
        pairs.insert(2, ("Not higher", Known(case.seal.not_higher)))
    return _pairs(pairs, across, case)


def _verification(case: Case, across: float) -> Sequence[Rows]:
    steps = [
        beside([(0, text(f"{number}.", _LABEL, _NUMBER_WIDTH)), (_NUMBER_WIDTH, text(step, _PLAIN, across - _NUMBER_WIDTH))])
        + gap(2)
        for number, step in enumerate(case.offline, 1)
    ]
    note = "A letter that the typefaces of this file lack is told by its number in Unicode, such as U+0915."
    return [*steps, gap(4) + text(note, _SMALL, across)]


def _pairs(pairs: Sequence[Pair], across: float, case: Case, label_width: float = _LABEL_WIDTH) -> Rows:
    """Labels with what is told, one under another."""
    room = across - label_width
    return tuple(
        row
        for label, told in pairs
        for row in beside([(0, text(label, _LABEL, label_width - 4)), (label_width, _told(told, room, case))])
    )


def _told(told: Told, across: float, case: Case) -> Rows:
    match told:
        case Known(words, source):
            return text(words, _PLAIN, across, (source, _SMALL))
        case Timed(at, source, words):
            beside_it = "  ·  ".join(part for part in (_local(at, case), source) if part)
            rows = text(_utc(at), _PLAIN, across, (beside_it, _SMALL))
            return rows + tuple(row for line in words.split("\n") if line for row in text(line, _PLAIN, across))
        case Absent(reason):
            return text(f"({reason})", _LABEL, across)
        case _ as never:
            assert_never(never)


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'milliseconds')} UTC"


def _local(at: datetime, case: Case) -> str:
    """The same moment in the envelope's zone, with its day where that is another one; nothing where the zone is UTC as well."""
    local = at.astimezone(case.zone)
    if not local.utcoffset():
        return ""
    told = local.isoformat(" ", "seconds")
    return told if local.date() != at.astimezone(UTC).date() else told.split(" ")[1]
