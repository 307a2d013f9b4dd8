"""The report's sections: what this is, who took part, what was signed, what happened, what is shown, how to verify it."""

from collections.abc import Iterator
from typing import Final, assert_never
from uuid import UUID

from api.report.case import Case, File, FileState, Role, named_files
from api.report.page import Block, Code, Page, Paragraph, Section, Table, Terms
from domain.actor import Mode, Provenance
from domain.signing import ProcessCreated
from infrastructure.telling.happened import Happened, envelope_status, signing_status
from infrastructure.telling.personal import Disclosed, Erased, Withheld
from infrastructure.telling.sentences import sentence
from infrastructure.telling.tables import OBSTACLES
from infrastructure.telling.wording import Wording, moment

#: What each personal value of a signing's first entry is called.
_PERSON: Final = (("E-mail address", "email"), ("Phone number", "phone"), ("Document number", "document_number"))


def page_of(case: Case) -> Page:
    """The report of a case."""
    wording = case.wording()
    return Page(
        "Evidence of a signing process" if case.process else "Evidence of an envelope and its signing processes",
        (
            Section("What this is", tuple(_about(case, wording))),
            Section("Who took part", tuple(_people(case, wording))),
            Section("Documents", tuple(_documents(case, wording))),
            Section("What happened", tuple(_timeline(case, wording))),
            Section("What is shown, and what is absent", tuple(_shown(case))),
            Section("How to verify this", tuple(_verifying())),
        ),
    )


def _about(case: Case, wording: Wording) -> Iterator[Block]:
    yield Paragraph(
        "The server that keeps the ledger wrote this report from the other files of this bundle, for people to read. It is no evidence"
        " itself: whoever can change the bundle can write another report. What holds, a verifier establishes from the other files.",
        loud=True,
    )
    created = case.created
    if created is not None and created.mode is Mode.TEST:
        yield Paragraph("This was a test. Nothing that was done here is binding.", loud=True)
    first, last = case.happened[0], case.happened[-1]
    rows: list[tuple[str, str]] = [("Ledger", Code(case.ledger)), ("Envelope", Code(str(case.envelope)))]
    if case.process is not None:
        rows.append(("Process", Code(f"{case.envelope}-{case.process}")))
    if created is not None:
        rows.append(("Tenant", Code(str(created.tenant))))
        texts = (("Subject", created.subject), ("Message", created.message), ("Metadata", created.metadata))
        rows += [(name, wording.value(value)) for name, value in texts if value is not None]
    rows += [
        ("Outcome", f"the envelope is {envelope_status(case.happened)}, as of position {last.position}"),
        ("Entries", f"{len(case.happened)}, at positions {first.position} to {last.position} of the ledger"),
        ("First and last", f"{moment(first.entry.at)}\n{moment(last.entry.at)}"),
        ("Checkpoint", f"{_position(case.seal.size)}, signed at {moment(case.seal.at)} by the server's clock"),
    ]
    yield Terms(rows)


def _people(case: Case, wording: Wording) -> Iterator[Block]:
    processes = case.processes()
    for who, process in processes.items():
        yield Terms(list(_person(case, wording, who, process)))
    others = {who: place for who, place in case.participants().items() if who not in processes}
    if others:
        yield Paragraph("Other participants of the envelope, whose processes are not in this bundle:")
        yield Table(("Place", "Participant"), [(str(place), Code(str(who))) for who, place in others.items()])
    created = case.created
    if created is not None and created.copies:
        yield Paragraph("Who was to get a copy:")
        rows = [(wording.value(copy.name), wording.value(copy.email)) for copy in created.copies]
        yield Table(("Name", "E-mail address"), rows)


def _person(case: Case, wording: Wording, who: UUID, process: ProcessCreated) -> Iterator[tuple[str, str]]:
    yield "Participant", str(case.participants().get(who, "not named by the envelope"))
    yield "Name", wording.value(process.name)
    for name, member in _PERSON:
        value = getattr(process, member)
        if value is not None:
            yield name, wording.value(value)
    if process.details is not None:
        yield "Further details", wording.value(process.details)
    if process.role is not None:
        yield "Role", process.role
    yield "Id", Code(str(who))
    yield "Number in the order", str(process.number)
    yield "Outcome", signing_status(case.happened, who)


def _documents(case: Case, wording: Wording) -> Iterator[Block]:
    files = named_files(case.happened)
    if not files:
        yield Paragraph("The entries name no document.")
        return
    rows = [
        (
            _called(file, wording),
            "not recorded" if file.pages is None else str(file.pages),
            Code(file.sha256),
            case.files.get(file.sha256, FileState.ABSENT).value,
        )
        for file in files
    ]
    yield Table(("Document", "Pages", "SHA-256", "Where it is"), rows)


def _called(file: File, wording: Wording) -> str:
    title = "" if file.document is None else wording.document(file.document)
    match file.role:
        case Role.ORIGINAL:
            return title
        case Role.EXECUTED:
            return f"Executed form of {title}\n{_sealed(file)}"
        case Role.CERTIFICATE:
            return f"Certificate of completion\n{_sealed(file)}"
        case _ as unreachable:
            assert_never(unreachable)


