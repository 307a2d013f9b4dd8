"""Every way of tampering with an exported log is found by `verify`, and named with its line and position.

A small export is changed in every single byte and every single line; hypothesis looks further. Where a
forger hashes everything anew, what is left to find is an impossible history or a head kept outside.
"""

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import Json
from domain.entry import decode
from domain.faults import Fault, FaultKind, Verdict
from infrastructure.export_format import MAX_LINE_BYTES, ScopeKind
from infrastructure.verification import NO_EXPECTATIONS, Expectations, ExportUnreadable, Report, verify, verify_stream
from tests.histories import RecordedLog, Row, entry_lines, export_file, forge, part_file, relink, seal


def check(raw: bytes, expectations: Expectations = NO_EXPECTATIONS) -> Report:
    return verify_stream(io.BytesIO(raw), expectations)


def faults(raw: bytes, expectations: Expectations = NO_EXPECTATIONS) -> list[Fault]:
    with closing(check(raw, expectations)) as report:
        assert report.verdict is (Verdict.INVALID if report.faults else Verdict.VALID)
        return list(report.faults)


def kinds(raw: bytes, expectations: Expectations = NO_EXPECTATIONS) -> list[tuple[FaultKind, int | None]]:
    return [(fault.kind, fault.position) for fault in faults(raw, expectations)]


@cache
def small() -> RecordedLog:
    """Seven entries: an envelope whose only participant declines."""
    log = RecordedLog()
    envelope, (who,) = log.open_envelope(participants=1, documents=1)
    log.decline(envelope, who)
    return log


@cache
def large() -> RecordedLog:
    return RecordedLog().of_every_kind()


def lines_of(raw: bytes) -> list[bytes]:
    return raw.splitlines(keepends=True)


SMALL = export_file(small().rows)
LARGE = export_file(large().rows)
LINES = lines_of(LARGE)
#: Line numbers of entries count from 2, so the entry at position p stands in line p + 1.
ENTRY_LINES = range(2, len(LINES))


def test_a_log_as_recorded_is_valid() -> None:
    for raw in (SMALL, LARGE, export_file([])):
        assert faults(raw) == []


# Single bytes


def changed(raw: bytes, index: int, byte: int) -> bytes:
    return raw[:index] + bytes([byte]) + raw[index + 1 :]


def named(raw: bytes) -> tuple[set[FaultKind], set[int | None]]:
    """The kinds of faults and the lines they name; a file whose header is none any more names that line."""
    try:
        found = faults(raw)
    except ExportUnreadable as err:
        return {FaultKind.MODIFIED}, {err.line}
    return {fault.kind for fault in found}, {fault.line for fault in found}


def assert_named(raw: bytes, line: int) -> None:
    found, lines = named(raw)
    assert line in lines
    assert FaultKind.MODIFIED in found
    assert found <= {FaultKind.MODIFIED, FaultKind.MISSING, FaultKind.TRUNCATED}


def test_every_single_byte_of_an_export_is_guarded() -> None:
    index = 0
    for number, line in enumerate(lines_of(SMALL), 1):
        for _ in line:
            assert_named(changed(SMALL, index, SMALL[index] ^ 1), number)
            index += 1
    assert index == len(SMALL)


@given(data=st.data())
def test_any_other_byte_anywhere_is_found_too(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(SMALL) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != SMALL[index]))
    assert_named(changed(SMALL, index, byte), SMALL.count(b"\n", 0, index) + 1)


@given(data=st.data())
def test_a_byte_left_out_or_put_in_is_found(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(SMALL) - 1))
    put_in = data.draw(st.none() | st.integers(0, 255))
    raw = SMALL[:index] + SMALL[index + 1 :] if put_in is None else SMALL[:index] + bytes([put_in]) + SMALL[index:]
    assert named(raw)[0] != set()


def test_every_digit_of_every_position_is_guarded_and_placed() -> None:
    for position in (1, 9, 10, 11, 40, 81, 82):
        line = LINES[position]
        for other in {position - 1, position + 1, position + 10, position * 10, 1, 82} - {position, 0}:
            tampered = [
                *LINES[:position],
                line.replace(b'"position":%d}' % position, b'"position":%d}' % other),
                *LINES[position + 1 :],
            ]
            assert kinds(b"".join(tampered)) == [(FaultKind.MODIFIED, position)], (position, other)


