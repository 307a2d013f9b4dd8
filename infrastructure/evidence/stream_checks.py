"""Whether the streams are linked, whole, and could have come about."""

from itertools import pairwise
from typing import Final, cast, get_args

from domain.entry import NO_PREVIOUS, format_time
from domain.envelope import EnvelopeFact
from domain.errors import ImpossibleHistory
from domain.evidence import PackageHistory
from domain.faults import Verdict
from domain.findings import Check, Detail, Finding, counted, weigh
from domain.heads import Head, HeadsError, verify_row
from domain.ids import is_sha256
from domain.sealing import ENDINGS, HeadsRecorded, ledger_stream
from domain.signing import SigningFact
from infrastructure.bundle_lines import Heads
from infrastructure.codec import CodecError, current_type, decode_fact
from infrastructure.evidence.case import Case, Placed

#: What can stand in the streams of an envelope.
_TYPES: Final = frozenset(fact.TYPE for fact in get_args(EnvelopeFact | SigningFact))

#: An end is one whatever its number: a fact that is newer than this program makes its history doubtful, and its manifest not wrong.
_ENDS: Final = frozenset(type.partition("/")[0] for type in ENDINGS)


def check_chain(case: Case) -> Finding:
    """Entries of this ledger in canonical form; the streams that the bundle is about, each linked from version 1 on."""
    wrong = [Detail(f"no entry at position {position}: {why}", position) for position, why in case.unreadable.items()]
    foreign = [each for each in (*case.entries, *case.others.values()) if each.entry.ledger != case.content.ledger]
    wrong += [Detail(f"the entry at position {p} is of the ledger {entry.ledger!r}", p) for p, entry, _ in foreign]
    wrong += _wrong_streams(case)
    for entries in case.streams.values():
        wrong += _wrong_links(entries)
    for before, after in pairwise(case.entries):
        if after.entry.at < before.entry.at:
            said = f"the entry at position {after.position} is of {format_time(after.entry.at)}, before that at position {before.position}"
            wrong.append(Detail(said, after.position))
    wrong.sort(key=lambda detail: detail.position or 0)
    return weigh(
        Check.CHAIN, wrong, (), f"{counted(len(case.streams), 'stream')} linked from the first entry to the last one here"
    )


def _wrong_streams(case: Case) -> list[Detail]:
    content = case.content
    needed = {content.envelope} if content.process is None else {content.envelope, content.process}
    missing = sorted(needed - case.streams.keys())
    strange = [
        stream
        for stream in case.streams
        if stream not in needed and (content.process is not None or str(stream) not in case.participants)
    ]
    return [
        *(Detail(f"there is no entry of the stream {it}, which the bundle is about", name=str(it)) for it in missing),
        *(Detail(f"the bundle is not about the stream {it}", case.streams[it][0].position, str(it)) for it in strange),
    ]


def _wrong_links(entries: list[Placed]) -> list[Detail]:
    wrong = []
    version, leaf = 0, NO_PREVIOUS
    for position, entry, own in entries:
        if entry.version != version + 1:
            said = f"version {entry.version} of stream {entry.stream} stands at position {position}, where version {version + 1} must"
            wrong.append(Detail(said, position, str(entry.stream)))
        elif entry.previous != leaf:
            said = f"the entry at position {position} names {entry.previous.hex()} as the one before it in its stream, which is {leaf.hex()}"
            wrong.append(Detail(said, position, str(entry.stream)))
        version, leaf = entry.version, own
    return wrong


def check_completeness(case: Case) -> Finding:
    """Whether the streams end where the bundle ends, by the heads manifest."""
    wrong: list[Detail] = []
    doubtful: list[Detail] = []
    if case.content.process is None:
        missing = sorted(case.participants - set(map(str, case.streams)))
        wrong += [Detail(f"there is no entry of the participant {who}, whom the envelope names", name=who) for who in missing]
    recorded = covered(case)
    if case.content.heads is None:
        doubtful.append(Detail("there is no heads manifest, so entries at the end may have been left out"))
    elif recorded is None:
        position = case.content.heads.position
        wrong.append(Detail(f"the entry at position {position} is no heads manifest of this ledger", position))
    else:
        _compare_rows(case, case.content.heads, recorded, wrong, doubtful)
    until = f"as of position {recorded.position:,} no entry is missing" if recorded else ""
    return weigh(Check.COMPLETENESS, wrong, doubtful, until)


