"""Drawing through the limited process: what it draws, what it refuses, and that a fork harms nothing but its own task."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import pytest

from domain.field import FieldType
from domain.placement import Box
from infrastructure import fork_server, forked_process
from infrastructure.forked_process import MAX_PROCESSES, Breakdown, NoAnswer, ask_fork
from infrastructure.pdf_drawing import drawing
from infrastructure.pdf_drawing.blocks import (
    Block,
    DrawingRefused,
    Fault,
    PreviewBox,
    SignatureEntry,
    SignaturePage,
    Signed,
    Written,
)
from infrastructure.pdf_drawing.case import Paper
from infrastructure.pdf_drawing.drawing import check_image, draw_certificate, execute_document, preview
from infrastructure.pdf_drawing.executing import execute
from infrastructure.pdf_drawing.image_refusal import MAX_BYTES, ImageFault, ImageRefused
from tests.unit.test_pdf_certificate import case
from tests.unit.test_pdf_drawing import BLOCKS, FOOT, block, document
from tests.unit.test_pdf_drawing import drawing as image

T = TypeVar("T")

PAGE: Final = SignaturePage((SignatureEntry("Ana", image(), "Signed today", "Buyer", FOOT.process),))

ROOT: Final = str(Path(fork_server.__file__).parent.parent)


def run(awaited: Awaitable[T]) -> T:
    async def wait() -> T:
        return await awaited

    return asyncio.run(wait())


def test_every_order_reaches_the_process_as_it_was_meant() -> None:
    data = document()
    assert run(execute_document(data, BLOCKS, FOOT, PAGE)) == execute(data, BLOCKS, FOOT, PAGE)
    one, other = (run(draw_certificate(replace(case(), test=test), Paper.LETTER)) for test in (False, True))
    assert one.startswith(b"%PDF-")
    assert one != other
    assert run(preview(document(), 1, [PreviewBox("1", FieldType.DATE, Box(0, 0, 9, 9))])).startswith(b"\x89PNG")
    run(check_image(image()))


def refusal(data: bytes, *blocks: Block) -> DrawingRefused:
    with pytest.raises(DrawingRefused) as caught:
        run(execute_document(data, blocks, FOOT, None))
    return caught.value


def test_a_refusal_is_told_with_its_reason_and_its_block() -> None:
    no_page = refusal(document(), block(Signed("A")), block(Signed("B"), page=7))
    assert (no_page.code, no_page.block, no_page.sentence) == (
        Fault.NO_SUCH_PAGE,
        1,
        "There is no page 7: the document has 1.",
    )
    assert refusal(document(), block(Written("much " * 999))).code is Fault.NO_ROOM
    assert refusal(document(), block(Signed("A", b"\x89PNG no more"))).code is Fault.BAD_IMAGE
    assert refusal(b"%PDF-1.7 and no more").code is Fault.UNREADABLE


def test_what_draws_has_limits() -> None:
    """Three gigabytes are not to be had."""
    answer = run(ask_fork(drawing._CHILD, [b'{"order": 1, "parts": [3000000000]}\n'], 1000))
    assert json.loads(answer)["code"] == Fault.TOO_COMPLEX


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ImageFault.NOT_AN_IMAGE),
        (b"GIF89a" + bytes(20), ImageFault.NOT_AN_IMAGE),
        (bytes(MAX_BYTES + 1), ImageFault.TOO_LARGE),
        (image(size=(2001, 2000)), ImageFault.TOO_LARGE),
    ],
    ids=["nothing", "gif", "bytes", "points"],
)
def test_an_image_that_cannot_stand_as_a_signature_is_refused(data: bytes, code: ImageFault) -> None:
    with pytest.raises(ImageRefused) as caught:
        run(check_image(data))
    assert caught.value.code is code
    assert caught.value.sentence


def program(folder: Path, work: str) -> Path:
    """A program whose forks do what `work` says."""
    path = folder / "program.py"
    body = "".join(f"    {line}\n" for line in work.splitlines())
    path.write_text(
        f"import os, sys, time\nsys.path.append({ROOT!r})\nfrom infrastructure.fork_server import serve\ndef work():\n{body}    os._exit(0)\nserve(work)\n"
    )
    return path


def broken(path: Path, data: bytes = b"") -> Breakdown:
    with pytest.raises(NoAnswer) as caught:
        run(ask_fork(path, [data], 100))
    return caught.value.breakdown


SAY: Final = "os.write(1, {}.encode())\n"


@pytest.mark.parametrize(
    "answer",
    [
        "no word",
        "{}",
        "[]",
        '{"code": "made-up", "block": null, "data": {}}',
        '{"code": "no-such-page", "block": null, "data": {}}',
        '{"code": "no-such-page", "block": null, "data": {"page": "Call this number", "pages": 1}}',
        '{"code": "unreadable-pdf", "block": "x", "data": {}}',
        '{"code": "unreadable-pdf", "block": null, "data": []}',
        "\x89PNG",
    ],
)
def test_what_a_process_that_was_taken_over_says_is_shown_to_nobody(
    answer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(drawing, "_CHILD", program(tmp_path, SAY.format(repr(answer))))
    assert refusal(b"%PDF-").code is Fault.BROKE_DOWN


def test_however_a_fork_ends_the_next_one_is_fresh(tmp_path: Path) -> None:
    path = program(
        tmp_path,
        "import signal\n"
        "said = sys.stdin.buffer.read().decode()\n"
        "seen = sys.modules.get('seen', 'nothing')\n"
        "sys.modules['seen'] = said\n"
        "if said == 'crash': os.abort()\n"
        "if said == 'fail': raise ValueError\n"
        "if said == 'out of time': os.kill(os.getpid(), signal.SIGXCPU)\n"
        "if said == 'much': os.write(1, bytes(101))\n"
        "os.write(1, f'{said} after {seen}'.encode())",
    )
    for said, breakdown in (
        ("crash", Breakdown.BROKE_DOWN),
        ("fail", Breakdown.BROKE_DOWN),
        ("out of time", Breakdown.TOOK_TOO_LONG),
        ("much", Breakdown.TOO_MUCH),
    ):
        assert broken(path, said.encode()) is breakdown
    assert run(ask_fork(path, [b"wo", b"rk"], 100)) == b"work after nothing"


def test_a_fork_has_its_own_task_open_and_nothing_else(tmp_path: Path) -> None:
    path = program(
        tmp_path,
        "def is_open(number):\n"
        "    try: os.fstat(number)\n"
        "    except OSError: return False\n"
        "    return True\n"
        "time.sleep(0.2)\n"
        "os.write(1, repr([number for number in range(256) if is_open(number)]).encode())",
    )

    async def both() -> list[bytes]:
        return list(await asyncio.gather(*(ask_fork(path, [], 100) for _ in range(2))))

    assert run(both()) == [b"[0, 1, 2]"] * 2


def test_a_fork_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forked_process, "TIMEOUT_SECONDS", 1.0)
    noted = tmp_path / "pid"
    path = program(tmp_path, f"open({str(noted)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")
    assert broken(path) is Breakdown.TOOK_TOO_LONG
    assert gone(int(noted.read_text()))


def wait_for(noted: Path) -> None:
    while not noted.exists() or not noted.read_text():
        time.sleep(0.02)


def test_a_cancelled_task_ends_its_fork(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    path = program(tmp_path, f"open({str(noted)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")

    async def cancel() -> None:
        asking = asyncio.create_task(ask_fork(path, [bytes(10_000_000)], 100))
        await asyncio.to_thread(wait_for, noted)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    run(cancel())
    assert gone(int(noted.read_text()))


def test_a_program_that_ended_is_started_again_and_takes_its_forks_with_it(tmp_path: Path) -> None:
    path = program(tmp_path, "os.write(1, b'%d %d' % (os.getpid(), os.getppid()))")
    fork, parent = map(int, run(ask_fork(path, [], 100)).split())
    assert gone(fork)
    os.kill(parent, 9)
    program_of(path).wait()
    assert int(run(ask_fork(path, [], 100)).split()[1]) != parent
    (tmp_path / "program.py").write_text("raise SystemExit(1)")
    program_of(path).kill()
    program_of(path).wait()
    assert broken(path) is Breakdown.BROKE_DOWN


def program_of(path: Path) -> "subprocess.Popen[bytes]":
    running = forked_process._programs[path]._running
    assert running
    return running[0]


def gone(pid: int) -> bool:
    """Whether a process has ended, or does within five seconds: its parent is told, not asked, to end it."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_only_so_many_forks_run_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    path = program(tmp_path, f"note = open({str(log)!r}, 'a', 1).write\nnote('+\\n')\ntime.sleep(0.1)\nnote('-\\n')")

    async def many() -> None:
        await asyncio.gather(*(ask_fork(path, [], 100) for _ in range(6)))

    run(many())
    marks = log.read_text().split()
    assert len(marks) == 12
    assert max(marks[:end].count("+") - marks[:end].count("-") for end in range(13)) <= MAX_PROCESSES


