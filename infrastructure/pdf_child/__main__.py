"""Looks into an uploaded PDF, alone in a process with limits. Run as a file.

The arguments are what is to be done, the most pages allowed, and the most bytes of a normalised form. One line of JSON goes to
standard output:
`inspect`, with the PDF on standard input, answers `{"sizes": [[width, height]]}`, and the normalised form after that line; `find`, with
a line of JSON before the PDF, the texts to look for, answers `{"sizes": [[width, height]], "places": [[text, page, x, y, width,
height]]}` in thousandths of a point from the top left of the displayed page, texts by index and pages from 1.
Either may answer `{"code": "encrypted"}` with, for some codes, the data of the reason. Whatever else happens here (a crash in
the parser, a limit) the parent sees as the end of the process.
"""

import json
import os
import sys
from pathlib import Path

# The parent gives no folder of ours away; this file knows where it lies.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from infrastructure.pdf_child.intake import FAULTS_OF_THE_FILE, find, inspect
from infrastructure.pdf_child.limits import Unusable, limit


def main() -> None:
    """Reads what there is to do and the bytes, writes the answer."""
    limit()
    task, max_pages, max_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    try:
        answer, normalised = _look(task, max_pages, max_bytes)
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


def _look(task: str, max_pages: int, max_bytes: int) -> tuple[dict[str, object], bytes]:
    if task == "find":
        wanted = json.loads(sys.stdin.buffer.readline())
        sheets, places = find(sys.stdin.buffer.read(), max_pages, wanted)
        return {"sizes": [sheet.size for sheet in sheets], "places": places}, b""
    sheets, normalised = inspect(sys.stdin.buffer.read(), max_pages)
    if len(normalised) > max_bytes:
        raise Unusable("too-complex")
    return {"sizes": [sheet.size for sheet in sheets]}, normalised


if __name__ == "__main__":
    main()
