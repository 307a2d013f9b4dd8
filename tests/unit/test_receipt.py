"""Receipts: one spelling each, what two of them say of each other, what entries say of one, and where they are found."""

import json
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from api.cli_verify import app
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
from infrastructure.append import Receipt
from infrastructure.export_format import ScopeKind
from infrastructure.receipts import MAX_RECEIPTS, note, noting, spell
from tests.histories import ORIGIN, RecordedLog, Row, export_file, forge, part_file, relink

STREAM, OTHER = UUID(int=1), UUID(int=2)
LEAF, ANOTHER = bytes(range(32)), bytes(32)
RECEIPT = ReceiptText("sign.example.com/2026", STREAM, 3, 17, LEAF)
LINE = f"countersign-receipt/1 sign.example.com/2026 {STREAM} 3 17 {LEAF.hex()}"


# The spelling


def test_a_receipt_is_one_line() -> None:
    assert format_receipt(RECEIPT) == LINE
    assert parse_receipt(LINE) == RECEIPT


def test_an_origin_may_hold_anything_and_the_line_still_has_six_fields() -> None:
    hostile = ReceiptText("Acme & Söhne, <b>100 %</b>\t+=", STREAM, 3, 17, LEAF)
    line = format_receipt(hostile)
    assert line.isascii()
    assert not set(line) & set(",<>&=\t\"'")
    assert len(line.split(" ")) == 6
    assert parse_receipt(line) == hostile


@pytest.mark.parametrize(
    "line",
    [
        "",
        LINE + " ",
        " " + LINE,
        LINE + "\n",
        LINE.replace(" ", "  ", 1),
        LINE.replace("/1", "/2"),
        LINE.replace("/1", "/01"),
        LINE.replace(" 17 ", " 017 "),
        LINE.replace(" 17 ", " +17 "),
        LINE.replace(" 17 ", " ١٧ "),
        LINE.replace(" 17 ", " 2 "),
        LINE.replace(" 3 ", " 0 "),
        LINE.replace(" 17 ", f" {2**63} "),
        LINE.upper().replace("COUNTERSIGN-RECEIPT", "countersign-receipt"),
        LINE.replace(LEAF.hex(), LEAF.hex().upper()),
        LINE[:-1],
        LINE + "0",
        LINE.replace(str(STREAM), STREAM.hex),
        LINE.replace("sign.example", "sign%2Eexample"),
        LINE.replace("sign.example", "sign%2cexample"),
        LINE.replace("sign.example", "sign%FFexample"),
        LINE.replace("sign.example", "sign,example"),
        LINE.replace("sign.example", "sign%2"),
        LINE.replace("sign.example", "a" * 5000),
    ],
)
def test_a_receipt_has_no_second_spelling(line: str) -> None:
    with pytest.raises(ReceiptError):
        parse_receipt(line)


def test_receipts_are_found_where_they_stand_each_once() -> None:
    second = LINE.replace(" 3 17 ", " 4 18 ")
    text = f"Countersign-Receipt: {second}, {LINE}\r\nReceipt: {LINE}.\n"
    assert [format_receipt(receipt) for receipt in find_receipts(text)] == [second, LINE]
    broken = LINE.replace(" ", "\r\n    ")
    assert find_receipts(broken) == (RECEIPT,)
    assert find_receipts(f"{LINE}ff") == find_receipts("no receipt") == ()


# Two of them


