"""The normalised form of each accepted PDF: the same pages to look at, written so that drawing on them and reading them is safe.

Made once, when the file comes in, and kept as a blob beside it. What is lost of it is made anew from the file.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from psycopg.types.json import Jsonb

from domain.placement import PageSize
from domain.template import StoredFile
from infrastructure.blobs import BlobStore
from infrastructure.database import Reads
from infrastructure.pdf import PdfLimits, UnusablePdf, inspect_pdf

_FIND: Final = "SELECT normalised_sha256, sizes FROM public.normalised_files WHERE sha256 = %s"
_KEEP: Final = (
    "INSERT INTO public.normalised_files (sha256, normalised_sha256, sizes) VALUES (%s, %s, %s)"
    " ON CONFLICT (sha256) DO UPDATE SET normalised_sha256 = EXCLUDED.normalised_sha256, sizes = EXCLUDED.sizes"
)

#: Files of which this process knows what it has made of them.
_MOST_MADE: Final = 1_000

#: As many as no accepted PDF has: each would be an object of it.
_ANY_PAGES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Accepted:
    """A PDF that can be signed, with its normalised form; hashes are SHA-256, 64 hex digits."""

    sha256: str
    sizes: tuple[PageSize, ...]
    normalised_sha256: str
    data: bytes = field(repr=False)
    normalised: bytes = field(repr=False)

    @property
    def pages(self) -> int:
        """How many pages it has."""
        return len(self.sizes)

    @property
    def file(self) -> StoredFile:
        """What a fact says of it."""
        return StoredFile(self.sha256, len(self.data), self.pages, self.normalised_sha256)


@dataclass(frozen=True, slots=True)
class Normalised:
    """The normalised form of a stored PDF, by the SHA-256 (64 hex digits) of its blob, and its pages as they are displayed."""

    sha256: str
    sizes: tuple[PageSize, ...]


class NormalisedFiles:
    """What was accepted, over the service's pool and the blobs."""

    def __init__(self, reads: Reads, blobs: BlobStore) -> None:
        self._reads = reads
        self._blobs = blobs
        self._made: dict[str, Normalised] = {}

    async def inspect(self, data: bytes, limits: PdfLimits) -> Accepted:
        """Looks into an upload and stores nothing; raises UnusablePdf with the reason."""
        facts = await inspect_pdf(data, limits)
        return Accepted(sha256(data).hexdigest(), facts.sizes, sha256(facts.normalised).hexdigest(), data, facts.normalised)

    async def keep(self, accepted: Accepted) -> None:
        """Stores both forms. A crash on the way leaves blobs that nothing refers to."""
        await self._blobs.put(accepted.data)
        await self._keep(accepted)

    async def of(self, name: str) -> Normalised | None:
        """The normalised form of the stored PDF with that SHA-256, in the blobs when this returns; None if the PDF is not stored.

        Raises UnusablePdf for a file that was accepted when less was looked for, and BlobCorrupted.
        """
        async with self._reads.connection() as connection:
            row = await (await connection.execute(_FIND, [name])).fetchone()
        if row is not None and await self._blobs.exists(row[0]):
            return Normalised(row[0], tuple(PageSize(*size) for size in row[1]))
        return await self._make(name)

    async def made(self, name: str) -> Normalised | None:
        """As `of`, and made of the file by this process, once: for what is signed.

        Raises as `of`. The table is no part of the log, so whoever can write to it could have another document executed than was signed. It is
        believed only for a file that is not accepted any more.
        """
        known = self._made.get(name)
        if known is None or not await self._blobs.exists(known.sha256):
            try:
                known = await self._make(name)
            except UnusablePdf as err:
                if err.passing:
                    raise
                return await self.of(name)
            if known is None:
                return None
            if len(self._made) >= _MOST_MADE:
                self._made.clear()
            self._made[name] = known
        return known

    async def _make(self, name: str) -> Normalised | None:
        data = await self._blobs.get(name)
        if data is None:
            return None
        # It was accepted by the limits of its time.
        accepted = await self.inspect(data, PdfLimits(bytes=len(data), pages=_ANY_PAGES))
        await self._keep(accepted)
        return Normalised(accepted.normalised_sha256, accepted.sizes)

    async def _keep(self, accepted: Accepted) -> None:
        await self._blobs.put(accepted.normalised)
        sizes = [[size.width_millipoints, size.height_millipoints] for size in accepted.sizes]
        async with self._reads.connection() as connection:
            await connection.execute(_KEEP, [accepted.sha256, accepted.normalised_sha256, Jsonb(sizes)])
