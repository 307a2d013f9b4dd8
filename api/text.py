"""What texts may be made of, as patterns that stand in the OpenAPI document too, so that both say the same.

They are written in what regular expressions of Python and of JSON Schema (ECMA 262) read alike.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

#: The longest address that mail can be sent to (RFC 5321 section 4.5.3.1.3, less the angle brackets).
MAX_EMAIL_CHARACTERS: Final = 254

#: What breaks lines, hides, or turns the direction of what follows, but for the three that lines are made of.
_HIDDEN: Final = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_ENDINGS: Final = r"\t\n\r"

#: Spaces (Unicode category Zs), and the joiners of Persian, of scripts of India and of emoji, which show nothing by themselves.
_BLANK: Final = r" \u00a0\u1680\u2000-\u200a\u200c\u200d\u202f\u205f\u3000"

#: What the mail system can write to, and a domain of labels (RFC 1123 section 2.1).
_SPECIALS: Final = rf"@<>,;:\"()\[\]\\{_HIDDEN}{_ENDINGS}{_BLANK}"
_LABEL: Final = rf"[^.{_SPECIALS}\-]([^.{_SPECIALS}]{{0,61}}[^.{_SPECIALS}\-])?"

#: Text in one line that shows something; text in one line, or none; text in lines; an address.
NAME: Final = rf"[^{_HIDDEN}{_ENDINGS}]*[^{_HIDDEN}{_ENDINGS}{_BLANK}][^{_HIDDEN}{_ENDINGS}]*"
LINE: Final = rf"[^{_HIDDEN}{_ENDINGS}]*"
LINES: Final = rf"[^{_HIDDEN}]*"
EMAIL: Final = rf"[^{_SPECIALS}]+@({_LABEL}\.)+{_LABEL}"


#: What is said of a text that is not so, by its pattern.
SENTENCES: Final[Mapping[str, str]] = {
    f"^{NAME}$": "Must be one line of text without control characters, and not blank",
    f"^{LINE}$": "Must be one line of text without control characters",
    f"^{LINES}$": "Must not contain control characters",
    f"^{EMAIL}$": "Invalid email",
}

Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Line = Annotated[str, Field(pattern=f"^{LINE}$")]
Lines = Annotated[str, Field(pattern=f"^{LINES}$")]
Email = Annotated[str, Field(pattern=f"^{EMAIL}$", max_length=MAX_EMAIL_CHARACTERS)]
