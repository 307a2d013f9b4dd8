"""The blob store: PDFs by the SHA-256 of their bytes, written once.

A local folder, or S3, Google Cloud Storage or Azure by its URL. `put` returns only when the bytes
would survive a power cut: object stores promise that themselves, and in a local folder the file and
the folders that name it are flushed here, because obstore does not (0.12: a temporary file and link(2),
no fsync).

obstore's blocking functions are called in threads of ours. Its asynchronous ones hand a result over from a thread of their own, which may
still do so while the interpreter ends: then the process aborts after its work is done (pyo3-async-runtimes, issue 40).
"""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from domain.ids import is_sha256

#: The local folder is nobody else's to read: what is signed is in it.
_FOLDER_MODE: Final = 0o700


class BlobCorrupted(Exception):
    """What is stored under a hash does not have that hash; `sha256` names it (64 hex digits)."""

    def __init__(self, expected: str) -> None:
        super().__init__(f"the blob {expected} was altered or damaged in the store; restore it from a backup")
        self.sha256 = expected


class BlobsUnreadable(Exception):
    """The store does not answer, or does not give what it lists; the message says which."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies in the store under a hash (64 hex digits), how large it is and since when it is there; its bytes were not looked at."""

    sha256: str
    size_bytes: int
    at: datetime


class BlobStore:
    """Blobs under `sha256/<2 hex digits>/<62 hex digits>`, in `store`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._folder = Path(store.prefix) if isinstance(store, LocalStore) and store.prefix is not None else None

    @classmethod
    def at(cls, url: str) -> "BlobStore":
        """The store at `file://`, `s3://`, `gs://` or `az://`; the latter find their access as their own tools do.

        Raises ValueError for a URL that obstore cannot read.
        """
        if not url.startswith("file://"):
            return cls(from_url(url))
        folder = _folder_of(url)
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        return cls(LocalStore(folder))

    @classmethod
    def existing(cls, url: str) -> "BlobStore":
        """As `at`, for whoever only looks: a folder that is not there is a FileNotFoundError."""
        if url.startswith("file://") and not _folder_of(url).is_dir():
            raise FileNotFoundError(f"there is no file store at {url}")
        return cls.at(url)

    async def put(self, data: bytes) -> str:
        """Stores `data` and answers its SHA-256 (64 hex digits); a blob that is there already stays as it is."""
        return await asyncio.to_thread(self._put, data)

    async def get(self, name: str) -> bytes | None:
        """The bytes whose SHA-256 is `name`; None if they are not stored. Raises BlobCorrupted."""
        return await asyncio.to_thread(self._get, name)

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes whose SHA-256 is `name`, piece by piece, for whoever may block.

        Raises FileNotFoundError, and BlobCorrupted after the last piece: what was taken before is not to be used then.
        """
        digest = sha256()
        for piece in obstore.get(self._store, _path(name)):
            digest.update(piece)
            yield bytes(piece)
        if digest.hexdigest() != name:
            raise BlobCorrupted(name)

    def check(self, name: str) -> None:
        """Reads all of a blob, for whoever may block; raises BlobCorrupted, BlobsUnreadable."""
        try:
            for _ in self.chunks(name):
                pass
        except (BaseError, OSError) as err:
            raise BlobsUnreadable(f"it cannot be read: {_first_line(err)}") from err

    def stored(self, digits: str) -> Iterator[Stored]:
        """The blobs whose names begin with two hex digits, in no particular order, for whoever may block; raises BlobsUnreadable.

        Something else that lies there is passed over.
        """
        try:
            for some in obstore.list(self._store, f"sha256/{digits}"):
                for found in some:
                    name = found["path"].removeprefix("sha256/").replace("/", "", 1)
                    if is_sha256(name):
                        yield Stored(name, found["size"], found["last_modified"])
        except (BaseError, OSError) as err:
            raise BlobsUnreadable(f"the file store cannot be read: {_first_line(err)}") from err

    async def size(self, name: str) -> int | None:
        """How many bytes are stored under `name`, without reading them; None if there are none."""
        try:
            return (await asyncio.to_thread(obstore.head, self._store, _path(name)))["size"]
        except FileNotFoundError:
            return None

    async def exists(self, name: str) -> bool:
        """Whether something is stored under `name`."""
        return await self.size(name) is not None

    def _put(self, data: bytes) -> str:
        name = sha256(data).hexdigest()
        path = _path(name)
        try:
            obstore.put(self._store, path, data, mode="create")
        except AlreadyExistsError:
            if not self._holds(name):
                # A power cut before the flush below can leave a file without its bytes. What belongs here is known.
                obstore.put(self._store, path, data, mode="overwrite")
        if self._folder is not None:
            _flush(self._folder, path)
        return name

    def _get(self, name: str) -> bytes | None:
        try:
            data = bytes(obstore.get(self._store, _path(name)).bytes())
        except FileNotFoundError:
            return None
        if sha256(data).hexdigest() != name:
            raise BlobCorrupted(name)
        return data

    def _holds(self, name: str) -> bool:
        try:
            return self._get(name) is not None
        except BlobCorrupted:
            return False


def _folder_of(url: str) -> Path:
    return Path(url2pathname(urlsplit(url).path))


def _first_line(err: Exception) -> str:
    """Without the lines for programmers that obstore adds."""
    return str(err).partition("\n")[0]


def _path(name: str) -> str:
    if not is_sha256(name):
        raise ValueError("a blob is named by 64 hex digits")
    return f"sha256/{name[:2]}/{name[2:]}"


def _flush(folder: Path, path: str) -> None:
    """Forces a file to the disk, and the names of it and of its folders (fsync(2): a new name is not in its file)."""
    place = folder / path
    _fsync(place)
    for above in place.parents:
        _fsync(above)
        if above == folder.parent:
            return


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
