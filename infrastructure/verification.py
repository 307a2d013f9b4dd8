"""Checks an export without the server: no database, no settings, no network (docs/export-format.md).

What it can show: that the entries are the ones that were hashed and chained, and that what they say
could have been decided. It cannot show that the whole file was not written anew by whoever held the
log; that shows only against a head that someone else kept.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from domain.envelope import EnvelopeStatus
from domain.faults import Fault, FaultKind, Faults, Verdict
from domain.receipt import VERDICTS, Finding, Gathering, ReceiptText, Standing
from domain.signing import SigningStatus
from infrastructure.export_format import (
    MAX_LINE_BYTES,
    TRAILER_START,
    Header,
    LineError,
    ScopeKind,
    Trailer,
    parse_entry_line,
    parse_header,
    parse_trailer,
)
from infrastructure.history import History, Numbering, Stream

#: How often progress is told, in lines.
_STEP: Final = 2_000

_GZIP_MAGIC: Final = b"\x1f\x8b"

#: Called with the number of bytes read so far.
Progress = Callable[[int], None]


class ExportUnreadable(ValueError):
    """The file cannot be judged at all; `line` says how far it could be read."""

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the verifier knows from elsewhere: leaves by position, the ledger's origin, receipts."""

    heads: Mapping[int, bytes] = field(default_factory=dict)
    ledger: str | None = None
    receipts: tuple[ReceiptText, ...] = ()


NO_EXPECTATIONS: Final = Expectations()


@dataclass(frozen=True, slots=True)
class StreamVerdict:
    """What a check says of one stream. `envelope` is None for what belongs to none; `reason` explains a doubt."""

    stream: UUID
    envelope: UUID | None
    state: str
    entries: int
    verdict: Verdict
    reason: str

    @property
    def is_process(self) -> bool:
        """Whether the stream is a participant's signing."""
        return self.envelope is not None and self.envelope != self.stream


class Report:
    """What was checked, what was found, and what could not be checked for want of it. `noted` is no fault, and to be known."""

    def __init__(
        self,
        history: History,
        header: Header | None,
        checked: list[str],
        absent: list[str],
        receipts: tuple[Finding, ...] = (),
        noted: list[str] | None = None,
    ) -> None:
        self.header = header
        self.receipts = receipts
        self.noted = noted or []
        self.ledger = history.ledger
        self.entries = history.entries
        self.last_position = history.last
        self.faults: Faults = history.faults
        self.unknown: Counter[str] = history.unknown
        self.checked = checked
        self.absent = absent
        self._history = history
        self._damaged = history.losses.unnamed or bool(history.faults.counts[FaultKind.TRUNCATED])
        self.verdicts: Counter[Verdict] = Counter()
        self.processes: Counter[Verdict] = Counter()
        for stream in self.streams():
            self.verdicts[stream.verdict] += 1
            if stream.is_process:
                self.processes[stream.verdict] += 1

    @property
    def verdict(self) -> Verdict:
        """Of everything: invalid with any fault or broken receipt; indeterminate if some of it could not be replayed or compared."""
        receipts = {VERDICTS[finding.standing] for finding in self.receipts}
        if self.faults or Verdict.INVALID in receipts:
            return Verdict.INVALID
        doubtful = self.verdicts[Verdict.INDETERMINATE] or self.unknown or Verdict.INDETERMINATE in receipts
        return Verdict.INDETERMINATE if doubtful else Verdict.VALID

    def streams(self) -> Iterator[StreamVerdict]:
        """Every stream, in no particular order; may be asked again."""
        for stream, record in self._history.records():
            verdict, reason = self._judge(record)
            yield StreamVerdict(stream, record.package, record.state, record.entries, verdict, reason)

    def _judge(self, record: Stream) -> tuple[Verdict, str]:
        if not record.sound:
            return Verdict.INVALID, "a fault is named above"
        if record.unknown:
            return Verdict.INDETERMINATE, f"{record.unknown} entries of types that this program does not know were not replayed"
        trouble = None if record.package is None else self._history.replay.troubled.get(record.package)
        if trouble is not None:
            return Verdict.INDETERMINATE, trouble
        if self._damaged and record.state not in _FINAL:
            return Verdict.INDETERMINATE, "entries are lost, and some may have been of this stream"
        return Verdict.VALID, ""

    def close(self) -> None:
        self._history.close()


#: States after which a stream holds no further entry, so none of it can be lost at its end.
_FINAL: Final = frozenset(
    {status.value for status in SigningStatus if status.final}
    | {status.value for status in EnvelopeStatus if status.final and status is not EnvelopeStatus.COMPLETED}
)