# Whole lines


@pytest.mark.parametrize("number", ENTRY_LINES)
def test_a_deleted_line_is_missing_at_its_position(number: int) -> None:
    position = number - 1
    raw = b"".join([*LINES[: number - 1], *LINES[number:]])
    expected = FaultKind.TRUNCATED if number == ENTRY_LINES[-1] else FaultKind.MISSING
    assert kinds(raw) == [(expected, position)]


@pytest.mark.parametrize("number", ENTRY_LINES[:-1])
def test_swapped_lines_are_reordered(number: int) -> None:
    raw = b"".join([*LINES[: number - 1], LINES[number], LINES[number - 1], *LINES[number + 1 :]])
    found = faults(raw)
    assert [(fault.kind, fault.position, fault.line) for fault in found] == [
        (FaultKind.REORDERED, number - 1, number),
        (FaultKind.REORDERED, number, number + 1),
    ]


@pytest.mark.parametrize("number", ENTRY_LINES)
def test_a_line_that_stands_there_twice_is_repeated(number: int) -> None:
    raw = b"".join([*LINES[:number], *LINES[number - 1 :]])
    assert [(fault.kind, fault.line) for fault in faults(raw)] == [(FaultKind.REPEATED, number + 1)]


@given(data=st.data())
def test_a_line_moved_or_copied_anywhere_is_found(data: st.DataObject) -> None:
    source, target = (data.draw(st.sampled_from(ENTRY_LINES)) - 1 for _ in range(2))
    copied = data.draw(st.booleans())
    rest = LINES if copied else [*LINES[:source], *LINES[source + 1 :]]
    raw = b"".join([*rest[:target], LINES[source], *rest[target:]])
    assert (faults(raw) == []) == (raw == LARGE)


@given(st.lists(st.sampled_from(ENTRY_LINES), min_size=1, unique=True))
def test_any_lines_deleted_together_are_all_missed(numbers: list[int]) -> None:
    raw = b"".join(line for number, line in enumerate(LINES, 1) if number not in numbers)
    found = faults(raw)
    assert {fault.kind for fault in found} <= {FaultKind.MISSING, FaultKind.TRUNCATED}
    named = {fault.position for fault in found}
    # Neighbours that are missing together are one fault, which stands at the first of them.
    assert {number - 1 for number in numbers if number - 1 not in numbers} <= named


@pytest.mark.parametrize("number", range(1, len(LINES) + 1))
def test_a_file_cut_short_is_truncated(number: int) -> None:
    whole = b"".join(LINES[:number])
    if number < len(LINES):
        assert {kind for kind, _ in kinds(whole)} == {FaultKind.TRUNCATED}
    if number > 1:
        assert FaultKind.TRUNCATED in {kind for kind, _ in kinds(whole[:-10])}


def test_what_follows_the_trailer_is_foreign() -> None:
    for more in (b"\n", b"x", LINES[-1], LINES[3], LARGE):
        assert [fault.kind for fault in faults(LARGE + more)] == [FaultKind.FOREIGN]


def test_an_overlong_line_is_refused_without_being_kept() -> None:
    line = LINES[9].replace(b'{\\"at', b"{" + b" " * 5_000_000 + b'\\"at')
    found = faults(b"".join([*LINES[:9], line, *LINES[10:]]))
    assert [(fault.kind, fault.position, fault.line) for fault in found] == [(FaultKind.MODIFIED, 9, 10)]
    assert len(line) > MAX_LINE_BYTES


# Hashes made anew


def test_an_entry_relinked_to_another_one_is_named() -> None:
    for row in large().rows:
        raw = export_file(swap_in(large().rows, forge(row, previous=b"\x77" * 32)))
        found = faults(raw)
        assert (found[0].kind, found[0].position, found[0].line) == (FaultKind.RELINKED, row.position, row.position + 1)
        follower = next((item for item in large().rows if item.stream == row.stream and item.version == row.version + 1), None)
        assert [fault.position for fault in found] == [row.position] + ([follower.position] if follower else [])


