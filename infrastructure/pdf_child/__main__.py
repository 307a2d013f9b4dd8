"""Looks into an uploaded PDF, alone in a process with limits. Run as a file, and forked for each PDF (`fork_server.py`).

A line of JSON on standard input says what is to be done, with the most pages allowed, and the PDF follows. One line of JSON goes to
standard output, lengths in thousandths of a point from the top left of the displayed page:
`{"task": "inspect", "most_pages": 500, "most_bytes": 1048576}` gets `{"sizes": [[width, height]]}`, and the normalised form, of so many
bytes at most, after that line;
`{"task": "find", "most_pages": 500, "wanted": ["sign"]}` gets `{"sizes": [[width, height]], "places": [[text, page, x, y, width,
height]]}`, texts by index and pages from 1.
Either may get `{"code": "encrypted"}` with, for some codes, the data of the reason. Whatever else happens here (a crash in
the parser, a limit) the parent sees as the end of the process.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

# The parent gives no folder of ours away; this file knows where it lies.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from infrastructure.fork_server import serve
from infrastructure.pdf_child.intake import FAULTS_OF_THE_FILE, find, inspect
from infrastructure.pdf_child.limits import Unusable, limit


def main() -> None:
    """Reads what there is to do and the bytes, writes the answer."""
    limit()
    order = json.loads(sys.stdin.buffer.readline())
    try:
        answer, normalised = _look(order, sys.stdin.buffer.read())
    except Unusable as err:
        answer, normalised = dict(err.answer), b""
    except MemoryError:
        answer, normalised = {"code": "too-complex"}, b""
    except FAULTS_OF_THE_FILE:
        answer, normalised = {"code": "damaged"}, b""
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + normalised)
    sys.stdout.flush()
    # Nothing here needs tidying up, and taking a large document apart costs time.
    os._exit(0)


def _look(order: dict[str, Any], data: bytes) -> tuple[dict[str, object], bytes]:
    if order["task"] == "find":
        sheets, places = find(data, order["most_pages"], order["wanted"])
        return {"sizes": [sheet.size for sheet in sheets], "places": places}, b""
    sheets, normalised = inspect(data, order["most_pages"])
    if len(normalised) > order["most_bytes"]:
        raise Unusable("too-complex")
    return {"sizes": [sheet.size for sheet in sheets]}, normalised


if __name__ == "__main__":
    serve(main)
