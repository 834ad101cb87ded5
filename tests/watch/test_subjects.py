"""The same recipient again and again."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from parcelveil.watch.subjects import Subjects
from watch.looks_made import Looks

PEOPLE = 300
START = 20_000


class World:
    """About 1.5 looks without a reason and 3 by group a day, at recipients of whom some come often (a heavy tail)."""

    def __init__(self, seed: int) -> None:
        self.rng, self.detector, self.day = np.random.default_rng(seed), Subjects(), START
        self.keen = self.rng.gamma(2, 0.5, PEOPLE)

    def next(self, *more: tuple[int, np.ndarray, int]) -> object:
        looks = Looks(self.day, PEOPLE)
        for settled, rate in ((0, 1.5), (1, 3.0)):
            who = np.repeat(np.arange(PEOPLE), self.rng.poisson(rate * self.keen))
            # each has customers of his own: most come once, some again, and a shop or two every other day
            regular = self.rng.random(len(who)) < 0.2
            whom = who * 100_000 + np.where(
                regular, self.rng.zipf(1.6, len(who)) % 500, self.rng.integers(500, 99_999, len(who))
            )
            whom += 1
            looks.add(who, subject=whom, settled=settled)
        for who, whom, settled in more:
            looks.add(who, len(whom), subject=whom, settled=settled)
        self.day += 1
        return self.detector.score(looks.rows())


def rarest(world: World, days: int, share: float = 0.002) -> float:
    """What a small share of accounts has as its highest on a benign day of the second half."""
    scores = [world.next().score for _ in range(days)]
    return float(np.quantile(np.concatenate(scores[days // 2 :]), 1 - share))


@pytest.mark.parametrize("seed", range(4))
def test_t2_one_or_two_looks_a_day_at_neighbours_add_up_within_a_fortnight(seed: int) -> None:
    world = World(seed)
    threshold = rarest(world, 56)
    spies = np.arange(20)
    neighbours = 10**12 + spies[:, None] * 10 + np.arange(4)
    caught: set[int] = set()
    for _ in range(14):
        more = [(int(who), world.rng.choice(neighbours[who], world.rng.integers(1, 3)), 0) for who in spies]
        scores = world.next(*more)
        caught |= {int(who) for who in spies if scores.of(who)[2] > threshold}
    assert len(caught) >= 10, f"{len(caught)} of 20"
    rows = scores.rows[scores.offsets[0] : scores.offsets[1]]
    assert len(rows) >= 1


def test_customers_who_come_again_are_no_alarm() -> None:
    world = World(9)
    threshold = rarest(world, 42)
    scores = np.concatenate([world.next().score for _ in range(14)])
    assert (scores > threshold).mean() < 0.004


def test_many_parcels_of_one_customer_on_one_day_are_one_occasion() -> None:
    world = World(2)
    for _ in range(30):
        world.next()
    twin = copy.deepcopy(world)
    many, one = world.next((7, np.full(15, 10**13), 0)).of(7), twin.next((7, np.full(1, 10**13), 0)).of(7)
    assert many == one


def test_a_recipient_whom_all_look_at_counts_little() -> None:
    world = World(3)
    for _ in range(20):
        world.next()
    for _ in range(10):
        shop = [(who, np.array([10**14]), 0) for who in range(40)]
        scores = world.next(*shop, (50, np.array([10**15]), 0))
    assert scores.of(50)[0] > 8
    assert np.median([scores.of(who)[2] for who in range(40)]) < 1


def test_neighbours_on_the_own_shelf_count_too() -> None:
    world = World(4)
    for _ in range(30):
        world.next()
    for _ in range(12):
        scores = world.next((7, np.array([10**12, 10**12 + 1, 10**12 + 2]), 1))
    assert scores.of(7)[2] > 3
    direct = World(4)
    for _ in range(30):
        direct.next()
    for _ in range(12):
        scores = direct.next((7, np.array([10**12, 10**12 + 1, 10**12 + 2]), 2))
    assert scores.of(7)[2] < 2, "whoever carries their parcels may look at them"


def test_what_is_older_than_the_window_is_forgotten() -> None:
    world = World(5)
    for _ in range(10):
        world.next((7, np.array([10**12]), 0))
    with_spying = world.detector.score(Looks(world.day, PEOPLE).rows()).of(7)[0]
    world.day += 40
    assert with_spying >= 9
    assert world.detector.score(Looks(world.day, PEOPLE).rows()).score.max() == 0