@pytest.mark.parametrize(
    ("other", "relation"),
    [
        (RECEIPT, Relation.SAME),
        (ReceiptText(RECEIPT.ledger, STREAM, 4, 18, ANOTHER), Relation.CONSISTENT),
        (ReceiptText(RECEIPT.ledger, STREAM, 5, 18, ANOTHER), Relation.FORK),
        (ReceiptText(RECEIPT.ledger, STREAM, 2, 18, ANOTHER), Relation.FORK),
        (ReceiptText(RECEIPT.ledger, STREAM, 3, 18, LEAF), Relation.FORK),
        (ReceiptText(RECEIPT.ledger, STREAM, 3, 18, ANOTHER), Relation.FORK),
        (ReceiptText(RECEIPT.ledger, STREAM, 3, 17, ANOTHER), Relation.FORK),
        (ReceiptText(RECEIPT.ledger, STREAM, 4, 17, ANOTHER), Relation.FORK),
        (ReceiptText(RECEIPT.ledger, STREAM, 4, 18, LEAF), Relation.FORK),
        (ReceiptText(RECEIPT.ledger, OTHER, 1, 17, ANOTHER), Relation.FORK),
        (ReceiptText(RECEIPT.ledger, OTHER, 1, 18, LEAF), Relation.FORK),
        (ReceiptText(RECEIPT.ledger, OTHER, 15, 18, ANOTHER), Relation.CONSISTENT),
        (ReceiptText(RECEIPT.ledger, OTHER, 16, 18, ANOTHER), Relation.FORK),
        (ReceiptText("another", STREAM, 3, 17, ANOTHER), Relation.OTHER_LEDGER),
    ],
)
def test_two_receipts_are_the_same_or_consistent_or_no_one_log_holds_both(other: ReceiptText, relation: Relation) -> None:
    assert compare(RECEIPT, other).relation is compare(other, RECEIPT).relation is relation


def test_what_two_receipts_do_not_show_is_named() -> None:
    reason = compare(RECEIPT, ReceiptText(RECEIPT.ledger, STREAM, 5, 30, ANOTHER)).reason
    assert "the entries of the stream from version 3 to 5" in reason
    reason = compare(RECEIPT, ReceiptText(RECEIPT.ledger, OTHER, 5, 30, ANOTHER)).reason
    assert "evidence of both streams that reaches position 30" in reason


# Entries


@pytest.mark.parametrize(
    ("entries", "covered", "standing"),
    [
        ({(STREAM, 3): (17, LEAF)}, 17, Standing.PREFIX),
        ({(STREAM, 3): (17, LEAF), (STREAM, 4): (20, ANOTHER)}, 40, Standing.PREFIX),
        ({(STREAM, 3): (17, ANOTHER)}, 17, Standing.FORK),
        ({(STREAM, 3): (16, LEAF)}, 17, Standing.FORK),
        ({(OTHER, 1): (17, ANOTHER)}, 17, Standing.FORK),
        ({(STREAM, 2): (16, ANOTHER)}, 17, Standing.TRUNCATED),
        ({(STREAM, 2): (16, ANOTHER)}, 16, Standing.OLDER),
        ({(OTHER, 2): (16, ANOTHER)}, 16, Standing.OLDER),
        ({(OTHER, 2): (16, ANOTHER)}, 17, Standing.UNRELATED),
        ({}, 0, Standing.OLDER),
    ],
)
def test_entries_continue_a_receipt_or_contradict_it_or_do_not_reach_it(
    entries: dict[tuple[UUID, int], tuple[int, bytes]], covered: int, standing: Standing
) -> None:
    assert compare_with_entries(RECEIPT, entries, covered, ledger=RECEIPT.ledger).standing is standing
    assert compare_with_entries(RECEIPT, entries, covered, ledger="another").standing is Standing.OTHER_LEDGER


# At a terminal


def history() -> tuple[RecordedLog, UUID, UUID]:
    log = RecordedLog()
    envelope, (who,) = log.open_envelope(participants=1, documents=1)
    return log, envelope, who


def receipt_of(row: Row) -> str:
    return format_receipt(ReceiptText(ORIGIN, row.stream, row.version, row.position, row.leaf))


def verify(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments])


def with_receipts(file: Path, raw: bytes, receipts: Sequence[str]) -> tuple[int, list[str]]:
    """The exit code of `verify` with these receipts, and where each stands."""
    file.write_bytes(raw)
    done = verify(str(file), "--json", *(word for receipt in receipts for word in ("--receipt", receipt)))
    return done.exit_code, [finding["standing"] for finding in json.loads(done.stdout)["receipts"]]