def swap_in(rows: Sequence[Row], *new: Row) -> list[Row]:
    by_position = {row.position: row for row in new}
    return [by_position.get(row.position, row) for row in rows]


def replaced_actor(row: Row) -> Row:
    return forge(row, by={"id": "somebody-else", "kind": "partner-key"})


def test_an_entry_replaced_and_hashed_again_shows_at_the_next_one_of_its_stream() -> None:
    for row in large().rows:
        follower = next((item for item in large().rows if item.stream == row.stream and item.version == row.version + 1), None)
        raw = export_file(swap_in(large().rows, replaced_actor(row)))
        receipt = Expectations({row.position: row.leaf})
        if follower is not None:
            assert kinds(raw) == [(FaultKind.RELINKED, follower.position)]
        else:
            assert kinds(raw) == []  # the last entry of a stream: only a head that someone else kept can show it
        assert (FaultKind.HEAD_MISMATCH, row.position) in kinds(raw, receipt)


def test_a_stream_written_anew_shows_against_any_later_receipt_of_it() -> None:
    row = next(row for row in large().rows if row.type == "signing.consent-given/1")
    rows = relink(swap_in(large().rows, replaced_actor(row)), row.stream)
    raw = export_file(rows)
    assert kinds(raw) == []
    last = large().heads[row.stream]
    assert kinds(raw, Expectations({last.position: last.leaf})) == [(FaultKind.HEAD_MISMATCH, last.position)]
    earlier = next(item for item in large().rows if item.stream == row.stream)
    assert kinds(raw, Expectations({earlier.position: earlier.leaf})) == []  # what came before it is as it was


def test_a_log_cut_short_with_a_new_trailer_shows_against_a_later_receipt() -> None:
    rows = large().rows[:77]
    last = large().rows[-1]
    assert kinds(export_file(rows)) == []
    assert kinds(export_file(rows), Expectations({last.position: last.leaf})) == [(FaultKind.TRUNCATED, last.position)]
    # The header still tells, unless that was written anew as well.
    assert kinds(seal([LINES[0], *entry_lines(rows)], rows)) == [(FaultKind.MODIFIED, None)]


def test_a_log_cut_within_a_decision_is_truncated_even_with_a_new_trailer() -> None:
    atomic = [
        [row.position for row in large().rows if decode(row.raw).at == at]
        for at in dict.fromkeys(decode(row.raw).at for row in large().rows)
    ]
    for positions in atomic:
        for position in positions[:-1]:
            found = kinds(export_file(large().rows[:position]))
            # A decision that is whole without its last facts is not cut: a draft that was not sent, for example.
            assert found in ([], [(FaultKind.TRUNCATED, position)]), position
    assert kinds(export_file(large().rows[:19])) == [(FaultKind.TRUNCATED, 19)]


def test_entries_of_another_ledger_are_foreign() -> None:
    other = RecordedLog(origin="another/ledger", seed=2)
    other.completed()
    rows = swap_in(large().rows, replace(other.rows[0], position=77))
    assert kinds(export_file(rows)) == [(FaultKind.FOREIGN, 77)]
    assert [fault.kind for fault in faults(export_file(other.rows))] == [FaultKind.FOREIGN]
    assert faults(LARGE, Expectations(ledger="another/ledger"))[0].kind is FaultKind.FOREIGN


# Impossible histories, every hash right


