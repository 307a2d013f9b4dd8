"""Trees of any leaves and any size: the definition decides, and a proof costs the logarithm of the size."""

from contextlib import suppress
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.merkle import (
    MAX_PROOF_HASHES,
    CompactRange,
    Node,
    Plan,
    ProofError,
    assemble,
    consistency_plan,
    consistency_proof,
    fold,
    inclusion_plan,
    inclusion_proof,
    needed,
    node_hash,
    root_of,
    root_plan,
    verify_consistency,
    verify_inclusion,
)
from tests.naive_tree import split

hashes = st.binary(min_size=32, max_size=32)
leaf_lists = st.lists(hashes | st.just(bytes(32)), min_size=1, max_size=130)
#: The largest tree for which 63 hashes are always enough.
sizes = st.integers(1, 2**62) | st.integers(0, 62).flatmap(lambda bits: st.integers(max(1, 2**bits - 1), 2**bits))


def recursive_root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node_hash(recursive_root(leaves[:k]), recursive_root(leaves[k:]))


#: Of a tree whose leaves are all the same, every node of a level is the same: so one of any size can be had.
UNIFORM = [sha256(b"\x00").digest()]
for _ in range(63):
    UNIFORM.append(node_hash(UNIFORM[-1], UNIFORM[-1]))


def uniform(plan: Plan) -> tuple[bytes, ...]:
    return assemble(plan, {node: UNIFORM[node.level] for node in needed(plan)})


@given(leaf_lists, st.data())
def test_in_whatever_batches_leaves_come_the_tree_is_the_same(leaves: list[bytes], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(leaves)), max_size=8)))
    tree = CompactRange()
    for start, end in pairwise((0, *cuts, len(leaves))):
        tree.extend(leaves[start:end])
    one_by_one = CompactRange()
    for leaf in leaves:
        one_by_one.append(leaf)
    assert tree.to_bytes() == one_by_one.to_bytes()
    assert tree.root() == fold(tree.hashes) == recursive_root(leaves)


@given(leaf_lists, st.data())
def test_what_is_proved_is_in_the_tree_and_what_is_not_in_it_is_not_proved(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, root = inclusion_proof(leaves, index), root_of(leaves)
    verify_inclusion(leaves[index], index, len(leaves), proof, root)
    claimed = data.draw(hashes)
    other = data.draw(st.integers(0, len(leaves) - 1))
    if leaves[other] != claimed:
        with pytest.raises(ProofError):
            verify_inclusion(claimed, other, len(leaves), proof, root)


@given(leaf_lists, st.data())
def test_a_log_that_changed_what_it_had_is_not_proved_consistent(leaves: list[bytes], data: st.DataObject) -> None:
    old = data.draw(st.integers(1, len(leaves)))
    verify_consistency(old, len(leaves), consistency_proof(leaves, old), root_of(leaves[:old]), root_of(leaves))
    at = data.draw(st.integers(0, old - 1))
    rewritten = [*leaves[:at], data.draw(hashes), *leaves[at + 1 :]]
    if rewritten != leaves:
        with pytest.raises(ProofError):
            verify_consistency(old, len(leaves), consistency_proof(rewritten, old), root_of(leaves[:old]), root_of(rewritten))


@given(sizes, st.data())
def test_proofs_of_a_tree_of_any_size_hold_and_have_at_most_63_hashes(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1) | st.sampled_from([0, size // 2, size - 1]))
    (root,) = uniform(root_plan(size))
    included = uniform(inclusion_plan(index, size))
    assert len(included) <= (size - 1).bit_length()
    verify_inclusion(UNIFORM[0], index, size, included, root)

    (old_root,) = uniform(root_plan(index + 1))
    continued = uniform(consistency_plan(index + 1, size))
    assert len(continued) <= min((size - 1).bit_length() + 1, MAX_PROOF_HASHES)
    verify_consistency(index + 1, size, continued, old_root, root)


@given(sizes, st.data())
def test_a_plan_needs_no_more_than_two_nodes_for_each_level(size: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, size))
    for plan in (root_plan(size), inclusion_plan(number - 1, size), consistency_plan(number, size)):
        nodes = needed(plan)
        assert len(nodes) <= 2 * size.bit_length()
        assert all(node.index >= 0 and (node.index + 1) << node.level <= size for node in nodes)


@given(
    st.binary(max_size=200)
    | sizes.flatmap(
        lambda n: st.binary(min_size=32 * n.bit_count(), max_size=32 * n.bit_count()).map(lambda raw: n.to_bytes(8, "big") + raw)
    )
)
def test_a_stored_tree_is_read_back_or_refused(raw: bytes) -> None:
    try:
        tree = CompactRange.from_bytes(raw)
    except ProofError:
        return
    assert tree.to_bytes() == raw


@given(
    st.binary(max_size=33),
    st.integers(-(2**70), 2**70),
    st.integers(-(2**70), 2**70),
    st.lists(st.binary(max_size=33), max_size=70),
    st.binary(max_size=33),
)
def test_whatever_is_claimed_no_other_error_than_ours_is_raised(
    leaf: bytes, one: int, two: int, proof: list[bytes], root: bytes
) -> None:
    with suppress(ProofError):
        verify_inclusion(leaf, one, two, proof, root)
    with suppress(ProofError):
        verify_consistency(one, two, proof, leaf, root)


def test_a_node_that_was_not_looked_up_is_missed() -> None:
    with pytest.raises(KeyError):
        assemble(inclusion_plan(0, 2), {Node(0, 0): bytes(32)})