def verify(path: Path, expectations: Expectations = NO_EXPECTATIONS, progress: Progress = lambda done: None) -> Report:
    """Checks the export in `path` (plain or gzip) and closes it; `close` the report when it has been read.

    Raises ExportUnreadable, OSError.
    """
    with path.open("rb") as file:
        compressed = file.peek(2)[:2] == _GZIP_MAGIC
        if not compressed:
            return verify_stream(file, expectations, progress)
        with gzip.open(file) as plain:
            try:
                return verify_stream(plain, expectations, lambda done: progress(file.tell()))  # type: ignore[arg-type]
            except (gzip.BadGzipFile, zlib.error, EOFError) as err:
                raise ExportUnreadable(f"the file cannot be decompressed: {err}") from err


def verify_stream(file: BinaryIO, expectations: Expectations = NO_EXPECTATIONS, progress: Progress = lambda done: None) -> Report:
    """As `verify`, for an open stream of the plain bytes."""
    check = _Check(file, expectations)
    return check.run(progress)


class _Check:
    """One pass over a file."""

    def __init__(self, file: BinaryIO, expectations: Expectations) -> None:
        self._file = file
        self._expected = expectations
        self._receipts = Gathering(expectations.receipts)
        self._digest = sha256()
        self._line = 1
        self._torn_line = 0
        first = file.readline(MAX_LINE_BYTES + 1)
        self._digest.update(first)
        self._bytes = len(first)
        try:
            self._header = parse_header(first)
        except LineError as err:
            raise ExportUnreadable(f"not the header of an export: {err}") from err
        whole = self._header.scope.kind is ScopeKind.LOG
        self._history = History(
            self._header.ledger,
            Numbering.GAPLESS_FILE if whole else Numbering.SPARSE_FILE,
            None if self._header.heads is None else frozenset(self._header.heads),
            dict(expectations.heads),
        )
        self._history.end = self._header.position
        self._faults = self._history.faults

    def run(self, progress: Progress) -> Report:
        header, history = self._header, self._history
        if self._expected.ledger not in (None, header.ledger):
            detail = f"the export is of the ledger {header.ledger!r}, expected was {self._expected.ledger!r}"
            self._faults.add(FaultKind.FOREIGN, detail, line=1)
        last_line = self._entries(progress)
        trailer = self._trailer(last_line)
        history.end_of_entries(None if trailer is None else trailer.position + 1)
        self._compare_end(trailer)
        for stream, head in (header.heads or {}).items():
            history.compare_head(stream, head, line=1)
        history.finish()
        if not self._faults:
            self._compare_seal(trailer)
        self._one_cause_for_all(trailer)
        progress(self._bytes)
        receipts = self._receipts.findings(header.position, header.ledger)
        return Report(history, header, self._checked(), self._absent(receipts), receipts)

    def _entries(self, progress: Progress) -> bytes:
        """Feeds the lines up to the trailer, or to the end; answers the last line read."""
        readline, history = self._file.readline, self._history
        while line := readline(MAX_LINE_BYTES + 1):
            self._line += 1
            self._bytes += len(line)
            if line.startswith(TRAILER_START):
                return line
            if self._line % _STEP == 0:
                progress(self._bytes)
            self._digest.update(line)
            try:
                position, leaf, raw = parse_entry_line(line)
            except LineError as err:
                if not line.endswith(b"\n") and not self._drain(line):
                    return line
                self._torn_line = self._line
                history.torn(self._line, str(err))
            else:
                history.push(position, raw, leaf, self._line)
                self._receipts.take(position, raw)
        return b""

    def _drain(self, line: bytes) -> bool:
        """Reads an overlong line to its end; false if the file ends within it."""
        while not line.endswith(b"\n"):
            line = self._file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return False
            self._bytes += len(line)
            self._digest.update(line)
        return True

    def _trailer(self, line: bytes) -> Trailer | None:
        try:
            trailer = parse_trailer(line)
        except LineError as err:
            self._no_trailer(line, str(err))
            return None
        after = self._file.readline(MAX_LINE_BYTES + 1)
        if after:
            self._faults.add(FaultKind.FOREIGN, "something follows the trailer", line=self._line + 1)
        return trailer

    def _no_trailer(self, line: bytes, reason: str) -> None:
        if not line:
            if self._torn_line == self._line:
                return  # named already: it is the line that should have been the trailer
            self._faults.add(FaultKind.TRUNCATED, "the file ends without a trailer", line=self._line)
        elif line.startswith(TRAILER_START) and (line.endswith(b"\n") or _is_trailer(line[:-1] + b"\n")):
            self._faults.add(FaultKind.MODIFIED, f"the trailer cannot be read: {reason}", line=self._line)
        else:
            self._faults.add(FaultKind.TRUNCATED, "the file ends in the middle of a line", line=self._line)

    def _compare_end(self, trailer: Trailer | None) -> None:
        if trailer is None:
            if self._header.scope.kind is ScopeKind.LOG and not self._faults.counts[FaultKind.TRUNCATED]:
                self._history.compare_end(self._header.position, "the header", line=1)
        elif trailer.position > self._history.last and not self._sealed(trailer):
            self._history.compare_end(trailer.position, "the trailer", line=self._line)

    def _sealed(self, trailer: Trailer) -> bool:
        return trailer.sha256 == self._digest.hexdigest()

    def _compare_seal(self, trailer: Trailer | None) -> None:
        """Everything agrees but what only the trailer and the header say."""
        if trailer is None:
            return
        history, header = self._history, self._header
        says = f"{trailer.count} entries up to position {trailer.position}"
        if (trailer.count, trailer.position) != (history.entries, history.last):
            detail = f"the trailer says {says}, there are {history.entries} up to position {history.last}"
            self._faults.add(FaultKind.MODIFIED, detail, line=self._line)
        elif header.position < history.last or (header.heads is None and header.position != history.last):
            detail = f"the header says that the log ends at position {header.position}, there are {says}"
            self._faults.add(FaultKind.MODIFIED, detail, line=1)
        elif not self._sealed(trailer):
            detail = (
                "the bytes before the trailer are not those it was written for. Every entry agrees with its hash and its chain,"
                " so what was changed is the trailer's own hash, the header, or a position number"
            )
            self._faults.add(FaultKind.MODIFIED, detail, line=self._line)

    def _one_cause_for_all(self, trailer: Trailer | None) -> None:
        """When all entries name one other ledger, it is the header that is wrong; whether by accident shows in the seal."""
        others = self._history.ledgers
        if len(others) == 1 and others.total() == self._history.entries:
            kind = FaultKind.FOREIGN if trailer is None or self._sealed(trailer) else FaultKind.MODIFIED
            detail = f"the header names the ledger {self._header.ledger!r}, every entry is of {next(iter(others))!r}"
            self._faults.replace_all(FaultKind.FOREIGN, Fault(kind, detail, line=1))

    def _checked(self) -> list[str]:
        whole = self._header.scope.kind is ScopeKind.LOG
        checked = [
            "each entry is in its one canonical spelling and hashes to the leaf that is stated for it",
            "within each stream versions count 1, 2, 3 and each entry names the hash of the one before it",
            "times never decrease along the file",
            "the trailer's count and hash fit the file",
            "each fact could have been decided in the state that the facts before it had led to",
        ]
        checked.append(
            "positions count 1, 2, 3 without a gap" if whole else "each stream ends at the head that the header states"
        )
        if self._header.scope.kind in (ScopeKind.LOG, ScopeKind.ENVELOPE):
            checked.append("the facts of each envelope and of its signings fit together")
        checked.extend(f"position {position} is what the given head says" for position in sorted(self._history.seen))
        return checked

    def _absent(self, receipts: tuple[Finding, ...]) -> list[str]:
        absent = []
        kind = self._header.scope.kind
        if kind is ScopeKind.PROCESS:
            absent.append(
                "the envelope and the other participants: that its outcome, its order and its deadline agree with this process was not checked"
            )
        if kind is not ScopeKind.LOG:
            absent.append("the rest of the log: positions between these entries were not checked")
        if not self._history.seen and not any(finding.standing is Standing.PREFIX for finding in receipts):
            absent.append(
                "a head that someone else kept (--receipt, --head): a file written anew from the beginning would look the same"
            )
        return [
            *absent,
            "checkpoint: nothing signed by the ledger says that this was the log",
            "witness: nobody else vouches for the log's head",
            "trusted time: the times are those of the server's own clock",
            "disclosures: names, addresses and texts are commitments here, so who they are about was not checked",
            "documents: PDFs are named by their hashes and were not compared",
            *(f"replay of {count} entries of the unknown type {name!r}" for name, count in sorted(self._history.unknown.items())),
        ]


def _is_trailer(line: bytes) -> bool:
    try:
        parse_trailer(line)
    except LineError:
        return False
    return True
