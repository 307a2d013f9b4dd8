"""The normalised forms of files: kept once, found again, and made anew where they are lost."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import pytest

from domain.placement import PageSize
from infrastructure.blobs import BlobStore
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.normalised import Accepted, Normalised, NormalisedFiles
from infrastructure.pdf import PdfLimits, UnusablePdf
from tests.hostile_pdfs import file, stream, text

Work = Callable[[NormalisedFiles, BlobStore], Awaitable[None]]
LIMITS = PdfLimits()


def run(database: DatabaseUrls, folder: Path, work: Work) -> None:
    async def inside() -> None:
        blobs = BlobStore.at(folder.as_uri())
        async with async_pool(database.service) as pool:
            await work(NormalisedFiles(pool, blobs), blobs)

    asyncio.run(inside())


def test_both_forms_are_kept_and_found_again(database: DatabaseUrls, tmp_path: Path) -> None:
    async def work(files: NormalisedFiles, blobs: BlobStore) -> None:
        data = file({})
        accepted = await files.inspect(data, LIMITS)
        assert accepted.file.sha256 == sha256(data).hexdigest()
        assert accepted.file.normalised_sha256 == accepted.normalised_sha256
        assert await files.of(accepted.sha256) is None
        assert not await blobs.exists(accepted.sha256), "to inspect is not to keep"
        await files.keep(accepted)
        assert await files.of(accepted.sha256) == Normalised(accepted.normalised_sha256, (PageSize(400_000, 600_000),))
        assert await blobs.get(accepted.sha256) == data
        assert await blobs.get(accepted.normalised_sha256) == accepted.normalised
        await files.keep(accepted)  # the same upload again

    run(database, tmp_path, work)


def test_what_is_lost_or_was_never_made_is_made_from_the_file(database: DatabaseUrls, tmp_path: Path) -> None:
    async def work(files: NormalisedFiles, blobs: BlobStore) -> None:
        stored_before = await blobs.put(file({}))
        made = await files.of(stored_before)
        assert made is not None
        name = made.sha256
        (tmp_path / "sha256" / name[:2] / name[2:]).unlink()
        assert await files.of(stored_before) == made
        assert await blobs.exists(name)
        with connect(database.owner) as connection:
            connection.execute("DELETE FROM normalised_files")
        assert await files.of(stored_before) == made

    run(database, tmp_path, work)


def test_a_file_that_would_not_be_accepted_today_says_why(database: DatabaseUrls, tmp_path: Path) -> None:
    async def work(files: NormalisedFiles, blobs: BlobStore) -> None:
        stored_before = await blobs.put(file({6: b"<< /S /JavaScript /JS (1) >>"}))
        with pytest.raises(UnusablePdf) as caught:
            await files.of(stored_before)
        assert caught.value.code == "javascript"

    run(database, tmp_path, work)


def test_what_the_table_says_is_not_believed_of_a_file_that_is_signed(database: DatabaseUrls, tmp_path: Path) -> None:
    async def work(files: NormalisedFiles, blobs: BlobStore) -> None:
        signed, other = [await files.inspect(file({4: stream(text(words))}), LIMITS) for words in (b"10 EUR", b"1000 EUR")]
        for each in (signed, other):
            await files.keep(each)
        with connect(database.owner) as connection:
            connection.execute("UPDATE normalised_files SET normalised_sha256 = %s", [other.normalised_sha256])
        for _ in range(2):
            found = await files.made(signed.sha256)
            assert found is not None
            assert found.sha256 == signed.normalised_sha256
        assert await files.of(signed.sha256) == found, "the table is right again"
        old = await blobs.put(file({6: b"<< /S /JavaScript /JS (1) >>"}))
        with connect(database.owner) as connection:
            connection.execute(
                "INSERT INTO normalised_files VALUES (%s, %s, '[[400000, 600000]]')", [old, other.normalised_sha256]
            )
        found = await files.made(old)
        assert found is not None
        assert found.sha256 == other.normalised_sha256

    run(database, tmp_path, work)


class Starved(NormalisedFiles):
    """Whose limited process is given no time."""

    async def inspect(self, data: bytes, limits: PdfLimits) -> Accepted:
        raise UnusablePdf("took-too-long")


def test_the_table_is_not_believed_either_while_nobody_has_time_to_look(database: DatabaseUrls, tmp_path: Path) -> None:
    async def work(files: NormalisedFiles, blobs: BlobStore) -> None:
        signed = await files.inspect(file({4: stream(text(b"10 EUR"))}), LIMITS)
        await files.keep(signed)
        async with async_pool(database.service) as pool:
            with pytest.raises(UnusablePdf) as caught:
                await Starved(pool, blobs).made(signed.sha256)
        assert caught.value.passing

    run(database, tmp_path, work)
