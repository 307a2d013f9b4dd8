"""What happens to templates."""

from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

from domain.actor import Mode
from domain.field import SIZES, FieldType
from domain.ids import is_sha256
from domain.personal import Personal
from domain.placement import Box

#: Fields of one version; what a page's own form tools can still show.
MAX_FIELDS: Final = 200


@dataclass(frozen=True, slots=True)
class Field:
    """Where a participant signs or fills in.

    Lengths are thousandths of a PDF point, from the top left of the displayed page to the box's top
    left; pages count from 1. `participant` is a place among an envelope's participants, from 1. What the
    client left open is None.
    """

    name: str
    type: FieldType
    page: int | None = None
    x_millipoints: int | None = None
    y_millipoints: int | None = None
    width_millipoints: int | None = None
    height_millipoints: int | None = None
    participant: int | None = None
    required: bool | None = None

    @property
    def box(self) -> Box | None:
        """Where it stands on its page, of the usual size where none was given; None while it stands nowhere."""
        if self.page is None or self.x_millipoints is None or self.y_millipoints is None:
            return None
        width, height = SIZES[self.type]
        return Box(self.x_millipoints, self.y_millipoints, self.width_millipoints or width, self.height_millipoints or height)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A PDF in the blob store, by its SHA-256 (64 hex digits).

    `normalised_sha256` is of its other form, which shows the same and is drawn on when it is executed; None for what
    was stored before there was one.
    """

    sha256: str
    size_bytes: int
    pages: int
    normalised_sha256: str | None = None

    @property
    def possible(self) -> bool:
        """Whether this can be a PDF."""
        normalised = self.normalised_sha256 is None or is_sha256(self.normalised_sha256)
        return is_sha256(self.sha256) and normalised and self.size_bytes >= 1 and self.pages >= 1


@dataclass(frozen=True, slots=True)
class TemplateCreated:
    TYPE: ClassVar[str] = "template.created/1"
    tenant: UUID
    mode: Mode
    name: Personal
    description: Personal | None


@dataclass(frozen=True, slots=True)
class VersionAdded:
    TYPE: ClassVar[str] = "template.version-added/1"
    version: int
    name: Personal
    description: Personal | None


@dataclass(frozen=True, slots=True)
class FileStored:
    TYPE: ClassVar[str] = "template.file-stored/2"
    version: int
    file: StoredFile


@dataclass(frozen=True, slots=True)
class FieldsDefined:
    TYPE: ClassVar[str] = "template.fields-defined/2"
    version: int
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class VersionDeleted:
    TYPE: ClassVar[str] = "template.version-deleted/1"
    version: int


@dataclass(frozen=True, slots=True)
class TemplateDeleted:
    TYPE: ClassVar[str] = "template.deleted/1"


@dataclass(frozen=True, slots=True)
class TemplateRenamed:
    """The current version goes by another name; the names of older ones stay."""

    TYPE: ClassVar[str] = "template.renamed/1"
    version: int
    name: Personal


@dataclass(frozen=True, slots=True)
class TemplateLocated:
    """The template belongs to a location of the directory, and to no other any more."""

    TYPE: ClassVar[str] = "template.located/1"
    location: UUID


@dataclass(frozen=True, slots=True)
class TemplateActivated:
    TYPE: ClassVar[str] = "template.activated/1"


@dataclass(frozen=True, slots=True)
class TemplateDeactivated:
    TYPE: ClassVar[str] = "template.deactivated/1"


TemplateFact = (
    TemplateCreated
    | VersionAdded
    | FileStored
    | FieldsDefined
    | VersionDeleted
    | TemplateDeleted
    | TemplateRenamed
    | TemplateLocated
    | TemplateActivated
    | TemplateDeactivated
)