def test_an_export_is_told_to_continue_a_receipt_to_fork_from_it_or_to_be_cut_off(tmp_path: Path) -> None:
    log, envelope, who = history()
    kept = receipt_of(log.rows[-1])
    log.decline(envelope, who)
    ended = receipt_of([row for row in log.rows if row.stream == who][-1])
    file = tmp_path / "export"
    assert with_receipts(file, export_file(log.rows), [kept, ended]) == (0, ["prefix", "prefix"])
    # Whoever holds the log writes it anew: everything in it fits, and it is not what was kept.
    forged = relink(
        [forge(row, by={"kind": "somebody", "id": "else"}) if row.position == 1 else row for row in log.rows], envelope
    )
    own = receipt_of([row for row in log.rows if row.stream == envelope][-1])
    assert with_receipts(file, export_file(forged), []) == (0, [])
    assert with_receipts(file, export_file(forged), [own]) == (1, ["fork"])
    # The end of the process is withheld, though the export reaches beyond it.
    last = max(row.version for row in log.rows if row.stream == who)
    short = [row for row in log.rows if (row.stream, row.version) != (who, last)]
    process = part_file(short, ScopeKind.PROCESS, f"{envelope}-{who}", (who,))
    assert with_receipts(file, process, [kept, ended]) == (1, ["prefix", "truncated"])
    # Cut off before it: that may as well be an export from before.
    earlier = [row for row in log.rows if row.position <= parse_receipt(kept).position]
    assert with_receipts(file, export_file(earlier), [kept, ended]) == (2, ["prefix", "older"])


def test_a_receipt_of_another_log_or_stream_is_not_taken_for_a_confirmation(tmp_path: Path) -> None:
    log, _, _ = history()
    raw = export_file(log.rows)
    stranger = LINE.replace(" 3 17 ", " 1 1000 ")
    assert with_receipts(tmp_path / "export", raw, [stranger]) == (2, ["other-ledger"])
    later = LINE.replace(RECEIPT.ledger, ORIGIN).replace(" 3 17 ", " 1 1000 ")
    assert with_receipts(tmp_path / "export", raw, [later]) == (2, ["older"])
    assert "older" in verify(str(tmp_path / "export"), "--receipt", later).stdout


def test_receipts_are_compared_wherever_they_were_kept(tmp_path: Path) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Please sign"
    mail.set_content(f"Keep this.\nReceipt: {LINE}\n", cte="quoted-printable")
    mail.add_alternative(f"<p>Receipt: {LINE}</p>", subtype="html", cte="base64")
    (tmp_path / "invitation.eml").write_bytes(mail.as_bytes())
    assert LINE.encode() not in mail.as_bytes()
    (tmp_path / "answer.txt").write_text(f"HTTP/1.1 201 Created\r\ncountersign-receipt: {LINE}\r\n\r\n")
    paths = [str(tmp_path / "invitation.eml"), str(tmp_path / "answer.txt")]
    same = verify("--receipt", paths[0], "--receipt", paths[1])
    assert (same.exit_code, "same" in same.stdout) == (0, True)
    fork = verify("--receipt", paths[0], "--receipt", LINE.replace(LEAF.hex(), ANOTHER.hex()), "--json")
    assert fork.exit_code == 1
    assert [each["relation"] for each in json.loads(fork.stdout)["comparisons"]] == ["fork"]
    later = verify("--receipt", LINE, "--receipt", LINE.replace(" 3 17 ", " 4 18 ").replace(LEAF.hex(), ANOTHER.hex()))
    assert (later.exit_code, "do not show more" in later.stdout) == (2, True)


@pytest.mark.parametrize("values", [[], [LINE], ["nowhere"], ["nul\x00"], [LINE, LINE.replace(" 17 ", " 017 ")], ["."]])
def test_what_is_no_receipt_or_only_one_is_said(values: list[str]) -> None:
    done = verify(*(word for value in values for word in ("--receipt", value)))
    assert done.exit_code == 2
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "receipt" in done.output


# In an answer


def test_an_answer_names_eight_heads_at_most_and_what_the_command_is_about_always() -> None:
    heads = [Receipt(UUID(int=number), 1, number, LEAF, None) for number in range(1, 21)]  # type: ignore[arg-type]
    positions = [receipt.position for receipt in find_receipts(spell(ORIGIN, heads, [UUID(int=1)]))]
    assert positions == [*range(20, 20 - MAX_RECEIPTS + 1, -1), 1]
    assert spell(ORIGIN, [], [STREAM]) == ""


def test_several_commands_of_one_request_are_told_of_the_last_first_and_others_hear_nothing() -> None:
    note("nobody asked")
    with noting() as noted:
        assert noted.header() == ""
        note("b, a")
        note("c, a")
        note("")
        with noting() as inner:
            note("d")
        assert inner.header() == "d"
    assert noted.header() == "c, a, b"
