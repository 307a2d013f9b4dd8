"""Judges a sealed PDF, alone in a process with limits. Run as a file, and forked for each PDF (`fork_server.py`).

A line of JSON on standard input says by what (`anchors` and `time_anchors` as PEM, `at` as an ISO 8601 time), the PDF follows.
One line of JSON, `Findings.as_json`, goes to standard output. Whatever else happens, the parent sees as the end of the process.
"""

import asyncio
import json
import logging
import os
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

# The parent gives no folder of ours away; this file knows where it lies.
sys.path.append(str(Path(__file__).resolve().parents[2]))

import pikepdf
from cryptography import x509

from infrastructure.fork_server import serve
from infrastructure.pdf_child import limit
from infrastructure.pdf_seal.credentials import for_trial
from infrastructure.pdf_seal.examination import examine
from infrastructure.pdf_seal.sealing import seal


def main() -> None:
    """Reads what there is to judge, writes the findings."""
    limit()
    asked = json.loads(sys.stdin.buffer.readline())
    anchors, time_anchors = (_certificates(asked[key]) for key in ("anchors", "time_anchors"))
    findings = examine(sys.stdin.buffer.read(), anchors, time_anchors, datetime.fromisoformat(asked["at"]))
    sys.stdout.write(json.dumps(findings.as_json()))
    sys.stdout.flush()
    # Nothing here needs tidying up, and taking a large document apart costs time.
    os._exit(0)


def _certificates(pem: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode()) if pem else []


def _warm_up() -> None:
    """Judges a seal of its own, so that not every fork has to load and reckon what all of them need."""
    now, blank = datetime.now(UTC), BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.save(blank)
    made = for_trial(now)
    sealed = asyncio.run(seal(blank.getvalue(), made.signer, now))
    examine(sealed.content, (made.root,), (), now)


if __name__ == "__main__":
    logging.disable()  # nobody reads it, and a traceback takes longer than the check that it tells of
    _warm_up()
    serve(main)
