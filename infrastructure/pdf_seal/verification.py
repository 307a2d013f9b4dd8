"""Verifying a sealed PDF, whoever it comes from: by a process with limits."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from infrastructure.forked_process import NoAnswer, ask_fork
from infrastructure.pdf_seal.findings import Check, Finding, Findings, Outcome, from_json

#: A document of the largest accepted size, sealed and with some time stamps.
MAX_BYTES: Final = 32 * 1024 * 1024

#: Findings are some hundred bytes each, and times for 64 signatures at most.
_MAX_ANSWER_BYTES: Final = 65_536

_CHILD: Final = Path(__file__).with_name("child.py")


async def verify_seal(pdf: bytes, anchors: Sequence[Certificate], time_anchors: Sequence[Certificate], at: datetime) -> Findings:
    """What is to be said about a sealed PDF; never raises for any bytes.

    `anchors` are the roots of the seal (and certificates on the way to them), `time_anchors` those of the time-stamping
    authorities, () if none is trusted. A certificate is judged by the seal's trusted time, or by `at` (aware) without one.
    """
    if len(pdf) > MAX_BYTES:
        return _without_answer(
            Outcome.FAILED, f"the file has {len(pdf)} bytes, more than the {MAX_BYTES} that a sealed one may have"
        )
    asked = {"anchors": _pem(anchors), "time_anchors": _pem(time_anchors), "at": at.isoformat()}
    try:
        answer = await ask_fork(_CHILD, (json.dumps(asked).encode() + b"\n", pdf), _MAX_ANSWER_BYTES)
        return from_json(json.loads(answer))
    except NoAnswer as err:
        # It may have been starved by others: of the file that says nothing.
        return _without_answer(Outcome.INDETERMINATE, f"the program that reads the file gave no answer: {err}")
    except (ValueError, TypeError, LookupError, RecursionError):
        return _without_answer(Outcome.FAILED, "the program that reads the file gave no answer of ours")  # it was taken over


def _without_answer(outcome: Outcome, detail: str) -> Findings:
    return Findings((Finding(Check.FORM, outcome, detail),))


def _pem(certificates: Sequence[Certificate]) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)
