"""Arrays by code, against plain dictionaries and sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.watch.by_code import different, firsts, longer, places, spread

Pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(-3, 3)), max_size=60)


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([one for one, _ in pairs], np.int32), np.array([two for _, two in pairs], np.int64)


@given(Pairs)
def test_the_first_row_of_each_pair_and_how_many_there_are(pairs: list[tuple[int, int]]) -> None:
    actor, what = columns(pairs)
    assert firsts(actor, what).tolist() == sorted({pair: at for at, pair in reversed(list(enumerate(pairs)))}.values())
    actors = np.arange(8, dtype=np.int32)
    assert different(actor, what, actors).tolist() == [len({w for a, w in pairs if a == one}) for one in range(8)]


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_values_are_spread_over_those_who_are_there(subjects: set[int], among: set[int]) -> None:
    keys, wanted = (np.array(sorted(codes), np.int32) for codes in (subjects, among))
    values = keys.astype(np.float64) + 0.5
    at, there = places(keys, wanted)
    assert there.tolist() == [key in among for key in sorted(subjects)]
    assert (wanted[at[there]] == keys[there]).all()
    assert spread(keys, values, wanted).tolist() == [key + 0.5 if key in subjects else 0.0 for key in sorted(among)]


def test_arrays_grow_by_doubling_and_keep_what_they_have() -> None:
    assert longer(np.arange(3), 3).tolist() == [0, 1, 2]
    assert longer(np.arange(3), 4, -1).tolist() == [0, 1, 2, -1, -1, -1]
    assert longer(np.arange(2), 9, 7).tolist() == [0, 1, *[7] * 7]
    assert longer(np.ones((2, 3)), 3).tolist() == [[1.0] * 3] * 2 + [[0.0] * 3] * 2
    assert len(longer(np.zeros(0), 0)) == 0
