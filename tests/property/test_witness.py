"""Whatever logs ask in whatever order, a witness cosigns one history that only grows, and says why when it does not."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from domain.note import SignatureType
from domain.witnessing import Malformed, NotConsistent, Stale, TwoRoots, WitnessRefusal, format_submission, parse_submission
from infrastructure.clock import FixedClock
from infrastructure.signing_keys import generate
from infrastructure.witness import Witness
from infrastructure.witness_store import STORE, WitnessStore
from tests.witness_server import MadeUpLog, made_up_log

KEY = generate("witness.example/w1", SignatureType.COSIGNATURE)
CLOCK = FixedClock(datetime(2026, 11, 21, tzinfo=UTC))
SIZES = st.integers(0, 9)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WitnessStore]:
    with closing(WitnessStore(tmp_path_factory.mktemp("witness") / STORE)) as opened:
        yield opened


def expected(old: int, size: int, cosigned: list[bytes], leaves: list[bytes]) -> type[WitnessRefusal] | None:
    """What a witness that could see all leaves would say."""
    if old > size:
        return Malformed
    if old != len(cosigned):
        return Stale
    if leaves[:old] == cosigned:
        return None
    return TwoRoots if old == size else NotConsistent


# An old size of None is the one that the witness knows.
@given(st.lists(st.tuples(st.booleans(), st.none() | SIZES, SIZES), max_size=10), SIZES)
def test_a_witness_cosigns_one_history_that_only_grows(
    store: WitnessStore, asked: list[tuple[bool, int | None, int]], shared: int
) -> None:
    one = replace(made_up_log(f"log.example/{uuid4()}"), shared=shared)
    tellers: dict[bool, MadeUpLog] = {False: one, True: one.forked()}
    witness = Witness([one.key.key], store, KEY, CLOCK)
    cosigned: list[bytes] = []
    for forked, old, size in asked:
        known = len(cosigned) if old is None else old
        leaves = tellers[forked].leaves(size)
        refusal = expected(known, size, cosigned, leaves)
        event(refusal.__name__ if refusal else "cosigned")
        request = tellers[forked].request(known, size)
        if refusal is None:
            assert witness.add(request).startswith("— witness.example/w1 ")
            cosigned = leaves
        else:
            with pytest.raises(refusal) as refused:
                witness.add(request)
            assert type(refused.value) is refusal
        assert store.head(one.origin).size == len(cosigned)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b"old 3\n" + tail))
def test_any_bytes_are_a_submission_in_its_one_spelling_or_malformed(raw: bytes) -> None:
    try:
        submission = parse_submission(raw)
    except Malformed:
        return
    assert format_submission(submission) == raw
