"""One text in two spellings: HTML that needs nothing else to be shown or printed, and plain text."""

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, assert_never

WIDTH: Final = 100


class Code(str):
    """A hash, an id or a command: its characters matter, so it is shown in letters of one width."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """`loud` is for what must not be overlooked."""

    text: str
    loud: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """Names and what stands under each."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with as many cells as there are headings."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = Paragraph | Terms | Table


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    sections: Sequence[Section]


#: Nothing is fetched and nothing runs, whatever the values are.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE: Final = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --page: #fff; --line: #c3cad2; --box: #f4f6f8; --loud: #8a4b00; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #a3adb8; --page: #14181d; --line: #444c56; --box: #1f252c;
  --loud: #f0b35a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
p { margin: .5rem 0; max-width: 48rem; } .loud { border-left: 4px solid var(--loud); background: var(--box); padding: .6rem .9rem; }
code { font: .85em/1.5 ui-monospace, monospace; }
table { width: 100%; border-collapse: collapse; margin: .75rem 0; font-size: .92em; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-top: 1px solid var(--line); white-space: pre-line; }
thead th { color: var(--soft); font-weight: 600; border-top: 0; white-space: nowrap; }
thead + tbody td:first-child { min-width: 13em; } thead + tbody td:last-child { min-width: 10em; } th[scope=row] { width: 13em; font-weight: 600; }
@media (max-width: 40rem) {
  thead { position: absolute; clip-path: inset(50%); } tr { display: block; border-top: 1px solid var(--line); padding: .4rem 0; }
  th, td { display: block; border: 0; padding: .1rem 0; min-width: 0 !important; } th[scope=row] { width: auto; }
}
@media print { :root { color-scheme: light; --text: #000; --soft: #333; --page: #fff; --line: #999; --box: #fff; --loud: #000; }
  body { font-size: 9.5pt; } main { max-width: none; padding: 0; } tr, .loud { break-inside: avoid; } h2 { break-after: avoid; }
  thead { display: table-header-group; } }
""".strip()


_LOUD: Final = ' class="loud"'

#: Joiners of Persian, of scripts of India and of emoji: without them names are spelled wrongly.
_JOINERS: Final = "\u200c\u200d"


def html(page: Page) -> bytes:
    """The page as HTML: one file, without scripts and without anything from elsewhere; every value is escaped."""
    title = escape(page.title)
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n',
        f"<title>{title}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
    ]
    for section in page.sections:
        parts.append(f"<section>\n<h2>{escape(section.heading)}</h2>\n")
        parts += map(_html_block, section.blocks)
        parts.append("</section>\n")
    parts.append("</main>\n</body>\n</html>\n")
    return _encoded("".join(parts))


def _html_block(block: Block) -> str:
    match block:
        case Paragraph(text, loud):
            return f"<p{_LOUD if loud else ''}>{_inline(text)}</p>\n"
        case Terms(rows):
            return _rows(f'<tr><th scope="row">{escape(name)}</th><td>{_inline(value)}</td></tr>\n' for name, value in rows)
        case Table(headings, rows):
            head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
            cells = ("".join(f"<td>{_inline(cell)}</td>" for cell in row) for row in rows)
            return _rows((f"<tr>{row}</tr>\n" for row in cells), f"<thead>\n<tr>{head}</tr>\n</thead>\n")
        case _ as unreachable:
            assert_never(unreachable)


def _rows(rows: Iterable[str], head: str = "") -> str:
    return f"<table>\n{head}<tbody>\n{''.join(rows)}</tbody>\n</table>\n"


def _inline(text: str) -> str:
    shown = escape("\n".join(map(_plain, text.split("\n"))))
    return f"<code>{shown}</code>" if isinstance(text, Code) else shown


def text(page: Page) -> bytes:
    """The page as plain text, in lines of at most 100 characters but for long words."""
    parts = [f"{_plain(page.title)}\n{'=' * min(len(page.title), WIDTH)}\n"]
    for section in page.sections:
        parts.append(f"\n{section.heading}\n{'-' * len(section.heading)}\n")
        parts += ("\n" + _text_block(block) for block in section.blocks)
    return _encoded("".join(parts))


def _text_block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return _wrapped(text)
        case Terms(rows):
            return "".join(_term(name, value) for name, value in rows)
        case Table(headings, rows):
            return "\n".join("".join(map(_term, headings, row)) for row in rows)
        case _ as unreachable:
            assert_never(unreachable)


def _term(name: str, value: str) -> str:
    return _wrapped(f"{name}: {value}", "    ")


def _wrapped(text: str, hanging: str = "") -> str:
    """Paragraphs of their own lines; what a value brings along of line breaks stays, indented, so it opens no section."""
    lines = [
        textwrap.fill(
            _plain(line),
            WIDTH,
            initial_indent=hanging if number else "",
            subsequent_indent=hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for number, line in enumerate(text.split("\n"))
    ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Without what moves a terminal's cursor, hides, or turns the direction of what follows."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _hidden(character) else character for character in text)


def _hidden(character: str) -> bool:
    # Control, format, surrogate, private, unassigned; separators of lines and paragraphs (Unicode, general categories).
    category = unicodedata.category(character)
    return (category[0] == "C" or category in ("Zl", "Zp")) and character not in _JOINERS


def _encoded(text: str) -> bytes:
    return text.encode()
