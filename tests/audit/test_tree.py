"""Merkle trees against the recursive definition of RFC 6962, section 2.1, for all small sizes and random larger ones."""

from __future__ import annotations

import random
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.audit.proof import ProofError, inclusion_root
from parcelveil.audit.tree import (
    EMPTY,
    Frontier,
    Grown,
    check_consistency,
    check_inclusion,
    check_subtree_consistency,
    check_subtree_inclusion,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
)

SMALL = 70
LEAVES = [leaf_hash(b"%d" % i) for i in range(1 << 12)]


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


@cache
def mth(first: int, end: int) -> bytes:
    n = end - first
    if n == 0:
        return sha256(b"").digest()
    if n == 1:
        return LEAVES[first]
    k = split(n)
    return sha256(b"\x01" + mth(first, first + k) + mth(first + k, end)).digest()


def path(m: int, first: int, end: int) -> list[bytes]:
    n = end - first
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return [*path(m, first, first + k), mth(first + k, end)]
    return [*path(m - k, first + k, end), mth(first, first + k)]


def subproof(start: int, stop: int, first: int, end: int, known: bool) -> list[bytes]:
    """The proof that leaves start to stop (within first to end, relative to first) are a subtree of first to end."""
    n = end - first
    if (start, stop) == (0, n):
        return [] if known else [mth(first, end)]
    k = split(n)
    if stop <= k:
        return [*subproof(start, stop, first, first + k, known), mth(first + k, end)]
    if start >= k:
        return [*subproof(start - k, stop - k, first + k, end, known), mth(first, first + k)]
    return [*subproof(0, stop - k, first + k, end, False), mth(first, first + k)]


def nodes(height: int, index: int) -> bytes:
    return mth(index << height, (index + 1) << height)


def limited(size: int):
    def inner(height: int, index: int) -> bytes:
        assert (index + 1) << height <= size, "a node outside the tree was asked for"
        return nodes(height, index)

    return inner


def refused(check, *args) -> None:
    with pytest.raises(ProofError):
        check(*args)


def test_hashes_of_rfc_6962() -> None:
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"") == sha256(b"\0").digest()
    assert node_hash(b"l" * 32, b"r" * 32) == sha256(b"\1" + b"l" * 32 + b"r" * 32).digest()


def test_roots_of_all_small_trees() -> None:
    frontier = Frontier()
    for size in range(SMALL):
        assert root_of(size, limited(size)) == mth(0, size) == frontier.root()
        assert frontier == Frontier.from_bytes(size, frontier.to_bytes()) == frontier.copy()
        frontier.append(LEAVES[size])


def test_inclusion_paths_of_all_small_trees() -> None:
    for size in range(1, SMALL):
        for index in range(size):
            made = inclusion_path(index, size, limited(size))
            assert made == path(index, 0, size)
            check_inclusion(index, size, LEAVES[index], made, mth(0, size))


def test_inclusion_is_refused_for_anything_else() -> None:
    for size in range(1, 20):
        for index in range(size):
            leaf, proof, root = LEAVES[index], path(index, 0, size), mth(0, size)
            refused(check_inclusion, index, size, LEAVES[index + 1], proof, root)
            refused(check_inclusion, index, size, leaf, [*proof, root], root)
            refused(check_inclusion, index, size, leaf, proof, bytes(32))
            if proof:
                refused(check_inclusion, index, size, leaf, proof[:-1], root)
                refused(check_inclusion, index, size, leaf, [proof[0][:-1], *proof[1:]], root)
            for other in range(size + 2):
                if other != index:
                    refused(check_inclusion, other, size, leaf, proof, root)
    refused(inclusion_root, 0, 0, LEAVES[0], [])
    refused(inclusion_root, -1, 4, LEAVES[0], path(3, 0, 4))
    refused(inclusion_root, 0, 1, LEAVES[0][:31], [])


def test_consistency_of_all_small_trees() -> None:
    for new in range(SMALL):
        for old in range(new + 1):
            made = consistency_path(old, new, limited(new))
            if old > 0:
                assert made == subproof(0, old, 0, new, True)
                check_consistency(old, new, mth(0, old), mth(0, new), made)
            else:
                assert made == []


def test_consistency_is_refused_for_anything_else() -> None:
    for new in range(1, 20):
        for old in range(1, new + 1):
            proof, a, b = subproof(0, old, 0, new, True), mth(0, old), mth(0, new)
            refused(check_consistency, old, new, bytes(32), b, proof)
            refused(check_consistency, old, new, a, bytes(32), proof)
            refused(check_consistency, old, new, a, b, [*proof, b])
            refused(check_consistency, old, new, a, b, [a, *proof])
            refused(check_consistency, new + 1, new, a, b, proof)
            refused(check_consistency, -1, new, a, b, proof)
            if proof:
                refused(check_consistency, old, new, a, b, proof[:-1])
                refused(check_consistency, old, new, a, b, proof[1:])
                refused(check_consistency, old, new, b, a, proof)
                refused(check_consistency, old, new, a, b, [proof[0] + b"x", *proof[1:]])
    check_consistency(0, 0, EMPTY, EMPTY, [])
    refused(check_consistency, 0, 0, EMPTY, bytes(32), [])
    refused(check_consistency, 0, 1, EMPTY, mth(0, 1), [])


