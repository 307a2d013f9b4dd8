"""What an attack on evidence is: what the attacker does and must hold, the file that comes out, and what finds it.

`@attack` makes one of a function: its name is the attack's, its docstring says what the attacker does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from domain.faults import Verdict
from domain.findings import Check
from infrastructure.bundle_format import Content
from tests.evidence_stamps import Authority
from tests.evidence_world import packed, policy_file, signing_key
from tests.histories import ORIGIN

INVALID, INDETERMINATE = Verdict.INVALID, Verdict.INDETERMINATE


class Holds(StrEnum):
    """What the attacker must hold."""

    COPY = "a copy of the bundle"
    READER = "a copy, and the reader's trust"
    DATABASE = "the database"
    KEY = "the database, the log's key"
    QUORUM = "the database, the log's key, a quorum of witnesses"
    AUTHORITY = "the database, the log's key, a quorum of witnesses, a time-stamping authority"


class Means(StrEnum):
    """What finds an attack that no check of the bundle finds, or makes more of one that is only doubtful."""

    RECEIPT = "somebody kept a receipt from after the change or the end, and gives it with `--receipt`: `fork` or `truncated`"
    LATER_RECEIPT = "a receipt from after the bundle's end, with `--receipt`, makes it indeterminate: it ends before that"
    CHECKPOINT = "anybody who kept a checkpoint of the true log compares: two roots for one size. A witness answers 409"
    WITNESSES = "a policy that asks for more witnesses, which finds no quorum"
    TIME = "the certificate of an authority (`--tsa`): the answer's time is that of the rewriting"
    POLICY = "a policy from elsewhere: its key has not signed this"
    ELSEWHERE = (
        "the report and the verifier in a bundle are no evidence: take the facts from the answer of a verifier from elsewhere"
    )


@dataclass(frozen=True)
class Reader:
    """What whoever verifies has from elsewhere than the bundle; `tsa` are certificates in PEM, None if there are none."""

    name: str
    policy: bytes
    tsa: bytes | None = None


@dataclass(frozen=True)
class Attack:
    """`found` is what the checks say that do not say valid; those that are not reached are left out.

    `least` is the same for the second verifier where that does less; `said` is what the answer says of an attack that it names.
    """

    module: str
    name: str
    does: str
    holds: Holds
    make: Callable[[], bytes] = field(repr=False)
    found: Mapping[Check, Verdict]
    least: Mapping[Check, Verdict]
    reader: Reader
    means: tuple[Means, ...]
    said: str


STRICT = Reader("two-witnesses", policy_file(), Authority().pem)
LAX = Reader("one-witness", policy_file(threshold=1))
TRUSTING = Reader("no-witness", policy_file(threshold=0))
#: The attacker's own key under the ledger's name.
OWN_KEY = signing_key(ORIGIN, generation=2)
DECEIVED = Reader("of-the-attacker", policy_file(keys=[OWN_KEY], threshold=0))

ATTACKS: list[Attack] = []

Found = Mapping[Check, Verdict]
Make = Callable[[], Content | bytes]


def attack(
    holds: Holds, found: Found, *means: Means, least: Found | None = None, reader: Reader = STRICT, said: str = ""
) -> Callable[[Make], Make]:
    """Puts the attack that a function makes into the table."""

    def put(make: Make) -> Make:
        @cache
        def raw() -> bytes:
            made = make()
            return made if isinstance(made, bytes) else packed(made)

        name, does = make.__name__.replace("_", "-"), " ".join((make.__doc__ or "").split())
        ATTACKS.append(
            Attack(make.__module__, name, does, holds, raw, found, found if least is None else least, reader, means, said)
        )
        return make

    return put


INCLUSION, CHAIN, COMPLETENESS, HISTORY = Check.INCLUSION, Check.CHAIN, Check.COMPLETENESS, Check.HISTORY
#: What finds a change after which the links do not fit; what they do not show cannot be replayed.
UNLINKED: Found = {INCLUSION: INVALID, CHAIN: INVALID, HISTORY: INDETERMINATE}
#: What finds one after which they fit.
LINKED: Found = {INCLUSION: INVALID, COMPLETENESS: INVALID}
BY_HISTORY: Found = {**LINKED, HISTORY: INVALID}
UNWITNESSED: Found = {Check.QUORUM: INDETERMINATE}
