"""Personal data: committed to in entries, kept outside them (DESIGN section 5).

An entry holds `SHA-256(DOMAIN || salt || canonical value)`. The value and its salt together are a
disclosure. Whoever has the disclosure can check it against the entry; once it is destroyed the
commitment says nothing, because the salt is 32 random bytes.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from string import ascii_lowercase, ascii_uppercase
from typing import Final
from uuid import UUID

from domain.canonical import Json, canonical

DOMAIN: Final = b"countersign/personal/v1\n"
SALT_BYTES: Final = 32


class SubjectKind(StrEnum):
    """Whose data a disclosure is, hence what an erasure destroys together."""

    PERSON = "person"
    ENVELOPE = "envelope"
    TEMPLATE = "template"
    ORGANIZATION = "organization"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who or what a disclosure is about, within one tenant.

    `key` identifies it: for a person the kind of contact and the normalised contact
    (`email:ana@example.com`), else the id of the envelope, template or document. It is personal data itself
    and is never stored in the clear.
    """

    tenant: UUID
    kind: SubjectKind
    key: str


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A personal value with the salt of its commitment."""

    value: Json
    salt: bytes
    subject: Subject


@dataclass(frozen=True, slots=True)
class Personal:
    """A personal value as facts and state hold it: the commitment, and the disclosure while at hand.

    Two are equal when their commitments are; a fact read back from the log has no disclosure.
    """

    commitment: str
    disclosure: Disclosure | None = field(default=None, compare=False, repr=False)


def commitment(value: Json, salt: bytes) -> str:
    """The commitment to `value`, 64 lower-case hex digits.

    Raises ValueError for a salt that is not 32 bytes, CanonicalError for a value outside I-JSON.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt is {SALT_BYTES} bytes")
    return sha256(DOMAIN + salt + canonical(value)).hexdigest()


def conceal(value: Json, salt: bytes, subject: Subject) -> Personal:
    """Commits to `value` under `salt`; errors as `commitment`."""
    return Personal(commitment(value, salt), Disclosure(value, salt, subject))


def discloses(value: Json, salt: bytes, expected: str) -> bool:
    """Whether `value` under `salt` is what `expected` commits to, compared in constant time."""
    return compare_digest(commitment(value, salt), expected)


#: Upper-case letters of ASCII to lower case, and nothing else.
_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


def mailbox(email: str) -> str:
    """The form of an e-mail address by which two are the same.

    Whoever has verified an address may sign for it, so no two mailboxes may fall together: Unicode's folding makes one of
    `faß.example` and `fass.example`, which are two domains (RFC 5891 section 4), and of a Kelvin sign and a `k`. Only
    letters of ASCII are the same in both cases (RFC 4343 section 3).
    """
    return email.strip(" \t\r\n").translate(_LOWER)


def person(tenant: UUID, *, email: str | None = None, phone: str | None = None, otherwise: UUID) -> Subject:
    """The subject of a person: by e-mail address, else by phone number, else by the one place they hold."""
    if email:
        return Subject(tenant, SubjectKind.PERSON, f"email:{mailbox(email)}")
    if phone:
        return Subject(tenant, SubjectKind.PERSON, f"phone:{''.join(c for c in phone if c.isdigit() or c == '+')}")
    return Subject(tenant, SubjectKind.PERSON, f"participant:{otherwise}")