def test_subtrees_of_all_small_trees() -> None:
    valid = 0
    for size in range(1, 34):
        for start in range(size + 1):
            for end in range(start, size + 1):
                width = 1
                while width < end - start:
                    width *= 2
                root, whole = mth(start, end), mth(0, size)
                if start % width:
                    refused(check_subtree_consistency, start, end, size, root, whole, [])
                elif start == end:
                    check_subtree_consistency(start, end, size, EMPTY, whole, [])
                else:
                    valid += 1
                    proof = subproof(start, end, 0, size, True)
                    check_subtree_consistency(start, end, size, root, whole, proof)
                    refused(check_subtree_consistency, start, end, size, bytes(32), whole, proof)
                    refused(check_subtree_consistency, start, end, size, root, bytes(32), proof)
                    for index in range(start, end):
                        check_subtree_inclusion(index, start, end, LEAVES[index], path(index - start, start, end), root)
                    refused(check_subtree_inclusion, end, start, end, LEAVES[end], path(0, start, end), root)
    assert valid > 1000


@given(st.integers(1, 4096), st.data())
@settings(max_examples=60, deadline=None)
def test_random_larger_trees(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    made = inclusion_path(index, size, limited(size))
    assert made == path(index, 0, size)
    check_inclusion(index, size, LEAVES[index], made, mth(0, size))
    proof = consistency_path(old, size, limited(size))
    assert proof == subproof(0, old, 0, size, True)
    check_consistency(old, size, mth(0, old), mth(0, size), proof)
    at = data.draw(st.integers(0, 255))
    for path_, check in ((made, None), (proof, 1)):
        if path_:
            bad = list(path_)
            which = at % len(bad)
            bad[which] = bytes([bad[which][0] ^ 1 << at % 8]) + bad[which][1:]
            if check:
                refused(check_consistency, old, size, mth(0, old), mth(0, size), bad)
            else:
                refused(check_inclusion, index, size, LEAVES[index], bad, mth(0, size))


@given(st.lists(st.integers(0, 300), max_size=8))
@settings(max_examples=60, deadline=None)
def test_extending_in_any_steps_is_the_same(steps: list[int]) -> None:
    frontier, size = Frontier(), 0
    for step in steps:
        frontier.extend(LEAVES[size : size + step])
        size += step
        assert frontier.size == size
        assert frontier.root() == mth(0, size)
        assert frontier == Frontier.from_bytes(size, frontier.to_bytes())


def test_grown_has_root_frontier_and_paths_of_the_new_leaves() -> None:
    sizes = [(old, new) for old in range(40) for new in range(old, 40)]
    rng = random.Random(1)
    sizes += [(old, min(4096, old + rng.randrange(300))) for old in rng.sample(range(4096), 30)] + [(0, 4096)]
    for old, new in sizes:
        frontier = Frontier()
        frontier.extend(LEAVES[:old])
        before = frontier.to_bytes()
        grown = Grown(frontier, LEAVES[old:new])
        expected = frontier.copy()
        expected.extend(LEAVES[old:new])
        assert (frontier.size, frontier.to_bytes()) == (old, before), "the old frontier stays"
        assert grown.frontier == expected
        assert grown.root == mth(0, new) == grown.frontier.root()
        for i in range(new - old):
            assert grown.path(i) == path(old + i, 0, new)
        for outside in (-1, new - old):
            with pytest.raises(IndexError):
                grown.path(outside)


def test_frontiers_of_the_wrong_shape_are_refused() -> None:
    for size, data in [
        (1, b""),
        (0, bytes(32)),
        (3, bytes(32)),
        (1, bytes(31)),
        (2, bytes(33)),
        (-1, b""),
        (1 << 63, bytes(32)),
    ]:
        with pytest.raises(ValueError):
            Frontier.from_bytes(size, data)
    with pytest.raises(ValueError):
        Frontier(2, [b"short"])


def test_paths_outside_a_tree_are_refused() -> None:
    for index, size in [(0, 0), (5, 5), (-1, 5)]:
        with pytest.raises(ValueError):
            inclusion_path(index, size, nodes)
    for old, new in [(3, 2), (-1, 2)]:
        with pytest.raises(ValueError):
            consistency_path(old, new, nodes)
