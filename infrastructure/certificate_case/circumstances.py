"""What a certificate tells beside the log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.consent import Consent
from infrastructure.pdf_drawing.case import Absent
from infrastructure.sealed import StoredCheckpoint


@dataclass(frozen=True, slots=True)
class Circumstances:
    """`tenant` is the name of who sent the envelope, `made` (aware) when the certificate is made, `base_url` has no slash at its end.

    `checkpoint` covers every entry that is told, or is the reason why none does. `erasures` has the position of the erasing entry
    by stream and version, `consent_texts` the version of a text by its SHA-256 (64 hex digits), as far as those are known;
    `consents` has the consent that a participant had given before, and that held when it signed.
    """

    tenant: str
    base_url: str
    made: datetime
    checkpoint: StoredCheckpoint | Absent
    erasures: Mapping[tuple[UUID, int], int] = field(default_factory=dict)
    consent_texts: Mapping[str, str] = field(default_factory=dict)
    consents: Mapping[UUID, Consent] = field(default_factory=dict)
