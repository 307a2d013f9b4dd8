"""The tree and its proofs, for every size to 130, against the recursive definition; and every wrong proof refused."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from domain.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    CompactRange,
    Node,
    ProofError,
    ProofFault,
    assemble,
    consistency_plan,
    consistency_proof,
    cover,
    fold,
    inclusion_plan,
    inclusion_proof,
    needed,
    root_from_inclusion,
    root_of,
    root_plan,
    verify_consistency,
    verify_inclusion,
)
from tests import naive_tree
from tests.naive_tree import LEAVES, MOST

OTHER = bytes(range(32))
SIZES = range(1, MOST + 1)
#: Where every proof is tried with everything that may be wrong with it: each bit pattern of a right edge once or more.
FEWER_SIZES = (*range(1, 34), *range(61, 68), 96, 127, 128, 129, MOST)


def nodes_of(size: int) -> dict[Node, bytes]:
    """Every perfect subtree of the tree of the first `size` leaves."""
    runs = CompactRange().extend(LEAVES[:size])
    return {Node(run.level, run.index + number): each for run in runs for number, each in enumerate(run.hashes)}


NODES = nodes_of(MOST)


def made_inclusion(index: int, size: int) -> list[bytes]:
    return list(assemble(inclusion_plan(index, size), NODES))


def made_consistency(old: int, new: int) -> list[bytes]:
    return list(assemble(consistency_plan(old, new), NODES))


def includes(index: int, size: int, proof: list[bytes], leaf: bytes, root: bytes) -> bool:
    try:
        verify_inclusion(leaf, index, size, proof, root)
    except ProofError:
        return False
    return True


def continues(old: int, new: int, proof: list[bytes], old_root: bytes, new_root: bytes) -> bool:
    try:
        verify_consistency(old, new, proof, old_root, new_root)
    except ProofError:
        return False
    return True


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ 1 << bit % 256).to_bytes(32, "big")


def misshapen(proof: list[bytes]) -> Iterator[list[bytes]]:
    """The proof with each hash dropped, one added in each gap (another, and its neighbour again), and two swapped."""
    for at in range(len(proof)):
        yield proof[:at] + proof[at + 1 :]
        yield [*proof[: at + 1], proof[at], *proof[at + 1 :]]
    for at in range(len(proof) + 1):
        yield [*proof[:at], OTHER, *proof[at:]]
    for one in range(len(proof)):
        for two in range(one + 1, len(proof)):
            swapped = list(proof)
            swapped[one], swapped[two] = proof[two], proof[one]
            yield swapped


# --- the tree ---------------------------------------------------------------------------------------------------


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert CompactRange().root() == root_of(()) == fold(()) == EMPTY_ROOT


def test_leaf_by_leaf_every_root_to_130_is_that_of_the_definition() -> None:
    tree = CompactRange()
    for size in SIZES:
        tree.append(LEAVES[size - 1])
        assert (tree.size, tree.root()) == (size, naive_tree.root(0, size))
        assert len(tree.hashes) == size.bit_count()


def test_a_batch_from_a_size_to_every_size_gives_the_same_tree_and_the_nodes_it_completed() -> None:
    for before in (0, *FEWER_SIZES[:-1]):
        for after in range(before, MOST + 1):
            tree = CompactRange(before, [NODES[node] for node in cover(0, before)])
            runs = tree.extend(LEAVES[before:after])
            assert (tree.size, tree.hashes) == (after, tuple(NODES[node] for node in cover(0, after)))
            completed = {Node(run.level, run.index + number) for run in runs for number in range(len(run.hashes))}
            assert completed == {node for node in NODES if before < (node.index + 1) << node.level <= after}
            for run in runs:
                assert run.hashes == [NODES[Node(run.level, run.index + number)] for number in range(len(run.hashes))]


def test_a_tree_is_stored_and_restored() -> None:
    for size in range(MOST + 1):
        tree = CompactRange()
        tree.extend(LEAVES[:size])
        restored = CompactRange.from_bytes(tree.to_bytes())
        assert len(tree.to_bytes()) == 8 + 32 * size.bit_count()
        assert (restored.size, restored.root()) == (size, tree.root())
        restored.append(LEAVES[size])
        assert restored.root() == naive_tree.root(0, size + 1)


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", ProofFault.NOT_A_HASH),
        (bytes(7), ProofFault.NOT_A_HASH),
        (bytes(8 + 31), ProofFault.NOT_A_HASH),
        (bytes(8) + OTHER, ProofFault.SIZE),
        ((3).to_bytes(8, "big") + OTHER, ProofFault.SIZE),
        ((2**63).to_bytes(8, "big") + OTHER, ProofFault.SIZE),
    ],
)
def test_what_is_not_a_stored_tree_is_refused(raw: bytes, fault: ProofFault) -> None:
    with pytest.raises(ProofError) as refused:
        CompactRange.from_bytes(raw)
    assert refused.value.fault is fault


def test_a_tree_of_hashes_that_are_none_is_refused() -> None:
    with pytest.raises(ProofError) as refused:
        CompactRange(1, [b"short"])
    assert refused.value.fault is ProofFault.NOT_A_HASH


@pytest.mark.parametrize("bad", [b"", bytes(31), bytes(33)])
def test_a_leaf_that_is_no_hash_is_refused_and_changes_nothing(bad: bytes) -> None:
    tree = CompactRange()
    tree.extend(LEAVES[:5])
    before = tree.to_bytes()
    for attempt in (lambda: tree.append(bad), lambda: tree.extend([*LEAVES[5:9], bad])):
        with pytest.raises(ProofError) as refused:
            attempt()
        assert refused.value.fault is ProofFault.NOT_A_HASH
        assert tree.to_bytes() == before


def test_a_tree_beyond_63_bits_is_refused() -> None:
    full = CompactRange(MAX_SIZE, [OTHER] * 63)
    with pytest.raises(ProofError) as refused:
        full.extend(LEAVES[:1])
    assert refused.value.fault is ProofFault.SIZE
    with pytest.raises(ProofError) as refused:
        full.append(OTHER)
    assert refused.value.fault is ProofFault.SIZE
    assert full.size == MAX_SIZE


# --- proofs that hold -------------------------------------------------------------------------------------------


def test_every_inclusion_proof_to_130_is_that_of_the_definition_and_holds() -> None:
    for size in SIZES:
        for index in range(size):
            proof = made_inclusion(index, size)
            assert proof == naive_tree.inclusion(index, 0, size)
            verify_inclusion(LEAVES[index], index, size, proof, naive_tree.root(0, size))


def test_every_consistency_proof_to_130_is_that_of_the_definition_and_holds() -> None:
    for new in SIZES:
        for old in range(1, new + 1):
            proof = made_consistency(old, new)
            assert proof == naive_tree.consistency(old, 0, new)
            verify_consistency(old, new, proof, naive_tree.root(0, old), naive_tree.root(0, new))


def test_proofs_are_made_from_leaves_as_well() -> None:
    for size in (1, 2, 3, 7, 8, 100, MOST):
        assert root_of(LEAVES[:size]) == naive_tree.root(0, size)
        for number in range(1, size + 1):
            assert list(inclusion_proof(LEAVES[:size], number - 1)) == made_inclusion(number - 1, size)
            assert list(consistency_proof(LEAVES[:size], number)) == made_consistency(number, size)


def test_the_root_is_made_of_the_nodes_of_its_plan() -> None:
    for size in range(MOST + 1):
        assert assemble(root_plan(size), NODES) == (naive_tree.root(0, size),)


def test_a_plan_names_only_nodes_that_the_tree_has() -> None:
    for size in SIZES:
        kept = nodes_of(size).keys()
        for number in range(1, size + 1):
            assert needed(inclusion_plan(number - 1, size)) <= kept
            assert needed(consistency_plan(number, size)) <= kept


# --- proofs that do not -----------------------------------------------------------------------------------------


def test_every_inclusion_proof_is_refused_with_a_hash_flipped_dropped_added_or_swapped() -> None:
    for size in FEWER_SIZES:
        root = naive_tree.root(0, size)
        for index in range(size):
            leaf, proof = LEAVES[index], made_inclusion(index, size)
            for wrong in misshapen(proof):
                assert not includes(index, size, wrong, leaf, root), (index, size)
            for at, each in enumerate(proof):
                bit = 31 * size + 7 * index + at  # another one each time; the next test flips every one
                assert not includes(index, size, [*proof[:at], flipped(each, bit), *proof[at + 1 :]], leaf, root)
            assert not includes(index, size, proof, OTHER, root)
            assert not includes(index, size, proof, leaf, OTHER)


def test_every_consistency_proof_is_refused_with_a_hash_flipped_dropped_added_or_swapped() -> None:
    for new in FEWER_SIZES:
        for old in range(1, new + 1):
            roots, proof = (naive_tree.root(0, old), naive_tree.root(0, new)), made_consistency(old, new)
            for wrong in misshapen(proof):
                assert not continues(old, new, wrong, *roots), (old, new)
            for at, each in enumerate(proof):
                bit = 31 * new + 7 * old + at
                assert not continues(old, new, [*proof[:at], flipped(each, bit), *proof[at + 1 :]], *roots)
            assert not continues(old, new, proof, OTHER, roots[1])
            assert not continues(old, new, proof, roots[0], OTHER)
            assert old == new or not continues(old, new, proof, roots[1], roots[0])


def test_every_bit_of_an_inclusion_proof_its_leaf_and_its_root_counts() -> None:
    for size in (*range(1, 12), 100, MOST):
        for index in {0, size // 2, size - 1}:
            parts = [LEAVES[index], naive_tree.root(0, size), *made_inclusion(index, size)]
            for at in range(len(parts)):
                for bit in range(256):
                    wrong = [*parts[:at], flipped(parts[at], bit), *parts[at + 1 :]]
                    assert not includes(index, size, wrong[2:], wrong[0], wrong[1]), (index, size, at, bit)


def test_every_bit_of_a_consistency_proof_and_its_roots_counts() -> None:
    for new in (*range(1, 12), 100, MOST):
        for old in {1, (new + 1) // 2, new}:
            parts = [naive_tree.root(0, old), naive_tree.root(0, new), *made_consistency(old, new)]
            for at in range(len(parts)):
                for bit in range(256):
                    wrong = [*parts[:at], flipped(parts[at], bit), *parts[at + 1 :]]
                    assert not continues(old, new, wrong[2:], wrong[0], wrong[1]), (old, new, at, bit)


def test_at_every_other_index_and_size_an_inclusion_proof_holds_only_where_the_definition_leads_to_the_root() -> None:
    """The root alone fixes neither: the last of two leaves has the path of the last of three. With the size, it fixes the index."""
    for size in range(1, 20):
        root = naive_tree.root(0, size)
        for index in range(size):
            leaf, proof = LEAVES[index], made_inclusion(index, size)
            for other_size in range(1, 22):
                for other in range(other_size):
                    same = naive_tree.root_by(leaf, other, other_size, proof) == root
                    assert includes(other, other_size, proof, leaf, root) is same
                    assert not same or other == index or other_size != size


def test_at_every_other_pair_of_sizes_a_consistency_proof_holds_only_where_the_definition_leads_to_both_roots() -> None:
    for new in range(1, 19):
        for old in range(1, new + 1):
            roots, proof = (naive_tree.root(0, old), naive_tree.root(0, new)), made_consistency(old, new)
            for other_new in range(1, 21):
                for other_old in range(1, other_new + 1):
                    same = naive_tree.roots_by(other_old, other_new, proof, roots[0]) == roots
                    assert continues(other_old, other_new, proof, *roots) is same


def test_the_roots_of_two_logs_have_no_proof_between_them() -> None:
    other = root_of([*LEAVES[:3], OTHER, *LEAVES[4:9]])
    for old in range(1, 4):
        proof = list(consistency_proof([*LEAVES[:3], OTHER, *LEAVES[4:9]], old))
        assert continues(old, 9, proof, naive_tree.root(0, old), other)
    for old in range(4, 9):
        proof = list(consistency_proof([*LEAVES[:3], OTHER, *LEAVES[4:9]], old))
        assert not continues(old, 9, proof, naive_tree.root(0, old), other)


FIVE = naive_tree.root(0, 5)
THREE = naive_tree.root(0, 3)
OF_FIVE = made_inclusion(2, 5)
TO_FIVE = made_consistency(3, 5)


@pytest.mark.parametrize(
    ("attempt", "fault"),
    [
        (lambda: verify_inclusion(LEAVES[2][:-1], 2, 5, OF_FIVE, FIVE), ProofFault.NOT_A_HASH),
        (lambda: verify_inclusion(LEAVES[2], 2, 5, OF_FIVE, FIVE + b"\x00"), ProofFault.NOT_A_HASH),
        (lambda: verify_inclusion(LEAVES[2], 2, 5, [*OF_FIVE[:-1], b""], FIVE), ProofFault.NOT_A_HASH),
        (lambda: verify_inclusion(LEAVES[2], 2, 5, OF_FIVE[:-1], FIVE), ProofFault.TOO_SHORT),
        (lambda: verify_inclusion(LEAVES[2], 2, 5, [*OF_FIVE, OTHER], FIVE), ProofFault.TOO_LONG),
        (lambda: verify_inclusion(LEAVES[2], 2, 5, [OTHER] * 64, FIVE), ProofFault.TOO_MANY_HASHES),
        (lambda: verify_inclusion(LEAVES[2], 5, 5, OF_FIVE, FIVE), ProofFault.INDEX),
        (lambda: verify_inclusion(LEAVES[2], -1, 5, OF_FIVE, FIVE), ProofFault.INDEX),
        (lambda: verify_inclusion(LEAVES[2], 0, 0, [], EMPTY_ROOT), ProofFault.INDEX),
        (lambda: verify_inclusion(LEAVES[2], 0, -1, [], EMPTY_ROOT), ProofFault.SIZE),
        (lambda: verify_inclusion(LEAVES[2], 0, MAX_SIZE + 1, [], FIVE), ProofFault.SIZE),
        (lambda: verify_inclusion(LEAVES[2], 2, 5, OF_FIVE, THREE), ProofFault.ROOT),
        (lambda: verify_inclusion(LEAVES[3], 2, 5, OF_FIVE, FIVE), ProofFault.ROOT),
        (lambda: verify_consistency(3, 5, TO_FIVE, THREE[:-1], FIVE), ProofFault.NOT_A_HASH),
        (lambda: verify_consistency(3, 5, TO_FIVE, THREE, b""), ProofFault.NOT_A_HASH),
        (lambda: verify_consistency(3, 5, [*TO_FIVE[:-1], bytes(31)], THREE, FIVE), ProofFault.NOT_A_HASH),
        (lambda: verify_consistency(3, 5, TO_FIVE[:-1], THREE, FIVE), ProofFault.TOO_SHORT),
        (lambda: verify_consistency(3, 5, [], THREE, FIVE), ProofFault.TOO_SHORT),
        (lambda: verify_consistency(3, 5, [*TO_FIVE, OTHER], THREE, FIVE), ProofFault.TOO_LONG),
        (lambda: verify_consistency(5, 5, [OTHER], FIVE, FIVE), ProofFault.TOO_LONG),
        (lambda: verify_consistency(3, 5, [OTHER] * 64, THREE, FIVE), ProofFault.TOO_MANY_HASHES),
        (lambda: verify_consistency(5, 5, [], FIVE, THREE), ProofFault.ROOT),
        (lambda: verify_consistency(3, 5, TO_FIVE, THREE, THREE), ProofFault.ROOT),
        (lambda: verify_consistency(3, 5, TO_FIVE, FIVE, FIVE), ProofFault.OLD_ROOT),
        (lambda: verify_consistency(0, 5, [], EMPTY_ROOT, FIVE), ProofFault.SIZE),
        (lambda: verify_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT), ProofFault.SIZE),
        (lambda: verify_consistency(-1, 5, [], THREE, FIVE), ProofFault.SIZE),
        (lambda: verify_consistency(5, 3, [], FIVE, THREE), ProofFault.SIZE),
        (lambda: verify_consistency(3, MAX_SIZE + 1, TO_FIVE, THREE, FIVE), ProofFault.SIZE),
        (lambda: root_from_inclusion(b"", 0, 1, []), ProofFault.NOT_A_HASH),
        (lambda: inclusion_plan(5, 5), ProofFault.INDEX),
        (lambda: inclusion_plan(-1, 5), ProofFault.INDEX),
        (lambda: inclusion_plan(0, MAX_SIZE + 1), ProofFault.SIZE),
        (lambda: consistency_plan(0, 5), ProofFault.SIZE),
        (lambda: consistency_plan(6, 5), ProofFault.SIZE),
        (lambda: root_plan(-1), ProofFault.SIZE),
    ],
)
def test_each_fault_of_a_proof_is_named(attempt: Callable[[], object], fault: ProofFault) -> None:
    with pytest.raises(ProofError) as refused:
        attempt()
    assert refused.value.fault is fault
    assert str(refused.value).startswith(fault.value)


def test_63_hashes_are_taken() -> None:
    """The tallest tree: one leaf below 63 levels."""
    proof = [OTHER] * 63
    root = root_from_inclusion(LEAVES[0], 0, MAX_SIZE, proof)
    verify_inclusion(LEAVES[0], 0, MAX_SIZE, proof, root)


def test_neighbouring_subtrees_get_smaller_to_the_right() -> None:
    for start, end in ((0, 1), (0, 100), (64, 100), (128, 130), (96, 97)):
        nodes = cover(start, end)
        assert nodes[0].index << nodes[0].level == start
        assert all((one.index + 1) << one.level == two.index << two.level for one, two in pairwise(nodes))
        assert all(one.level > two.level for one, two in pairwise(nodes))
        assert (nodes[-1].index + 1) << nodes[-1].level == end
