"""Exports against own and peers' history."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from parcelveil.watch.daily import OPEN_ROWS
from parcelveil.watch.exports import Exports, quantities
from watch.looks_made import Looks

PEOPLE = 60


def taught(seed: int = 1, days: int = 28) -> tuple[Exports, np.random.Generator, list[float]]:
    """Accounts 0-9 export about 300 rows on most days, 10 exports 20,000 every day, the rest now and then 50."""
    rng, detector, highest = np.random.default_rng(seed), Exports(), []
    for day in range(20_000, 20_000 + days):
        highest.append(float(detector.score(usual(day, rng).rows()).score.max()))
    return detector, rng, highest


def usual(day: int, rng: np.random.Generator) -> Looks:
    looks = Looks(day, PEOPLE)
    some = np.flatnonzero(rng.random(10) < 0.8)
    looks.export(some, rng.lognormal(5.7, 0.4, len(some)).astype(int))
    looks.export(np.array([10]), np.array([int(rng.lognormal(9.9, 0.1))]))
    rare = 11 + np.flatnonzero(rng.random(PEOPLE - 11) < 0.03)
    return looks.export(rare, rng.lognormal(3.9, 0.6, len(rare)).astype(int)) if len(rare) else looks


def test_habits_are_no_alarm_however_large() -> None:
    for seed in range(5):
        _, _, highest = taught(seed, 42)
        assert max(highest[14:]) < 4.0


def test_t2_a_large_export_stands_out_from_everything_usual() -> None:
    detector, rng, highest = taught()
    looks = usual(20_028, rng).export(np.array([30]), np.array([40_000]))
    scores = detector.score(looks.rows())
    value, expected, score = scores.of(30)
    assert score > max(highest[14:]) + 0.5
    assert value > 100_000 > expected
    assert scores.of(10)[2] < 2, "twenty thousand rows are usual for this one"
    rows = scores.rows[scores.offsets[30] : scores.offsets[31]]
    assert len(rows) == 1 and rows[0] in looks.parts[-1]["id"]


def test_t2_many_small_alike_stand_out() -> None:
    detector, rng, highest = taught()
    looks = usual(20_028, rng).export(np.full(25, 3), np.full(25, 40))
    assert detector.score(looks.rows()).of(3)[2] > max(highest[14:])


def test_a_nightly_report_is_a_habit() -> None:
    detector, rng = Exports(), np.random.default_rng(3)
    last = 0.0
    for day in range(20_000, 20_030):
        last = detector.score(usual(day, rng).export(np.full(6, 20), np.full(6, 500)).rows()).of(20)[2]
    assert last < 2


def test_t2_whoever_exports_and_stays_away_is_told_again_and_higher() -> None:
    detector, rng, _ = taught()
    first = detector.score(usual(20_028, rng).export(np.array([30]), np.array([5_000])).rows()).of(30)[2]
    later = []
    for day in range(20_029, 20_040):
        looks = usual(day, rng)
        looks.present = looks.present[looks.present != 30]
        later.append(detector.score(looks.rows()).of(30)[2])
    assert first > 2
    assert max(later) > first + 1
    assert later[0] == 0 and later[-1] == 0, "neither the next day nor for ever"


def test_whoever_comes_back_is_not_told_again() -> None:
    detector, rng, _ = taught()
    detector.score(usual(20_028, rng).export(np.array([30]), np.array([5_000])).rows())
    assert all(detector.score(usual(day, rng).rows()).of(30)[2] < 2 for day in range(20_029, 20_036))


def test_masked_exports_count_a_quarter_of_a_field() -> None:
    looks = Looks(20_000, 1).export(np.array([0, 0, 0]), np.array([100, 100, 100]), fields=np.array([7, 2, 0]))
    assert sorted(quantities(looks.rows().rows).tolist()) == [25, 100, 300]
    assert len(quantities(pa.table(OPEN_ROWS.empty_table()))) == 0


def test_a_day_without_anybody() -> None:
    assert len(Exports().score(Looks(20_000, np.zeros(0, int)).rows()).score) == 0
