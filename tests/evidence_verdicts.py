"""What each of the two verifiers says of a bundle, check by check."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509

from domain.faults import Verdict
from domain.findings import Check
from domain.receipt import ReceiptText
from infrastructure.evidence import Judgement, Trust, verify
from scripts.verify_evidence import Verification
from tests.evidence_attack import Found, Reader

Verdicts = Mapping[Check, Verdict]

#: A check that is not valid after which none is reached.
_LAST = (Check.PARSE, Check.POLICY, Check.CHECKPOINT)


def judge(raw: bytes, reader: Reader, receipts: Sequence[ReceiptText] = ()) -> Judgement:
    """By `countersign verify`."""
    anchors = None if reader.tsa is None else tuple(x509.load_pem_x509_certificates(reader.tsa))
    return verify(io.BytesIO(raw), Trust(reader.policy, anchors, tuple(receipts)))


def verdicts(raw: bytes, reader: Reader) -> Verdicts:
    return {Check(finding.check): finding.verdict for finding in judge(raw, reader).findings}


def second_verdicts(raw: bytes, reader: Reader) -> Verdicts:
    """By `scripts/verify_evidence.py`, which takes files."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        bundle, policy, tsa = folder / "bundle.zip", folder / "policy.txt", folder / "tsa.pem"
        bundle.write_bytes(raw)
        policy.write_bytes(reader.policy)
        tsa.write_bytes(reader.tsa or b"")
        verification = Verification(bundle, policy, tsa if reader.tsa else None)
        verification.run()
    return {Check(finding["check"]): Verdict(finding["verdict"]) for finding in verification.findings}


def expected(found: Found, reader: Reader) -> Verdicts:
    """All verdicts, of those that are not valid: what is not reached, and time where no authority is known, is indeterminate."""
    checks = list[Check](check for check in Check if check is not Check.RECEIPTS)
    last = next((check for check in _LAST if found.get(check, Verdict.VALID) is not Verdict.VALID), checks[-1])
    reached = checks[: checks.index(last) + 1]
    said = {Check.TIME: Verdict.INDETERMINATE, **found} if reader.tsa is None else found
    return {check: said.get(check, Verdict.VALID) if check in reached else Verdict.INDETERMINATE for check in checks}
