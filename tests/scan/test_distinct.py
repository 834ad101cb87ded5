"""Distinct values: exact while few, then within what HyperLogLog promises."""

from __future__ import annotations

import doctest

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.scan import distinct
from parcelveil.scan.distinct import MOST, Distinct, hashes_of
from scan.made_findings import value


def test_the_examples_hold() -> None:
    assert doctest.testmod(distinct).failed == 0


@given(st.lists(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9), max_size=40), max_size=8), st.integers(0, 8))
@settings(deadline=None)
def test_few_are_counted_exactly_however_they_come(parts: list[list[int]], cut: int) -> None:
    whole, left, right = Distinct(), Distinct(), Distinct()
    for number, part in enumerate(parts):
        hashes = np.array(part, dtype=np.uint64)
        whole.add(hashes)
        (left if number < cut else right).add(hashes)
    left.merge(right)
    expected = len({one for part in parts for one in part})
    assert (whole.count, whole.exact) == (left.count, left.exact) == (expected, True)


@pytest.mark.parametrize("count", [20_000, MOST, MOST + 1, 200_000, 2_000_000])
def test_many_are_counted_within_three_percent(count: int) -> None:
    seen, random = Distinct(), np.random.default_rng(count)
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    for part in np.array_split(np.concatenate([hashes, hashes[: count // 2]]), 7):
        seen.add(part)
    assert seen.exact == (count <= MOST)
    assert seen.count == count if seen.exact else abs(seen.count / count - 1) < 0.03  # four standard errors


def test_merging_counts_no_value_twice() -> None:
    random = np.random.default_rng(1)
    hashes = random.integers(0, 2**64, 300_000, dtype=np.uint64)
    large, other, small = Distinct(), Distinct(), Distinct()
    large.add(hashes[:200_000])
    other.add(hashes[100_000:])
    small.add(hashes[:10])
    before = large.count
    large.merge(small)
    assert large.count == before
    large.merge(other)
    assert abs(large.count / 300_000 - 1) < 0.03
    small.merge(other)
    assert abs(small.count / 200_010 - 1) < 0.03 and not small.exact


def test_a_small_bound_estimates_small_numbers_well() -> None:
    seen = Distinct(100)
    seen.add(np.random.default_rng(2).integers(0, 2**64, 3_000, dtype=np.uint64))
    assert not seen.exact and abs(seen.count / 3_000 - 1) < 0.03


def test_hashes_are_of_the_rows_of_a_slice() -> None:
    prints = pa.array([value(number) for number in range(9)], pa.binary(16))
    assert hashes_of(prints.slice(4, 3)).tolist() == hashes_of(prints).tolist()[4:7]
    assert hashes_of(prints.slice(9)).tolist() == []
    assert hashes_of(prints)[3].tobytes() == value(3)[:8]