def covered(case: Case) -> HeadsRecorded | None:
    """What the heads manifest of the bundle says, if its entry is one of this ledger's."""
    heads = case.content.heads
    placed = None if heads is None else case.others.get(heads.position)
    if placed is None or placed.entry.stream != ledger_stream(case.content.ledger):
        return None
    try:
        fact = decode_fact(placed.entry.type, placed.entry.data, placed.entry.personal)
    except CodecError:
        return None
    return fact if isinstance(fact, HeadsRecorded) and fact.position < placed.position else None


def _compare_rows(case: Case, heads: Heads, recorded: HeadsRecorded, wrong: list[Detail], doubtful: list[Detail]) -> None:
    if not is_sha256(recorded.root):
        wrong.append(Detail("the heads manifest proves nothing: its root is not 64 lower-case hex digits", heads.position))
        return
    root, rowless = bytes.fromhex(recorded.root), dict(case.streams)
    for row in heads.rows:
        try:
            head = verify_row(row.row, row.path, root)
        except HeadsError as err:
            wrong.append(Detail(f"a row of the heads manifest proves nothing: {err}", heads.position))
            continue
        entries = rowless.pop(head.stream, None)
        if entries is None:
            wrong.append(Detail(f"the heads manifest has the stream {head.stream}, the bundle has not", name=str(head.stream)))
        elif fault := _row_fault(head, entries, recorded.position):
            wrong.append(Detail(f"stream {head.stream}: {fault}", entries[-1].position, str(head.stream)))
        elif head.version < entries[-1].entry.version:
            doubtful.append(_newer(str(head.stream), recorded.position, entries[-1].position))
    for stream, entries in rowless.items():
        if entries[0].position > recorded.position:
            doubtful.append(_newer(str(stream), recorded.position, entries[-1].position))
        else:
            wrong.append(Detail(f"the heads manifest has no row of stream {stream}", entries[0].position, str(stream)))


def _newer(stream: str, until: int, position: int) -> Detail:
    said = f"complete only up to position {until:,}: the stream goes on to position {position:,}, and the heads manifest does not say whether it ends there"
    return Detail(said, position, stream)


def _row_fault(head: Head, entries: list[Placed], until: int) -> str | None:
    """How a row contradicts the entries of its stream, of which it must name the last one up to `until`; None if it does not."""
    last = entries[-1].entry.version
    if head.version > last:
        return f"the heads manifest says that it goes to version {head.version}, the bundle ends at {last}"
    upto = [each for each in entries if each.position <= until]
    if not upto or upto[-1].entry.version != head.version:
        return f"the heads manifest says that it had {head.version} entries at position {until}, which is not so"
    if upto[-1].leaf != head.leaf:
        return (
            f"the heads manifest has the leaf {head.leaf.hex()}, its version {head.version} here hashes to {upto[-1].leaf.hex()}"
        )
    if head.closed != any(each.entry.type.partition("/")[0] in _ENDS for each in upto):
        return "the heads manifest says that it was " + ("closed" if head.closed else "open") + ", its entries say otherwise"
    return None


def check_history(case: Case, chain: Finding) -> Finding:
    """Whether every fact could have been decided where it stands (`domain.evidence`)."""
    if chain.verdict is Verdict.INVALID:
        return Finding(Check.HISTORY, Verdict.INDETERMINATE, "the chain does not hold, so nothing was replayed")
    content = case.content
    whole = content.process is None
    history = PackageHistory(content.envelope, None if whole else case.streams.keys())
    before = 0
    for position, entry, _ in case.entries:
        if current_type(entry.type) not in _TYPES:
            return _doubt(f"replayed up to position {before}: {entry.type} is a type that this program does not know", position)
        try:
            if whole and history.unsettled and position != before + 1:
                raise ImpossibleHistory("another entry stands within the decision that this one belongs to")
            fact = decode_fact(entry.type, entry.data, entry.personal)
            history.feed(entry.stream, cast("EnvelopeFact | SigningFact", fact), entry.at)
        except (ImpossibleHistory, CodecError, ArithmeticError) as err:
            detail = Detail(
                f"{entry.type} at position {position} could not have been decided: {err}", position, str(entry.stream)
            )
            return weigh(Check.HISTORY, [detail], (), "")
        before = position
    try:
        history.finish()
    except ImpossibleHistory as err:
        return _doubt(f"the entries break off within a decision: {err}", before)
    part = "" if whole else "; what concerns the other participants was not checked"
    return Finding(
        Check.HISTORY,
        Verdict.VALID,
        f"each of {counted(len(case.entries), 'fact')} could have been decided where it stands{part}",
    )


def _doubt(text: str, position: int) -> Finding:
    return weigh(Check.HISTORY, (), [Detail(text, position)], "")
