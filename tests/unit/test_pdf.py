"""The look into an uploaded PDF: what is refused, with which reason, and what can happen to the child."""

import asyncio
import os
import signal
import textwrap
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from domain.placement import PageSize
from infrastructure import forked_process, pdf
from infrastructure.forked_process import MAX_PROCESSES
from infrastructure.pdf import SENTENCES, PdfFacts, PdfLimits, UnusablePdf, inspect_pdf
from infrastructure.pdf_child import limits

#: What the child says of a good file; its normalised form follows.
ONE_PAGE = '{"sizes": [[595000, 842000]]}'
GOOD = f"print('{ONE_PAGE}'); print('%PDF-')"


def document(pages: int = 1, width: float = 595, **page: Any) -> bytes:
    made = pikepdf.new()
    for _ in range(pages):
        added = made.add_blank_page(page_size=(width, 842))
        for name, value in page.items():
            added.obj[f"/{name}"] = value
    out = BytesIO()
    made.save(out)
    return out.getvalue()


def inspect(data: bytes, limits: PdfLimits | None = None) -> PdfFacts:
    return asyncio.run(inspect_pdf(data, limits or PdfLimits()))


def refusal(data: bytes, limits: PdfLimits | None = None) -> UnusablePdf:
    with pytest.raises(UnusablePdf) as caught:
        inspect(data, limits)
    return caught.value


def with_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str) -> None:
    """Another program in the child's place: what the parent sees when a parser breaks down."""
    path = tmp_path / f"child{len(list(tmp_path.iterdir()))}.py"  # one path, one program that is loaded
    work = textwrap.indent(program, "    ")
    path.write_text(
        f"import os, sys; sys.path.append({str(Path(__file__).parents[2])!r})\nfrom infrastructure.fork_server import serve\n"
        f"def work():\n{work}\n    sys.stdout.flush(); sys.stdin.buffer.read(); os._exit(0)\nserve(work)\n"
    )
    monkeypatch.setattr(pdf, "_CHILD", path)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_gone(noted: Path) -> None:
    """Until the process whose number is noted has ended; it is killed without anybody waiting for that."""
    deadline = time.monotonic() + 10
    while not gone(int(noted.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for(path: Path) -> None:
    while not path.exists() or not path.read_text():
        time.sleep(0.01)


def test_a_usable_pdf_tells_its_pages() -> None:
    found = inspect(document(pages=3))
    assert found.pages == 3
    assert found.sizes == (PageSize(595_000, 842_000),) * 3


def test_a_header_may_stand_a_little_later() -> None:
    assert inspect(b"\n" * 20 + document()).pages == 1


def test_what_is_too_large_is_refused_with_both_sizes() -> None:
    data = document()
    refused = refusal(data, PdfLimits(bytes=len(data) - 1))
    assert refused.code == "too-large"
    assert f"{len(data)} bytes" in refused.sentence
    assert f"{len(data) - 1} are accepted" in refused.sentence
    assert inspect(data, PdfLimits(bytes=len(data))).pages == 1


def test_as_many_pages_as_allowed_and_not_one_more() -> None:
    assert inspect(document(pages=4), PdfLimits(pages=4)).pages == 4
    refused = refusal(document(pages=5), PdfLimits(pages=4))
    assert refused.code == "too-many-pages"
    assert "5 pages and at most 4" in refused.sentence


def encrypted(user: str) -> bytes:
    out = BytesIO()
    with pikepdf.open(BytesIO(document())) as opened:
        opened.save(out, encryption=pikepdf.Encryption(user=user, owner="owner"))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 a zip named contract.pdf", "not-a-pdf"),
        (b" " * 1024 + b"%PDF-1.7", "not-a-pdf"),
        (b"%PDF-1.7", "damaged"),
        (b"%PDF-1.7" + bytes(range(256)) * 4, "damaged"),
        (document()[:-200], "damaged"),
        (document(pages=0), "no-pages"),
        (encrypted(user=""), "encrypted"),
        (encrypted(user="secret"), "encrypted"),
        (document(width=35), "bad-page"),
        (document(MediaBox=pikepdf.Array([0, 0, 595, 14_401])), "bad-page"),
        (document(Rotate=45), "bad-page"),
        (document(UserUnit=2), "bad-page"),
        (document(CropBox=pikepdf.Array([900, 900, 1200, 1200])), "bad-page"),
        (document(CropBox=pikepdf.Array([0, 0, pikepdf.Name("/Wide"), 800])), "bad-page"),
    ],
    ids=[
        "empty", "zip", "late-header", "header-only", "noise", "cut-off", "no-pages", "encrypted", "password", "narrow", "tall",
        "crooked", "scaled", "nothing-shown", "no-number",
    ],
)  # fmt: skip
def test_each_fault_has_its_reason(data: bytes, code: str) -> None:
    assert refusal(data).code == code


def test_turned_pages_and_boxes_by_any_two_corners_are_fine() -> None:
    assert inspect(document(Rotate=-90)).pages == 1
    assert inspect(document(MediaBox=pikepdf.Array([595, 842, 0, 0]))).pages == 1


