"""Ids that came before: exact, however rows are cut, and forgotten after two days."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.watch.coded import DAY
from parcelveil.watch.recent import KEPT, Recent
from parcelveil.watch.recent_pass import noted

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), max_size=60)


def plain(rows: list[tuple[int, int]]) -> list[int]:
    """How often each id came before, in the days that count at each row."""
    seen: list[tuple[int, int]] = []
    found, newest = [], -1
    for number, day in rows:
        newest = max(newest, day)
        found.append(sum(other == number and when >= newest - KEPT for other, when in seen))
        seen.append((number, newest))
    return found


@settings(deadline=None)
@given(ROWS, st.lists(st.integers(1, 20), max_size=8))
def test_counts_agree_with_plain_python_however_rows_are_cut(rows: list[tuple[int, int]], cuts: list[int]) -> None:
    ids = np.array([number for number, _ in rows], np.int64) - 2
    times = np.array([day for _, day in rows], np.int64) * DAY + 5
    recent, found, at = Recent(), [], 0
    for cut in [*cuts, len(rows)]:
        found += recent.before(ids[at : at + cut], times[at : at + cut]).tolist()
        at += cut
    assert found == plain(rows)


def test_tables_grow_and_keep_what_they_hold() -> None:
    recent = Recent()
    ids = np.random.default_rng(1).permutation(200_000).astype(np.int64)
    times = np.full(len(ids), 3 * DAY)
    assert not recent.before(ids, times).any()
    assert (recent.before(ids, times) == 1).all()
    assert (recent.before(ids[:10], times[:10] + 2 * DAY) == 2).all()
    assert not recent.before(ids[10:20], times[:10] + 5 * DAY).any()


def test_a_count_stays_where_it_can_grow_no_more() -> None:
    keys, counts, before = np.zeros(8, np.int64), np.zeros(8, np.uint16), np.zeros(70_000, np.int32)
    assert noted(keys, counts, np.zeros(70_000, np.int64), before, 7) == 1
    assert before[[0, 1, 65_534, 65_535, 69_999]].tolist() == [0, 1, 65_534, 65_535, 65_535]


def test_ids_that_would_crowd_together_do_not() -> None:
    """Whoever chooses ids does not know the seed: multiples of the table's size take no longer than others."""
    import time

    def seconds(ids: np.ndarray) -> float:  # type: ignore[type-arg]
        recent = Recent()
        recent.before(ids[:10], ids[:10] * 0)
        start = time.process_time()
        recent.before(ids, ids * 0)
        return time.process_time() - start

    plain_ids, crowded = np.arange(100_000), np.arange(100_000) << 40
    assert seconds(crowded) < 20 * seconds(plain_ids) + 0.1
