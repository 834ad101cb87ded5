"""Counts of a day, and sums over days that forget, restart, and are not driven by one bad day."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from parcelveil.watch.baseline import Scored
from parcelveil.watch.coded import ACTIONS
from parcelveil.watch.unexplained import APART, DRIFT, HIGHEST, SUMS, Cusum, Unexplained, parcels, searches
from watch.days_made import Made

ACTORS = np.arange(3, dtype=np.int32)
NUMBER = 20_000


def scored(score: list[float], known: bool = True) -> Scored:
    one, of = np.ones(3), np.array(score)
    return Scored(**{name: {"known": np.full(3, known), "score": of}.get(name, one) for name in Scored._fields})


def test_a_sum_rises_by_no_more_than_its_clip_and_forgets() -> None:
    cusum = Cusum()
    total, counted, _ = cusum.add(1, ACTORS, scored([100.0, 2.0, -5.0]), np.array([9, 2, 0]))
    assert total.tolist() == [HIGHEST - DRIFT, 2 - DRIFT, 0.0]
    assert counted.tolist() == [9, 2, 0]
    total, counted, _ = cusum.add(2, ACTORS, scored([1.0, -5.0, 1.0]), np.array([3, 0, 1]))
    assert total.tolist() == [HIGHEST - DRIFT + 1 - DRIFT, 0.0, 1 - DRIFT]
    assert counted.tolist() == [12, 0, 1]
    assert [cusum.since(actor) for actor in range(3)] == [1, 1, 2]


def test_a_sum_begins_anew_after_a_case_and_nobody_unknown_has_one() -> None:
    cusum = Cusum()
    cusum.add(1, ACTORS, scored([3.0, 3.0, 3.0]), np.array([5, 5, 5]))
    cusum.restart(1)
    total, counted, _ = cusum.add(2, ACTORS, scored([0.0, 0.0, 0.0]), np.array([1, 1, 1]))
    assert (total[1], counted[1]) == (0.0, 0)
    assert total[0] > 0
    assert not cusum.add(3, ACTORS, scored([3.0, 3.0, 3.0], known=False), np.ones(3, np.int64))[0].any()


def test_parcels_are_counted_once_and_searches_by_occasion() -> None:
    made = Made(3)
    day, size = made.day(NUMBER), 6
    rows = made.rows(NUMBER, np.full(size, 1), np.zeros(size, np.int8))
    search = ACTIONS.index("search")
    start = int(rows["time"].to_numpy().min())
    given = {
        "waybill": [1, 1, 2, 3, 4, 5],
        "action": [0, 0, 0, search, search, search],
        "time": [start, start, start, start, start + APART // 2, start + 3 * APART],
        "near": [1, 1, 0, 1, 0, 0],
    }
    for name, values in given.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))
    day = day._replace(rows=rows)
    assert parcels(day, ACTORS, 0).tolist() == [0, 5, 0]
    assert parcels(day, ACTORS, 0, opened=True).tolist() == [0, 2, 0]
    assert parcels(day, ACTORS, 0, opened=True, near=0).tolist() == [0, 1, 0]
    assert parcels(day, ACTORS, 1).tolist() == [0, 0, 0]
    assert searches(day, ACTORS, 0).tolist() == [0, 2, 0]


def test_every_statistic_of_a_day_is_there_and_a_slow_one_stands_out() -> None:
    made, detector = Made(120), Unexplained()
    for number in range(NUMBER, NUMBER + 30):
        found = {one.name: one for one in detector.score(made.day(number, {11: 8} if number > NUMBER + 20 else {}))}
    assert set(found) == {"unexplained", "volume", "distant", *SUMS}
    opened = found["opened"]
    assert int(opened.subject[np.argmax(opened.score)]) == 11