def test_a_program_gets_none_of_our_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COUNTERSIGN_MASTER_KEY", "secret")
    path = program(tmp_path, "os.write(1, repr(sorted(name for name in os.environ if 'COUNTERSIGN' in name)).encode())")
    assert run(ask_fork(path, [], 100)) == b"[]"


def test_a_task_given_up_just_as_its_fork_ends_takes_no_other_with_it(tmp_path: Path) -> None:
    """The program learns of both at once, for it is busy: forking takes it 0.4 seconds here."""
    path = program(tmp_path, "said = sys.stdin.buffer.read()\ntime.sleep(float(said))\nos.write(1, said)")
    slow = "fork = os.fork\ndef slow():\n    pid = fork()\n    if pid: time.sleep(0.4)\n    return pid\nos.fork = slow\n"
    path.write_text(path.read_text().replace("def work", f"{slow}def work"))

    async def both() -> bytes:
        await ask_fork(path, [b"0"], 100)
        short = asyncio.create_task(ask_fork(path, [b"0.5"], 100))
        await asyncio.sleep(0)
        other = asyncio.create_task(ask_fork(path, [b"0.6"], 100))
        await asyncio.sleep(0.7)
        short.cancel()
        return await other

    assert run(both()) == b"0.6"


def test_a_service_that_is_asked_to_end_finishes_its_tasks(tmp_path: Path) -> None:
    """Asked is each of its processes, as systemd does."""
    path = program(
        tmp_path, "import signal\nfor pid in (os.getpid(), os.getppid()): os.kill(pid, signal.SIGTERM)\nos.write(1, b'done')"
    )
    assert run(ask_fork(path, [], 100)) == b"done"
    assert program_of(path).poll() is None