def _sealed(file: File) -> str:
    """How a file is sealed, as the facts tell it: nothing here has looked into the file."""
    if file.sealed is None:
        return "no seal is recorded"
    said = f"sealed as PAdES {file.sealed.profile}"
    if file.sealed.stamped_at is not None:
        said += f", stamped {moment(file.sealed.stamped_at)} by {file.sealed.authority}"
    if file.sealed.obstacle is not None:
        said += f"; not higher, since {OBSTACLES[file.sealed.obstacle]}"
    return said if file.renewed is None else f"{said}; renewed by a time stamp of {moment(file.renewed)}"


def _timeline(case: Case, wording: Wording) -> Iterator[Block]:
    yield Paragraph(
        "Times are those of the server's clock when it recorded the entry. Who recorded it is the credential that was shown; how"
        " something was observed stands beside it where the entry says so. Nothing is added."
    )
    rows = [(_when(each), _what(each, wording), _how(each, wording)) for each in case.happened]
    yield Table(("Time", "What happened", "Recorded by"), rows)


def _when(each: Happened) -> str:
    return f"{moment(each.entry.at)}\nposition {each.position}"


def _what(each: Happened, wording: Wording) -> str:
    return sentence(each, wording) or f"An entry of the type {each.entry.type}, which this report has no words for."


def _how(each: Happened, wording: Wording) -> str:
    provenance = getattr(each.fact, "provenance", None)
    observed = f"\n{wording.observed(provenance)}" if isinstance(provenance, Provenance) else ""
    return f"{wording.actor(each.entry.by)}.{observed}"


def _shown(case: Case) -> Iterator[Block]:
    yield Terms(
        [
            ("Signed by the ledger", f"{_position(case.seal.size)}, by the key {', '.join(case.seal.keys)}."),
            ("Seen by witnesses", _witnesses(case)),
            ("Time from elsewhere", _time(case)),
            ("Complete", _complete(case)),
            ("Personal values", _personal(case)),
            ("Documents", _states(case)),
        ]
    )
    yield Paragraph(
        "Absent is not fine: what is absent above cannot be established from this bundle. And whatever is established, it is that the"
        " server recorded these entries in this order, not that what it was told is true."
    )


def _witnesses(case: Case) -> str:
    lines = []
    for seal in (case.seal, *sorted(case.earlier, key=lambda each: -each.size)):
        lines += [f"{_position(seal.size)}: {name} at {moment(at)}" for name, at in seal.cosignatures]
    if not lines:
        return (
            "Absent: no witness has cosigned. Against whoever holds the ledger and its key, only receipts that others keep speak."
        )
    witnessed = max(seal.size for seal in (case.seal, *case.earlier) if seal.cosignatures)
    late = [each.position for each in case.happened if each.position > witnessed]
    if late:
        lines.append(f"Not yet witnessed: what stands from position {late[0]} on ({len(late)}).")
    lines.append("Whether these witnesses are enough, and whether they are witnesses at all, is for your policy to say.")
    return "\n".join(lines)


def _time(case: Case) -> str:
    stamp = case.stamp
    if stamp is None:
        return "Absent: no time-stamping authority vouches for any time; all times here are the server's own."
    lines = [f"{_position(stamp.size)}: {moment(stamp.time)} as the token says, asked for at {stamp.authority}."]
    if late := [each.position for each in case.happened if each.position > stamp.size]:
        lines.append(f"Not covered: what stands from position {late[0]} on ({len(late)}).")
    lines.append("Whether that authority is to be believed is for the certificates that you trust to say.")
    return "\n".join(lines)


def _complete(case: Case) -> str:
    if case.heads is None:
        return "Absent: there is no heads manifest, so it cannot be told whether entries are missing at the end."
    if case.heads < case.last:
        return (
            f"Up to position {case.heads}: the newest heads manifest is older than the last entry here, so it cannot be told whether"
            " entries after that position are missing."
        )
    return f"As of position {case.heads}: the heads manifest names the last entry of each stream, open or closed."


def _personal(case: Case) -> str:
    found = [case.personal.get(commitment) for each in case.happened for commitment in each.entry.personal.values()]
    disclosed = sum(isinstance(each, Disclosed) for each in found)
    withheld = sum(isinstance(each, Withheld) for each in found)
    erased = sorted({each.position for each in found if isinstance(each, Erased) and each.position is not None})
    gone = sum(isinstance(each, Erased) for each in found)
    lines = [f"{disclosed} disclosed, {withheld} withheld, {gone} erased, {len(found) - disclosed - withheld - gone} missing."]
    if erased:
        lines.append(f"Erased by: {', '.join(f'entry {position}' for position in erased)}.")
    return "\n".join(lines)


def _states(case: Case) -> str:
    states = [case.files.get(sha256, FileState.ABSENT) for sha256 in {file.sha256 for file in named_files(case.happened)}]
    return ", ".join(f"{states.count(state)} {state.value}" for state in FileState)


def _verifying() -> Iterator[Block]:
    yield Paragraph("VERIFY.md in this bundle says how, and what the result means. In short, offline:")
    yield Terms(
        [
            ("With Countersign", Code("countersign verify BUNDLE.zip --policy policy.txt")),
            ("With one file", Code("python3 verify_evidence.py BUNDLE.zip --policy policy.txt")),
        ]
    )
    yield Paragraph(
        "The policy names the ledger's key and the witnesses that you trust. Take it from the ledger's operator, or better from someone"
        " else who knows it; never from a bundle."
    )


def _position(size: int) -> str:
    return f"up to position {size}"
