"""Arabic and Hebrew: which form each letter takes beside its neighbours, and in which order the letters of a line are seen.

The direction of every line is from left to right, and what is written from right to left has its place in it: a
name, an address, a sentence with names. Unicode Standard Annex 9 is followed for that, each line by itself; without
its controls for nesting, which are never drawn (`lettering.py`).

Joined letters are told by Unicode's presentation forms. So marks for vowels are not drawn, nor letters that have no such forms
(some of Urdu, Pashto, Sindhi and Kurdish).
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

_HEBREW: Final = range(0x0590, 0x0600)
_ARABIC: Final = range(0x0600, 0x0700)

#: All blocks of scripts that are written from right to left; no other has a letter of the classes R, AL and AN.
_FROM_RIGHT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]")

#: Blocks "Arabic Presentation Forms", A and B.
_PRESENTED: Final = (*range(0xFB50, 0xFE00), *range(0xFE70, 0xFEFD))

#: Lam, and each alef that must be written as one sign with it; no other sign of several letters is used.
_LIGATURES: Final = frozenset({"\u0644\u0622", "\u0644\u0623", "\u0644\u0625", "\u0644\u0627"})
_STRETCH: Final = "\u0640"

#: Is joined to the next letter (Unicode's ArabicShaping.txt), but has no form for that.
_INCOMPLETE: Final = "\u06ba"


def _presentation_forms() -> Mapping[str, Mapping[str, str]]:
    """Of each sign its forms by name: what joins the one before has `final`, and what joins the one after also `initial`."""
    found: dict[str, dict[str, str]] = {_STRETCH: dict.fromkeys(("final", "initial", "medial"), _STRETCH)}
    for code in _PRESENTED:
        kind, *letters = unicodedata.decomposition(chr(code)).split() or ("",)
        sign = "".join(chr(int(letter, 16)) for letter in letters)
        if kind and sign != _INCOMPLETE and (len(sign) == 1 or sign in _LIGATURES):
            found.setdefault(sign, {}).setdefault(kind.strip("<>"), chr(code))
    # By itself a letter is what it is; typefaces show some of these forms otherwise.
    return {sign: {**forms, "isolated": sign} if len(sign) == 1 else forms for sign, forms in found.items()}


_FORMS: Final = _presentation_forms()
_SIGN: Final = re.compile("|".join(map(re.escape, [*_LIGATURES])) + "|.", re.DOTALL)
_LETTERS: Final = [letter for letter in _FORMS if len(letter) == 1]

#: What keeps letters apart that would be joined; where it does not, nobody would see it. Common in Persian names.
NON_JOINER: Final = re.compile(
    f"(?<=[{''.join(it for it in _LETTERS if 'initial' in _FORMS[it])}])\u200c(?=[{''.join(it for it in _LETTERS if 'final' in _FORMS[it])}])"
)


def known(letter: str) -> bool:
    """Whether a letter that is not written from left to right can be joined and put in its order."""
    match unicodedata.bidirectional(letter):
        case "R":
            return ord(letter) in _HEBREW
        case "AL":
            return letter in _FORMS or (ord(letter) in _ARABIC and unicodedata.category(letter) == "Po")
        case kind:
            return kind == "AN"


def from_right(text: str) -> bool:
    """Whether any of it is of a script that is written from right to left."""
    return _FROM_RIGHT.search(text) is not None


def joined(text: str) -> str:
    """A text with each Arabic letter in the form that it has between its neighbours, still in the order in which it is read."""
    if not from_right(text):
        return text
    signs = _SIGN.findall(text)
    forms = [_FORMS.get(sign, {}) for sign in signs]
    # A sign of two letters joins as its first does before it, and never after it: so it has no initial form.
    to_next = ["initial" in one and "final" in other for one, other in zip(forms, [*forms[1:], {}], strict=True)]
    to_last = [False, *to_next[:-1]]
    kinds = (("isolated", "initial"), ("final", "medial"))
    return "".join(
        form.get(kinds[before][after], sign) for sign, form, before, after in zip(signs, forms, to_last, to_next, strict=True)
    )


#: Brackets (Bidi_Paired_Bracket), and all that is turned around between letters from right to left.
_PAIRS: Final = {
    pair[0]: pair[1] for pair in ("()", "[]", "{}", "⟨⟩", "「」", "『』", "（）", "［］", "【】", "《》", "〈〉", "〔〕")
}
_TURNED: Final = {one: other for pair in (*_PAIRS.items(), *("<>", "«»", "‹›", "≤≥")) for one, other in (pair, pair[::-1])}

#: As many open brackets are looked at (rule BD16).
_MOST_OPEN: Final = 63

#: Kinds of characters as one letter each; `o` for all others.
_KINDS: Final = {"L": "L", "R": "R", "AL": "A", "EN": "1", "AN": "2", "ES": "+", "ET": "%", "CS": ","}

#: Rules W2 to W7: European numbers are `1`, Arabic ones `2`. The line begins as if after a letter from left to right.
_RESOLVED: Final = tuple(
    (re.compile(pattern), str.maketrans(old, new))
    for pattern, old, new in (
        ("A[^LRA]*", "1", "2"),
        ("A", "A", "R"),
        ("(?<=1)[+,](?=1)", "+,", "11"),
        ("(?<=2),(?=2)", ",", "2"),
        ("%+(?=1)|(?<=1)%+", "%", "1"),
        ("[+,%]", "+,%", "ooo"),
        ("(?:^|L)[^LR]*", "1", "L"),
    )
)
_BETWEEN: Final = re.compile("(?<=[R12])o+(?=[R12])")


def as_seen(line: str) -> str:
    """The letters of a line as they stand from the left."""
    if not from_right(line):
        return line
    # An accent goes with its letter (rules W1 and L3).
    signs = re.findall("(?s:.)[\u0300-\u036f]*", line)
    kinds = "".join(_KINDS.get(unicodedata.bidirectional(sign[0]), "o") for sign in signs)
    for pattern, resolved in _RESOLVED:
        kinds = pattern.sub(partial(_translated, resolved), kinds)
    kinds = _with_brackets([sign[0] for sign in signs], kinds)
    kinds = _BETWEEN.sub(lambda found: "R" * len(found[0]), kinds).replace("o", "L")
    return "".join(_ordered(signs, kinds))


def _translated(resolved: Mapping[int, int], found: re.Match[str]) -> str:
    return found[0].translate(resolved)


def _with_brackets(letters: list[str], kinds: str) -> str:
    """Rule N0: both brackets of a pair have the direction of what is in them, or of what is before them."""
    resolved = list(kinds)
    for first, last in sorted(_pairs(letters)):
        inside = {resolved[at] for at in range(first + 1, last)}
        before = next((kind for kind in reversed(resolved[:first]) if kind != "o"), "L")
        if inside & set("LR12"):
            resolved[first] = resolved[last] = "L" if "L" in inside or before == "L" else "R"
    return "".join(resolved)


def _pairs(letters: list[str]) -> Iterator[tuple[int, int]]:
    waiting: list[tuple[str, int]] = []
    for at, letter in enumerate(letters):
        if letter in _PAIRS:
            if len(waiting) == _MOST_OPEN:
                return
            waiting.append((_PAIRS[letter], at))
        for place in reversed(range(len(waiting))):
            if waiting[place][0] == letter:
                yield waiting[place][1], at
                del waiting[place:]
                break


def _ordered(signs: list[str], kinds: str) -> Iterator[str]:
    """Rules L2 and L4: stretches from right to left are turned around, the numbers in them are not."""
    for stretch in re.finditer("L+|[^L]+", kinds):
        if stretch[0][0] == "L":
            yield from signs[stretch.start() : stretch.end()]
            continue
        for part in reversed(list(re.finditer("R|[12]+", stretch[0]))):
            for sign in signs[stretch.start() + part.start() : stretch.start() + part.end()]:
                yield _TURNED.get(sign, sign) if part[0] == "R" else sign