def test_a_page_that_unpacks_to_more_than_the_limit_is_refused() -> None:
    made = pikepdf.new()
    page = made.add_blank_page()
    page.obj["/Contents"] = pikepdf.Stream(made, bytes(limits.FLATE_BYTES + 1_000_000))
    out = BytesIO()
    made.save(out, compress_streams=True)
    assert len(out.getvalue()) < 1_000_000
    refused = refusal(out.getvalue())
    assert refused.code == "bad-content"
    assert "page 1" in refused.sentence


def test_every_reason_has_a_sentence_that_ends_like_one() -> None:
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import os; os.abort()", "unreadable"),
        ("raise SystemExit(1)", "unreadable"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "unreadable"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "took-too-long"),
        ("print('no JSON')", "unreadable"),
        ("print('[]')", "unreadable"),
        ("print('{}')", "unreadable"),
        (f"print('{ONE_PAGE}'); print('%PDF-')", None),
        (f"print('{ONE_PAGE}'); print('MZ')", "unreadable"),
        (f"print('{ONE_PAGE}'); print('%PDF-' + 'x' * 10000000)", "unreadable"),
        ("print('{\"sizes\": []}'); print('%PDF-')", "unreadable"),
        ("print('{\"sizes\": [[595000]]}'); print('%PDF-')", "unreadable"),
        ("print('{\"sizes\": [[595000, true]]}'); print('%PDF-')", "unreadable"),
        ("print('{\"sizes\": [[595000, 14400001]]}'); print('%PDF-')", "unreadable"),
        ('print(\'{"sizes": [[595000, 842000]], "code": "damaged"}\')', "damaged"),
        ('print(\'{"code": "unheard-of"}\')', "unreadable"),
        ('print(\'{"code": "too-many-pages"}\')', "unreadable"),
        ("while True: print('x' * 100000)", "unreadable"),
    ],
)
def test_whatever_the_child_does_is_a_reason(
    program: str, code: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_child(monkeypatch, tmp_path, program)
    data = b"%PDF-" + bytes(1_000_000)
    if code is None:
        assert inspect(data).normalised == b"%PDF-\n"
    else:
        assert refusal(data).code == code


def test_a_child_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    with_child(monkeypatch, tmp_path, f"import os, time; open({str(noted)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    monkeypatch.setattr(forked_process, "TIMEOUT_SECONDS", 1.0)
    assert refusal(b"%PDF-").code == "took-too-long"
    wait_until_gone(noted)


def test_a_cancelled_upload_ends_its_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    with_child(monkeypatch, tmp_path, f"import os, time; open({str(noted)!r}, 'w').write(str(os.getpid())); time.sleep(600)")

    async def cancel() -> None:
        looking = asyncio.create_task(inspect_pdf(b"%PDF-", PdfLimits()))
        await asyncio.to_thread(wait_for, noted)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

    asyncio.run(cancel())
    wait_until_gone(noted)


def test_the_child_gets_none_of_our_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("COUNTERSIGN_MASTER_KEY", "secret")
    noted = tmp_path / "environment"
    with_child(monkeypatch, tmp_path, f"import os; open({str(noted)!r}, 'w').write(' '.join(os.environ)); {GOOD}")
    assert inspect(b"%PDF-").pages == 1
    names = noted.read_text().split()
    assert "PATH" in names
    assert not [name for name in names if name == "DATABASE_URL" or name.startswith("COUNTERSIGN_")]


def test_the_limits_hold_in_the_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two gigabytes are not to be had, no file can be written, and processor time ends."""
    begin = "from infrastructure.pdf_child import limits; limits.CPU_SECONDS = 1; limits.limit()\n"
    with_child(
        monkeypatch, tmp_path, begin + 'try:\n    bytearray(2 << 30)\nexcept MemoryError:\n    print(\'{"code": "too-complex"}\')'
    )
    assert refusal(b"%PDF-").code == "too-complex"
    target = str(tmp_path / "written")
    with_child(
        monkeypatch,
        tmp_path,
        begin + f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open({target!r}, 'w').write('x')",
    )
    assert refusal(b"%PDF-").code == "unreadable"
    assert not Path(target).exists() or not Path(target).read_bytes()
    began = time.monotonic()
    with_child(monkeypatch, tmp_path, begin + "while True: pass")
    assert refusal(b"%PDF-").code == "took-too-long"
    assert time.monotonic() - began < 20


def test_only_so_many_children_run_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    note = f"open({str(log)!r}, 'a').write"
    with_child(monkeypatch, tmp_path, f"import time; {note}('+'); time.sleep(0.2); {note}('-'); {GOOD}")

    async def many() -> None:
        await asyncio.gather(*(inspect_pdf(b"%PDF-", PdfLimits()) for _ in range(6)))

    asyncio.run(many())
    running = most = 0
    for mark in log.read_text():
        running += 1 if mark == "+" else -1
        most = max(most, running)
    assert len(log.read_text()) == 12
    assert 1 <= most <= MAX_PROCESSES


def test_signals_that_mean_out_of_time_are_those_of_setrlimit() -> None:
    assert set(forked_process._OUT_OF_TIME) == {signal.SIGXCPU, signal.SIGKILL}
