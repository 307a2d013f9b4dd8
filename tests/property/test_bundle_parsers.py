"""Any bytes are a bundle that is written back as it was, or refused with an error of our own."""

import io
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import CanonicalError
from domain.faults import Verdict
from infrastructure.bundle_archive import BundleError
from infrastructure.bundle_format import read
from infrastructure.evidence import Judgement, Trust, verify
from tests.evidence_world import EvidenceWorld, packed, policy_file, repacked, unpacked

WORLD = EvidenceWorld()
ENVELOPE, (WHO,) = WORLD.open_envelope(participants=1, documents=1)
WORLD.decline(ENVELOPE, WHO)
WORLD.record_heads()
SIZE = len(WORLD.rows)
CONTENT = WORLD.bundle(ENVELOPE, WHO, earlier=(4,), stamped={SIZE: WORLD.now})
RAW = packed(CONTENT)
MEMBERS = unpacked(CONTENT)
NAMES = sorted(MEMBERS)
TRUST = Trust(policy_file(), (WORLD.authority.root,))


def judged(raw: bytes) -> Judgement:
    """What is found; what can be read at all is written back as it was."""
    judgement = verify(io.BytesIO(raw), TRUST)
    if judgement.ledger is None:
        with pytest.raises(BundleError):
            read(io.BytesIO(raw))
    else:
        same = packed(read(io.BytesIO(raw))) == raw
        assert same
    return judgement


def test_the_bundle_that_the_others_are_made_from_is_valid() -> None:
    assert judged(RAW).verdict is Verdict.VALID


@given(st.binary(max_size=400))
def test_any_bytes_are_no_bundle(raw: bytes) -> None:
    assert judged(raw).verdict is Verdict.INVALID
    assert judged(raw + RAW[-22:]).verdict is Verdict.INVALID


@st.composite
def edits(draw: st.DrawFn, raw: bytes) -> bytes:
    """A part of the bytes replaced by others, which may come from elsewhere in them."""
    start = draw(st.integers(0, len(raw)))
    end = draw(st.integers(start, min(len(raw), start + 60)))
    other = draw(st.integers(0, len(raw)))
    put = draw(
        st.binary(max_size=8) | st.just(raw[other : other + 40]) | st.sampled_from([b"\n", b"0", b"1", b'"', b"{}", b"\\u0000"])
    )
    return raw[:start] + put + raw[end:]


@given(st.data())
def test_a_bundle_with_some_bytes_replaced_is_none(data: st.DataObject) -> None:
    changed = data.draw(edits(RAW))
    same = changed == RAW
    assert same or judged(changed).verdict is Verdict.INVALID


def sealed_again(members: Mapping[str, bytes]) -> bytes | None:
    """The members with hashes and headers that fit them; None where there is no manifest to put them in."""
    try:
        return repacked(members)
    except (ValueError, KeyError, TypeError, CanonicalError):
        return None


@given(st.data())
def test_a_member_with_some_bytes_replaced_and_hashed_again_is_read_strictly(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name in NAMES if name != "manifest.json"]))
    raw = sealed_again({**MEMBERS, name: data.draw(edits(MEMBERS[name]))})
    assert raw is not None
    judgement = judged(raw)
    if raw != RAW and not name.startswith(("report", "VERIFY", "verify")):  # which say nothing
        # A signature of a key that nobody knows says nothing either, and is named.
        named = [detail.name for finding in judgement.findings for detail in finding.details]
        assert judgement.verdict is not Verdict.VALID or name in named


@given(st.data())
def test_a_member_put_in_the_place_of_another_is_read_strictly(data: st.DataObject) -> None:
    name, other = (data.draw(st.sampled_from(NAMES)) for _ in range(2))
    if (raw := sealed_again({**MEMBERS, name: MEMBERS[other]})) is not None:
        judged(raw)
