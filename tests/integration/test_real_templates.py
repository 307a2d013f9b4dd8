"""PDFs that others made, executed over a real ledger and sealed up to B-LTA: programs of others find nothing wrong with what comes of them."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Final

from domain.field import FieldType
from domain.placement import PageSize
from domain.seal import Profile
from infrastructure.database import DatabaseUrls
from infrastructure.execution.making import AwaitsCheckpoint, Making
from infrastructure.pdf import PdfLimits
from infrastructure.pdf_seal.findings import Outcome
from infrastructure.seal_service import SealService
from tests.executing import Place, drawing, making, sealing, sent, sign
from tests.integration.timestamp_authority import require_openssl
from tests.outside_verifiers import PASSED, Tool, check_with_other_tools
from tests.running import Person, Running, running
from tests.seal_world import Given, SealWorld, seal_world
from tests.shared_data import shared, some

#: Each for something that can go wrong when a page is drawn on, or a file is written on.
TEMPLATES: Final = (
    "qpdf/boxes.pdf",  # crop boxes smaller than the media box, each page turned otherwise
    "pdfjs/rotated.pdf",
    "pdfjs/hello_world_rotated.pdf",
    "pdfjs/basicapi.pdf",
    "pdf20examples/PDF_2.0_with_offset_start.pdf",  # bytes before the header
    "pdf20examples/PDF_2.0_with_page_level_output_intent.pdf",
    "verapdf/veraPDF_test_suite_6-1-5-t01-pass-a.pdf",
    "pypdf-samples/habibi-rotated.pdf",  # written from right to left, on pages turned to all sides
    "pdfjs/rotation.pdf",
    "pdfjs/sizes.pdf",
    "pdfjs/ArabicCIDTrueType.pdf",
    "qpdf/lin1.pdf",  # linearised
    "pypdf-samples/pdflatex-image.pdf",
    "pypdf-samples/cmyk-image.pdf",
    "qpdf/hybrid-xref.pdf",  # a table of objects for old readers and a stream of them for others
    "qpdf/appearances-1-rotated.pdf",  # a form whose fields are filled in
    "pypdf-samples/002-trivial-libre-office-writer.pdf",
    "pypdf-samples/grayscale-image.pdf",
    "pyhanko/minimal-hybrid-xref-mswordstyle.pdf",
    "verapdf/veraPDF_test_suite_6-1-6-t01-pass-a.pdf",
)

#: What a tool says against the file that somebody else made, and we leave as it is: part of its complaint, by template.
KNOWN: Final[Mapping[tuple[str, Tool], str]] = MappingProxyType({})

PEOPLE: Final = (
    Person("Ana Pérez", "ana@example.com"),
    Person("Björn Ødegård", "bjorn@example.com"),
    Person("山田 太郎", "taro@example.com"),
)


def places(sizes: Sequence[PageSize]) -> list[Place]:
    """Two of the people sign on the first and on the last page, up to the edges; the third has no place and gets one."""
    first, last = ((size.width_millipoints // 1000, size.height_millipoints // 1000) for size in (sizes[0], sizes[-1]))
    return [
        Place(0, 0, FieldType.SIGNATURE, 10, x=10),
        Place(0, 0, FieldType.CHECKBOX, 50, x=10),
        Place(0, 0, FieldType.TEXT, 50, "CITY", x=40),
        Place(1, 0, FieldType.SIGNATURE, first[1] - 30, x=first[0] - 200),
        Place(1, 0, FieldType.SIGNATURE, last[1] - 60, x=20, page=len(sizes)),
        Place(1, 0, FieldType.DATE, last[1] - 30, x=20, page=len(sizes)),
    ]


def test_executed_templates_of_others_and_their_certificates_pass_every_tool(database: DatabaseUrls, tmp_path: Path) -> None:
    require_openssl()
    folder = shared("pdf-corpus/benign")
    with seal_world(tmp_path / "seals") as world, ThreadPoolExecutor(2) as pool:
        templates = {name: (folder / name).read_bytes() for name in some(TEMPLATES, 10)}
        made = asyncio.run(_made(database, tmp_path, world, templates))
        roots, times = (world.development.root,), (world.time_root.certificate,)
        said = pool.map(lambda pdf: check_with_other_tools(pdf, roots, times), made.values())
        ours = [world.examine(pdf) for pdf in made.values()]
        verdicts = dict(zip(made, said, strict=True))
    assert {(findings.verdict, findings.profile) for findings in ours} == {(Outcome.PASSED, Profile.B_LTA)}
    assert len(verdicts) == 2 * len(templates)
    wrong = {
        (*file, tool): verdict
        for file, by_tool in verdicts.items()
        for tool, verdict in by_tool.items()
        if verdict != PASSED and KNOWN.get((file[0], tool), "\n\n") not in verdict
    }
    assert not wrong, wrong
    installed = {tool for tool in Tool if tool.installed}
    assert all(set(by_tool) == installed for by_tool in verdicts.values())


async def _made(
    database: DatabaseUrls, folder: Path, world: SealWorld, templates: Mapping[str, bytes]
) -> dict[tuple[str, str], bytes]:
    """Of each template the executed document and the certificate."""
    made = {}
    async with running(database, folder) as run, sealing(run):
        roots, times = (world.development.root,), (world.time_root.certificate,)
        seals = SealService(
            world.development.signer, roots, times, world.time_source, Given(*world.material), for_development=True
        )
        makes = making(run, seals=seals)
        for name, template in templates.items():
            made[name, "executed"], made[name, "certificate"] = await _executed(run, makes, template)
    return made


async def _executed(run: Running, makes: Making, template: bytes) -> tuple[bytes, bytes]:
    accepted = await run.deps.files.inspect(template, PdfLimits())
    packet = await sent(run, *PEOPLE, papers=(template,), places=places(accepted.sizes), zone="America/Lima")
    await sign(run, packet, 0, values={2: True, 3: "Lima, Perú"})
    await sign(run, packet, 1, image=drawing())
    await sign(run, packet, 2)
    async with asyncio.timeout(60):
        while True:
            try:
                await makes.execute(packet.id, _nothing)
                break
            except AwaitsCheckpoint:
                await asyncio.sleep(0.05)
    envelope = await run.envelope(packet.id)
    (name,) = envelope.executed.values()
    assert envelope.certificate is not None
    executed, certificate = await run.deps.blobs.get(name), await run.deps.blobs.get(envelope.certificate)
    assert executed is not None
    assert certificate is not None
    return executed, certificate


async def _nothing(done: int, all: int) -> None:
    """Between two files."""
