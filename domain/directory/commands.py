"""What can be asked of an organization, and how its words are read."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from domain.actor import Mode
from domain.directory.facts import Permission, Tiers, VaultRight
from domain.personal import Personal, Subject, SubjectKind

#: Characters. The limits of the web guide of the product that the signing surface speaks like.
MAX_NAME: Final = 120
MAX_SLUG: Final = 48

#: RFC 7519 sets no limit; OpenID Connect Core section 2 gives a subject 255 characters, and an issuer is a URL.
MAX_USER_PART: Final = 255

_SLUG: Final = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{MAX_SLUG - 2}}}[a-z0-9])?")


class DirectoryTextError(ValueError):
    """A text cannot be a name, a slug or part of a user's identity; the message says what can."""


def parse_name(text: str) -> str:
    """A name of an organization or of something in it, without the blanks around it; raises DirectoryTextError."""
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME or any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in name):
        raise DirectoryTextError(f"a name is one line of 1 to {MAX_NAME} characters")
    return name


def parse_slug(text: str) -> str:
    """A slug of an organization or a role; raises DirectoryTextError."""
    if not _SLUG.fullmatch(text):
        raise DirectoryTextError(f"a slug is 1 to {MAX_SLUG} small letters, digits and hyphens, with no hyphen at either end")
    return text


def user_subject(tenant: UUID, issuer: str, subject: str) -> Subject:
    """Whose data a user's values are: the user that `issuer` calls `subject`; raises DirectoryTextError."""
    for part in (issuer, subject):
        if not 1 <= len(part) <= MAX_USER_PART or any(unicodedata.category(each) in ("Cc", "Cs") for each in part):
            raise DirectoryTextError(f"an issuer and a subject are texts of 1 to {MAX_USER_PART} characters")
    if "|" in issuer:  # it parts the two, and subjects may hold it; no URI does (RFC 3986 section 2)
        raise DirectoryTextError("an issuer holds no |")
    return Subject(tenant, SubjectKind.PERSON, f"user:{issuer}|{subject}")


@dataclass(frozen=True, slots=True)
class CreateOrganization:
    tenant: UUID
    mode: Mode
    organization: UUID
    name: Personal
    slug: Personal | None = None


@dataclass(frozen=True, slots=True)
class RenameOrganization:
    """What is None stays as it is."""

    organization: UUID
    name: Personal | None
    slug: Personal | None = None


@dataclass(frozen=True, slots=True)
class AddCompany:
    organization: UUID
    company: UUID
    name: Personal


@dataclass(frozen=True, slots=True)
class RenameCompany:
    organization: UUID
    company: UUID
    name: Personal


@dataclass(frozen=True, slots=True)
class AddLocation:
    """Without a `sort_order` it comes after all that there are."""

    organization: UUID
    location: UUID
    name: Personal
    company: UUID | None = None
    sort_order: int | None = None


@dataclass(frozen=True, slots=True)
class RenameLocation:
    organization: UUID
    location: UUID
    name: Personal


@dataclass(frozen=True, slots=True)
class DefineFlow:
    organization: UUID
    flow: UUID
    location: UUID
    name: Personal
    steps: Personal | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class ChangeFlow:
    """What is None stays as it is."""

    organization: UUID
    flow: UUID
    name: Personal | None = None
    steps: Personal | None = None
    active: bool | None = None


@dataclass(frozen=True, slots=True)
class DefineRole:
    """Makes a role, or gives it other permissions."""

    organization: UUID
    role: str
    permissions: tuple[Permission, ...]


@dataclass(frozen=True, slots=True)
class JoinMember:
    organization: UUID
    member: UUID
    user: Personal
    email: Personal | None
    name: Personal | None
    role: str


@dataclass(frozen=True, slots=True)
class ChangeMemberRole:
    organization: UUID
    member: UUID
    role: str


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """Ends the member's appointments too."""

    organization: UUID
    member: UUID


@dataclass(frozen=True, slots=True)
class AppointManager:
    """`locations` None is the whole organization."""

    organization: UUID
    appointment: UUID
    member: UUID
    tiers: Tiers
    vault: tuple[VaultRight, ...] = ()
    locations: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class AppointAdmin:
    organization: UUID
    appointment: UUID
    member: UUID


@dataclass(frozen=True, slots=True)
class EndAppointment:
    organization: UUID
    appointment: UUID


DirectoryCommand = (
    CreateOrganization
    | RenameOrganization
    | AddCompany
    | RenameCompany
    | AddLocation
    | RenameLocation
    | DefineFlow
    | ChangeFlow
    | DefineRole
    | JoinMember
    | ChangeMemberRole
    | RemoveMember
    | AppointManager
    | AppointAdmin
    | EndAppointment
)
