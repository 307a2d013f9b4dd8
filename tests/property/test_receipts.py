"""Receipts: any text gives a receipt or our own error, a receipt its text again, and receipts of one log never contradict."""

from collections.abc import Mapping
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from domain.receipt import (
    ReceiptError,
    ReceiptText,
    Relation,
    Standing,
    compare,
    compare_with_entries,
    find_receipts,
    format_receipt,
    parse_receipt,
)

origins = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
receipts = st.builds(
    lambda ledger, stream, version, more, leaf: ReceiptText(ledger, stream, version, version + more, leaf),
    origins,
    st.uuids(),
    st.integers(1, 2**40),
    st.integers(0, 2**40),
    st.binary(min_size=32, max_size=32),
)
#: A log, as the stream of each position.
logs = st.lists(st.sampled_from([UUID(int=number) for number in range(1, 5)]), min_size=1, max_size=24)


@given(receipts)
@example(ReceiptText("a b,c%20\r\n", UUID(int=0), 1, 1, bytes(32)))
def test_a_receipt_is_read_as_it_was_written_alone_and_in_other_text(receipt: ReceiptText) -> None:
    line = format_receipt(receipt)
    assert parse_receipt(line) == receipt
    assert find_receipts(f"Receipt: {line}, {line}") == (receipt,)


@given(receipts.map(format_receipt), st.data())
def test_any_change_of_a_receipt_is_another_receipt_or_none(line: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(line) - 1))
    letter = data.draw(st.characters())
    changed = line[:index] + data.draw(st.sampled_from(["", letter])) + line[index + data.draw(st.integers(0, 1)) :]
    try:
        receipt = parse_receipt(changed)
    except ReceiptError:
        return
    assert format_receipt(receipt) == changed


@given(st.text())
def test_any_text_is_a_receipt_or_our_own_error(text: str) -> None:
    try:
        parse_receipt(text)
    except ReceiptError:
        return


def written(log: list[UUID], history: int) -> list[ReceiptText]:
    """A log's receipts; `history` tells entries of different logs apart."""
    versions: dict[UUID, int] = {}
    made = []
    for position, stream in enumerate(log, 1):
        versions[stream] = versions.get(stream, 0) + 1
        leaf = position.to_bytes(16) + history.to_bytes(16)
        made.append(ReceiptText("log", stream, versions[stream], position, leaf))
    return made


def entries(of: list[ReceiptText]) -> Mapping[tuple[UUID, int], tuple[int, bytes]]:
    return {(receipt.stream, receipt.version): (receipt.position, receipt.leaf) for receipt in of}


@given(logs, st.data())
def test_receipts_of_one_log_never_contradict_each_other_nor_the_log(log: list[UUID], data: st.DataObject) -> None:
    all_of_them = written(log, 0)
    a, b = data.draw(st.sampled_from(all_of_them)), data.draw(st.sampled_from(all_of_them))
    assert compare(a, b).relation is (Relation.SAME if a == b else Relation.CONSISTENT)
    covered = data.draw(st.integers(0, len(log)))
    kept = entries(all_of_them[:covered])
    expected = Standing.PREFIX if a.position <= covered else Standing.OLDER
    assert compare_with_entries(a, kept, covered, ledger="log").standing is expected


@given(logs, logs, st.integers(0, 24), st.data())
def test_a_log_that_forked_before_a_receipt_never_holds_it(
    ours: list[UUID], theirs: list[UUID], same: int, data: st.DataObject
) -> None:
    """Both begin alike and go on differently; every entry after the fork has another hash."""
    common = written(ours[:same], 0)
    one = common + written(ours, 1)[len(common) :]
    other = common + written(ours[:same] + theirs, 2)[len(common) :]
    receipt = data.draw(st.sampled_from(one))
    standing = compare_with_entries(receipt, entries(other), len(other), ledger="log").standing
    if receipt.position <= len(common):
        assert standing is Standing.PREFIX
    elif receipt.position <= len(other):
        assert standing is Standing.FORK
    else:
        assert standing in (Standing.OLDER, Standing.FORK)
