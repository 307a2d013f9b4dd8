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
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, ObjectStore, from_url

from domain.ids import is_sha256

#: The local folder is nobody else's to read: what is signed is in it.
_FOLDER_MODE: Final = 0o700


class BlobCorrupted(Exception):
    """What is stored under a hash does not have that hash; `sha256` names it (64 hex digits)."""

    def __init__(self, expected: str) -> None:
        super().__init__(f"the blob {expected} was altered or damaged in the store; restore it from a backup")
        self.sha256 = expected


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
        folder = Path(url2pathname(urlsplit(url).path))
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        return cls(LocalStore(folder))

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
