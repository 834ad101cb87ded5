"""Thresholds from the weeks before: the promise is kept, in every class, also where people are few."""

from __future__ import annotations

import numpy as np
import pytest

from parcelveil.watch.calibrate import ALL, FEWEST, LARGE, OTHERS, PEACE, PER, Reference, classes_of, merged

#: Of each class, what the promise allows a statistic that has all of it.
SHARES = {0: PEACE * 10 / PER, OTHERS: PEACE * 10 / PER}


def weeks(reference: Reference, accounts: int, *, days: int, seed: int = 2, start: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for day in range(start, start + days):
        reference.put("s", day, np.arange(accounts, dtype=np.int32), rng.exponential(1.0, accounts))


def test_the_promised_share_of_weeks_lies_above() -> None:
    accounts, classes = 5_000, np.zeros(5_000, np.int32)
    above = []
    for seed in range(12):
        reference = Reference(false_cases=100)
        weeks(reference, accounts, days=28, seed=seed)
        limit = reference.thresholds("s", 28, {0: PEACE * 100 / PER}, classes)[0]
        fresh = np.random.default_rng(seed + 100).exponential(1.0, (PEACE, 200_000)).max(axis=0)
        above.append((fresh > limit).mean())
    assert np.mean(above) == pytest.approx(PEACE * 100 / PER, rel=0.3)


def test_a_share_of_the_budget_asks_for_more() -> None:
    reference, classes = Reference(), np.zeros(500, np.int32)
    weeks(reference, 500, days=20)
    whole, tenth = (reference.thresholds("s", 20, {0: share}, classes)[0] for share in (7e-4, 7e-5))
    assert whole < tenth < np.inf


def test_before_a_week_is_known_nothing_is_said() -> None:
    reference, classes = Reference(), np.zeros(500, np.int32)
    assert reference.thresholds("s", 0, SHARES, classes) == {}
    weeks(reference, 500, days=PEACE - 1)
    assert reference.thresholds("s", PEACE - 1, SHARES, classes) == {}
    weeks(reference, 500, days=1, start=PEACE - 1)
    assert 0 in reference.thresholds("s", PEACE, SHARES, classes)


def test_the_day_itself_and_what_is_older_than_four_weeks_do_not_count() -> None:
    reference, classes = Reference(), np.zeros(500, np.int32)
    actors = np.arange(500, dtype=np.int32)
    reference.put("s", 0, actors, np.full(500, 1e6))
    weeks(reference, 500, days=40, start=1)
    before = reference.thresholds("s", 41, SHARES, classes)
    assert before[0] < 100
    reference.put("s", 41, actors, np.full(500, 1e6))
    assert reference.thresholds("s", 41, SHARES, classes) == before


def test_days_without_a_word_are_not_those_of_a_month_ago() -> None:
    reference, classes = Reference(), np.zeros(100, np.int32)
    actors = np.arange(100, dtype=np.int32)
    for day in range(31):
        reference.put("s", day, actors, np.full(100, 1e6))
    reference.put("s", 70, actors, np.zeros(100))
    assert reference.thresholds("s", 71, SHARES, classes)[0] < 100


def test_each_class_has_its_own_and_small_ones_share_one() -> None:
    roles = np.r_[np.zeros(100), np.ones(FEWEST - 1), np.full(4, 2), np.full(3, -1)].astype(np.int32)
    classes = classes_of(roles)
    assert sorted(np.unique(classes).tolist()) == [OTHERS, 0]
    assert (classes[100:] == OTHERS).all()
    reference = Reference()
    values = np.where(classes == 0, 1.0, 50.0)
    for day in range(14):
        reference.put("s", day, np.arange(len(roles), dtype=np.int32), values + day * 1e-3)
    limits = reference.thresholds("s", 14, SHARES, classes)
    assert limits[0] < 3 < 49 < limits[OTHERS]


def test_accounts_that_come_later_are_taken_in() -> None:
    reference = Reference()
    weeks(reference, 100, days=7)
    weeks(reference, 400, days=7, start=7)
    assert 0 in reference.thresholds("s", 14, SHARES, np.zeros(400, np.int32))
    actors, values = np.array([3, 350], np.int32), np.array([0.0, 50.0])
    common, rare = reference.rarity("s", 14, np.zeros(400, np.int32), actors, values).tolist()
    assert common > 0.9 and rare < 1e-6
    assert reference.rarity("other", 14, np.zeros(400, np.int32), actors, values).tolist() == [1.0, 1.0]


def test_small_classes_have_one_limit_together_which_is_never_below_the_plain_reckoning() -> None:
    classes = np.repeat(np.arange(3), (LARGE, 60, 50)).astype(np.int32)
    assert np.unique(merged(classes)).tolist() == [OTHERS, 0]
    assert (merged(classes)[:LARGE] == 0).all()
    actors, plain = np.arange(len(classes), dtype=np.int32), -np.log10(PEACE * 10 / PER)
    calm, wild = Reference(), Reference()
    assert len(set(calm.limits(0, classes).values())) == 1  # nothing is known yet
    assert calm.limits(0, classes)[0] > plain
    rng = np.random.default_rng(5)
    for day in range(28):
        calm.put(ALL, day, actors, np.full(len(actors), -4.0))
        wild.put(ALL, day, actors, rng.exponential(np.where(classes == 0, 0.1, 3.0)))
    assert calm.limits(28, classes) == {0: pytest.approx(plain), 1: pytest.approx(plain), 2: pytest.approx(plain)}
    limits = wild.limits(28, classes)
    assert limits[1] == limits[2] > limits[0] >= plain
