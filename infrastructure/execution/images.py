"""Drawn signatures that cannot be used: nobody's signature is lost by its picture.

Surfaces look at images before they accept them. This is for those that came in when less was looked for, or that a later version
of a library reads otherwise.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from infrastructure.execution.blocks_of import DocumentSigner
from infrastructure.pdf_drawing.case import Absent, Case, Known, Signer, Told
from infrastructure.pdf_drawing.drawing import check_image
from infrastructure.pdf_drawing.image_refusal import ImageRefused

_UNUSABLE: Final = "the image cannot be used, so /s/ and the name stand in the document"


async def signers_without_unusable(signers: Sequence[DocumentSigner]) -> tuple[DocumentSigner, ...]:
    """The signers without the images that cannot be drawn; raises DrawingRefused if nobody can tell."""
    kept = []
    for signer in signers:
        signed = {
            document: signature if await _usable(signature.drawn) else replace(signature, drawn=None)
            for document, signature in signer.signed.items()
        }
        kept.append(replace(signer, signed=MappingProxyType(signed)))
    return tuple(kept)


async def case_without_unusable(case: Case) -> Case:
    """The case without the images that cannot be drawn; it tells so where it tells how a signature was adopted."""
    return replace(case, signers=tuple([signer if await _usable(signer.drawn) else _without(signer) for signer in case.signers]))


async def _usable(image: bytes | None) -> bool:
    try:
        if image is not None:
            await check_image(image)
    except ImageRefused:
        return False
    return True


def _without(signer: Signer) -> Signer:
    return replace(signer, drawn=None, adopted=_with_remark(signer.adopted))


def _with_remark(told: Told) -> Told:
    return replace(told, text=f"{told.text}; {_UNUSABLE}") if isinstance(told, Known) else Absent(_UNUSABLE)
