"""Everything that a certificate of completion tells, as plain values.

What was observed has its source, what was not has a reason, and nothing stands for something else: a
"viewed" that nobody saw is not the time of another event. Texts are free: whatever script, whatever length.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from zoneinfo import ZoneInfo


class Paper(Enum):
    """Width and height in points."""

    A4 = (595.276, 841.89)
    LETTER = (612.0, 792.0)


@dataclass(frozen=True, slots=True)
class Known:
    """A fact, and who says so where that is not this ledger itself ("told by the platform")."""

    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Timed:
    """When something happened, aware, and who says so. `text` says what, where the label does not, in lines of its own."""

    at: datetime
    source: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Absent:
    """A fact that is not there, and why: "the platform told no address"."""

    reason: str


Told = Known | Timed | Absent


@dataclass(frozen=True, slots=True)
class CaseDocument:
    """One document of the envelope; hashes are SHA-256 in hex."""

    title: str
    pages: int
    original_sha256: str
    executed: Told


@dataclass(frozen=True, slots=True)
class Signer:
    """One participant. `drawn` is the image of the signature, a PNG or JPEG, `outcome` one word or two: "Signed"."""

    name: str
    email: Told
    role: str
    outcome: str
    authentication: Told
    signature: Told
    adopted: Told
    address: Told
    user_agent: Told
    sent: Told
    viewed: Told
    consented: Told
    consent_text: Told
    ended: Told
    reason: Told | None = None
    drawn: bytes | None = None


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One fact of the log; `digest` is its leaf hash in hex, `at` the one time that it has."""

    number: int
    at: datetime
    type: str
    actor: str
    detail: str
    digest: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class CaseHead:
    """A process of the envelope: its stream, how many facts it has, and the leaf hash of the last in hex."""

    title: str
    stream: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class CaseCheckpoint:
    """The signed checkpoint that covers the case; `root` in hex, `witnesses` by name."""

    origin: str
    size: int
    root: str
    at: datetime
    witnesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseSeal:
    """How the executed document is sealed: PAdES profile reached and why not a higher one."""

    fingerprint: Told
    profile: Told
    not_higher: str
    authority: Told
    stamped: Told


@dataclass(frozen=True, slots=True)
class Case:
    """A closed envelope. `made` is when the certificate is made, `zone` the envelope's, `offline` how to verify, step by step.

    `test` says that it is of no effect.
    """

    envelope: str
    subject: str
    status: str
    originator: Told
    created: Told
    completed: Told
    zone: ZoneInfo
    documents: tuple[CaseDocument, ...]
    signers: tuple[Signer, ...]
    events: tuple[CaseEvent, ...]
    heads: tuple[CaseHead, ...]
    checkpoint: CaseCheckpoint | Absent
    seal: CaseSeal
    url: str
    offline: tuple[str, ...]
    made: datetime
    test: bool = False
