"""`countersign verify --receipt`: receipts from wherever they were kept, and two of them against each other."""

import json
import sys
from collections.abc import Sequence
from email import message_from_bytes
from itertools import combinations
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from domain.faults import Verdict
from domain.receipt import VERDICTS, Comparison, ReceiptError, ReceiptText, compare, find_receipts, format_receipt

#: A mail with a receipt is a few kilobytes; nothing of this size is read as one.
MAX_FILE_BYTES: Final = 1024 * 1024

#: Each is compared with each, so that is where it ends.
MAX_RECEIPTS: Final = 500

EXIT_CODES: Final = {Verdict.VALID: 0, Verdict.INVALID: 1, Verdict.INDETERMINATE: 2}

_COLOURS: Final = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.INDETERMINATE: "yellow"}


class ReceiptsUnreadable(ValueError):
    """There are no receipts where some were said to be; the message says where and why."""


def read_receipts(values: Sequence[str]) -> tuple[ReceiptText, ...]:
    """The receipts in `values`: each is text that holds some, or the path of a file that does (a saved mail, an answer's headers).

    Raises ReceiptsUnreadable.
    """
    found: list[ReceiptText] = []
    for value in values:
        text = value if "countersign-receipt/" in value else _file_text(value)
        try:
            receipts = find_receipts(text)
        except ReceiptError as err:
            raise ReceiptsUnreadable(f"{_named(value)}: {err}") from err
        if not receipts:
            raise ReceiptsUnreadable(f"{_named(value)}: there is no receipt")
        found += receipts
    if len(found) > MAX_RECEIPTS:
        raise ReceiptsUnreadable(f"{len(found)} receipts; at most {MAX_RECEIPTS} are compared")
    return tuple(found)


def compare_receipts(texts: Sequence[str], *, as_json: bool = False) -> int:
    """Compares each receipt with each and prints what was found; answers the exit code.

    0 if all are the same, 1 if two contradict, 2 if nothing contradicts but nothing shows more. Raises ReceiptsUnreadable.
    """
    receipts = read_receipts(texts)
    if len(receipts) < 2:
        raise ReceiptsUnreadable("one receipt alone says nothing: name a second one, or a file to check it against")
    compared = [(a, b, compare(a, b)) for a, b in combinations(receipts, 2)]
    verdicts = {VERDICTS[comparison.relation] for *_, comparison in compared}
    whole = next(verdict for verdict in (Verdict.INVALID, Verdict.INDETERMINATE, Verdict.VALID) if verdict in verdicts)
    if as_json:
        members = {"verdict": whole.value, "comparisons": [_members(*each) for each in compared]}
        sys.stdout.write(json.dumps(members, ensure_ascii=False, indent=2) + "\n")
    else:
        _print(compared, whole)
    return EXIT_CODES[whole]


def _print(compared: Sequence[tuple[ReceiptText, ReceiptText, Comparison]], whole: Verdict) -> None:
    console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 240)
    for a, b, comparison in compared:
        colour = _COLOURS[VERDICTS[comparison.relation]]
        console.print(f"{escape(str(a))}\n{escape(str(b))}")
        console.print(f"  [{colour}]{comparison.relation.value}[/{colour}]: {escape(comparison.reason)}")
    console.print(f"[{_COLOURS[whole]}]{whole.value}[/{_COLOURS[whole]}]")


def _members(a: ReceiptText, b: ReceiptText, comparison: Comparison) -> dict[str, object]:
    return {
        "receipts": [format_receipt(a), format_receipt(b)],
        "relation": comparison.relation.value,
        "reason": comparison.reason,
    }


def _file_text(value: str) -> str:
    try:
        with Path(value).open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as err:  # a ValueError: a NUL in the name
        raise ReceiptsUnreadable(f"{_named(value)} is neither a receipt nor a file that can be read: {err}") from err
    if len(raw) > MAX_FILE_BYTES:
        raise ReceiptsUnreadable(f"{_named(value)}: more than {MAX_FILE_BYTES} bytes, so not a mail with a receipt")
    mail = message_from_bytes(raw)
    if "mime-version" not in mail:
        return raw.decode(errors="replace")
    # In a saved mail a long line is folded by its encoding (RFC 2045 section 6); what its reader saw is to be read.
    parts = (part.get_payload(decode=True) for part in mail.walk() if part.get_content_maintype() == "text")
    return "\n".join(part.decode(errors="replace") for part in parts if isinstance(part, bytes))


def _named(value: str) -> str:
    """What was given, cut, and so that it cannot command the terminal: it may have been copied from a mail."""
    shown = "".join(it if it.isprintable() else "?" for it in value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
