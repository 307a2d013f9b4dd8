"""What the case rests on: the seals of the executed documents, the checkpoint, and how both are verified."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from domain.checkpoint import parse_checkpoint
from domain.envelope import DocumentExecuted
from domain.note import parse_note, parse_signature
from domain.seal import Seal
from infrastructure.pdf_drawing.case import Absent, CaseCheckpoint, CaseSeal, Known, Timed, Told
from infrastructure.sealed import StoredCheckpoint
from infrastructure.telling.happened import Happened
from infrastructure.telling.tables import OBSTACLES
from infrastructure.telling.wording import Wording

_NOT_EXECUTED: Final = Absent("no executed form is recorded")
_NOT_SEALED: Final = Absent("the executed documents have no seal")
_NO_STAMP: Final = Absent("no seal has a time stamp")


def checkpoint_told(stored: StoredCheckpoint | Absent) -> CaseCheckpoint | Absent:
    """The checkpoint with the names of those who cosigned it, or why there is none."""
    if isinstance(stored, Absent):
        return stored
    checkpoint = parse_checkpoint(parse_note(stored.note).text)
    witnesses = dict.fromkeys(parse_signature(line).name for line in stored.cosignatures)
    return CaseCheckpoint(checkpoint.origin, checkpoint.size, checkpoint.root.hex(), stored.at, tuple(witnesses))


def seal_told(told: Sequence[Happened], wording: Wording) -> CaseSeal:
    """How the executed documents are sealed; where they differ, each is told."""
    executed = {each.fact.document: each.fact.seal for each in told if isinstance(each.fact, DocumentExecuted)}
    seals = {wording.document(id): seal for id, seal in executed.items() if seal is not None}
    if not seals:
        none = _NOT_SEALED if executed else _NOT_EXECUTED
        return CaseSeal(none, none, "", none, none)
    unsealed = {wording.document(id): "no seal" for id, seal in executed.items() if seal is None}
    profiles = {title: f"PAdES {seal.profile}" for title, seal in seals.items()}
    obstacles = {title: OBSTACLES[seal.obstacle] for title, seal in seals.items() if seal.obstacle is not None}
    authorities = {title: seal.authority for title, seal in seals.items() if seal.authority is not None}
    return CaseSeal(
        fingerprint=Known(f"SHA-256 {_each({title: seal.certificate_sha256 for title, seal in seals.items()})}"),
        profile=Known(_each({**profiles, **unsealed})),
        not_higher=_each(obstacles),
        authority=Known(_each(authorities)) if authorities else _NO_STAMP,
        stamped=_stamped(seals.values()),
    )


def _stamped(seals: Iterable[Seal]) -> Told:
    times = sorted(seal.stamped_at for seal in seals if seal.stamped_at is not None)
    if not times:
        return _NO_STAMP
    return Timed(times[0], text="" if len(times) == 1 else f"the first of {len(times)}; each is among the events")


def _each(values: Mapping[str, str]) -> str:
    """What holds for all, else for which documents what holds."""
    documents: dict[str, list[str]] = {}
    for title, value in values.items():
        documents.setdefault(value, []).append(title)
    if len(documents) <= 1:
        return "".join(documents)
    return "; ".join(f"{value}: {', '.join(titles)}" for value, titles in documents.items())


def steps(base_url: str, envelope: UUID) -> tuple[str, ...]:
    """How a reader verifies all this without the server."""
    return (
        (
            f"Take the evidence of this envelope: countersign evidence {envelope} --out evidence.zip, or with your credential"
            f" GET {base_url}/v1/evidence/{envelope}. Keep it: the steps below need no network and no server."
        ),
        (
            "Whether a PDF is the one that was executed: countersign verify FILE.pdf --bundle evidence.zip --policy policy.txt"
            " --seal-certificates seal.pem. By hand: sha256sum FILE.pdf gives the hash that stands above."
        ),
        (
            "Whether the log holds what stands here: python3 verify_evidence.py evidence.zip --policy policy.txt (scripts/verify_evidence.py,"
            " one file that needs Python and cryptography alone). The policy names the log's key and the witnesses that you trust, seal.pem the"
            " certificates; take them from whom they belong to, never from this file or the bundle."
        ),
        (
            "Whether a seal holds, by other people's programs: pdfsig FILE.pdf. Whose it is: pdfsig -dump FILE.pdf, then"
            " openssl pkcs7 -inform DER -in FILE.pdf.sig0 -print_certs; openssl x509 -noout -fingerprint -sha256 gives for the"
            " certificate that pdfsig names the fingerprint that stands above."
        ),
        (
            "This certificate was sealed after it was drawn. Its own seal is therefore not told here: what stands above is the seal of the"
            " executed documents. It is verified in the same way, and the log names the hash of this file after the last event told here."
        ),
    )
