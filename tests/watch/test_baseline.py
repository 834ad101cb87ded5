"""What was to be expected: shocks for all, outages of one outlet, own habits, and those who would teach it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.watch.baseline import LAG, LEARNT, Baseline, Scored, others_median

N = 600


class Carrier:
    """Accounts with habits of their own at outlets of six, whose counts follow their looks."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.actors = np.arange(N, dtype=np.int32)
        self.roles = (self.actors % 2).astype(np.int32)
        self.outlets = (self.actors // 6).astype(np.int32)
        self.rate = self.rng.gamma(4, 0.03 / 4, N)

    def day(self, volume: float = 60) -> tuple[np.ndarray, np.ndarray]:
        looks = self.rng.poisson(volume, N)
        return self.rng.poisson(self.rate * looks), looks

    def score(self, baseline: Baseline, day: int, counts: np.ndarray, looks: np.ndarray) -> Scored:
        return baseline.score(day, self.actors, self.roles, self.outlets, counts.astype(np.int64), looks)


def taught(carrier: Carrier, days: int = 30) -> Baseline:
    baseline = Baseline()
    for day in range(days):
        carrier.score(baseline, day, *carrier.day())
    return baseline


def test_a_peak_moves_everybody_and_nobody() -> None:
    carrier = Carrier()
    baseline = taught(carrier)
    counts, looks = carrier.day(180)
    peak = carrier.score(baseline, 30, counts, looks)
    assert abs(peak.score.mean()) < 0.1
    assert (peak.score > 4).sum() <= 1
    assert peak.expected.sum() == pytest.approx(counts.sum(), rel=0.1)


def test_an_outage_of_an_outlet_calls_nobody_and_hides_nobody_elsewhere() -> None:
    carrier = Carrier()
    baseline = taught(carrier)
    counts, looks = carrier.day()
    out = carrier.outlets == 7
    counts[out] = looks[out]  # no scan of the whole day came through
    counts[300] += 25  # and somewhere else one harvests
    scored = carrier.score(baseline, 30, counts, looks)
    assert scored.score[out].max() < 3
    assert scored.score[300] > 5


def test_one_who_harvests_at_an_outlet_is_not_hidden_by_its_factor() -> None:
    carrier = Carrier()
    baseline = taught(carrier)
    counts, looks = carrier.day()
    counts[60] += 20
    assert carrier.score(baseline, 30, counts, looks).score[60] > 4


def test_a_habit_is_learnt_and_a_harvest_not_at_once() -> None:
    carrier = Carrier()
    carrier.rate[4] = 0.12
    baseline = taught(carrier, 40)
    counts, looks = carrier.day()
    habit = carrier.score(baseline, 40, counts, looks)
    assert habit.expected[4] > 3 * np.median(habit.expected)
    before = habit.expected[9] / looks[9]
    for day in range(41, 41 + LAG):
        counts, looks = carrier.day()
        counts[9] += 15
        scored = carrier.score(baseline, day, counts, looks)
        assert scored.expected[9] / looks[9] < before * 1.6, "not yet"
        assert scored.score[9] > 3


def test_who_raises_it_slowly_ends_where_peers_end() -> None:
    carrier = Carrier()
    baseline = taught(carrier)
    for day in range(30, 120):
        counts, looks = carrier.day()
        counts[3] += round((day - 30) * 0.4)
        scored = carrier.score(baseline, day, counts, looks)
    own = scored.expected / np.maximum(looks, 1)
    assert own[3] <= own[np.arange(N) != 3].max() * 1.3
    assert scored.score[3] > 4


def test_an_account_is_known_after_a_week_of_work() -> None:
    carrier = Carrier()
    baseline = Baseline()
    for day in range(LAG + LEARNT - 1):
        scored = carrier.score(baseline, day, *carrier.day())
        assert not scored.known.any()
    assert carrier.score(baseline, LAG + LEARNT - 1, *carrier.day()).known.all()


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    carrier = Carrier()
    baseline = taught(carrier, 10)
    baseline.score(
        400, carrier.actors[:3], carrier.roles[:3], carrier.outlets[:3], np.zeros(3, np.int64), np.ones(3, int)
    )
    assert baseline._count.max() == pytest.approx(0, abs=1e-9)
    assert not baseline._worked.any()


def test_days_without_looks_and_lone_accounts() -> None:
    one = np.zeros(1, np.int32)
    scored = Baseline().score(0, one, one, one - 1, np.array([5]), np.array([0]))
    assert np.isfinite(scored.score).all() and scored.outlet_factor.tolist() == [1.0]
    none = np.zeros(0, np.int32)
    assert len(Baseline().score(0, none, none, none, none.astype(np.int64), none).score) == 0


@given(st.lists(st.tuples(st.integers(-1, 4), st.floats(0, 100)), max_size=40))
def test_the_median_of_the_others(rows: list[tuple[int, float]]) -> None:
    groups = np.array([group for group, _ in rows], np.int32)
    values = np.array([value for _, value in rows], np.float64)
    found = others_median(values, groups)
    for at, (group, _) in enumerate(rows):
        others = [value for place, (other, value) in enumerate(rows) if other == group and place != at]
        assert found[at] == pytest.approx(float(np.median(others)) if group >= 0 and len(others) >= 3 else 1.0)
