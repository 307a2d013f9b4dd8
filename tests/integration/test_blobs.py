"""The blob store, in a real folder."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from infrastructure import blobs
from infrastructure.blobs import BlobCorrupted, BlobStore, BlobsUnreadable

DATA = b"%PDF-1.7 contract"
NAME = sha256(DATA).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept here" / "blobs"


def store(folder: Path) -> BlobStore:
    return BlobStore.at(folder.as_uri())


def place(folder: Path, name: str = NAME) -> Path:
    return folder / "sha256" / name[:2] / name[2:]


@pytest.mark.parametrize("make", [store, lambda _: BlobStore(MemoryStore())], ids=["folder", "memory"])
def test_what_is_put_is_got_under_its_hash(folder: Path, make: Callable[[Path], BlobStore]) -> None:
    async def work() -> None:
        kept = make(folder)
        assert await kept.get(NAME) is None
        assert await kept.size(NAME) is None
        assert not await kept.exists(NAME)
        assert await kept.put(DATA) == NAME
        assert await kept.get(NAME) == DATA
        assert await kept.size(NAME) == len(DATA)
        assert await kept.exists(NAME)

    asyncio.run(work())


def test_a_blob_is_found_again_by_another_process(folder: Path) -> None:
    program = f"import asyncio; from infrastructure.blobs import BlobStore; print(asyncio.run(BlobStore.at({folder.as_uri()!r}).put({DATA!r})))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(blobs.__file__).parents[1]
    )
    assert done.stdout.strip() == NAME
    assert asyncio.run(store(folder).get(NAME)) == DATA


def test_a_blob_is_written_once(folder: Path) -> None:
    asyncio.run(store(folder).put(DATA))
    before = place(folder).stat()
    asyncio.run(store(folder).put(DATA))
    after = place(folder).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_simultaneous_uploads_of_the_same_bytes_agree(folder: Path) -> None:
    async def work() -> None:
        large = DATA * 100_000
        kept = [store(folder) for _ in range(4)]
        names = await asyncio.gather(*(kept[count % 4].put(large) for count in range(16)))
        assert set(names) == {sha256(large).hexdigest()}
        assert await kept[0].get(names[0]) == large

    asyncio.run(work())
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize(
    "damage", [b"", b"%PDF-1.7 Contract", DATA + b" ", DATA[:-1]], ids=["empty", "changed", "longer", "shorter"]
)
def test_a_damaged_blob_is_not_handed_out_and_is_mended_by_the_next_upload(folder: Path, damage: bytes) -> None:
    asyncio.run(store(folder).put(DATA))
    place(folder).write_bytes(damage)
    with pytest.raises(BlobCorrupted) as caught:
        asyncio.run(store(folder).get(NAME))
    assert caught.value.sha256 == NAME
    assert asyncio.run(store(folder).put(DATA)) == NAME
    assert asyncio.run(store(folder).get(NAME)) == DATA


@pytest.mark.parametrize("name", ["", "abc", "../../../etc/passwd", NAME.upper(), NAME + "0", f"{NAME}\n"])
def test_only_a_hash_names_a_blob(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        asyncio.run(store(folder).get(name))


def test_the_folder_is_nobody_elses_to_read(folder: Path) -> None:
    asyncio.run(store(folder).put(DATA))
    assert folder.stat().st_mode & 0o077 == 0


def test_bytes_and_names_reach_the_disk_before_put_returns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after the answer must find the file: its bytes, its name, and the names of new folders (fsync(2))."""
    flushed: list[str] = []
    real = os.fsync

    def note(handle: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to tell which file was flushed")
    monkeypatch.setattr(os, "fsync", note)
    asyncio.run(store(folder).put(DATA))
    path = place(folder)
    assert flushed == [str(item) for item in (path, *list(path.parents)[:4])]
    assert str(folder.parent) == flushed[-1]
    flushed.clear()
    asyncio.run(store(folder).put(DATA))
    assert str(path) in flushed, "another process may have put it there and not flushed it yet"


def test_what_is_stored_is_listed_by_its_first_digits_and_strangers_are_passed_over(folder: Path) -> None:
    kept = store(folder)
    names = {asyncio.run(kept.put(f"paper {number}".encode())) for number in range(50)}
    place(folder).parent.mkdir(exist_ok=True)
    (place(folder).parent / "notes.txt").write_bytes(b"not a blob")
    assert {blob.sha256 for number in range(256) for blob in kept.stored(f"{number:02x}")} == names
    first = min(names)
    (listed,) = [blob for blob in kept.stored(first[:2]) if blob.sha256 == first]
    assert (listed.size_bytes, listed.at.tzinfo is None) == (place(folder, first).stat().st_size, False)


def test_a_blob_that_is_listed_and_cannot_be_read_says_so(folder: Path) -> None:
    kept = store(folder)
    asyncio.run(kept.put(DATA))
    kept.check(NAME)
    place(folder).unlink()
    with pytest.raises(BlobsUnreadable, match="it cannot be read: Object at location"):
        kept.check(NAME)


def test_whoever_only_looks_makes_no_store(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file store at"):
        BlobStore.existing(folder.as_uri())
    assert not folder.exists()