def impossible() -> Iterator[tuple[str, Callable[[RecordedLog], None]]]:
    def forged(change: Callable[[RecordedLog, Any, Any], None]) -> Callable[[RecordedLog], None]:
        def run(log: RecordedLog) -> None:
            envelope, whose = log.open_envelope()
            change(log, envelope, whose)

        return run

    def signs_twice(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.sign(envelope, whose[0])
        log.append(whose[0], "signing.completed/1", {})

    def out_of_turn(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(whose[1], "signing.started/1", {"provenance": {"identity": "token"}})

    def completed_unsigned(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(envelope, "envelope.completed/1", {})

    def envelope_says_what_signing_does_not(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(envelope, "envelope.participant-completed/1", {"participant": str(whose[0])})

    def cancelled_signing_alone(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(whose[0], "signing.cancelled/1", {})

    def after_cancel(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(envelope, "envelope.cancelled/1", {})
        for who in whose:
            log.append(who, "signing.cancelled/1", {})
        log.later()
        log.append(whose[0], "signing.started/1", {"provenance": {"identity": "token"}})

    def created_twice(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(whose[0], "signing.process-created/2", decode(log.rows[2].raw).data, decode(log.rows[2].raw).personal)

    def expired_early(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(envelope, "envelope.expired/1", {})

    def not_a_fact(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(envelope, "envelope.cancelled/1", {"surprise": "1"})

    def another_kind_of_stream(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(envelope, "template.deleted/1", {})

    def endless(log: RecordedLog, envelope: Any, whose: Any) -> None:
        data: dict[str, Json] = {**decode(log.rows[2].raw).data, "cooldown_seconds": 2**53 - 1}
        log.append(log.uuid(), "signing.process-created/2", data, decode(log.rows[2].raw).personal)

    def without_beginning(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(log.uuid(), "signing.completed/1", {})

    def template_of_an_erased_subject(log: RecordedLog, envelope: Any, whose: Any) -> None:
        log.append(log.erase(whose[0]), "template.deleted/1", {})

    for change in (
        signs_twice, out_of_turn, completed_unsigned, envelope_says_what_signing_does_not, cancelled_signing_alone, after_cancel,
        created_twice, expired_early, not_a_fact, another_kind_of_stream, endless, without_beginning, template_of_an_erased_subject,
    ):  # fmt: skip
        yield change.__name__, forged(change)


@pytest.mark.parametrize(("name", "change"), list(impossible()), ids=lambda value: value if isinstance(value, str) else "")
def test_an_impossible_history_that_is_hashed_correctly_is_refused(name: str, change: Callable[[RecordedLog], None]) -> None:
    log = RecordedLog()
    change(log)
    last = log.rows[-1]
    raw = export_file(log.rows)
    found = faults(raw)
    assert [(fault.kind, fault.position, fault.line, fault.stream) for fault in found] == [
        (FaultKind.ILLEGAL_HISTORY, last.position, last.position + 1, last.stream)
    ]
    with closing(check(raw)) as report:
        accused = {stream.stream for stream in report.streams() if stream.verdict is Verdict.INVALID}
    assert accused == {last.stream}


#: Facts that may come before or after any other act of the participant.
INDEPENDENT = {"signing.document-viewed/1", "signing.consent-given/1"}


def test_a_history_whose_facts_come_in_another_order_is_refused() -> None:
    """Two facts of one stream exchanged, with every hash and position made anew, as only the ledger itself could."""
    refused = 0
    for row in large().rows:
        following = next((item for item in large().rows if item.stream == row.stream and item.version == row.version + 1), None)
        if following is None or following.type == row.type or "template" in row.type:
            continue
        one, other = decode(row.raw), decode(following.raw)
        new = [
            forge(row, type=other.type, data=other.data, personal=other.personal),
            forge(following, type=one.type, data=one.data, personal=one.personal),
        ]
        found = kinds(export_file(relink(swap_in(large().rows, *new), row.stream)))
        harmless = {row.type, following.type} & INDEPENDENT and not {row.type, following.type} & {
            "signing.started/1",
            "signing.completed/1",
        }
        if not harmless:
            assert FaultKind.ILLEGAL_HISTORY in {kind for kind, _ in found}, (row.position, row.type, following.type)
            refused += 1
    assert refused > 30


def test_a_time_moved_back_is_found_even_when_everything_is_hashed_again() -> None:
    row = large().rows[40]
    raw = export_file(relink(swap_in(large().rows, forge(row, at=decode(row.raw).at - timedelta(hours=1))), row.stream))
    assert kinds(raw)[0] == (FaultKind.REORDERED, row.position)


# Parts of a log


def envelope_part() -> bytes:
    log = large()
    created = next(row for row in log.rows if row.type == "envelope.created/3")
    streams = [created.stream, *log.states[created.stream].slots]
    return part_file(log.rows, ScopeKind.ENVELOPE, str(created.stream), streams)


def process_part() -> bytes:
    log = large()
    created = next(row for row in log.rows if row.type == "signing.process-created/2")
    return part_file(log.rows, ScopeKind.PROCESS, f"{log.states[created.stream].envelope}-{created.stream}", [created.stream])


PARTS = {"envelope": envelope_part(), "process": process_part()}


def test_parts_of_a_log_are_valid_and_say_what_they_leave_out() -> None:
    with closing(check(PARTS["envelope"])) as report:
        assert (report.verdict, list(report.faults), report.processes) == (Verdict.VALID, [], {Verdict.VALID: 2})
        assert any(line.startswith("the rest of the log") for line in report.absent)
        assert any(line.startswith("the facts of each envelope") for line in report.checked)
    with closing(check(PARTS["process"])) as report:
        assert (report.verdict, report.processes) == (Verdict.VALID, {Verdict.VALID: 1})
        assert any(line.startswith("the envelope and the other participants") for line in report.absent)
        assert not any(line.startswith("the facts of each envelope") for line in report.checked)


@pytest.mark.parametrize("part", PARTS)
def test_every_tenth_byte_of_a_part_is_guarded(part: str) -> None:
    raw = PARTS[part]
    for index in range(0, len(raw), 10):
        assert named(changed(raw, index, raw[index] ^ 1))[0] != set(), raw[index - 20 : index + 20]


@pytest.mark.parametrize("part", PARTS)
def test_every_line_of_a_part_is_guarded(part: str) -> None:
    lines = lines_of(PARTS[part])
    for index in range(1, len(lines) - 1):
        deleted = {kind for kind, _ in kinds(b"".join([*lines[:index], *lines[index + 1 :]]))}
        assert deleted & {FaultKind.MISSING, FaultKind.TRUNCATED}
        assert deleted <= {FaultKind.MISSING, FaultKind.TRUNCATED}
        repeated = kinds(b"".join([*lines[: index + 1], *lines[index:]]))
        assert {kind for kind, _ in repeated} == {FaultKind.REPEATED}
        if index < len(lines) - 2:
            swapped = kinds(b"".join([*lines[:index], lines[index + 1], lines[index], *lines[index + 2 :]]))
            assert FaultKind.REORDERED in {kind for kind, _ in swapped}


def test_an_entry_of_a_stream_outside_the_part_is_foreign() -> None:
    lines = lines_of(PARTS["process"])
    stranger = LINES[7]
    assert (FaultKind.FOREIGN, 7) in kinds(b"".join([lines[0], stranger, *lines[1:]]))


def test_a_receipt_for_an_entry_that_a_part_does_not_hold_is_not_passed_over() -> None:
    row = large().rows[-1]
    assert kinds(PARTS["process"], Expectations({row.position: row.leaf})) == [(FaultKind.TRUNCATED, row.position)]


# What is no export at all


@pytest.mark.parametrize("raw", [b"", b"\n", b"{}\n", b"\xff\xfe\x00", LINES[1], LINES[-1], b"[" * 300_000, b"\x1f\x8b\x08"])
def test_what_is_no_export_is_unreadable(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(raw)
    with pytest.raises(ExportUnreadable):
        verify(path)


@given(st.binary(max_size=200), st.integers(1, len(LINES) - 1))
def test_no_input_makes_the_verifier_fail_otherwise(noise: bytes, at: int) -> None:
    raw = b"".join([*LINES[:at], noise, *LINES[at:]])
    assert (faults(raw) == []) == (raw == LARGE)


def test_a_compressed_export_is_read_and_a_damaged_one_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.gz"
    packed = gzip.compress(LARGE)
    path.write_bytes(packed)
    with closing(verify(path)) as report:
        assert (report.verdict, report.entries) == (Verdict.VALID, len(large().rows))
    for damaged in (packed[:-20], packed[: len(packed) // 2], changed(packed, len(packed) // 2, packed[len(packed) // 2] ^ 255)):
        path.write_bytes(damaged)
        with pytest.raises(ExportUnreadable):
            verify(path)
